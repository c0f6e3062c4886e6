//! [`FusedOp`]: filters, projections, window assignment and the unnesting of lists, one after the other on whole
//! batches. It keeps no state and waits for nothing: what comes in goes out in the same call. An append-only input
//! stays without weights, but where rows that fall into the same windows are made one ([`combine`]).
//!
//! Cost: the expressions' own, on whole columns; a column that is passed on is not copied. A row on which a step
//! fails becomes a fault and takes no part in the steps after it.

mod combine;
mod unnest;
mod window;

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchemaRef;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use highwater_planner::stream::plan;
use highwater_types::{Delta, Tick};

use self::combine::Combine;
use self::unnest::Unnest;
use self::window::Window;
use super::expression::{compile, evaluate_condition, nullable, run_guarded};
use super::{Distribution, InputIndex, OpContext, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// Stateless steps on one input.
#[derive(Debug)]
pub struct FusedOp {
    stages: Vec<Stage>,
}

#[derive(Debug)]
enum Stage {
    Filter(Arc<dyn PhysicalExpr>),
    Project(Vec<Arc<dyn PhysicalExpr>>, SchemaRef),
    Combine(Combine),
    Window(Window),
    Unnest(Unnest),
}

impl FusedOp {
    /// For these steps over the one input.
    ///
    /// # Errors
    /// When an expression does not fit the columns it is over.
    pub fn try_new(
        steps: &[plan::Step],
        inputs: &[DFSchemaRef],
        _output: &DFSchemaRef,
        context: &OpContext,
    ) -> Result<FusedOp, ExecError> {
        let mut schema = Arc::clone(&inputs[0]);
        let mut stages = Vec::with_capacity(steps.len());
        for (at, step) in steps.iter().enumerate() {
            match step {
                plan::Step::Filter(condition) => stages.push(Stage::Filter(compile(condition, &schema, context)?)),
                plan::Step::Project(exprs, to) => {
                    let compiled: Result<_, _> = exprs.iter().map(|e| compile(e, &schema, context)).collect();
                    stages.push(Stage::Project(compiled?, nullable(to.as_arrow())));
                    schema = Arc::clone(to);
                }
                plan::Step::Window(assign) => {
                    if reads_all_but(steps.get(at + 1), assign.time_column, &schema) {
                        stages.extend(Combine::try_new(assign, &schema)?.map(Stage::Combine));
                    }
                    let (window, to) = Window::try_new(assign, &schema)?;
                    stages.push(Stage::Window(window));
                    schema = to;
                }
                plan::Step::Unnest(lists, to) => {
                    stages.push(Stage::Unnest(Unnest {
                        lists: lists.clone(),
                        schema: nullable(to.as_arrow()),
                    }));
                    schema = Arc::clone(to);
                }
            }
        }
        Ok(FusedOp { stages })
    }
}

impl Operator for FusedOp {
    fn distribution(&self, _input: InputIndex) -> Distribution {
        Distribution::Any
    }

    fn update(&mut self, _tick: &Tick, _input: InputIndex, delta: &Delta, out: &mut Output) -> Result<(), ExecError> {
        let mut deltas = vec![delta.clone()];
        for stage in &mut self.stages {
            let mut next = Vec::with_capacity(deltas.len());
            for delta in deltas {
                next.extend(run_guarded(&delta, out, &mut |d| stage.run(d))?);
            }
            deltas = next;
        }
        deltas.into_iter().for_each(|d| out.ship(d));
        Ok(())
    }

    fn close(&mut self, _tick: &Tick, _out: &mut Output) -> Result<Step, ExecError> {
        Ok(Step::Done)
    }

    fn save(&mut self, _state: &mut StateWriter) -> Result<(), ExecError> {
        Ok(())
    }

    fn load(&mut self, _state: &mut StateReader) -> Result<(), ExecError> {
        Ok(())
    }
}

impl Stage {
    fn run(&mut self, delta: &Delta) -> Result<Vec<Delta>, ExecError> {
        match self {
            Stage::Combine(combine) => Ok(vec![combine.run(delta)?]),
            Stage::Filter(condition) => {
                let keep = evaluate_condition(condition, delta.batch())?;
                Ok(match keep.true_count() {
                    0 => Vec::new(),
                    all if all == delta.num_rows() => vec![delta.clone()],
                    _ => vec![delta.filter(&keep)?],
                })
            }
            Stage::Project(exprs, schema) => {
                let rows = delta.num_rows();
                let columns = exprs
                    .iter()
                    .map(|e| e.evaluate(delta.batch())?.into_array(rows))
                    .collect::<Result<_, _>>()?;
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
                Ok(vec![delta.with_batch(batch)?])
            }
            Stage::Window(window) => window.run(delta),
            Stage::Unnest(unnest) => Ok(vec![unnest.run(delta)?]),
        }
    }
}

/// Whether the step after a window reads all columns of the window's input but the time.
fn reads_all_but(step: Option<&plan::Step>, time_column: usize, schema: &DFSchemaRef) -> bool {
    let Some(plan::Step::Project(exprs, _)) = step else {
        return false;
    };
    let read: HashSet<&str> = exprs
        .iter()
        .flat_map(Expr::column_refs)
        .map(|c| c.name.as_str())
        .collect();
    let is_read = |at: usize| read.contains(schema.field(at).name().as_str());
    (0..schema.fields().len()).all(|at| is_read(at) != (at == time_column))
}

#[cfg(test)]
mod tests;
