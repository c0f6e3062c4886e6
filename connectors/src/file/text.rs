//! [`TextReader`]: records of text to rows, for every encoding that is text. A [`Parser`] takes one record apart into
//! one text a column; types are read a column at a time, and record by record only where a column has a bad value.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use highwater_types::SqlType;
use highwater_types::text::{TextSettings, parse_column};

use super::lines::{Lines, Quotes, RECORD_BYTES_MAX};
use crate::columns::ColumnPlan;
use crate::{ConnectorError, DeadLetter, Offset, PartitionId, PartitionReader, ReadStep, SourceBatch};

/// Text taken in for one batch at most, whatever its rows.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Characters of a dead letter that are kept.
const PAYLOAD_CHARS_MAX: usize = 4096;

/// Takes records of one encoding apart.
pub(super) trait Parser: Send {
    /// How quotes hide line breaks in records, if they do.
    fn quotes(&self) -> Option<Quotes>;

    /// The types of the columns it fills.
    fn types(&self) -> &[SqlType];

    /// Whether the record at this offset holds no row.
    fn is_header(&self, offset: u64) -> bool;

    /// Puts the record's values into `row`, a text or a NULL a column.
    ///
    /// # Errors
    /// Why it is not a record.
    fn parse(&mut self, record: &str, row: &mut Row<'_>) -> Result<(), String>;
}

/// Reads one partition.
pub(super) struct TextReader {
    parser: Box<dyn Parser>,
    columns: Arc<ColumnPlan>,
    lines: Lines,
    partition: PartitionId,
    until: u64,
    follow: bool,
}

/// One column's texts, end to end.
#[derive(Debug, Default)]
struct Texts {
    text: String,
    /// Where each value is; `None` is NULL.
    values: Vec<Option<Range<usize>>>,
}

/// The values of one record, being filled in. Columns that are not set are NULL.
pub(super) struct Row<'a> {
    columns: &'a mut [Texts],
    row: usize,
}

/// The records of a batch.
struct Taken {
    columns: Vec<Texts>,
    offsets: Vec<Offset>,
    /// The records' own text, for dead letters.
    records: Texts,
    dead: Vec<DeadLetter>,
}

impl Row<'_> {
    /// Sets a column; the last one counts.
    pub(super) fn set(&mut self, column: usize, value: &str) {
        let texts = &mut self.columns[column];
        let start = texts.text.len();
        texts.text.push_str(value);
        texts.values[self.row] = Some(start..texts.text.len());
    }

    /// Sets a column to NULL.
    pub(super) fn set_null(&mut self, column: usize) {
        self.columns[column].values[self.row] = None;
    }
}

impl Texts {
    fn get(&self, row: usize) -> Option<&str> {
        self.values[row].clone().map(|range| &self.text[range])
    }

    fn parse(&self, sql_type: &SqlType) -> Result<ArrayRef, ConnectorError> {
        let mut values = (0..self.values.len()).map(|row| self.get(row));
        Ok(parse_column(sql_type, &mut values, &TextSettings::default())?)
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
            columns,
            lines,
            partition,
            until: until.map_or(u64::MAX, |u| u.0),
            follow,
        })
    }

    /// Takes in records for one batch.
    fn take(&mut self, max_rows: usize) -> Result<Taken, ConnectorError> {
        let mut taken = Taken::new(self.parser.types().len());
        let mut bytes = 0;
        while taken.offsets.len() + taken.dead.len() < max_rows && bytes < BATCH_BYTES_MAX {
            if self.lines.offset() >= self.until {
                break;
            }
            let Some(record) = self.lines.read()? else { break };
            bytes += record.bytes.len() + 1;
            if self.parser.is_header(record.offset) || record.bytes.trim_ascii().is_empty() {
                continue;
            }
            let offset = Offset(record.offset);
            let text = match std::str::from_utf8(record.bytes) {
                Ok(text) if !record.broken => text,
                refused => {
                    let reason = match refused {
                        Ok(_) if record.bytes.len() >= RECORD_BYTES_MAX => "the record is too long",
                        Ok(_) => "a quoted value is not closed",
                        Err(_) => "the record is not UTF-8",
                    };
                    let payload = String::from_utf8_lossy(record.bytes).into_owned();
                    taken
                        .dead
                        .push(letter(&self.partition, offset, reason.to_string(), &payload));
                    continue;
                }
            };
            if let Err(reason) = self.parser.parse(text, &mut taken.start_row(offset, text)) {
                let payload = taken.undo_row();
                taken.dead.push(letter(&self.partition, offset, reason, &payload));
            }
        }
        Ok(taken)
    }
}

