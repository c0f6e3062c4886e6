//! The coordinator's thread: its state and its loop. How commits become epochs is in `epoch.rs`; what changes which
//! relations exist, in `ddl.rs`; what a source contributes to an epoch, in `feed.rs`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender};
use highwater_executor::{Collection, Report, Runtime};
use highwater_storage::Store;
use highwater_types::{Epoch, RelationId, SqlError};
use tokio::sync::{oneshot, watch};

use super::epoch::{InFlight, Opening, Sealed, Taken};
use super::feed::SourceFeed;
use super::holds::EpochHolds;
use super::log::LogThread;
use super::pace::EpochPace;
use super::progress::Progress;
use super::status::{StatusBoard, ViewState, ViewStatus};
use super::table::TableState;
use super::{Command, Coordinator};

/// How often merged-away versions and idle sources are looked at, and views follow the clock at least.
const HOUSEKEEPING: Duration = Duration::from_millis(200);

/// What the coordinator is made of.
pub struct CoreSetup {
    /// Catalog and log.
    pub store: Arc<Store>,
    /// The worker threads.
    pub runtime: Runtime,
    /// What the workers say.
    pub reports: Receiver<Report>,
    /// Epochs go on after this one.
    pub last_epoch: Epoch,
    /// The epochs that readers hold.
    pub holds: Arc<EpochHolds>,
    /// Where progress is shown.
    pub status: Arc<StatusBoard>,
    /// For how long epochs can be read after they have closed.
    pub retention: Duration,
}

/// The coordinator's state. Lives on its own thread.
pub struct Core {
    pub(super) store: Arc<Store>,
    pub(super) runtime: Runtime,
    reports: Receiver<Report>,
    commands: Receiver<Command>,
    pub(super) wake: Sender<Command>,
    closed: watch::Sender<Epoch>,
    pub(super) holds: Arc<EpochHolds>,
    retention: Duration,
    pub(super) status: Arc<StatusBoard>,
    pub(super) tables: HashMap<RelationId, TableState>,
    pub(super) sources: BTreeMap<RelationId, SourceFeed>,
    pub(super) views: HashMap<RelationId, View>,
    /// The newest epoch that the workers have.
    pub(super) last_cut: Epoch,
    /// The newest epoch that was given to anything.
    pub(super) newest: Epoch,
    /// What the next epoch changes of what can be seen.
    pub(super) progress: Progress,
    pub(super) log: LogThread,
    pub(super) opening: Opening,
    pub(super) sealed: Option<Sealed>,
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) pace: EpochPace,
    /// It waits for the commits before it to be through, and what comes after waits for it.
    pending: Option<Command>,
    stopping: Option<oneshot::Sender<()>>,
    next_housekeeping: Instant,
    /// A view, or who follows the epochs, is to see that time has passed.
    pub(super) is_clock_due: bool,
    closed_count: u64,
}

/// A materialized view, as the coordinator sees it.
pub(super) struct View {
    pub(super) collection: Arc<Collection>,
    pub(super) inputs: Vec<RelationId>,
    /// Whether its rows change as time passes.
    pub(super) follows_clock: bool,
    /// Told when it has caught up; `None` afterwards.
    pub(super) waiting: Option<oneshot::Sender<Result<(), SqlError>>>,
}

