//! COPY's text format: a line a row, values between delimiters, `\N` for NULL, backslash escapes.

use arrow::array::RecordBatch;
use highwater_types::{SqlError, SqlState};

use super::copy_in::MAX_ROW_BYTES;
use super::copy_rows::{Block, one_byte};

/// Makes rows from lines.
pub(super) struct TextReader {
    block: Block,
    delimiter: u8,
    null: Vec<u8>,
    /// The first line, of names, is still to come.
    header: bool,
    /// What has been pushed and not read.
    pending: Vec<u8>,
    /// Where the next line starts in it.
    start: usize,
    /// Up to here no line has ended.
    scanned: usize,
    line: u64,
    /// `\.` was read: what follows is ignored.
    ended: bool,
}

impl TextReader {
    pub(super) fn try_new(block: Block, delimiter: char, null: &str, header: bool) -> Result<TextReader, SqlError> {
        Ok(TextReader {
            block,
            delimiter: one_byte("delimiter", delimiter)?,
            null: null.as_bytes().to_vec(),
            header,
            pending: Vec::new(),
            start: 0,
            scanned: 0,
            line: 0,
            ended: false,
        })
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), SqlError> {
        if self.ended {
            return Ok(());
        }
        self.pending.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn full_block(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        while !self.block.is_full() {
            let Some(end) = self.line_end() else {
                return check_length(self.pending.len() - self.start).map(|()| None);
            };
            self.read_line(end)?;
            self.start = end + 1;
            self.scanned = self.start;
        }
        self.block.take()
    }

    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        let end = self.pending.len();
        if self.start < end && !self.ended {
            self.read_line(end)?;
            self.start = end;
        }
        self.block.take()
    }

    /// The next newline that no backslash stands before.
    fn line_end(&mut self) -> Option<usize> {
        while let Some(found) = self.pending[self.scanned..].iter().position(|b| *b == b'\n') {
            let at = self.scanned + found;
            let escapes = self.pending[self.start..at]
                .iter()
                .rev()
                .take_while(|b| **b == b'\\')
                .count();
            if escapes % 2 == 0 {
                return Some(at);
            }
            self.scanned = at + 1;
        }
        self.scanned = self.pending.len();
        None
    }

    fn read_line(&mut self, end: usize) -> Result<(), SqlError> {
        self.line += 1;
        if self.ended {
            return Ok(());
        }
        let mut line = &self.pending[self.start..end];
        if let [rest @ .., b'\r'] = line {
            line = rest;
        }
        if line == br"\." {
            self.ended = true;
            return Ok(());
        }
        if std::mem::take(&mut self.header) {
            return Ok(());
        }
        let width = self.block.width();
        if width == 0 {
            if !line.is_empty() {
                return Err(self.block.extra(self.line, line));
            }
            self.block.end_row(self.line, 1);
            return Ok(());
        }
        let mut rest = Some(line);
        for column in 0..width {
            let Some(text) = rest else {
                return Err(self.block.missing(column, self.line, line));
            };
            let length = value_length(text, self.delimiter);
            let value = &text[..length];
            rest = text.get(length + 1..);
            if value == self.null {
                self.block.null(column);
            } else {
                unescape(value, self.block.value(column));
                self.block.end_value(column);
            }
        }
        if rest.is_some() {
            return Err(self.block.extra(self.line, line));
        }
        self.block.end_row(self.line, line.len());
        Ok(())
    }
}

/// Up to the first delimiter that no backslash stands before.
fn value_length(text: &[u8], delimiter: u8) -> usize {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            byte if byte == delimiter => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// Appends the value that the escapes stand for.
fn unescape(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|b| *b == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let escaped = &rest[at + 1..];
        let (byte, length) = match escaped {
            [] => (b'\\', 0),
            [b'b', ..] => (0x08, 1),
            [b'f', ..] => (0x0c, 1),
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b't', ..] => (b'\t', 1),
            [b'v', ..] => (0x0b, 1),
            [b'0'..=b'7', ..] => number(escaped, 0, 3, 8),
            [b'x', digit, ..] if digit.is_ascii_hexdigit() => number(escaped, 1, 2, 16),
            [other, ..] => (*other, 1),
        };
        out.push(byte);
        rest = &escaped[length..];
    }
    out.extend_from_slice(rest);
}

/// A byte by its number: at most so many digits after the prefix. Answers it and how long it was.
fn number(text: &[u8], prefix: usize, most: usize, base: u32) -> (u8, usize) {
    let digits = text[prefix..]
        .iter()
        .take(most)
        .map_while(|b| char::from(*b).to_digit(base));
    let (value, count) = digits.fold((0u32, 0), |(value, count), digit| (value * base + digit, count + 1));
    ((value & 0xff) as u8, prefix + count)
}

/// A row that does not end is not collected for ever.
pub(super) fn check_length(bytes: usize) -> Result<(), SqlError> {
    if bytes <= MAX_ROW_BYTES {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("a row of COPY is longer than {} MB", MAX_ROW_BYTES >> 20),
    ))
}
