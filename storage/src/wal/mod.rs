//! [`Wal`]: the write-ahead log of table changes, in epoch order.
//!
//! An append holds the changes of one epoch, all tables; it is in the log whole or not at all, and on the device
//! when [`Wal::append`] returns. [`Wal::replay`] yields them again, oldest first. Compaction replaces all that came
//! before by its sum, so that a restart reads about what the tables hold and not all they ever held.
//!
//! # State
//! In memory only the next sequence number, the schemas, and the marks of what was forgotten: nothing grows with
//! the log. On disk see `record.rs` (a record's bytes), `layout.rs` (which trees count), `compact.rs`.
//!
//! # Threads
//! Appends exclude each other. A compaction runs beside appends, and holds them up only to swap trees.

mod compact;
mod layout;
mod record;
mod replay;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard};

use highwater_types::{Delta, Epoch, RelationId};
use sled::Tree;

pub use self::replay::Replay;

use self::layout::{Layout, Marks, Schemas};
use self::record::{Encoder, Header, RecordKey, place};
use crate::StorageError;
use crate::disk::{Aim, Disk, VALUE_BYTES_MAX, Writes};

/// A log of more appends than this is compacted, if its base is small: replaying it would take a second or so.
const LONG_APPENDS: u64 = 20_000;
/// A log of more bytes than this is compacted, if its base is not larger.
const LONG_BYTES: u64 = 64 << 20;

/// Changes of one table in one epoch.
#[derive(Debug, Clone)]
pub struct WalEntry {
    /// Which table.
    pub relation: RelationId,
    /// The changes.
    pub delta: Delta,
}

impl WalEntry {
    /// About how much it takes in the log.
    fn size_bytes(&self) -> u64 {
        let columns = self.delta.batch().columns().iter();
        let sizes = columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or_default());
        sizes.sum::<usize>() as u64
    }

    fn adds_rows(&self) -> bool {
        (0..self.delta.num_rows()).any(|row| self.delta.weight(row) > 0)
    }
}

/// The write-ahead log.
#[derive(Debug)]
pub struct Wal {
    disk: Arc<Disk>,
    meta: Tree,
    writer: Mutex<Writer>,
    /// Held while a compaction runs: there is one at a time.
    compacting: Mutex<()>,
}

/// What appends need, under one lock.
#[derive(Debug)]
struct Writer {
    layout: Layout,
    schemas: Schemas,
    marks: Marks,
    encoder: Encoder,
    /// The tree appended to: the layout's last log.
    log: Tree,
    last_epoch: Epoch,
    next_sequence: u64,
    /// Bytes of all records ever appended.
    log_bytes: u64,
}

impl Wal {
    pub(crate) fn open(disk: Arc<Disk>) -> Result<Wal, StorageError> {
        let meta = disk.tree("meta")?;
        let layout = Layout::load(&disk, &meta)?;
        let in_force = layout.tree_names();
        for name in disk.tree_names() {
            let is_ours = name.starts_with("log-") || name.starts_with("base-");
            if is_ours && !in_force.contains(&name) {
                tracing::info!(tree = name, "dropping what an unfinished compaction left");
                disk.drop_tree(&name)?;
            }
        }
        let schemas = Schemas::load(&disk, &meta)?;
        let marks = Marks::load(&disk, &meta)?;
        let base_epoch = layout.base.map_or(Epoch::ZERO, |(_, epoch)| epoch);
        let mut writer = Writer {
            log: disk.tree(&Layout::log_name(newest_log(&layout)))?,
            last_epoch: base_epoch.max(marks.newest()),
            next_sequence: layout.first_sequence,
            log_bytes: layout.first_bytes,
            encoder: Encoder::default(),
            layout,
            schemas,
            marks,
        };
        // The newest record is in the last log that has one.
        for log in writer.layout.logs.iter().rev() {
            let tree = disk.tree(&Layout::log_name(*log))?;
            if let Some((key, header)) = last_record(&disk, &tree)? {
                writer.last_epoch = writer.last_epoch.max(key.epoch);
                writer.next_sequence = header.sequence + 1;
                writer.log_bytes = header.log_bytes;
                break;
            }
        }
        Ok(Wal {
            disk,
            meta,
            writer: Mutex::new(writer),
            compacting: Mutex::new(()),
        })
    }

    /// Appends the changes of one epoch, durable on return: one sync for all of them. Epochs must increase.
    ///
    /// # Errors
    /// When the device is full, and nothing has been done; or when it could not be made durable: then the store takes no
    /// more writes until it is opened again.
    pub fn append(&self, epoch: Epoch, entries: &[WalEntry]) -> Result<(), StorageError> {
        self.append_after_forgetting(epoch, &[], entries)
    }

