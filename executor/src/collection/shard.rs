//! [`Shard`]: one worker's part of a collection. One writer at a time appends segments and lets rows go; readers
//! take the list of segments with one atomic load and never wait for the writer. Only look-ups by key, which use
//! the index, take a lock, for as long as it takes to find the candidates. Who reads the newest rows, which may be
//! changing, reads again when they have ([`Shard::steadily`]).
//!
//! The index is built when it is first needed, by a retraction or a look-up; from then on it is kept current. A
//! shard that only grows never pays for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::ArcSwap;
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::Rows;
use highwater_types::{Delta, Epoch, RowKeys};

use super::checked::{CheckedDelta, Leaving, OwnRows, additions, groups_by_hash, retractions, sum_equal};
use super::index::{Gone, RowIndex};
use super::merge::SegmentList;
use super::segment::{Births, Ordinals, Segment};
use crate::ExecError;
use crate::hashing::{Purpose, hash_rows};

/// How many rows that no reader can see any more are cleared away at an application at most.
const EXPIRE_LIMIT: usize = 64 * 1024;
/// Shows all rows that have come and not gone.
pub(super) const NEWEST: u64 = u64::MAX - 1;
/// How often the newest rows are read, where they change meanwhile, before the writer is kept from it.
const STEADY_TRIES: usize = 3;
/// How many rows of one hash are compared with a retraction at first; eight times as many each further time.
const FIRST_CANDIDATES: usize = 4;

/// What all shards of a collection have in common.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) schema: SchemaRef,
    pub(super) key: Option<Vec<usize>>,
    /// The columns that the index hashes: the key's, or all.
    indexed: Vec<usize>,
    row_keys: OnceLock<RowKeys>,
    index_keys: OnceLock<RowKeys>,
}

impl Layout {
    /// For rows of `schema`, unique by `key` when there is one.
    pub(super) fn new(schema: SchemaRef, key: Option<Vec<usize>>) -> Layout {
        let indexed = key.clone().unwrap_or_else(|| (0..schema.fields().len()).collect());
        Layout {
            schema,
            key,
            indexed,
            row_keys: OnceLock::new(),
            index_keys: OnceLock::new(),
        }
    }

    /// Encodes whole rows.
    pub(super) fn encode_rows(&self, columns: &[ArrayRef]) -> Result<Rows, ExecError> {
        Ok(keys(&self.row_keys, || Ok(RowKeys::try_new(&self.schema)?))?.encode(columns)?)
    }

    /// Encodes the indexed columns.
    pub(super) fn encode_index_keys(&self, columns: &[ArrayRef]) -> Result<Rows, ExecError> {
        let make = || Ok(RowKeys::of_key(&Arc::new(self.schema.project(&self.indexed)?))?);
        Ok(keys(&self.index_keys, make)?.encode(columns)?)
    }

    fn indexed_columns(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.indexed.iter().map(|c| Arc::clone(batch.column(*c))).collect()
    }

    pub(super) fn hash(&self, batch: &RecordBatch, hashes: &mut Vec<u64>) -> Result<(), ExecError> {
        hash_rows(&self.indexed_columns(batch), batch.num_rows(), Purpose::Index, hashes)
    }
}

fn keys(cell: &OnceLock<RowKeys>, make: impl FnOnce() -> Result<RowKeys, ExecError>) -> Result<&RowKeys, ExecError> {
    if let Some(keys) = cell.get() {
        return Ok(keys);
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made))
}

/// One worker's rows.
#[derive(Debug, Default)]
pub(super) struct Shard {
    segments: ArcSwap<SegmentList>,
    index: RwLock<Option<RowIndex>>,
    writer: Mutex<Writer>,
    /// Goes up before rows go, and again when they have: odd means that it is going on.
    departures: AtomicU64,
}

#[derive(Debug, Default)]
struct Writer {
    next_ordinal: u64,
}

/// Rows that are going, until it is dropped.
struct Departure<'a>(&'a AtomicU64);

impl Departure<'_> {
    fn begin(count: &AtomicU64) -> Departure<'_> {
        count.fetch_add(1, Ordering::Relaxed);
        // What changes from here on is seen by nobody who has not seen that it does.
        fence(Ordering::Release);
        Departure(count)
    }
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Rows that are to go: none of their hashes is another group's.
struct Wanted {
    batch: RecordBatch,
    /// How many of each.
    counts: Vec<i64>,
    hashes: Vec<u64>,
}

/// A row that may be one that is looked for: its ordinal, and which row of the wanted ones it may be.
type Candidate = (u64, u32);

