//! [`Segment`]: immutable rows with, per row, the epoch at which it appeared and, in an atomic, the epoch at which
//! it went. Only the shard's writer sets the latter; readers at closed epochs read it without a lock, since what
//! is set later is later than any epoch they read at.
//!
//! Every row has an ordinal, its place in the order of insertion into the shard. It never changes, also when
//! segments are merged, so that indexes need not be told of merges.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use highwater_types::Epoch;

/// The death of a row that lives.
pub(super) const ALIVE: u64 = u64::MAX;

/// Which rows of a segment an epoch shows.
pub(super) enum Visible {
    /// None of them.
    Nothing,
    /// All of them.
    All,
    /// Those marked.
    Some(BooleanArray),
}

/// When rows appeared.
#[derive(Debug, Clone)]
pub(super) enum Births {
    /// All at one epoch.
    Together(u64),
    /// Each at its own; the smallest and the greatest are known.
    Each { epochs: Vec<u64>, first: u64, last: u64 },
}

/// The ordinals of rows.
#[derive(Debug, Clone)]
pub(super) enum Ordinals {
    /// Consecutive from this one on.
    From(u64),
    /// These, ascending: merges have left others out.
    Listed(Vec<u64>),
}

/// Rows that were inserted one after the other.
#[derive(Debug)]
pub(super) struct Segment {
    batch: RecordBatch,
    births: Births,
    ordinals: Ordinals,
    /// Made when the first row goes.
    deaths: OnceLock<Box<[AtomicU64]>>,
    first_death: AtomicU64,
    /// How many rows no reader can see any more. The writer's business.
    expired: AtomicU32,
    data_bytes: usize,
}

impl Segment {
    /// Rows that all live. There is at least one.
    pub(super) fn new(batch: RecordBatch, births: Births, ordinals: Ordinals) -> Segment {
        debug_assert!(batch.num_rows() > 0, "empty segments are not kept");
        let data_bytes = batch
            .columns()
            .iter()
            .map(|c| c.to_data().get_slice_memory_size().unwrap_or(0))
            .sum();
        Segment {
            batch,
            births,
            ordinals,
            deaths: OnceLock::new(),
            first_death: AtomicU64::new(ALIVE),
            expired: AtomicU32::new(0),
            data_bytes,
        }
    }

    /// The rows.
    pub(super) fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// How many rows there are, dead or alive.
    pub(super) fn row_count(&self) -> usize {
        self.batch.num_rows()
    }

