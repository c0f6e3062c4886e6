//! [`AggregateOp`]: GROUP BY, and DISTINCT when there is no aggregate. Keeps per group its key, its number of rows and
//! one accumulator per call; ships at the end of an epoch one retraction and one insertion for each group whose result
//! has changed, and nothing for the others. A group without rows vanishes, but for the one group of an aggregate
//! without keys: it answers a row even over no input, from the first epoch on.
//!
//! # State
//! Groups are columns in a hash table ([`table`]); accumulators are vectors, the cheap ones where the input never
//! retracts ([`accumulator`]). Where the planner says when a group is complete (the end of its window), there is a
//! table per window: it stays small and warm, its keys are without the window's bounds, and going through the window's
//! end frees it whole.
//!
//! # Cost and bound
//! One hash and one probe a row, then a loop a call; an epoch's end costs the groups it touched. State grows with the
//! number of groups (plus distinct values, for DISTINCT and for min and max over retractions), and where groups
//! complete, with those that are not complete yet. Changes to a complete group are ignored: its result stands.
//!
//! # Faults
//! A result out of range makes the group's row a fault, until the result is in range again.

mod accumulator;
mod boolean;
mod count;
mod distinct;
mod extreme;
mod float;
mod interval;
mod multiset;
mod shape;
mod state;
mod sum;
mod table;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use datafusion::common::DFSchemaRef;
use highwater_planner::stream::plan;
use highwater_types::{Delta, Tick, Watermark};

