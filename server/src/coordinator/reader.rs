//! A source being read: a thread that asks the connector for rows, has them shaped, and puts finished batches into a
//! bounded queue. When the queue is full the thread waits, which is all the back-pressure there is: nothing is
//! dropped.
//!
//! What fails is said, never silent, and stays with its partition: the others go on. What the world outside may mend
//! by itself (a file that is not there, a disk that does not answer) is tried again, ever more slowly.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender};
use highwater_connectors::{
    Connector, ConnectorError, Offset, PartitionId, PartitionReader, ReadStep, SourceBatch, SourceSpec,
};
use highwater_types::{SqlError, SqlState};

use super::source::{RowShape, SourceRows};

/// How many finished batches wait for the coordinator at most.
const QUEUE_BATCHES: usize = 64;
/// Rows asked from a partition at a time.
const READ_ROWS: usize = 8192;
/// How long a thread without rows waits before it asks again; after many times in vain, the longer wait.
const IDLE_WAIT: Duration = Duration::from_millis(5);
const LONG_IDLE_WAIT: Duration = Duration::from_millis(25);
const IDLE_ROUNDS_MAX: u32 = 200;
/// A read that brings less than this had to wait for rows, or would soon.
const FULL_READ_ROWS: usize = READ_ROWS / 2;
/// A source that has not had to wait for this long brings rows as fast as they are read.
const BUSY_AFTER: Duration = Duration::from_millis(250);
/// How long a full queue is waited for before the stop signal is looked at.
const FULL_WAIT: Duration = Duration::from_millis(50);
/// How long after an error the same is tried again: at first, and at most.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(10);
/// Partitions that end by themselves are read so many at a time.
const OPEN_MAX: usize = 64;

/// What a source's thread reports.
#[derive(Debug)]
pub enum SourceEvent {
    /// There are these partitions too. Said before anything is read from them.
    Found(Vec<PartitionId>),
    /// Rows, ready to be applied.
    Rows(SourceRows),
    /// The partition will have no more rows.
    Ended(PartitionId),
    /// Something does not work.
    Failed(Failure),
    /// It works again: the partition, or the source as a whole.
    Recovered(Option<PartitionId>),
}

/// What does not work, and why.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Which partition; `None` is the source as a whole.
    pub partition: Option<PartitionId>,
    /// Why.
    pub error: SqlError,
    /// Whether it will not be tried again.
    pub is_final: bool,
}

/// A running source.
pub struct SourceThread {
    events: Receiver<SourceEvent>,
    stop: Arc<AtomicBool>,
    last_idle: Arc<LastIdle>,
}

impl SourceThread {
    /// Starts reading every partition of a source from `positions` on (from its start where none is given). `ready`
    /// is called whenever there may be something in the queue.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        name: &str,
        spec: SourceSpec,
        shape: Arc<RowShape>,
        positions: BTreeMap<PartitionId, Offset>,
        ready: impl Fn() + Send + 'static,
    ) -> Result<SourceThread, std::io::Error> {
        let (sender, events) = crossbeam_channel::bounded(QUEUE_BATCHES);
        let stop = Arc::new(AtomicBool::new(false));
        let last_idle = Arc::new(LastIdle::now());
        let reader = ReadLoop {
            spec,
            shape,
            positions,
            outbox: Outbox {
                sender,
                stop: Arc::clone(&stop),
                ready,
            },
            partitions: Vec::new(),
            search: None,
            last_idle: Arc::clone(&last_idle),
        };
        std::thread::Builder::new()
            .name(format!("source {name}"))
            .spawn(move || reader.run())?;
        Ok(SourceThread {
            events,
            stop,
            last_idle,
        })
    }

    /// A source that has read these, and reads no more.
    #[cfg(test)]
    pub(super) fn with_events(list: Vec<SourceEvent>) -> SourceThread {
        let (sender, events) = crossbeam_channel::bounded(QUEUE_BATCHES);
        for event in list {
            sender.send(event).expect("there is room");
        }
        SourceThread {
            events,
            stop: Arc::default(),
            last_idle: Arc::new(LastIdle::now()),
        }
    }

    /// The next event, when there is one.
    pub fn next_event(&self) -> Option<SourceEvent> {
        self.events.try_recv().ok()
    }

    /// Whether an event is waiting.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether it brings rows as fast as they are taken, and has no pace of its own.
    pub fn is_at_full_speed(&self) -> bool {
        self.last_idle.elapsed() > BUSY_AFTER
    }
}

