//! [`Collection`]: the rows of a table or view at any recent epoch. Sharded by worker; a shard is a list of
//! immutable segments of Arrow rows, each row with the epoch at which it appeared and the one at which it went.
//!
//! * A reader picks a closed epoch and scans without a lock; segments of which it sees every row are handed out
//!   without a copy.
//! * Appending costs O(batch), without a look at single rows, and amortised O(log) copies for merging.
//! * An index, by key or by the whole row, is built when it is first needed: by a retraction or a look-up.
//! * Memory is bounded by the rows there are, plus those that went after [`Collection::retain_from`]'s epoch.

mod changes;
mod checked;
mod faults;
mod index;
mod merge;
mod segment;
mod shard;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use highwater_types::{Delta, Epoch, Fault, SqlError};

pub use self::checked::CheckedDelta;
pub(crate) use self::checked::additions;
use self::faults::FaultLog;
use self::segment::Visible;
use self::shard::{Layout, NEWEST, Shard};
use crate::ExecError;
use crate::hashing::{Purpose, hash_rows};

/// The rows of a table or view.
#[derive(Debug)]
pub struct Collection {
    layout: Layout,
    shards: Vec<Shard>,
    faults: FaultLog,
    /// Reads at earlier epochs are refused.
    oldest: AtomicU64,
}

impl Collection {
    /// No rows yet. `key` are columns by which rows are unique; `shards` is the number of writers.
    pub fn new(schema: SchemaRef, key: Option<Vec<usize>>, shards: usize) -> Arc<Collection> {
        Arc::new(Collection {
            layout: Layout::new(schema, key),
            shards: std::iter::repeat_with(Shard::default).take(shards.max(1)).collect(),
            faults: FaultLog::default(),
            oldest: AtomicU64::new(0),
        })
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.layout.schema
    }

    /// The columns by which rows are unique, if any.
    pub fn key(&self) -> Option<&[usize]> {
        self.layout.key.as_deref()
    }

    /// How many writers there may be.
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// Applies changes, all or none. Within a shard epochs never decrease. A weight of two makes two rows. Rows that come
    /// and go in one delta are fine; a retracted row must have been inserted into the same shard.
    ///
    /// # Errors
    /// When the columns are not the collection's, or a row is retracted that is not there; then nothing is changed.
    pub fn apply(&self, shard: usize, epoch: Epoch, delta: &Delta) -> Result<(), ExecError> {
        if delta.is_empty() {
            return Ok(());
        }
        let checked = self.check(shard, delta)?;
        self.apply_checked(shard, epoch, checked)
    }

    /// The first half of [`Collection::apply`], which changes nothing: for whoever must know that several deltas fit
    /// before any is applied. Only the shard's writer may ask.
    ///
    /// # Errors
    /// As those of [`Collection::apply`].
    pub fn check(&self, shard: usize, delta: &Delta) -> Result<CheckedDelta, ExecError> {
        let delta = self.with_own_schema(delta)?;
        self.shards[shard].check(&self.layout, &delta)
    }

    /// The second half of [`Collection::apply`]. Nothing may have been applied to the shard since the first.
    ///
    /// # Errors
    /// When rows cannot be copied, which would be an error of ours.
    pub fn apply_checked(&self, shard: usize, epoch: Epoch, checked: CheckedDelta) -> Result<(), ExecError> {
        self.shards[shard].apply(&self.layout, epoch, checked, self.oldest.load(Ordering::Acquire))
    }

    /// Changes the weights of faults.
    pub fn apply_faults(&self, _shard: usize, epoch: Epoch, faults: &[(Fault, i64)]) {
        self.faults.apply(epoch, faults);
    }

    /// The rows at an epoch, all columns or those of `projection`.
    ///
    /// # Errors
    /// A fault that is live at the epoch, or that the epoch is no longer kept.
    pub fn scan(&self, epoch: Epoch, projection: Option<&[usize]>) -> Result<Vec<RecordBatch>, SqlError> {
        if let Some((fault, _)) = self.faults_at(epoch).into_iter().next() {
            return Err(SqlError::from(fault));
        }
        Ok(self.rows(epoch, projection)?)
    }

    /// The rows at an epoch, whatever faults there are.
    ///
    /// # Errors
    /// When the epoch is no longer kept.
    pub fn rows(&self, epoch: Epoch, projection: Option<&[usize]>) -> Result<Vec<RecordBatch>, ExecError> {
        let epoch = self.readable(epoch)?;
        let mut batches = Vec::new();
        for shard in &self.shards {
            batches.extend(shard.steadily(epoch, || visible_rows(shard, epoch, projection))?);
        }
        Ok(batches)
    }

