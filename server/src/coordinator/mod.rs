//! The coordinator: the one thread that cuts epochs. It takes in commits, source rows and DDL in one order, makes
//! an epoch of whatever has come since the last one, has it logged, hands it to the workers, and tells those who
//! wait when it is closed.
//!
//! ```text
//! session ── Command ──► Core ── apply to tables, log, tick ──► Runtime ── Report::Closed ──► Core ──► waiters
//! source reader ── rows ─┘
//! ```
//!
//! An epoch is cut as soon as there is input and fewer than [`MAX_IN_FLIGHT`] epochs are being computed: a quiet
//! server has tiny epochs, a loaded one large ones. The coordinator computes no view and parses no record.

mod backfill;
mod core;
mod ddl;
mod epoch;
mod feed;
mod holds;
mod late;
mod locks;
mod log;
mod progress;
mod reader;
mod source;
mod status;
mod table;

use std::sync::Arc;

use highwater_connectors::SourceSpec;
use highwater_executor::{Collection, Projection};
use highwater_planner::ViewPlan;
use highwater_planner::catalog::Relation;
use highwater_types::{Delta, Epoch, RelationId, SqlError, SqlState};
use tokio::sync::{oneshot, watch};

pub use self::core::{Core, CoreSetup};
pub use holds::{EpochHold, EpochHolds};
pub use locks::{TableLocks, TransactionId, TransactionIds};
pub use source::RowShape;
pub use status::{DeadRow, LateRow, SourceState, SourceStatus, Status, StatusBoard, ViewState, ViewStatus};

/// How many epochs may be computed at a time.
pub const MAX_IN_FLIGHT: usize = 2;
/// How many source rows one epoch takes at most.
pub const MAX_EPOCH_ROWS: usize = 512 * 1024;

/// What a transaction writes: net changes per table, in any order of tables.
pub type Writes = Vec<(RelationId, Delta)>;

/// What a serializable transaction has read: none of it may have changed when its writes are applied.
#[derive(Debug, Clone)]
pub struct ReadSet {
    /// The epoch that it read at.
    pub at: Epoch,
    /// The tables, also those that it read through views.
    pub tables: Vec<RelationId>,
}

/// A request to the coordinator.
pub enum Command {
    /// Apply a transaction's writes as a whole.
    Commit {
        /// What it writes.
        writes: Writes,
        /// What must not have changed.
        reads: Option<ReadSet>,
        /// Told as soon as the writes have their place in the order (or are refused): locks may go.
        sequenced: oneshot::Sender<Result<(), SqlError>>,
        /// Told when the writes are durable and visible in every dependent view.
        done: oneshot::Sender<Result<Epoch, SqlError>>,
    },
    /// A table now exists.
    CreateTable {
        /// Which one.
        relation: Arc<Relation>,
        /// Its rows.
        collection: Arc<Collection>,
        /// What computes its watermark.
        watermark: Option<Projection>,
        /// Told when it takes writes.
        done: oneshot::Sender<Result<(), SqlError>>,
    },
    /// A source now exists. It is read once a view reads it, and fails then if it cannot be.
    CreateSource {
        /// Which one.
        relation: Arc<Relation>,
        /// How to connect to it.
        spec: SourceSpec,
        /// What makes rows of its records.
        shape: Arc<RowShape>,
        /// Told when views can read it.
        done: oneshot::Sender<Result<(), SqlError>>,
    },
    /// A materialized view now exists.
    CreateView {
        /// Which one.
        relation: Arc<Relation>,
        /// What it computes.
        plan: Arc<ViewPlan>,
        /// Its rows.
        collection: Arc<Collection>,
        /// Told when it has caught up.
        done: oneshot::Sender<Result<(), SqlError>>,
    },
    /// These relations are gone: dependents before what they depend on.
    Drop {
        /// Which ones.
        relations: Vec<RelationId>,
        /// Told when no dataflow reads or writes them any more.
        done: oneshot::Sender<Result<(), SqlError>>,
    },
    /// A view's history could not be read.
    ViewFailed {
        /// Which one.
        view: RelationId,
        /// Why.
        error: SqlError,
    },
    /// A source has rows waiting.
    SourceReady,
    /// Finish the epochs in flight and stop.
    Stop {
        /// Told when the last epoch is closed and the workers are gone.
        done: oneshot::Sender<()>,
    },
}

/// The way to the coordinator. Cheap to clone.
#[derive(Clone)]
pub struct Coordinator {
    commands: crossbeam_channel::Sender<Command>,
    closed: watch::Receiver<Epoch>,
}

impl Coordinator {
    /// Applies writes. `release` is called once they have their place in the order of commits; the answer comes
    /// when they are durable and in every dependent view, with the epoch at which they are.
    ///
    /// # Errors
    /// When a constraint is broken, what was read has changed, or they cannot be made durable; then nothing is applied.
    pub async fn commit(
        &self,
        writes: Writes,
        reads: Option<ReadSet>,
        release: impl FnOnce(),
    ) -> Result<Epoch, SqlError> {
        let (sequenced, was_sequenced) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        self.send(Command::Commit {
            writes,
            reads,
            sequenced,
            done,
        })?;
        let order = was_sequenced.await;
        release();
        order.map_err(|_| stopped())??;
        is_done.await.map_err(|_| stopped())?
    }

    /// Sends a command that `make` builds around the reply's sender, and waits for the reply.
    ///
    /// # Errors
    /// What the coordinator answers, or `57P01` when it has stopped.
    pub async fn request<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, SqlError>>) -> Command,
    ) -> Result<T, SqlError> {
        let (done, is_done) = oneshot::channel();
        self.send(make(done))?;
        is_done.await.map_err(|_| stopped())?
    }

    /// Finishes the epochs in flight and stops the workers.
    pub async fn stop(&self) {
        let (done, is_done) = oneshot::channel();
        if self.send(Command::Stop { done }).is_ok() {
            // An answer that never comes means that the coordinator is gone, which is what was asked for.
            is_done.await.ok();
        }
    }

    /// The newest closed epoch.
    pub fn closed(&self) -> Epoch {
        *self.closed.borrow()
    }

    /// Follows the newest closed epoch.
    pub fn watch_closed(&self) -> watch::Receiver<Epoch> {
        self.closed.clone()
    }

    fn send(&self, command: Command) -> Result<(), SqlError> {
        self.commands.send(command).map_err(|_| stopped())
    }
}

fn stopped() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "the server is shutting down")
}
