//! [`Transaction`]: what a session has read and written since BEGIN (or in one statement). Writes are kept as
//! deltas in the order of their statements until COMMIT hands them to the coordinator as a whole; a savepoint is
//! a place in that order.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::Utc;
use highwater_executor::ExecError;
use highwater_types::{Delta, Epoch, RelationId, SqlError, SqlState};

use super::isolation::{Isolation, tables_under};
use crate::coordinator::{EpochHold, LockHolder, ReadSet, Writes};
use crate::database::Database;

/// An open transaction.
pub(crate) struct Transaction {
    database: Arc<Database>,
    kind: TransactionKind,
    /// What `now()` answers, in microseconds since 1970.
    started_us: i64,
    isolation: Isolation,
    read_only: bool,
    /// What it has read, if it must be serializable.
    reads: BTreeSet<RelationId>,
    /// Every statement reads at this epoch; taken by the first one that reads.
    hold: Option<Arc<EpochHold>>,
    writes: Vec<(RelationId, Delta)>,
    savepoints: Vec<(String, usize)>,
    /// Whether it has looked at rows that cannot be seen yet: others' commits that have their place in the order.
    reads_newest: bool,
    /// Its locks. However it ends, they go.
    locks: Option<LockHolder>,
}

/// How a transaction came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionKind {
    /// One statement, or the statements of one message up to Sync.
    Implicit,
    /// BEGIN.
    Block,
}

impl Transaction {
    /// A transaction that has done nothing.
    pub(crate) fn new(database: Arc<Database>, kind: TransactionKind) -> Transaction {
        Transaction {
            database,
            kind,
            started_us: Utc::now().timestamp_micros(),
            isolation: Isolation::ReadCommitted,
            read_only: false,
            reads: BTreeSet::new(),
            hold: None,
            writes: Vec::new(),
            savepoints: Vec::new(),
            reads_newest: false,
            locks: None,
        }
    }

    /// How it came to be.
    pub(crate) fn kind(&self) -> TransactionKind {
        self.kind
    }

    /// What `now()` answers in it, in microseconds since 1970.
    pub(crate) fn started_us(&self) -> i64 {
        self.started_us
    }

    /// Makes an implicit transaction a block: BEGIN inside a string of statements.
    pub(crate) fn make_block(&mut self) {
        self.kind = TransactionKind::Block;
    }

    /// Its level from now on, and whether it refuses writes.
    pub(crate) fn set_modes(&mut self, isolation: Isolation, read_only: bool) {
        self.isolation = isolation;
        self.read_only = read_only;
    }

    /// Its level.
    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Whether a statement has read or written.
    pub(crate) fn has_begun(&self) -> bool {
        self.hold.is_some() || !self.writes.is_empty()
    }

    /// Notes what a statement reads.
    pub(crate) fn note_read(&mut self, relation: RelationId) {
        if self.isolation == Isolation::Serializable {
            self.reads.insert(relation);
        }
    }

    /// The epoch that this transaction reads at.
    pub(crate) fn read_hold(&mut self) -> Arc<EpochHold> {
        Arc::clone(self.hold.get_or_insert_with(|| Arc::new(self.database.hold_newest())))
    }

    /// The epoch that it reads at, if it has read.
    pub(crate) fn held_epoch(&self) -> Option<Epoch> {
        self.hold.as_ref().map(|hold| hold.epoch())
    }

    /// In READ COMMITTED it goes on at the newest epoch.
    pub(crate) fn follow_newest(&mut self) {
        if self.isolation == Isolation::ReadCommitted {
            self.hold = None;
        }
    }

    /// A statement reads what begins at this epoch. In READ COMMITTED it may be younger than the transaction's epoch, and
    /// the transaction goes on at the newest.
    pub(crate) fn reach(&mut self, begin: Epoch) {
        if self.hold.as_ref().is_some_and(|hold| hold.epoch() < begin) {
            self.follow_newest();
        }
    }

    /// What this transaction has changed in a table so far; `None` when nothing.
    ///
    /// # Errors
    /// When deltas of one table differ in their columns, which would be an error of ours.
    pub(crate) fn changes_of(&self, table: RelationId) -> Result<Option<Delta>, SqlError> {
        let deltas: Vec<Delta> = self
            .writes
            .iter()
            .filter(|(id, _)| *id == table)
            .map(|(_, delta)| delta.clone())
            .collect();
        let Some(first) = deltas.first() else { return Ok(None) };
        let sum = Delta::concat(&first.schema(), &deltas).map_err(ExecError::from)?;
        Ok(Some(sum.consolidate().map_err(ExecError::from)?))
    }

