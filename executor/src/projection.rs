//! [`Projection`]: row-by-row expressions over record batches, outside any dataflow. Sources compute their
//! generated columns and watermarks with it, on the connector's thread.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::DFSchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};

use crate::ExecError;

/// A plan that scans one table and computes columns from each row, compiled.
#[derive(Debug)]
pub struct Projection {
    stages: Vec<Stage>,
}

#[derive(Debug)]
enum Stage {
    Pick(Vec<usize>),
    Compute {
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        output: SchemaRef,
    },
}

impl Projection {
    /// Compiles a plan of projections over one scan.
    ///
    /// # Errors
    /// When the plan holds any other node.
    pub fn try_new(plan: &LogicalPlan) -> Result<Projection, ExecError> {
        let mut stages = Vec::new();
        collect(plan, &mut stages)?;
        Ok(Projection { stages })
    }

    /// The computed columns, a row for a row.
    ///
    /// # Errors
    /// When an expression fails on any row.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<RecordBatch, ExecError> {
        let mut current = batch.clone();
        for stage in &self.stages {
            current = match stage {
                Stage::Pick(columns) => current.project(columns)?,
                Stage::Compute { expressions, output } => {
                    let rows = current.num_rows();
                    let columns = expressions
                        .iter()
                        .map(|e| e.evaluate(&current)?.into_array(rows))
                        .collect::<Result<Vec<_>, _>>()?;
                    RecordBatch::try_new(Arc::clone(output), columns)?
                }
            };
        }
        Ok(current)
    }
}

fn collect(plan: &LogicalPlan, stages: &mut Vec<Stage>) -> Result<(), ExecError> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            if let Some(columns) = &scan.projection {
                stages.push(Stage::Pick(columns.clone()));
            }
            Ok(())
        }
        LogicalPlan::SubqueryAlias(alias) => collect(&alias.input, stages),
        LogicalPlan::Projection(projection) => {
            collect(&projection.input, stages)?;
            stages.push(compute(
                &projection.expr,
                projection.input.schema(),
                &projection.schema,
            )?);
            Ok(())
        }
        other => {
            let message = format!("{} is not a projection of one table", other.display());
            Err(DataFusionError::Plan(message).into())
        }
    }
}

fn compute(expressions: &[Expr], input: &DFSchemaRef, output: &DFSchemaRef) -> Result<Stage, ExecError> {
    let (props, planning) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let expressions = expressions
        .iter()
        .map(|e| create_physical_expr(e, input, &props, &planning))
        .collect::<Result<Vec<_>, _>>()?;
    // Whether a value may be NULL is the table's business, checked where rows are taken in.
    let fields: Vec<_> = output
        .fields()
        .iter()
        .map(|f| f.as_ref().clone().with_nullable(true))
        .collect();
    Ok(Stage::Compute {
        expressions,
        output: Arc::new(Schema::new(fields)),
    })
}
