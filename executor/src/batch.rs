//! Snapshot queries: a logical plan, answered once by DataFusion over relations as of one epoch.
//!
//! Plans name what they scan by [`ScanTarget`]; [`Snapshot`] says what rows that is. So one plan can be kept and
//! run at any epoch.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use highwater_planner::{RelationSource, ScanTarget};
use highwater_types::{Delta, Epoch, SqlError};

use crate::{Collection, ExecError, sql_error};

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
    let physical = state
        .query_planner()
        .create_physical_plan(&bound, state)
        .await
        .map_err(|error| sql_error(&error))?;
    execute_stream(physical, state.task_ctx()).map_err(|error| sql_error(&error))
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

/// A collection at an epoch, with changes that only the reading transaction sees.
#[derive(Debug)]
pub struct CollectionProvider {
    collection: Arc<Collection>,
    epoch: Epoch,
    changes: Option<Delta>,
}

impl CollectionProvider {
    /// The rows as of `epoch`, with `changes` applied.
    pub fn new(collection: Arc<Collection>, epoch: Epoch, changes: Option<Delta>) -> CollectionProvider {
        CollectionProvider {
            collection,
            epoch,
            changes,
        }
    }

    fn batches(&self, projection: Option<&Vec<usize>>) -> Result<Vec<RecordBatch>, SqlError> {
        let Some(changes) = &self.changes else {
            return self.collection.scan(self.epoch, projection.map(Vec::as_slice));
        };
        let mut deltas: Vec<Delta> = self
            .collection
            .scan(self.epoch, None)?
            .into_iter()
            .map(Delta::insert)
            .collect();
        deltas.push(changes.clone());
        let schema = deltas[0].schema();
        let sum = Delta::concat(&schema, &deltas)
            .and_then(|delta| delta.consolidate())
            .map_err(ExecError::from)?;
        let rows = additions(&sum)?;
        let picked = match projection {
            Some(columns) => rows.project(columns).map_err(ExecError::from)?,
            None => rows,
        };
        Ok(vec![picked])
    }
}

#[async_trait]
impl TableProvider for CollectionProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.collection.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let batches = self
            .batches(projection)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let schema = match projection {
            Some(columns) => Arc::new(self.schema().project(columns)?),
            None => self.schema(),
        };
        let batches: Vec<RecordBatch> = batches
            .into_iter()
            .map(|batch| batch.with_schema(Arc::clone(&schema)))
            .collect::<Result<_, _>>()?;
        Ok(MemorySourceConfig::try_new_exec(&[batches], schema, None)?)
    }
}

/// The rows that are there, each as often as its weight says.
fn additions(sum: &Delta) -> Result<RecordBatch, SqlError> {
    let rows = (0..sum.num_rows()).flat_map(|row| {
        let times = usize::try_from(sum.weight(row)).unwrap_or_default();
        std::iter::repeat_n(row as u32, times)
    });
    let rows = UInt32Array::from_iter_values(rows);
    take_record_batch(sum.batch(), &rows).map_err(|error| ExecError::from(error).into())
}
