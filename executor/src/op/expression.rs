//! Expressions on whole batches, with errors as data: when an expression fails on a batch, the rows it fails on
//! are found by halving, become [`Fault`]s with the rows' weights, and the other rows go on.
//!
//! Cost: one evaluation a batch; for `f` failing rows of `n`, `O(f log n)` evaluations more. No state.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use highwater_types::{Delta, Fault, SqlError};

use super::{OpContext, Output};
use crate::ExecError;

/// Makes an expression ready to be evaluated on batches of `schema`.
///
/// # Errors
/// When it does not fit the schema.
pub(super) fn compile(
    expr: &Expr,
    schema: &DFSchema,
    context: &OpContext,
) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let mut props = context.session.execution_props().clone();
    props.config_options = Some(Arc::clone(context.session.config_options()));
    create_physical_expr(expr, schema, &props, &PhysicalPlanningContext::default())
}

/// The schema with every column nullable: what the executor's batches carry. A planner's promise that a column
/// has no NULL is of no use here, and would make a batch of an outer join invalid.
pub(crate) fn nullable(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|f| f.as_ref().clone().with_nullable(true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Where a condition is true: NULL is false.
pub(crate) fn evaluate_condition(
    condition: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
) -> Result<BooleanArray, DataFusionError> {
    let value = condition.evaluate(batch)?.into_array(batch.num_rows())?;
    if value.data_type() == &DataType::Null {
        return Ok(BooleanArray::from(vec![false; batch.num_rows()]));
    }
    let mask = value.as_boolean_opt().ok_or_else(|| {
        DataFusionError::Internal(format!(
            "a condition must be boolean, and {condition} is {}",
            value.data_type()
        ))
    })?;
    Ok(match mask.nulls() {
        None => mask.clone(),
        Some(_) => prep_null_mask_filter(mask),
    })
}

/// Runs `step` on a delta. Where it fails, ships a fault for each failing row and answers for the rest.
pub(super) fn run_guarded(
    delta: &Delta,
    out: &mut Output,
    step: &mut dyn FnMut(&Delta) -> Result<Vec<Delta>, ExecError>,
) -> Result<Vec<Delta>, ExecError> {
    if delta.is_empty() {
        return Ok(Vec::new());
    }
    match step(delta) {
        Ok(done) => Ok(done),
        Err(error) => {
            let mut good = Vec::new();
            split_and_run(delta, error, out, step, &mut good)?;
            let Some(first) = good.first() else {
                return Ok(good);
            };
            let schema = first.schema();
            Ok(vec![Delta::concat(&schema, &good)?])
        }
    }
}

fn split_and_run(
    delta: &Delta,
    error: ExecError,
    out: &mut Output,
    step: &mut dyn FnMut(&Delta) -> Result<Vec<Delta>, ExecError>,
    good: &mut Vec<Delta>,
) -> Result<(), ExecError> {
    if delta.num_rows() == 1 {
        out.fault(to_fault(error), delta.weight(0));
        return Ok(());
    }
    let middle = delta.num_rows() / 2;
    for half in [delta.slice(0, middle), delta.slice(middle, delta.num_rows() - middle)] {
        match step(&half) {
            Ok(done) => good.extend(done),
            Err(error) => split_and_run(&half, error, out, step, good)?,
        }
    }
    Ok(())
}

/// Where a condition is true, for rows with these weights. Where it fails, ships a fault, and it is not true.
pub(super) fn evaluate_guarded(
    condition: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
    weights: &[i64],
    out: &mut Output,
) -> Result<BooleanArray, ExecError> {
    if batch.num_rows() == 0 {
        return Ok(BooleanArray::from(Vec::<bool>::new()));
    }
    let error = match evaluate_condition(condition, batch) {
        Ok(mask) => return Ok(mask),
        Err(error) => error,
    };
    if batch.num_rows() == 1 {
        out.fault(to_fault(error.into()), weights[0]);
        return Ok(BooleanArray::from(vec![false]));
    }
    let middle = batch.num_rows() / 2;
    let rest = batch.num_rows() - middle;
    let low = evaluate_guarded(condition, &batch.slice(0, middle), &weights[..middle], out)?;
    let high = evaluate_guarded(condition, &batch.slice(middle, rest), &weights[middle..], out)?;
    Ok(low.iter().chain(high.iter()).collect())
}

/// What a reader is told about a row on which `error` happened.
pub(super) fn to_fault(error: ExecError) -> Fault {
    Fault::from(SqlError::from(error))
}
