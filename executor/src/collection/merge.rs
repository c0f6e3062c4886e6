//! Which segments are merged, and how. Segments are merged by eights with others of their size or smaller, so a row
//! is copied once for each power of eight that its segment passes, and there are few segments; from
//! [`SETTLED_ROWS`] on they stay as they are until half of their rows have expired. So the batches of a loaded source
//! are never copied: the collection of an append-only view costs next to nothing. Rows that went at or before the
//! oldest epoch that is read are left out.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use highwater_types::Epoch;

use super::segment::{ALIVE, Births, Ordinals, Segment};
use crate::ExecError;

/// How many segments of a size are merged at once.
const FANOUT: usize = 8;
/// Segments of at least this many rows are not merged with others: a scan is no faster over larger ones.
const SETTLED_ROWS: usize = 4096;
/// How many settled segments gather at the head of the recent ones before they are moved away.
const SETTLED_GATHER: usize = 32;

/// All segments of a shard in the order of their rows' ordinals. Cheap to clone: the many that are settled are
/// shared as one.
#[derive(Debug, Clone, Default)]
pub(super) struct SegmentList {
    settled: Arc<Vec<Arc<Segment>>>,
    recent: Vec<Arc<Segment>>,
}

impl SegmentList {
    /// All segments.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.settled.iter().chain(&self.recent)
    }

    /// The segment and the row with this ordinal.
    pub(super) fn locate(&self, ordinal: u64) -> Option<(&Arc<Segment>, usize)> {
        let part: &[Arc<Segment>] = match self.recent.first() {
            Some(first) if first.first_ordinal() <= ordinal => &self.recent,
            _ => &self.settled,
        };
        let after = part.partition_point(|segment| segment.first_ordinal() <= ordinal);
        let segment = part.get(after.checked_sub(1)?)?;
        Some((segment, segment.row_of(ordinal)?))
    }

    /// Adds a segment whose ordinals come after all others, and merges what is due.
    pub(super) fn push(&mut self, segment: Segment, schema: &SchemaRef, oldest: u64) -> Result<(), ExecError> {
        self.recent.push(Arc::new(segment));
        while let Some(from) = self.due() {
            let merged = merge(&self.recent[from..], schema, oldest)?;
            self.recent.truncate(from);
            self.recent.extend(merged.map(Arc::new));
        }
        self.settle();
        Ok(())
    }

    /// Leaves the expired rows of one segment out.
    pub(super) fn rewrite(&mut self, first_ordinal: u64, schema: &SchemaRef, oldest: u64) -> Result<(), ExecError> {
        let place = |part: &[Arc<Segment>]| part.iter().position(|s| s.first_ordinal() == first_ordinal);
        if let Some(at) = place(&self.recent) {
            let merged = merge(&self.recent[at..=at], schema, oldest)?;
            self.recent.splice(at..=at, merged.map(Arc::new));
        } else if let Some(at) = place(&self.settled) {
            let merged = merge(&self.settled[at..=at], schema, oldest)?;
            Arc::make_mut(&mut self.settled).splice(at..=at, merged.map(Arc::new));
        }
        Ok(())
    }

    /// From which recent segment on to merge: there are enough of the last one's size or smaller.
    fn due(&self) -> Option<usize> {
        let last = tier(self.recent.last()?);
        let mergeable = |segment: &&Arc<Segment>| segment.row_count() < SETTLED_ROWS && tier(segment) <= last;
        let count = self.recent.iter().rev().take_while(mergeable).count();
        (count >= FANOUT).then(|| self.recent.len() - count)
    }

    fn settle(&mut self) {
        let count = self.recent.iter().take_while(|s| s.row_count() >= SETTLED_ROWS).count();
        if count >= SETTLED_GATHER {
            let settled = self.settled.iter().cloned().chain(self.recent.drain(..count));
            self.settled = Arc::new(settled.collect());
        }
    }
}

fn tier(segment: &Arc<Segment>) -> u32 {
    segment.row_count().ilog(FANOUT)
}

/// One segment of all rows that somebody may still read; `None` when there are none.
fn merge(segments: &[Arc<Segment>], schema: &SchemaRef, oldest: u64) -> Result<Option<Segment>, ExecError> {
    let mut batches: Vec<Cow<'_, RecordBatch>> = Vec::with_capacity(segments.len());
    let (mut births, mut ordinals, mut deaths) = (Vec::new(), Vec::new(), Vec::new());
    for segment in segments {
        let before = births.len();
        let mut kept = Vec::new();
        for row in 0..segment.row_count() {
            let death = segment.death(row);
            let keep = death > oldest;
            kept.push(keep);
            if keep {
                if death != ALIVE {
                    deaths.push((births.len(), death));
                }
                births.push(segment.birth(row));
                ordinals.push(segment.ordinal(row));
            }
        }
        if births.len() - before == segment.row_count() {
            batches.push(Cow::Borrowed(segment.batch()));
        } else {
            batches.push(Cow::Owned(filter_record_batch(
                segment.batch(),
                &BooleanArray::from(kept),
            )?));
        }
    }
    if births.is_empty() {
        return Ok(None);
    }
    let batch = concat_batches(schema, batches.iter().map(|b| b.as_ref()))?;
    let merged = Segment::new(batch, births_of(births, oldest), ordinals_of(ordinals));
    for (row, death) in deaths {
        merged.kill(row, Epoch(death));
    }
    Ok(Some(merged))
}

/// No reader tells births at or before `oldest` apart.
fn births_of(epochs: Vec<u64>, oldest: u64) -> Births {
    let first = epochs.iter().copied().min().unwrap_or(0);
    let last = epochs.iter().copied().max().unwrap_or(0);
    if last <= oldest || first == last {
        Births::Together(last)
    } else {
        Births::Each { epochs, first, last }
    }
}

fn ordinals_of(list: Vec<u64>) -> Ordinals {
    match (list.first(), list.last()) {
        (Some(first), Some(last)) if last - first + 1 == list.len() as u64 => Ordinals::From(*first),
        _ => Ordinals::Listed(list),
    }
}
