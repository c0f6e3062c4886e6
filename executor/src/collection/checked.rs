//! [`CheckedDelta`]: a delta whose retractions have all been found, so that it can be applied whole; what is not there
//! is told before anything is changed. The rows that a delta brings itself ([`OwnRows`]) may go in it again: they are
//! looked at only where stored rows do not suffice, which costs a hash of each.

use std::collections::HashMap;

use arrow::array::{BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::row::Rows;
use highwater_types::Delta;

use super::shard::Layout;
use crate::ExecError;
use crate::hashing::{Purpose, hash_rows};

/// About how many retractions are looked up at a time.
const RETRACT_ROWS: usize = 8192;

/// A delta that can be applied to the shard that it was checked against, as long as nothing else has been.
#[derive(Debug)]
pub struct CheckedDelta {
    /// Rows to add.
    pub(super) inserted: RecordBatch,
    /// Stored rows that go.
    pub(super) leaving: Vec<Leaving>,
}

impl CheckedDelta {
    /// One that takes nothing away.
    pub(super) fn insert(inserted: RecordBatch) -> CheckedDelta {
        let leaving = Vec::new();
        CheckedDelta { inserted, leaving }
    }
}

/// A stored row that is to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    pub(super) ordinal: u64,
    /// Its hash in the index.
    pub(super) hash: u64,
}

/// The rows that a delta adds, for those among its retractions that no stored row answers.
pub(super) struct OwnRows<'a> {
    layout: &'a Layout,
    batch: RecordBatch,
    /// Rows by hash; made when first needed.
    by_hash: Option<HashMap<u64, Vec<u32>>>,
    /// The rows that have gone again; as long as `batch` once there is one.
    taken: Vec<bool>,
}

