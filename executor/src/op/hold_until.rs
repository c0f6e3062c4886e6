//! [`HoldUntilOp`]: holds rows back until the watermark has reached the value of a column (the end of their window), or
//! a time a fixed length before or after it, then ships them, once. What comes for a value that has been reached before
//! the epoch is ignored: what was shipped never changes. A row with NULL in the column is held for ever.
//!
//! State: the rows that are held, by value ([`Waiting`]). Bounded by the rows between the watermark and the greatest
//! value.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::DFSchemaRef;
use highwater_types::{Delta, RelationId, Tick, Watermark};

use super::expression::nullable;
use super::keys::to_integers;
use super::waiting::{Wait, Waiting};
use super::{Distribution, InputIndex, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// Holds rows back.
#[derive(Debug)]
pub struct HoldUntilOp {
    column: usize,
    after_us: i64,
    sources: Vec<RelationId>,
    held: Waiting,
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
            held: Waiting::new("held", nullable(inputs[0].as_arrow()), &[column]),
        })
    }

    fn mark(&self, of: impl Fn(RelationId) -> Watermark) -> Watermark {
        let marks = self.sources.iter().map(|s| of(*s));
        marks.min().unwrap_or(Watermark::NONE)
    }
}

/// How long rows wait that came when the watermark stood here.
fn waits(rows: &Delta, column: usize, after_us: i64, before: Watermark) -> Vec<Wait> {
    let values = to_integers(rows.column(column));
    let wait = |value: Option<i64>| match value {
        None => Wait::Forever,
        Some(value) if is_reached(before, value, after_us) => Wait::No,
        Some(value) => Wait::Until(value),
    };
    values.iter().map(wait).collect()
}

/// Whether rows with this value may appear, or may have.
fn is_reached(mark: Watermark, value: i64, after_us: i64) -> bool {
    mark.reached(value.saturating_add(after_us))
}

impl Operator for HoldUntilOp {
    fn distribution(&self, _input: InputIndex) -> Distribution {
        // A row and its retraction must meet: all that carry one value do.
        Distribution::Keys(vec![self.column])
    }

    fn update(&mut self, tick: &Tick, _input: InputIndex, delta: &Delta, _out: &mut Output) -> Result<(), ExecError> {
        let before = self.mark(|source| tick.before(source));
        self.held.add(delta, &waits(delta, self.column, self.after_us, before))
    }

    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError> {
        let after = self.mark(|source| tick.after(source));
        if after == Watermark::NONE {
            return Ok(Step::Done);
        }
        let before = self.mark(|source| tick.before(source));
        while let Some((value, sum)) = self.held.take(after.0.saturating_sub(self.after_us))? {
            // What has been reached before this epoch was shipped before, and is only here because it was loaded.
            if !is_reached(before, value, self.after_us) {
                for start in (0..sum.num_rows()).step_by(Output::BATCH_ROWS) {
                    out.ship(sum.slice(start, Output::BATCH_ROWS.min(sum.num_rows() - start)));
                }
            }
        }
        Ok(Step::Done)
    }

    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        self.held.save(state)
    }

    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        let (column, after_us) = (self.column, self.after_us);
        self.held
            .load(state, |rows| waits(rows, column, after_us, Watermark::NONE))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::SchemaRef;
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
