//! [`Lines`]: a file's records with the byte offset of each. A record is a line; in CSV a quoted line break does not
//! end it. Memory: one record and one read; a record longer than [`RECORD_BYTES_MAX`] is given up.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use crate::ConnectorError;

/// Longer records are dead letters.
pub(super) const RECORD_BYTES_MAX: usize = 4 << 20;
const READ_BYTES: usize = 256 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How quotes hide line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quotes {
    pub(super) quote: u8,
    pub(super) escape: u8,
}

/// A record's bytes, without the line break, and where it starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
    /// A quote in it is not closed, so it was ended at its first line break; or it is too long.
    pub(super) broken: bool,
}

/// Reads records from an offset on.
#[derive(Debug)]
pub(super) struct Lines {
    file: File,
    path: String,
    quotes: Option<Quotes>,
    /// A last line without a line break is not complete yet.
    follow: bool,
    buffer: Vec<u8>,
    /// Where in the buffer the next record starts.
    start: usize,
    /// The file's offset of the buffer's first byte.
    base: u64,
    /// Inside a record that is too long: its rest is passed over.
    skipping: bool,
}

impl Lines {
    pub(super) fn open(
        path: &Path,
        offset: u64,
        quotes: Option<Quotes>,
        follow: bool,
    ) -> Result<Lines, ConnectorError> {
        let name = path.display().to_string();
        let io = |source| ConnectorError::Io {
            path: name.clone(),
            source,
        };
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        if length < offset {
            return Err(ConnectorError::Truncated {
                path: name,
                length,
                offset,
            });
        }
        file.seek(SeekFrom::Start(offset)).map_err(io)?;
        Ok(Lines {
            file,
            path: name,
            quotes,
            follow,
            buffer: Vec::new(),
            start: 0,
            base: offset,
            skipping: false,
        })
    }

    /// Where the next record starts.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// The next record; `None` when there is none, or no complete one yet.
    pub(super) fn read(&mut self) -> Result<Option<Record<'_>>, ConnectorError> {
        let Some((range, next, broken)) = self.find()? else {
            return Ok(None);
        };
        let offset = self.base + range.start as u64;
        self.start = next;
        let mut bytes = &self.buffer[range];
        if offset == 0 {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Ok(Some(Record { offset, bytes, broken }))
    }

    /// The next record's place in the buffer, where the one after it starts, and whether it is broken.
    fn find(&mut self) -> Result<Option<(Range<usize>, usize, bool)>, ConnectorError> {
        // How far the record has been looked through, and whether a quote was open there.
        let mut scanned = 0;
        let mut scan = Scan::default();
        loop {
            if self.skipping && !self.skip_line()? {
                return Ok(None);
            }
            let fresh = &self.buffer[self.start + scanned..];
            if let Some(end) = scan.line_end(fresh, self.quotes) {
                let end = self.start + scanned + end;
                return Ok(Some((self.start..end, end + 1, false)));
            }
            scanned = self.buffer.len() - self.start;
            if scanned > RECORD_BYTES_MAX {
                return Ok(Some(self.give_up()));
            }
            if !self.fill()? {
                return Ok(self.last(scan.in_quotes));
            }
        }
    }

    /// A record that goes on for too long is cut: at its first line break, or where it is.
    fn give_up(&mut self) -> (Range<usize>, usize, bool) {
        let record = &self.buffer[self.start..];
        match record.iter().position(|b| *b == b'\n') {
            Some(end) => (self.start..self.start + end, self.start + end + 1, true),
            None => {
                self.skipping = true;
                (self.start..self.buffer.len(), self.buffer.len(), true)
            }
        }
    }

    /// What is left at the file's end.
    fn last(&mut self, in_quotes: bool) -> Option<(Range<usize>, usize, bool)> {
        let whole = self.start..self.buffer.len();
        if self.follow || whole.is_empty() {
            return None;
        }
        if in_quotes {
            self.skipping = false;
            let (range, next, _) = match self.buffer[whole.clone()].iter().position(|b| *b == b'\n') {
                Some(end) => (whole.start..whole.start + end, whole.start + end + 1, true),
                None => (whole.clone(), whole.end, true),
            };
            return Some((range, next, true));
        }
        let end = whole.end;
        Some((whole, end, false))
    }

    /// Passes over the rest of a record that was too long. Answers whether its end was there.
    fn skip_line(&mut self) -> Result<bool, ConnectorError> {
        loop {
            if let Some(end) = self.buffer[self.start..].iter().position(|b| *b == b'\n') {
                self.start += end + 1;
                self.skipping = false;
                return Ok(true);
            }
            self.start = self.buffer.len();
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// Reads more of the file. Answers whether there was more.
    fn fill(&mut self) -> Result<bool, ConnectorError> {
        let io = |source| ConnectorError::Io {
            path: self.path.clone(),
            source,
        };
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.base += self.start as u64;
            self.start = 0;
        }
        let length = self.buffer.len();
        self.buffer.resize(length + READ_BYTES, 0);
        let read = self.file.read(&mut self.buffer[length..]);
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        if read.map_err(io)? > 0 {
            return Ok(true);
        }
        let now = self.file.metadata().map_err(io)?.len();
        let offset = self.base + self.buffer.len() as u64;
        if now < offset {
            return Err(ConnectorError::Truncated {
                path: self.path.clone(),
                length: now,
                offset,
            });
        }
        Ok(false)
    }
}

/// Looks for a line's end, over several reads.
#[derive(Debug, Default)]
struct Scan {
    in_quotes: bool,
    /// The last byte was an escape inside quotes.
    escaped: bool,
}

impl Scan {
    fn line_end(&mut self, bytes: &[u8], quotes: Option<Quotes>) -> Option<usize> {
        let Some(Quotes { quote, escape }) = quotes else {
            return bytes.iter().position(|b| *b == b'\n');
        };
        for (at, byte) in bytes.iter().enumerate() {
            if self.escaped {
                self.escaped = false;
            } else if self.in_quotes && *byte == escape && escape != quote {
                self.escaped = true;
            } else if *byte == quote {
                self.in_quotes = !self.in_quotes;
            } else if *byte == b'\n' && !self.in_quotes {
                return Some(at);
            }
        }
        None
    }
}