impl<'a> OwnRows<'a> {
    pub(super) fn new(layout: &'a Layout, batch: RecordBatch) -> OwnRows<'a> {
        OwnRows {
            layout,
            batch,
            by_hash: None,
            taken: Vec::new(),
        }
    }

    /// Takes as many rows equal to those of `batch` out as are missing of each: row and count.
    ///
    /// # Errors
    /// When there are not as many.
    pub(super) fn take(
        &mut self,
        batch: &RecordBatch,
        encoded: &Rows,
        mut missing: Vec<(u32, i64)>,
    ) -> Result<(), ExecError> {
        if missing.is_empty() {
            return Ok(());
        }
        let rows: UInt32Array = missing.iter().map(|(row, _)| *row).collect::<Vec<u32>>().into();
        let mut hashes = Vec::new();
        hash_whole_rows(&take_record_batch(batch, &rows)?, &mut hashes)?;
        let by_hash = match self.by_hash.take() {
            Some(by_hash) => by_hash,
            None => self.rows_by_hash()?,
        };
        let (mut own, mut wants) = (Vec::new(), Vec::new());
        for (want, hash) in hashes.iter().enumerate() {
            let found = by_hash.get(hash).map_or(&[][..], Vec::as_slice);
            own.extend_from_slice(found);
            wants.resize(own.len(), want);
        }
        self.by_hash = Some(by_hash);
        self.taken.resize(self.batch.num_rows(), false);
        let candidates = take_record_batch(&self.batch, &UInt32Array::from(own.clone()))?;
        let candidates = self.layout.encode_rows(candidates.columns())?;
        for (at, (own, want)) in own.iter().zip(wants).enumerate() {
            let (row, count) = &mut missing[want];
            if *count > 0 && candidates.row(at).data() == encoded.row(*row as usize).data() {
                self.taken[*own as usize] = true;
                *count -= 1;
            }
        }
        match missing.iter().find(|(_, count)| *count > 0) {
            Some((row, _)) => Err(missing_row(batch, *row as usize)),
            None => Ok(()),
        }
    }

    fn rows_by_hash(&self) -> Result<HashMap<u64, Vec<u32>>, ExecError> {
        let mut hashes = Vec::new();
        hash_whole_rows(&self.batch, &mut hashes)?;
        let mut by_hash: HashMap<u64, Vec<u32>> = HashMap::with_capacity(hashes.len());
        for (row, hash) in hashes.into_iter().enumerate() {
            by_hash.entry(hash).or_default().push(row as u32);
        }
        Ok(by_hash)
    }

    /// The rows that stay.
    pub(super) fn into_remaining(self) -> Result<RecordBatch, ExecError> {
        if self.taken.is_empty() {
            return Ok(self.batch);
        }
        let stays: BooleanArray = self.taken.iter().map(|taken| Some(!taken)).collect();
        Ok(filter_record_batch(&self.batch, &stays)?)
    }
}

/// The index hashes a key only, of which a delta may bring and take back any number of rows.
fn hash_whole_rows(batch: &RecordBatch, hashes: &mut Vec<u64>) -> Result<(), ExecError> {
    hash_rows(batch.columns(), batch.num_rows(), Purpose::Index, hashes)
}

/// Rows in groups of about [`RETRACT_ROWS`], in their order; those of one hash are in one group, however many.
pub(super) fn groups_by_hash(hashes: &[u64]) -> Vec<Vec<u32>> {
    if hashes.len() <= RETRACT_ROWS {
        return vec![(0..hashes.len() as u32).collect()];
    }
    let mut groups: Vec<Vec<u32>> = vec![Vec::with_capacity(RETRACT_ROWS)];
    let mut home: HashMap<u64, usize> = HashMap::with_capacity(hashes.len());
    for (row, hash) in hashes.iter().enumerate() {
        let newest = groups.len() - 1;
        groups[*home.entry(*hash).or_insert(newest)].push(row as u32);
        if groups[newest].len() >= RETRACT_ROWS {
            groups.push(Vec::with_capacity(RETRACT_ROWS));
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// The rows with a positive weight, as often as it says.
pub(crate) fn additions(delta: &Delta) -> Result<RecordBatch, ExecError> {
    let Some(weights) = delta.weights().filter(|w| w.values().iter().any(|w| *w != 1)) else {
        return Ok(delta.batch().clone());
    };
    let rows: UInt32Array = weights
        .values()
        .iter()
        .enumerate()
        .flat_map(|(row, weight)| std::iter::repeat_n(row as u32, usize::try_from(*weight).unwrap_or(0)))
        .collect::<Vec<u32>>()
        .into();
    Ok(take_record_batch(delta.batch(), &rows)?)
}

/// The rows with a negative weight, and how many of each are to go.
pub(super) fn retractions(delta: &Delta) -> Result<Option<(RecordBatch, Vec<i64>)>, ExecError> {
    let Some(weights) = delta.weights() else {
        return Ok(None);
    };
    let negative = |(_, weight): &(usize, &i64)| **weight < 0;
    let rows: Vec<u32> = weights
        .values()
        .iter()
        .enumerate()
        .filter(negative)
        .map(|(row, _)| row as u32)
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let counts = rows.iter().map(|row| -weights.value(*row as usize)).collect();
    let batch = take_record_batch(delta.batch(), &UInt32Array::from(rows))?;
    Ok(Some((batch, counts)))
}

/// Counts per row, those of equal rows summed at the first of them.
pub(super) fn sum_equal(rows: &Rows, counts: &[i64]) -> Vec<i64> {
    let mut sums = vec![0; counts.len()];
    let mut first: HashMap<&[u8], usize> = HashMap::with_capacity(counts.len());
    for (row, count) in counts.iter().enumerate() {
        sums[*first.entry(rows.row(row).data()).or_insert(row)] += count;
    }
    sums
}

pub(super) fn missing_row(batch: &RecordBatch, row: usize) -> ExecError {
    let row = highwater_types::script::format_delta(&Delta::insert(batch.slice(row, 1)));
    ExecError::MissingRow {
        operator: "Collection",
        row,
    }
}
