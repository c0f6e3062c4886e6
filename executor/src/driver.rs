//! The only place that knows timely's capabilities and frontiers. A driver stands between timely and one
//! operator: it feeds the oldest open epoch, keeps changes of later epochs back, calls `close` when no input can
//! bring more of the epoch, and ships what comes out.
//!
//! # Which epochs
//! An operator that acts on data alone holds a capability only for epochs of which it has seen changes. One that
//! acts on watermarks must be called in every epoch that its view runs in, changes or not: it holds a standing
//! capability for the next epoch. Every operator is closed in the view's first epoch (a global aggregate answers
//! a row over no input).
//!
//! # Failure
//! Every call of an operator runs under `catch_unwind`. An error or a panic fails the view: from then on its
//! drivers on all workers drop what they hold and what they get, and let epochs pass.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use highwater_types::{Delta, Tick};
use timely::container::NoopBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::{OutputBuilder, OutputBuilderSession};
use timely::dataflow::operators::{Capability, InputCapability};
use timely::dataflow::{Scope, Stream};
use timely::progress::frontier::MutableAntichain;
use timely::progress::operate::FrontierInterest;
use timely::scheduling::Activator;

use crate::ExecError;
use crate::chunk::{Changes, Chunk};
use crate::exchange::Route;
use crate::flow::FlowState;
use crate::op::{InputIndex, Operator, Output, Step};
use crate::sink::CollectionSink;

/// What flows on every edge.
pub(crate) type ChunkStream<'scope> = Stream<'scope, u64, Chunk>;
type Session<'a> = OutputBuilderSession<'a, u64, NoopBuilder<Chunk>>;

/// How many rows an operator may be fed, or ship, before the worker does something else.
const ROWS_PER_TURN: usize = 256 * 1024;

/// An operator and how it is to be driven.
pub(crate) struct Driven {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Whether it acts on watermarks, and so is closed in every epoch.
    pub(crate) is_timed: bool,
    /// The first epoch of its view.
    pub(crate) first_epoch: u64,
}

/// Who takes the changes in.
pub(crate) enum Role {
    /// An operator. Faults pass it by.
    Operator(Box<dyn Operator>),
    /// The end of the dataflow, which also wants the faults.
    Sink(CollectionSink),
}

impl Role {
    fn update(
        &mut self,
        tick: &Arc<Tick>,
        input: InputIndex,
        changes: &Changes,
        out: &mut Output,
    ) -> Result<(), ExecError> {
        match (self, changes) {
            (Role::Operator(operator), Changes::Rows(delta)) => operator.update(tick, input, delta, out),
            (Role::Operator(_), Changes::Faults(_)) => unreachable!("faults are passed on when they arrive"),
            (Role::Sink(sink), changes) => sink.update(tick, changes),
        }
    }

    fn close(&mut self, tick: &Arc<Tick>, out: &mut Output) -> Result<Step, ExecError> {
        match self {
            Role::Operator(operator) => operator.close(tick, out),
            Role::Sink(sink) => sink.close(tick).map(|()| Step::Done),
        }
    }
}