impl Core {
    /// Starts the coordinator's thread.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(setup: CoreSetup) -> Result<Coordinator, std::io::Error> {
        let (wake, commands) = crossbeam_channel::unbounded();
        // Time has passed since the log was written, and views are to know.
        let last_epoch = setup.last_epoch.max(clock());
        let (closed, closed_receiver) = watch::channel(last_epoch);
        let log = LogThread::start(Arc::clone(&setup.store))?;
        let core = Core {
            store: setup.store,
            runtime: setup.runtime,
            reports: setup.reports,
            commands,
            wake: wake.clone(),
            closed,
            holds: setup.holds,
            retention: setup.retention,
            status: setup.status,
            tables: HashMap::new(),
            sources: BTreeMap::new(),
            views: HashMap::new(),
            last_cut: last_epoch,
            newest: last_epoch,
            progress: Progress::default(),
            log,
            opening: Opening::default(),
            sealed: None,
            in_flight: VecDeque::new(),
            pace: EpochPace::new(),
            pending: None,
            stopping: None,
            next_housekeeping: Instant::now(),
            is_clock_due: false,
            closed_count: 0,
        };
        std::thread::Builder::new()
            .name("coordinator".to_string())
            .spawn(move || {
                let done = core.run();
                // Whoever asked may be gone; workers and store are let go all the same.
                done.send(()).ok();
            })?;
        Ok(Coordinator {
            commands: wake,
            closed: closed_receiver,
        })
    }

    /// Runs until it is told to stop, and lets everything go; answers whom to tell.
    fn run(mut self) -> oneshot::Sender<()> {
        loop {
            self.wait();
            self.take_reports();
            while let Ok(logged) = self.log.answers().try_recv() {
                self.on_logged(logged);
            }
            self.take_commands();
            self.advance();
            self.obey_pending();
            self.keep_house();
            if self.is_through()
                && self.in_flight.is_empty()
                && let Some(done) = self.stopping.take()
            {
                self.runtime.stop();
                return done;
            }
        }
    }

    /// Waits for a reason to do something.
    fn wait(&self) {
        let takes_commands = self.pending.is_none();
        if self.can_advance() || (takes_commands && !self.commands.is_empty()) {
            return;
        }
        let timeout = self.next_housekeeping.saturating_duration_since(Instant::now());
        let mut select = crossbeam_channel::Select::new();
        select.recv(&self.reports);
        select.recv(self.log.answers());
        if takes_commands {
            select.recv(&self.commands);
        }
        // A time-out is no error: it is time for housekeeping.
        select.ready_timeout(timeout).ok();
    }

    /// Gives commits their order, up to a command of another kind.
    fn take_commands(&mut self) {
        while self.pending.is_none()
            && let Ok(command) = self.commands.try_recv()
        {
            match command {
                Command::Commit {
                    writes,
                    reads,
                    locks,
                    done,
                } => {
                    if writes.is_empty() {
                        self.wait_for_commits(done);
                        continue;
                    }
                    let order = self.sequence(&writes, reads.as_ref());
                    drop(locks);
                    match order {
                        Ok(()) => self.opening.waiters.push(done),
                        // A session that is gone needs no answer.
                        Err(error) => drop(done.send(Err(error))),
                    }
                }
                Command::SourceReady => {}
                // What exists must not change inside an epoch.
                other => self.pending = Some(other),
            }
        }
    }

    fn obey_pending(&mut self) {
        if self.is_through()
            && let Some(command) = self.pending.take()
        {
            self.obey(command);
        }
    }

    pub(super) fn has_source_rows(&self) -> bool {
        self.sources.values().any(SourceFeed::has_rows)
    }

    fn take_reports(&mut self) {
        while let Ok(report) = self.reports.try_recv() {
            match report {
                Report::Closed(epoch) => self.on_closed(epoch),
                Report::CaughtUp(view) => self.finish_view(view, ViewState::Live),
                Report::ViewFailed { view, error } => {
                    tracing::error!(%view, %error, "a view has failed");
                    self.finish_view(view, ViewState::Failed(error));
                }
            }
        }
    }

    fn on_closed(&mut self, epoch: Epoch) {
        let (mut taken, mut cut_at) = (Taken::default(), None);
        while let Some(front) = self.in_flight.front()
            && front.epoch <= epoch
            && let Some(closed) = self.in_flight.pop_front()
        {
            taken.rows += closed.taken.rows;
            taken.is_full |= closed.taken.is_full;
            cut_at = cut_at.or(Some(closed.cut_at));
            self.closed_count += 1;
            self.closed.send_replace(closed.epoch);
            let closed_count = self.closed_count;
            self.status.update(|s| {
                s.closed = closed.epoch;
                s.closed_count = closed_count;
                closed.progress.apply(s);
            });
            for waiter in closed.waiters {
                // A session that is gone needs no answer; its writes stay.
                waiter.send(Ok(closed.epoch)).ok();
            }
        }
        if let Some(cut_at) = cut_at {
            self.pace.learn(taken.rows, taken.is_full, cut_at, Instant::now());
        }
    }

    pub(super) fn finish_view(&mut self, id: RelationId, state: ViewState) {
        let Some(view) = self.views.get_mut(&id) else { return };
        let answer = match &state {
            ViewState::Failed(error) => Err(error.clone()),
            ViewState::CatchingUp | ViewState::Live => Ok(()),
        };
        self.status.update(|s| {
            s.views.insert(id, ViewStatus { state });
        });
        if let Some(waiting) = view.waiting.take() {
            waiting.send(answer).ok();
        }
    }

    /// A new epoch: the clock's, or one more than the last where the clock stands or went back.
    pub(super) fn next_epoch(&mut self) -> Epoch {
        self.newest = self.newest.next().max(clock());
        self.newest
    }

    pub(super) fn watch_closed(&self) -> watch::Receiver<Epoch> {
        self.closed.subscribe()
    }

    pub(super) fn begin_stop(&mut self, done: oneshot::Sender<()>) {
        self.sources.values_mut().for_each(SourceFeed::stop);
        self.stopping = Some(done);
    }

    fn keep_house(&mut self) {
        let now = Instant::now();
        if now < self.next_housekeeping {
            return;
        }
        self.next_housekeeping = now + HOUSEKEEPING;
        let is_clock_followed = self.holds.is_followed() || self.views.values().any(|view| view.follows_clock);
        self.is_clock_due = self.in_flight.is_empty() && is_clock_followed;
        let closed = *self.closed.borrow();
        let oldest = self.holds.oldest(before(closed, self.retention));
        for collection in self.views.values().map(|v| &v.collection) {
            collection.retain_from(oldest);
        }
        for table in self.tables.values() {
            table.collection().retain_from(oldest);
        }
    }
}

/// What `now()` is in an epoch, in microseconds since 1970: epochs are numbered by the clock, and never go back.
pub(super) fn epoch_us(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}

/// The epoch at the other end of a time that ends with this one: epochs are microseconds.
fn before(epoch: Epoch, time: Duration) -> Epoch {
    let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Epoch(epoch.0.saturating_sub(time))
}

/// The epoch that the machine's clock shows: microseconds since 1970.
fn clock() -> Epoch {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Epoch(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
