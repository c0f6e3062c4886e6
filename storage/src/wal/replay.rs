//! [`Replay`]: the log read back, checked record by record. Memory: one epoch's changes, which after a compaction
//! is all that the tables held then.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use highwater_types::{Delta, Epoch};

use super::WalEntry;
use super::layout::{Layout, Marks, Schemas};
use super::record::{Header, HeaderError, RECORD_KEY_BYTES, RecordKey, VERSION, decode};
use crate::StorageError;
use crate::disk::Disk;

/// The log's epochs, oldest first. Ends after the first error.
#[derive(Debug)]
pub struct Replay {
    records: Records,
    /// A record of the next epoch, read already.
    pending: Option<(RecordKey, Option<Delta>)>,
    failed: bool,
}

impl Replay {
    pub(super) fn new(disk: Arc<Disk>, layout: &Layout, schemas: &Schemas, marks: &Marks) -> Replay {
        Replay {
            records: Records::new(disk, layout, schemas, marks),
            pending: None,
            failed: false,
        }
    }

    fn read_epoch(&mut self) -> Result<Option<(Epoch, Vec<WalEntry>)>, StorageError> {
        loop {
            let first = match self.pending.take() {
                Some(record) => record,
                None => match self.records.read()? {
                    Some(record) => record,
                    None => return Ok(None),
                },
            };
            let epoch = first.0.epoch;
            let mut entries = Vec::new();
            let mut next = Some(first);
            while let Some((key, delta)) = next {
                if key.epoch != epoch {
                    self.pending = Some((key, delta));
                    break;
                }
                entries.extend(delta.map(|delta| WalEntry {
                    relation: key.relation,
                    delta,
                }));
                next = self.records.read()?;
            }
            // An epoch of which everything was forgotten is passed over.
            if !entries.is_empty() {
                return Ok(Some((epoch, entries)));
            }
        }
    }
}

impl Iterator for Replay {
    type Item = Result<(Epoch, Vec<WalEntry>), StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read_epoch();
        self.failed = read.is_err();
        read.transpose()
    }
}

/// The log's records one by one.
pub(super) struct Records {
    disk: Arc<Disk>,
    schemas: HashMap<u32, SchemaRef>,
    marks: Marks,
    /// Trees still to be read, the next one last.
    trees: Vec<String>,
    parts: Option<sled::Iter>,
    /// The first part of the next record, read already.
    pending: Option<(RecordKey, sled::IVec)>,
    order: Order,
    /// Reused between records.
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("trees", &self.trees)
            .field("order", &self.order)
            .finish_non_exhaustive()
    }
}

/// What the next record must say about its place, so that a record that is gone is noticed.
#[derive(Debug)]
struct Order {
    /// The epoch being read, its sequence, and how many of its records are still to come.
    open: Option<(Epoch, u64, u32)>,
    next_sequence: u64,
    /// Base records carry no sequence.
    in_base: bool,
}

impl Records {
    pub(super) fn new(disk: Arc<Disk>, layout: &Layout, schemas: &Schemas, marks: &Marks) -> Records {
        let mut trees = layout.tree_names();
        trees.reverse();
        Records {
            disk,
            schemas: schemas.by_id.clone(),
            marks: marks.clone(),
            trees,
            parts: None,
            pending: None,
            order: Order {
                open: None,
                next_sequence: layout.first_sequence,
                in_base: layout.base.is_some(),
            },
            bytes: Vec::new(),
        }
    }

    /// The next record; without its changes when they are void.
    pub(super) fn read(&mut self) -> Result<Option<(RecordKey, Option<Delta>)>, StorageError> {
        let Some((key, first)) = self.next_first_part()? else {
            self.order.finish().map_err(|reason| self.log_damage(reason))?;
            return Ok(None);
        };
        let header = match Header::parse(&first) {
            Ok(header) => header,
            Err(HeaderError::Version(found)) if found > VERSION => {
                return Err(self.disk.unknown_version(record_name(key), found, VERSION));
            }
            Err(e) => return Err(self.damage(key, format!("its header is unreadable: {e:?}"))),
        };
        let is_void = self.marks.is_void(key.relation, key.epoch);
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes.extend_from_slice(&first);
        self.read_other_parts(key, header.length, &mut bytes)?;
        // A void record's bytes are of no interest, but its place in the order is.
        let delta = if is_void {
            None
        } else {
            let (_, delta) = decode(&bytes, key, &self.schemas).map_err(|reason| self.damage(key, reason))?;
            Some(delta)
        };
        self.bytes = bytes;
        self.order
            .take(key, &header)
            .map_err(|reason| self.log_damage(reason))?;
        Ok(Some((key, delta)))
    }

