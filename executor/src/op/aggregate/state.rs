//! What an aggregate saves.
//!
//! Part `groups`: the key columns, whether the group is there, its row count, and the numbers of each accumulator. A
//! later row of a key replaces an earlier one. Part `values.i` for call i, where it keeps values: the key columns, the
//! call's arguments, and by how much their count has changed. Both hold only what has changed since the last save.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Int64Type, Schema};

use super::accumulator::ValueChanges;
use super::shape::Shape;
use super::table::{COMPLETE, DIRTY, EMITTED, GroupTable, SAVED};
use crate::ExecError;
use crate::op::keys::Keys;
use crate::state::StateWriter;

/// The name of the part with the groups.
pub(super) const GROUPS: &str = "groups";

/// The name of the part with the values of one call.
pub(super) fn values_part(call: usize) -> String {
    format!("values.{call}")
}

/// Columns under the names `c0`, `c1` and so on.
fn to_batch(columns: Vec<ArrayRef>) -> Result<RecordBatch, ExecError> {
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true))
        .collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

impl GroupTable {
    /// Writes what has changed since the last save.
    pub(super) fn save(&mut self, shape: &Shape, state: &mut StateWriter) -> Result<(), ExecError> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.iter().for_each(|g| self.flags[*g as usize] &= !DIRTY);
        let groups: Vec<u32> = dirty.into_iter().filter(|g| self.keys.is_live(*g)).collect();
        let (complete, others): (Vec<u32>, Vec<u32>) =
            groups.iter().partition(|g| self.flags[**g as usize] & COMPLETE != 0);
        self.write_groups(shape, &groups, false, state)?;
        self.write_values(shape, &others, false, state)?;
        if !complete.is_empty() {
            self.write_values(shape, &complete, true, state)?;
        }
        let mut empty = Vec::new();
        for group in groups {
            let at = group as usize;
            let (was_saved, is_present) = (self.flags[at] & SAVED != 0, shape.is_present(self.rows[at]));
            match (was_saved, is_present) {
                (false, true) => self.saved_count += 1,
                (true, false) => self.saved_count -= 1,
                (false, false) | (true, true) => {}
            }
            if is_present {
                self.flags[at] |= SAVED;
            } else {
                empty.push(group);
            }
        }
        self.release(&empty);
        Ok(())
    }

    /// Writes that all groups that were ever saved are gone.
    pub(super) fn save_gone(&mut self, shape: &Shape, state: &mut StateWriter) -> Result<(), ExecError> {
        let mut saved = self.keys.ids();
        saved.retain(|g| self.flags[*g as usize] & SAVED != 0);
        self.write_groups(shape, &saved, true, state)?;
        self.write_values(shape, &saved, true, state)
    }

    fn write_groups(
        &self,
        shape: &Shape,
        groups: &[u32],
        gone: bool,
        state: &mut StateWriter,
    ) -> Result<(), ExecError> {
        let mut columns = self.key_columns(shape, groups)?;
        let rows = groups.iter().map(|g| self.rows[*g as usize]);
        let present: Vec<bool> = rows.clone().map(|rows| !gone && shape.is_present(rows)).collect();
        columns.push(Arc::new(BooleanArray::from(present)));
        columns.push(Arc::new(Int64Array::from_iter_values(rows)));
        for accumulator in self.accumulators.iter().flatten() {
            columns.extend(accumulator.numbers(groups));
        }
        state.write(GROUPS, to_batch(columns)?);
        Ok(())
    }

    fn write_values(
        &mut self,
        shape: &Shape,
        groups: &[u32],
        gone: bool,
        state: &mut StateWriter,
    ) -> Result<(), ExecError> {
        let mut changed = Vec::new();
        for (call, accumulator) in self.accumulators.iter_mut().enumerate() {
            if let Some(accumulator) = accumulator
                && let Some(changes) = accumulator.value_changes(groups, gone)?
            {
                changed.push((call, changes));
            }
        }
        for (call, changes) in changed {
            let ValueChanges {
                groups,
                columns,
                weights,
            } = changes;
            let mut all = self.key_columns(shape, &groups)?;
            all.extend(columns);
            all.push(Arc::new(Int64Array::from(weights)));
            state.write(&values_part(call), to_batch(all)?);
        }
        Ok(())
    }

    /// Takes in rows of the part with the groups.
    pub(super) fn load_groups(
        &mut self,
        shape: &Shape,
        keys: &Keys,
        batch: &RecordBatch,
        picked: &[u32],
    ) -> Result<(), ExecError> {
        let width = shape.key_count();
        let groups: Vec<u32> = self.intern(keys, Some(picked)).iter().collect();
        let indices = arrow::array::UInt32Array::from(picked.to_vec());
        let batch = arrow::compute::take_record_batch(batch, &indices)?;
        let present = batch.column(width).as_boolean();
        let rows = batch.column(width + 1).as_primitive::<Int64Type>();
        for (at, group) in groups.iter().enumerate() {
            let is_present = present.value(at);
            self.rows[*group as usize] = if is_present { rows.value(at) } else { 0 };
            self.flags[*group as usize] = if is_present { EMITTED | SAVED } else { 0 };
        }
        let mut next = width + 2;
        for accumulator in self.accumulators.iter_mut().flatten() {
            let count = accumulator.numbers(&[]).len();
            accumulator.load_numbers(&groups, &batch.columns()[next..next + count])?;
            next += count;
        }
        Ok(())
    }

    /// Takes in rows of the part with the values of a call.
    pub(super) fn load_values(
        &mut self,
        shape: &Shape,
        call: usize,
        keys: &Keys,
        batch: &RecordBatch,
        picked: &[u32],
    ) -> Result<(), ExecError> {
        let groups = self.intern(keys, Some(picked));
        let (width, last) = (shape.key_count(), batch.num_columns() - 1);
        let all = batch.column(last).as_primitive::<Int64Type>().values();
        let weights: Vec<i64> = picked.iter().map(|row| all[*row as usize]).collect();
        let changes = super::accumulator::Changes {
            groups: &groups,
            rows: Some(picked),
            weights: Some(&weights),
        };
        match &mut self.accumulators[call] {
            Some(accumulator) => accumulator.update(&changes, &batch.columns()[width..last], None),
            None => Err(ExecError::State {
                operator: "Aggregate",
                reason: format!("call {call} keeps no values"),
            }),
        }
    }

    /// After all parts have been taken in: what is not there goes.
    pub(super) fn finish_load(&mut self, shape: &Shape) {
        let mut absent = self.keys.ids();
        absent.retain(|g| self.flags[*g as usize] & SAVED == 0);
        self.release(&absent);
        self.saved_count = self.present(shape).len();
        for accumulator in self.accumulators.iter_mut().flatten() {
            accumulator.mark_saved();
        }
    }
}
