//! Batches that have no entries yet. Most rows of one side of a join may never be asked for: bids that wait for the
//! highest price of their window, and go with it. So a join puts a batch aside with its keys, and when a few keys are
//! looked for, the hashes of the batches put aside are read through, which costs a fiftieth of making entries. Rows that
//! may have one of the keys get theirs; so do all when many keys are looked for, and those of a batch that has been read
//! through so often that entries would have been cheaper.
//!
//! Only where rows need no entry for anything else: nothing has been retracted, and no marks are kept. Watermarks
//! release a batch put aside as a whole.

use arrow::array::Array;
use highwater_types::{Delta, Tick};

use super::RowStore;
use crate::ExecError;
use crate::op::keys::{FewKeys, Keys, to_integers};

/// How often a batch is read through before it gets its entries.
const READ_THROUGH_LIMIT: u32 = 32;

/// A batch put aside.
#[derive(Debug)]
pub(super) struct Deferred {
    delta: Delta,
    keys: Keys,
    read_through_count: u32,
    /// By row, whether it has an entry or needs none any more; empty when that is true of no row.
    is_settled: Vec<bool>,
    /// For each rule of release: the greatest time at which a row is released; `None` when one never is.
    released_at: Vec<Option<i64>>,
}

impl Deferred {
    fn is_settled(&self, row: u32) -> bool {
        self.is_settled.get(row as usize).is_some_and(|settled| *settled)
    }

    /// Whether no row is left to be given an entry.
    fn is_over(&self) -> bool {
        !self.is_settled.is_empty() && self.is_settled.iter().all(|settled| *settled)
    }
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
            is_settled: Vec::new(),
        });
        Ok(())
    }

    /// Gives entries to the rows put aside that may have one of these keys. Must precede a search for them.
    ///
    /// # Errors
    /// When rows cannot be stored.
    pub(in crate::op) fn index_for(&mut self, keys: &Keys) -> Result<(), ExecError> {
        if self.deferred.is_empty() {
            return Ok(());
        }
        let Some(few) = FewKeys::of(keys) else {
            return self.index_deferred();
        };
        for mut batch in std::mem::take(&mut self.deferred) {
            if batch.read_through_count >= READ_THROUGH_LIMIT {
                self.index(&mut batch, |_| true)?;
                continue;
            }
            batch.read_through_count += 1;
            let mut found = few.rows_in(&batch.keys);
            found.retain(|row| !batch.is_settled(*row));
            if !found.is_empty() {
                self.index(&mut batch, |row| found.binary_search(&row).is_ok())?;
            }
            if !batch.is_over() {
                self.deferred.push(batch);
            }
        }
        Ok(())
    }

    /// Gives entries to all batches put aside.
    ///
    /// # Errors
    /// When rows cannot be stored.
    pub(super) fn index_deferred(&mut self) -> Result<(), ExecError> {
        for mut batch in std::mem::take(&mut self.deferred) {
            self.index(&mut batch, |_| true)?;
        }
        Ok(())
    }

    /// Gives entries to the rows that are wanted, but those that have one or have been released.
    fn index(&mut self, batch: &mut Deferred, is_wanted: impl Fn(u32) -> bool) -> Result<(), ExecError> {
        let released = self
            .releaser
            .as_ref()
            .and_then(|r| r.released_so_far(batch.delta.batch()));
        let mut settled = std::mem::take(&mut batch.is_settled);
        settled.resize(batch.delta.num_rows(), false);
        if let Some(released) = released {
            settled.iter_mut().zip(released).for_each(|(s, r)| *s |= r);
        }
        let mut skip = settled.clone();
        for (row, settled) in settled.iter_mut().enumerate() {
            match is_wanted(row as u32) {
                true => *settled = true,
                false => skip[row] = true,
            }
        }
        batch.is_settled = settled;
        self.apply(&batch.delta, &batch.keys, Some(&skip)).map(|_| ())
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
