//! The bytes of one log record: the changes of one table in one append, as an Arrow IPC record batch.
//!
//! # Version 1
//! ```text
//!  0 version u8 | 1 flags u8 (1: has weights) | 2..4 zero | 4..8 CRC-32 of the key's first 16 bytes and of 8.. |
//!  8..16 length of all | 16..24 sequence of the append | 24..32 bytes ever appended, with this append |
//! 32..36 entries in the append | 36..40 schema id | 40..44 rows | 44..48 length of the IPC message |
//! 48.. IPC message (flatbuffers), padded to 64 | IPC body | weights, an i64 a row, when flagged
//! ```
//! Numbers are little endian. The schema is not repeated in each record: it is stored once under its id. A record
//! is cut into parts of [`VALUE_BYTES_MAX`] bytes under the key
//! `epoch u64 | relation u32 | entry u32 | part u32`, all big endian, so that the tree's order is the log's.

use std::collections::HashMap;

use arrow::array::{Int64Array, RecordBatch};
use arrow::buffer::{Buffer, MutableBuffer, ScalarBuffer};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::read_record_batch;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::ipc::{MetadataVersion, convert, root_as_message};
use highwater_types::{Delta, DeltaError, Epoch, RelationId};

/// The newest record version that can be read, and the one that is written.
pub(super) const VERSION: u8 = 1;
/// Bytes of a key: epoch, relation, entry, part.
pub(super) const KEY_BYTES: usize = 20;
/// Bytes of a key that name a record: all but the part.
pub(super) const RECORD_KEY_BYTES: usize = 16;
/// Bytes before the IPC message.
pub(super) const HEADER_BYTES: usize = 48;
const BODY_ALIGNMENT: usize = 64;
const HAS_WEIGHTS: u8 = 1;

/// Which record a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordKey {
    pub(super) epoch: Epoch,
    pub(super) relation: RelationId,
    pub(super) entry: u32,
}

impl RecordKey {
    pub(super) fn to_bytes(self) -> [u8; RECORD_KEY_BYTES] {
        let mut key = [0; RECORD_KEY_BYTES];
        key[..8].copy_from_slice(&self.epoch.0.to_be_bytes());
        key[8..12].copy_from_slice(&self.relation.0.to_be_bytes());
        key[12..].copy_from_slice(&self.entry.to_be_bytes());
        key
    }

    /// The key of one part.
    pub(super) fn part(self, part: u32) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        key[..RECORD_KEY_BYTES].copy_from_slice(&self.to_bytes());
        key[RECORD_KEY_BYTES..].copy_from_slice(&part.to_be_bytes());
        key
    }

    /// Takes a part's key apart; `None` when it is not one.
    pub(super) fn parse(key: &[u8]) -> Option<(RecordKey, u32)> {
        let key: &[u8; KEY_BYTES] = key.try_into().ok()?;
        let (epoch, rest) = key.split_first_chunk::<8>()?;
        let (relation, rest) = rest.split_first_chunk::<4>()?;
        let (entry, rest) = rest.split_first_chunk::<4>()?;
        let (part, _) = rest.split_first_chunk::<4>()?;
        let record = RecordKey {
            epoch: Epoch(u64::from_be_bytes(*epoch)),
            relation: RelationId(u32::from_be_bytes(*relation)),
            entry: u32::from_be_bytes(*entry),
        };
        Some((record, u32::from_be_bytes(*part)))
    }
}

/// The fixed fields of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Length of the whole record.
    pub(super) length: u64,
    /// One more than the append before.
    pub(super) sequence: u64,
    /// Bytes of all records ever appended, this append included.
    pub(super) log_bytes: u64,
    /// Records of the same append.
    pub(super) entries: u32,
    /// Under which id the schema is stored.
    pub(super) schema: u32,
    rows: u32,
    message_length: u32,
    has_weights: bool,
}

impl Header {
    /// Reads the fields, unchecked but for their presence and version.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn parse(bytes: &[u8]) -> Result<Header, HeaderError> {
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(HeaderError::Short(bytes.len()));
        };
        if header[0] != VERSION {
            return Err(HeaderError::Version(header[0]));
        }
        Ok(Header {
            has_weights: header[1] & HAS_WEIGHTS != 0,
            length: u64_at(header, 8),
            sequence: u64_at(header, 16),
            log_bytes: u64_at(header, 24),
            entries: u32_at(header, 32),
            schema: u32_at(header, 36),
            rows: u32_at(header, 40),
            message_length: u32_at(header, 44),
        })
    }
}

/// Why a record's header cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// It has only this many bytes.
    Short(usize),
    /// It is of this version.
    Version(u8),
}

