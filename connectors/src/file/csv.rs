//! CSV, as PostgreSQL's COPY reads it: a quoted value is never NULL, an unquoted one is when it is the NULL text.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_types::SqlType;
use memchr::memchr2;

use super::lines::{Lines, Quotes};
use super::text::{Parser, Row};
use crate::ConnectorError;
use crate::options::{Options, nearest};

/// What was declared.
#[derive(Debug)]
pub(super) struct CsvShape {
    names: Vec<String>,
    types: Vec<SqlType>,
    has_header: bool,
    delimiter: u8,
    quotes: Quotes,
    null: String,
}

/// One value of a record.
enum Value<'a> {
    /// A part of the record as it is.
    Plain(Range<usize>),
    /// What was quoted, without the quotes.
    Quoted(&'a str),
}

/// Reads the records of one file.
#[derive(Debug)]
pub(super) struct CsvParser {
    shape: Arc<CsvShape>,
    path: PathBuf,
    /// For each value of a record, the column it goes to.
    places: Vec<Option<usize>>,
    /// Reused: one value without its quotes.
    value: String,
}

impl CsvShape {
    pub(super) fn try_new(
        options: &Options,
        names: Vec<String>,
        types: Vec<SqlType>,
    ) -> Result<CsvShape, ConnectorError> {
        let quote = options.character(&["quote"])?.unwrap_or(b'"');
        Ok(CsvShape {
            names,
            types,
            has_header: options.flag(&["header"])?.unwrap_or(false),
            delimiter: options.character(&["delimiter"])?.unwrap_or(b','),
            quotes: Quotes {
                quote,
                escape: options.character(&["escape"])?.unwrap_or(quote),
            },
            null: options.text(&["null"])?.unwrap_or_default(),
        })
    }

    /// Whether the file's header has the declared columns.
    pub(super) fn check(&self, path: &Path) -> Result<(), ConnectorError> {
        self.places(path).map(|_| ())
    }

    fn places(&self, path: &Path) -> Result<Vec<Option<usize>>, ConnectorError> {
        if !self.has_header {
            return Ok((0..self.names.len()).map(Some).collect());
        }
        let mut lines = Lines::open(path, 0, Some(self.quotes), false)?;
        let Some(header) = lines.read()? else {
            // An empty file has no rows either.
            return Ok(Vec::new());
        };
        let text = String::from_utf8_lossy(header.bytes).into_owned();
        let mut titles = Vec::new();
        let mut value = String::new();
        // A header that is not well formed lacks columns, which says it well enough.
        self.split(&text, &mut value, |title| {
            let title = match title {
                Value::Plain(part) => &text[part],
                Value::Quoted(title) => title,
            };
            titles.push(title.trim().to_string());
        })
        .ok();
        for name in &self.names {
            if !titles.iter().any(|title| matches(title, name)) {
                return Err(ConnectorError::MissingFileColumn {
                    path: path.display().to_string(),
                    column: name.clone(),
                    nearest: nearest(name, titles.iter().map(String::as_str)),
                });
            }
        }
        let place = |title: &String| self.names.iter().position(|name| matches(title, name));
        Ok(titles.iter().map(place).collect())
    }

    /// Calls `take` with each value.
    fn split(&self, record: &str, value: &mut String, mut take: impl FnMut(Value<'_>)) -> Result<(), String> {
        let bytes = record.as_bytes();
        let quote = self.quotes.quote;
        let mut at = 0;
        loop {
            let plain = memchr2(self.delimiter, quote, &bytes[at..]);
            let stop = plain.map_or(bytes.len(), |p| at + p);
            if bytes.get(stop) != Some(&quote) {
                // The common case: no quotes in the value.
                take(Value::Plain(at..stop));
                if stop == bytes.len() {
                    return Ok(());
                }
                at = stop + 1;
                continue;
            }
            value.clear();
            at = self.quoted(record, at, value)?;
            take(Value::Quoted(value));
            if at == bytes.len() {
                return Ok(());
            }
            at += 1;
        }
    }

    /// Reads a value with quotes in it; answers where it ends. Quotes may start and stop anywhere, as in COPY.
    fn quoted(&self, record: &str, start: usize, value: &mut String) -> Result<usize, String> {
        let bytes = record.as_bytes();
        let Quotes { quote, escape } = self.quotes;
        let mut at = start;
        let mut copied = start;
        let mut in_quotes = false;
        while at < bytes.len() {
            let byte = bytes[at];
            let next = bytes.get(at + 1).copied();
            let is_escape = in_quotes && byte == escape && next.is_some_and(|n| n == quote || n == escape);
            if is_escape {
                value.push_str(&record[copied..at]);
                copied = at + 1;
                at += 2;
                continue;
            }
            if byte == quote {
                value.push_str(&record[copied..at]);
                copied = at + 1;
                in_quotes = !in_quotes;
            } else if byte == self.delimiter && !in_quotes {
                break;
            }
            at += 1;
        }
        if in_quotes {
            return Err("a quoted value is not closed".to_string());
        }
        value.push_str(&record[copied..at]);
        Ok(at)
    }
}

/// Whether a header's title names this column.
fn matches(title: &str, name: &str) -> bool {
    title == name || title.eq_ignore_ascii_case(name)
}

impl CsvParser {
    pub(super) fn new(shape: Arc<CsvShape>, path: &Path) -> CsvParser {
        CsvParser {
            shape,
            path: path.to_path_buf(),
            places: Vec::new(),
            value: String::new(),
        }
    }
}

impl Parser for CsvParser {
    fn quotes(&self) -> Option<Quotes> {
        Some(self.shape.quotes)
    }

    fn types(&self) -> &[SqlType] {
        &self.shape.types
    }

    fn begin(&mut self) -> Result<bool, ConnectorError> {
        self.places = self.shape.places(&self.path)?;
        Ok(self.shape.has_header)
    }

    fn parse(&mut self, record: &str, row: &mut Row<'_>) -> Result<(), String> {
        let CsvParser {
            shape, places, value, ..
        } = self;
        let mut count = 0;
        shape.split(record, value, |value| {
            let place = places.get(count).copied().flatten();
            count += 1;
            match (place, value) {
                (None, _) => {}
                (Some(column), Value::Plain(part)) if record[part.clone()] != shape.null => row.set_part(column, part),
                // Columns that are not set are NULL.
                (Some(_), Value::Plain(_)) => {}
                (Some(column), Value::Quoted(text)) => row.set(column, text),
            }
        })?;
        if count == places.len() {
            return Ok(());
        }
        Err(format!("the record has {count} values, not {}", places.len()))
    }
}
