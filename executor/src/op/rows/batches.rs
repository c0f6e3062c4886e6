//! The batches that a store's rows are in: stored as they come, merged while they are small, and rewritten when half of
//! their rows are gone.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use super::{RowStore, StoredBatch};
use crate::ExecError;
use crate::op::keys::ABSENT;

/// Batches of fewer rows than this are merged.
pub(super) const MERGE_ROWS: usize = 1 << 15;

impl RowStore {
    /// Stores the rows at `rows` of a batch, or all of it, with no entries yet.
    pub(super) fn store_batch(&mut self, batch: &RecordBatch, rows: &[u32]) -> Result<u32, ExecError> {
        if rows.is_empty() {
            return Ok(ABSENT);
        }
        let batch = if rows.len() == batch.num_rows() {
            batch.clone()
        } else {
            take_record_batch(batch, &UInt32Array::from(rows.to_vec()))?
        };
        let stored = StoredBatch {
            entries: vec![ABSENT; batch.num_rows()],
            live_count: batch.num_rows(),
            batch,
        };
        let id = match self.free_batches.pop() {
            Some(id) => {
                self.batches[id as usize] = Some(stored);
                id
            }
            None => {
                self.batches.push(Some(stored));
                (self.batches.len() - 1) as u32
            }
        };
        Ok(id)
    }

    /// After a batch of new rows: notes when they are released, and merges small batches of like size, as a counter
    /// carries.
    pub(super) fn settle_batch(&mut self, batch: u32, row_count: usize) -> Result<(), ExecError> {
        if batch == ABSENT {
            return Ok(());
        }
        if let Some(releaser) = &mut self.releaser {
            let stored = self.batches[batch as usize].as_ref().expect("it was stored just now");
            releaser.note(&stored.batch, &stored.entries);
        }
        if row_count >= MERGE_ROWS {
            return Ok(());
        }
        self.small.push(batch);
        let size_of = |store: &RowStore, batch: u32| store.stored(batch).live_count;
        let mut from = self.small.len() - 1;
        let mut sum = size_of(self, batch);
        while from > 0 && size_of(self, self.small[from - 1]) <= 2 * sum && sum < MERGE_ROWS {
            from -= 1;
            sum += size_of(self, self.small[from]);
        }
        if from + 1 < self.small.len() {
            let merged = self.small.split_off(from);
            self.rewrite(&merged)?;
        }
        Ok(())
    }

    /// Copies the live rows of some batches into a new one.
    pub(super) fn rewrite(&mut self, batches: &[u32]) -> Result<(), ExecError> {
        let entries: Vec<u32> = batches
            .iter()
            .flat_map(|b| self.stored(*b).entries.iter().copied())
            .filter(|entry| *entry != ABSENT)
            .collect();
        let batch = self.gather(&entries)?;
        batches.iter().for_each(|b| self.free_batch(*b));
        let all: Vec<u32> = (0..entries.len() as u32).collect();
        let id = self.store_batch(&batch, &all)?;
        for (row, entry) in entries.iter().enumerate() {
            let entry = &mut self.entries[*entry as usize];
            (entry.batch, entry.row) = (id, row as u32);
        }
        if id != ABSENT {
            let is_small = entries.len() < MERGE_ROWS;
            self.stored_mut(id).entries = entries;
            if is_small {
                self.small.push(id);
            }
        }
        Ok(())
    }

    pub(super) fn free_batch(&mut self, batch: u32) {
        self.batches[batch as usize] = None;
        self.free_batches.push(batch);
        self.small.retain(|b| *b != batch);
    }
}
