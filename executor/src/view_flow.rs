//! [`ViewFlow`]: one view's dataflow on one worker, as the worker's loop sees it: its inputs, the epochs that wait
//! to be fed to it and those that it is running.
//!
//! # The first epoch
//! A new view runs its first epoch over its inputs' history, at its own pace. Live epochs wait in a queue until
//! all history is in; the queue is worked off a few epochs at a time; then the view has caught up. The queue holds
//! references to batches, and is bounded by what the coordinator cuts while the view catches up.
//!
//! # Inputs that are views
//! They get the other view's output in the same epoch, from its sink on this worker. Such an input is done with an
//! epoch when the other view has delivered it, or does not run in it.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use highwater_types::{Delta, Epoch, RelationId, Tick};
use timely::dataflow::operators::probe::Handle as ProbeHandle;

use crate::ExecError;
use crate::chunk::{Changes, Chunk};
use crate::driver::with_schema;
use crate::flow::{FlowState, Reader};
use crate::render::{InputHandle, InputSource, Rendered, RenderedInput};
use crate::runtime::HistoryGauge;
use crate::worker::EpochInput;

/// How many rows of history a flow is fed before others get their turn.
const HISTORY_ROWS_PER_TURN: usize = 64 * 1024;
/// How many queued epochs a flow that catches up runs at once.
const CATCH_UP_EPOCHS: usize = 4;

/// Another view that this one reads.
pub(crate) struct Upstream {
    pub(crate) state: Rc<FlowState>,
    pub(crate) reader: Rc<Reader>,
}

/// Whether a flow could take more input at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It waits for something.
    Waits,
    /// It could go on.
    More,
}

/// One input.
struct Port {
    source: InputSource,
    schema: arrow::datatypes::SchemaRef,
    /// `None` once it is closed: a constant has given all it has.
    handle: Option<InputHandle>,
    upstream: Option<Upstream>,
    history: VecDeque<Changes>,
    history_is_complete: bool,
}

/// How far a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Takes in history, or works off what has come meanwhile.
    CatchingUp,
    /// Has just come up to date.
    JustCaughtUp,
    /// Runs each epoch as it comes, and counts for whether it is closed.
    Live,
}

/// One view's dataflow on one worker.
pub(crate) struct ViewFlow {
    state: Rc<FlowState>,
    index: usize,
    ports: Vec<Port>,
    probe: ProbeHandle<u64>,
    first: Arc<Tick>,
    bases: BTreeSet<RelationId>,
    /// Epochs to be fed.
    waiting: VecDeque<EpochInput>,
    /// Epochs fed that have not reached this worker's sink.
    undelivered: VecDeque<u64>,
    /// Epochs fed that are not in all workers' shards of the collection.
    running: VecDeque<u64>,
    last_fed: u64,
    phase: Phase,
    gauge: Arc<HistoryGauge>,
}

impl ViewFlow {
    /// A flow over rendered inputs; `upstream` answers for an input that is another view.
    pub(crate) fn new(
        state: Rc<FlowState>,
        index: usize,
        rendered: Rendered,
        first: &Tick,
        gauge: Arc<HistoryGauge>,
        upstream: &mut impl FnMut(RelationId) -> Option<Upstream>,
    ) -> ViewFlow {
        let port = |input: RenderedInput| Port {
            upstream: match &input.source {
                InputSource::Relation { relation, .. } => upstream(*relation),
                InputSource::Constant(_) => None,
            },
            history_is_complete: matches!(input.source, InputSource::Constant(_)),
            source: input.source,
            schema: input.schema,
            handle: Some(input.handle),
            history: VecDeque::new(),
        };
        ViewFlow {
            state,
            index,
            ports: rendered.inputs.into_iter().map(port).collect(),
            probe: rendered.probe,
            first: Arc::new(first.clone()),
            bases: BTreeSet::new(),
            waiting: VecDeque::new(),
            undelivered: VecDeque::new(),
            running: VecDeque::new(),
            last_fed: 0,
            phase: Phase::CatchingUp,
            gauge,
        }
    }

    /// The view.
    pub(crate) fn view(&self) -> RelationId {
        self.state.view
    }

    /// What its operators share.
    pub(crate) fn state(&self) -> &Rc<FlowState> {
        &self.state
    }

    /// timely's number for the dataflow.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// The tables and sources that it depends on, directly or through views.
    pub(crate) fn bases(&self) -> impl Iterator<Item = RelationId> + use<> {
        self.bases.clone().into_iter()
    }

    /// Says what [`ViewFlow::bases`] answers.
    pub(crate) fn set_bases(&mut self, bases: BTreeSet<RelationId>) {
        self.bases = bases;
    }

