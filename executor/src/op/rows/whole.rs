//! Rows found as a whole: the index that a store has from the first retraction on, by which a row that is taken out
//! finds its entry.

use arrow::array::RecordBatch;
use hashbrown::HashTable;

use super::{Entry, RowStore, WholeIndex, spread};
use crate::ExecError;
use crate::op::batches::MERGE_ROWS;
use crate::op::keys::{ABSENT, KeyCodec, Keys};

impl RowStore {
    /// The rows of a batch as keys of the index, and for each the entry of an equal row; nothing without the index.
    pub(super) fn find_whole(&self, batch: &RecordBatch) -> Result<(Option<Keys>, Vec<u32>), ExecError> {
        let Some(whole) = &self.whole else {
            return Ok((None, Vec::new()));
        };
        let rows = whole.codec.encode(batch.columns(), batch.num_rows())?;
        let mut pairs: Vec<(usize, u32)> = Vec::new();
        for row in 0..rows.len() {
            let hash = rows.hash(row);
            let same = whole.slots.iter_hash(spread(hash)).filter(|(h, _)| *h == hash);
            pairs.extend(same.map(|(_, entry)| (row, *entry)));
        }
        let candidates: Vec<u32> = pairs.iter().map(|(_, entry)| *entry).collect();
        let stored = whole
            .codec
            .encode(self.gather(&candidates)?.columns(), candidates.len())?;
        let mut found = vec![ABSENT; batch.num_rows()];
        for (at, (row, entry)) in pairs.into_iter().enumerate() {
            if stored.equals(at, &rows, row) {
                found[row] = entry;
            }
        }
        Ok((Some(rows), found))
    }

    /// Makes the index of whole rows. Equal rows become one.
    pub(super) fn build_whole_index(&mut self) -> Result<(), ExecError> {
        let types = self.schema().fields().iter().map(|f| f.data_type().clone()).collect();
        let codec = KeyCodec::of_rows(types)?;
        let mut slots = HashTable::with_capacity(self.live_count);
        let live: Vec<u32> = (0..self.entries.len() as u32)
            .filter(|e| self.entries[*e as usize].live)
            .collect();
        let mut table = codec.table();
        // By number in that table.
        let mut firsts = Vec::new();
        let mut merged = Vec::new();
        for part in live.chunks(MERGE_ROWS) {
            let rows = codec.encode(self.gather(part)?.columns(), part.len())?;
            for (at, entry) in part.iter().enumerate() {
                let hash = rows.hash(at);
                self.entries[*entry as usize].hash = hash;
                let (number, is_new) = table.intern(&rows, at);
                if is_new {
                    firsts.push(*entry);
                    slots.insert_unique(spread(hash), (hash, *entry), |(h, _)| spread(*h));
                } else {
                    merged.push((*entry, firsts[number as usize]));
                }
            }
        }
        self.whole = Some(WholeIndex { slots, codec });
        for (entry, first) in merged {
            let Entry { weight, saved, .. } = self.entries[entry as usize];
            self.entries[first as usize].weight += weight;
            self.entries[first as usize].saved += saved;
            self.list(first);
            (self.entries[entry as usize].weight, self.entries[entry as usize].saved) = (0, 0);
            self.drop_if_gone(entry);
        }
        Ok(())
    }
}
