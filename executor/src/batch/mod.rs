//! Snapshot queries: a logical plan, answered once by DataFusion over relations as of one epoch.
//!
//! Plans name what they scan by [`ScanTarget`]; [`Snapshot`] says what rows that is. So one plan can be kept and
//! run at any epoch.

mod direct;
mod long;
mod provider;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::ParamValues;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use highwater_planner::{RelationSource, ScanTarget};
use highwater_types::SqlError;

pub use self::direct::DirectPlan;
use self::long::Interrupt;
pub use self::provider::CollectionProvider;
use self::window::ExtensionNodes;
use crate::sql_error;

/// What one statement sees of each relation.
pub trait Snapshot: Send + Sync {
    /// The rows that a scan reads.
    ///
    /// # Errors
    /// When there are none to be had: the relation is not stored, or was dropped.
    fn table(&self, target: &ScanTarget) -> Result<Arc<dyn TableProvider>, SqlError>;
}

/// Runs a plan that has been analysed and optimised. Nothing is computed before the stream is polled; dropping it
/// stops the query.
///
/// # Errors
/// When a relation cannot be read, or the plan cannot be executed.
pub async fn run(
    plan: &LogicalPlan,
    params: Option<ParamValues>,
    snapshot: &dyn Snapshot,
    state: &SessionState,
) -> Result<SendableRecordBatchStream, SqlError> {
    let given = match params {
        None => plan.clone(),
        Some(values) => plan
            .clone()
            .replace_params_with_values(&values)
            .map_err(|error| sql_error(&error))?,
    };
    let bound = given
        .transform_up_with_subqueries(|node| bind_scan(node, snapshot))
        .map_err(|error| sql_error(&error))?
        .data;
    let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(ExtensionNodes)]);
    let physical = planner
        .create_physical_plan(&bound, state)
        .await
        .map_err(|error| sql_error(&error))?;
    if !long::is_long(&physical) {
        return execute_stream(physical, state.task_ctx()).map_err(|error| sql_error(&error));
    }
    let interrupt = Interrupt::default();
    long::interruptible(physical, &interrupt)
        .and_then(|plan| execute_stream(plan, state.task_ctx()))
        .map(|stream| long::apart(stream, interrupt))
        .map_err(|error| sql_error(&error))
}

/// Puts the rows of the snapshot under a scan.
fn bind_scan(node: LogicalPlan, snapshot: &dyn Snapshot) -> Result<Transformed<LogicalPlan>, DataFusionError> {
    let LogicalPlan::TableScan(mut scan) = node else {
        return Ok(Transformed::no(node));
    };
    let Some(source) = RelationSource::of(&scan.source) else {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    };
    let provider = snapshot
        .table(&source.target)
        .map_err(|error| DataFusionError::External(Box::new(error)))?;
    scan.source = provider_as_source(provider);
    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
}
