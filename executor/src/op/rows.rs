//! [`RowStore`]: rows with weights, found by a key or as a whole. Join sides, and the rows that the general operator
//! and the temporal join keep, are one of these.
//!
//! # Layout
//! Rows stay in record batches ([`BatchStore`]). For each distinct row there is an entry of forty bytes: where the row is,
//! its weight, and its neighbours in the list of its key. An index of whole rows is made when the first retraction comes:
//! an append-only store does without it, and then equal rows are entries of their own.
//!
//! # Cost and bound
//! Putting a row in: one probe for its key, with the index one more and the encoding of the row. Bounded by the rows
//! put in; with a [`Release`], by those that watermarks have not released. A join's batches get their entries only when
//! they are searched ([`deferred`]).

mod deferred;
mod release;
mod state;
mod whole;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use hashbrown::HashTable;
use highwater_planner::stream::plan::Release;
use highwater_types::Delta;

use self::deferred::Deferred;
use self::release::Releaser;
use super::batches::{BatchStore, Moved, Place};
use super::keys::{ABSENT, FewKeys, KeyCodec, KeyTable, Keys};
use crate::ExecError;

/// Rows with weights.
#[derive(Debug)]
pub(super) struct RowStore {
    batches: BatchStore,
    key_columns: Vec<usize>,
    keys: KeyTable,
    /// By number of the key: the first entry of its list, and how many entries have it.
    heads: Vec<u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    live_count: usize,
    whole: Option<WholeIndex>,
    /// By entry, where asked for.
    marks: Option<Vec<Mark>>,
    dirty: Vec<u32>,
    releaser: Option<Releaser>,
    /// Batches whose rows have no entries yet, oldest first.
    deferred: Vec<Deferred>,
}

/// One row.
#[derive(Debug, Clone, Copy)]
struct Entry {
    place: Place,
    next: u32,
    previous: u32,
    key: u32,
    /// Of the whole row; only with the index.
    hash: u32,
    weight: i64,
    /// The weight that was last saved.
    saved: i64,
    /// Whether some row has this entry.
    live: bool,
    /// Whether it is listed as changed since the last save.
    listed: bool,
}

/// A number that goes with a row: a join counts partners with it.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    now: i64,
    saved: i64,
}

#[derive(Debug)]
struct WholeIndex {
    /// Hash and entry of each row.
    slots: HashTable<(u32, u32)>,
    codec: KeyCodec,
}

impl RowStore {
    /// For rows of this schema, found by these columns, whose keys are of this codec.
    ///
    /// # Errors
    /// When a column cannot be released by.
    pub(super) fn try_new(
        schema: SchemaRef,
        key_columns: Vec<usize>,
        codec: &KeyCodec,
        release: Vec<Release>,
        with_marks: bool,
    ) -> Result<RowStore, ExecError> {
        Ok(RowStore {
            releaser: Releaser::try_new(release, &schema)?,
            batches: BatchStore::new(schema),
            key_columns,
            keys: codec.table(),
            heads: Vec::new(),
            entries: Vec::new(),
            free: Vec::new(),
            live_count: 0,
            whole: None,
            marks: with_marks.then(Vec::new),
            dirty: Vec::new(),
            deferred: Vec::new(),
        })
    }

    /// Makes the index of whole rows now, so that equal rows are one entry from the start.
    ///
    /// # Errors
    /// When a column's type cannot be compared.
    pub(super) fn keep_distinct(mut self) -> Result<RowStore, ExecError> {
        self.build_whole_index()?;
        Ok(self)
    }

