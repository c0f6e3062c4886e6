//! [`HoldUntilOp`]: holds rows back until the watermark has reached the value of a column (the end of their window), or
//! a time a fixed length before or after it, then ships them, once. What comes for a value that has been reached before
//! the epoch is ignored: what was shipped never changes. A row with NULL in the column is held for ever.
//!
//! State: the rows that are held, by value, consolidated when they leave. Cost: rows are sorted into their value's
//! list a batch at a time. Bounded by the rows between the watermark and the greatest value.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use datafusion::common::DFSchemaRef;
use highwater_types::{Delta, RelationId, Tick, Watermark};

use super::expression::nullable;
use super::keys::to_integers;
use super::{Distribution, InputIndex, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// The name of the state's part.
const PART: &str = "held";
/// After how many changes a value's list is consolidated.
const CONSOLIDATE_ROWS: usize = 4096;

/// Holds rows back.
#[derive(Debug)]
pub struct HoldUntilOp {
    column: usize,
    after_us: i64,
    sources: Vec<RelationId>,
    schema: SchemaRef,
    /// By value; under `None` the rows that are held for ever.
    held: BTreeMap<Option<i64>, Held>,
    /// Rows that have been saved and have left since.
    left: Vec<Delta>,
}

/// The rows of one value.
#[derive(Debug, Default)]
struct Held {
    saved: Vec<Delta>,
    unsaved: Vec<Delta>,
    unsaved_row_count: usize,
    /// How many rows were left by the last consolidation.
    consolidated_row_count: usize,
}

impl HoldUntilOp {
    /// Rows of the one input wait until the smallest watermark of `sources` reaches their value in `column` plus
    /// `after_us` microseconds.
    ///
    /// # Errors
    /// When the column is no timestamp.
    pub fn try_new(
        column: usize,
        after_us: i64,
        sources: &[RelationId],
        inputs: &[DFSchemaRef],
        _output: &DFSchemaRef,
    ) -> Result<HoldUntilOp, ExecError> {
        let data_type = inputs[0].field(column).data_type();
        if !matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) {
            return Err(ExecError::Unsupported {
                operator: "HoldUntil",
                construct: format!("a column of type {data_type}"),
            });
        }
        Ok(HoldUntilOp {
            column,
            after_us,
            sources: sources.to_vec(),
            schema: nullable(inputs[0].as_arrow()),
            held: BTreeMap::new(),
            left: Vec::new(),
        })
    }

    fn mark(&self, of: impl Fn(RelationId) -> Watermark) -> Watermark {
        let marks = self.sources.iter().map(|s| of(*s));
        marks.min().unwrap_or(Watermark::NONE)
    }

    /// Whether rows with this value may appear, or may have.
    fn is_reached(&self, mark: Watermark, value: i64) -> bool {
        mark.reached(value.saturating_add(self.after_us))
    }

    /// Sorts rows into their values' lists.
    fn hold(&mut self, delta: &Delta, before: Watermark, are_saved: bool) -> Result<(), ExecError> {
        let values = to_integers(delta.column(self.column));
        let mut by_value: BTreeMap<Option<i64>, Vec<u32>> = BTreeMap::new();
        for row in 0..delta.num_rows() {
            let value = values.is_valid(row).then(|| values.value(row));
            if value.is_none_or(|v| !self.is_reached(before, v)) {
                by_value.entry(value).or_default().push(row as u32);
            }
        }
        for (value, rows) in by_value {
            let part = if rows.len() == delta.num_rows() {
                delta.clone()
            } else {
                delta.take(&UInt32Array::from(rows))?
            };
            let held = self.held.entry(value).or_default();
            if are_saved {
                held.saved.push(part);
                continue;
            }
            held.unsaved_row_count += part.num_rows();
            held.unsaved.push(part);
            if held.unsaved_row_count > CONSOLIDATE_ROWS + 2 * held.consolidated_row_count {
                held.consolidate(&self.schema)?;
            }
        }
        Ok(())
    }

    fn to_state(&self, delta: &Delta) -> Result<RecordBatch, ExecError> {
        let mut fields: Vec<Field> = self.schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        for (at, field) in fields.iter_mut().enumerate() {
            field.set_name(format!("c{at}"));
        }
        fields.push(Field::new("weight", DataType::Int64, true));
        let mut columns = delta.batch().columns().to_vec();
        columns.push(Arc::new(Int64Array::from_iter_values(
            (0..delta.num_rows()).map(|row| delta.weight(row)),
        )));
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

impl Held {
    fn consolidate(&mut self, schema: &SchemaRef) -> Result<(), ExecError> {
        let sum = Delta::concat(schema, &self.unsaved)?.consolidate()?;
        self.unsaved_row_count = sum.num_rows();
        self.consolidated_row_count = sum.num_rows();
        self.unsaved = if sum.is_empty() { Vec::new() } else { vec![sum] };
        Ok(())
    }

    fn sum(&self, schema: &SchemaRef) -> Result<Delta, ExecError> {
        let all: Vec<Delta> = self.saved.iter().chain(&self.unsaved).cloned().collect();
        Ok(Delta::concat(schema, &all)?.consolidate()?)
    }
}

impl Operator for HoldUntilOp {
    fn distribution(&self, _input: InputIndex) -> Distribution {
        // A row and its retraction must meet: all that carry one value do.
        Distribution::Keys(vec![self.column])
    }

    fn update(&mut self, tick: &Tick, _input: InputIndex, delta: &Delta, _out: &mut Output) -> Result<(), ExecError> {
        let before = self.mark(|source| tick.before(source));
        self.hold(delta, before, false)
    }

    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError> {
        let after = self.mark(|source| tick.after(source));
        if after == Watermark::NONE {
            return Ok(Step::Done);
        }
        // What has been reached before this epoch was shipped before, and is only here because it was loaded.
        let before = self.mark(|source| tick.before(source));
        let last = after.0.saturating_sub(self.after_us);
        while let Some((value, _)) = self.held.range(Some(i64::MIN)..=Some(last)).next() {
            let value = *value;
            let Some(held) = self.held.remove(&value) else { break };
            if value.is_none_or(|v| !self.is_reached(before, v)) {
                let sum = held.sum(&self.schema)?;
                for start in (0..sum.num_rows()).step_by(Output::BATCH_ROWS) {
                    out.ship(sum.slice(start, Output::BATCH_ROWS.min(sum.num_rows() - start)));
                }
            }
            self.left.extend(held.saved);
        }
        Ok(Step::Done)
    }

    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        for delta in std::mem::take(&mut self.left) {
            state.write(PART, self.to_state(&delta.negate())?);
        }
        let mut written = Vec::new();
        for held in self.held.values_mut() {
            held.consolidate(&self.schema)?;
            let deltas = std::mem::take(&mut held.unsaved);
            (held.unsaved_row_count, held.consolidated_row_count) = (0, 0);
            written.extend(deltas.iter().cloned());
            held.saved.extend(deltas);
            if held.saved.len() > 1 {
                let sum = Delta::concat(&self.schema, &held.saved)?.consolidate()?;
                held.saved = if sum.is_empty() { Vec::new() } else { vec![sum] };
            }
        }
        self.held.retain(|_, held| !held.saved.is_empty());
        for delta in written {
            state.write(PART, self.to_state(&delta)?);
        }
        Ok(())
    }

    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        let mut all = Vec::new();
        for batch in state.read(PART) {
            let last = batch.num_columns() - 1;
            let weights = batch.column(last).as_primitive::<Int64Type>().clone();
            let columns = batch.columns()[..last].to_vec();
            let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
            all.push(Delta::try_new(rows, Some(weights))?);
        }
        if all.is_empty() {
            return Ok(());
        }
        let sum = Delta::concat(&self.schema, &all)?.consolidate()?;
        self.hold(&sum, Watermark::NONE, true)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::DFSchema;

    use super::*;
    use crate::testing::{check_forgetful_op, check_op, schema};

    fn make(input: &SchemaRef, after_us: i64) -> impl Fn(&super::super::OpContext) -> Box<dyn Operator> {
        let schema = Arc::new(DFSchema::try_from(input.as_ref().clone()).expect("distinct names"));
        move |_| {
            let inputs = [Arc::clone(&schema)];
            Box::new(HoldUntilOp::try_new(1, after_us, &[RelationId(5)], &inputs, &schema).expect("it can be built"))
        }
    }

    fn input() -> SchemaRef {
        schema(&[
            ("v", DataType::Int64),
            ("w", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ])
    }

    #[test]
    fn rows_appear_once_when_the_watermark_reaches_them() {
        check_forgetful_op(
            make(&input(), 0),
            &[input()],
            "1 in +1 1 10, +2 2 20, +1 3 null
             2 in -1 2 20, +1 4 10                               wm 5:9
             3 in +1 5 10              out +1 1 10, +1 4 10, +1 5 10    wm 5:10
             4 in +1 6 10, -1 1 10
             5 in +1 7 30, -1 7 30     out +1 2 20               wm 5:30",
        );
    }

    #[test]
    fn rows_that_go_before_their_time_are_never_seen() {
        check_op(make(&input(), 0), &[input()], "1 in +1 1 10, +1 2 20\n 2 in -1 1 10");
    }

    #[test]
    fn rows_appear_a_fixed_time_before_or_after_their_value() {
        let script = |shift: i64| {
            let [first, second] = [10 + shift, 11 + shift];
            format!(
                "1 in +1 1 {first}, +1 2 {second}     wm 5:9
                 2 in +1 3 {first}    out +1 1 {first}, +1 3 {first}    wm 5:10
                 3 in +1 4 {first}    out +1 2 {second}    wm 5:11"
            )
        };
        check_forgetful_op(make(&input(), -30), &[input()], &script(30));
        check_forgetful_op(make(&input(), 7), &[input()], &script(-7));
    }
}
