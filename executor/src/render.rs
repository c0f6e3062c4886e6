//! From a [`StreamPlan`] to a timely dataflow. First all operators are built, which may fail, and it is worked out
//! where rows must change workers; then the timely operators are made, which cannot fail, and in the same order on
//! every worker, as timely wants it.
//!
//! Rows change workers only where an operator asks for a distribution that they do not have yet, and before the
//! sink, where equal rows must meet so that a retraction finds its row.

mod explain;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchemaRef;
use datafusion::logical_expr::Expr;
use highwater_planner::stream::plan::{JoinKind, StateBound, Step, StreamNode, StreamOp, StreamPlan};
use highwater_planner::{WINDOW_END, WINDOW_START, session_state};
use highwater_types::{Epoch, RelationId};
use timely::container::NoopBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::probe::Handle as ProbeHandle;
use timely::dataflow::operators::{Input, Probe};

use crate::ExecError;
use crate::chunk::Chunk;
use crate::collection::Collection;
use crate::driver::{ChunkStream, Driven, Pass, Role, drive, pass};
use crate::exchange::Route;
use crate::flow::FlowState;
use crate::op::{
    AggregateOp, Distribution, FusedOp, GeneralOp, HoldUntilOp, JoinOp, OpContext, Operator, SessionOp,
    TemporalFilterOp, TemporalJoinOp, TopNOp,
};
use crate::sink::CollectionSink;

pub use explain::explain_dataflow;

/// The worker's end of an input.
pub(crate) type InputHandle = timely::dataflow::operators::core::input::Handle<u64, NoopBuilder<Chunk>>;

/// A dataflow's operators, before timely knows of them.
pub(crate) struct Blueprint {
    /// Inputs before those who read them; the last one's output is the view.
    stages: Vec<Stage>,
    output_route: Route,
}

struct Stage {
    name: String,
    schema: SchemaRef,
    spread: Spread,
    work: Work,
    inputs: Vec<(usize, Route)>,
}

enum Work {
    Input {
        relation: RelationId,
        columns: Vec<usize>,
    },
    Constant(RecordBatch),
    Pass(Pass),
    Stateful {
        operator: Box<dyn Operator>,
        is_timed: bool,
    },
}

/// What is known about how rows are spread over workers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Spread {
    /// Equal rows may be anywhere.
    Any,
    /// Equal rows are on one worker; which one is not a matter of known columns.
    EqualRowsMeet,
    /// Rows are where the hash of these columns says.
    ByColumns(Vec<usize>),
}

/// An input that the worker feeds.
pub(crate) struct RenderedInput {
    /// Whose changes it takes.
    pub(crate) source: InputSource,
    /// The columns that rows must have.
    pub(crate) schema: SchemaRef,
    /// Where to put them.
    pub(crate) handle: InputHandle,
}

/// What feeds an input.
pub(crate) enum InputSource {
    /// These columns of a relation.
    Relation { relation: RelationId, columns: Vec<usize> },
    /// Rows that are there from the first epoch on.
    Constant(RecordBatch),
}

/// A dataflow that timely runs.
pub(crate) struct Rendered {
    pub(crate) inputs: Vec<RenderedInput>,
    /// Passes an epoch when all workers' shards of the collection have it.
    pub(crate) probe: ProbeHandle<u64>,
}

impl Blueprint {
    /// Builds the operators of worker `index`.
    ///
    /// # Errors
    /// When an operator does not support its plan node.
    pub(crate) fn try_new(plan: &StreamPlan, time_zone: &str, index: usize) -> Result<Blueprint, ExecError> {
        let context = OpContext {
            session: Arc::new(session_state(time_zone)),
            owns_global: index == 0,
        };
        let mut builder = Builder {
            context,
            stages: Vec::new(),
            built: HashMap::new(),
        };
        let root = builder.stage(&plan.root)?;
        let is_append_only = plan.root.properties.append_only;
        let output_route = match &builder.stages[root].spread {
            Spread::Any if !is_append_only => meeting_route(&plan.root),
            Spread::Any | Spread::EqualRowsMeet | Spread::ByColumns(_) => Route::Stay,
        };
        output_route.check(&builder.stages[root].schema)?;
        Ok(Blueprint {
            stages: builder.stages,
            output_route,
        })
    }