/// Drives an operator over these inputs.
pub(crate) fn drive<'scope>(
    scope: Scope<'scope, u64>,
    driven: Driven,
    inputs: Vec<(ChunkStream<'scope>, Route)>,
    flow: &Rc<FlowState>,
) -> ChunkStream<'scope> {
    let mut builder = OperatorBuilder::new(driven.name.clone(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    // The sink tells the worker how far its view is, so it must hear of every step.
    let interest = match driven.role {
        Role::Operator(_) => FrontierInterest::IfCapability,
        Role::Sink(_) => FrontierInterest::Always,
    };
    let mut handles = Vec::with_capacity(inputs.len());
    for (index, (stream, route)) in inputs.into_iter().enumerate() {
        handles.push(builder.new_input(stream, route));
        builder.set_notify_for(index, interest);
    }
    let (output, stream) = builder.new_output();
    let mut output: OutputBuilder<u64, NoopBuilder<Chunk>> = OutputBuilder::from(output);
    let flow = Rc::clone(flow);
    builder.build(move |mut capabilities| {
        let mut standing = capabilities
            .pop()
            .expect("an operator with one output gets one capability");
        standing.downgrade(&driven.first_epoch);
        let mut driver = Driver::new(driven, standing, flow, activator);
        move |frontiers| {
            let mut session = output.activate();
            for (index, handle) in handles.iter_mut().enumerate() {
                handle.for_each(|capability, chunk| driver.receive(index, &capability, chunk, &mut session));
            }
            driver.advance(least(frontiers), &mut session);
        }
    });
    stream
}

/// What is done to changes that need no state and no frontier.
pub(crate) enum Pass {
    /// A stateless operator with one input.
    Through(Box<dyn Operator>),
    /// Nothing but that their columns get this schema: all rows of all inputs.
    Union(SchemaRef),
}

impl Pass {
    fn update(&mut self, tick: &Tick, delta: &Delta, out: &mut Output) -> Result<(), ExecError> {
        match self {
            Pass::Through(operator) => operator.update(tick, 0, delta, out),
            Pass::Union(schema) => {
                out.ship(with_schema(delta, delta.batch().columns().to_vec(), schema)?);
                Ok(())
            }
        }
    }
}

/// The same changes with other columns.
pub(crate) fn with_schema(delta: &Delta, columns: Vec<ArrayRef>, schema: &SchemaRef) -> Result<Delta, ExecError> {
    let options = RecordBatchOptions::new().with_row_count(Some(delta.num_rows()));
    Ok(delta.with_batch(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)?)
}

/// Lets changes through as they come, whatever their epoch.
pub(crate) fn pass<'scope>(
    scope: Scope<'scope, u64>,
    name: String,
    mut pass: Pass,
    inputs: Vec<ChunkStream<'scope>>,
    flow: &Rc<FlowState>,
) -> ChunkStream<'scope> {
    let mut builder = OperatorBuilder::new(name.clone(), scope);
    let mut handles = Vec::with_capacity(inputs.len());
    for (index, stream) in inputs.into_iter().enumerate() {
        handles.push(builder.new_input(stream, Route::Stay));
        builder.set_notify_for(index, FrontierInterest::Never);
    }
    let (output, stream) = builder.new_output();
    let mut output: OutputBuilder<u64, NoopBuilder<Chunk>> = OutputBuilder::from(output);
    let flow = Rc::clone(flow);
    builder.build(move |capabilities| {
        drop(capabilities);
        let mut out = Output::default();
        move |_frontiers| {
            let mut session = output.activate();
            for handle in &mut handles {
                handle.for_each(|capability, chunk| match chunk.take() {
                    None => {}
                    Some((tick, Changes::Faults(faults))) => {
                        send(&mut session, &capability, &tick, Changes::Faults(faults));
                    }
                    Some((tick, Changes::Rows(delta))) => {
                        let passed = call(&name, &flow, || pass.update(&tick, &delta, &mut out));
                        if passed.is_some() {
                            ship(&mut out, &mut session, &capability, &tick);
                        }
                    }
                });
            }
        }
    });
    stream
}

/// An epoch of which there are changes, or that is to be closed.
struct Open {
    tick: Arc<Tick>,
    capability: Capability<u64>,
    waiting: VecDeque<(InputIndex, Changes)>,
}

struct Driver {
    name: String,
    /// `None` once the view has failed.
    role: Option<Role>,
    is_timed: bool,
    first_epoch: u64,
    open: BTreeMap<u64, Open>,
    /// For the next epoch to be closed without changes. An operator that acts on data alone gives it up after the
    /// first epoch.
    standing: Option<Capability<u64>>,
    flow: Rc<FlowState>,
    activator: Activator,
    out: Output,
}

/// Whether the oldest open epoch is done with.
enum Turn {
    Closed,
    AwaitInput,
    AwaitWorker,
}

impl Driver {
    fn new(driven: Driven, standing: Capability<u64>, flow: Rc<FlowState>, activator: Activator) -> Driver {
        Driver {
            name: driven.name,
            role: Some(driven.role),
            is_timed: driven.is_timed,
            first_epoch: driven.first_epoch,
            open: BTreeMap::new(),
            standing: Some(standing),
            flow,
            activator,
            out: Output::default(),
        }
    }

    /// Takes a message in. Faults go on at once; rows wait for their epoch's turn.
    fn receive(
        &mut self,
        input: InputIndex,
        capability: &InputCapability<u64>,
        chunk: &mut Chunk,
        session: &mut Session<'_>,
    ) {
        let Some((tick, changes)) = chunk.take() else { return };
        if self.flow.health.has_failed() {
            return;
        }
        if let (Some(Role::Operator(_)), Changes::Faults(_)) = (&self.role, &changes) {
            return send(session, capability, &tick, changes);
        }
        let open = self.open.entry(tick.epoch.0).or_insert_with(|| Open {
            tick,
            capability: capability.retain_least(0).expect("every message carries its epoch"),
            waiting: VecDeque::new(),
        });
        open.waiting.push_back((input, changes));
    }

    /// Does all that can be done now that no input will bring changes before `frontier`.
    fn advance(&mut self, frontier: u64, session: &mut Session<'_>) {
        let mut budget = ROWS_PER_TURN;
        loop {
            if self.flow.health.has_failed() {
                self.go_quiet();
            }
            let Some(epoch) = self.next_epoch(frontier) else { break };
            match self.turn(epoch, frontier, &mut budget, session) {
                None => {}
                Some(Turn::Closed) => {
                    self.open.remove(&epoch);
                    self.move_standing(epoch + 1);
                }
                Some(Turn::AwaitInput) => break,
                Some(Turn::AwaitWorker) => {
                    self.activator.activate();
                    break;
                }
            }
        }
        if frontier == u64::MAX && self.open.is_empty() {
            self.standing = None;
        }
        if let Some(Role::Sink(_)) | None = &self.role {
            let first = self.open.keys().next().copied().unwrap_or(u64::MAX);
            self.flow.set_delivered(first.min(frontier).max(self.flow.delivered()));
        }
    }