    /// The rows' schema.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.batches.schema()
    }

    /// Whether rows are found as a whole; then what is put in must be consolidated.
    pub(super) fn needs_consolidated(&self, delta: &Delta) -> bool {
        self.whole.is_some() || !delta.is_append_only()
    }

    /// The key columns of a batch of this schema.
    pub(super) fn key_columns_of(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.key_columns.iter().map(|c| Arc::clone(batch.column(*c))).collect()
    }

    /// The first entry with the key of a row of some batch, or [`ABSENT`].
    pub(super) fn first(&self, keys: &Keys, row: usize) -> u32 {
        match self.keys.find(keys, row) {
            ABSENT => ABSENT,
            key => self.heads[key as usize],
        }
    }

    /// The rows of some batch whose key may be here, where reading them through costs less than a search for each:
    /// where they are more than the keys here, which are few.
    pub(super) fn rows_to_search(&self, keys: &Keys) -> Option<Vec<u32>> {
        if keys.len() <= self.keys.id_bound() {
            return None;
        }
        FewKeys::of_table(&self.keys).map(|few| few.rows_in(keys))
    }

    /// The next entry with the same key, or [`ABSENT`].
    pub(super) fn next(&self, entry: u32) -> u32 {
        self.entries[entry as usize].next
    }

    /// How often the row is there. Zero: it is gone and waits for the next save.
    pub(super) fn weight(&self, entry: u32) -> i64 {
        self.entries[entry as usize].weight
    }

    /// All entries with the key of a row of some batch.
    pub(super) fn entries_of(&self, keys: &Keys, row: usize) -> Vec<u32> {
        let mut found = Vec::new();
        let mut entry = self.first(keys, row);
        while entry != ABSENT {
            if self.weight(entry) != 0 {
                found.push(entry);
            }
            entry = self.next(entry);
        }
        found
    }

    /// The mark of a row.
    pub(super) fn mark(&self, entry: u32) -> i64 {
        self.marks.as_ref().map_or(0, |m| m[entry as usize].now)
    }

    /// Sets the mark of a row.
    pub(super) fn set_mark(&mut self, entry: u32, mark: i64) {
        if let Some(marks) = &mut self.marks
            && marks[entry as usize].now != mark
        {
            marks[entry as usize].now = mark;
            self.list(entry);
        }
    }

    /// Puts changes in; answers the entry of each, or [`ABSENT`] where none is left. The delta is consolidated where
    /// [`RowStore::needs_consolidated`] says so. Rows with `skip` are left out.
    ///
    /// # Errors
    /// When rows cannot be compared.
    pub(super) fn apply(&mut self, delta: &Delta, keys: &Keys, skip: Option<&[bool]>) -> Result<Vec<u32>, ExecError> {
        let mut placed = vec![ABSENT; delta.num_rows()];
        if delta.is_empty() {
            return Ok(placed);
        }
        if self.whole.is_none() && !delta.is_append_only() {
            self.index_deferred()?;
            self.build_whole_index()?;
        }
        let (whole, found) = self.find_whole(delta.batch())?;
        let mut fresh = Vec::new();
        for row in (0..delta.num_rows()).filter(|row| skip.is_none_or(|s| !s[*row])) {
            let entry = found.get(row).copied().unwrap_or(ABSENT);
            if entry == ABSENT {
                fresh.push(row as u32);
                continue;
            }
            self.entries[entry as usize].weight += delta.weight(row);
            self.list(entry);
            placed[row] = self.drop_if_gone(entry);
        }
        let batch = self.batches.add(delta.batch(), &fresh)?;
        for (at, row) in fresh.iter().enumerate() {
            let row = *row as usize;
            let in_batch = if fresh.len() == delta.num_rows() { row } else { at };
            let hash = whole.as_ref().map_or(0, |whole| whole.hash(row));
            let place = Place {
                batch,
                row: in_batch as u32,
            };
            placed[row] = self.insert(place, keys, row, delta.weight(row), hash);
        }
        if batch != ABSENT
            && let Some(releaser) = &mut self.releaser
        {
            releaser.note(self.batches.batch(batch), self.batches.owners(batch));
        }
        let moved = self.batches.settle(batch)?;
        self.note_moved(&moved);
        Ok(placed)
    }

    /// The rows of these entries, in order.
    ///
    /// # Errors
    /// When the rows cannot be gathered.
    pub(super) fn gather(&self, entries: &[u32]) -> Result<RecordBatch, ExecError> {
        self.batches.gather(self.places(entries))
    }

    /// Some columns of the rows of these entries, in order.
    ///
    /// # Errors
    /// When the rows cannot be gathered.
    pub(super) fn gather_columns(&self, entries: &[u32], columns: &[usize]) -> Result<Vec<ArrayRef>, ExecError> {
        self.batches.gather_columns(self.places(entries), columns)
    }

    fn places(&self, entries: &[u32]) -> impl Iterator<Item = Place> {
        entries.iter().map(|entry| self.entries[*entry as usize].place)
    }

    fn note_moved(&mut self, moved: &[Moved]) {
        for Moved { owner, place } in moved {
            self.entries[*owner as usize].place = *place;
        }
    }

    fn list(&mut self, entry: u32) {
        let listed = &mut self.entries[entry as usize].listed;
        if !*listed {
            *listed = true;
            self.dirty.push(entry);
        }
    }

    /// Makes an entry for a stored row.
    fn insert(&mut self, place: Place, keys: &Keys, row: usize, weight: i64, hash: u32) -> u32 {
        let (key, key_is_new) = self.keys.intern(keys, row);
        if self.heads.len() <= key as usize {
            self.heads.resize(key as usize + 1, ABSENT);
        }
        if key_is_new {
            self.heads[key as usize] = ABSENT;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            assert!(
                self.entries.len() < ABSENT as usize,
                "a store holds at most 2^32 - 1 rows"
            );
            self.entries.push(Entry::unused());
            if let Some(marks) = &mut self.marks {
                marks.push(Mark::default());
            }
            (self.entries.len() - 1) as u32
        });
        let next = std::mem::replace(&mut self.heads[key as usize], id);
        if next != ABSENT {
            self.entries[next as usize].previous = id;
        }
        let listed = self.entries[id as usize].listed;
        self.entries[id as usize] = Entry {
            place,
            next,
            previous: ABSENT,
            key,
            hash,
            weight,
            saved: 0,
            live: true,
            listed,
        };
        if let Some(marks) = &mut self.marks {
            marks[id as usize] = Mark::default();
        }
        self.live_count += 1;
        self.batches.set_owner(place, id);
        if let Some(whole) = &mut self.whole {
            whole.slots.insert_unique(spread(hash), (hash, id), |(h, _)| spread(*h));
        }
        self.list(id);
        id
    }

    /// Frees an entry when nothing needs it any more; answers the entry that is left.
    fn drop_if_gone(&mut self, id: u32) -> u32 {
        let entry = self.entries[id as usize];
        if entry.weight != 0 || entry.saved != 0 {
            return id;
        }
        self.entries[id as usize].live = false;
        self.free.push(id);
        self.live_count -= 1;
        match entry.previous {
            ABSENT => self.heads[entry.key as usize] = entry.next,
            previous => self.entries[previous as usize].next = entry.next,
        }
        if entry.next != ABSENT {
            self.entries[entry.next as usize].previous = entry.previous;
        }
        if self.heads[entry.key as usize] == ABSENT {
            self.keys.remove(entry.key);
        }
        if let Some(whole) = &mut self.whole
            && let Ok(slot) = whole.slots.find_entry(spread(entry.hash), |(_, other)| *other == id)
        {
            slot.remove();
        }
        let moved = self
            .batches
            .forget(&[entry.place])
            .expect("rows of one schema can be gathered");
        self.note_moved(&moved);
        ABSENT
    }
}

impl Entry {
    fn unused() -> Entry {
        Entry {
            place: Place::NOWHERE,
            next: ABSENT,
            previous: ABSENT,
            key: ABSENT,
            hash: 0,
            weight: 0,
            saved: 0,
            live: false,
            listed: false,
        }
    }
}

/// The table wants 64 bits, of which it uses some from either end.
fn spread(hash: u32) -> u64 {
    u64::from(hash) | (u64::from(hash) << 32)
}