use self::shape::Shape;
use self::state::{GROUPS, values_part};
use self::table::GroupTable;
use super::keys::to_integers;
use super::{Distribution, InputIndex, OpContext, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// After how many shipped groups a closing epoch hands the worker back.
const YIELD_GROUPS: usize = 16 * Output::BATCH_ROWS;

/// Groups and aggregates.
#[derive(Debug)]
pub struct AggregateOp {
    shape: Shape,
    completion: Option<Completion>,
    owns_global: bool,
    /// By span of completion times; under `None` the groups that never complete.
    tables: BTreeMap<Option<i64>, GroupTable>,
    /// The tables changed in the open epoch.
    touched: Vec<Option<i64>>,
    closing: Option<VecDeque<Work>>,
    /// Complete tables that the next save must take back.
    gone: Vec<GroupTable>,
}

/// When groups are complete.
#[derive(Debug)]
struct Completion {
    plan: plan::Completion,
    /// How many microseconds of completion times share a table.
    span_us: i64,
}

/// A step of closing an epoch.
#[derive(Debug)]
enum Work {
    /// Ship what has changed in a table.
    Changed(Option<i64>),
    /// Ship complete groups of a table for the only time.
    Complete(Option<i64>, Vec<u32>),
}

impl AggregateOp {
    /// For this node over its input.
    ///
    /// # Errors
    /// When a call has no accumulator.
    pub fn try_new(
        node: &plan::Aggregate,
        inputs: &[DFSchemaRef],
        output: &DFSchemaRef,
        context: &OpContext,
    ) -> Result<AggregateOp, ExecError> {
        let shape = Shape::try_new(node, &inputs[0], output)?;
        let completion = node.complete.as_ref().map(|plan| Completion {
            span_us: shape::span_us(plan),
            plan: plan.clone(),
        });
        Ok(AggregateOp {
            shape,
            completion,
            owns_global: context.owns_global,
            tables: BTreeMap::new(),
            touched: Vec::new(),
            closing: None,
            gone: Vec::new(),
        })
    }

    fn emits_on_close(&self) -> bool {
        self.completion.as_ref().is_some_and(|c| c.plan.emit_on_close)
    }

    /// Which table each row belongs to; rows of groups that were complete `before` are in none.
    fn route(&self, keys: &[ArrayRef], row_count: usize, before: Watermark) -> Vec<(Option<i64>, Option<Vec<u32>>)> {
        let Some(completion) = &self.completion else {
            return vec![(None, None)];
        };
        let times = to_integers(&keys[completion.plan.group_column]);
        if let Some(time) = only_value(&times) {
            let is_late = completion.is_reached(before, time);
            let route = (Some(time.div_euclid(completion.span_us)), None);
            return if is_late { Vec::new() } else { vec![route] };
        }
        let mut routes: Vec<(Option<i64>, Vec<u32>)> = Vec::new();
        let mut by_span: BTreeMap<Option<i64>, usize> = BTreeMap::new();
        let mut last = usize::MAX;
        for row in 0..row_count {
            let time = times.is_valid(row).then(|| times.value(row));
            if time.is_some_and(|t| completion.is_reached(before, t)) {
                continue;
            }
            let span = time.map(|t| t.div_euclid(completion.span_us));
            if last == usize::MAX || routes[last].0 != span {
                last = *by_span.entry(span).or_insert_with(|| {
                    routes.push((span, Vec::new()));
                    routes.len() - 1
                });
            }
            routes[last].1.push(row as u32);
        }
        let whole = |rows: &Vec<u32>| rows.len() == row_count;
        routes
            .into_iter()
            .map(|(span, rows)| (span, (!whole(&rows)).then_some(rows)))
            .collect()
    }

    /// The table of a span; `keys` has a row of it in place `row`.
    fn table(&mut self, span: Option<i64>, keys: &[ArrayRef], row: usize) -> Result<&mut GroupTable, ExecError> {
        Ok(match self.tables.entry(span) {
            Entry::Occupied(table) => table.into_mut(),
            Entry::Vacant(place) => place.insert(GroupTable::try_new(&self.shape, keys, row)?),
        })
    }

    /// What is to be done to close the epoch.
    fn plan_close(&mut self, tick: &Tick) -> Result<VecDeque<Work>, ExecError> {
        if self.shape.is_global() && self.owns_global {
            let keys = self.shape.codec.encode(&[], 1)?;
            self.table(None, &[], 0)?.ensure_global(&keys);
            self.touched.push(None);
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        if !self.emits_on_close() {
            return Ok(touched.into_iter().map(Work::Changed).collect());
        }
        for span in touched {
            if let Some(table) = self.tables.get_mut(&span) {
                table.settle_unshipped(&self.shape)?;
            }
        }
        let Some(completion) = &self.completion else {
            return Ok(VecDeque::new());
        };
        let Some(bound) = completion.bound(tick) else {
            return Ok(VecDeque::new());
        };
        let last = bound.div_euclid(completion.span_us);
        let column = completion.plan.group_column;
        let mut work = VecDeque::new();
        for (span, table) in self.tables.range(Some(i64::MIN)..=Some(last)) {
            let groups = table.present_up_to(&self.shape, column, bound)?;
            work.push_back(Work::Complete(*span, groups));
        }
        Ok(work)
    }

    /// Frees the tables whose groups are all complete.
    fn drop_complete(&mut self, tick: &Tick) {
        let Some(completion) = &self.completion else {
            return;
        };
        let Some(bound) = completion.bound(tick) else {
            return;
        };
        // The last span whose every time is within the bound.
        let last = bound.saturating_add(1).div_euclid(completion.span_us) - 1;
        let complete: Vec<Option<i64>> = self
            .tables
            .range(Some(i64::MIN)..=Some(last))
            .map(|(span, _)| *span)
            .collect();
        for span in complete {
            if let Some(table) = self.tables.remove(&span)
                && table.has_saved()
            {
                self.gone.push(table);
            }
        }
    }
}

impl Operator for AggregateOp {
    fn distribution(&self, _input: InputIndex) -> Distribution {
        match self.shape.is_global() {
            true => Distribution::Single,
            false => Distribution::Keys(self.shape.node.group.clone()),
        }
    }

    fn update(&mut self, tick: &Tick, _input: InputIndex, delta: &Delta, _out: &mut Output) -> Result<(), ExecError> {
        let columns: Vec<ArrayRef> = self
            .shape
            .node
            .group
            .iter()
            .map(|g| Arc::clone(delta.column(*g)))
            .collect();
        let row_count = delta.num_rows();
        let before = self.completion.as_ref().map_or(Watermark::NONE, |c| c.before(tick));
        let routes = self.route(&columns, row_count, before);
        let keys = self.shape.encode(&columns, row_count)?;
        let calls = self.shape.call_inputs(delta);
        let all = delta.weights().map(|w| w.values().as_ref());
        for (span, rows) in routes {
            let picked: Option<Vec<i64>> = match (&rows, all) {
                (Some(rows), Some(all)) => Some(rows.iter().map(|row| all[*row as usize]).collect()),
                _ => None,
            };
            let weights = picked.as_deref().or(all);
            let table = self.table(span, &columns, first_of(rows.as_deref()))?;
            table.update(&keys, rows.as_deref(), weights, &calls)?;
            if self.touched.last() != Some(&span) {
                self.touched.push(span);
            }
        }
        Ok(())
    }

    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError> {
        let mut work = match self.closing.take() {
            Some(work) => work,
            None => self.plan_close(tick)?,
        };
        let mut budget = YIELD_GROUPS;
        while let Some(step) = work.pop_front() {
            let (span, rest) = match step {
                Work::Changed(span) => {
                    let done = match self.tables.get_mut(&span) {
                        Some(table) => table.emit(&self.shape, out, &mut budget)?,
                        None => true,
                    };
                    (span, (!done).then_some(Work::Changed(span)))
                }
                Work::Complete(span, mut groups) => {
                    let length = budget.min(Output::BATCH_ROWS).min(groups.len());
                    let shipped = groups.split_off(groups.len() - length);
                    budget -= length;
                    if let Some(table) = self.tables.get_mut(&span) {
                        table.emit_present(&self.shape, &shipped, out)?;
                        table.complete(&shipped);
                    }
                    (span, (!groups.is_empty()).then_some(Work::Complete(span, groups)))
                }
            };
            match rest {
                Some(rest) => work.push_front(rest),
                None => {
                    if self.tables.get(&span).is_some_and(GroupTable::is_empty) {
                        self.tables.remove(&span);
                    }
                }
            }
            if budget == 0 {
                self.closing = Some(work);
                return Ok(Step::Yield);
            }
        }
        self.drop_complete(tick);
        Ok(Step::Done)
    }

    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        for mut table in std::mem::take(&mut self.gone) {
            table.save_gone(&self.shape, state)?;
        }
        for table in self.tables.values_mut() {
            table.save(&self.shape, state)?;
        }
        self.tables.retain(|_, table| !table.is_empty());
        Ok(())
    }

    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        for batch in state.read(GROUPS) {
            self.load_batch(&batch, None)?;
        }
        for call in 0..self.shape.node.calls.len() {
            for batch in state.read(&values_part(call)) {
                self.load_batch(&batch, Some(call))?;
            }
        }
        for table in self.tables.values_mut() {
            table.finish_load(&self.shape);
        }
        self.tables.retain(|_, table| !table.is_empty());
        Ok(())
    }
}

