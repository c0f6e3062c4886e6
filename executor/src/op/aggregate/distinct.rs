//! count(DISTINCT x), sum(DISTINCT x), avg(DISTINCT x): a table of the distinct values of all groups with their counts
//! stands before the plain accumulator, which sees a value come when its count becomes positive, and go when it is
//! so no more. Bounded by the number of distinct (group, value) pairs; about fifty bytes each.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Int64Type};
use highwater_types::Fault;

use super::accumulator::{Accumulator, Changes, ValueChanges};
use crate::ExecError;
use crate::op::keys::{KeyCodec, KeyTable, Keys, Numbers};

/// Passes each distinct value on once.
#[derive(Debug)]
pub(super) struct DistinctAccumulator {
    codec: KeyCodec,
    /// Keyed by group, then the arguments.
    table: KeyTable,
    counts: Vec<Count>,
    /// Entries that may differ from what was saved; each is listed once.
    changed: Vec<u32>,
    /// How many entries each group has.
    entry_counts: Vec<u32>,
    inner: Box<dyn Accumulator>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    now: i64,
    saved: i64,
    /// Whether the entry is in the list of changed ones.
    listed: bool,
}

impl DistinctAccumulator {
    /// Before `inner`, over arguments of these types.
    pub(super) fn try_new(args: Vec<DataType>, inner: Box<dyn Accumulator>) -> Result<DistinctAccumulator, ExecError> {
        let codec = KeyCodec::try_new(std::iter::once(DataType::Int64).chain(args).collect())?;
        Ok(DistinctAccumulator {
            table: codec.table(),
            codec,
            counts: Vec::new(),
            changed: Vec::new(),
            entry_counts: Vec::new(),
            inner,
        })
    }

    /// Applies one change; answers by how much the value's presence has changed: 1, 0 or -1.
    fn change(&mut self, keys: &Keys, row: usize, group: usize, weight: i64) -> i64 {
        let (entry, is_new) = self.table.intern(keys, row);
        let at = entry as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, Count::default());
        }
        let count = &mut self.counts[at];
        if is_new {
            (count.now, count.saved) = (0, 0);
            self.entry_counts[group] += 1;
        }
        let before = count.now > 0;
        count.now += weight;
        let presence = i64::from(count.now > 0) - i64::from(before);
        if !count.listed {
            count.listed = true;
            self.changed.push(entry);
        }
        if count.now == 0 && count.saved == 0 {
            self.remove(entry, group);
        }
        presence
    }

    fn remove(&mut self, entry: u32, group: usize) {
        self.table.remove(entry);
        self.entry_counts[group] -= 1;
    }

    /// The groups to which entries belong.
    fn groups_of(&self, entries: &[u32]) -> Result<(Vec<u32>, Vec<ArrayRef>), ExecError> {
        let mut columns = self.codec.decode(&self.table, entries)?;
        let groups = columns.remove(0);
        let groups = groups.as_primitive::<Int64Type>().values();
        Ok((groups.iter().map(|g| *g as u32).collect(), columns))
    }
}

impl Accumulator for DistinctAccumulator {
    fn grow(&mut self, groups: usize) {
        self.entry_counts.resize(groups, 0);
        self.inner.grow(groups);
    }

    fn update(
        &mut self,
        changes: &Changes<'_>,
        args: &[ArrayRef],
        valid: Option<&NullBuffer>,
    ) -> Result<(), ExecError> {
        let row_count = args[0].len();
        let mut by_row = vec![0; row_count];
        for (at, group) in changes.groups.iter().enumerate() {
            by_row[changes.rows.map_or(at, |rows| rows[at] as usize)] = i64::from(group);
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(by_row))];
        columns.extend(args.iter().cloned());
        let keys = self.codec.encode(&columns, row_count)?;
        let (mut rows, mut groups, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        changes.for_each(valid, |row, group, weight| {
            let presence = self.change(&keys, row, group, weight);
            if presence != 0 {
                rows.push(row as u32);
                groups.push(group as u32);
                weights.push(presence);
            }
        });
        let passed = Changes {
            groups: &Numbers::Each(groups),
            rows: Some(&rows),
            weights: Some(&weights),
        };
        self.inner.update(&passed, args, None)
    }

    fn evaluate(&self, groups: &[u32], faults: &mut Vec<(usize, Fault)>) -> Result<ArrayRef, ExecError> {
        self.inner.evaluate(groups, faults)
    }

    fn forget(&mut self, groups: &[u32]) {
        if groups.iter().any(|g| self.entry_counts[*g as usize] > 0) {
            let entries = self.table.ids();
            let (owners, _) = self
                .groups_of(&entries)
                .expect("entries were encoded by the same codec");
            let forgotten: HashSet<u32> = groups.iter().copied().collect();
            for (entry, owner) in entries.into_iter().zip(owners) {
                if forgotten.contains(&owner) {
                    self.remove(entry, owner as usize);
                }
            }
        }
        self.inner.forget(groups);
    }

    fn value_changes(&mut self, groups: &[u32], gone: bool) -> Result<Option<ValueChanges>, ExecError> {
        let entries = if gone {
            self.table.ids()
        } else {
            std::mem::take(&mut self.changed)
        };
        let live: Vec<u32> = entries.iter().copied().filter(|e| self.table.is_live(*e)).collect();
        if !gone {
            entries.iter().for_each(|e| self.counts[*e as usize].listed = false);
        }
        let (owners, _) = self.groups_of(&live)?;
        let wanted: Option<HashSet<u32>> = gone.then(|| groups.iter().copied().collect());
        let mut written = Vec::new();
        let mut weights = Vec::new();
        for (entry, owner) in live.iter().zip(&owners) {
            let count = &mut self.counts[*entry as usize];
            let now = if gone { 0 } else { count.now };
            if wanted.as_ref().is_none_or(|w| w.contains(owner)) && now != count.saved {
                written.push(*entry);
                weights.push(now - count.saved);
                count.saved = now;
            }
        }
        let (written_owners, columns) = self.groups_of(&written)?;
        for (entry, owner) in live.into_iter().zip(owners) {
            let count = self.counts[entry as usize];
            if count.now == 0 && count.saved == 0 {
                self.remove(entry, owner as usize);
            }
        }
        Ok(Some(ValueChanges {
            groups: written_owners,
            columns,
            weights,
        }))
    }

    fn mark_saved(&mut self) {
        for count in &mut self.counts {
            count.saved = count.now;
            count.listed = false;
        }
        self.changed.clear();
    }
}
