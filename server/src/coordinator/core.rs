//! The coordinator's thread: its state, its loop, and the cutting of epochs. What changes which relations exist
//! is in `ddl.rs`; what a source contributes to an epoch is in `feed.rs`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender};
use highwater_executor::{Collection, Report, Runtime};
use highwater_storage::{Store, WalEntry};
use highwater_types::{Delta, Epoch, RelationId, SourceWatermark, SqlError, Tick};
use tokio::sync::{oneshot, watch};

use super::feed::SourceFeed;
use super::holds::EpochHolds;
use super::late::late_rows;
use super::progress::Progress;
use super::status::{StatusBoard, ViewState, ViewStatus};
use super::table::{Accepted, TableState};
use super::{Command, Coordinator, MAX_EPOCH_ROWS, MAX_IN_FLIGHT, Writes};

/// How often merged-away versions and idle sources are looked at.
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
    pub(super) status: Arc<StatusBoard>,
    pub(super) tables: HashMap<RelationId, TableState>,
    pub(super) sources: BTreeMap<RelationId, SourceFeed>,
    pub(super) views: HashMap<RelationId, View>,
    pub(super) last_cut: Epoch,
    /// What the next epoch changes of what can be seen.
    pub(super) progress: Progress,
    in_flight: VecDeque<InFlight>,
    stopping: Option<oneshot::Sender<()>>,
    next_housekeeping: Instant,
    closed_count: u64,
}

/// A materialized view, as the coordinator sees it.
pub(super) struct View {
    pub(super) collection: Arc<Collection>,
    pub(super) inputs: Vec<RelationId>,
    /// Told when it has caught up; `None` afterwards.
    pub(super) waiting: Option<oneshot::Sender<Result<(), SqlError>>>,
}

/// An epoch that the workers are computing.
struct InFlight {
    epoch: Epoch,
    progress: Progress,
    waiters: Vec<oneshot::Sender<Result<Epoch, SqlError>>>,
}

/// An epoch being put together.
struct Opening {
    epoch: Epoch,
    writes: Writes,
    waiters: Vec<oneshot::Sender<Result<Epoch, SqlError>>>,
}

