//! Snapshot queries: a plan, what it sees, and the rows it answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::logical_expr::LogicalPlan;
use futures::{Stream, TryStreamExt};
use highwater_executor::{Collection, ExecError, batch, sql_error};
use highwater_planner::catalog::Relation;
use highwater_planner::{PlanContext, relations_read, with_now};
use highwater_types::{Epoch, RelationId, SqlError, SqlState};

use super::Session;
use super::snapshot::ReadView;
use crate::coordinator::EpochHold;

/// The values of `$1`, `$2`, ...
pub(crate) type Params = Vec<ScalarValue>;

impl Session {
    /// Starts a query at the transaction's epoch. The epoch is held for as long as the stream lives.
    pub(super) async fn stream(
        &mut self,
        plan: &LogicalPlan,
        params: &Params,
    ) -> Result<SendableRecordBatchStream, SqlError> {
        let reads = relations_read(plan)?;
        let view = self.read_view(&reads, &[])?;
        let hold = self.transaction().read_hold();
        let stream = self.run(plan, params, view).await?;
        Ok(Box::pin(HeldStream {
            inner: stream,
            _hold: hold,
        }))
    }

    /// All rows of a query, for a statement that writes. Tables are read at their newest rows: those in `changed`
    /// are locked, and others' commits that have their place in the order already count.
    pub(super) async fn collect(
        &mut self,
        plan: &LogicalPlan,
        params: &Params,
        changed: &[RelationId],
    ) -> Result<RecordBatch, SqlError> {
        let reads = relations_read(plan)?;
        let view = self.read_view(&reads, changed)?;
        self.collect_from(plan, params, view).await
    }

    /// All rows of a plan over rows that the statement itself brings.
    pub(super) async fn collect_over(
        &mut self,
        plan: &LogicalPlan,
        params: &Params,
        placeholder: &'static str,
        rows: RecordBatch,
    ) -> Result<RecordBatch, SqlError> {
        let reads = relations_read(plan)?;
        let view = self.read_view(&reads, &[])?.with_rows(placeholder, rows);
        self.collect_from(plan, params, view).await
    }

    /// The stored rows of a table or view.
    pub(super) fn collection(&self, relation: &Relation) -> Result<Arc<Collection>, SqlError> {
        self.world().collections.get(&relation.id).cloned().ok_or_else(|| {
            let message = format!("the rows of \"{}\" are not there", relation.display_name());
            SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        })
    }

    async fn collect_from(
        &mut self,
        plan: &LogicalPlan,
        params: &Params,
        view: ReadView,
    ) -> Result<RecordBatch, SqlError> {
        let stream = self.run(plan, params, view).await?;
        let schema = stream.schema();
        let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(|error| sql_error(&error))?;
        concat_batches(&schema, &batches).map_err(|error| ExecError::from(error).into())
    }

    async fn run(
        &mut self,
        plan: &LogicalPlan,
        params: &Params,
        view: ReadView,
    ) -> Result<SendableRecordBatchStream, SqlError> {
        let values = (!params.is_empty()).then(|| ParamValues::from(params.clone()));
        let plan = with_now(plan, self.transaction().started_us())?;
        batch::run(&plan, values, &view, &self.session_state()).await
    }

    fn read_view(&mut self, reads: &[RelationId], changed: &[RelationId]) -> Result<ReadView, SqlError> {
        let begin = |id: &RelationId| self.world().collections.get(id).map(|c| c.oldest());
        if let Some(begin) = reads.iter().filter_map(begin).max() {
            self.transaction().reach(begin);
        }
        let hold: Arc<EpochHold> = self.transaction().read_hold();
        let mut view = ReadView::new(
            Arc::clone(&self.database),
            self.world(),
            Arc::clone(&self.system),
            self.system_view(),
            hold,
        );
        for table in reads {
            self.transaction().note_read(*table);
            let epoch = match changed.contains(table) {
                true => {
                    self.transaction().note_newest();
                    Epoch::MAX
                }
                false => self.transaction().read_epoch(*table),
            };
            let changes = self.transaction().changes_of(*table)?;
            view = view.with_table(*table, epoch, changes);
        }
        Ok(view)
    }

    /// What a statement is planned against.
    pub(super) fn plan_context(&self) -> PlanContext {
        PlanContext {
            catalog: Arc::clone(&self.world().catalog),
            system: Arc::clone(&self.system) as Arc<dyn highwater_planner::SystemRelations>,
            settings: self.plan_settings(),
            functions: self.functions(),
            reads: None,
        }
    }
}

/// A result that keeps its epoch's rows from being merged away.
struct HeldStream {
    inner: SendableRecordBatchStream,
    _hold: Arc<EpochHold>,
}

impl Stream for HeldStream {
    type Item = Result<RecordBatch, datafusion::error::DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.as_mut().poll_next(context)
    }
}

impl RecordBatchStream for HeldStream {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}