    /// Forgets all that earlier epochs hold of `forgotten` and appends `entries`, in one transaction: a TRUNCATE
    /// with what else its transaction did.
    ///
    /// # Errors
    /// As [`Wal::append`].
    pub fn append_after_forgetting(
        &self,
        epoch: Epoch,
        forgotten: &[RelationId],
        entries: &[WalEntry],
    ) -> Result<(), StorageError> {
        let mut writer = self.writer();
        if epoch <= writer.last_epoch {
            return Err(StorageError::EpochOrder {
                given: epoch,
                last: writer.last_epoch,
            });
        }
        let mut meta = Writes::default();
        let mut log = Writes::default();
        let adds = entries.iter().any(WalEntry::adds_rows);
        let aim = if adds { Aim::Add } else { Aim::Remove };
        self.disk
            .check_room(entries.iter().map(WalEntry::size_bytes).sum(), aim)?;
        let has_new_schema = writer.put_entries(epoch, entries, &mut meta, &mut log)?;
        for relation in forgotten {
            writer.marks.put(*relation, epoch, &mut meta);
        }
        if has_new_schema || !forgotten.is_empty() {
            self.disk.apply_both((&self.meta, meta), (&writer.log, log))?;
        } else {
            self.disk.apply(&writer.log, log)?;
        }
        writer.last_epoch = epoch;
        self.disk.sync()
    }

    /// Makes all that the log holds of this table void: it was dropped, or truncated. Durable on return; costs one
    /// small write, whatever the table's size. The space comes back with the next compaction.
    ///
    /// # Errors
    /// As [`Wal::append`].
    pub fn forget(&self, relation: RelationId) -> Result<(), StorageError> {
        let mut writer = self.writer();
        let mut meta = Writes::default();
        self.disk.check_room(0, Aim::Remove)?;
        let epoch = writer.last_epoch.next();
        writer.marks.put(relation, epoch, &mut meta);
        self.disk.apply(&self.meta, meta)?;
        self.disk.sync()
    }

    /// Everything appended and not forgotten, an epoch at a time, oldest first. What compaction summed up comes
    /// first, as of the epoch up to which it did. Sees the log as of this call.
    ///
    /// # Errors
    /// The iterator ends with the first record that is damaged or gone.
    pub fn replay(&self) -> Replay {
        let writer = self.writer();
        Replay::new(Arc::clone(&self.disk), &writer.layout, &writer.schemas, &writer.marks)
    }

    /// The newest epoch ever appended; [`Epoch::ZERO`] when there is none.
    pub fn last_epoch(&self) -> Epoch {
        self.writer().last_epoch
    }

    /// Whether replaying the log would take so long that it should be compacted.
    pub fn is_long(&self) -> bool {
        let writer = self.writer();
        let appends = writer.next_sequence - writer.layout.first_sequence;
        let bytes = writer.log_bytes - writer.layout.first_bytes;
        // A large base takes long to read as well, and to write anew.
        let many = LONG_APPENDS * (1 + writer.layout.base_bytes / LONG_BYTES);
        appends > many || (bytes > LONG_BYTES && bytes > writer.layout.base_bytes)
    }

    /// Bytes of all records that a replay would read.
    fn size_bytes(&self) -> u64 {
        let writer = self.writer();
        writer.log_bytes - writer.layout.first_bytes + writer.layout.base_bytes
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic while appending leaves the disk either stopped or unchanged, so the state is sound.
        self.writer.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Writer {
    /// Puts all records of an append into `log`, and new schemas into `meta`. Says whether there were any.
    fn put_entries(
        &mut self,
        epoch: Epoch,
        entries: &[WalEntry],
        meta: &mut Writes,
        log: &mut Writes,
    ) -> Result<bool, StorageError> {
        let known_schemas = self.schemas.by_id.len();
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries.iter().filter(|e| !e.delta.is_empty()) {
            let schema = self.schemas.id_of(entry.relation, &entry.delta.schema(), meta)?;
            records.push((entry.relation, self.encoder.encode(&entry.delta, schema)?));
        }
        self.log_bytes += records.iter().map(|(_, r)| r.len() as u64).sum::<u64>();
        let count = records.len() as u32;
        for (number, (relation, mut record)) in records.into_iter().enumerate() {
            let key = RecordKey {
                epoch,
                relation,
                entry: number as u32,
            };
            place(&mut record, key, self.next_sequence, self.log_bytes, count);
            put_parts(log, key, &record);
        }
        if count > 0 {
            self.next_sequence += 1;
        }
        Ok(self.schemas.by_id.len() > known_schemas)
    }
}

/// Cuts a record into parts.
fn put_parts(batch: &mut Writes, key: RecordKey, record: &[u8]) {
    for (part, chunk) in record.chunks(VALUE_BYTES_MAX).enumerate() {
        batch.insert(key.part(part as u32), chunk);
    }
}

fn newest_log(layout: &Layout) -> u32 {
    *layout.logs.last().expect("a layout names at least one log")
}

/// The last record of a log tree, by its header alone.
fn last_record(disk: &Disk, tree: &Tree) -> Result<Option<(RecordKey, Header)>, StorageError> {
    let Some((key, _)) = tree.last().map_err(|e| disk.read_error(e))? else {
        return Ok(None);
    };
    let damaged = |what: String, reason: &str| disk.damaged(what, reason.to_string());
    let (key, _) = RecordKey::parse(&key)
        .ok_or_else(|| damaged("the write-ahead log".to_string(), "a key is not of a known form"))?;
    let first = disk.read(tree, &key.part(0))?;
    let header = first.and_then(|value| Header::parse(&value).ok());
    let header = header.ok_or_else(|| damaged(replay::record_name(key), "its header is unreadable"))?;
    Ok(Some((key, header)))
}
