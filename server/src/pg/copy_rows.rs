//! [`Block`]: rows of COPY as texts, column by column, until there are enough of them to be read as values.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use highwater_types::text::{TextSettings, parse_column};
use highwater_types::{SqlError, SqlState};

use super::frame::check_utf8;
use crate::session::OutputColumn;

/// A block is full at so many rows,
const BLOCK_ROWS: usize = 8192;
/// or so many bytes.
const BLOCK_BYTES: usize = 4 * 1024 * 1024;
/// An error shows at most so much of a line or value.
const SHOWN_CHARS: usize = 100;

/// Rows being collected.
pub(super) struct Block {
    relation: String,
    described: Arc<[OutputColumn]>,
    schema: SchemaRef,
    settings: TextSettings,
    columns: Vec<Texts>,
    /// The line on which each row started, from 1.
    lines: Vec<u64>,
    bytes: usize,
}

/// One column's texts.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    /// Where each value ends; `None` for NULL.
    ends: Vec<Option<usize>>,
}

impl Texts {
    /// The values in order.
    fn values<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Option<&'a str>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let end = (*end)?;
            let value = text.get(start..end).unwrap_or_default();
            start = end;
            Some(value)
        })
    }

    /// All of them, checked: each value is a text of its own.
    fn checked(&self) -> Result<&str, SqlError> {
        let text = check_utf8(&self.bytes)?;
        let mut start = 0;
        for end in self.ends.iter().flatten() {
            if !text.is_char_boundary(*end) {
                check_utf8(&self.bytes[start..*end])?;
            }
            start = *end;
        }
        Ok(text)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

impl Block {
    pub(super) fn new(relation: &str, described: Arc<[OutputColumn]>, settings: TextSettings) -> Block {
        Block {
            relation: relation.to_string(),
            schema: schema_of(&described),
            settings,
            columns: described.iter().map(|_| Texts::default()).collect(),
            described,
            lines: Vec::new(),
            bytes: 0,
        }
    }

    /// How many columns a row has.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Where the bytes of the next value of this column go; [`Block::end_value`] ends it.
    pub(super) fn value(&mut self, column: usize) -> &mut Vec<u8> {
        &mut self.columns[column].bytes
    }

    /// The value is complete.
    pub(super) fn end_value(&mut self, column: usize) {
        let texts = &mut self.columns[column];
        texts.ends.push(Some(texts.bytes.len()));
    }

    /// The value is NULL.
    pub(super) fn null(&mut self, column: usize) {
        self.columns[column].ends.push(None);
    }

    /// The row that started on this line, of so many bytes, is complete.
    pub(super) fn end_row(&mut self, line: u64, bytes: usize) {
        self.lines.push(line);
        self.bytes += bytes;
    }

    /// Whether there are enough rows.
    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= BLOCK_ROWS || self.bytes >= BLOCK_BYTES
    }

    /// The rows collected so far, as values; `None` when there are none.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        if self.lines.is_empty() {
            return Ok(None);
        }
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (texts, column) in self.columns.iter().zip(self.described.iter()) {
            let parsed = texts
                .checked()
                .and_then(|text| parse_column(&column.sql_type, &mut texts.values(text), &self.settings));
            match parsed {
                Ok(array) => arrays.push(array),
                Err(error) => return Err(self.first_error(error)),
            }
        }
        let batch = batch_of(&self.schema, arrays, self.lines.len())?;
        for texts in &mut self.columns {
            texts.clear();
        }
        self.lines.clear();
        self.bytes = 0;
        Ok(Some(batch))
    }

    /// A value of the block is bad: finds the first one, reading value by value, and says where it is.
    fn first_error(&self, fallback: SqlError) -> SqlError {
        let mut starts = vec![0; self.columns.len()];
        for (row, line) in self.lines.iter().enumerate() {
            for (index, (texts, column)) in self.columns.iter().zip(self.described.iter()).enumerate() {
                let Some(Some(end)) = texts.ends.get(row) else {
                    continue;
                };
                let bytes = &texts.bytes[starts[index]..*end];
                starts[index] = *end;
                let parsed = check_utf8(bytes)
                    .and_then(|text| parse_column(&column.sql_type, &mut std::iter::once(Some(text)), &self.settings));
                if let Err(error) = parsed {
                    let value = shorten(&String::from_utf8_lossy(bytes));
                    let place = format!(
                        "COPY {}, line {line}, column {}: \"{value}\"",
                        self.relation, column.name
                    );
                    return error.with_context(place);
                }
            }
        }
        fallback
    }

    /// An error of a line as a whole.
    pub(super) fn line_error(&self, message: impl Into<String>, line: u64, text: &[u8]) -> SqlError {
        let shown = shorten(&String::from_utf8_lossy(text));
        SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
            .with_context(format!("COPY {}, line {line}: \"{shown}\"", self.relation))
    }

    /// The error for a row that ends before this column.
    pub(super) fn missing(&self, column: usize, line: u64, text: &[u8]) -> SqlError {
        let name = self.described.get(column).map_or("", |c| c.name.as_str());
        self.line_error(format!("missing data for column \"{name}\""), line, text)
    }

    /// The error for a row that goes on after its last column.
    pub(super) fn extra(&self, line: u64, text: &[u8]) -> SqlError {
        self.line_error("extra data after last expected column", line, text)
    }
}

/// The Arrow schema of rows of these columns.
pub(super) fn schema_of(columns: &[OutputColumn]) -> SchemaRef {
    let fields: Vec<_> = columns.iter().map(|c| c.sql_type.to_field(&c.name)).collect();
    Arc::new(Schema::new(fields))
}

/// A batch; a table without columns has rows all the same.
pub(super) fn batch_of(schema: &SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, SqlError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
        .map_err(|error| SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()))
}

/// The one byte of a character that COPY takes only one byte of.
pub(super) fn one_byte(what: &str, character: char) -> Result<u8, SqlError> {
    u8::try_from(character).ok().filter(u8::is_ascii).ok_or_else(|| {
        SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("COPY {what} must be a single one-byte character"),
        )
    })
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= SHOWN_CHARS {
        return text.to_string();
    }
    let mut short: String = text.chars().take(SHOWN_CHARS).collect();
    short.push_str("...");
    short
}
