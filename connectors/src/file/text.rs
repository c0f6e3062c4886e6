//! [`TextReader`]: records of text to rows, for every encoding that is text. A [`Parser`] takes one record apart into
//! one text a column; types are read a column at a time, and record by record only where a column has a bad value.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use highwater_types::SqlType;
use highwater_types::text::{TextSettings, parse_column};

use super::lines::{Flaw, Lines, Quotes};
use crate::columns::ColumnPlan;
use crate::{ConnectorError, DeadLetter, Offset, PartitionId, PartitionReader, ReadStep, SourceBatch};

/// Text taken in for one batch at most, whatever its rows.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// Takes records of one encoding apart.
pub(super) trait Parser: Send {
    /// How quotes hide line breaks in records, if they do.
    fn quotes(&self) -> Option<Quotes>;

    /// The types of the columns it fills.
    fn types(&self) -> &[SqlType];

    /// Told before the first record is read. Answers whether the file's first line is no record.
    ///
    /// # Errors
    /// When the file cannot have records of this kind.
    fn begin(&mut self) -> Result<bool, ConnectorError>;

    /// Puts the record's values into `row`, a text or a NULL a column.
    ///
    /// # Errors
    /// Why it is not a record.
    fn parse(&mut self, record: &str, row: &mut Row<'_>) -> Result<(), String>;
}

/// Reads one partition.
pub(super) struct TextReader {
    parser: Box<dyn Parser>,
    /// Whether the first line is no record; `None` before the first one is there: a file that is followed may not
    /// have its header yet when it is opened.
    has_header: Option<bool>,
    columns: Arc<ColumnPlan>,
    lines: Lines,
    partition: PartitionId,
    until: u64,
    follow: bool,
}

/// Where in [`Taken::text`] a value lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    end: u32,
}

impl Place {
    const NULL: Place = Place { start: 1, end: 0 };

    fn of(range: Range<usize>) -> Place {
        const FITS: &str = "a batch is far smaller than 4 GiB";
        Place {
            start: u32::try_from(range.start).expect(FITS),
            end: u32::try_from(range.end).expect(FITS),
        }
    }

    fn get(self, text: &str) -> Option<&str> {
        (self.start <= self.end).then(|| &text[self.start as usize..self.end as usize])
    }
}

/// The values of one record, being filled in. Columns that are not set are NULL.
pub(super) struct Row<'a> {
    text: &'a mut String,
    columns: &'a mut [Vec<Place>],
    /// Where the record's own text starts.
    record_start: usize,
}

/// The records of a batch.
struct Taken {
    /// The records as they are, each followed by those of its values that had to be rewritten.
    text: String,
    /// A value a record.
    columns: Vec<Vec<Place>>,
    records: Vec<Place>,
    offsets: Vec<Offset>,
    dead: Vec<DeadLetter>,
}

/// What is made of them.
struct Parsed {
    data: Vec<ArrayRef>,
    offsets: Vec<Offset>,
    dead: Vec<DeadLetter>,
}

impl Row<'_> {
    /// Sets a column to a part of the record's text; the last one counts.
    pub(super) fn set_part(&mut self, column: usize, part: Range<usize>) {
        self.put(
            column,
            Place::of(part.start + self.record_start..part.end + self.record_start),
        );
    }

    /// Sets a column to another text.
    pub(super) fn set(&mut self, column: usize, value: &str) {
        let start = self.text.len();
        self.text.push_str(value);
        self.put(column, Place::of(start..self.text.len()));
    }

    /// Sets a column to NULL.
    pub(super) fn set_null(&mut self, column: usize) {
        self.put(column, Place::NULL);
    }

    fn put(&mut self, column: usize, place: Place) {
        if let Some(last) = self.columns[column].last_mut() {
            *last = place;
        }
    }
}

impl TextReader {
    pub(super) fn open(
        parser: Box<dyn Parser>,
        columns: Arc<ColumnPlan>,
        partition: PartitionId,
        from: u64,
        until: Option<Offset>,
        follow: bool,
    ) -> Result<TextReader, ConnectorError> {
        // A partition read up to an offset was complete up to there.
        let lines = Lines::open(Path::new(partition.as_str()), from, parser.quotes(), follow)?;
        Ok(TextReader {
            parser,
            has_header: None,
            columns,
            lines,
            partition,
            until: until.map_or(u64::MAX, |u| u.0),
            follow,
        })
    }

    /// Takes in records for one batch.
    fn take(&mut self, max_rows: usize) -> Result<Taken, ConnectorError> {
        let mut taken = Taken::new(self.parser.types().len(), max_rows);
        let mut bytes = 0;
        while taken.offsets.len() + taken.dead.len() < max_rows && bytes < BATCH_BYTES_MAX {
            if self.lines.offset() >= self.until {
                break;
            }
            let record = match self.lines.read() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                // What was read before is not lost; the error is still there next time.
                Err(_) if !taken.is_empty() => break,
                Err(error) => return Err(error),
            };
            let has_header = match self.has_header {
                Some(known) => known,
                None => *self.has_header.insert(self.parser.begin()?),
            };
            bytes += record.bytes.len() + 1;
            let is_header = has_header && record.offset == 0;
            if is_header || record.flaw.is_none() && record.bytes.trim_ascii().is_empty() {
                continue;
            }
            let offset = Offset(record.offset);
            match sound(record.flaw, record.bytes) {
                Ok(text) => {
                    if let Err(reason) = self.parser.parse(text, &mut taken.start_row(offset, text)) {
                        taken.bury_last_row(&self.partition, reason);
                    }
                }
                Err(reason) => {
                    let payload = String::from_utf8_lossy(record.bytes);
                    taken
                        .dead
                        .push(DeadLetter::new(&self.partition, offset, reason.to_string(), &payload));
                }
            }
        }
        Ok(taken)
    }
}