impl Drop for SourceThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// When a thread last had to wait for rows.
#[derive(Debug)]
struct LastIdle {
    started: Instant,
    /// In milliseconds since then.
    at_ms: AtomicU64,
}

impl LastIdle {
    fn now() -> LastIdle {
        LastIdle {
            started: Instant::now(),
            at_ms: AtomicU64::new(0),
        }
    }

    fn note(&self) {
        let now_ms = self.started.elapsed().as_millis() as u64;
        self.at_ms.store(now_ms, Ordering::Relaxed);
    }

    /// From now on it is idle: it has ended.
    fn note_for_good(&self) {
        self.at_ms.store(u64::MAX, Ordering::Relaxed);
    }

    fn elapsed(&self) -> Duration {
        let at = Duration::from_millis(self.at_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(at)
    }
}

struct ReadLoop<R> {
    spec: SourceSpec,
    shape: Arc<RowShape>,
    positions: BTreeMap<PartitionId, Offset>,
    outbox: Outbox<R>,
    partitions: Vec<Partition>,
    /// Set while the search for partitions fails.
    search: Option<Retry>,
    last_idle: Arc<LastIdle>,
}

/// Where events go.
struct Outbox<R> {
    sender: Sender<SourceEvent>,
    stop: Arc<AtomicBool>,
    ready: R,
}

/// A partition, in the order in which they were found.
struct Partition {
    id: PartitionId,
    /// `None` before it is opened, and when it is over.
    reader: Option<Box<dyn PartitionReader>>,
    is_over: bool,
    /// Set while it fails.
    retry: Option<Retry>,
}

/// What a read from a partition has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There was nothing.
    Idle,
    /// There was something, but less than it might have been.
    Some,
    /// There was as much as is read at a time, or nearly.
    Full,
}

/// When something is tried again.
#[derive(Debug, Clone, Copy)]
struct Retry {
    at: Instant,
    delay: Duration,
}

impl Retry {
    /// After the first failure, or one more.
    fn after(former: Option<Retry>) -> Retry {
        let delay = former.map_or(FIRST_RETRY, |retry| (retry.delay * 2).min(LAST_RETRY));
        Retry {
            at: Instant::now() + delay,
            delay,
        }
    }

    fn is_due(retry: Option<Retry>) -> bool {
        retry.is_none_or(|retry| Instant::now() >= retry.at)
    }
}

