//! The log's own thread: it makes one epoch's writes durable at a time, while the coordinator gives the next ones
//! their order and passes on what the workers report. One sync serves all transactions of an epoch. A log that has
//! grown long is compacted on a thread beside.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use highwater_storage::{StorageError, Store, WalEntry};
use highwater_types::{Epoch, SqlError, SqlState};

/// After a compaction the next one waits so long at least.
const COMPACTION_PAUSE: Duration = Duration::from_secs(30);

/// The way to the log's thread.
pub(super) struct LogThread {
    /// `None` once it is told to end.
    requests: Option<Sender<(Epoch, Vec<WalEntry>)>>,
    answers: Receiver<Result<(), SqlError>>,
    thread: Option<JoinHandle<()>>,
}

impl LogThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(store: Arc<Store>) -> Result<LogThread, std::io::Error> {
        let (requests, to_log) = crossbeam_channel::bounded::<(Epoch, Vec<WalEntry>)>(1);
        let (answer, answers) = crossbeam_channel::bounded(1);
        let thread = std::thread::Builder::new().name("log".to_string()).spawn(move || {
            let mut compaction = Compaction::new();
            for (epoch, entries) in to_log {
                let logged = outcome(|| store.wal().append(epoch, &entries));
                if answer.send(logged).is_err() {
                    return;
                }
                compaction.start_if_due(&store);
            }
        })?;
        Ok(LogThread {
            requests: Some(requests),
            answers,
            thread: Some(thread),
        })
    }

    /// Has an epoch's writes made durable; an answer will come. Only one epoch may be under way.
    pub(super) fn append(&self, epoch: Epoch, entries: Vec<WalEntry>) {
        let requests = self.requests.as_ref().expect("the thread ends with its owner only");
        requests
            .send((epoch, entries))
            .expect("the thread runs as long as there may be requests");
    }

    /// Whether the writes under way are durable.
    pub(super) fn answers(&self) -> &Receiver<Result<(), SqlError>> {
        &self.answers
    }
}

/// The thread holds the store: it is gone before the folder may be opened again.
impl Drop for LogThread {
    fn drop(&mut self) {
        self.requests = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the log's thread ended in a panic");
        }
    }
}

/// What became of an append. Also a panic is told to those who wait; its hook has logged it.
fn outcome(append: impl FnOnce() -> Result<(), StorageError>) -> Result<(), SqlError> {
    let appended = catch_unwind(AssertUnwindSafe(append)).map_err(|_| {
        SqlError::new(
            SqlState::INTERNAL_ERROR,
            "the write-ahead log panicked while it was appended to",
        )
    })?;
    Ok(appended?)
}

/// The thread that compacts the log, when it runs.
struct Compaction {
    thread: Option<JoinHandle<()>>,
    not_before: Instant,
}

impl Compaction {
    fn new() -> Compaction {
        Compaction {
            thread: None,
            not_before: Instant::now(),
        }
    }

    fn start_if_due(&mut self, store: &Arc<Store>) {
        let is_running = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        if is_running || Instant::now() < self.not_before || !store.wal().is_long() {
            return;
        }
        self.not_before = Instant::now() + COMPACTION_PAUSE;
        let store = Arc::clone(store);
        let compact = move || {
            if let Err(error) = store.wal().compact() {
                tracing::warn!(%error, "the log could not be compacted; it stays as long as it is");
            }
        };
        match std::thread::Builder::new()
            .name("compaction".to_string())
            .spawn(compact)
        {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => tracing::warn!(%error, "the log cannot be compacted"),
        }
    }
}

impl Drop for Compaction {
    fn drop(&mut self) {
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the log's compaction ended in a panic");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_that_panics_has_an_outcome() {
        let error = outcome(|| panic!("as sled does on damage")).expect_err("it has not been appended");
        assert_eq!(error.state, SqlState::INTERNAL_ERROR);
        assert!(outcome(|| Ok(())).is_ok());
    }
}
