//! [`Runtime`]: the worker threads, and the way to them. Nothing here blocks but [`RuntimeHandle::history`], which
//! waits while a view has much history to take in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::Thread;

use crossbeam_channel::Sender;
use highwater_planner::stream::plan::StreamPlan;
use highwater_types::{Delta, Epoch, Fault, RelationId, SqlError, Tick};
use timely::communication::WorkerGuards;

use crate::ExecError;
use crate::chunk::Changes;
use crate::collection::Collection;
use crate::flow::Health;
use crate::worker::{self, Command, Creation, EpochInput};

/// Deltas are cut into parts of at most this many rows.
const PART_ROWS: usize = 64 * 1024;
/// Deltas of at least twice this many rows are cut so that every worker gets a part.
const SHARED_ROWS: usize = 4096;
/// How many rows of history may wait to be taken in by a view.
const HISTORY_ROWS: usize = 1024 * 1024;

/// A view to be computed.
#[derive(Debug, Clone)]
pub struct DataflowSpec {
    /// The view.
    pub view: RelationId,
    /// What it computes.
    pub plan: StreamPlan,
    /// Where its rows go. It has a shard for each worker.
    pub output: Arc<Collection>,
    /// History is applied as this epoch: the newest epoch that has been ticked. Later ticks wait until it is in.
    pub at: Epoch,
    /// The tick of `at`, with the watermarks then in force as `after`.
    pub tick: Tick,
    /// The time zone of its expressions.
    pub time_zone: String,
}

/// What the workers say.
#[derive(Debug, Clone)]
pub enum Report {
    /// This and all earlier ticks are in all live views, on all workers.
    Closed(Epoch),
    /// The view has come up to date, and counts for [`Report::Closed`] from now on.
    CaughtUp(RelationId),
    /// The view has failed. It computes nothing any more, and holds nobody up.
    ViewFailed {
        /// Which view.
        view: RelationId,
        /// Why.
        error: SqlError,
    },
}

/// The stack of a thread that computes expressions: as deep as the parser lets them be nested, in a debug build.
pub const STACK_BYTES: usize = 64 * 1024 * 1024;

/// The worker threads.
pub struct Runtime {
    handle: RuntimeHandle,
    /// `None` once stopped.
    guards: Option<WorkerGuards<()>>,
}

/// The way to the worker threads. Cheap to clone.
#[derive(Clone)]
pub struct RuntimeHandle {
    shared: Arc<Shared>,
}

struct Shared {
    /// Locked while a command goes to all workers, so that all get commands in one order.
    workers: Mutex<Vec<WorkerEnd>>,
    worker_count: usize,
    reports: Sender<Report>,
    /// Whose turn it is to get the next part.
    next_worker: AtomicUsize,
    gauges: Mutex<HashMap<RelationId, Arc<HistoryGauge>>>,
}

struct WorkerEnd {
    commands: Sender<Command>,
    thread: Thread,
}