    /// The epoch to read a table at: the transaction's own, but in READ COMMITTED the newest for a table in which it
    /// has changed rows, since it holds that table's lock and its changes are relative to the newest rows.
    pub(crate) fn read_epoch(&mut self, table: RelationId) -> Epoch {
        let follows_newest = self.isolation == Isolation::ReadCommitted;
        let retracts = self
            .writes
            .iter()
            .any(|(id, delta)| *id == table && !delta.is_append_only());
        if follows_newest && retracts {
            Epoch::MAX
        } else {
            self.read_hold().epoch()
        }
    }

    /// Waits for the lock of a table whose rows are about to be changed.
    ///
    /// # Errors
    /// `40P01` on a deadlock, `25006` in a read-only transaction.
    pub(crate) async fn lock(&mut self, table: RelationId) -> Result<(), SqlError> {
        self.locks().acquire(table).await
    }

    /// Takes the lock of a table, unless somebody else has it.
    pub(crate) fn try_lock(&mut self, table: RelationId) -> bool {
        self.locks().try_acquire(table)
    }

    fn locks(&mut self) -> &LockHolder {
        let database = &self.database;
        self.locks
            .get_or_insert_with(|| database.locks.holder(database.transactions.next()))
    }

    /// Notes that it reads the newest rows, which others may not see yet.
    pub(crate) fn note_newest(&mut self) {
        self.reads_newest = true;
    }

    /// Refuses to go on in a read-only transaction.
    ///
    /// # Errors
    /// `25006`.
    pub(crate) fn check_writable(&self, command: &str) -> Result<(), SqlError> {
        if self.read_only {
            let message = format!("cannot execute {command} in a read-only transaction");
            return Err(SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        Ok(())
    }

    /// Adds changes of a statement.
    pub(crate) fn write(&mut self, table: RelationId, delta: Delta) {
        if !delta.is_empty() {
            self.writes.push((table, delta));
        }
    }

    /// Remembers this place under a name.
    pub(crate) fn savepoint(&mut self, name: String) {
        self.savepoints.push((name, self.writes.len()));
    }

    /// Forgets a savepoint, and those after it.
    ///
    /// # Errors
    /// `3B001` when there is none of this name.
    pub(crate) fn release(&mut self, name: &str) -> Result<(), SqlError> {
        let at = self.savepoint_index(name)?;
        self.savepoints.truncate(at);
        Ok(())
    }

    /// Takes back what was written after a savepoint, which stays.
    ///
    /// # Errors
    /// `3B001` when there is none of this name.
    pub(crate) fn roll_back_to(&mut self, name: &str) -> Result<(), SqlError> {
        let at = self.savepoint_index(name)?;
        self.writes.truncate(self.savepoints[at].1);
        self.savepoints.truncate(at + 1);
        Ok(())
    }

    /// Makes everything durable and visible.
    ///
    /// # Errors
    /// When a constraint is broken meanwhile, or the log cannot be written: then nothing is applied.
    pub(crate) async fn commit(mut self) -> Result<(), SqlError> {
        let mut writes: Writes = Vec::new();
        let mut tables: Vec<RelationId> = self.writes.iter().map(|(id, _)| *id).collect();
        tables.sort_unstable();
        tables.dedup();
        for table in tables {
            if let Some(delta) = self.changes_of(table)?
                && !delta.is_empty()
            {
                writes.push((table, delta));
            }
        }
        let hold = self.hold.take();
        if writes.is_empty() {
            // That it has written nothing may rest on rows that the client must find when it looks for them.
            if self.reads_newest {
                self.database.coordinator().catch_up().await?;
            }
            return Ok(());
        }
        let reads = hold.filter(|_| !self.reads.is_empty()).map(|hold| ReadSet {
            at: hold.epoch(),
            tables: tables_under(&self.database.world().catalog, self.reads.iter().copied()),
        });
        let locks = self.locks.take();
        let committed = self.database.coordinator().commit(writes, reads, locks);
        committed.await.map(|_| ())
    }

    fn savepoint_index(&self, name: &str) -> Result<usize, SqlError> {
        self.savepoints
            .iter()
            .rposition(|(known, _)| known == name)
            .ok_or_else(|| {
                SqlError::new(
                    SqlState::INVALID_SAVEPOINT_SPECIFICATION,
                    format!("savepoint \"{name}\" does not exist"),
                )
            })
    }
}
