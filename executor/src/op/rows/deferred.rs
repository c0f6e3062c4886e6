//! Batches that have no entries yet. Most rows of one side of a join may never be asked for: bids that wait for the
//! highest price of their window, and go with it. So a join puts a batch aside with its keys, and when a few keys are
//! looked for, the hashes of the batches put aside are read through, which costs a fiftieth of making entries. A batch
//! that may have one of the keys gets its entries; so do all when many keys are looked for, and one that has been read
//! through so often that entries would have been cheaper.
//!
//! Only where rows need no entry for anything else: nothing has been retracted, and no marks are kept. Watermarks
//! release a batch put aside as a whole.

use arrow::array::Array;
use highwater_types::{Delta, Tick};

use super::RowStore;
use crate::ExecError;
use crate::op::keys::{FewKeys, Keys, to_integers};

/// So many keys at most are looked for by reading through.
const FEW_KEYS: usize = 64;
/// How often a batch is read through before it gets its entries.
const READ_THROUGH_LIMIT: u32 = 32;

/// A batch put aside.
#[derive(Debug)]
pub(super) struct Deferred {
    delta: Delta,
    keys: Keys,
    read_through_count: u32,
    /// For each rule of release: the greatest time at which a row is released; `None` when one never is.
    released_at: Vec<Option<i64>>,
}

impl RowStore {
    /// Puts changes in, as [`RowStore::apply`] does, but perhaps without entries for now.
    ///
    /// # Errors
    /// When rows cannot be compared.
    pub(in crate::op) fn put(&mut self, delta: Delta, keys: Keys, skip: Option<&[bool]>) -> Result<(), ExecError> {
        let needs_entries = self.whole.is_some() || self.marks.is_some() || !delta.is_append_only();
        if needs_entries || skip.is_some_and(|skip| skip.contains(&true)) {
            return self.apply(&delta, &keys, skip).map(|_| ());
        }
        let rules = self.releaser.iter().flat_map(|releaser| releaser.rules());
        let released_at = rules.map(|rule| {
            let times = to_integers(delta.column(rule.column));
            let last = arrow::compute::max(&times).filter(|_| times.null_count() == 0);
            last.map(|time| time.saturating_add(rule.after_us))
        });
        self.deferred.push(Deferred {
            released_at: released_at.collect(),
            delta,
            keys,
            read_through_count: 0,
        });
        Ok(())
    }

    /// Gives entries to the batches put aside that may have one of these keys. Must precede a search for them.
    ///
    /// # Errors
    /// When rows cannot be stored.
    pub(in crate::op) fn index_for(&mut self, keys: &Keys) -> Result<(), ExecError> {
        if self.deferred.is_empty() {
            return Ok(());
        }
        let Some(few) = FewKeys::of(keys, FEW_KEYS) else {
            return self.index_deferred();
        };
        let (wanted, others) = std::mem::take(&mut self.deferred)
            .into_iter()
            .partition(|batch| batch.read_through_count >= READ_THROUGH_LIMIT || few.may_be_in(&batch.keys));
        self.deferred = others;
        self.deferred.iter_mut().for_each(|batch| batch.read_through_count += 1);
        self.index(wanted)
    }

    /// Gives entries to all batches put aside.
    ///
    /// # Errors
    /// When rows cannot be stored.
    pub(super) fn index_deferred(&mut self) -> Result<(), ExecError> {
        let all = std::mem::take(&mut self.deferred);
        self.index(all)
    }

    fn index(&mut self, batches: Vec<Deferred>) -> Result<(), ExecError> {
        for Deferred { delta, keys, .. } in batches {
            let released = self.releaser.as_ref().and_then(|r| r.released_so_far(delta.batch()));
            self.apply(&delta, &keys, released.as_deref())?;
        }
        Ok(())
    }

    /// Lets batches go of which watermarks have released every row.
    pub(super) fn release_deferred(&mut self, tick: &Tick) {
        let Some(releaser) = &self.releaser else { return };
        let marks = releaser.marks_after(tick);
        self.deferred.retain(|batch| {
            let is_released =
                |(mark, last): (&highwater_types::Watermark, &Option<i64>)| last.is_some_and(|last| mark.reached(last));
            !marks.iter().zip(&batch.released_at).any(is_released)
        });
    }
}