impl Runtime {
    /// Starts this many worker threads, which say what happens to `reports`.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn start(workers: usize, reports: Sender<Report>) -> Result<Runtime, ExecError> {
        let worker_count = workers.max(1);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..worker_count).map(|_| crossbeam_channel::unbounded()).unzip();
        let config = match worker_count {
            1 => timely::Config::thread(),
            n => timely::Config::process(n),
        };
        let worker_reports = reports.clone();
        let guards = timely::execute(config, move |worker| {
            // timely starts its threads with a stack that deep expressions would overflow.
            stacker::grow(STACK_BYTES, || {
                worker::run(worker, &receivers[worker.index()], worker_reports.clone());
            });
        })
        .map_err(|reason| ExecError::Start { reason })?;
        let ends = senders
            .into_iter()
            .zip(guards.guards())
            .map(|(commands, guard)| WorkerEnd {
                commands,
                thread: guard.thread().clone(),
            });
        let shared = Shared {
            workers: Mutex::new(ends.collect()),
            worker_count,
            reports,
            next_worker: AtomicUsize::new(0),
            gauges: Mutex::default(),
        };
        Ok(Runtime {
            handle: RuntimeHandle {
                shared: Arc::new(shared),
            },
            guards: Some(guards),
        })
    }

    /// The way to the workers, for other threads.
    pub fn handle(&self) -> RuntimeHandle {
        self.handle.clone()
    }

    /// How many workers there are.
    pub fn worker_count(&self) -> usize {
        self.handle.shared.worker_count
    }

    /// Makes a view's dataflow. It waits for the history of each of its inputs.
    pub fn create(&self, dataflow: DataflowSpec) {
        let view = dataflow.view;
        let gauge = Arc::new(HistoryGauge::default());
        self.handle.gauges().insert(view, Arc::clone(&gauge));
        let health = Arc::new(Health::new(view, self.handle.shared.reports.clone()));
        let creation = Arc::new(Creation {
            spec: dataflow,
            health,
            gauge,
        });
        self.handle.to_all(|_| Command::Create(Arc::clone(&creation)));
    }

    /// See [`RuntimeHandle::history`].
    pub fn history(&self, view: RelationId, input: RelationId, delta: Delta) -> bool {
        self.handle.history(view, input, delta)
    }

    /// See [`RuntimeHandle::history_done`].
    pub fn history_done(&self, view: RelationId, input: RelationId) {
        self.handle.history_done(view, input);
    }

    /// Drops a view's dataflow. Views that read it should have been dropped before.
    pub fn drop_dataflow(&self, view: RelationId) {
        if let Some(gauge) = self.handle.gauges().remove(&view) {
            gauge.close();
        }
        self.handle.to_all(|_| Command::Drop(view));
    }

    /// Runs an epoch, later than all before: changes of base relations (tables and sources), and watermarks. Every
    /// view that depends on one of them, or on a watermark that moves, runs.
    pub fn tick(&self, tick: Tick, inputs: Vec<(RelationId, Vec<Delta>)>) {
        let tick = Arc::new(tick);
        let mut changed: Vec<RelationId> = inputs
            .iter()
            .filter(|(_, deltas)| deltas.iter().any(|d| !d.is_empty()))
            .map(|(id, _)| *id)
            .collect();
        changed.sort_unstable();
        changed.dedup();
        let changed: Arc<[RelationId]> = changed.into();
        let mut shares: Vec<Vec<(RelationId, Delta)>> = vec![Vec::new(); self.worker_count()];
        for (relation, deltas) in inputs {
            for delta in deltas {
                self.handle
                    .spread(delta, |worker, part| shares[worker].push((relation, part)));
            }
        }
        self.handle.to_all(|worker| {
            let parts = std::mem::take(&mut shares[worker]);
            Command::Tick(EpochInput {
                tick: Arc::clone(&tick),
                changed: Arc::clone(&changed),
                parts,
            })
        });
    }

    /// Drops all dataflows and ends the threads.
    pub fn stop(self) {
        drop(self);
    }
}

/// A runtime that is dropped has stopped: its threads do not outlive it.
impl Drop for Runtime {
    fn drop(&mut self) {
        let Some(guards) = self.guards.take() else { return };
        self.handle.gauges().drain().for_each(|(_, gauge)| gauge.close());
        self.handle.to_all(|_| Command::Stop);
        for (worker, end) in guards.join().into_iter().enumerate() {
            if let Err(panic) = end {
                tracing::error!(worker, panic, "a worker ended in a panic");
            }
        }
    }
}

impl RuntimeHandle {
    /// Gives a view rows that one of its inputs had at the epoch of creation. Waits while the view has many to take
    /// in. Answers whether it takes any: not any more once it has failed or was dropped.
    pub fn history(&self, view: RelationId, input: RelationId, delta: Delta) -> bool {
        self.send_history(view, input, delta.num_rows(), |handle, send| {
            handle.spread(delta, |worker, part| send(worker, Changes::Rows(part)));
        })
    }

    /// Waits while a view has much history to take in; answers whether it takes any. For whoever has none to give just
    /// now, and would go on for nobody.
    pub fn takes_history(&self, view: RelationId) -> bool {
        let gauge = self.gauges().get(&view).cloned();
        gauge.is_some_and(|gauge| gauge.wait_and_add(0))
    }

