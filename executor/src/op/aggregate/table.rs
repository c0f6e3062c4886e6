//! [`GroupTable`]: groups and their accumulators. A group's first change in an epoch lists it as touched and puts its
//! result of before aside; at the epoch's end the list is walked once, and each group whose result has changed ships
//! one retraction and one insertion.
//!
//! A group whose rows are all gone goes too. Only if it has been saved it stays, unseen, until the next save has
//! written that it is gone.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{and, concat, take};
use arrow::row::{RowConverter, SortField};
use highwater_types::{Delta, Fault};

use super::accumulator::{Accumulator, Changes};
use super::count::pick;
use super::shape::Shape;
use crate::ExecError;
use crate::op::Output;
use crate::op::keys::{KeyTable, Keys, Numbers};

/// Changed in the open epoch.
const TOUCHED: u8 = 1;
/// Its result has been shipped.
pub(super) const EMITTED: u8 = 2;
/// Changed since the last save, and listed.
pub(super) const DIRTY: u8 = 4;
/// Was there at the last save.
pub(super) const SAVED: u8 = 8;

/// All its rows have been taken out because it is complete, though its accumulators still hold them.
pub(super) const COMPLETE: u8 = 16;

/// What a call's arguments are in one batch.
#[derive(Debug)]
pub(super) struct CallInput {
    pub args: Vec<ArrayRef>,
    pub valid: Option<arrow::buffer::NullBuffer>,
}

/// Groups and what is known about them.
#[derive(Debug)]
pub(super) struct GroupTable {
    pub(super) keys: KeyTable,
    /// The values of the columns that are the same for all groups, a row each.
    fixed: Vec<ArrayRef>,
    /// Rows of each group.
    pub(super) rows: Vec<i64>,
    pub(super) flags: Vec<u8>,
    /// One for each call; `None` where the result is the number of rows.
    pub(super) accumulators: Vec<Option<Box<dyn Accumulator>>>,
    touched: Touched,
    pub(super) dirty: Vec<u32>,
    pub(super) saved_count: usize,
}

/// The groups touched in the open epoch.
#[derive(Debug, Default)]
struct Touched {
    /// Those whose result had been shipped, and that result, in pieces as they came.
    emitted: Vec<u32>,
    old: Vec<Vec<ArrayRef>>,
    old_faults: HashMap<u32, Fault>,
    /// The others.
    fresh: Vec<u32>,
}

impl GroupTable {
    /// Without groups. The group's columns have a row of this table in place `row`.
    pub(super) fn try_new(shape: &Shape, columns: &[ArrayRef], row: usize) -> Result<GroupTable, ExecError> {
        let row = UInt32Array::from(vec![row as u32]);
        let fixed = shape.fixed.iter().map(|at| Ok(take(&columns[*at], &row, None)?));
        Ok(GroupTable {
            keys: shape.codec.table(),
            fixed: fixed.collect::<Result<_, ExecError>>()?,
            rows: Vec::new(),
            flags: Vec::new(),
            accumulators: shape.accumulators()?,
            touched: Touched::default(),
            dirty: Vec::new(),
            saved_count: 0,
        })
    }

