//! The log's own thread: it makes one epoch's writes durable at a time, while the coordinator gives the next ones
//! their order and passes on what the workers report. One sync serves all transactions of an epoch.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use highwater_storage::{Store, WalEntry};
use highwater_types::{Epoch, SqlError};

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
            for (epoch, entries) in to_log {
                let logged = store.wal().append(epoch, &entries).map_err(SqlError::from);
                if answer.send(logged).is_err() {
                    return;
                }
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
