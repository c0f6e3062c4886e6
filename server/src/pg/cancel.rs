//! [`Backends`]: every connected client by its number, so that another connection can cancel its statement or end
//! it; and [`Watch`], the connection's own side of that.
//!
//! A CancelRequest must name the number and a secret key, which is compared in constant time. A cancel that finds
//! no statement running does nothing, as in PostgreSQL.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use highwater_types::{SqlError, SqlState};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Duration, Instant};

use super::error::Stop;

/// A statement's text is kept up to this length, for others to see what runs.
const QUERY_TEXT_BYTES: usize = 1024;

/// One connected client, as others see it.
#[derive(Debug, Clone)]
pub struct Backend {
    /// The number by which it is cancelled.
    pub pid: i32,
    /// Who it is.
    pub user: String,
    /// Its database.
    pub database: String,
    /// Where it connects from.
    pub client_address: String,
    /// When it connected.
    pub started: DateTime<Utc>,
    /// When its state last changed.
    pub state_changed: DateTime<Utc>,
    /// `idle`, `active`, `idle in transaction`, `idle in transaction (aborted)`.
    pub state: &'static str,
    /// What it runs, or ran last.
    pub query: String,
}

/// What others have asked of a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Signal {
    cancels: u64,
    terminate: bool,
}

struct Entry {
    key: Vec<u8>,
    signal: watch::Sender<Signal>,
    backend: Arc<Mutex<Backend>>,
}

/// All connected clients.
#[derive(Default)]
pub struct Backends {
    last: AtomicI32,
    entries: Mutex<BTreeMap<i32, Entry>>,
}

impl std::fmt::Debug for Backends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backends").field("count", &self.lock().len()).finish()
    }
}

impl Backends {
    /// Nobody.
    pub fn new() -> Arc<Backends> {
        Arc::new(Backends::default())
    }

    /// Cancels what the client of this number runs; false when there is no such client.
    pub fn cancel(&self, pid: i32) -> bool {
        self.signal(pid, |signal| signal.cancels += 1)
    }

    /// Ends the connection of this number; false when there is no such client.
    pub fn terminate(&self, pid: i32) -> bool {
        self.signal(pid, |signal| signal.terminate = true)
    }

    /// Ends every connection.
    pub fn terminate_all(&self) {
        for entry in self.lock().values() {
            entry.signal.send_modify(|signal| signal.terminate = true);
        }
    }

    /// Everybody, by number.
    pub fn list(&self) -> Vec<Backend> {
        self.lock()
            .values()
            .map(|entry| locked(&entry.backend).clone())
            .collect()
    }

    /// How many clients there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// A CancelRequest: does nothing unless the key is right.
    pub(super) fn cancel_with_key(&self, pid: i32, key: &[u8]) {
        if let Some(entry) = self.lock().get(&pid)
            && equal_in_constant_time(&entry.key, key)
        {
            entry.signal.send_modify(|signal| signal.cancels += 1);
        }
    }

    /// A number and a key for a new client, until the answer is dropped.
    /// The slot is kept as long.
    pub(super) fn register(
        self: &Arc<Backends>,
        user: &str,
        database: &str,
        address: &str,
        key: Vec<u8>,
        slot: OwnedSemaphorePermit,
    ) -> Registered {
        let (signal, watch) = watch::channel(Signal::default());
        let now = Utc::now();
        let mut entries = self.lock();
        let pid = loop {
            let next = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            if next > 0 && !entries.contains_key(&next) {
                break next;
            }
            if next <= 0 {
                self.last.store(0, Ordering::Relaxed);
            }
        };
        let backend = Arc::new(Mutex::new(Backend {
            pid,
            user: user.to_string(),
            database: database.to_string(),
            client_address: address.to_string(),
            started: now,
            state_changed: now,
            state: "idle",
            query: String::new(),
        }));
        let entry = Entry {
            key,
            signal,
            backend: Arc::clone(&backend),
        };
        entries.insert(pid, entry);
        drop(entries);
        Registered {
            backends: Arc::clone(self),
            pid,
            backend,
            signal: watch,
            _slot: slot,
        }
    }

