//! Rows found as a whole: the index that a store has from the first retraction on, by which a row that is taken out
//! finds its entry.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use hashbrown::HashTable;
use highwater_types::RowKeys;

use super::{Entry, RowStore, WholeIndex, spread};
use crate::ExecError;
use crate::op::batches::MERGE_ROWS;
use crate::op::keys::ABSENT;

impl RowStore {
    /// For each row of a batch the entry of an equal row; both empty without the index.
    pub(super) fn find_whole(&self, batch: &RecordBatch) -> Result<(Vec<u32>, Vec<u32>), ExecError> {
        let Some(whole) = &self.whole else {
            return Ok((Vec::new(), Vec::new()));
        };
        let rows = whole.encoder.encode(batch.columns())?;
        let hashes: Vec<u32> = rows.iter().map(|r| whole.hash(r.data())).collect();
        let mut pairs: Vec<(usize, u32)> = Vec::new();
        for (row, hash) in hashes.iter().enumerate() {
            let same = whole.slots.iter_hash(spread(*hash)).filter(|(h, _)| h == hash);
            pairs.extend(same.map(|(_, entry)| (row, *entry)));
        }
        let candidates: Vec<u32> = pairs.iter().map(|(_, entry)| *entry).collect();
        let stored = whole.encoder.encode(self.gather(&candidates)?.columns())?;
        let mut found = vec![ABSENT; batch.num_rows()];
        for (at, (row, entry)) in pairs.into_iter().enumerate() {
            if stored.row(at).data() == rows.row(row).data() {
                found[row] = entry;
            }
        }
        Ok((hashes, found))
    }

    /// Makes the index of whole rows. Equal rows become one.
    pub(super) fn build_whole_index(&mut self) -> Result<(), ExecError> {
        let mut whole = WholeIndex {
            slots: HashTable::with_capacity(self.live_count),
            encoder: RowKeys::try_new(self.batches.schema())?,
            hasher: ahash::RandomState::with_seeds(0x2545_f491, 0x4f6c_dd1d, 0x1405_7b7e, 0xf767_814f),
        };
        let live: Vec<u32> = (0..self.entries.len() as u32)
            .filter(|e| self.entries[*e as usize].live)
            .collect();
        let mut first_of: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut merged = Vec::new();
        for part in live.chunks(MERGE_ROWS) {
            let rows = whole.encoder.encode(self.gather(part)?.columns())?;
            for (at, entry) in part.iter().enumerate() {
                let data = rows.row(at).data();
                let hash = whole.hash(data);
                self.entries[*entry as usize].hash = hash;
                match first_of.get(data) {
                    Some(first) => merged.push((*entry, *first)),
                    None => {
                        first_of.insert(data.to_vec(), *entry);
                        whole
                            .slots
                            .insert_unique(spread(hash), (hash, *entry), |(h, _)| spread(*h));
                    }
                }
            }
        }
        self.whole = Some(whole);
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

impl WholeIndex {
    pub(super) fn hash(&self, data: &[u8]) -> u32 {
        (self.hasher.hash_one(data) >> 32) as u32
    }
}
