//! The loop of a worker thread. All workers get the same commands in the same order, which timely needs to agree on
//! dataflows; each gets its own share of the rows. The thread is woken by `Thread::unpark`.
//!
//! ```text
//! loop: obey commands -> see what is done, and say so (worker 0)
//!       -> feed what waits (history, queued epochs, other views' output) -> step timely, or park
//! ```
//!
//! Only flows that have something to do are looked at: a thousand idle views cost nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use highwater_types::{Delta, Epoch, RelationId, Tick};
use timely::worker::Worker;

use crate::chunk::Changes;
use crate::driver::panic_message;
use crate::flow::{FlowState, Health};
use crate::render::Blueprint;
use crate::runtime::HistoryGauge;
use crate::view_flow::{Turn, Upstream, ViewFlow};
use crate::{DataflowSpec, ExecError, Report};

/// What a worker is told.
pub(crate) enum Command {
    /// Make a dataflow.
    Create(Arc<Creation>),
    /// A part of an input's rows at the epoch of creation.
    History {
        view: RelationId,
        input: RelationId,
        changes: Changes,
    },
    /// There is no more of it.
    HistoryDone { view: RelationId, input: RelationId },
    /// Drop a dataflow.
    Drop(RelationId),
    /// Run an epoch with this worker's share of its rows.
    Tick(EpochInput),
    /// Drop everything and end.
    Stop,
}

/// A dataflow to be made, with what its workers share.
pub(crate) struct Creation {
    pub(crate) spec: DataflowSpec,
    pub(crate) health: Arc<Health>,
    pub(crate) gauge: Arc<HistoryGauge>,
}

/// One worker's part of an epoch.
#[derive(Clone)]
pub(crate) struct EpochInput {
    pub(crate) tick: Arc<Tick>,
    /// The base relations that have changes, on whatever worker; sorted.
    pub(crate) changed: Arc<[RelationId]>,
    /// This worker's changes.
    pub(crate) parts: Vec<(RelationId, Delta)>,
}

/// Flows are numbered in the order of their creation, so a view comes after those it reads.
type FlowNumber = usize;

/// A worker's state.
struct WorkerLoop {
    reports: Sender<Report>,
    flows: BTreeMap<FlowNumber, ViewFlow>,
    numbers: HashMap<RelationId, FlowNumber>,
    next_number: FlowNumber,
    /// Flows that have something to do.
    active: BTreeSet<FlowNumber>,
    /// Flows that depend on a base relation, directly or through views.
    dependents: HashMap<RelationId, BTreeSet<FlowNumber>>,
    /// Flows whose rows change as time passes, directly or through views.
    by_clock: BTreeSet<FlowNumber>,
    last_epoch: Option<Epoch>,
    /// Epochs that are not reported as closed yet. Worker 0's business.
    unclosed: VecDeque<Epoch>,
    is_reporter: bool,
}

/// Runs a worker until it is told to stop.
pub(crate) fn run(worker: &mut Worker, commands: &Receiver<Command>, reports: Sender<Report>) {
    let mut state = WorkerLoop {
        reports,
        flows: BTreeMap::new(),
        numbers: HashMap::new(),
        next_number: 0,
        active: BTreeSet::new(),
        dependents: HashMap::new(),
        by_clock: BTreeSet::new(),
        last_epoch: None,
        unclosed: VecDeque::new(),
        is_reporter: worker.index() == 0,
    };
    loop {
        loop {
            match commands.try_recv() {
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return state.drop_all(worker),
                Ok(command) => state.obey(worker, command),
                Err(TryRecvError::Empty) => break,
            }
        }
        state.settle();
        let has_more = state.feed();
        // Nothing would wake the worker for a view that has failed while it was fed.
        state.settle();
        // A command that comes now unparks the thread, or keeps it from parking.
        worker.step_or_park(has_more.then_some(Duration::ZERO));
    }
}

impl WorkerLoop {
    fn obey(&mut self, worker: &mut Worker, command: Command) {
        match command {
            Command::Create(creation) => self.create(worker, &creation),
            Command::History { view, input, changes } => {
                if let Some(flow) = self.flow_mut(view) {
                    flow.add_history(input, changes);
                }
            }
            Command::HistoryDone { view, input } => {
                if let Some(flow) = self.flow_mut(view) {
                    flow.end_history(input);
                }
            }
            Command::Drop(view) => self.drop_flow(worker, view),
            Command::Tick(input) => self.tick(input),
            Command::Stop => {}
        }
    }

    /// What may fail fails on every worker alike, before timely knows of the dataflow.
    fn blueprint(&self, worker: &Worker, spec: &DataflowSpec) -> Result<Blueprint, ExecError> {
        if let Some(last) = self.last_epoch
            && spec.at < last
        {
            return Err(ExecError::StartsLate { at: spec.at, last });
        }
        catch_unwind(AssertUnwindSafe(|| {
            Blueprint::try_new(&spec.plan, &spec.time_zone, worker.index())
        }))
        .unwrap_or_else(|panic| {
            Err(ExecError::Panic {
                operator: "render".to_string(),
                message: panic_message(panic.as_ref()),
            })
        })
    }