    /// Opens the first epoch. One worker brings the constants.
    pub(crate) fn begin(&mut self, brings_constants: bool) {
        self.start(&Arc::clone(&self.first));
        let first = Arc::clone(&self.first);
        for port in &mut self.ports {
            if let InputSource::Constant(rows) = &port.source {
                if brings_constants {
                    let changes = Changes::Rows(Delta::insert(rows.clone()));
                    port.send(&first, changes, &self.state);
                }
                // Closed: it will never have anything more.
                port.handle = None;
            }
        }
        self.show_debt();
    }

    /// Takes in history of an input, to be fed in time.
    pub(crate) fn add_history(&mut self, input: RelationId, changes: Changes) {
        let mut readers = 0;
        for port in self.ports.iter_mut().filter(|p| p.reads(input)) {
            port.history.push_back(changes.clone());
            readers += 1;
        }
        if readers == 0 || self.has_failed() {
            self.gauge.sub(changes.count());
        } else {
            // Each port that reads the input will give it back once.
            self.gauge.add(changes.count() * (readers - 1));
        }
    }

    /// No more history of an input will come.
    pub(crate) fn end_history(&mut self, input: RelationId) {
        for port in self.ports.iter_mut().filter(|p| p.reads(input)) {
            port.history_is_complete = true;
        }
    }

    /// Takes in an epoch, to be fed in its turn.
    pub(crate) fn enqueue(&mut self, input: &EpochInput) {
        if self.has_failed() {
            return;
        }
        let parts = input
            .parts
            .iter()
            .filter(|(relation, _)| self.ports.iter().any(|p| p.reads(*relation)));
        let parts = parts.cloned().collect();
        self.waiting.push_back(EpochInput { parts, ..input.clone() });
        self.show_debt();
    }

    /// Feeds what can be fed now.
    pub(crate) fn feed(&mut self) -> Turn {
        self.fail_with_upstream();
        if self.has_failed() {
            return Turn::Waits;
        }
        let turn = self.feed_history();
        if self.ports.iter().all(|port| port.is_past(self.first.epoch.0)) {
            let limit = match self.phase {
                Phase::CatchingUp => CATCH_UP_EPOCHS,
                Phase::JustCaughtUp | Phase::Live => usize::MAX,
            };
            while self.running.len() < limit
                && let Some(input) = self.waiting.pop_front()
            {
                self.feed_epoch(input);
            }
        }
        self.feed_from_views();
        turn
    }

    /// Notes which epochs are done with.
    pub(crate) fn settle(&mut self) {
        self.fail_with_upstream();
        if self.has_failed() {
            self.let_go();
            return;
        }
        let delivered = self.state.delivered();
        while self.undelivered.front().is_some_and(|epoch| *epoch < delivered) {
            self.undelivered.pop_front();
        }
        while self.running.front().is_some_and(|epoch| !self.probe.less_equal(epoch)) {
            self.running.pop_front();
        }
        self.state
            .forget_before(self.running.front().copied().unwrap_or(u64::MAX));
        self.show_debt();
        let is_past_first = self.ports.iter().all(|port| port.is_past(self.first.epoch.0));
        if self.phase == Phase::CatchingUp && is_past_first && self.waiting.is_empty() && self.running.is_empty() {
            self.phase = Phase::JustCaughtUp;
        }
    }

    /// Whether it has come up to date; true once.
    pub(crate) fn has_just_caught_up(&mut self) -> bool {
        if self.phase != Phase::JustCaughtUp {
            return false;
        }
        self.phase = Phase::Live;
        true
    }

    /// Whether an epoch is not closed before this flow is through it.
    pub(crate) fn counts(&self) -> bool {
        self.phase == Phase::Live && !self.has_failed()
    }

    /// The first epoch that it is not through with.
    pub(crate) fn first_running(&self) -> Option<u64> {
        let waiting = self.waiting.front().map(|input| input.tick.epoch.0);
        self.running.front().copied().or(waiting)
    }

    /// Whether there is nothing to do before the next command.
    pub(crate) fn is_idle(&self) -> bool {
        let has_history = self.ports.iter().any(|port| !port.history.is_empty());
        let waits_for_history = self.phase == Phase::CatchingUp && !self.has_failed();
        !has_history && !waits_for_history && self.running.is_empty() && self.waiting.is_empty()
    }

    /// The dataflow is gone: nothing reads other views any more, and who reads this one need not wait.
    pub(crate) fn leave(self) {
        self.state.set_owes(u64::MAX);
        self.gauge.close();
        for upstream in self.ports.iter().filter_map(|port| port.upstream.as_ref()) {
            upstream.state.remove_reader(&upstream.reader);
        }
    }

    /// Opens an epoch.
    fn start(&mut self, tick: &Arc<Tick>) {
        let epoch = tick.epoch.0;
        self.state.open(tick);
        self.undelivered.push_back(epoch);
        self.running.push_back(epoch);
        self.last_fed = epoch;
    }

