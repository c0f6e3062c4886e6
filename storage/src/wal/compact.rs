//! Compaction: all that the log holds, replaced by its sum a table.
//!
//! # Steps, each of which may be the last one before a crash
//! 1. Appends go to a new log tree, named in the layout from then on.
//! 2. Base and older logs are read and summed into a new base tree, which nothing names yet.
//! 3. One write of the layout puts the new base and the new log in force.
//! 4. The older trees are dropped.
//!
//! A crash before 3 leaves the older trees in force and an unnamed base, a crash after it unnamed older trees;
//! opening drops what is unnamed. Cost: one pass over the log. Memory: what the tables hold, and up to
//! [`PENDING_ROWS`] changes a table more.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use highwater_types::{Delta, Epoch, RelationId};
use sled::Tree;

use super::layout::{Layout, Marks};
use super::record::{RecordKey, place};
use super::replay::Records;
use super::{Wal, newest_log, put_parts};
use crate::StorageError;
use crate::disk::{Aim, Writes};

/// Changes of a table that are held before they are summed.
const PENDING_ROWS: usize = 1 << 18;
/// Rows in a record of the base.
const RECORD_ROWS: usize = 1 << 16;
/// Bytes of base written between two syncs, so that the last one is short.
const BATCH_BYTES: u64 = 8 << 20;

impl Wal {
    /// Replaces all that the log holds so far by its sum. Safe at any time, beside appends; a crash at any moment
    /// loses nothing. Takes as long as reading the log, so it belongs on a thread of its own.
    ///
    /// # Errors
    /// When a record is damaged or the disk refuses; the log stays as it was.
    pub fn compact(&self) -> Result<(), StorageError> {
        let _one_at_a_time = self.compacting.lock().unwrap_or_else(|e| e.into_inner());
        self.disk.check_room(self.size_bytes(), Aim::Add)?;
        let cut = self.rotate()?;
        let records = {
            let writer = self.writer();
            Records::new(Arc::clone(&self.disk), &cut.old, &writer.schemas, &cut.applied)
        };
        let sums = sum(records)?;
        let number = next_number(&cut.old);
        let base_bytes = self.write_base(number, cut.epoch, sums)?;
        self.swap(&cut, number, base_bytes)
    }

    /// Step 1.
    pub(super) fn rotate(&self) -> Result<Cut, StorageError> {
        let mut writer = self.writer();
        let old = writer.layout.clone();
        let number = next_number(&old);
        let log = self.disk.tree(&Layout::log_name(number))?;
        let mut layout = old.clone();
        layout.logs.push(number);
        let mut batch = Writes::default();
        layout.put(&mut batch);
        self.disk.apply(&self.meta, batch)?;
        self.disk.sync()?;
        writer.layout = layout;
        writer.log = log;
        Ok(Cut {
            old,
            applied: writer.marks.clone(),
            epoch: writer.last_epoch,
            next_sequence: writer.next_sequence,
            log_bytes: writer.log_bytes,
        })
    }

    /// Step 2. Answers how many bytes were written.
    pub(super) fn write_base(
        &self,
        number: u32,
        epoch: Epoch,
        sums: BTreeMap<RelationId, Sum>,
    ) -> Result<u64, StorageError> {
        let name = Layout::base_name(number);
        // One of this number may be left of a failed try.
        self.disk.drop_tree(&name)?;
        let tree = self.disk.tree(&name)?;
        let mut written = 0;
        let mut unsynced = 0;
        for (relation, sum) in sums {
            for (entry, delta) in sum.into_deltas()?.into_iter().enumerate() {
                let key = RecordKey {
                    epoch,
                    relation,
                    entry: entry as u32,
                };
                let bytes = self.write_base_record(&tree, key, &delta)?;
                written += bytes;
                unsynced += bytes;
                if unsynced > BATCH_BYTES {
                    self.disk.sync()?;
                    unsynced = 0;
                }
            }
        }
        self.disk.sync()?;
        Ok(written)
    }

