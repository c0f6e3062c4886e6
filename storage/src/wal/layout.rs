//! What the `meta` tree says about the log: which trees are in force ([`Layout`]), the schemas of its records, and
//! up to which epoch a table's records are void ([`Marks`]).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use highwater_types::{Epoch, RelationId};
use sled::Tree;

use super::record::{decode_schema, encode_schema};
use crate::StorageError;
use crate::disk::{Disk, VALUE_BYTES_MAX, Writes};
use crate::sealed::{seal, unseal};

const VERSION: u8 = 1;
const LAYOUT_KEY: &[u8] = b"wal/layout";
const SCHEMA_PREFIX: &[u8] = b"wal/schema/";
const FORGET_PREFIX: &[u8] = b"wal/forget/";

/// Which trees hold the log. A tree that is not named here is left over from a crash, and dropped at open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The sum of all older logs, and the epoch as of which it is.
    pub(super) base: Option<(u32, Epoch)>,
    /// Bytes of records in the base.
    pub(super) base_bytes: u64,
    /// The sequence number of the first append after the base.
    pub(super) first_sequence: u64,
    /// The log's length in bytes, ever, when the base was made.
    pub(super) first_bytes: u64,
    /// The log trees in order; the last one is appended to.
    pub(super) logs: Vec<u32>,
}

impl Layout {
    pub(super) fn log_name(number: u32) -> String {
        format!("log-{number}")
    }

    pub(super) fn base_name(number: u32) -> String {
        format!("base-{number}")
    }

    /// The trees in force, in the order in which they are replayed.
    pub(super) fn tree_names(&self) -> Vec<String> {
        let base = self.base.iter().map(|(number, _)| Layout::base_name(*number));
        base.chain(self.logs.iter().map(|n| Layout::log_name(*n))).collect()
    }

    /// Reads it; an empty one when there is none yet.
    pub(super) fn load(disk: &Disk, meta: &Tree) -> Result<Layout, StorageError> {
        let Some(value) = disk.read(meta, LAYOUT_KEY)? else {
            return Ok(Layout {
                base: None,
                base_bytes: 0,
                first_sequence: 1,
                first_bytes: 0,
                logs: vec![1],
            });
        };
        let what = || "the layout of the write-ahead log".to_string();
        let (_, payload) = unseal(disk, VERSION, LAYOUT_KEY, &value, &what)?;
        Layout::parse(payload).ok_or_else(|| disk.damaged(what(), "it cannot be read".to_string()))
    }

    /// Puts it into a batch for the `meta` tree.
    pub(super) fn put(&self, batch: &mut Writes) {
        let (base, epoch) = self.base.unwrap_or((0, Epoch::ZERO));
        let mut payload = Vec::new();
        payload.extend(base.to_le_bytes());
        payload.extend(epoch.0.to_le_bytes());
        payload.extend(self.base_bytes.to_le_bytes());
        payload.extend(self.first_sequence.to_le_bytes());
        payload.extend(self.first_bytes.to_le_bytes());
        for log in &self.logs {
            payload.extend(log.to_le_bytes());
        }
        batch.insert(LAYOUT_KEY, seal(VERSION, LAYOUT_KEY, &payload));
    }

    fn parse(payload: &[u8]) -> Option<Layout> {
        let (base, rest) = payload.split_first_chunk::<4>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (base_bytes, rest) = rest.split_first_chunk::<8>()?;
        let (first_sequence, rest) = rest.split_first_chunk::<8>()?;
        let (first_bytes, rest) = rest.split_first_chunk::<8>()?;
        let (logs, tail) = rest.as_chunks::<4>();
        let base = u32::from_le_bytes(*base);
        (tail.is_empty() && !logs.is_empty()).then(|| Layout {
            base: (base != 0).then_some((base, Epoch(u64::from_le_bytes(*epoch)))),
            base_bytes: u64::from_le_bytes(*base_bytes),
            first_sequence: u64::from_le_bytes(*first_sequence),
            first_bytes: u64::from_le_bytes(*first_bytes),
            logs: logs.iter().map(|n| u32::from_le_bytes(*n)).collect(),
        })
    }
}

/// The schemas of all records, and the one each table was last written with.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    pub(super) by_id: HashMap<u32, SchemaRef>,
    latest: HashMap<RelationId, (SchemaRef, u32)>,
}