    fn signal(&self, pid: i32, change: impl FnOnce(&mut Signal)) -> bool {
        match self.lock().get(&pid) {
            Some(entry) => {
                entry.signal.send_modify(change);
                true
            }
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Entry>> {
        locked(&self.entries)
    }
}

/// What is behind these locks is whole after every statement, so a panic elsewhere does not spoil it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// A client's place among the [`Backends`].
pub(super) struct Registered {
    backends: Arc<Backends>,
    pid: i32,
    backend: Arc<Mutex<Backend>>,
    signal: watch::Receiver<Signal>,
    _slot: OwnedSemaphorePermit,
}

impl Registered {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Tells others what the connection does now, and what it runs where that is new.
    pub(super) fn show(&self, state: &'static str, query: Option<&str>) {
        let mut backend = locked(&self.backend);
        if backend.state != state || query.is_some() {
            backend.state = state;
            backend.state_changed = Utc::now();
        }
        if let Some(query) = query {
            let end = query.floor_char_boundary(QUERY_TEXT_BYTES);
            backend.query.clear();
            backend.query.push_str(&query[..end]);
        }
    }

    /// The connection's own eye on what others ask of it.
    pub(super) fn watch(&self) -> Watch {
        Watch {
            signal: self.signal.clone(),
            seen: 0,
            deadline: None,
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.backends.lock().remove(&self.pid);
    }
}

/// What may stop a statement: a cancel, an order to end, and its time limit.
pub(super) struct Watch {
    signal: watch::Receiver<Signal>,
    seen: u64,
    deadline: Option<Instant>,
}

impl Watch {
    /// Forgets cancels that came while nothing ran.
    pub(super) fn forget_cancels(&mut self) {
        self.seen = self.signal.borrow().cancels;
    }

    /// A statement begins, with this time limit.
    pub(super) fn start(&mut self, timeout: Option<Duration>) {
        self.deadline = timeout.map(|timeout| Instant::now() + timeout);
    }

    /// The statement has ended, and its time limit with it.
    pub(super) fn finish(&mut self) {
        self.deadline = None;
    }

    /// Whether to stop, now.
    pub(super) fn check(&mut self) -> Result<(), Stop> {
        let signal = *self.signal.borrow();
        if signal.terminate {
            return Err(Stop::Fatal(terminated()));
        }
        if signal.cancels != self.seen {
            self.seen = signal.cancels;
            return Err(canceled("canceling statement due to user request"));
        }
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.deadline = None;
            return Err(canceled("canceling statement due to statement timeout"));
        }
        Ok(())
    }

    /// Answers when there is a reason to stop, and not before.
    pub(super) async fn stopped(&mut self) -> Stop {
        loop {
            if let Err(stop) = self.check() {
                return stop;
            }
            let deadline = self.deadline;
            let late = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.signal.changed() => if changed.is_err() {
                    return Stop::Fatal(terminated());
                },
                () = late => {}
            }
        }
    }

    /// Answers when the connection has been told to end, and not before.
    pub(super) async fn terminated(&mut self) -> Stop {
        // An error means that the entry is gone, which only the connection itself does.
        let _ = self.signal.wait_for(|signal| signal.terminate).await;
        Stop::Fatal(terminated())
    }
}

fn canceled(message: &str) -> Stop {
    Stop::Error(SqlError::new(SqlState::QUERY_CANCELED, message))
}

fn terminated() -> SqlError {
    SqlError::new(
        SqlState::ADMIN_SHUTDOWN,
        "terminating connection due to administrator command",
    )
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    fn slot() -> OwnedSemaphorePermit {
        Arc::new(Semaphore::new(1)).try_acquire_owned().expect("one is free")
    }

    #[test]
    fn only_the_right_key_cancels() {
        let backends = Backends::new();
        let registered = backends.register("ada", "db", "", vec![1, 2, 3, 4], slot());
        let mut watch = registered.watch();
        backends.cancel_with_key(registered.pid(), &[1, 2, 3, 5]);
        backends.cancel_with_key(registered.pid(), &[1, 2, 3]);
        backends.cancel_with_key(registered.pid() + 1, &[1, 2, 3, 4]);
        assert!(watch.check().is_ok());
        backends.cancel_with_key(registered.pid(), &[1, 2, 3, 4]);
        assert!(watch.check().is_err());
        assert!(watch.check().is_ok(), "a cancel counts once");
    }

    #[test]
    fn a_client_that_has_left_is_not_listed() {
        let backends = Backends::new();
        let registered = backends.register("ada", "db", "", vec![0; 4], slot());
        assert_eq!(backends.count(), 1);
        drop(registered);
        assert_eq!(backends.count(), 0);
    }
}
