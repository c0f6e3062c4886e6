//! What concurrent transactions may see of each other.
//!
//! Every level reads at one closed epoch, from BEGIN's first statement on. What has come to exist since can be read in
//! READ COMMITTED, which goes on at the newest epoch then; in the others it is `40001`. Locks are a table's, taken by what changes
//! or deletes rows, and waited for; a circle of waits is `40P01`.
//!
//! * READ COMMITTED (the default): UPDATE and DELETE find their rows among the newest committed ones, and from then on
//!   the transaction sees that table at its newest. Nothing that is computed in SQL is lost.
//! * REPEATABLE READ: they find their rows in the transaction's epoch; a row that another transaction has changed
//!   since is `40001`, so what the client has computed from its reads is not lost either.
//! * SERIALIZABLE: besides, a table that the transaction has read, itself or through views, and that has changed
//!   before it commits its writes, is `40001`: no write skew. Sources are no transactions and do not count.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use highwater_planner::catalog::{Catalog, Relation, RelationKind};
use highwater_types::{RelationId, SqlError, SqlState};

use super::Session;
use super::settings::Scope;
use super::write::{encode_keys, key_columns};

/// The level of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// READ COMMITTED, and READ UNCOMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    Snapshot,
    /// SERIALIZABLE.
    Serializable,
}

impl Session {
    /// SET TRANSACTION, and the modes of BEGIN.
    pub(super) fn set_transaction_modes(&mut self, modes: &[String]) -> Result<(), SqlError> {
        if modes.iter().any(|mode| mode.to_ascii_uppercase().contains("ISOLATION")) {
            self.check_level_is_open()?;
        }
        if !modes.is_empty() {
            self.settings.set("transaction", modes, Scope::Local)?;
        }
        self.follow_modes();
        Ok(())
    }

    /// The level is settled with the first query.
    ///
    /// # Errors
    /// `25001` when there has been one.
    pub(super) fn check_level_is_open(&mut self) -> Result<(), SqlError> {
        if self.transaction().has_begun() {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION ISOLATION LEVEL must be called before any query",
            ));
        }
        Ok(())
    }

    /// Has the transaction be what its settings say, however they were set: its level up to its first query.
    pub(super) fn follow_modes(&mut self) {
        let read_only = self.settings.is_on("transaction_read_only");
        let isolation = match self.settings.value("transaction_isolation") {
            "serializable" => Isolation::Serializable,
            "repeatable read" => Isolation::Snapshot,
            _ => Isolation::ReadCommitted,
        };
        let transaction = self.transaction();
        let settled = transaction.has_begun().then(|| transaction.isolation());
        transaction.set_modes(settled.unwrap_or(isolation), read_only);
    }

    /// The tables that a statement which changes `table` reads at their newest rows.
    pub(super) fn read_at_newest(&mut self, table: RelationId) -> Vec<RelationId> {
        match self.transaction().isolation() {
            Isolation::ReadCommitted => vec![table],
            Isolation::Snapshot | Isolation::Serializable => Vec::new(),
        }
    }

    /// Rows found in the transaction's epoch must still be what they were. The table is locked.
    ///
    /// # Errors
    /// `40001` when one is not.
    pub(super) fn check_unchanged(&mut self, table: &Relation, rows: &RecordBatch) -> Result<(), SqlError> {
        if self.transaction().isolation() == Isolation::ReadCommitted || rows.num_rows() == 0 {
            return Ok(());
        }
        let keys = table.key.as_ref().map(|key| key_columns(rows, key));
        let newest = self.stored_now(table, keys.as_deref())?;
        require(&[newest], rows)
    }

    /// Rows found among the newest must be in the transaction's epoch as well.
    ///
    /// # Errors
    /// `40001` when one is not.
    pub(super) fn check_in_snapshot(&mut self, table: &Relation, rows: &RecordBatch) -> Result<(), SqlError> {
        let Some(key) = table.key.clone().filter(|_| rows.num_rows() > 0) else {
            return Ok(());
        };
        if self.transaction().isolation() == Isolation::ReadCommitted {
            return Ok(());
        }
        let keys = key_columns(rows, &key);
        match self.provider(table.id, &[])?.rows_of_key(&keys, None)? {
            Some(seen) => require(&seen, rows),
            None => Ok(()),
        }
    }
}

/// `needed` must be among `there`.
fn require(there: &[RecordBatch], needed: &RecordBatch) -> Result<(), SqlError> {
    let all: Vec<usize> = (0..needed.num_columns()).collect();
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for batch in there {
        for row in encode_keys(batch, &all)? {
            *counts.entry(row).or_default() += 1;
        }
    }
    for row in encode_keys(needed, &all)? {
        match counts.get_mut(&row) {
            Some(count) if *count > 0 => *count -= 1,
            Some(_) | None => {
                return Err(concurrent_update());
            }
        }
    }
    Ok(())
}

/// Rows that a transaction builds on are not what they were.
pub(crate) fn concurrent_update() -> SqlError {
    SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to concurrent update",
    )
    .with_hint("Run the transaction again.")
}

/// The tables that relations are made of.
pub fn tables_under(catalog: &Catalog, relations: impl IntoIterator<Item = RelationId>) -> Vec<RelationId> {
    let mut open: Vec<RelationId> = relations.into_iter().collect();
    let mut seen: BTreeSet<RelationId> = open.iter().copied().collect();
    let mut tables = Vec::new();
    while let Some(id) = open.pop() {
        let Some(relation) = catalog.relation(id).map(Arc::as_ref) else {
            continue;
        };
        if matches!(relation.kind, RelationKind::Table { .. }) {
            tables.push(id);
        }
        open.extend(relation.depends_on.iter().filter(|id| seen.insert(**id)));
    }
    tables
}