    fn create(&mut self, worker: &mut Worker, creation: &Creation) {
        let spec = &creation.spec;
        let blueprint = match self.blueprint(worker, spec) {
            Ok(blueprint) => blueprint,
            Err(error) => {
                creation.gauge.close();
                return creation.health.fail(error);
            }
        };
        let state = Rc::new(FlowState::new(spec.view, Arc::clone(&creation.health)));
        let index = worker.next_dataflow_index();
        let rendered = worker.dataflow_named::<u64, _, _>(&format!("view {}", spec.view), |scope| {
            blueprint.render(scope, &spec.output, spec.at, &state)
        });
        let mut bases = BTreeSet::new();
        let mut follows_clock = spec.plan.follows_clock();
        let mut upstream = |relation: RelationId| {
            let known = self.numbers.get(&relation);
            let Some((number, flow)) = known.and_then(|number| Some((number, self.flows.get(number)?))) else {
                bases.insert(relation);
                return None;
            };
            bases.extend(flow.bases());
            follows_clock |= self.by_clock.contains(number);
            Some(Upstream {
                state: Rc::clone(flow.state()),
                reader: flow.state().add_reader(spec.at),
            })
        };
        let mut flow = ViewFlow::new(
            state,
            index,
            rendered,
            &spec.tick,
            Arc::clone(&creation.gauge),
            &mut upstream,
        );
        flow.set_bases(bases);
        let number = self.next_number;
        self.next_number += 1;
        for base in flow.bases() {
            self.dependents.entry(base).or_default().insert(number);
        }
        if follows_clock {
            self.by_clock.insert(number);
        }
        flow.begin(worker.index() == 0);
        self.flows.insert(number, flow);
        self.numbers.insert(spec.view, number);
        self.active.insert(number);
    }

    /// Starts an epoch in every flow that one of its changes or watermarks, or the clock, concerns.
    fn tick(&mut self, input: EpochInput) {
        debug_assert!(
            self.last_epoch.is_none_or(|last| last < input.tick.epoch),
            "epochs are strictly increasing"
        );
        self.last_epoch = Some(input.tick.epoch);
        if self.is_reporter {
            self.unclosed.push_back(input.tick.epoch);
        }
        let moved = input
            .tick
            .watermarks
            .iter()
            .filter(|w| w.before != w.after)
            .map(|w| w.relation);
        let concerned: BTreeSet<FlowNumber> = input
            .changed
            .iter()
            .copied()
            .chain(moved)
            .filter_map(|base| self.dependents.get(&base))
            .flatten()
            .chain(&self.by_clock)
            .copied()
            .collect();
        for number in concerned {
            if let Some(flow) = self.flows.get_mut(&number) {
                flow.enqueue(&input);
                self.active.insert(number);
            }
        }
    }

    /// Gives the flows that have something to do their next input; answers whether any has yet more.
    fn feed(&mut self) -> bool {
        let mut has_more = false;
        for number in &self.active {
            if let Some(flow) = self.flows.get_mut(number) {
                has_more |= flow.feed() == Turn::More;
            }
        }
        has_more
    }

    /// Notes what flows are through with, and reports it.
    fn settle(&mut self) {
        let mut open = None;
        let mut idle = Vec::new();
        for number in &self.active {
            let Some(flow) = self.flows.get_mut(number) else {
                idle.push(*number);
                continue;
            };
            flow.settle();
            if self.is_reporter && flow.has_just_caught_up() {
                self.reports.send(Report::CaughtUp(flow.view())).ok();
            }
            if flow.counts() {
                open = open.into_iter().chain(flow.first_running()).min();
            }
            if flow.is_idle() {
                idle.push(*number);
            }
        }
        for number in idle {
            self.active.remove(&number);
        }
        self.report_closed(open);
    }

    fn report_closed(&mut self, first_open: Option<u64>) {
        let mut closed = None;
        while let Some(epoch) = self.unclosed.front()
            && first_open.is_none_or(|open| epoch.0 < open)
        {
            closed = self.unclosed.pop_front();
        }
        if let Some(epoch) = closed {
            // Nobody listens any more when the server stops.
            self.reports.send(Report::Closed(epoch)).ok();
        }
    }

    fn flow_mut(&mut self, view: RelationId) -> Option<&mut ViewFlow> {
        let number = *self.numbers.get(&view)?;
        self.active.insert(number);
        self.flows.get_mut(&number)
    }

    fn drop_flow(&mut self, worker: &mut Worker, view: RelationId) {
        let Some(number) = self.numbers.remove(&view) else {
            return;
        };
        let Some(flow) = self.flows.remove(&number) else { return };
        self.active.remove(&number);
        self.by_clock.remove(&number);
        for base in flow.bases() {
            if let Some(numbers) = self.dependents.get_mut(&base) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.dependents.remove(&base);
                }
            }
        }
        // The inputs are closed after the dataflow is gone, so that they wake nothing.
        worker.drop_dataflow(flow.index());
        flow.leave();
    }

    fn drop_all(mut self, worker: &mut Worker) {
        let views: Vec<RelationId> = self.numbers.keys().copied().collect();
        for view in views {
            self.drop_flow(worker, view);
        }
    }
}
