//! LOCK TABLE: the transaction takes a table's lock before it has anything to change there, and from then on knows
//! the newest rows. Whatever changes or deletes rows, INSERT ... ON CONFLICT and other LOCK TABLEs wait; a plain INSERT
//! does not.

use highwater_parser::LockTable;
use highwater_types::{RelationId, SqlError, SqlState};

use super::Session;
use super::isolation::tables_under;

/// PostgreSQL's code for a lock that is not waited for.
const LOCK_NOT_AVAILABLE: SqlState = SqlState("55P03");

impl Session {
    /// Takes the locks of tables, and of those under views.
    ///
    /// # Errors
    /// `25P01` outside of a transaction block; `55P03` with NOWAIT when one is taken; `40P01` on a deadlock.
    pub(super) async fn lock_tables(&mut self, lock: &LockTable) -> Result<(), SqlError> {
        self.block("LOCK TABLE")?;
        let named: Vec<RelationId> = lock
            .names
            .iter()
            .map(|name| Ok(self.find(name)?.id))
            .collect::<Result<_, SqlError>>()?;
        if !lock.excludes_writers {
            return Ok(());
        }
        let tables = tables_under(&self.world().catalog, named);
        for table in tables {
            if !lock.nowait {
                self.transaction().lock(table).await?;
            } else if !self.transaction().try_lock(table) {
                let relation = self.world().catalog.relation(table).map(|r| r.name.clone());
                let message = format!("could not obtain lock on relation \"{}\"", relation.unwrap_or_default());
                return Err(SqlError::new(LOCK_NOT_AVAILABLE, message));
            }
        }
        // Those who had the locks before may have changed what the transaction is about to read.
        self.database.coordinator().catch_up().await?;
        self.transaction().follow_newest();
        Ok(())
    }
}