    /// Makes the timely operators.
    pub(crate) fn render<'scope>(
        self,
        scope: Scope<'scope, u64>,
        output: &Arc<Collection>,
        at: Epoch,
        flow: &Rc<FlowState>,
    ) -> Rendered {
        let mut streams: Vec<ChunkStream<'scope>> = Vec::with_capacity(self.stages.len());
        let mut inputs = Vec::new();
        for stage in self.stages {
            let sources: Vec<(ChunkStream<'scope>, Route)> = stage
                .inputs
                .into_iter()
                .map(|(from, route)| (streams[from].clone(), route))
                .collect();
            let mut input = |source: InputSource| {
                let (mut handle, stream) = scope.new_input_with_builder::<NoopBuilder<Chunk>>();
                handle.advance_to(at.0);
                inputs.push(RenderedInput {
                    source,
                    schema: Arc::clone(&stage.schema),
                    handle,
                });
                stream
            };
            streams.push(match stage.work {
                Work::Input { relation, columns } => input(InputSource::Relation { relation, columns }),
                Work::Constant(rows) => input(InputSource::Constant(rows)),
                Work::Pass(work) => {
                    let sources = sources.into_iter().map(|(stream, _)| stream).collect();
                    pass(scope, stage.name, work, sources, flow)
                }
                Work::Stateful { operator, is_timed } => {
                    let role = Role::Operator(operator);
                    drive(
                        scope,
                        Driven {
                            name: stage.name,
                            role,
                            is_timed,
                            first_epoch: at.0,
                        },
                        sources,
                        flow,
                    )
                }
            });
        }
        let root = streams.pop().expect("a plan has at least one node");
        let sink = CollectionSink::new(Arc::clone(output), scope.index(), Rc::clone(flow));
        let driven = Driven {
            name: "Sink".to_string(),
            role: Role::Sink(sink),
            is_timed: false,
            first_epoch: at.0,
        };
        let (probe, _) = drive(scope, driven, vec![(root, self.output_route)], flow).probe();
        Rendered { inputs, probe }
    }
}

struct Builder {
    context: OpContext,
    stages: Vec<Stage>,
    /// Nodes that several others read are built once.
    built: HashMap<*const StreamNode, usize>,
}