    fn next_first_part(&mut self) -> Result<Option<(RecordKey, sled::IVec)>, StorageError> {
        loop {
            if let Some(first) = self.pending.take() {
                return Ok(Some(first));
            }
            match self.next_part()? {
                Some((key, 0, value)) => return Ok(Some((key, value))),
                Some((key, part, _)) => return Err(self.damage(key, format!("part {part} has no beginning"))),
                None => {
                    let Some(name) = self.trees.pop() else {
                        return Ok(None);
                    };
                    self.order.finish().map_err(|reason| self.log_damage(reason))?;
                    self.order.in_base = name.starts_with("base-");
                    self.parts = Some(self.disk.tree(&name)?.iter());
                }
            }
        }
    }

    fn read_other_parts(&mut self, key: RecordKey, length: u64, bytes: &mut Vec<u8>) -> Result<(), StorageError> {
        let mut expected = 1;
        while (bytes.len() as u64) < length {
            match self.next_part()? {
                Some((other, part, value)) if other == key && part == expected => bytes.extend_from_slice(&value),
                Some(_) | None => return Err(self.damage(key, format!("part {expected} is gone"))),
            }
            expected += 1;
        }
        match self.next_part()? {
            None => Ok(()),
            Some((next, 0, value)) => {
                self.pending = Some((next, value));
                Ok(())
            }
            Some((other, part, _)) => Err(self.damage(other, format!("part {part} is out of place"))),
        }
    }

    fn next_part(&mut self) -> Result<Option<(RecordKey, u32, sled::IVec)>, StorageError> {
        let Some(item) = self.parts.as_mut().and_then(Iterator::next) else {
            return Ok(None);
        };
        let (key, value) = item.map_err(|e| self.disk.read_error(e))?;
        match RecordKey::parse(&key) {
            Some((record, part)) => Ok(Some((record, part, value))),
            None => Err(self.log_damage(format!("a key of {} bytes is not of a known form", key.len()))),
        }
    }

    fn damage(&self, key: RecordKey, reason: String) -> StorageError {
        self.disk.damaged(record_name(key), reason)
    }

    fn log_damage(&self, reason: String) -> StorageError {
        self.disk.damaged("the write-ahead log".to_string(), reason)
    }
}

impl Order {
    fn take(&mut self, key: RecordKey, header: &Header) -> Result<(), String> {
        if self.in_base {
            return Ok(());
        }
        match self.open {
            Some((epoch, sequence, left)) => {
                if epoch != key.epoch || sequence != header.sequence {
                    return Err(format!("{left} records of epoch {epoch} are gone"));
                }
                self.open = (left > 1).then_some((epoch, sequence, left - 1));
            }
            None => {
                if header.sequence != self.next_sequence {
                    return Err(format!(
                        "epoch {} is append {}, where append {} should be",
                        key.epoch, header.sequence, self.next_sequence
                    ));
                }
                self.next_sequence += 1;
                self.open = (header.entries > 1).then(|| (key.epoch, header.sequence, header.entries - 1));
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        match self.open.take() {
            None => Ok(()),
            Some((epoch, _, left)) => Err(format!("{left} records of epoch {epoch} are gone")),
        }
    }
}

/// How a record is called in an error.
pub(super) fn record_name(key: RecordKey) -> String {
    debug_assert_eq!(key.to_bytes().len(), RECORD_KEY_BYTES);
    format!("log record of table {} in epoch {}", key.relation, key.epoch)
}