impl AggregateOp {
    fn load_batch(&mut self, batch: &RecordBatch, call: Option<usize>) -> Result<(), ExecError> {
        let columns = &batch.columns()[..self.shape.key_count()];
        let keys = self.shape.encode(columns, batch.num_rows())?;
        let all: Vec<u32> = (0..batch.num_rows() as u32).collect();
        for (span, rows) in self.route(columns, batch.num_rows(), Watermark::NONE) {
            let rows = rows.unwrap_or_else(|| all.clone());
            self.table(span, columns, first_of(Some(&rows)))?;
            let Some(table) = self.tables.get_mut(&span) else {
                continue;
            };
            match call {
                None => table.load_groups(&self.shape, &keys, batch, &rows)?,
                Some(call) => table.load_values(&self.shape, call, &keys, batch, &rows)?,
            }
        }
        Ok(())
    }
}

/// The first of some rows, or of all.
fn first_of(rows: Option<&[u32]>) -> usize {
    rows.and_then(|rows| rows.first()).map_or(0, |row| *row as usize)
}

/// The value of a column that has no other and no NULL.
fn only_value(column: &Int64Array) -> Option<i64> {
    let first = *column.values().first()?;
    let is_only = column.null_count() == 0 && column.values().iter().all(|v| *v == first);
    is_only.then_some(first)
}

impl Completion {
    /// Whether a group with this time in its key is complete.
    fn is_reached(&self, watermark: Watermark, time: i64) -> bool {
        watermark.reached(time.saturating_add(self.plan.after_us))
    }

    fn before(&self, tick: &Tick) -> Watermark {
        let sources = self.plan.sources.iter();
        sources.map(|s| tick.before(*s)).min().unwrap_or(Watermark::NONE)
    }

    /// The greatest time in a key whose group is complete at the end of the epoch.
    fn bound(&self, tick: &Tick) -> Option<i64> {
        let sources = self.plan.sources.iter();
        let after = sources.map(|s| tick.after(*s)).min().unwrap_or(Watermark::NONE);
        (after != Watermark::NONE).then(|| after.0.saturating_sub(self.plan.after_us))
    }
}

#[cfg(test)]
mod tests;
