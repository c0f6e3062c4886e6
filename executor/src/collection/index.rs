//! [`RowIndex`]: from the hash of a row's key (or of the whole row, where there is no key) to the ordinals of rows.
//! Whoever asks compares the rows themselves: two keys may share a hash.
//!
//! Rows that are there now stand in a hash table, one slot a hash; where several rows share it, the slot refers to
//! a list, so that a million equal rows cost no more than a million different ones. Rows that have gone, but that
//! some reader may still see, stand in a log ordered by the epoch they went at; a reader at a recent epoch looks at
//! its end only.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// A row that has gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    /// When.
    pub(super) epoch: u64,
    /// Its hash.
    pub(super) hash: u64,
    /// Its ordinal.
    pub(super) ordinal: u64,
}

/// Marks a slot's place as the number of a list.
const LIST: u64 = 1 << 63;

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u64,
    /// An ordinal, or the number of a list with [`LIST`] set.
    place: u64,
}

/// Finds rows by hash.
#[derive(Debug, Default)]
pub(super) struct RowIndex {
    slots: HashTable<Slot>,
    lists: Vec<Vec<u64>>,
    free_lists: Vec<usize>,
    gone: VecDeque<Gone>,
}

impl RowIndex {
    /// Adds a row.
    pub(super) fn insert(&mut self, hash: u64, ordinal: u64) {
        debug_assert!(ordinal < LIST, "ordinals stay below the mark");
        let entry = self.slots.entry(hash, |slot| slot.hash == hash, |slot| slot.hash);
        match entry {
            Entry::Vacant(entry) => {
                entry.insert(Slot { hash, place: ordinal });
            }
            Entry::Occupied(mut entry) => {
                let slot = entry.get_mut();
                if slot.place & LIST != 0 {
                    self.lists[(slot.place & !LIST) as usize].push(ordinal);
                    return;
                }
                let list = vec![slot.place, ordinal];
                let number = match self.free_lists.pop() {
                    Some(number) => {
                        self.lists[number] = list;
                        number
                    }
                    None => {
                        self.lists.push(list);
                        self.lists.len() - 1
                    }
                };
                slot.place = number as u64 | LIST;
            }
        }
    }

    /// Makes room for as many rows more.
    pub(super) fn reserve(&mut self, row_count: usize) {
        self.slots.reserve(row_count, |slot| slot.hash);
    }

    /// The rows with this hash that are there now: at most `limit` of them, newest first.
    pub(super) fn present(&self, hash: u64, limit: usize, mut found: impl FnMut(u64)) -> usize {
        let Some(slot) = self.slots.find(hash, |slot| slot.hash == hash) else {
            return 0;
        };
        if slot.place & LIST == 0 {
            found(slot.place);
            return 1;
        }
        let list = &self.lists[(slot.place & !LIST) as usize];
        list.iter().rev().take(limit).for_each(|ordinal| found(*ordinal));
        list.len()
    }

    /// A row goes: it moves to the log. Epochs never decrease.
    pub(super) fn remove(&mut self, gone: Gone) {
        debug_assert!(
            self.gone.back().is_none_or(|last| last.epoch <= gone.epoch),
            "epochs are applied in order"
        );
        self.gone.push_back(gone);
        let Ok(mut entry) = self.slots.find_entry(gone.hash, |slot| slot.hash == gone.hash) else {
            return;
        };
        let slot = entry.get_mut();
        if slot.place & LIST == 0 {
            debug_assert_eq!(slot.place, gone.ordinal, "the only row of a hash is the one that goes");
            entry.remove();
            return;
        }
        let number = (slot.place & !LIST) as usize;
        let list = &mut self.lists[number];
        if let Some(at) = list.iter().rposition(|ordinal| *ordinal == gone.ordinal) {
            list.swap_remove(at);
        }
        if let [last] = list[..] {
            slot.place = last;
            self.lists[number] = Vec::new();
            self.free_lists.push(number);
        }
    }

    /// The rows that went after `epoch`, oldest first.
    pub(super) fn gone_after(&self, epoch: u64) -> impl Iterator<Item = &Gone> {
        let from = self.gone.partition_point(|gone| gone.epoch <= epoch);
        self.gone.range(from..)
    }

    /// Takes up to `limit` rows that went at or before `epoch` out of the log.
    pub(super) fn forget_until(&mut self, epoch: u64, limit: usize) -> Vec<Gone> {
        let end = self.gone.partition_point(|gone| gone.epoch <= epoch).min(limit);
        self.gone.drain(..end).collect()
    }

    /// The memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        let lists: usize = self.lists.iter().map(|list| 8 * list.capacity() + 24).sum();
        self.slots.capacity() * (size_of::<Slot>() + 1) + lists + self.gone.capacity() * size_of::<Gone>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(index: &RowIndex, hash: u64) -> Vec<u64> {
        let mut found = Vec::new();
        index.present(hash, usize::MAX, |ordinal| found.push(ordinal));
        found.sort_unstable();
        found
    }

    #[test]
    fn rows_that_share_a_hash_are_all_found_until_they_go() {
        let mut index = RowIndex::default();
        for ordinal in 0..3 {
            index.insert(7, ordinal);
        }
        assert_eq!(present(&index, 7), vec![0, 1, 2]);
        index.remove(Gone {
            epoch: 5,
            hash: 7,
            ordinal: 1,
        });
        assert_eq!(present(&index, 7), vec![0, 2]);
        index.remove(Gone {
            epoch: 6,
            hash: 7,
            ordinal: 2,
        });
        index.remove(Gone {
            epoch: 6,
            hash: 7,
            ordinal: 0,
        });
        assert_eq!(present(&index, 7), Vec::<u64>::new());
        assert_eq!(index.gone_after(5).map(|g| g.ordinal).collect::<Vec<_>>(), vec![2, 0]);
        assert_eq!(index.forget_until(5, 10).len(), 1);
        assert_eq!(index.gone_after(0).count(), 2);
    }
}