impl Builder {
    fn stage(&mut self, node: &Arc<StreamNode>) -> Result<usize, ExecError> {
        if let Some(stage) = self.built.get(&Arc::as_ptr(node)) {
            return Ok(*stage);
        }
        let inputs = node
            .inputs
            .iter()
            .map(|input| self.stage(input))
            .collect::<Result<Vec<_>, _>>()?;
        let work = work(node, &self.context)?;
        let mut routes = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            let route = match &work {
                Work::Stateful { operator, .. } => {
                    self.route(operator.distribution(index), *input, &node.inputs[index])
                }
                Work::Input { .. } | Work::Constant(_) | Work::Pass(_) => Route::Stay,
            };
            route.check(&self.stages[*input].schema)?;
            routes.push((*input, route));
        }
        let spread = self.spread(node, &routes);
        let schema = Arc::clone(node.schema.inner());
        self.stages.push(Stage {
            name: node.op.name().to_string(),
            schema,
            spread,
            work,
            inputs: routes,
        });
        self.built.insert(Arc::as_ptr(node), self.stages.len() - 1);
        Ok(self.stages.len() - 1)
    }

    /// How an operator's input gets the distribution that it asks for.
    fn route(&self, wanted: Distribution, input: usize, node: &StreamNode) -> Route {
        let spread = &self.stages[input].spread;
        match wanted {
            // An operator that keeps rows must see a retraction on the worker that has the row.
            Distribution::Any => match spread {
                Spread::Any if !node.properties.append_only => meeting_route(node),
                Spread::Any | Spread::EqualRowsMeet | Spread::ByColumns(_) => Route::Stay,
            },
            Distribution::Single if *spread == Spread::ByColumns(Vec::new()) => Route::Stay,
            Distribution::Single => Route::ByColumns(Vec::new()),
            Distribution::Keys(columns) if *spread == Spread::ByColumns(columns.clone()) => Route::Stay,
            Distribution::Keys(columns) => Route::ByColumns(columns),
        }
    }

    /// How the output of a node is spread, given how its inputs arrive.
    fn spread(&self, node: &StreamNode, inputs: &[(usize, Route)]) -> Spread {
        let arrives = |index: usize| match &inputs[index] {
            (stage, Route::Stay) => self.stages[*stage].spread.clone(),
            (_, Route::ByColumns(columns)) => Spread::ByColumns(columns.clone()),
        };
        match &node.op {
            StreamOp::Input { .. } | StreamOp::Constant(_) => Spread::Any,
            StreamOp::Fused(steps) => through_steps(arrives(0), steps, &node.inputs[0].schema),
            StreamOp::Aggregate(aggregate) => match arrives(0) {
                // Output columns are the group's, in its order.
                Spread::ByColumns(columns) => place_of(&columns, &aggregate.group).unwrap_or(Spread::EqualRowsMeet),
                Spread::Any | Spread::EqualRowsMeet => Spread::EqualRowsMeet,
            },
            StreamOp::Join(join) => match join.kind {
                JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti => arrives(0),
                JoinKind::Right => match arrives(1) {
                    Spread::ByColumns(columns) => {
                        let width = node.inputs[0].schema.fields().len();
                        Spread::ByColumns(columns.iter().map(|c| c + width).collect())
                    }
                    other @ (Spread::Any | Spread::EqualRowsMeet) => other,
                },
                // A row is where its key says, whichever side that stands on.
                JoinKind::Full => Spread::EqualRowsMeet,
            },
            StreamOp::TemporalFilter(_)
            | StreamOp::TemporalJoin(_)
            | StreamOp::TopN(_)
            | StreamOp::Session(_)
            | StreamOp::HoldUntil { .. } => arrives(0),
            StreamOp::General(general) => match arrives(0) {
                Spread::ByColumns(columns) => place_of(&columns, &general.partition)
                    .and_then(|spread| match spread {
                        Spread::ByColumns(places) => {
                            let columns = places.iter().map(|p| general.output_partition.get(*p).copied());
                            columns.collect::<Option<Vec<_>>>().map(Spread::ByColumns)
                        }
                        Spread::Any | Spread::EqualRowsMeet => None,
                    })
                    .unwrap_or(Spread::EqualRowsMeet),
                Spread::Any | Spread::EqualRowsMeet => Spread::EqualRowsMeet,
            },
            StreamOp::Union => {
                let first = arrives(0);
                match &first {
                    Spread::ByColumns(_) if (1..inputs.len()).all(|i| arrives(i) == first) => first,
                    Spread::Any | Spread::EqualRowsMeet | Spread::ByColumns(_) => Spread::Any,
                }
            }
        }
    }
}

/// Sends equal rows to one worker: by the key when there is one, else by all columns.
fn meeting_route(node: &StreamNode) -> Route {
    let all = || (0..node.schema.fields().len()).collect();
    Route::ByColumns(node.properties.key.clone().unwrap_or_else(all))
}

/// Where columns stand among others, when all of them do.
fn place_of(columns: &[usize], among: &[usize]) -> Option<Spread> {
    let places = columns.iter().map(|c| among.iter().position(|other| other == c));
    places.collect::<Option<Vec<_>>>().map(Spread::ByColumns)
}

