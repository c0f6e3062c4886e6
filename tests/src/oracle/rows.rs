//! [`Rows`]: what a query answers, as a multiset of rows in PostgreSQL's text form.
//!
//! Values are compared exactly, sums of floats included: Highwater adds them without rounding in between, so that
//! their order does not matter. Two exceptions, where SQL itself finds different texts equal, so that a group or a
//! DISTINCT may answer with either: `-0` is `0`, and an interval is its length (`1 month` is `30 days`).

use std::collections::BTreeMap;
use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, IntervalMonthDayNanoType};
use highwater_types::SqlError;
use highwater_types::text::{TextSettings, TextWriter};

/// How many different rows an error message shows at most.
const SHOWN_ROWS: usize = 12;

/// A multiset of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows(BTreeMap<String, i64>);

impl Rows {
    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// When a column has no text form.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), SqlError> {
        let settings = TextSettings::default();
        let schema = batch.schema();
        let writers = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(column, field)| TextWriter::try_new(field, column, &settings))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let texts: Vec<String> = batch
                .columns()
                .iter()
                .zip(&writers)
                .map(|(column, writer)| text(column.as_ref(), writer, row))
                .collect();
            *self.0.entry(texts.join("|")).or_default() += 1;
        }
        Ok(())
    }

    /// Adds all rows of others.
    pub fn extend(&mut self, others: &Rows) {
        for (row, count) in &others.0 {
            *self.0.entry(row.clone()).or_default() += count;
        }
    }

    /// The rows as lines, sorted, `|` between columns.
    pub fn lines(&self) -> Vec<String> {
        let copies = |(row, count): (&String, &i64)| std::iter::repeat_n(row.clone(), (*count).max(0) as usize);
        self.0.iter().flat_map(copies).collect()
    }

    /// The number in the one row of one column that there is.
    pub fn as_number(&self) -> Option<i64> {
        self.0.keys().next()?.parse().ok()
    }

    /// What `self`, which should be `expected`, has too much and too little.
    pub fn difference(&self, expected: &Rows) -> String {
        let mut lines = Vec::new();
        for (row, count) in &self.0 {
            let wanted = expected.0.get(row).copied().unwrap_or_default();
            if *count != wanted {
                lines.push(format!("  view {count}, batch {wanted}: {row}"));
            }
        }
        for (row, wanted) in &expected.0 {
            if !self.0.contains_key(row) {
                lines.push(format!("  view 0, batch {wanted}: {row}"));
            }
        }
        let more = lines.len().saturating_sub(SHOWN_ROWS);
        lines.truncate(SHOWN_ROWS);
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
        lines.join("\n")
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows", self.0.values().sum::<i64>())
    }
}

fn text(column: &dyn Array, writer: &TextWriter<'_>, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_string();
    }
    if let DataType::Interval(_) = column.data_type() {
        let value = column.as_primitive::<IntervalMonthDayNanoType>().value(row);
        let days = i128::from(value.months) * 30 + i128::from(value.days);
        return format!("{} us", days * 86_400_000_000 + i128::from(value.nanoseconds / 1000));
    }
    let mut bytes = Vec::new();
    writer.write(row, &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if column.data_type().is_floating() && text == "-0" {
        return "0".to_string();
    }
    text
}