impl<R: Fn()> ReadLoop<R> {
    fn run(mut self) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.read_all())) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or_default();
            let message = format!("the connector has panicked: {text}");
            self.outbox
                .fail(None, SqlError::new(SqlState::INTERNAL_ERROR, message), true);
        }
        self.last_idle.note_for_good();
    }

    /// Reads until there is nothing more to come, or the source is stopped.
    fn read_all(&mut self) {
        let Some(mut connector) = self.connect() else { return };
        let mut idle_rounds = 0;
        while !self.outbox.is_stopped() {
            if !self.find_partitions(connector.as_mut()) {
                return;
            }
            let (mut had_rows, mut is_full) = (false, false);
            for index in 0..self.partitions.len() {
                let turn = self.turn(connector.as_ref(), index);
                had_rows |= turn != Turn::Idle;
                is_full |= turn == Turn::Full;
            }
            if self.partitions.iter().all(|p| p.is_over) && !connector.may_grow() {
                return;
            }
            idle_rounds = if had_rows {
                0
            } else {
                (idle_rounds + 1).min(IDLE_ROUNDS_MAX)
            };
            if !is_full {
                self.last_idle.note();
            }
            match idle_rounds {
                0 => {}
                IDLE_ROUNDS_MAX => std::thread::park_timeout(LONG_IDLE_WAIT),
                _ => std::thread::park_timeout(IDLE_WAIT),
            }
        }
    }

    /// Connects, again and again where that may help; `None` when it does not.
    fn connect(&mut self) -> Option<Box<dyn Connector>> {
        let mut retry = None;
        while !self.outbox.is_stopped() {
            self.last_idle.note();
            if !Retry::is_due(retry) {
                std::thread::park_timeout(IDLE_WAIT);
                continue;
            }
            match highwater_connectors::connect(&self.spec) {
                Ok(connector) => {
                    if retry.is_some() {
                        self.outbox.send(SourceEvent::Recovered(None));
                    }
                    return Some(connector);
                }
                Err(error) => {
                    let is_final = !error.may_pass();
                    self.outbox.fail(None, error.into(), is_final);
                    if is_final {
                        return None;
                    }
                    retry = Some(Retry::after(retry));
                }
            }
        }
        None
    }

    /// Takes new partitions in; `false` when that fails for good.
    fn find_partitions(&mut self, connector: &mut dyn Connector) -> bool {
        if !Retry::is_due(self.search) {
            return true;
        }
        match connector.partitions() {
            Ok(found) => {
                if self.search.take().is_some() {
                    self.outbox.send(SourceEvent::Recovered(None));
                }
                // Partitions are only ever added, at the end.
                let new: Vec<PartitionId> = found.get(self.partitions.len()..).unwrap_or_default().to_vec();
                if new.is_empty() {
                    return true;
                }
                self.partitions.extend(new.iter().map(|id| Partition {
                    id: id.clone(),
                    reader: None,
                    is_over: false,
                    retry: None,
                }));
                self.outbox.send(SourceEvent::Found(new));
                true
            }
            Err(error) => {
                let is_final = !error.may_pass();
                self.outbox.fail(None, error.into(), is_final);
                self.search = Some(Retry::after(self.search));
                !is_final
            }
        }
    }

    /// Reads once from a partition.
    fn turn(&mut self, connector: &dyn Connector, index: usize) -> Turn {
        let partition = &self.partitions[index];
        if partition.is_over || !Retry::is_due(partition.retry) {
            return Turn::Idle;
        }
        let is_new = partition.reader.is_none();
        let is_crowded = || self.partitions.iter().filter(|p| p.reader.is_some()).count() >= OPEN_MAX;
        if is_new && !connector.may_grow() && is_crowded() {
            return Turn::Idle;
        }
        let partition = &mut self.partitions[index];
        let step = match partition.read(connector, &self.positions) {
            Ok(step) => step,
            Err(error) => {
                partition.is_over = !error.may_pass();
                partition.retry = Some(Retry::after(partition.retry));
                self.outbox
                    .fail(Some(partition.id.clone()), error.into(), partition.is_over);
                return Turn::Idle;
            }
        };
        if partition.retry.take().is_some() {
            self.outbox.send(SourceEvent::Recovered(Some(partition.id.clone())));
        }
        match step {
            ReadStep::Idle => Turn::Idle,
            ReadStep::End => {
                partition.reader = None;
                partition.is_over = true;
                self.outbox.send(SourceEvent::Ended(partition.id.clone()));
                Turn::Some
            }
            ReadStep::Rows(rows) => self.ship(index, rows),
        }
    }

    /// Hands rows on to the coordinator.
    fn ship(&mut self, index: usize, read: SourceBatch) -> Turn {
        let turn = match read.batch.num_rows() + read.dead.len() {
            FULL_READ_ROWS.. => Turn::Full,
            _ => Turn::Some,
        };
        let partition = &mut self.partitions[index];
        let end = partition.reader.as_ref().and_then(|reader| reader.end());
        match self.shape.shape(&partition.id, read, end) {
            Ok(rows) => self.outbox.send(SourceEvent::Rows(rows)),
            Err(error) => {
                partition.is_over = true;
                partition.reader = None;
                self.outbox.fail(Some(partition.id.clone()), error.into(), true);
            }
        }
        turn
    }
}

impl Partition {
    fn read(
        &mut self,
        connector: &dyn Connector,
        positions: &BTreeMap<PartitionId, Offset>,
    ) -> Result<ReadStep, ConnectorError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            closed => {
                let from = positions.get(&self.id).copied().unwrap_or_default();
                closed.insert(connector.open(&self.id, from, None)?)
            }
        };
        reader.read(READ_ROWS)
    }
}

impl<R: Fn()> Outbox<R> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits for a place in the queue, unless the source is stopped.
    fn send(&self, event: SourceEvent) {
        let mut event = event;
        while !self.is_stopped() {
            match self.sender.send_timeout(event, FULL_WAIT) {
                Ok(()) => return (self.ready)(),
                Err(SendTimeoutError::Timeout(back)) => event = back,
                Err(SendTimeoutError::Disconnected(_)) => return,
            }
        }
    }

    fn fail(&self, partition: Option<PartitionId>, error: SqlError, is_final: bool) {
        self.send(SourceEvent::Failed(Failure {
            partition,
            error,
            is_final,
        }));
    }
}
