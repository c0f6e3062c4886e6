//! The planner's own nodes in snapshot queries: [`WindowNode`] runs through the very operator that views use, and
//! [`ProcTimeNode`] has nothing to do where all relations are read as of one epoch.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::StreamExt;
use highwater_planner::stream::plan::{Step, WindowAssign};
use highwater_planner::{ProcTimeNode, WindowNode, session_state};
use highwater_types::{Delta, Epoch, SqlError, Tick};

use crate::op::{FusedOp, OpContext, Operator, Output};

/// Window assignment needs no session: it has no expression.
static CONTEXT: LazyLock<OpContext> = LazyLock::new(|| OpContext {
    session: Arc::new(session_state("UTC")),
    owns_global: true,
});

/// Plans the planner's own nodes.
pub(super) struct ExtensionNodes;

#[async_trait]
impl ExtensionPlanner for ExtensionNodes {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let node = node.as_any();
        if node.is::<ProcTimeNode>() {
            return Ok(Some(Arc::clone(&inputs[0])));
        }
        let Some(window) = node.downcast_ref::<WindowNode>() else {
            return Ok(None);
        };
        Ok(Some(Arc::new(WindowExec::new(
            Arc::clone(&inputs[0]),
            window.assign.clone(),
            by_place(window.input.schema())?,
            Arc::clone(datafusion::logical_expr::UserDefinedLogicalNodeCore::schema(window).inner()),
        ))))
    }
}

/// The columns under names of their places: the operator goes by these, and a name may be that of a bound it adds.
fn by_place(schema: &DFSchema) -> Result<DFSchemaRef> {
    let fields = schema.fields().iter().enumerate();
    let fields = fields.map(|(at, field)| Arc::new(field.as_ref().clone().with_name(format!("c{at}"))));
    let schema = DFSchema::from_unqualified_fields(fields.collect(), HashMap::new())?;
    Ok(Arc::new(schema))
}

/// Appends window bounds to each row, a copy of the row for each window it falls into.
#[derive(Debug)]
struct WindowExec {
    input: Arc<dyn ExecutionPlan>,
    assign: WindowAssign,
    input_schema: DFSchemaRef,
    properties: Arc<PlanProperties>,
}

impl WindowExec {
    fn new(
        input: Arc<dyn ExecutionPlan>,
        assign: WindowAssign,
        input_schema: DFSchemaRef,
        schema: SchemaRef,
    ) -> WindowExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        WindowExec {
            input,
            assign,
            input_schema,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for WindowExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowExec: {:?}", self.assign)
    }
}

impl ExecutionPlan for WindowExec {
    fn name(&self) -> &str {
        "WindowExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (input, assign) = (children.swap_remove(0), self.assign.clone());
        Ok(Arc::new(WindowExec::new(
            input,
            assign,
            Arc::clone(&self.input_schema),
            self.schema(),
        )))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (input, assign) = (children.swap_remove(0), self.assign.clone());
        Ok(Arc::new(WindowExec::new(
            input,
            assign,
            Arc::clone(&self.input_schema),
            self.schema(),
        )))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let steps = [Step::Window(self.assign.clone())];
        let inputs = [Arc::clone(&self.input_schema)];
        let mut operator = FusedOp::try_new(&steps, &inputs, &self.input_schema, &CONTEXT).map_err(external)?;
        let own = Arc::clone(&schema);
        let rows = self.input.execute(partition, context)?.flat_map(move |batch| {
            let windowed = batch.and_then(|batch| assign(&mut operator, batch, &own));
            futures::stream::iter(match windowed {
                Ok(batches) => batches.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            })
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Runs one batch through the operator. A row that has no window is an error here.
fn assign(operator: &mut FusedOp, batch: RecordBatch, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let mut out = Output::default();
    let tick = Tick::new(Epoch::ZERO, 0);
    operator
        .update(&tick, 0, &Delta::insert(batch), &mut out)
        .map_err(external)?;
    let (deltas, faults) = out.take();
    if let Some((fault, _)) = faults.into_iter().next() {
        return Err(DataFusionError::External(Box::new(SqlError::from(fault))));
    }
    let own_schema = |delta: Delta| {
        let batch = delta.into_parts().0;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(schema),
            batch.columns().to_vec(),
            &options,
        )?)
    };
    deltas.into_iter().map(own_schema).collect()
}

fn external(error: crate::ExecError) -> DataFusionError {
    DataFusionError::External(Box::new(SqlError::from(error)))
}
