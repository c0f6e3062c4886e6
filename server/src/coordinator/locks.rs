//! Table locks of open transactions. UPDATE, DELETE, INSERT ... ON CONFLICT and LOCK TABLE take the lock of their
//! table and keep it until the transaction is sequenced or rolled back, so that what they computed from the
//! latest rows still holds when it is applied. Plain INSERT and reads take none.
//!
//! A wait that would close a circle of waits fails at once, with PostgreSQL's `40P01`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use highwater_types::{RelationId, SqlError, SqlState};
use tokio::sync::Notify;

/// A transaction, for as long as it may hold locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId(pub u64);

/// Who holds which table, and who waits for which.
#[derive(Debug, Default)]
pub struct TableLocks {
    state: Mutex<LockState>,
    released: Notify,
}

#[derive(Debug, Default)]
struct LockState {
    holders: HashMap<RelationId, TransactionId>,
    waits: HashMap<TransactionId, RelationId>,
}

impl TableLocks {
    /// All locks that `transaction` will take, to be given back together.
    pub fn holder(self: &Arc<Self>, transaction: TransactionId) -> LockHolder {
        LockHolder {
            locks: Arc::clone(self),
            transaction,
        }
    }

    /// Waits until `transaction` holds the lock of `table`; at once when it does already.
    ///
    /// # Errors
    /// `40P01` when the wait would never end.
    async fn acquire(&self, transaction: TransactionId, table: RelationId) -> Result<(), SqlError> {
        let mut waiting = WaitGuard {
            locks: self,
            transaction,
        };
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if waiting.try_acquire(table)? {
                return Ok(());
            }
            released.await;
        }
    }

    /// Gives back every lock of `transaction`.
    fn release(&self, transaction: TransactionId) {
        let mut state = self.state();
        state.holders.retain(|_, holder| *holder != transaction);
        drop(state);
        self.released.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, LockState> {
        self.state.lock().expect("no code panics while it holds the lock table")
    }
}

/// The locks of one transaction. Dropped, it gives them back: when a transaction ends without a commit, or when its
/// writes have their place in the order, wherever that is found out.
#[derive(Debug)]
pub struct LockHolder {
    locks: Arc<TableLocks>,
    transaction: TransactionId,
}

impl LockHolder {
    /// Waits until it holds the lock of `table`; at once when it does already.
    ///
    /// # Errors
    /// `40P01` when the wait would never end.
    pub async fn acquire(&self, table: RelationId) -> Result<(), SqlError> {
        self.locks.acquire(self.transaction, table).await
    }

    /// Takes the lock of `table`, unless another transaction has it.
    pub fn try_acquire(&self, table: RelationId) -> bool {
        let mut state = self.locks.state();
        *state.holders.entry(table).or_insert(self.transaction) == self.transaction
    }
}

impl Drop for LockHolder {
    fn drop(&mut self) {
        self.locks.release(self.transaction);
    }
}

/// Takes the wait out of the table however it ends: a dropped future waits no more.
struct WaitGuard<'a> {
    locks: &'a TableLocks,
    transaction: TransactionId,
}

impl WaitGuard<'_> {
    fn try_acquire(&mut self, table: RelationId) -> Result<bool, SqlError> {
        let mut state = self.locks.state();
        state.waits.remove(&self.transaction);
        match state.holders.get(&table) {
            None => {
                state.holders.insert(table, self.transaction);
                return Ok(true);
            }
            Some(holder) if *holder == self.transaction => return Ok(true),
            Some(_) => {}
        }
        if state.would_deadlock(self.transaction, table) {
            return Err(SqlError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
                .with_hint("Run the transaction again, or write to tables in the same order everywhere."));
        }
        state.waits.insert(self.transaction, table);
        Ok(false)
    }
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.locks.state().waits.remove(&self.transaction);
    }
}

impl LockState {
    /// Whether the holder of `table` waits, through any number of others, for `transaction`.
    fn would_deadlock(&self, transaction: TransactionId, table: RelationId) -> bool {
        let mut seen = HashSet::new();
        let mut table = table;
        while let Some(holder) = self.holders.get(&table) {
            if *holder == transaction {
                return true;
            }
            match self.waits.get(holder) {
                Some(next) if seen.insert(*holder) => table = *next,
                _ => return false,
            }
        }
        false
    }
}

/// Hands out transaction ids.
#[derive(Debug, Default)]
pub struct TransactionIds(std::sync::atomic::AtomicU64);

impl TransactionIds {
    /// An id that no other transaction has.
    pub fn next(self: &Arc<Self>) -> TransactionId {
        TransactionId(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: RelationId = RelationId(1);
    const B: RelationId = RelationId(2);

    #[tokio::test]
    async fn a_wait_ends_when_the_holder_releases() {
        let locks = Arc::new(TableLocks::default());
        locks.acquire(TransactionId(1), A).await.expect("free");
        let waiter = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { locks.acquire(TransactionId(2), A).await }
        });
        tokio::task::yield_now().await;
        locks.release(TransactionId(1));
        waiter.await.expect("no panic").expect("granted");
    }

    #[tokio::test]
    async fn a_circle_of_waits_fails_with_40p01() {
        let locks = Arc::new(TableLocks::default());
        locks.acquire(TransactionId(1), A).await.expect("free");
        locks.acquire(TransactionId(2), B).await.expect("free");
        let waiter = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { locks.acquire(TransactionId(1), B).await }
        });
        while locks.state().waits.is_empty() {
            tokio::task::yield_now().await;
        }
        let error = locks.acquire(TransactionId(2), A).await.expect_err("a circle");
        assert_eq!(error.state, SqlState::DEADLOCK_DETECTED);
        locks.release(TransactionId(2));
        waiter.await.expect("no panic").expect("granted");
    }
}