    fn write_base_record(&self, tree: &Tree, key: RecordKey, delta: &Delta) -> Result<u64, StorageError> {
        let mut record = {
            let mut writer = self.writer();
            let mut meta = Writes::default();
            let schema = writer.schemas.id_of(key.relation, &delta.schema(), &mut meta)?;
            self.disk.apply(&self.meta, meta)?;
            writer.encoder.encode(delta, schema)?
        };
        place(&mut record, key, 0, 0, 0);
        let mut batch = Writes::default();
        put_parts(&mut batch, key, &record);
        self.disk.apply(tree, batch)?;
        Ok(record.len() as u64)
    }

    /// Steps 3 and 4.
    pub(super) fn swap(&self, cut: &Cut, number: u32, base_bytes: u64) -> Result<(), StorageError> {
        {
            let mut writer = self.writer();
            let mut layout = writer.layout.clone();
            layout.base = Some((number, cut.epoch));
            layout.base_bytes = base_bytes;
            layout.first_sequence = cut.next_sequence;
            layout.first_bytes = cut.log_bytes;
            layout.logs.retain(|log| !cut.old.logs.contains(log));
            let mut batch = Writes::default();
            layout.put(&mut batch);
            writer.marks.remove_applied(&cut.applied, cut.epoch, &mut batch);
            self.disk.apply(&self.meta, batch)?;
            self.disk.sync()?;
            writer.layout = layout;
        }
        for name in cut.old.tree_names() {
            self.disk.drop_tree(&name)?;
        }
        Ok(())
    }
}

/// Where a compaction cuts the log.
pub(super) struct Cut {
    /// What is to be summed up.
    pub(super) old: Layout,
    /// The marks in force at the cut.
    pub(super) applied: Marks,
    /// The newest epoch before the cut.
    pub(super) epoch: Epoch,
    /// The first append after it.
    next_sequence: u64,
    /// Bytes ever appended before it.
    log_bytes: u64,
}

/// A number that no tree of this layout has.
pub(super) fn next_number(layout: &Layout) -> u32 {
    layout.base.map_or(0, |(n, _)| n).max(newest_log(layout)) + 1
}

/// What a table's changes have come to so far.
pub(super) struct Sum {
    schema: SchemaRef,
    /// Consolidated.
    total: Option<Delta>,
    pending: Vec<Delta>,
    pending_rows: usize,
    /// What was summed under schemas the table had before.
    earlier: Vec<Delta>,
}

/// Reads and sums all records.
pub(super) fn sum(mut records: Records) -> Result<BTreeMap<RelationId, Sum>, StorageError> {
    let mut sums: BTreeMap<RelationId, Sum> = BTreeMap::new();
    while let Some((key, delta)) = records.read()? {
        let Some(delta) = delta else { continue };
        let sum = sums.entry(key.relation).or_insert_with(|| Sum::new(delta.schema()));
        sum.add(delta)?;
    }
    Ok(sums)
}

impl Sum {
    fn new(schema: SchemaRef) -> Sum {
        Sum {
            schema,
            total: None,
            pending: Vec::new(),
            pending_rows: 0,
            earlier: Vec::new(),
        }
    }

    fn add(&mut self, delta: Delta) -> Result<(), StorageError> {
        if delta.schema() != self.schema {
            self.consolidate()?;
            self.earlier.extend(self.total.take());
            self.schema = delta.schema();
        }
        self.pending_rows += delta.num_rows();
        self.pending.push(delta);
        // Summing costs the total's size too, so it waits for as many changes as that has rows.
        let total_rows = self.total.as_ref().map_or(0, Delta::num_rows);
        if self.pending_rows > PENDING_ROWS.max(total_rows) {
            self.consolidate()?;
        }
        Ok(())
    }

    fn consolidate(&mut self) -> Result<(), StorageError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut all = Vec::from_iter(self.total.take());
        all.append(&mut self.pending);
        self.pending_rows = 0;
        self.total = Some(Delta::concat(&self.schema, &all)?.consolidate()?);
        Ok(())
    }

    fn into_deltas(mut self) -> Result<Vec<Delta>, StorageError> {
        self.consolidate()?;
        let mut deltas = Vec::new();
        for whole in self.earlier.into_iter().chain(self.total) {
            for start in (0..whole.num_rows()).step_by(RECORD_ROWS) {
                deltas.push(whole.slice(start, RECORD_ROWS.min(whole.num_rows() - start)));
            }
        }
        Ok(deltas)
    }
}