impl Shard {
    /// The segments there are now.
    pub(super) fn segments(&self) -> Arc<SegmentList> {
        self.segments.load_full()
    }

    /// Finds all rows that a delta with the layout's columns takes away, and changes nothing. A row may come and go in
    /// one delta.
    ///
    /// # Errors
    /// When a row is retracted that is not there.
    pub(super) fn check(&self, layout: &Layout, delta: &Delta) -> Result<CheckedDelta, ExecError> {
        let inserted = additions(delta)?;
        let Some((batch, counts)) = retractions(delta)? else {
            return Ok(CheckedDelta::insert(inserted));
        };
        if self.index().is_none() {
            let _writer = self.writer();
            self.ensure_index(layout)?;
        }
        let mut own = OwnRows::new(layout, inserted);
        let mut leaving = Vec::with_capacity(batch.num_rows());
        let mut hashes = Vec::new();
        layout.hash(&batch, &mut hashes)?;
        for rows in groups_by_hash(&hashes) {
            let wanted = Wanted {
                counts: rows.iter().map(|row| counts[*row as usize]).collect(),
                hashes: rows.iter().map(|row| hashes[*row as usize]).collect(),
                batch: take_record_batch(&batch, &UInt32Array::from(rows))?,
            };
            self.find_leaving(layout, wanted, &mut own, &mut leaving)?;
        }
        Ok(CheckedDelta {
            inserted: own.into_remaining()?,
            leaving,
        })
    }

    /// Applies a delta that has been checked, and since when nothing has been changed. Versions that went at or before
    /// `oldest` may be dropped.
    ///
    /// # Errors
    /// When rows cannot be copied, which would be an error of ours.
    pub(super) fn apply(
        &self,
        layout: &Layout,
        epoch: Epoch,
        checked: CheckedDelta,
        oldest: u64,
    ) -> Result<(), ExecError> {
        let CheckedDelta { inserted, mut leaving } = checked;
        let mut writer = self.writer();
        let mut list = SegmentList::clone(&self.segments.load());
        self.expire(layout, &mut list, oldest)?;
        let _departure = (!leaving.is_empty()).then(|| Departure::begin(&self.departures));
        if inserted.num_rows() > 0 {
            self.append(layout, &mut writer, list, epoch, inserted, oldest)?;
        } else {
            self.segments.store(Arc::new(list));
        }
        leaving.sort_unstable_by_key(|row| std::cmp::Reverse(row.ordinal));
        self.let_go(epoch, &leaving);
        Ok(())
    }

    /// The rows, visible at `epoch`, whose key is one of those wanted, in the order of those.
    ///
    /// # Errors
    /// When the columns are not the key's.
    pub(super) fn lookup(
        &self,
        layout: &Layout,
        epoch: u64,
        wanted: &Rows,
        hashes: &[u64],
    ) -> Result<Vec<(u32, RecordBatch)>, ExecError> {
        if self.index().is_none() {
            let _writer = self.writer();
            self.ensure_index(layout)?;
        }
        self.steadily(epoch, || self.find(layout, epoch, wanted, hashes))
    }

    /// Reads at an epoch. A closed one does not change; but the newest rows may, and between the coming of one version
    /// of a row and the going of the other there are two, or none: then they are read once more, in the end with the
    /// writer shut out.
    pub(super) fn steadily<T>(&self, epoch: u64, read: impl Fn() -> Result<T, ExecError>) -> Result<T, ExecError> {
        if epoch < NEWEST {
            return read();
        }
        for _ in 0..STEADY_TRIES {
            let before = self.departures.load(Ordering::Acquire);
            let found = read()?;
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.departures.load(Ordering::Relaxed) == before {
                return Ok(found);
            }
        }
        let _writer = self.writer();
        read()
    }

    fn find(
        &self,
        layout: &Layout,
        epoch: u64,
        wanted: &Rows,
        hashes: &[u64],
    ) -> Result<Vec<(u32, RecordBatch)>, ExecError> {
        let (list, mut candidates) = self.candidates(epoch, hashes);
        candidates.sort_unstable();
        let mut found = Vec::new();
        for (segment, rows, group) in groups(&list, &candidates) {
            let columns = gather(&layout.indexed_columns(segment.batch()), &rows)?;
            let encoded = layout.encode_index_keys(&columns)?;
            for (at, (_, want)) in group.iter().enumerate() {
                let row = rows.value(at) as usize;
                if segment.shows(row, epoch) && encoded.row(at).data() == wanted.row(*want as usize).data() {
                    found.push((*want, segment.batch().slice(row, 1)));
                }
            }
        }
        Ok(found)
    }

