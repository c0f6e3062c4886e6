//! [`PartitionPlan`]: the batch plan of a general operator, ready to be run again and again over other rows.
//!
//! DataFusion is asynchronous, and a worker thread is not: each plan has a runtime of its own that runs on the thread
//! that asks.

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
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::{ExecutionPlan, collect};
use highwater_planner::stream::plan::General;
use tokio::runtime::{Builder, Runtime};

use crate::ExecError;
use crate::op::OpContext;

/// A batch plan over one table of rows that are given when it runs.
#[derive(Debug)]
pub(super) struct PartitionPlan {
    plan: LogicalPlan,
    input: Arc<InputTable>,
    session: SessionState,
    runtime: Runtime,
    output: SchemaRef,
}

/// The table that stands for the operator's input.
#[derive(Debug)]
struct InputTable {
    schema: SchemaRef,
    rows: Mutex<Vec<RecordBatch>>,
}

impl PartitionPlan {
    /// For this plan, whose answer has the columns of `output`.
    ///
    /// # Errors
    /// When the plan does not scan its input, or cannot be optimised.
    pub(super) fn try_new(
        plan: &LogicalPlan,
        input: &SchemaRef,
        output: SchemaRef,
        context: &OpContext,
    ) -> Result<PartitionPlan, ExecError> {
        let mut session = context.session.as_ref().clone();
        session.config_mut().options_mut().execution.target_partitions = 1;
        let input = Arc::new(InputTable {
            schema: scanned_schema(plan)?.unwrap_or_else(|| Arc::clone(input)),
            rows: Mutex::new(Vec::new()),
        });
        let provider: Arc<dyn TableProvider> = Arc::<InputTable>::clone(&input);
        let source = provider_as_source(provider);
        let plan = plan.clone().transform(|node| match node {
            LogicalPlan::TableScan(mut scan) if scan.table_name.table() == General::INPUT => {
                scan.source = Arc::clone(&source);
                Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        let plan = session.optimizer().optimize(plan.data, &session, |_, _| {})?;
        let runtime = Builder::new_current_thread()
            .build()
            .map_err(|error| DataFusionError::Internal(format!("no runtime for the general operator: {error}")))?;
        Ok(PartitionPlan {
            plan,
            input,
            session,
            runtime,
            output,
        })
    }

    /// The answer over these rows.
    ///
    /// # Errors
    /// When the plan fails, on account of some row or otherwise.
    pub(super) fn run(&self, rows: &RecordBatch) -> Result<Vec<RecordBatch>, ExecError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let schema = Arc::clone(&self.input.schema);
        let rows = RecordBatch::try_new_with_options(schema, rows.columns().to_vec(), &options)?;
        *self.input.rows.lock().unwrap_or_else(PoisonError::into_inner) = vec![rows];
        let batches = self.runtime.block_on(async {
            let planner = self.session.query_planner();
            let plan = planner.create_physical_plan(&self.plan, &self.session).await?;
            collect(plan, self.session.task_ctx()).await
        });
        self.input.rows.lock().unwrap_or_else(PoisonError::into_inner).clear();
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

/// The schema with which a plan scans its input.
fn scanned_schema(plan: &LogicalPlan) -> Result<Option<SchemaRef>, ExecError> {
    let mut schema = None;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && scan.table_name.table() == General::INPUT
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