    /// Whether it holds nothing that may be needed.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.len() == 0
    }

    /// Whether any of its groups has been saved.
    pub(super) fn has_saved(&self) -> bool {
        self.saved_count > 0
    }

    /// Applies changes. `picked` are the rows that concern this table; `weights` go with them.
    pub(super) fn update(
        &mut self,
        keys: &Keys,
        picked: Option<&[u32]>,
        weights: Option<&[i64]>,
        calls: &[CallInput],
    ) -> Result<(), ExecError> {
        let groups = self.intern(keys, picked);
        self.touch(groups.runs())?;
        match (&groups, weights) {
            (Numbers::One(group, count), None) => self.rows[*group as usize] += *count as i64,
            (Numbers::One(group, _), Some(weights)) => self.rows[*group as usize] += weights.iter().sum::<i64>(),
            (Numbers::Each(groups), None) => groups.iter().for_each(|g| self.rows[*g as usize] += 1),
            (Numbers::Each(groups), Some(weights)) => groups
                .iter()
                .zip(weights)
                .for_each(|(g, w)| self.rows[*g as usize] += w),
        }
        let changes = Changes {
            groups: &groups,
            rows: picked,
            weights,
        };
        for (accumulator, input) in self.accumulators.iter_mut().zip(calls) {
            if let Some(accumulator) = accumulator {
                accumulator.update(&changes, &input.args, input.valid.as_ref())?;
            }
        }
        Ok(())
    }

    /// Makes sure that the one group of an aggregate without keys is there and will be shipped.
    pub(super) fn ensure_global(&mut self, keys: &Keys) {
        let group = self.intern(keys, None).runs()[0];
        if self.flags[group as usize] & (EMITTED | TOUCHED) == 0 {
            self.flags[group as usize] |= TOUCHED;
            self.touched.fresh.push(group);
            self.mark_dirty(group);
        }
    }

    pub(super) fn intern(&mut self, keys: &Keys, picked: Option<&[u32]>) -> Numbers {
        let groups = self.keys.intern_rows(keys, picked);
        let bound = self.keys.id_bound();
        if bound > self.rows.len() {
            self.rows.resize(bound, 0);
            self.flags.resize(bound, 0);
            for accumulator in self.accumulators.iter_mut().flatten() {
                accumulator.grow(bound);
            }
        }
        groups
    }

    /// The key columns of these groups, in the group's order.
    pub(super) fn key_columns(&self, shape: &Shape, groups: &[u32]) -> Result<Vec<ArrayRef>, ExecError> {
        let hashed = shape.codec.decode(&self.keys, groups)?;
        let all_first = UInt32Array::from(vec![0; groups.len()]);
        let fixed = self.fixed.iter().map(|value| Ok(take(value, &all_first, None)?));
        let fixed = fixed.collect::<Result<Vec<_>, ExecError>>()?;
        let places = shape.hashed.iter().chain(&shape.fixed).copied();
        let mut placed: Vec<(usize, ArrayRef)> = places.zip(hashed.into_iter().chain(fixed)).collect();
        placed.sort_by_key(|(place, _)| *place);
        Ok(placed.into_iter().map(|(_, column)| column).collect())
    }

    /// Lists groups that are not listed yet, and puts the shipped results of those aside.
    fn touch(&mut self, groups: &[u32]) -> Result<(), ExecError> {
        let mut emitted = Vec::new();
        for group in groups {
            let flags = &mut self.flags[*group as usize];
            if *flags & TOUCHED != 0 {
                continue;
            }
            *flags |= TOUCHED;
            let was_emitted = *flags & EMITTED != 0;
            self.mark_dirty(*group);
            if was_emitted {
                emitted.push(*group);
            } else {
                self.touched.fresh.push(*group);
            }
        }
        if emitted.is_empty() {
            return Ok(());
        }
        let (old, faults) = self.evaluate(&emitted)?;
        self.touched.old.push(old);
        self.touched
            .old_faults
            .extend(faults.into_iter().map(|(at, fault)| (emitted[at], fault)));
        self.touched.emitted.extend(emitted);
        Ok(())
    }

    fn mark_dirty(&mut self, group: u32) {
        if self.flags[group as usize] & DIRTY == 0 {
            self.flags[group as usize] |= DIRTY;
            self.dirty.push(group);
        }
    }

    /// The results of these groups, a column a call, and by position the groups that have a fault instead.
    fn evaluate(&self, groups: &[u32]) -> Result<(Vec<ArrayRef>, HashMap<usize, Fault>), ExecError> {
        let mut faults = HashMap::new();
        let mut columns = Vec::with_capacity(self.accumulators.len());
        for accumulator in &self.accumulators {
            let Some(accumulator) = accumulator else {
                columns.push(pick(&self.rows, groups));
                continue;
            };
            let mut found = Vec::new();
            columns.push(accumulator.evaluate(groups, &mut found)?);
            for (at, fault) in found {
                faults.entry(at).or_insert(fault);
            }
        }
        Ok((columns, faults))
    }

    /// Ships what the epoch has changed, up to `budget` groups; true when that was all.
    pub(super) fn emit(&mut self, shape: &Shape, out: &mut Output, budget: &mut usize) -> Result<bool, ExecError> {
        if self.touched.old.len() > 1 {
            let merged = (0..self.accumulators.len())
                .map(|call| {
                    let pieces: Vec<&dyn Array> = self.touched.old.iter().map(|old| old[call].as_ref()).collect();
                    concat(&pieces)
                })
                .collect::<Result<_, _>>()?;
            self.touched.old = vec![merged];
        }
        while *budget > 0 {
            let length = (*budget).min(Output::BATCH_ROWS / 2);
            if !self.touched.emitted.is_empty() {
                let start = self.touched.emitted.len().saturating_sub(length);
                let groups = self.touched.emitted.split_off(start);
                let old: Vec<ArrayRef> = match self.touched.old.first() {
                    Some(old) => old.iter().map(|c| c.slice(start, groups.len())).collect(),
                    None => Vec::new(),
                };
                *budget -= groups.len();
                self.emit_changed(shape, &groups, &old, out)?;
                self.settle(shape, &groups)?;
            } else if !self.touched.fresh.is_empty() {
                let start = self.touched.fresh.len().saturating_sub(length);
                let groups = self.touched.fresh.split_off(start);
                *budget -= groups.len();
                self.emit_present(shape, &groups, out)?;
                self.settle(shape, &groups)?;
            } else {
                self.touched = Touched::default();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// For groups whose old result has been shipped: retracts it and ships the new one, where they differ.
    fn emit_changed(
        &mut self,
        shape: &Shape,
        groups: &[u32],
        old: &[ArrayRef],
        out: &mut Output,
    ) -> Result<(), ExecError> {
        let (new, new_faults) = self.evaluate(groups)?;
        let mut equal: Option<BooleanArray> = None;
        for (old, new) in old.iter().zip(&new) {
            let same = same_values(old, new)?;
            equal = Some(match equal {
                None => same,
                Some(before) => and(&before, &same)?,
            });
        }
        let (mut retracted, mut inserted) = (Vec::new(), Vec::new());
        for (at, group) in groups.iter().enumerate() {
            let old_fault = self.touched.old_faults.remove(group);
            let present = shape.is_present(self.rows[*group as usize]);
            let new_fault = present.then(|| new_faults.get(&at)).flatten();
            let same_row = equal.as_ref().is_none_or(|e| e.value(at));
            if present && old_fault.as_ref() == new_fault && (new_fault.is_some() || same_row) {
                continue;
            }
            match old_fault {
                Some(fault) => out.fault(fault, -1),
                None => retracted.push(at as u32),
            }
            match new_fault {
                Some(fault) => out.fault(fault.clone(), 1),
                None if present => inserted.push(at as u32),
                None => {}
            }
        }
        if retracted.is_empty() && inserted.is_empty() {
            return Ok(());
        }
        let ids: Vec<u32> = retracted
            .iter()
            .chain(&inserted)
            .map(|at| groups[*at as usize])
            .collect();
        let mut columns = self.key_columns(shape, &ids)?;
        let weights: Vec<i64> = std::iter::repeat_n(-1, retracted.len())
            .chain(std::iter::repeat_n(1, inserted.len()))
            .collect();
        let (retracted, inserted) = (UInt32Array::from(retracted), UInt32Array::from(inserted));
        for (old, new) in old.iter().zip(&new) {
            let pieces = [take(old, &retracted, None)?, take(new, &inserted, None)?];
            columns.push(concat(&[pieces[0].as_ref(), pieces[1].as_ref()])?);
        }
        out.ship(Delta::try_new(
            shape.batch(columns, ids.len())?,
            Some(Int64Array::from(weights)),
        )?);
        Ok(())
    }

    /// Ships the results of groups that have rows.
    pub(super) fn emit_present(&mut self, shape: &Shape, groups: &[u32], out: &mut Output) -> Result<(), ExecError> {
        let present: Vec<u32> = groups
            .iter()
            .copied()
            .filter(|g| shape.is_present(self.rows[*g as usize]))
            .collect();
        let (results, faults) = self.evaluate(&present)?;
        let mut columns = self.key_columns(shape, &present)?;
        columns.extend(results);
        let mut batch = shape.batch(columns, present.len())?;
        if !faults.is_empty() {
            let good = BooleanArray::from_iter((0..present.len()).map(|at| Some(!faults.contains_key(&at))));
            batch = arrow::compute::filter_record_batch(&batch, &good)?;
            faults.into_values().for_each(|fault| out.fault(fault, 1));
        }
        out.ship(Delta::insert(batch));
        Ok(())
    }

    /// After groups have been shipped: they are touched no more, and those without rows go.
    fn settle(&mut self, shape: &Shape, groups: &[u32]) -> Result<(), ExecError> {
        let mut empty = Vec::new();
        for group in groups {
            let at = *group as usize;
            self.flags[at] &= !TOUCHED;
            if self.rows[at] < 0 {
                return Err(shape.missing_row(&self.key_columns(shape, &[*group])?));
            }
            if shape.is_present(self.rows[at]) {
                self.flags[at] |= EMITTED;
            } else {
                self.flags[at] &= !EMITTED;
                if self.flags[at] & SAVED == 0 {
                    empty.push(*group);
                }
            }
        }
        self.release(&empty);
        Ok(())
    }

    /// For a table whose results appear on completion only: nothing is shipped as it changes.
    pub(super) fn settle_unshipped(&mut self, shape: &Shape) -> Result<(), ExecError> {
        let touched = std::mem::take(&mut self.touched);
        self.settle(shape, &touched.emitted)?;
        self.settle(shape, &touched.fresh)
    }

    /// The groups that have rows.
    pub(super) fn present(&self, shape: &Shape) -> Vec<u32> {
        let mut ids = self.keys.ids();
        ids.retain(|id| shape.is_present(self.rows[*id as usize]));
        ids
    }

    /// The groups that have rows and whose key in one column is below a bound.
    pub(super) fn present_up_to(&self, shape: &Shape, column: usize, bound: i64) -> Result<Vec<u32>, ExecError> {
        let ids = self.present(shape);
        let columns = self.key_columns(shape, &ids)?;
        let values = crate::op::keys::to_integers(&columns[column]);
        Ok(ids
            .into_iter()
            .zip(values.iter())
            .filter(|(_, value)| value.is_some_and(|v| v <= bound))
            .map(|(id, _)| id)
            .collect())
    }

    /// Takes all rows of complete groups out. Those that have been saved stay until that is written.
    pub(super) fn complete(&mut self, groups: &[u32]) {
        let (saved, unsaved): (Vec<u32>, Vec<u32>) = groups.iter().partition(|g| self.flags[**g as usize] & SAVED != 0);
        for group in saved {
            self.rows[group as usize] = 0;
            self.flags[group as usize] |= COMPLETE;
            self.mark_dirty(group);
        }
        self.release(&unsaved);
    }

    pub(super) fn release(&mut self, groups: &[u32]) {
        if groups.is_empty() {
            return;
        }
        for accumulator in self.accumulators.iter_mut().flatten() {
            accumulator.forget(groups);
        }
        for group in groups {
            self.keys.remove(*group);
            self.rows[*group as usize] = 0;
            // It may still be listed as dirty; then it must not be listed twice when its number is given out again.
            self.flags[*group as usize] &= DIRTY;
        }
    }
}

/// Where two columns of one type have equal values; NULL equals NULL.
fn same_values(left: &ArrayRef, right: &ArrayRef) -> Result<BooleanArray, ExecError> {
    if !left.data_type().is_nested() {
        return Ok(not_distinct(left, right)?);
    }
    let converter = RowConverter::new(vec![SortField::new(left.data_type().clone())])?;
    let left = converter.convert_columns(std::slice::from_ref(left))?;
    let right = converter.convert_columns(std::slice::from_ref(right))?;
    Ok(left.iter().zip(right.iter()).map(|(l, r)| Some(l == r)).collect())
}