    /// The memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        let births = match &self.births {
            Births::Together(_) => 0,
            Births::Each { epochs, .. } => 8 * epochs.len(),
        };
        let ordinals = match &self.ordinals {
            Ordinals::From(_) => 0,
            Ordinals::Listed(list) => 8 * list.len(),
        };
        self.data_bytes + births + ordinals + self.deaths.get().map_or(0, |d| 8 * d.len())
    }

    /// The ordinal of the first row.
    pub(super) fn first_ordinal(&self) -> u64 {
        match &self.ordinals {
            Ordinals::From(first) => *first,
            Ordinals::Listed(list) => list[0],
        }
    }

    /// The ordinal of a row.
    pub(super) fn ordinal(&self, row: usize) -> u64 {
        match &self.ordinals {
            Ordinals::From(first) => first + row as u64,
            Ordinals::Listed(list) => list[row],
        }
    }

    /// The row with this ordinal.
    pub(super) fn row_of(&self, ordinal: u64) -> Option<usize> {
        match &self.ordinals {
            Ordinals::From(first) => {
                let row = ordinal.checked_sub(*first)? as usize;
                (row < self.row_count()).then_some(row)
            }
            Ordinals::Listed(list) => list.binary_search(&ordinal).ok(),
        }
    }

    /// When a row appeared.
    pub(super) fn birth(&self, row: usize) -> u64 {
        match &self.births {
            Births::Together(epoch) => *epoch,
            Births::Each { epochs, .. } => epochs[row],
        }
    }

    /// The rows that appeared after `from` and at `to` at the latest, in runs of one epoch, oldest first.
    pub(super) fn births_within(&self, from: u64, to: u64) -> Vec<(u64, Range<usize>)> {
        match &self.births {
            Births::Together(epoch) if *epoch > from && *epoch <= to => vec![(*epoch, 0..self.row_count())],
            Births::Together(_) => Vec::new(),
            // Rows stand in the order in which they appeared.
            Births::Each { epochs, .. } => {
                let mut start = epochs.partition_point(|epoch| *epoch <= from);
                let end = epochs.partition_point(|epoch| *epoch <= to).max(start);
                let runs = epochs[start..end].chunk_by(|a, b| a == b);
                runs.map(|run| {
                    let rows = start..start + run.len();
                    start = rows.end;
                    (run[0], rows)
                })
                .collect()
            }
        }
    }

    /// When its last row appeared.
    pub(super) fn last_birth(&self) -> u64 {
        match &self.births {
            Births::Together(epoch) => *epoch,
            Births::Each { last, .. } => *last,
        }
    }

    /// When a row went, or [`ALIVE`].
    pub(super) fn death(&self, row: usize) -> u64 {
        self.deaths.get().map_or(ALIVE, |d| d[row].load(Ordering::Relaxed))
    }

    /// Lets a row go. Writer only.
    pub(super) fn kill(&self, row: usize, epoch: Epoch) {
        let deaths = self
            .deaths
            .get_or_init(|| (0..self.row_count()).map(|_| AtomicU64::new(ALIVE)).collect());
        deaths[row].store(epoch.0, Ordering::Relaxed);
        self.first_death.fetch_min(epoch.0, Ordering::Release);
    }

    /// Whether a row is there at `epoch`.
    pub(super) fn shows(&self, row: usize, epoch: u64) -> bool {
        self.birth(row) <= epoch && self.death(row) > epoch
    }

    /// Which rows are there at `epoch`.
    pub(super) fn visible(&self, epoch: u64) -> Visible {
        let (first, last) = match &self.births {
            Births::Together(born) => (*born, *born),
            Births::Each { first, last, .. } => (*first, *last),
        };
        if first > epoch {
            return Visible::Nothing;
        }
        if last <= epoch && self.first_death.load(Ordering::Acquire) > epoch {
            return Visible::All;
        }
        let mask = self.mask(epoch);
        match mask.true_count() {
            0 => Visible::Nothing,
            n if n == mask.len() => Visible::All,
            _ => Visible::Some(mask),
        }
    }

    fn mask(&self, epoch: u64) -> BooleanArray {
        let lives = |deaths: &[AtomicU64], row: usize| deaths[row].load(Ordering::Relaxed) > epoch;
        let buffer = match (self.deaths.get(), &self.births) {
            (Some(deaths), Births::Together(_)) => BooleanBuffer::collect_bool(deaths.len(), |row| lives(deaths, row)),
            (Some(deaths), Births::Each { epochs, .. }) => {
                BooleanBuffer::collect_bool(deaths.len(), |row| epochs[row] <= epoch && lives(deaths, row))
            }
            (None, _) => BooleanBuffer::collect_bool(self.row_count(), |row| self.birth(row) <= epoch),
        };
        BooleanArray::new(buffer, None)
    }

    /// How many rows are there at `epoch`.
    pub(super) fn visible_count(&self, epoch: u64) -> usize {
        match self.visible(epoch) {
            Visible::Nothing => 0,
            Visible::All => self.row_count(),
            Visible::Some(mask) => mask.true_count(),
        }
    }

    /// Notes that a row can be left out of the next merge; answers how many there are now. Writer only.
    pub(super) fn note_expired(&self) -> usize {
        self.expired.fetch_add(1, Ordering::Relaxed) as usize + 1
    }

    /// Whether any row has gone.
    pub(super) fn has_deaths(&self) -> bool {
        self.first_death.load(Ordering::Relaxed) != ALIVE
    }
}