/// Writes records: keeps what the IPC writer wants to reuse.
#[derive(Default)]
pub(super) struct Encoder {
    generator: IpcDataGenerator,
    context: IpcWriteContext,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

impl Encoder {
    /// A record without its place in the log, which [`place`] fills in.
    pub(super) fn encode(&mut self, delta: &Delta, schema: u32) -> Result<Vec<u8>, DeltaError> {
        let options = ipc_options()?;
        let mut dictionaries = DictionaryTracker::new(false);
        let (_, encoded) = self
            .generator
            .encode(delta.batch(), &mut dictionaries, &options, &mut self.context)?;
        let message = encoded.ipc_message;
        let body_start = (HEADER_BYTES + message.len()).next_multiple_of(BODY_ALIGNMENT);
        let mut record = Vec::with_capacity(body_start + encoded.arrow_data.len() + 8 * delta.num_rows());
        record.resize(HEADER_BYTES, 0);
        record.extend(&message);
        record.resize(body_start, 0);
        record.extend(&encoded.arrow_data);
        record[0] = VERSION;
        if let Some(weights) = delta.weights() {
            record[1] |= HAS_WEIGHTS;
            record.resize(record.len().next_multiple_of(8), 0);
            for weight in weights.values() {
                record.extend(weight.to_le_bytes());
            }
        }
        let length = record.len() as u64;
        record[8..16].copy_from_slice(&length.to_le_bytes());
        record[36..40].copy_from_slice(&schema.to_le_bytes());
        record[40..44].copy_from_slice(&(delta.num_rows() as u32).to_le_bytes());
        record[44..48].copy_from_slice(&(message.len() as u32).to_le_bytes());
        Ok(record)
    }
}

/// Fills in where in the log the record stands, and its checksum.
pub(super) fn place(record: &mut [u8], key: RecordKey, sequence: u64, log_bytes: u64, entries: u32) {
    record[16..24].copy_from_slice(&sequence.to_le_bytes());
    record[24..32].copy_from_slice(&log_bytes.to_le_bytes());
    record[32..36].copy_from_slice(&entries.to_le_bytes());
    let sum = checksum(record, key);
    record[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// Checks and decodes a whole record. The error says what is wrong with it.
pub(super) fn decode(
    bytes: &[u8],
    key: RecordKey,
    schemas: &HashMap<u32, SchemaRef>,
) -> Result<(Header, Delta), String> {
    let header = Header::parse(bytes).map_err(|e| format!("its header is unreadable: {e:?}"))?;
    if header.length != bytes.len() as u64 {
        return Err(format!("it has {} of {} bytes", bytes.len(), header.length));
    }
    if checksum(bytes, key) != u32_at(bytes, 4) {
        return Err("its checksum does not match".to_string());
    }
    let Some(schema) = schemas.get(&header.schema) else {
        return Err(format!("its schema {} is gone", header.schema));
    };
    let delta = decode_rows(bytes, &header, schema).map_err(|e| format!("its rows are unreadable: {e}"))?;
    Ok((header, delta))
}

fn decode_rows(bytes: &[u8], header: &Header, schema: &SchemaRef) -> Result<Delta, DeltaError> {
    let bad = |what: &str| ArrowError::IpcError(what.to_string());
    // An aligned copy, which the columns then share.
    let mut aligned = MutableBuffer::with_capacity(bytes.len());
    aligned.extend_from_slice(bytes);
    let buffer = Buffer::from(aligned);

    let rows = header.rows as usize;
    let message_end = HEADER_BYTES + header.message_length as usize;
    let body_start = message_end.next_multiple_of(BODY_ALIGNMENT);
    let body_end = if header.has_weights {
        bytes
            .len()
            .checked_sub(8 * rows)
            .ok_or_else(|| bad("no room for weights"))?
    } else {
        bytes.len()
    };
    if body_start > body_end {
        return Err(bad("the body is shorter than its header says").into());
    }
    let message = root_as_message(&buffer[HEADER_BYTES..message_end]).map_err(|e| bad(&e.to_string()))?;
    let batch = message
        .header_as_record_batch()
        .ok_or_else(|| bad("not a record batch"))?;
    let body = buffer.slice_with_length(body_start, body_end - body_start);
    let batch: RecordBatch = read_record_batch(
        &body,
        batch,
        SchemaRef::clone(schema),
        &HashMap::new(),
        None,
        &MetadataVersion::V5,
    )?;
    let weights = header.has_weights.then(|| {
        let values = ScalarBuffer::<i64>::new(buffer.clone(), body_end / 8, rows);
        Int64Array::new(values, None)
    });
    Delta::try_new(batch, weights)
}

/// A schema's bytes: the IPC schema message.
pub(super) fn encode_schema(schema: &Schema) -> Result<Vec<u8>, DeltaError> {
    let options = ipc_options()?;
    let mut dictionaries = DictionaryTracker::new(false);
    let encoded =
        IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &options);
    Ok(encoded.ipc_message)
}

/// The schema in these bytes.
pub(super) fn decode_schema(bytes: &[u8]) -> Result<Schema, ArrowError> {
    let mut aligned = MutableBuffer::with_capacity(bytes.len());
    aligned.extend_from_slice(bytes);
    convert::try_schema_from_flatbuffer_bytes(&aligned)
}

fn ipc_options() -> Result<IpcWriteOptions, ArrowError> {
    // Eight bytes is as tightly as IPC packs buffers: most records hold a row or two.
    IpcWriteOptions::try_new(8, false, MetadataVersion::V5)
}

fn checksum(record: &[u8], key: RecordKey) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&key.to_bytes());
    hasher.update(&record[..4]);
    hasher.update(&record[8..]);
    hasher.finalize()
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}