impl Schemas {
    pub(super) fn load(disk: &Disk, meta: &Tree) -> Result<Schemas, StorageError> {
        let mut parts: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for item in meta.scan_prefix(SCHEMA_PREFIX) {
            let (key, value) = item.map_err(|e| disk.read_error(e))?;
            let id = key.get(SCHEMA_PREFIX.len()..SCHEMA_PREFIX.len() + 4);
            let id = id.and_then(|id| Some(u32::from_be_bytes(id.try_into().ok()?)));
            let what = || format!("schema {} of the write-ahead log", id.unwrap_or(0));
            let (_, payload) = unseal(disk, VERSION, &key, &value, &what)?;
            parts.entry(id.unwrap_or(0)).or_default().extend(payload);
        }
        let mut schemas = Schemas::default();
        for (id, bytes) in parts {
            let schema = decode_schema(&bytes)
                .map_err(|e| disk.damaged(format!("schema {id} of the write-ahead log"), e.to_string()))?;
            schemas.by_id.insert(id, Arc::new(schema));
        }
        Ok(schemas)
    }

    /// The id of this table's schema; a new one is put into `batch`, and counts from then on, so the batch must be
    /// applied.
    pub(super) fn id_of(
        &mut self,
        relation: RelationId,
        schema: &SchemaRef,
        batch: &mut Writes,
    ) -> Result<u32, StorageError> {
        if let Some((known, id)) = self.latest.get(&relation)
            && (Arc::ptr_eq(known, schema) || known == schema)
        {
            return Ok(*id);
        }
        let same = self.by_id.iter().find(|(_, known)| *known == schema);
        let id = match same {
            Some((id, _)) => *id,
            None => {
                let id = self.by_id.keys().max().map_or(1, |id| id + 1);
                for (part, chunk) in encode_schema(schema)?.chunks(VALUE_BYTES_MAX - 64).enumerate() {
                    let mut key = SCHEMA_PREFIX.to_vec();
                    key.extend(id.to_be_bytes());
                    key.extend((part as u32).to_be_bytes());
                    batch.insert(key.clone(), seal(VERSION, &key, chunk));
                }
                self.by_id.insert(id, Arc::clone(schema));
                id
            }
        };
        self.latest.insert(relation, (Arc::clone(schema), id));
        Ok(id)
    }
}

/// For each forgotten table, the epoch before which its records are void.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks(BTreeMap<RelationId, Epoch>);

impl Marks {
    pub(super) fn load(disk: &Disk, meta: &Tree) -> Result<Marks, StorageError> {
        let mut marks = Marks::default();
        for item in meta.scan_prefix(FORGET_PREFIX) {
            let (key, value) = item.map_err(|e| disk.read_error(e))?;
            let what = || "a mark of what the write-ahead log forgot".to_string();
            let (_, payload) = unseal(disk, VERSION, &key, &value, &what)?;
            let relation = key[FORGET_PREFIX.len()..].try_into().ok().map(u32::from_be_bytes);
            let epoch = payload.try_into().ok().map(u64::from_le_bytes);
            let (Some(relation), Some(epoch)) = (relation, epoch) else {
                return Err(disk.damaged(what(), "it cannot be read".to_string()));
            };
            marks.0.insert(RelationId(relation), Epoch(epoch));
        }
        Ok(marks)
    }

    /// Makes this table's records before `epoch` void.
    pub(super) fn put(&mut self, relation: RelationId, epoch: Epoch, batch: &mut Writes) {
        let key = mark_key(relation);
        batch.insert(key.clone(), seal(VERSION, &key, &epoch.0.to_le_bytes()));
        self.0.insert(relation, epoch);
    }

    /// Removes the marks that this earlier state of them held and that have had their effect up to `epoch`.
    pub(super) fn remove_applied(&mut self, applied: &Marks, epoch: Epoch, batch: &mut Writes) {
        for (relation, mark) in &applied.0 {
            if self.0.get(relation) == Some(mark) && *mark <= epoch.next() {
                self.0.remove(relation);
                batch.remove(mark_key(*relation));
            }
        }
    }

    /// Whether a record of this table and epoch is void.
    pub(super) fn is_void(&self, relation: RelationId, epoch: Epoch) -> bool {
        self.0.get(&relation).is_some_and(|mark| epoch < *mark)
    }

    /// After every mark's epoch.
    pub(super) fn newest(&self) -> Epoch {
        self.0
            .values()
            .max()
            .map_or(Epoch::ZERO, |e| Epoch(e.0.saturating_sub(1)))
    }
}

fn mark_key(relation: RelationId) -> Vec<u8> {
    let mut key = FORGET_PREFIX.to_vec();
    key.extend(relation.0.to_be_bytes());
    key
}