/// A record's text, or why it has none.
fn sound(flaw: Option<Flaw>, bytes: &[u8]) -> Result<&str, &'static str> {
    match flaw {
        Some(Flaw::TooLong) => Err("the record is too long"),
        Some(Flaw::OpenQuote) => Err("a quoted value is not closed"),
        None => std::str::from_utf8(bytes).map_err(|_| "the record is not UTF-8"),
    }
}

impl PartitionReader for TextReader {
    fn read(&mut self, max_rows: usize) -> Result<ReadStep, ConnectorError> {
        let before = self.lines.offset();
        let taken = self.take(max_rows)?;
        let next = self.lines.offset();
        if taken.is_empty() && next == before {
            let at_end = next >= self.until || !self.follow;
            return Ok(if at_end { ReadStep::End } else { ReadStep::Idle });
        }
        let Parsed { data, offsets, dead } = taken.parse(self.parser.types(), &self.partition)?;
        let batch = self.columns.batch(&data, &self.partition, &offsets)?;
        Ok(ReadStep::Rows(SourceBatch {
            batch,
            offsets,
            next: Offset(next),
            dead,
        }))
    }

    fn end(&self) -> Option<Offset> {
        self.lines.length().map(Offset)
    }
}

impl Taken {
    fn new(columns: usize, rows: usize) -> Taken {
        Taken {
            text: String::new(),
            columns: (0..columns).map(|_| Vec::with_capacity(rows)).collect(),
            records: Vec::with_capacity(rows),
            offsets: Vec::with_capacity(rows),
            dead: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.offsets.is_empty() && self.dead.is_empty()
    }

    fn start_row(&mut self, offset: Offset, record: &str) -> Row<'_> {
        let start = self.text.len();
        self.text.push_str(record);
        self.offsets.push(offset);
        self.records.push(Place::of(start..self.text.len()));
        self.columns.iter_mut().for_each(|column| column.push(Place::NULL));
        Row {
            text: &mut self.text,
            columns: &mut self.columns,
            record_start: start,
        }
    }

    /// The last row is a dead letter instead.
    fn bury_last_row(&mut self, partition: &PartitionId, reason: String) {
        self.columns.iter_mut().for_each(|column| {
            column.pop();
        });
        if let (Some(offset), Some(record)) = (self.offsets.pop(), self.records.pop()) {
            let payload = record.get(&self.text).unwrap_or_default();
            self.dead.push(DeadLetter::new(partition, offset, reason, payload));
            self.text.truncate(record.start as usize);
        }
    }

    /// Columns of the declared types, and what could not be one of their values.
    fn parse(mut self, types: &[SqlType], partition: &PartitionId) -> Result<Parsed, ConnectorError> {
        let data = match self.columns_of(types) {
            Ok(data) => data,
            Err(_) => {
                self.bury_bad_rows(types, partition);
                self.columns_of(types)?
            }
        };
        Ok(Parsed {
            data,
            offsets: self.offsets,
            dead: self.dead,
        })
    }

    fn columns_of(&self, types: &[SqlType]) -> Result<Vec<ArrayRef>, ConnectorError> {
        let columns = self.columns.iter().zip(types);
        columns.map(|(column, t)| self.column(column, t)).collect()
    }

    fn column(&self, places: &[Place], sql_type: &SqlType) -> Result<ArrayRef, ConnectorError> {
        let mut values = places.iter().map(|place| place.get(&self.text));
        Ok(parse_column(sql_type, &mut values, &TextSettings::default())?)
    }

    fn bury_bad_rows(&mut self, types: &[SqlType], partition: &PartitionId) {
        let mut reasons: Vec<Option<String>> = vec![None; self.offsets.len()];
        for (column, sql_type) in self.columns.iter().zip(types) {
            if self.column(column, sql_type).is_ok() {
                continue;
            }
            for (place, reason) in column.iter().zip(&mut reasons).filter(|(_, reason)| reason.is_none()) {
                let one = self.column(std::slice::from_ref(place), sql_type);
                *reason = one.err().map(|error| error.to_string());
            }
        }
        let mut good: Vec<bool> = Vec::with_capacity(reasons.len());
        for (row, reason) in reasons.into_iter().enumerate() {
            good.push(reason.is_none());
            if let Some(reason) = reason {
                let payload = self.records[row].get(&self.text).unwrap_or_default();
                self.dead
                    .push(DeadLetter::new(partition, self.offsets[row], reason, payload));
            }
        }
        self.dead.sort_by_key(|letter| letter.offset);
        keep(&mut self.offsets, &good);
        self.columns.iter_mut().for_each(|column| keep(column, &good));
    }
}

/// Keeps the elements of which `good` is true.
fn keep<T>(elements: &mut Vec<T>, good: &[bool]) {
    let mut good = good.iter();
    elements.retain(|_| good.next().copied().unwrap_or(true));
}
