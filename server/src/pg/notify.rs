//! [`Notifier`]: LISTEN and NOTIFY between the connections of one server.
//!
//! A notification goes into the mailbox of every connection that listens on its channel; the connection sends it
//! when it is idle. Mailboxes have a limit: a client that listens and never reads loses notifications, and nobody
//! else does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

/// As many notifications wait for one connection.
const MAILBOX_LIMIT: usize = 10_000;

/// A message on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The connection that sent it.
    pub pid: i32,
    /// The channel.
    pub channel: String,
    /// The message, perhaps empty.
    pub payload: String,
}

type Mailboxes = BTreeMap<i32, mpsc::Sender<Notification>>;

/// Who listens to what.
#[derive(Debug, Default)]
pub struct Notifier {
    channels: Mutex<HashMap<String, Mailboxes>>,
}

impl Notifier {
    /// Nobody listens.
    pub fn new() -> Arc<Notifier> {
        Arc::new(Notifier::default())
    }

    /// Puts the notification into the mailbox of everyone who listens, the sender included.
    pub fn notify(&self, notification: &Notification) {
        let channels = self.lock();
        for (pid, mailbox) in channels.get(&notification.channel).into_iter().flatten() {
            if mailbox.try_send(notification.clone()).is_err() {
                tracing::warn!(
                    pid,
                    channel = notification.channel,
                    "a notification was lost: the mailbox is full"
                );
            }
        }
    }

    /// The channels that a connection listens on.
    pub fn channels_of(&self, pid: i32) -> Vec<String> {
        let channels = self.lock();
        let mut names: Vec<String> = channels
            .iter()
            .filter(|(_, mailboxes)| mailboxes.contains_key(&pid))
            .map(|(name, _)| name.clone())
            .collect();
        names.sort();
        names
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Mailboxes>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's ear: what it listens on, until it is dropped.
pub(super) struct Ear {
    notifier: Arc<Notifier>,
    pid: i32,
    channels: BTreeSet<String>,
    sender: mpsc::Sender<Notification>,
    mailbox: mpsc::Receiver<Notification>,
}

impl Ear {
    pub(super) fn new(notifier: Arc<Notifier>, pid: i32) -> Ear {
        let (sender, mailbox) = mpsc::channel(MAILBOX_LIMIT);
        Ear {
            notifier,
            pid,
            channels: BTreeSet::new(),
            sender,
            mailbox,
        }
    }

    pub(super) fn listen(&mut self, channel: &str) {
        if self.channels.insert(channel.to_string()) {
            let mut channels = self.notifier.lock();
            channels
                .entry(channel.to_string())
                .or_default()
                .insert(self.pid, self.sender.clone());
        }
    }

    /// Listens no more on a channel, or on any.
    pub(super) fn unlisten(&mut self, channel: Option<&str>) {
        let left: Vec<String> = match channel {
            Some(channel) => self.channels.take(channel).into_iter().collect(),
            None => std::mem::take(&mut self.channels).into_iter().collect(),
        };
        let mut channels = self.notifier.lock();
        for name in left {
            if let Some(mailboxes) = channels.get_mut(&name) {
                mailboxes.remove(&self.pid);
                if mailboxes.is_empty() {
                    channels.remove(&name);
                }
            }
        }
    }

    pub(super) fn notify(&self, channel: String, payload: String) {
        self.notifier.notify(&Notification {
            pid: self.pid,
            channel,
            payload,
        });
    }

    /// The next notification, when there is one.
    pub(super) async fn next(&mut self) -> Notification {
        match self.mailbox.recv().await {
            Some(notification) => notification,
            // The sender is our own, so the mailbox does not close.
            None => std::future::pending().await,
        }
    }

    /// A notification that has come already.
    pub(super) fn try_next(&mut self) -> Option<Notification> {
        self.mailbox.try_recv().ok()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.unlisten(None);
    }
}
