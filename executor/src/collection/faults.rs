//! The faults of a collection: rare, so one list behind a lock, looked at only when there has ever been one.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use highwater_types::{Epoch, Fault};

/// Which faults a collection has, at any epoch.
#[derive(Debug, Default)]
pub(super) struct FaultLog {
    has_any: AtomicBool,
    changes: Mutex<BTreeMap<Fault, Vec<(Epoch, i64)>>>,
}

impl FaultLog {
    /// Changes the weights of faults.
    pub(super) fn apply(&self, epoch: Epoch, faults: &[(Fault, i64)]) {
        if faults.is_empty() {
            return;
        }
        let mut changes = self
            .changes
            .lock()
            .expect("no code panics while it holds the fault log");
        for (fault, weight) in faults {
            changes.entry(fault.clone()).or_default().push((epoch, *weight));
        }
        self.has_any.store(true, Ordering::Release);
    }

    /// The faults at an epoch, with their weights, least first.
    pub(super) fn at(&self, epoch: Epoch) -> Vec<(Fault, i64)> {
        if !self.has_any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let changes = self
            .changes
            .lock()
            .expect("no code panics while it holds the fault log");
        let weight_of = |list: &Vec<(Epoch, i64)>| {
            list.iter()
                .filter(|(at, _)| *at <= epoch)
                .map(|(_, weight)| weight)
                .sum::<i64>()
        };
        changes
            .iter()
            .map(|(fault, list)| (fault.clone(), weight_of(list)))
            .filter(|(_, weight)| *weight != 0)
            .collect()
    }

    /// Sums what no reader tells apart any more: changes at or before `oldest`.
    pub(super) fn retain_from(&self, oldest: Epoch) {
        if !self.has_any.load(Ordering::Acquire) {
            return;
        }
        let mut changes = self
            .changes
            .lock()
            .expect("no code panics while it holds the fault log");
        for list in changes.values_mut() {
            let settled: i64 = list
                .iter()
                .filter(|(at, _)| *at <= oldest)
                .map(|(_, weight)| weight)
                .sum();
            list.retain(|(at, _)| *at > oldest);
            if settled != 0 {
                list.push((oldest, settled));
            }
        }
        changes.retain(|_, list| !list.is_empty());
    }
}
