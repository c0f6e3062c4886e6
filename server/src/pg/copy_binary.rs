//! COPY's binary format, incoming: a signature, then rows of fields with their lengths, then -1.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::scalar::ScalarValue;
use highwater_types::text::TextSettings;
use highwater_types::{SqlError, SqlState};

use super::copy_rows::{batch_of, schema_of};
use super::copy_text::check_length;
use super::decode::null;
use super::decode_binary::{column, decode_binary};
use crate::session::OutputColumn;

/// What every binary copy starts with.
pub(super) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// A block is full at so many rows,
const BLOCK_ROWS: usize = 8192;
/// or so many bytes.
const BLOCK_BYTES: usize = 4 * 1024 * 1024;
/// Flag bits that a reader must understand: there are none it could.
const CRITICAL_FLAGS: u32 = 0xffff_0000;

/// Makes rows from binary fields.
pub(super) struct BinaryReader {
    relation: String,
    described: Arc<[OutputColumn]>,
    schema: SchemaRef,
    settings: TextSettings,
    values: Vec<Vec<ScalarValue>>,
    rows: usize,
    bytes: usize,
    pending: Vec<u8>,
    start: usize,
    /// The row being read, from 1.
    line: u64,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Ended,
}

impl BinaryReader {
    pub(super) fn new(relation: &str, described: Arc<[OutputColumn]>, settings: TextSettings) -> BinaryReader {
        BinaryReader {
            relation: relation.to_string(),
            schema: schema_of(&described),
            settings,
            values: described.iter().map(|_| Vec::new()).collect(),
            described,
            rows: 0,
            bytes: 0,
            pending: Vec::new(),
            start: 0,
            line: 1,
            state: State::Header,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), SqlError> {
        if self.state == State::Ended {
            return if bytes.is_empty() {
                Ok(())
            } else {
                Err(bad("received copy data after EOF marker"))
            };
        }
        self.pending.drain(..self.start);
        self.start = 0;
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn full_block(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        while self.rows < BLOCK_ROWS && self.bytes < BLOCK_BYTES {
            let read = match self.state {
                State::Header => self.read_header()?,
                State::Rows => self.read_row()?,
                State::Ended => return Ok(None),
            };
            if !read {
                return check_length(self.pending.len() - self.start).map(|()| None);
            }
        }
        self.take()
    }

    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        match self.state {
            State::Header => Err(bad("COPY file signature not recognized")),
            State::Rows if self.start < self.pending.len() => Err(bad("unexpected EOF in COPY data")),
            State::Rows | State::Ended => self.take(),
        }
    }

    fn take(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let arrays = self
            .values
            .iter_mut()
            .zip(self.described.iter())
            .map(|(values, described)| column(&described.sql_type, std::mem::take(values)))
            .collect::<Result<Vec<_>, _>>()?;
        let batch = batch_of(&self.schema, arrays, self.rows)?;
        self.rows = 0;
        self.bytes = 0;
        Ok(Some(batch))
    }

    /// False when it is not here in full.
    fn read_header(&mut self) -> Result<bool, SqlError> {
        let mut rest = &self.pending[self.start..];
        let seen = rest.len().min(SIGNATURE.len());
        if rest[..seen] != SIGNATURE[..seen] {
            return Err(bad("COPY file signature not recognized"));
        }
        if rest.len() < SIGNATURE.len() + 8 {
            return Ok(false);
        }
        rest = &rest[SIGNATURE.len()..];
        let flags = int(&mut rest).unwrap_or(0) as u32;
        if flags & CRITICAL_FLAGS != 0 {
            return Err(bad("unrecognized critical flags in COPY file header"));
        }
        let extension = int(&mut rest).unwrap_or(0);
        let extension = usize::try_from(extension).map_err(|_| bad("invalid COPY file header (missing length)"))?;
        if rest.len() < extension {
            return Ok(false);
        }
        self.start += SIGNATURE.len() + 8 + extension;
        self.state = State::Rows;
        Ok(true)
    }

    /// False when it is not here in full.
    fn read_row(&mut self) -> Result<bool, SqlError> {
        let all = &self.pending[self.start..];
        let Some((head, mut rest)) = all.split_first_chunk::<2>() else {
            return Ok(false);
        };
        let count = i16::from_be_bytes(*head);
        if count == -1 {
            if !rest.is_empty() {
                return Err(bad("received copy data after EOF marker"));
            }
            self.start += 2;
            self.state = State::Ended;
            return Ok(false);
        }
        if usize::try_from(count) != Ok(self.described.len()) {
            let message = format!("row field count is {count}, expected {}", self.described.len());
            return Err(bad(&message).with_context(format!("COPY {}, line {}", self.relation, self.line)));
        }
        // First all lengths, so that a row is taken whole or not at all.
        let mut fields = Vec::with_capacity(self.described.len());
        for _ in 0..count {
            let Some(length) = int(&mut rest) else {
                return Ok(false);
            };
            if length == -1 {
                fields.push(None);
                continue;
            }
            let length = usize::try_from(length).map_err(|_| bad("invalid field size"))?;
            let Some((field, after)) = rest.split_at_checked(length) else {
                return Ok(false);
            };
            fields.push(Some(field));
            rest = after;
        }
        let size = all.len() - rest.len();
        for (index, field) in fields.into_iter().enumerate() {
            let described = &self.described[index];
            let value = match field {
                Some(bytes) => decode_binary(&described.sql_type, bytes, &self.settings),
                None => null(&described.sql_type),
            };
            let value = value.map_err(|error| {
                error.with_context(format!(
                    "COPY {}, line {}, column {}",
                    self.relation, self.line, described.name
                ))
            })?;
            self.values[index].push(value);
        }
        self.start += size;
        self.bytes += size;
        self.rows += 1;
        self.line += 1;
        Ok(true)
    }
}

fn int(rest: &mut &[u8]) -> Option<i32> {
    let (head, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*head))
}

fn bad(message: &str) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}