    /// The faults at an epoch, with their weights.
    pub fn faults_at(&self, epoch: Epoch) -> Vec<(Fault, i64)> {
        self.faults.at(epoch)
    }

    /// The rows with these keys at an epoch: one array a key column, in the key's order, one value a key. NULL finds
    /// NULL. Rows come in the order of the keys that found them. `None` when there is no key to look up by.
    ///
    /// # Errors
    /// A fault that is live at the epoch; that the epoch is no longer kept; columns that are not the key's.
    pub fn lookup(&self, epoch: Epoch, key_columns: &[ArrayRef]) -> Result<Option<RecordBatch>, SqlError> {
        if let Some((fault, _)) = self.faults_at(epoch).into_iter().next() {
            return Err(SqlError::from(fault));
        }
        Ok(self.find(epoch, key_columns)?)
    }

    /// Versions that went at or before `oldest` may be merged away; reads before it are refused.
    pub fn retain_from(&self, oldest: Epoch) {
        self.oldest.fetch_max(oldest.0, Ordering::AcqRel);
        self.faults.retain_from(oldest);
    }

    /// The oldest epoch that can be read.
    pub fn oldest(&self) -> Epoch {
        Epoch(self.oldest.load(Ordering::Acquire))
    }

    /// How many rows there are at an epoch.
    pub fn row_count(&self, epoch: Epoch) -> u64 {
        let epoch = epoch.0.min(NEWEST);
        let count = |shard: &Shard| {
            shard
                .segments()
                .iter()
                .map(|s| s.visible_count(epoch) as u64)
                .sum::<u64>()
        };
        self.shards.iter().map(count).sum()
    }

    /// The memory that rows and indexes take.
    pub fn size_bytes(&self) -> usize {
        self.shards.iter().map(Shard::size_bytes).sum()
    }

    fn find(&self, epoch: Epoch, key_columns: &[ArrayRef]) -> Result<Option<RecordBatch>, ExecError> {
        let epoch = self.readable(epoch)?;
        let Some(key) = &self.layout.key else { return Ok(None) };
        let is_key = key.len() == key_columns.len()
            && key
                .iter()
                .zip(key_columns)
                .all(|(c, a)| self.layout.schema.field(*c).data_type() == a.data_type());
        // Without columns the key says that there is at most one row: a scan finds it as fast.
        if !is_key || key.is_empty() {
            return Ok(None);
        }
        let mut hashes = Vec::new();
        hash_rows(key_columns, key_columns[0].len(), Purpose::Index, &mut hashes)?;
        let wanted = self.layout.encode_index_keys(key_columns)?;
        let mut found = Vec::new();
        for shard in &self.shards {
            found.extend(shard.lookup(&self.layout, epoch, &wanted, &hashes)?);
        }
        found.sort_by_key(|(want, _)| *want);
        Ok(Some(concat_batches(
            &self.layout.schema,
            found.iter().map(|(_, row)| row),
        )?))
    }

    /// [`Epoch::MAX`] reads everything applied.
    fn readable(&self, epoch: Epoch) -> Result<u64, ExecError> {
        let oldest = self.oldest();
        if epoch < oldest {
            return Err(ExecError::Expired { epoch, oldest });
        }
        Ok(epoch.0.min(NEWEST))
    }

    fn with_own_schema(&self, delta: &Delta) -> Result<Delta, ExecError> {
        if Arc::ptr_eq(delta.batch().schema_ref(), &self.layout.schema) {
            return Ok(delta.clone());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(delta.num_rows()));
        let columns = delta.batch().columns().to_vec();
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.layout.schema), columns, &options)?;
        Ok(delta.with_batch(batch)?)
    }
}

/// The rows of a shard at an epoch, all columns or those of `projection`.
fn visible_rows(shard: &Shard, epoch: u64, projection: Option<&[usize]>) -> Result<Vec<RecordBatch>, ExecError> {
    let mut batches = Vec::new();
    for segment in shard.segments().iter() {
        let visible = segment.visible(epoch);
        if let Visible::Nothing = visible {
            continue;
        }
        let batch = match projection {
            None => segment.batch().clone(),
            Some(columns) => segment.batch().project(columns)?,
        };
        batches.push(match visible {
            Visible::Nothing | Visible::All => batch,
            Visible::Some(mask) => filter_record_batch(&batch, &mask)?,
        });
    }
    Ok(batches)
}
