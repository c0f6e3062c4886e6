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
//! server has tiny epochs, a loaded one larger ones, though none that the workers need long for. The coordinator computes
//! no view and parses no record.

mod backfill;
mod core;
mod ddl;
mod epoch;
mod feed;
mod holds;
mod late;
mod locks;
mod log;
mod pace;
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
pub use holds::{EpochHold, EpochHolds, Follower};
pub use locks::{LockHolder, TableLocks, TransactionId, TransactionIds};
pub use source::RowShape;
pub use status::{
    Activity, DeadRow, LateRow, PartitionStatus, SourceState, SourceStatus, Status, StatusBoard, ViewState, ViewStatus,
};

/// How many epochs may be computed at a time.
pub const MAX_IN_FLIGHT: usize = 2;

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

/// Makes a change of what exists durable and visible, or fails and has done nothing.
pub type Publish = Box<dyn FnOnce() -> Result<(), SqlError> + Send>;

/// A request to the coordinator.
pub enum Command {
    /// Apply a transaction's writes as a whole.
    Commit {
        /// What it writes; nothing, to wait for the commits before it.
        writes: Writes,
        /// What must not have changed.
        reads: Option<ReadSet>,
        /// Given back as soon as the writes have their place in the order (or are refused), whoever waits for them.
        locks: Option<LockHolder>,
        /// Told when the writes are durable and visible in every dependent view, or are refused.
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
    /// A table has another definition. It takes over the rows of the former one, if they fit.
    ReplaceTable {
        /// The table as it is now.
        relation: Arc<Relation>,
        /// Where its rows go.
        collection: Arc<Collection>,
        /// What computes its watermark.
        watermark: Option<Projection>,
        /// Makes the definition durable and visible. When it fails, the former one stays.
        publish: Publish,
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
    /// These relations have other names; what else there is to them is as it was.
    Rename {
        /// As they are now.
        relations: Vec<Arc<Relation>>,
        /// Told when errors say the new names.
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
    /// Applies writes; the answer comes when they are durable and in every dependent view, with the epoch at which they
    /// are. They are applied also when nobody waits for the answer.
    ///
    /// # Errors
    /// When a constraint is broken, what was read has changed, or they cannot be made durable; then nothing is applied.
    pub async fn commit(
        &self,
        writes: Writes,
        reads: Option<ReadSet>,
        locks: Option<LockHolder>,
    ) -> Result<Epoch, SqlError> {
        self.request(|done| Command::Commit {
            writes,
            reads,
            locks,
            done,
        })
        .await
    }

    /// Waits until every commit that has its place in the order can be seen.
    ///
    /// # Errors
    /// When one of them cannot be made durable, or the coordinator has stopped.
    pub async fn catch_up(&self) -> Result<Epoch, SqlError> {
        self.commit(Writes::new(), None, None).await
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

    /// A guard for a relation that it is about to be told of.
    pub fn installs(&self, relation: RelationId) -> Installed {
        Installed {
            coordinator: self.clone(),
            relation: Some(relation),
        }
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

/// A relation that the coordinator has been told of, or is about to be, and that nobody can see yet. Dropped, it is
/// gone again: whether it was refused, could not be made durable, or is no longer waited for.
pub struct Installed {
    coordinator: Coordinator,
    relation: Option<RelationId>,
}

impl Installed {
    /// It is there to stay.
    pub fn keep(mut self) {
        self.relation = None;
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some(relation) = self.relation {
            let (done, _) = oneshot::channel();
            let relations = vec![relation];
            // A coordinator that has stopped has nothing left of it.
            self.coordinator.send(Command::Drop { relations, done }).ok();
        }
    }
}

fn stopped() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "the server is shutting down")
}
