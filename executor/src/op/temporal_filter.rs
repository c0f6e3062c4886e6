//! [`TemporalFilterOp`]: keeps a row while the clock is between two times of its own: `WHERE ts > now() - INTERVAL '1 day'`.
//! Rows come and go by themselves as epochs pass; the clock is the epoch's time, the same for all its rows.
//!
//! State: rows whose time has not begun, and rows that will go, each by its time ([`Waiting`]). What has gone is forgotten.

use arrow::array::{Array, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::DFSchemaRef;
use highwater_planner::stream::plan;
use highwater_planner::stream::plan::Limit;
use highwater_types::{Delta, Tick};

use super::expression::nullable;
use super::keys::to_integers;
use super::waiting::{Wait, Waiting};
use super::{Distribution, InputIndex, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// Keeps rows while the clock is between two times of theirs.
#[derive(Debug)]
pub struct TemporalFilterOp {
    node: plan::TemporalFilter,
    coming: Waiting,
    leaving: Waiting,
}

/// When a row is there: from the first time on, and until the second.
type Span = (i64, i64);

/// Never.
const NEVER: Span = (i64::MAX, i64::MIN);

impl TemporalFilterOp {
    /// For this node over its input.
    ///
    /// # Errors
    /// When a column that the clock is compared with is no timestamp.
    pub fn try_new(node: &plan::TemporalFilter, inputs: &[DFSchemaRef]) -> Result<TemporalFilterOp, ExecError> {
        for bound in &node.bounds {
            let data_type = inputs[0].field(bound.column).data_type();
            if !matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) {
                return Err(ExecError::Unsupported {
                    operator: "TemporalFilter",
                    construct: format!("a column of type {data_type}"),
                });
            }
        }
        let schema = nullable(inputs[0].as_arrow());
        Ok(TemporalFilterOp {
            node: node.clone(),
            coming: Waiting::new("coming", schema.clone(), &key_of(node)),
            leaving: Waiting::new("leaving", schema, &key_of(node)),
        })
    }

    /// Ships the rows that are there now, and has those that will go wait for it.
    fn show(&mut self, rows: &Delta, spans: &[Span], now: i64, out: &mut Output) -> Result<(), ExecError> {
        let is_there = |(from, until): &Span| *from <= now && now < *until;
        let there: BooleanArray = spans.iter().map(|span| Some(is_there(span))).collect();
        match there.true_count() {
            0 => return Ok(()),
            count if count == rows.num_rows() => out.ship(rows.clone()),
            _ => out.ship(rows.filter(&there)?),
        }
        let wait = |span: &Span| match span.1 {
            i64::MAX => Wait::No,
            until if is_there(span) => Wait::Until(until),
            _ => Wait::No,
        };
        self.leaving.add(rows, &spans.iter().map(wait).collect::<Vec<_>>())
    }
}

/// The columns that rows are spread by, so that a row and its retraction meet: that of one bound.
fn key_of(node: &plan::TemporalFilter) -> Vec<usize> {
    node.bounds.iter().take(1).map(|bound| bound.column).collect()
}

/// When the rows of a delta are there.
fn spans(node: &plan::TemporalFilter, rows: &Delta) -> Vec<Span> {
    let mut spans = vec![(i64::MIN, i64::MAX); rows.num_rows()];
    for bound in &node.bounds {
        let times: Int64Array = to_integers(rows.column(bound.column));
        for (row, span) in spans.iter_mut().enumerate() {
            if times.is_null(row) {
                *span = NEVER;
                continue;
            }
            let time = times.value(row).saturating_add(bound.after_us);
            match bound.limit {
                Limit::Begin => span.0 = span.0.max(time),
                Limit::End => span.1 = span.1.min(time),
            }
        }
    }
    spans
}

impl Operator for TemporalFilterOp {
    fn distribution(&self, _input: InputIndex) -> Distribution {
        Distribution::Keys(key_of(&self.node))
    }

    fn update(&mut self, tick: &Tick, _input: InputIndex, delta: &Delta, out: &mut Output) -> Result<(), ExecError> {
        let now = tick.wall_us;
        let spans = spans(&self.node, delta);
        let wait = |(from, until): &Span| match *from > now && from < until {
            true => Wait::Until(*from),
            false => Wait::No,
        };
        self.coming.add(delta, &spans.iter().map(wait).collect::<Vec<_>>())?;
        self.show(delta, &spans, now, out)
    }

    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError> {
        let now = tick.wall_us;
        while let Some((_, rows)) = self.coming.take(now)? {
            let spans = spans(&self.node, &rows);
            self.show(&rows, &spans, now, out)?;
        }
        while let Some((_, rows)) = self.leaving.take(now)? {
            out.ship(rows.negate());
        }
        Ok(Step::Done)
    }

    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        self.coming.save(state)?;
        self.leaving.save(state)
    }

    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        let node = &self.node;
        let until = |pick: fn(&Span) -> i64| {
            move |rows: &Delta| spans(node, rows).iter().map(|span| Wait::Until(pick(span))).collect()
        };
        self.coming.load(state, until(|span| span.0))?;
        self.leaving.load(state, until(|span| span.1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::SchemaRef;
    use datafusion::common::DFSchema;
    use highwater_planner::stream::plan::TimeBound;

    use super::*;
    use crate::op::OpContext;
    use crate::testing::{check_op, schema};

    const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

    fn input() -> SchemaRef {
        schema(&[("v", DataType::Int64), ("from", TIME), ("until", TIME)])
    }

    /// The clock of epoch n stands at n milliseconds.
    fn make(bounds: &[(usize, Limit, i64)]) -> impl Fn(&OpContext) -> Box<dyn Operator> {
        let node = plan::TemporalFilter {
            bounds: bounds
                .iter()
                .map(|(column, limit, after_us)| TimeBound {
                    column: *column,
                    limit: *limit,
                    after_us: *after_us,
                })
                .collect(),
        };
        let inputs = [Arc::new(
            DFSchema::try_from(input().as_ref().clone()).expect("distinct names"),
        )];
        move |_| Box::new(TemporalFilterOp::try_new(&node, &inputs).expect("it can be built"))
    }

    #[test]
    fn rows_leave_when_their_time_is_over() {
        check_op(
            make(&[(2, Limit::End, 0)]),
            &[input()],
            "1 in +1 1 0 2000, +2 2 0 3000, +1 3 0 1000, +1 4 0 null     out +1 1 0 2000, +2 2 0 3000
             2                                           out -1 1 0 2000
             3 in +1 5 0 3000, +1 6 0 9000               out -2 2 0 3000, +1 6 0 9000
             4 in -1 6 0 9000                            out -1 6 0 9000",
        );
    }

    #[test]
    fn rows_come_when_their_time_begins() {
        check_op(
            make(&[(1, Limit::Begin, 500), (2, Limit::End, 0)]),
            &[input()],
            "1 in +1 1 1500 3000, +1 2 1500 9000, +1 3 5000 4000, +1 4 500 1500    out +1 4 500 1500
             2 in -1 2 1500 9000                         out +1 1 1500 3000, -1 4 500 1500
             3 in +1 5 2500 9000                         out -1 1 1500 3000, +1 5 2500 9000",
        );
    }

    #[test]
    fn a_row_that_goes_before_its_time_is_never_seen() {
        check_op(
            make(&[(1, Limit::Begin, 0)]),
            &[input()],
            "1 in +1 1 3000 0
             2 in -1 1 3000 0
             3 in +1 2 3000 0      out +1 2 3000 0",
        );
    }
}
