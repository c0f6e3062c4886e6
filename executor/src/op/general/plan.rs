//! [`PartitionPlan`]: the batch plan of a general operator, ready to be run again and again over other rows. A recursion
//! that does not end is stopped.
//!
//! DataFusion is asynchronous, and a worker thread is not: each plan has a runtime of its own that runs on the thread
//! that asks.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::{ExecutionPlan, collect, execute_stream};
use futures::StreamExt;
use highwater_planner::stream::plan::General;
use highwater_types::{SqlError, SqlState};
use tokio::runtime::{Builder, Runtime};

use crate::ExecError;
use crate::op::OpContext;

/// A recursion's answer may have so many batches: at least one comes of each round.
const BATCHES_MAX: usize = 10_000;

/// A batch plan over tables of rows that are given when it runs.
#[derive(Debug)]
pub(super) struct PartitionPlan {
    plan: LogicalPlan,
    inputs: Vec<Arc<InputTable>>,
    /// Whether it may go on for ever.
    is_recursive: bool,
    session: SessionState,
    runtime: Runtime,
    output: SchemaRef,
}

/// The table that stands for an input of the operator.
#[derive(Debug)]
struct InputTable {
    schema: SchemaRef,
    rows: Mutex<Vec<RecordBatch>>,
}

impl PartitionPlan {
    /// For this plan, whose answer has the columns of `output`.
    ///
    /// # Errors
    /// When the plan cannot be optimised.
    pub(super) fn try_new(
        plan: &LogicalPlan,
        inputs: &[SchemaRef],
        output: SchemaRef,
        context: &OpContext,
    ) -> Result<PartitionPlan, ExecError> {
        let mut session = context.session.as_ref().clone();
        session.config_mut().options_mut().execution.target_partitions = 1;
        let (mut tables, mut sources) = (Vec::new(), HashMap::new());
        for (at, schema) in inputs.iter().enumerate() {
            let name = General::input_name(at);
            let table = Arc::new(InputTable {
                schema: scanned_schema(plan, &name)?.unwrap_or_else(|| Arc::clone(schema)),
                rows: Mutex::new(Vec::new()),
            });
            sources.insert(name, provider_as_source(Arc::<InputTable>::clone(&table)));
            tables.push(table);
        }
        let plan = plan.clone().transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(mut scan) => Ok(match sources.get(scan.table_name.table()) {
                Some(source) => {
                    scan.source = Arc::clone(source);
                    Transformed::yes(LogicalPlan::TableScan(scan))
                }
                None => Transformed::no(LogicalPlan::TableScan(scan)),
            }),
            other => Ok(Transformed::no(other)),
        })?;
        let is_recursive = plan
            .data
            .exists(|node| Ok(matches!(node, LogicalPlan::RecursiveQuery(_))))?;
        let plan = session.optimizer().optimize(plan.data, &session, |_, _| {})?;
        let runtime = Builder::new_current_thread()
            .build()
            .map_err(|error| DataFusionError::Internal(format!("no runtime for the general operator: {error}")))?;
        Ok(PartitionPlan {
            plan,
            inputs: tables,
            is_recursive,
            session,
            runtime,
            output,
        })
    }

    /// The answer over these rows, those of each input.
    ///
    /// # Errors
    /// When the plan fails, on account of some row or otherwise.
    pub(super) fn run(&self, rows: &[RecordBatch]) -> Result<Vec<RecordBatch>, ExecError> {
        for (input, rows) in self.inputs.iter().zip(rows) {
            let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
            let schema = Arc::clone(&input.schema);
            let rows = RecordBatch::try_new_with_options(schema, rows.columns().to_vec(), &options)?;
            *input.rows.lock().unwrap_or_else(PoisonError::into_inner) = vec![rows];
        }
        let batches = self.runtime.block_on(async {
            let planner = self.session.query_planner();
            let plan = planner.create_physical_plan(&self.plan, &self.session).await?;
            match self.is_recursive {
                true => collect_some(plan, self.session.task_ctx()).await,
                false => collect(plan, self.session.task_ctx()).await,
            }
        });
        for input in &self.inputs {
            input.rows.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let to_output = |batch: RecordBatch| -> Result<RecordBatch, ExecError> {
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let columns = batch.columns().to_vec();
            Ok(RecordBatch::try_new_with_options(
                Arc::clone(&self.output),
                columns,
                &options,
            )?)
        };
        batches?.into_iter().map(to_output).collect()
    }
}

/// The answer of a plan that may have no end.
async fn collect_some(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<Vec<RecordBatch>, DataFusionError> {
    let mut rows = execute_stream(plan, context)?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().await {
        batches.push(batch?);
        if batches.len() > BATCHES_MAX {
            let error = SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("WITH RECURSIVE goes on for more than {BATCHES_MAX} rounds"),
            );
            let hint = "Let a condition end the recursion, or write UNION instead of UNION ALL.";
            return Err(DataFusionError::External(Box::new(error.with_hint(hint))));
        }
    }
    Ok(batches)
}

/// The schema with which a plan scans an input.
fn scanned_schema(plan: &LogicalPlan, name: &str) -> Result<Option<SchemaRef>, ExecError> {
    let mut schema = None;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.table_name.table() == name
        {
            schema = Some(scan.source.schema());
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    })?;
    Ok(schema)
}

#[async_trait]
impl TableProvider for InputTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let scan = MemorySourceConfig::try_new_exec(&[rows], Arc::clone(&self.schema), projection.cloned())?;
        Ok(scan)
    }
}