    /// Feeds and, if it can be, closes one epoch. `None` when the view has failed meanwhile.
    fn turn(&mut self, epoch: u64, frontier: u64, budget: &mut usize, session: &mut Session<'_>) -> Option<Turn> {
        let open = self.open.get_mut(&epoch)?;
        let role = self.role.as_mut()?;
        while let Some((input, changes)) = open.waiting.pop_front() {
            let (tick, out) = (&open.tick, &mut self.out);
            call(&self.name, &self.flow, || {
                role.update(tick, input, &changes, out).map(|()| Step::Done)
            })?;
            let row_count = changes.count() + ship(&mut self.out, session, &open.capability, &open.tick);
            *budget = budget.saturating_sub(row_count);
            if *budget == 0 {
                return Some(Turn::AwaitWorker);
            }
        }
        if frontier <= epoch {
            return Some(Turn::AwaitInput);
        }
        let (tick, out) = (&open.tick, &mut self.out);
        let step = call(&self.name, &self.flow, || role.close(tick, out))?;
        let row_count = ship(&mut self.out, session, &open.capability, &open.tick);
        *budget = budget.saturating_sub(row_count);
        Some(match step {
            Step::Done => Turn::Closed,
            Step::Yield => Turn::AwaitWorker,
        })
    }

    /// The epoch whose turn it is: the oldest with changes, or one to be closed without.
    fn next_epoch(&mut self, frontier: u64) -> Option<u64> {
        let with_changes = self.open.keys().next().copied();
        if let Some(standing) = &self.standing
            && let Some(tick) = self.flow.first_open_from(*standing.time())
            && with_changes.is_none_or(|epoch| tick.epoch.0 < epoch)
        {
            let epoch = tick.epoch.0;
            if frontier <= epoch {
                return None;
            }
            let capability = standing.delayed(&epoch);
            self.open.insert(
                epoch,
                Open {
                    tick,
                    capability,
                    waiting: VecDeque::new(),
                },
            );
            return Some(epoch);
        }
        let epoch = with_changes?;
        // An open epoch between the frontier and this one may still get changes, and comes first.
        let earlier = self.flow.first_open_from(frontier);
        let is_next = frontier >= epoch || earlier.is_some_and(|tick| tick.epoch.0 == epoch);
        is_next.then_some(epoch)
    }

    fn move_standing(&mut self, epoch: u64) {
        if !self.is_timed && epoch > self.first_epoch {
            self.standing = None;
        } else if let Some(standing) = &mut self.standing
            && *standing.time() < epoch
        {
            standing.downgrade(&epoch);
        }
    }

    fn go_quiet(&mut self) {
        self.role = None;
        self.open.clear();
        self.standing = None;
    }
}

/// Calls an operator. An error or a panic fails its view and answers `None`.
fn call<T>(name: &str, flow: &FlowState, operator: impl FnOnce() -> Result<T, ExecError>) -> Option<T> {
    if flow.health.has_failed() {
        return None;
    }
    let error = match catch_unwind(AssertUnwindSafe(operator)) {
        Ok(Ok(answer)) => return Some(answer),
        Ok(Err(error)) => error,
        Err(panic) => ExecError::Panic {
            operator: name.to_string(),
            message: panic_message(panic.as_ref()),
        },
    };
    flow.health.fail(error);
    None
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_string()))
        .unwrap_or_else(|| "no message".to_string())
}

/// Ships what an operator has put out, and answers how many rows that were.
fn ship<C>(out: &mut Output, session: &mut Session<'_>, capability: &C, tick: &Arc<Tick>) -> usize
where
    C: timely::dataflow::operators::CapabilityTrait<u64>,
{
    let (deltas, faults) = out.take();
    let mut row_count = 0;
    for delta in deltas {
        row_count += delta.num_rows();
        send(session, capability, tick, Changes::Rows(delta));
    }
    if !faults.is_empty() {
        send(session, capability, tick, Changes::Faults(faults.into()));
    }
    row_count
}

fn send<C>(session: &mut Session<'_>, capability: &C, tick: &Arc<Tick>, changes: Changes)
where
    C: timely::dataflow::operators::CapabilityTrait<u64>,
{
    if let Some(mut chunk) = Chunk::of(tick, changes) {
        session.session_with_builder(capability).give_container(&mut chunk);
    }
}

/// The first epoch that some input may still bring changes of.
fn least(frontiers: &[MutableAntichain<u64>]) -> u64 {
    frontiers
        .iter()
        .filter_map(|f| f.frontier().first().copied())
        .min()
        .unwrap_or(u64::MAX)
}