    /// Gives a view the faults that one of its inputs had at the epoch of creation.
    pub fn history_faults(&self, view: RelationId, input: RelationId, faults: Vec<(Fault, i64)>) {
        self.send_history(view, input, faults.len(), |_, send| {
            send(0, Changes::Faults(faults.into()))
        });
    }

    /// There is no more history of this input.
    pub fn history_done(&self, view: RelationId, input: RelationId) {
        self.to_all(|_| Command::HistoryDone { view, input });
    }

    fn send_history(
        &self,
        view: RelationId,
        input: RelationId,
        count: usize,
        share: impl FnOnce(&RuntimeHandle, &mut dyn FnMut(usize, Changes)),
    ) -> bool {
        let Some(gauge) = self.gauges().get(&view).cloned() else {
            return false;
        };
        if !gauge.wait_and_add(count) {
            return false;
        }
        if count > 0 {
            share(self, &mut |worker, changes| {
                self.to_one(worker, Command::History { view, input, changes })
            });
        }
        true
    }

    /// Cuts a delta into parts and deals them out.
    fn spread(&self, delta: Delta, mut deal: impl FnMut(usize, Delta)) {
        let workers = self.shared.worker_count;
        let fair = delta.num_rows().div_ceil(workers).max(SHARED_ROWS);
        let part_rows = fair.min(PART_ROWS);
        let mut offset = 0;
        while offset < delta.num_rows() {
            let rest = delta.num_rows() - offset;
            // A small rest goes with the last part.
            let length = if rest < part_rows + SHARED_ROWS {
                rest
            } else {
                part_rows
            };
            let worker = self.shared.next_worker.fetch_add(1, Ordering::Relaxed) % workers;
            deal(worker, delta.slice(offset, length));
            offset += length;
        }
    }

    fn to_all(&self, mut command: impl FnMut(usize) -> Command) {
        let workers = self.workers();
        for (index, worker) in workers.iter().enumerate() {
            worker.send(command(index));
        }
    }

    fn to_one(&self, worker: usize, command: Command) {
        self.workers()[worker].send(command);
    }

    fn workers(&self) -> MutexGuard<'_, Vec<WorkerEnd>> {
        self.shared
            .workers
            .lock()
            .expect("no code panics while it sends commands")
    }

    fn gauges(&self) -> MutexGuard<'_, HashMap<RelationId, Arc<HistoryGauge>>> {
        self.shared
            .gauges
            .lock()
            .expect("no code panics while it holds the gauges")
    }
}

impl WorkerEnd {
    fn send(&self, command: Command) {
        // A worker that has stopped needs no commands.
        if self.commands.send(command).is_ok() {
            self.thread.unpark();
        }
    }
}

/// How much history a view has yet to take in.
#[derive(Debug, Default)]
pub(crate) struct HistoryGauge {
    rows: Mutex<WaitingRows>,
    has_room: Condvar,
}

#[derive(Debug, Default)]
struct WaitingRows {
    count: usize,
    is_closed: bool,
}

impl HistoryGauge {
    /// Waits for room and takes it; `false` when the view takes no history any more.
    fn wait_and_add(&self, count: usize) -> bool {
        let mut rows = self.rows();
        while rows.count > HISTORY_ROWS && !rows.is_closed {
            rows = self.has_room.wait(rows).expect("no code panics while it holds a gauge");
        }
        rows.count += count;
        !rows.is_closed
    }

    /// More waits than was sent: several ports read it.
    pub(crate) fn add(&self, count: usize) {
        self.rows().count += count;
    }

    /// So much has been taken in.
    pub(crate) fn sub(&self, count: usize) {
        let mut rows = self.rows();
        rows.count = rows.count.saturating_sub(count);
        self.has_room.notify_all();
    }

    /// Nobody takes history in any more: nobody need wait.
    pub(crate) fn close(&self) {
        self.rows().is_closed = true;
        self.has_room.notify_all();
    }

    fn rows(&self) -> MutexGuard<'_, WaitingRows> {
        self.rows.lock().expect("no code panics while it holds a gauge")
    }
}
