//! [`FewKeys`]: a few keys, to find out quickly which of many rows may have one of them. Reading through a row costs a
//! fraction of a probe in a table, and nothing but its hash.

use super::{KeyTable, Keys};

/// So many keys are few.
const FEW: usize = 64;
/// So many are compared with each hash, all at once, which the compiler makes vectors of; of more, bits are looked up.
const COMPARED: usize = 8;
/// Rows are looked at so many at a time.
const CHUNK: usize = 64;

/// A few keys.
#[derive(Debug)]
pub(in crate::op) struct FewKeys {
    /// By the first twelve bits of a hash: whether one of the hashes has them.
    bits: [u64; 64],
    /// Sorted.
    hashes: Vec<u32>,
}

impl FewKeys {
    /// These keys, if they are few.
    pub(in crate::op) fn of(keys: &Keys) -> Option<FewKeys> {
        FewKeys::of_hashes(keys.hashes.iter().copied(), keys.len())
    }

    /// The keys of a table, if they are few and always were.
    pub(in crate::op) fn of_table(table: &KeyTable) -> Option<FewKeys> {
        let live = table.hashes.iter().zip(&table.live).filter(|(_, live)| **live);
        FewKeys::of_hashes(live.map(|(hash, _)| *hash), table.id_bound())
    }

    fn of_hashes(hashes: impl Iterator<Item = u32>, count: usize) -> Option<FewKeys> {
        if count > FEW {
            return None;
        }
        let mut hashes: Vec<u32> = hashes.collect();
        hashes.sort_unstable();
        hashes.dedup();
        let mut bits = [0; 64];
        for hash in &hashes {
            bits[(hash >> 26) as usize] |= 1 << ((hash >> 20) & 63);
        }
        Some(FewKeys { bits, hashes })
    }

    /// The rows of others whose key may be one of them, in order.
    pub(in crate::op) fn rows_in(&self, keys: &Keys) -> Vec<u32> {
        let mut rows = Vec::new();
        for (at, chunk) in keys.hashes.chunks(CHUNK).enumerate() {
            if self.are_compared() && !self.has_any_of(chunk) {
                continue;
            }
            let first = (at * CHUNK) as u32;
            let found = chunk.iter().zip(first..).filter(|(hash, _)| self.may_be(**hash));
            rows.extend(found.map(|(_, row)| row));
        }
        rows
    }

    fn are_compared(&self) -> bool {
        self.hashes.len() <= COMPARED
    }

    fn has_any_of(&self, chunk: &[u32]) -> bool {
        let is_in = |hash: &u32| chunk.iter().fold(false, |any, other| any | (other == hash));
        self.hashes.iter().any(is_in)
    }

    fn may_be(&self, hash: u32) -> bool {
        self.bits[(hash >> 26) as usize] & (1 << ((hash >> 20) & 63)) != 0 && self.hashes.binary_search(&hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::DataType;

    use super::super::KeyCodec;
    use super::*;

    #[test]
    fn a_row_with_one_of_the_keys_is_found_however_many_they_are() {
        let codec = KeyCodec::try_new(vec![DataType::Int64]).expect("integers have keys");
        let keys = |values: Vec<Option<i64>>| {
            let column: ArrayRef = Arc::new(Int64Array::from(values.clone()));
            codec.encode(&[column], values.len()).expect("of the codec's type")
        };
        let others: Vec<Option<i64>> = (0..1000).map(|v| (v % 7 != 0).then_some(v)).collect();
        for count in [0, 1, COMPARED, COMPARED + 1, FEW] {
            let wanted: Vec<Option<i64>> = others.iter().rev().step_by(11).take(count).copied().collect();
            let expected: Vec<u32> = (0..1000)
                .filter(|row| wanted.contains(&others[*row as usize]))
                .collect();
            let found = FewKeys::of(&keys(wanted))
                .expect("they are few")
                .rows_in(&keys(others.clone()));
            assert_eq!(found, expected, "{count} keys");
        }
        assert!(FewKeys::of(&keys(others)).is_none());
    }
}
