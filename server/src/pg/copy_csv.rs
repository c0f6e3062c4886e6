//! COPY's CSV format: values between delimiters, quoted where they must be; a quoted value may hold newlines.

use arrow::array::RecordBatch;
use highwater_types::SqlError;

use super::copy_rows::{Block, one_byte};
use super::copy_text::check_length;

/// Makes rows from CSV.
pub(super) struct CsvReader {
    block: Block,
    delimiter: u8,
    quote: u8,
    escape: u8,
    null: Vec<u8>,
    /// The first row, of names, is still to come.
    header: bool,
    /// What has been pushed and not read.
    pending: Vec<u8>,
    /// Where the next row starts in it.
    start: usize,
    /// Up to here no row has ended.
    scanned: usize,
    /// Whether `scanned` is inside quotes.
    quoted: bool,
    line: u64,
    /// `\.` was read: what follows is ignored.
    ended: bool,
}

impl CsvReader {
    /// For these characters: delimiter, quote and escape.
    pub(super) fn try_new(
        block: Block,
        [delimiter, quote, escape]: [char; 3],
        null: &str,
        header: bool,
    ) -> Result<CsvReader, SqlError> {
        Ok(CsvReader {
            block,
            delimiter: one_byte("delimiter", delimiter)?,
            quote: one_byte("quote", quote)?,
            escape: one_byte("escape", escape)?,
            null: null.as_bytes().to_vec(),
            header,
            pending: Vec::new(),
            start: 0,
            scanned: 0,
            quoted: false,
            line: 1,
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
            let Some(end) = self.row_end() else {
                return check_length(self.pending.len() - self.start).map(|()| None);
            };
            self.read_row(end)?;
            self.start = end + 1;
            self.scanned = self.start;
        }
        self.block.take()
    }

    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        let end = self.pending.len();
        if self.start < end && !self.ended {
            if self.row_end().is_none() && self.quoted {
                let row = &self.pending[self.start..end];
                return Err(self.block.line_error("unterminated CSV quoted field", self.line, row));
            }
            self.read_row(end)?;
            self.start = end;
        }
        self.block.take()
    }

    /// The next newline outside quotes. An escape that is not the quote hides the quote after it; one that is,
    /// leaves the quotes and enters them again.
    fn row_end(&mut self) -> Option<usize> {
        while let Some(&byte) = self.pending.get(self.scanned) {
            if self.quoted && byte == self.escape && self.escape != self.quote {
                if self.scanned + 1 == self.pending.len() {
                    return None;
                }
                self.scanned += 1;
            } else if byte == self.quote {
                self.quoted = !self.quoted;
            } else if byte == b'\n' && !self.quoted {
                return Some(self.scanned);
            }
            self.scanned += 1;
        }
        None
    }

    fn read_row(&mut self, end: usize) -> Result<(), SqlError> {
        let CsvReader { block, pending, .. } = self;
        let mut row = &pending[self.start..end];
        let line = self.line;
        self.line += 1 + row.iter().filter(|b| **b == b'\n').count() as u64;
        if self.ended {
            return Ok(());
        }
        if let [rest @ .., b'\r'] = row {
            row = rest;
        }
        if row == br"\." {
            self.ended = true;
            return Ok(());
        }
        if std::mem::take(&mut self.header) {
            return Ok(());
        }
        let mut rest = Some(row);
        for column in 0..block.width() {
            let Some(text) = rest else {
                return Err(block.missing(column, line, row));
            };
            let (length, was_quoted) = read_value(text, [self.delimiter, self.quote, self.escape], block.value(column));
            if !was_quoted && text[..length] == self.null[..] {
                let kept = block.value(column).len() - length;
                block.value(column).truncate(kept);
                block.null(column);
            } else {
                block.end_value(column);
            }
            rest = text.get(length + 1..);
        }
        if rest.is_some_and(|rest| block.width() > 0 || !rest.is_empty()) {
            return Err(block.extra(line, row));
        }
        block.end_row(line, row.len());
        Ok(())
    }
}

/// Appends the next value; answers how much of the text it took, and whether any of it was quoted.
fn read_value(text: &[u8], [delimiter, quote, escape]: [u8; 3], out: &mut Vec<u8>) -> (usize, bool) {
    let mut at = 0;
    let mut inside = false;
    let mut was_quoted = false;
    while let Some(&byte) = text.get(at) {
        let next = text.get(at + 1).copied();
        if inside && byte == escape && next.is_some_and(|next| next == quote || next == escape) {
            out.extend(next);
            at += 2;
            continue;
        }
        if byte == quote {
            inside = !inside;
            was_quoted = true;
        } else if byte == delimiter && !inside {
            return (at, was_quoted);
        } else {
            out.push(byte);
        }
        at += 1;
    }
    (at, was_quoted)
}
