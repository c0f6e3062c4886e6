//! A session: one client's transactions, settings and statements. What the protocol's front end (`pg/`) calls, and
//! all that it calls, is here; nothing here knows the protocol.
//!
//! Life of a statement: [`Session::prepare`] plans it, [`Session::execute`] runs it and answers an [`Outcome`],
//! whose rows are pulled by the caller: dropping a future or a stream is how a statement is cancelled, as long as
//! [`Session::commitment`] is not made. An error
//! outside is told to the session with [`Session::fail`]. [`Session::declared_types`] and [`Session::evaluate`] are the
//! types of PREPARE and the arguments of EXECUTE, whose syntax the front end does not look into. Statements that concern the connection alone (cursors,
//! PREPARE and EXECUTE, LISTEN and NOTIFY) never come here; DISCARD comes for the settings' part of it.

mod block;
mod command;
mod commitment;
mod copy;
mod ddl;
mod direct;
mod execute;
mod explain;
mod explain_watermark;
mod functions;
mod isolation;
mod lock;
mod read;
pub mod settings;
mod show;
mod snapshot;
mod subscribe;
mod system;
mod transaction;
mod write;

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use highwater_parser::CopyFormat;
use highwater_planner::catalog::Relation;
use highwater_types::SqlError;

use crate::pg::{Backends, Notifier};

pub use crate::database::Database;
pub use commitment::Commitment;
pub use execute::{Prepared, Session, context_for};
pub use highwater_planner::OutputColumn;
pub use subscribe::SUBSCRIBE_TAG;

/// What a client says when it connects.
#[derive(Debug, Clone)]
pub struct Startup {
    /// Who it is; authenticated.
    pub user: String,
    /// The database it wants.
    pub database: String,
    /// Settings of its startup packet.
    pub settings: Vec<(String, String)>,
    /// The number by which it can be cancelled, `pg_backend_pid()`.
    pub pid: i32,
    /// The other sessions.
    pub peers: Peers,
}

/// What sessions know of each other.
#[derive(Debug, Clone)]
pub struct Peers {
    /// Everyone who is connected.
    pub backends: Arc<Backends>,
    /// Who listens to what.
    pub notifier: Arc<Notifier>,
}

/// Where a session stands between statements. An implicit transaction counts as [`TransactionStatus::Idle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// In no transaction block.
    Idle,
    /// In a transaction block.
    Open,
    /// In a transaction block in which a statement has failed.
    Failed,
}

/// What executing a statement came to.
pub enum Outcome {
    /// Rows to pull.
    Rows {
        /// Their columns.
        columns: Arc<[OutputColumn]>,
        /// The rows.
        stream: SendableRecordBatchStream,
        /// The command tag, without the count where it has one: `SELECT`, `INSERT 0`, `SHOW`.
        tag: &'static str,
    },
    /// Nothing to pull.
    Done {
        /// The whole command tag.
        tag: String,
    },
    /// COPY FROM STDIN: rows to push.
    CopyIn(CopyIn),
    /// COPY TO STDOUT: rows to pull.
    CopyOut {
        /// Their columns.
        columns: Arc<[OutputColumn]>,
        /// The rows.
        stream: SendableRecordBatchStream,
        /// How they are written.
        format: CopyFormat,
    },
    /// The statement said nothing.
    Empty,
}

/// COPY FROM STDIN under way: the rows so far. Handed to [`Session::finish_copy`] when there are no more; dropping
/// it instead discards them all.
pub struct CopyIn {
    /// The columns that each row gives, in order.
    pub columns: Arc<[OutputColumn]>,
    /// How rows are written.
    pub format: CopyFormat,
    table: Arc<Relation>,
    positions: Vec<usize>,
    batches: Vec<RecordBatch>,
}

impl CopyIn {
    /// A copy of these columns, which stand at these positions in the table.
    pub(crate) fn new(
        table: Arc<Relation>,
        positions: Vec<usize>,
        columns: Arc<[OutputColumn]>,
        format: CopyFormat,
    ) -> CopyIn {
        CopyIn {
            columns,
            format,
            table,
            positions,
            batches: Vec::new(),
        }
    }

    /// The table's name, for error messages.
    pub fn relation(&self) -> &str {
        &self.table.name
    }

    /// Adds rows of [`CopyIn::columns`].
    ///
    /// # Errors
    /// When there is no room for more.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<(), SqlError> {
        self.batches.push(batch);
        Ok(())
    }

    /// The table, the columns' positions in it, and all rows.
    pub(crate) fn into_rows(self) -> (Arc<Relation>, Vec<usize>, Vec<RecordBatch>) {
        (self.table, self.positions, self.batches)
    }
}