    /// The memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        let segments: usize = self.segments.load().iter().map(|s| s.size_bytes()).sum();
        segments + self.index().as_ref().map_or(0, RowIndex::size_bytes)
    }

    fn candidates(&self, epoch: u64, hashes: &[u64]) -> (Arc<SegmentList>, Vec<Candidate>) {
        let guard = self.index();
        let list = self.segments.load_full();
        let mut candidates: Vec<Candidate> = Vec::with_capacity(hashes.len());
        let Some(index) = guard.as_ref() else {
            return (list, candidates);
        };
        for (want, hash) in hashes.iter().enumerate() {
            index.present(*hash, usize::MAX, |ordinal| candidates.push((ordinal, want as u32)));
        }
        let mut wanted: HashMap<u64, Vec<u32>> = HashMap::new();
        for gone in index.gone_after(epoch) {
            if wanted.is_empty() {
                for (want, hash) in hashes.iter().enumerate() {
                    wanted.entry(*hash).or_default().push(want as u32);
                }
            }
            if let Some(wants) = wanted.get(&gone.hash) {
                candidates.extend(wants.iter().map(|want| (gone.ordinal, *want)));
            }
        }
        (list, candidates)
    }

    fn append(
        &self,
        layout: &Layout,
        writer: &mut Writer,
        mut list: SegmentList,
        epoch: Epoch,
        batch: RecordBatch,
        oldest: u64,
    ) -> Result<(), ExecError> {
        let first = writer.next_ordinal;
        writer.next_ordinal += batch.num_rows() as u64;
        let segment = Segment::new(batch.clone(), Births::Together(epoch.0), Ordinals::From(first));
        list.push(segment, &layout.schema, oldest)?;
        self.segments.store(Arc::new(list));
        let is_indexed = self.index().is_some();
        if is_indexed {
            let mut hashes = Vec::new();
            layout.hash(&batch, &mut hashes)?;
            if let Some(index) = self.index_mut().as_mut() {
                index.reserve(hashes.len());
                for (row, hash) in hashes.iter().enumerate() {
                    index.insert(*hash, first + row as u64);
                }
            }
        }
        Ok(())
    }

    /// Builds the index if there is none yet. The caller is the writer, or holds its lock.
    fn ensure_index(&self, layout: &Layout) -> Result<(), ExecError> {
        if self.index().is_some() {
            return Ok(());
        }
        let mut index = RowIndex::default();
        let mut hashes = Vec::new();
        for segment in self.segments.load().iter() {
            debug_assert!(!segment.has_deaths(), "rows go only where there is an index");
            layout.hash(segment.batch(), &mut hashes)?;
            index.reserve(hashes.len());
            for (row, hash) in hashes.iter().enumerate() {
                index.insert(*hash, segment.ordinal(row));
            }
        }
        *self.index_mut() = Some(index);
        Ok(())
    }

    /// Finds as many rows equal to each of those wanted as are to go: stored ones, then the delta's own.
    fn find_leaving(
        &self,
        layout: &Layout,
        wanted: Wanted,
        own: &mut OwnRows<'_>,
        leaving: &mut Vec<Leaving>,
    ) -> Result<(), ExecError> {
        let encoded = layout.encode_rows(wanted.batch.columns())?;
        let needed = sum_equal(&encoded, &wanted.counts);
        let list = self.segments.load_full();
        let mut open: Vec<u32> = (0..wanted.batch.num_rows() as u32)
            .filter(|row| needed[*row as usize] > 0)
            .collect();
        let mut missing = Vec::new();
        let mut limit = FIRST_CANDIDATES;
        while !open.is_empty() {
            // A row that has not been found often enough is looked for anew, among more candidates.
            let (candidates, has_more) = self.leaving_candidates(&wanted.hashes, &needed, &open, limit);
            let mut remaining = needed.clone();
            let mut found = Vec::with_capacity(candidates.len());
            for (segment, rows, group) in groups(&list, &candidates) {
                let stored = layout.encode_rows(&gather(segment.batch().columns(), &rows)?)?;
                for (at, (ordinal, want)) in group.iter().enumerate() {
                    let (row, want) = (rows.value(at) as usize, *want as usize);
                    let is_needed = remaining[want] > 0 && segment.shows(row, NEWEST);
                    if is_needed && stored.row(at).data() == encoded.row(want).data() {
                        remaining[want] -= 1;
                        found.push((want, *ordinal));
                    }
                }
            }
            let is_settled = |row: usize| remaining[row] == 0 || !has_more[row];
            leaving.extend(
                found
                    .iter()
                    .filter(|(want, _)| is_settled(*want))
                    .map(|(want, ordinal)| Leaving {
                        ordinal: *ordinal,
                        hash: wanted.hashes[*want],
                    }),
            );
            let settled = open.iter().filter(|row| is_settled(**row as usize));
            missing.extend(
                settled
                    .map(|row| (*row, remaining[*row as usize]))
                    .filter(|(_, count)| *count > 0),
            );
            open.retain(|row| !is_settled(*row as usize));
            limit = limit.saturating_mul(8);
        }
        own.take(&wanted.batch, &encoded, missing)
    }

    /// Stored rows that may equal those in `open`, sorted, and of which rows there are more.
    fn leaving_candidates(
        &self,
        hashes: &[u64],
        needed: &[i64],
        open: &[u32],
        limit: usize,
    ) -> (Vec<Candidate>, Vec<bool>) {
        let mut candidates: Vec<Candidate> = Vec::with_capacity(open.len());
        let mut has_more = vec![false; hashes.len()];
        if let Some(index) = self.index().as_ref() {
            for row in open {
                let at = *row as usize;
                let limit = limit.max(usize::try_from(needed[at]).unwrap_or(usize::MAX));
                let count = index.present(hashes[at], limit, |ordinal| candidates.push((ordinal, *row)));
                has_more[at] = count > limit;
            }
        }
        candidates.sort_unstable();
        (candidates, has_more)
    }

    /// Lets rows go, newest first: so they stand last in the index's lists, where they are found at once.
    fn let_go(&self, epoch: Epoch, leaving: &[Leaving]) {
        let list = self.segments.load_full();
        for leaving in leaving {
            let stored = list.locate(leaving.ordinal);
            let (segment, row) = stored.expect("a row that lives is in a segment, also after a merge");
            segment.kill(row, epoch);
        }
        if let Some(index) = self.index_mut().as_mut() {
            for leaving in leaving {
                index.remove(Gone {
                    epoch: epoch.0,
                    hash: leaving.hash,
                    ordinal: leaving.ordinal,
                });
            }
        }
    }

    /// Clears away rows that went at or before `oldest`: notes them, and rewrites segments that they are most of.
    fn expire(&self, layout: &Layout, list: &mut SegmentList, oldest: u64) -> Result<(), ExecError> {
        let expired = match self.index_mut().as_mut() {
            Some(index) => index.forget_until(oldest, EXPIRE_LIMIT),
            None => return Ok(()),
        };
        let mut to_rewrite = Vec::new();
        for gone in expired {
            if let Some((segment, _)) = list.locate(gone.ordinal) {
                let count = segment.note_expired();
                if count * 2 > segment.row_count() && to_rewrite.last() != Some(&segment.first_ordinal()) {
                    to_rewrite.push(segment.first_ordinal());
                }
            }
        }
        to_rewrite.sort_unstable();
        to_rewrite.dedup();
        to_rewrite
            .into_iter()
            .try_for_each(|first| list.rewrite(first, &layout.schema, oldest))
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A writer that panicked left rows of an epoch that will never be closed: its view has failed.
        self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Its index, if it has one yet.
    pub(super) fn index(&self) -> RwLockReadGuard<'_, Option<RowIndex>> {
        self.index.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Option<RowIndex>> {
        self.index.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Candidates, sorted by ordinal, cut by the segment that their rows are in, with those rows.
fn groups<'a>(
    list: &'a SegmentList,
    candidates: &'a [Candidate],
) -> impl Iterator<Item = (&'a Arc<Segment>, UInt32Array, Vec<Candidate>)> {
    let mut rest = candidates;
    std::iter::from_fn(move || {
        while let Some((ordinal, _)) = rest.first() {
            let Some((segment, _)) = list.locate(*ordinal) else {
                rest = &rest[1..];
                continue;
            };
            let mut rows = Vec::new();
            let mut group = Vec::new();
            while let Some((ordinal, want)) = rest.first()
                && let Some(row) = segment.row_of(*ordinal)
            {
                rows.push(row as u32);
                group.push((*ordinal, *want));
                rest = &rest[1..];
            }
            return Some((segment, UInt32Array::from(rows), group));
        }
        None
    })
}

fn gather(columns: &[ArrayRef], rows: &UInt32Array) -> Result<Vec<ArrayRef>, ExecError> {
    columns.iter().map(|c| Ok(take(c.as_ref(), rows, None)?)).collect()
}
