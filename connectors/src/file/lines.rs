//! [`Lines`]: a file's records with the byte offset of each. A record is a line; in CSV a quoted line break does not
//! end it. Memory: one record and one read; a record longer than [`RECORD_BYTES_MAX`] is given up.
//!
//! Where records start depends on the file's bytes alone, never on how many of them were there when it was read or on
//! where reading began: history that is read again is cut into the same records.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use memchr::{memchr, memchr2};

use crate::ConnectorError;

/// Longer records are dead letters.
pub(super) const RECORD_BYTES_MAX: usize = 4 << 20;
/// How much of a record that is too long is kept, to be shown.
const BEGINNING_BYTES: usize = 16 << 10;
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
    pub(super) flaw: Option<Flaw>,
}

/// What can be wrong with a record as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A quote is not closed by the end of the file, or within the longest record there may be. The record was ended
    /// at its first line break, and what follows is read on its own.
    OpenQuote,
    /// Only its beginning is kept.
    TooLong,
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
    /// Where the record starts that is too long, while its rest is passed over.
    too_long: Option<u64>,
    /// How that record begins.
    beginning: Vec<u8>,
}

/// A record found in the buffer: its bytes, and where the next one starts.
struct Found {
    bytes: Range<usize>,
    next: usize,
    flaw: Option<Flaw>,
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
            too_long: None,
            beginning: Vec::new(),
        })
    }

    /// Where the next record starts.
    pub(super) fn offset(&self) -> u64 {
        self.too_long.unwrap_or(self.base + self.start as u64)
    }

    /// How long the file is by now, as far as can be told.
    pub(super) fn length(&self) -> Option<u64> {
        Some(self.file.metadata().ok()?.len())
    }

    /// The next record; `None` when there is none, or no complete one yet.
    pub(super) fn read(&mut self) -> Result<Option<Record<'_>>, ConnectorError> {
        let found = match self.too_long {
            None => self.find()?,
            Some(_) => None,
        };
        if self.too_long.is_some() {
            return self.end_of_too_long();
        }
        let Some(Found { bytes, next, flaw }) = found else {
            return Ok(None);
        };
        let offset = self.base + bytes.start as u64;
        self.start = next;
        let mut bytes = &self.buffer[bytes];
        if offset == 0 {
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Ok(Some(Record { offset, bytes, flaw }))
    }

    /// Looks for the next record; may find out that it is too long instead.
    fn find(&mut self) -> Result<Option<Found>, ConnectorError> {
        // How far the record has been looked through, and whether a quote was open there.
        let mut scanned = 0;
        let mut scan = Scan::default();
        loop {
            let limit = self.buffer.len().min(self.start + RECORD_BYTES_MAX + 1);
            if let Some(end) = scan.line_end(&self.buffer[self.start + scanned..limit], self.quotes) {
                let end = self.start + scanned + end;
                return Ok(Some(Found {
                    bytes: self.start..end,
                    next: end + 1,
                    flaw: None,
                }));
            }
            scanned = limit - self.start;
            if scanned > RECORD_BYTES_MAX {
                return Ok(self.give_up(limit));
            }
            if !self.fill()? {
                return Ok(self.last(scan.in_quotes));
            }
        }
    }

    /// A record that goes on beyond `limit` is cut at its first line break, which a quote hid; without one it is too
    /// long.
    fn give_up(&mut self, limit: usize) -> Option<Found> {
        if let Some(cut) = self.first_line(limit) {
            return Some(cut);
        }
        self.too_long = Some(self.base + self.start as u64);
        self.beginning.clear();
        self.beginning
            .extend_from_slice(&self.buffer[self.start..self.start + BEGINNING_BYTES]);
        None
    }

    /// What is left at the file's end.
    fn last(&self, in_quotes: bool) -> Option<Found> {
        let end = self.buffer.len();
        if self.follow || self.start == end {
            return None;
        }
        let whole = Found {
            bytes: self.start..end,
            next: end,
            flaw: in_quotes.then_some(Flaw::OpenQuote),
        };
        let cut = if in_quotes { self.first_line(end) } else { None };
        Some(cut.unwrap_or(whole))
    }

    /// A record with an open quote, cut at its first line break before `limit`.
    fn first_line(&self, limit: usize) -> Option<Found> {
        let end = self.start + memchr(b'\n', &self.buffer[self.start..limit])?;
        Some(Found {
            bytes: self.start..end,
            next: end + 1,
            flaw: Some(Flaw::OpenQuote),
        })
    }

    /// Passes over the rest of a record that is too long; answers it once its end is there.
    fn end_of_too_long(&mut self) -> Result<Option<Record<'_>>, ConnectorError> {
        loop {
            if let Some(end) = memchr(b'\n', &self.buffer[self.start..]) {
                self.start += end + 1;
                break;
            }
            self.start = self.buffer.len();
            if !self.fill()? {
                if self.follow {
                    return Ok(None);
                }
                break;
            }
        }
        let offset = self.too_long.take().unwrap_or_default();
        Ok(Some(Record {
            offset,
            bytes: &self.beginning,
            flaw: Some(Flaw::TooLong),
        }))
    }

    /// Reads more of the file. Answers whether there was more.
    fn fill(&mut self) -> Result<bool, ConnectorError> {
        self.buffer.drain(..self.start);
        self.base += self.start as u64;
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + READ_BYTES, 0);
        let read = self.file.read(&mut self.buffer[length..]);
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        if read.map_err(|source| self.io(source))? > 0 {
            return Ok(true);
        }
        // A file that is only waited for should not hold much memory.
        self.buffer.shrink_to_fit();
        if self.follow {
            self.check_same_file()?;
        }
        Ok(false)
    }

    /// A followed file that is shorter than what was read of it, or that another one has taken the place of, will
    /// never bring what was appended since: silence would be a lie.
    fn check_same_file(&self) -> Result<(), ConnectorError> {
        let ours = self.file.metadata().map_err(|source| self.io(source))?;
        let offset = self.base + self.buffer.len() as u64;
        if ours.len() < offset {
            return Err(ConnectorError::Truncated {
                path: self.path.clone(),
                length: ours.len(),
                offset,
            });
        }
        let there = fs::metadata(&self.path).map_err(|source| self.io(source))?;
        if identity(&there) != identity(&ours) {
            return Err(ConnectorError::Replaced {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    fn io(&self, source: io::Error) -> ConnectorError {
        ConnectorError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// What tells a file from another one of the same name.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Where files have no such numbers, only their lengths are looked at.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
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
            return memchr(b'\n', bytes);
        };
        let mut at = 0;
        while at < bytes.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
                continue;
            }
            let stops = if self.in_quotes {
                (quote, escape)
            } else {
                (quote, b'\n')
            };
            at += memchr2(stops.0, stops.1, &bytes[at..])?;
            match bytes[at] {
                byte if byte == quote => self.in_quotes = !self.in_quotes,
                b'\n' if !self.in_quotes => return Some(at),
                _ => self.escaped = true,
            }
            at += 1;
        }
        None
    }
}