    fn feed_epoch(&mut self, input: EpochInput) {
        let epoch = input.tick.epoch.0;
        self.start(&input.tick);
        for port in self.ports.iter_mut().filter(|p| p.upstream.is_none()) {
            port.advance_to(epoch);
            for (relation, delta) in &input.parts {
                if port.reads(*relation) {
                    port.send(&input.tick, Changes::Rows(delta.clone()), &self.state);
                }
            }
            port.advance_to(epoch + 1);
        }
    }

    /// Feeds some history; an input whose history is in is done with the first epoch.
    fn feed_history(&mut self) -> Turn {
        let first = Arc::clone(&self.first);
        let mut room = HISTORY_ROWS_PER_TURN;
        for port in self.ports.iter_mut().filter(|p| !p.is_past(first.epoch.0)) {
            while room > 0
                && let Some(changes) = port.history.pop_front()
            {
                let count = changes.count();
                room = room.saturating_sub(count);
                self.gauge.sub(count);
                port.send(&first, changes, &self.state);
            }
            if port.history.is_empty() && port.history_is_complete {
                port.advance_to(first.epoch.0 + 1);
            }
        }
        if room == 0 { Turn::More } else { Turn::Waits }
    }

    /// Passes on what the views it reads have put out, in epochs that this flow runs.
    fn feed_from_views(&mut self) {
        let last_fed = self.last_fed;
        let first = self.first.epoch.0;
        for port in self.ports.iter_mut().filter(|p| p.is_past(first)) {
            let Some(Upstream { state, reader }) = &port.upstream else {
                continue;
            };
            let (state, reader) = (Rc::clone(state), Rc::clone(reader));
            while let Some((tick, changes)) = reader.next_until(last_fed) {
                port.advance_to(tick.epoch.0);
                port.send(&tick, changes, &self.state);
            }
            port.advance_to(state.owes().min(last_fed + 1));
        }
    }

    /// Says which epoch those who read this view wait for.
    fn show_debt(&self) {
        let waiting = self.waiting.front().map(|input| input.tick.epoch.0);
        self.state
            .set_owes(self.undelivered.front().copied().or(waiting).unwrap_or(u64::MAX));
    }

    fn has_failed(&self) -> bool {
        self.state.health.has_failed()
    }

    /// A view over a failed view is not right either.
    fn fail_with_upstream(&self) {
        if self.has_failed() {
            return;
        }
        let failed = self
            .ports
            .iter()
            .filter_map(|p| p.upstream.as_ref())
            .find(|u| u.state.health.has_failed());
        if let Some(upstream) = failed {
            self.state.health.fail(ExecError::Upstream {
                view: upstream.state.view,
            });
        }
    }

    /// A failed view lets epochs pass.
    fn let_go(&mut self) {
        self.waiting.clear();
        self.undelivered.clear();
        self.running.clear();
        self.gauge.close();
        for port in &mut self.ports {
            port.history.clear();
            if let Some(upstream) = &port.upstream {
                upstream.reader.clear();
            }
        }
        self.state.set_owes(u64::MAX);
    }
}

impl Port {
    fn reads(&self, input: RelationId) -> bool {
        matches!(&self.source, InputSource::Relation { relation, .. } if *relation == input)
    }

    /// Whether it can bring no more changes of `epoch`.
    fn is_past(&self, epoch: u64) -> bool {
        self.handle.as_ref().is_none_or(|handle| *handle.time() > epoch)
    }

    fn advance_to(&mut self, epoch: u64) {
        if let Some(handle) = &mut self.handle
            && *handle.time() < epoch
        {
            handle.advance_to(epoch);
        }
    }

    /// Sends changes in the epoch that the input is at; rows keep the columns that the plan reads.
    fn send(&mut self, tick: &Arc<Tick>, changes: Changes, flow: &FlowState) {
        let Some(handle) = &mut self.handle else { return };
        debug_assert_eq!(
            Epoch(*handle.time()),
            tick.epoch,
            "an input is at the epoch that it is fed"
        );
        let changes = match (changes, &self.source) {
            (Changes::Rows(delta), InputSource::Relation { columns, .. }) => {
                match pick(&delta, columns, &self.schema) {
                    Ok(delta) => Changes::Rows(delta),
                    Err(error) => return flow.health.fail(error),
                }
            }
            (changes @ (Changes::Rows(_) | Changes::Faults(_)), _) => changes,
        };
        if let Some(mut chunk) = Chunk::of(tick, changes) {
            handle.send_batch(&mut chunk);
        }
    }
}

/// These columns of a delta, under the schema that the plan gives them.
fn pick(delta: &Delta, columns: &[usize], schema: &arrow::datatypes::SchemaRef) -> Result<Delta, ExecError> {
    with_schema(
        delta,
        columns.iter().map(|c| Arc::clone(delta.column(*c))).collect(),
        schema,
    )
}