impl PartitionReader for TextReader {
    fn read(&mut self, max_rows: usize) -> Result<ReadStep, ConnectorError> {
        let before = self.lines.offset();
        let taken = self.take(max_rows)?;
        let next = self.lines.offset();
        if taken.offsets.is_empty() && taken.dead.is_empty() && next == before {
            let at_end = next >= self.until || !self.follow;
            return Ok(if at_end { ReadStep::End } else { ReadStep::Idle });
        }
        let (data, offsets, dead) = taken.parse(self.parser.types(), &self.partition)?;
        let batch = self.columns.batch(&data, &self.partition, &offsets)?;
        Ok(ReadStep::Rows(SourceBatch {
            batch,
            offsets,
            next: Offset(next),
            dead,
        }))
    }
}

impl Taken {
    fn new(columns: usize) -> Taken {
        Taken {
            columns: (0..columns).map(|_| Texts::default()).collect(),
            offsets: Vec::new(),
            records: Texts::default(),
            dead: Vec::new(),
        }
    }

    fn start_row(&mut self, offset: Offset, text: &str) -> Row<'_> {
        let row = self.offsets.len();
        self.offsets.push(offset);
        let start = self.records.text.len();
        self.records.text.push_str(text);
        self.records.values.push(Some(start..self.records.text.len()));
        self.columns.iter_mut().for_each(|c| c.values.push(None));
        Row {
            columns: &mut self.columns,
            row,
        }
    }

    /// Takes the last row back; answers its record.
    fn undo_row(&mut self) -> String {
        self.offsets.pop();
        self.columns.iter_mut().for_each(|c| {
            c.values.pop();
        });
        let range = self.records.values.pop().flatten().unwrap_or_default();
        self.records.text.split_off(range.start)
    }

    /// Columns of the declared types, and what could not be one of their values.
    #[allow(
        clippy::type_complexity,
        reason = "three parts of one batch, named where they are taken"
    )]
    fn parse(
        mut self,
        types: &[SqlType],
        partition: &PartitionId,
    ) -> Result<(Vec<ArrayRef>, Vec<Offset>, Vec<DeadLetter>), ConnectorError> {
        let parsed: Result<Vec<ArrayRef>, ConnectorError> = self
            .columns
            .iter()
            .zip(types)
            .map(|(texts, t)| texts.parse(t))
            .collect();
        if let Ok(data) = parsed {
            return Ok((data, self.offsets, self.dead));
        }
        self.remove_bad_rows(types, partition);
        self.dead.sort_by_key(|letter| letter.offset);
        let data = self.columns.iter().zip(types).map(|(texts, t)| texts.parse(t));
        Ok((data.collect::<Result<_, _>>()?, self.offsets, self.dead))
    }

    fn remove_bad_rows(&mut self, types: &[SqlType], partition: &PartitionId) {
        let rows = self.offsets.len();
        let mut reasons: Vec<Option<String>> = vec![None; rows];
        for (texts, sql_type) in self.columns.iter().zip(types) {
            if texts.parse(sql_type).is_ok() {
                continue;
            }
            for (row, reason) in reasons.iter_mut().enumerate().filter(|(_, reason)| reason.is_none()) {
                let one = parse_column(sql_type, &mut std::iter::once(texts.get(row)), &TextSettings::default());
                *reason = one.err().map(|error| error.message);
            }
        }
        let records = &self.records;
        self.dead.extend(reasons.iter().enumerate().filter_map(|(row, reason)| {
            let payload = records.get(row).unwrap_or_default();
            Some(letter(partition, self.offsets[row], reason.clone()?, payload))
        }));
        let mut good = reasons.iter().map(Option::is_none);
        self.offsets.retain(|_| good.next().unwrap_or(true));
        for texts in &mut self.columns {
            let mut good = reasons.iter().map(Option::is_none);
            texts.values.retain(|_| good.next().unwrap_or(true));
        }
    }
}

fn letter(partition: &PartitionId, offset: Offset, reason: String, payload: &str) -> DeadLetter {
    DeadLetter {
        partition: partition.clone(),
        offset,
        reason,
        payload: payload.chars().take(PAYLOAD_CHARS_MAX).collect(),
    }
}