/// The spread after stateless steps: kept where the columns it goes by are.
fn through_steps(mut spread: Spread, steps: &[Step], input: &DFSchemaRef) -> Spread {
    let mut names: Vec<String> = input.fields().iter().map(|f| f.name().clone()).collect();
    for step in steps {
        match step {
            // Filters move nothing, and a row's copies stay where the row is.
            Step::Filter(_) => {}
            Step::Window(_) => names.extend([WINDOW_START.to_string(), WINDOW_END.to_string()]),
            Step::Unnest(lists, output) => {
                spread = match spread {
                    Spread::ByColumns(columns) if !columns.iter().any(|c| lists.contains(c)) => {
                        Spread::ByColumns(columns)
                    }
                    _ => Spread::Any,
                };
                names = output.fields().iter().map(|f| f.name().clone()).collect();
            }
            Step::Project(expressions, output) => {
                spread = match spread {
                    Spread::ByColumns(columns) => {
                        let kept = columns
                            .iter()
                            .map(|c| expressions.iter().position(|e| is_column(e, &names[*c])));
                        kept.collect::<Option<Vec<_>>>().map_or(Spread::Any, Spread::ByColumns)
                    }
                    Spread::Any | Spread::EqualRowsMeet => Spread::Any,
                };
                names = output.fields().iter().map(|f| f.name().clone()).collect();
            }
        }
    }
    spread
}

fn is_column(expression: &Expr, name: &str) -> bool {
    match expression {
        Expr::Column(column) => column.name == name,
        Expr::Alias(alias) => is_column(&alias.expr, name),
        _ => false,
    }
}

fn work(node: &StreamNode, context: &OpContext) -> Result<Work, ExecError> {
    let inputs: Vec<DFSchemaRef> = node.inputs.iter().map(|input| Arc::clone(&input.schema)).collect();
    let output = &node.schema;
    let operator: Box<dyn Operator> = match &node.op {
        StreamOp::Input { relation, columns } => {
            return Ok(Work::Input {
                relation: *relation,
                columns: columns.clone(),
            });
        }
        StreamOp::Constant(rows) => return Ok(Work::Constant(rows.clone())),
        StreamOp::Union => return Ok(Work::Pass(Pass::Union(Arc::clone(output.inner())))),
        StreamOp::Fused(steps) => {
            let fused = FusedOp::try_new(steps, &inputs, output, context)?;
            return Ok(Work::Pass(Pass::Through(Box::new(fused))));
        }
        StreamOp::Aggregate(aggregate) => Box::new(AggregateOp::try_new(aggregate, &inputs, output, context)?),
        StreamOp::Join(join) => Box::new(JoinOp::try_new(
            join,
            &inputs,
            output,
            &node.properties.release,
            context,
        )?),
        StreamOp::TemporalJoin(join) => {
            let is_append_only = node.inputs[0].properties.append_only;
            Box::new(TemporalJoinOp::try_new(join, &inputs, output, is_append_only, context)?)
        }
        StreamOp::TopN(top) => {
            let is_append_only = node.inputs[0].properties.append_only;
            let release = &node.properties.release;
            Box::new(TopNOp::try_new(top, &inputs, output, release, is_append_only, context)?)
        }
        StreamOp::TemporalFilter(filter) => Box::new(TemporalFilterOp::try_new(filter, &inputs)?),
        StreamOp::Session(session) => Box::new(SessionOp::try_new(session, &inputs, output.inner())?),
        StreamOp::General(general) => Box::new(GeneralOp::try_new(
            general,
            &inputs,
            output,
            &node.properties.release,
            context,
        )?),
        StreamOp::HoldUntil {
            column,
            after_us,
            sources,
        } => Box::new(HoldUntilOp::try_new(*column, *after_us, sources, &inputs, output)?),
    };
    Ok(Work::Stateful {
        operator,
        is_timed: is_timed(node),
    })
}

/// Whether a node does something when watermarks move, also without changes.
fn is_timed(node: &StreamNode) -> bool {
    let completes = matches!(&node.op, StreamOp::Aggregate(a) if a.complete.is_some());
    let holds = matches!(&node.op, StreamOp::HoldUntil { .. } | StreamOp::TemporalFilter(_));
    completes
        || holds
        || !node.properties.release.is_empty()
        || matches!(node.properties.state, StateBound::Watermark(_))
}
