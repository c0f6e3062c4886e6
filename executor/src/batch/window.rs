//! The planner's own nodes in snapshot queries: [`WindowNode`] and [`SessionNode`] run through the very operators that
//! views use, and [`ProcTimeNode`] has nothing to do where all relations are read as of one epoch.

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
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::{StreamExt, stream};
use highwater_planner::stream::plan::{Session as Sessions, Step, WindowAssign};
use highwater_planner::{ProcTimeNode, SessionNode, WindowNode, session_state};
use highwater_types::{Delta, Epoch, SqlError, Tick};

use crate::collection::additions;
use crate::op::{FusedOp, OpContext, Operator, Output, SessionOp, Step as OpStep};

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
        let schema = Arc::clone(node.schema().inner());
        let node = node.as_any();
        if node.is::<ProcTimeNode>() {
            return Ok(Some(Arc::clone(&inputs[0])));
        }
        let (windows, below) = if let Some(window) = node.downcast_ref::<WindowNode>() {
            (Windows::Assigned(window.assign.clone()), &window.input)
        } else if let Some(session) = node.downcast_ref::<SessionNode>() {
            (Windows::Sessions(session.session()?), &session.input)
        } else {
            return Ok(None);
        };
        let names = by_place(below.schema())?;
        Ok(Some(Arc::new(WindowExec::new(
            Arc::clone(&inputs[0]),
            windows,
            names,
            schema,
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
    windows: Windows,
    input_schema: DFSchemaRef,
    properties: Arc<PlanProperties>,
}

/// Which windows.
#[derive(Debug, Clone)]
enum Windows {
    Assigned(WindowAssign),
    Sessions(Sessions),
}

impl Windows {
    /// The operator that makes them.
    fn operator(&self, input: &DFSchemaRef, output: &SchemaRef) -> Result<Box<dyn Operator + Send>> {
        let inputs = [Arc::clone(input)];
        Ok(match self {
            Windows::Assigned(assign) => {
                let steps = [Step::Window(assign.clone())];
                Box::new(FusedOp::try_new(&steps, &inputs, input, &CONTEXT).map_err(external)?)
            }
            Windows::Sessions(session) => Box::new(SessionOp::try_new(session, &inputs, output).map_err(external)?),
        })
    }
}

impl WindowExec {
    fn new(
        input: Arc<dyn ExecutionPlan>,
        windows: Windows,
        input_schema: DFSchemaRef,
        schema: SchemaRef,
    ) -> WindowExec {
        let (partitioning, emission) = match windows {
            Windows::Assigned(_) => (input.output_partitioning().clone(), EmissionType::Incremental),
            Windows::Sessions(_) => (Partitioning::UnknownPartitioning(1), EmissionType::Final),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            partitioning,
            emission,
            Boundedness::Bounded,
        );
        WindowExec {
            input,
            windows,
            input_schema,
            properties: Arc::new(properties),
        }
    }

    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        let (input, windows) = (children.swap_remove(0), self.windows.clone());
        let exec = WindowExec::new(input, windows, Arc::clone(&self.input_schema), self.schema());
        Arc::new(exec)
    }
}

impl DisplayAs for WindowExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowExec: {:?}", self.windows)
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

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![match self.windows {
            Windows::Assigned(_) => Distribution::UnspecifiedDistribution,
            Windows::Sessions(_) => Distribution::SinglePartition,
        }]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.over(children))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.over(children))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let mut operator = self.windows.operator(&self.input_schema, &schema)?;
        let own = Arc::clone(&schema);
        let batches = self.input.execute(partition, context)?.map(Some);
        let rows = batches.chain(stream::iter([None])).flat_map(move |batch| {
            let windowed = match batch {
                Some(batch) => batch.and_then(|batch| update(operator.as_mut(), batch, &own)),
                None => close(operator.as_mut(), &own),
            };
            stream::iter(match windowed {
                Ok(batches) => batches.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            })
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// The epoch that an operator sees in a snapshot query.
fn tick() -> Tick {
    Tick::new(Epoch::ZERO, 0)
}

/// Gives an operator one batch.
fn update(operator: &mut dyn Operator, batch: RecordBatch, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let mut out = Output::default();
    let delta = Delta::insert(batch);
    operator.update(&tick(), 0, &delta, &mut out).map_err(external)?;
    rows_of(out, schema)
}

/// Tells an operator that there is no more.
fn close(operator: &mut dyn Operator, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let mut out = Output::default();
    while operator.close(&tick(), &mut out).map_err(external)? == OpStep::Yield {}
    rows_of(out, schema)
}

/// What an operator shipped. A row that has no window is an error here.
fn rows_of(mut out: Output, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let (deltas, faults) = out.take();
    if let Some((fault, _)) = faults.into_iter().next() {
        return Err(DataFusionError::External(Box::new(SqlError::from(fault))));
    }
    let own_schema = |delta: Delta| {
        let batch = additions(&delta).map_err(external)?;
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
