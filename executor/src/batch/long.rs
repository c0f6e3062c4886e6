//! Queries that may compute for long between two batches of rows: joins, sorts, aggregates.
//!
//! DataFusion gives way to others only where rows come in. A join of many rows with many, few of which meet, finds
//! nothing to give out for minutes, and would hold a thread of the runtime, and the session on it, all the while. So
//! such a query runs on a thread of its own ([`apart`]), and its joins look whether anybody still waits for their rows:
//! whenever they evaluate their condition, and after a number of batches ([`interruptible`]).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;
use highwater_types::{SqlError, SqlState};
use tokio::runtime::Handle;

/// Set once nobody waits for a query's rows any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

/// Interrupts when it is dropped.
struct InterruptOnDrop(Interrupt);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Whether a plan may compute for long without giving out a row.
pub(super) fn is_long(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let children = plan.children();
    children.len() > 1
        || !matches!(plan.pipeline_behavior(), EmissionType::Incremental)
        || children.into_iter().any(is_long)
}

/// The plan whose joins stop when they are interrupted.
pub(super) fn interruptible(plan: Arc<dyn ExecutionPlan>, interrupt: &Interrupt) -> Result<Arc<dyn ExecutionPlan>> {
    let done = plan.transform_up(|node| {
        if node.children().len() < 2 {
            return Ok(Transformed::no(node));
        }
        let node = if let Some(join) = node.downcast_ref::<HashJoinExec>()
            && let Some(filter) = join.filter()
        {
            join.builder().with_filter(Some(interrupt.guard(filter))).build_exec()?
        } else if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
            && let Some(filter) = join.filter()
        {
            let guarded = NestedLoopJoinExecBuilder::from(join).with_filter(Some(interrupt.guard(filter)));
            Arc::new(guarded.build()?)
        } else {
            node
        };
        Ok(Transformed::yes(
            Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>
        ))
    })?;
    Ok(done.data)
}

/// Runs the stream on a thread of its own. Dropping what it gives interrupts it.
pub(super) fn apart(mut stream: SendableRecordBatchStream, interrupt: Interrupt) -> SendableRecordBatchStream {
    let schema = stream.schema();
    let mut receiver = RecordBatchReceiverStream::builder(Arc::clone(&schema), 1);
    let batches = receiver.tx();
    receiver.spawn_blocking(move || {
        Handle::current().block_on(async {
            loop {
                let batch = tokio::select! {
                    biased;
                    () = batches.closed() => return Ok(()),
                    batch = stream.next() => batch,
                };
                let Some(batch) = batch else {
                    return Ok(());
                };
                if batches.send(batch).await.is_err() {
                    return Ok(());
                }
            }
        })
    });
    let waiting = InterruptOnDrop(interrupt);
    let received = receiver.build().map(move |batch| {
        let _dropped_with_the_stream = &waiting;
        batch
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, received))
}

impl Interrupt {
    fn guard(&self, filter: &JoinFilter) -> JoinFilter {
        let condition = Arc::new(Interruptible {
            condition: Arc::clone(filter.expression()),
            interrupt: self.clone(),
        });
        JoinFilter::new(condition, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    }
}

/// A join's condition that fails once the query is interrupted.
#[derive(Debug, Clone)]
struct Interruptible {
    condition: Arc<dyn PhysicalExpr>,
    interrupt: Interrupt,
}

impl PartialEq for Interruptible {
    fn eq(&self, other: &Interruptible) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for Interruptible {}

impl Hash for Interruptible {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for Interruptible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for Interruptible {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.condition.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.condition.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.interrupt.0.load(Ordering::Relaxed) {
            let stopped = SqlError::new(SqlState::QUERY_CANCELED, "nobody waits for the rows of this query");
            return Err(DataFusionError::External(Box::new(stopped)));
        }
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Interruptible {
            condition: children.swap_remove(0),
            interrupt: self.interrupt.clone(),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