impl Core {
    /// Starts the coordinator's thread.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(setup: CoreSetup) -> Result<Coordinator, std::io::Error> {
        let (wake, commands) = crossbeam_channel::unbounded();
        let (closed, closed_receiver) = watch::channel(setup.last_epoch);
        let core = Core {
            store: setup.store,
            runtime: setup.runtime,
            reports: setup.reports,
            commands,
            wake: wake.clone(),
            closed,
            holds: setup.holds,
            status: setup.status,
            tables: HashMap::new(),
            sources: BTreeMap::new(),
            views: HashMap::new(),
            last_cut: setup.last_epoch,
            progress: Progress::default(),
            in_flight: VecDeque::new(),
            stopping: None,
            next_housekeeping: Instant::now(),
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
            if self.in_flight.len() < MAX_IN_FLIGHT {
                self.cut();
            }
            self.keep_house();
            if self.in_flight.is_empty()
                && let Some(done) = self.stopping.take()
            {
                self.runtime.stop();
                return done;
            }
        }
    }

    /// Waits for a reason to do something. With as many epochs in flight as may be, only a report is one.
    fn wait(&self) {
        if self.in_flight.len() < MAX_IN_FLIGHT && self.has_work() {
            return;
        }
        let timeout = self.next_housekeeping.saturating_duration_since(Instant::now());
        let mut select = crossbeam_channel::Select::new();
        select.recv(&self.reports);
        if self.in_flight.len() < MAX_IN_FLIGHT {
            select.recv(&self.commands);
        }
        // A time-out is no error: it is time for housekeeping.
        select.ready_timeout(timeout).ok();
    }

    fn has_work(&self) -> bool {
        !self.commands.is_empty() || self.sources.values().any(SourceFeed::has_rows)
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
        while let Some(front) = self.in_flight.front()
            && front.epoch <= epoch
            && let Some(closed) = self.in_flight.pop_front()
        {
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

    /// Makes an epoch of all commands and rows that have come, if any have.
    fn cut(&mut self) {
        let mut opening = Opening {
            epoch: self.next_epoch(),
            writes: Vec::new(),
            waiters: Vec::new(),
        };
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Commit {
                writes,
                sequenced,
                done,
            } = command
            {
                self.sequence(&mut opening, writes, sequenced, done);
                continue;
            }
            // What exists must not change inside an epoch: the writes so far are an epoch of their own.
            self.close_opening(&mut opening);
            self.obey(command);
            opening.epoch = self.next_epoch();
        }
        self.close_opening(&mut opening);
    }

    /// Logs the opening epoch's writes, adds what the sources have, and hands it all to the workers.
    fn close_opening(&mut self, opening: &mut Opening) {
        let writes = std::mem::take(&mut opening.writes);
        let waiters = std::mem::take(&mut opening.waiters);
        let entries: Vec<WalEntry> = writes
            .iter()
            .map(|(relation, delta)| WalEntry {
                relation: *relation,
                delta: delta.clone(),
            })
            .collect();
        if !entries.is_empty()
            && let Err(error) = self.store.wal().append(opening.epoch, &entries)
        {
            self.take_back(opening.epoch, &writes, waiters, error.into());
            return;
        }
        let mut marks = Vec::new();
        let mut inputs: BTreeMap<RelationId, Vec<Delta>> = BTreeMap::new();
        for (relation, delta) in writes {
            self.advance_table(relation, &delta);
            inputs.entry(relation).or_default().push(delta);
        }
        let mut room = MAX_EPOCH_ROWS;
        let mut moved = !waiters.is_empty();
        for (id, feed) in &mut self.sources {
            let mut deltas = Vec::new();
            let mark = feed.take_rows(&mut room, &mut deltas, &mut self.progress);
            moved |= mark.before != mark.after;
            marks.push(mark);
            if !deltas.is_empty() {
                inputs.entry(*id).or_default().extend(deltas);
            }
        }
        moved |= self.table_marks(&mut marks);
        moved |= !self.progress.is_empty();
        if inputs.is_empty() && !moved {
            return;
        }
        let tick = Tick::new(opening.epoch, wall_us()).with_watermarks(marks);
        self.last_cut = opening.epoch;
        self.status.update(|s| s.cut = opening.epoch);
        self.in_flight.push_back(InFlight {
            epoch: opening.epoch,
            progress: std::mem::take(&mut self.progress),
            waiters,
        });
        self.runtime.tick(tick, inputs.into_iter().collect());
    }

    /// Applies a transaction's writes to its tables, so that the next one sees them, or refuses them.
    fn sequence(
        &mut self,
        opening: &mut Opening,
        writes: Writes,
        sequenced: oneshot::Sender<Result<(), SqlError>>,
        done: oneshot::Sender<Result<Epoch, SqlError>>,
    ) {
        let mut applied: Writes = Vec::with_capacity(writes.len());
        let mut late = Vec::new();
        for (relation, delta) in &writes {
            match self.apply(opening.epoch, *relation, delta) {
                Ok(accepted) => {
                    late.push((*relation, delta, accepted.late));
                    applied.push((*relation, accepted.delta));
                }
                Err(error) => {
                    self.undo(opening.epoch, &applied);
                    sequenced.send(Err(error)).ok();
                    return;
                }
            }
        }
        for (relation, delta, rows) in late {
            self.note_late(relation, delta, &rows);
        }
        opening
            .writes
            .extend(applied.into_iter().filter(|(_, delta)| !delta.is_empty()));
        opening.waiters.push(done);
        sequenced.send(Ok(())).ok();
    }

    fn apply(&self, epoch: Epoch, relation: RelationId, delta: &Delta) -> Result<Accepted, SqlError> {
        let Some(table) = self.tables.get(&relation) else {
            return Err(SqlError::new(
                highwater_types::SqlState::UNDEFINED_TABLE,
                format!("the table with OID {relation} was dropped meanwhile"),
            ));
        };
        table.apply(epoch, delta)
    }

    /// Counts and keeps the late rows of a write.
    fn note_late(&mut self, relation: RelationId, delta: &Delta, rows: &[usize]) {
        if rows.is_empty() {
            return;
        }
        let Some(table) = self.tables.get_mut(&relation) else {
            return;
        };
        if let Some((column, watermark)) = table.lateness() {
            table.count_late(rows.len());
            self.progress.sources.extend(table.progress());
            self.progress
                .late_rows
                .extend(late_rows(relation, delta.batch(), rows, column, watermark));
        }
    }

    fn undo(&self, epoch: Epoch, applied: &Writes) {
        for (relation, delta) in applied.iter().rev() {
            if let Some(table) = self.tables.get(relation)
                && let Err(error) = table.take_back(epoch, delta)
            {
                tracing::error!(%relation, %error, "a refused write could not be taken back");
            }
        }
    }

    fn take_back(
        &self,
        epoch: Epoch,
        writes: &Writes,
        waiters: Vec<oneshot::Sender<Result<Epoch, SqlError>>>,
        error: SqlError,
    ) {
        tracing::error!(%epoch, %error, "the log could not be written; the epoch's writes are refused");
        self.undo(epoch, writes);
        for waiter in waiters {
            waiter.send(Err(error.clone())).ok();
        }
    }

    fn advance_table(&mut self, relation: RelationId, delta: &Delta) {
        if let Some(table) = self.tables.get_mut(&relation)
            && let Err(error) = table.advance(delta)
        {
            tracing::warn!(%relation, %error, "the watermark could not be computed");
        }
    }

    /// Adds the watermarks of tables; answers whether any has moved.
    fn table_marks(&mut self, marks: &mut Vec<SourceWatermark>) -> bool {
        let mut moved = false;
        for (id, table) in &mut self.tables {
            if let Some((before, after)) = table.tick_watermark() {
                if before != after {
                    moved = true;
                    self.progress.sources.extend(table.progress());
                }
                marks.push(SourceWatermark {
                    relation: *id,
                    before,
                    after,
                });
            }
        }
        moved
    }

    /// The epoch to cut next: the clock's, or one more than the last where the clock stands or went back.
    pub(super) fn next_epoch(&self) -> Epoch {
        Epoch(self.last_cut.next().0.max(u64::try_from(wall_us()).unwrap_or_default()))
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
        let closed = *self.closed.borrow();
        let oldest = self.holds.oldest(closed);
        for collection in self.views.values().map(|v| &v.collection) {
            collection.retain_from(oldest);
        }
        for table in self.tables.values() {
            table.collection().retain_from(oldest);
        }
    }
}

/// Microseconds since 1970, by the machine's clock.
pub(super) fn wall_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
