//! Logical time ([`Epoch`]), event time ([`Watermark`]), and the [`Tick`] that ties them together.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::RelationId;

/// A logical commit time, in microseconds since 1970 where the clock allows, strictly increasing.
/// A closed epoch never changes: every read and every checkpoint happens at one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Before every epoch that can be cut.
    pub const ZERO: Epoch = Epoch(0);
    /// After every epoch that can be cut; a row with no end carries it.
    pub const MAX: Epoch = Epoch(u64::MAX);

    /// The epoch right after this one.
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A promise about event time, in microseconds since 1970: no row with an earlier time will be applied any more.
/// A row that breaks the promise is late. [`Watermark::NONE`] promises nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Watermark(pub i64);

impl Watermark {
    /// No promise yet.
    pub const NONE: Watermark = Watermark(i64::MIN);
    /// No row will come at all.
    pub const END: Watermark = Watermark(i64::MAX);

    /// Whether a row with event time `time_us` may still be applied.
    pub fn admits(self, time_us: i64) -> bool {
        time_us >= self.0
    }

    /// Whether everything before `bound_us` is complete: a window ending there can be closed.
    pub fn reached(self, bound_us: i64) -> bool {
        self != Watermark::NONE && self.0 >= bound_us
    }
}

/// One source's watermark before and after an epoch. Inside the epoch, `before` is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceWatermark {
    /// The table or source that declares the watermark.
    pub relation: RelationId,
    /// In force while the epoch's rows are applied.
    pub before: Watermark,
    /// In force from the end of the epoch on.
    pub after: Watermark,
}

/// All that an operator may know about time: the epoch, its wall time, and each source's watermark.
/// Every operator on every worker sees the same tick for an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// The epoch being computed.
    pub epoch: Epoch,
    /// What `now()` answers in this epoch: microseconds since 1970.
    pub wall_us: i64,
    /// Sorted by relation. A relation without an entry has no watermark.
    pub watermarks: Arc<[SourceWatermark]>,
}

impl Tick {
    /// A tick without watermarks.
    pub fn new(epoch: Epoch, wall_us: i64) -> Tick {
        Tick {
            epoch,
            wall_us,
            watermarks: Arc::from([]),
        }
    }

    /// A tick with these watermarks, in any order.
    pub fn with_watermarks(mut self, mut watermarks: Vec<SourceWatermark>) -> Tick {
        watermarks.sort_by_key(|w| w.relation);
        self.watermarks = watermarks.into();
        self
    }

    /// The watermark of `relation` in force while this epoch's rows are applied.
    pub fn before(&self, relation: RelationId) -> Watermark {
        self.find(relation).map_or(Watermark::NONE, |w| w.before)
    }

    /// The watermark of `relation` once this epoch is closed.
    pub fn after(&self, relation: RelationId) -> Watermark {
        self.find(relation).map_or(Watermark::NONE, |w| w.after)
    }

    fn find(&self, relation: RelationId) -> Option<&SourceWatermark> {
        let at = self.watermarks.binary_search_by_key(&relation, |w| w.relation).ok()?;
        Some(&self.watermarks[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_answers_the_watermark_of_the_source_that_was_asked_for() {
        let mark = |id, before, after| SourceWatermark {
            relation: RelationId(id),
            before: Watermark(before),
            after: Watermark(after),
        };
        let tick = Tick::new(Epoch(1), 0).with_watermarks(vec![mark(9, 90, 95), mark(3, 30, 35)]);
        assert_eq!(tick.before(RelationId(3)), Watermark(30));
        assert_eq!(tick.after(RelationId(9)), Watermark(95));
        assert_eq!(tick.after(RelationId(4)), Watermark::NONE);
    }

    #[test]
    fn a_missing_watermark_reaches_nothing_and_admits_everything() {
        assert!(!Watermark::NONE.reached(i64::MIN));
        assert!(Watermark::NONE.admits(i64::MIN));
        assert!(Watermark(10).reached(10));
        assert!(!Watermark(10).admits(9));
    }
}
