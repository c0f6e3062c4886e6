//! Which epochs are being read, and whether somebody follows them. Versions of rows that no held epoch needs may be
//! merged away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use highwater_types::Epoch;

/// The epochs that readers hold.
#[derive(Debug, Default)]
pub struct EpochHolds {
    held: Mutex<BTreeMap<Epoch, usize>>,
    followers: AtomicUsize,
}

/// One reader's hold; dropped, it is given back.
#[derive(Debug)]
pub struct EpochHold {
    holds: Arc<EpochHolds>,
    epoch: Epoch,
}

/// Somebody waits for epochs to close: they do so also while nothing changes, until it is dropped.
#[derive(Debug)]
pub struct Follower(Arc<EpochHolds>);

impl EpochHolds {
    /// Holds the epoch that `newest_closed` answers. It is asked under the lock, so that no epoch can be let go
    /// between the answer and the hold.
    pub fn hold(self: &Arc<Self>, newest_closed: impl FnOnce() -> Epoch) -> EpochHold {
        let mut held = self.held();
        let epoch = newest_closed();
        *held.entry(epoch).or_default() += 1;
        EpochHold {
            holds: Arc::clone(self),
            epoch,
        }
    }

    /// The oldest epoch that somebody reads, or `closed` when nobody reads an older one.
    pub fn oldest(&self, closed: Epoch) -> Epoch {
        self.held().keys().next().copied().unwrap_or(closed).min(closed)
    }

    /// Has epochs close for as long as the answer lives.
    pub fn follow(self: &Arc<Self>) -> Follower {
        self.followers.fetch_add(1, Ordering::Relaxed);
        Follower(Arc::clone(self))
    }

    /// Whether somebody waits for epochs to close.
    pub fn is_followed(&self) -> bool {
        self.followers.load(Ordering::Relaxed) > 0
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Epoch, usize>> {
        self.held.lock().expect("no code panics while it holds the epoch holds")
    }
}

impl EpochHold {
    /// The epoch that is held.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.followers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for EpochHold {
    fn drop(&mut self) {
        let mut held = self.holds.held();
        if let Some(readers) = held.get_mut(&self.epoch) {
            *readers -= 1;
            if *readers == 0 {
                held.remove(&self.epoch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_held_epoch_stays_until_its_last_reader_is_gone() {
        let holds = Arc::new(EpochHolds::default());
        let first = holds.hold(|| Epoch(5));
        let second = holds.hold(|| Epoch(5));
        assert_eq!(holds.oldest(Epoch(9)), Epoch(5));
        drop(first);
        assert_eq!(holds.oldest(Epoch(9)), Epoch(5));
        drop(second);
        assert_eq!(holds.oldest(Epoch(9)), Epoch(9));
    }
}
