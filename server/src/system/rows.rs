//! [`Rows`]: a system relation's rows while they are made. Cells are PostgreSQL's text form of values; the column's
//! type reads them when the batch is finished, so a table's file never speaks of Arrow.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use highwater_types::text::{TextSettings, parse_column};
use highwater_types::{RelationId, SqlError, SqlState, SqlType};

use super::relation::SystemRelation;

/// A value as PostgreSQL prints it; `None` is NULL.
pub(crate) type Cell = Option<Cow<'static, str>>;

/// Rows of a system relation.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    relation: &'a SystemRelation,
    columns: Vec<Vec<Cell>>,
    length: usize,
}

/// The row added last. Columns that are not set keep their default: NULL, or zero and empty where NULL is refused.
#[derive(Debug)]
pub(crate) struct Row<'r, 'a> {
    rows: &'r mut Rows<'a>,
    next: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(relation: &'a SystemRelation) -> Rows<'a> {
        Rows {
            relation,
            columns: vec![Vec::new(); relation.columns.len()],
            length: 0,
        }
    }

    /// Adds a row of defaults.
    pub(crate) fn add(&mut self) -> Row<'_, 'a> {
        for (cells, column) in self.columns.iter_mut().zip(&self.relation.columns) {
            cells.push(column.not_null.then(|| Cow::Borrowed(zero(&column.sql_type))));
        }
        self.length += 1;
        Row { rows: self, next: 0 }
    }

    /// The rows as a batch.
    pub(crate) fn finish(self) -> Result<RecordBatch, SqlError> {
        let settings = TextSettings::default();
        let arrays = self
            .columns
            .iter()
            .zip(&self.relation.columns)
            .map(|(cells, column)| {
                let mut texts = cells.iter().map(Option::as_deref);
                parse_column(&column.sql_type, &mut texts, &settings).map_err(|error| {
                    let place = format!("{}.{}", self.relation.name, column.name);
                    SqlError::new(SqlState::INTERNAL_ERROR, format!("{place}: {}", error.message))
                })
            })
            .collect::<Result<Vec<ArrayRef>, SqlError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.length));
        RecordBatch::try_new_with_options(Arc::clone(&self.relation.schema), arrays, &options)
            .map_err(|error| SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()))
    }
}

impl Row<'_, '_> {
    /// Sets a column.
    ///
    /// # Panics
    /// When the relation has no such column.
    pub(crate) fn set(&mut self, column: &str, value: impl IntoCell) -> &mut Self {
        let columns = &self.rows.relation.columns;
        // Columns are mostly set in their order.
        let index = (self.next..columns.len())
            .chain(0..self.next)
            .find(|i| columns[*i].name == column)
            .unwrap_or_else(|| panic!("{} has no column {column}", self.rows.relation.name));
        self.next = index + 1;
        let last = self.rows.length - 1;
        self.rows.columns[index][last] = value.into_cell();
        self
    }
}

impl Row<'_, '_> {
    /// What a column holds so far.
    pub(crate) fn get(&self, column: &str) -> Cell {
        let index = self.rows.relation.columns.iter().position(|c| c.name == column)?;
        self.rows.columns[index].last().cloned().flatten()
    }
}

/// What a column holds that refuses NULL and was not set.
fn zero(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Bool => "f",
        SqlType::Array(_) => "{}",
        SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::Bpchar(_)
        | SqlType::Char
        | SqlType::Name
        | SqlType::Int2Vector
        | SqlType::OidVector
        | SqlType::PgNodeTree => "",
        _ => "0",
    }
}

/// What can be put into a cell.
pub(crate) trait IntoCell {
    /// As PostgreSQL prints it.
    fn into_cell(self) -> Cell;
}

impl IntoCell for Cell {
    fn into_cell(self) -> Cell {
        self
    }
}

impl IntoCell for &str {
    fn into_cell(self) -> Cell {
        Some(Cow::Owned(self.to_string()))
    }
}

impl IntoCell for &String {
    fn into_cell(self) -> Cell {
        Some(Cow::Owned(self.clone()))
    }
}

impl IntoCell for String {
    fn into_cell(self) -> Cell {
        Some(Cow::Owned(self))
    }
}

impl IntoCell for Option<String> {
    fn into_cell(self) -> Cell {
        self.map(Cow::Owned)
    }
}

impl IntoCell for &Option<String> {
    fn into_cell(self) -> Cell {
        self.clone().map(Cow::Owned)
    }
}

impl IntoCell for bool {
    fn into_cell(self) -> Cell {
        Some(Cow::Borrowed(if self { "t" } else { "f" }))
    }
}

impl IntoCell for RelationId {
    fn into_cell(self) -> Cell {
        self.0.into_cell()
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(
            impl IntoCell for $number {
                fn into_cell(self) -> Cell {
                    Some(Cow::Owned(self.to_string()))
                }
            }
            impl IntoCell for Option<$number> {
                fn into_cell(self) -> Cell {
                    self.and_then(IntoCell::into_cell)
                }
            }
        )*
    };
}
numbers!(i16, i32, i64, u32, u64, usize, f64);

/// `information_schema`'s booleans.
pub(crate) struct YesNo(pub(crate) bool);

impl IntoCell for YesNo {
    fn into_cell(self) -> Cell {
        Some(Cow::Borrowed(if self.0 { "YES" } else { "NO" }))
    }
}

/// An `int2vector` or `oidvector`: numbers with spaces between.
pub(crate) struct Vector<T>(pub(crate) Vec<T>);

impl<T: ToString> IntoCell for Vector<T> {
    fn into_cell(self) -> Cell {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        Some(Cow::Owned(texts.join(" ")))
    }
}

/// An array of values that are all there.
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: ToString> IntoCell for List<T> {
    fn into_cell(self) -> Cell {
        let quoted: Vec<String> = self
            .0
            .iter()
            .map(|value| {
                let text = value.to_string();
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            })
            .collect();
        Some(Cow::Owned(format!("{{{}}}", quoted.join(","))))
    }
}

impl<T: ToString> IntoCell for Option<List<T>> {
    fn into_cell(self) -> Cell {
        self.and_then(IntoCell::into_cell)
    }
}

/// A moment, in microseconds since 1970; the last one there is stands for infinity.
pub(crate) struct Moment(pub(crate) i64);

impl IntoCell for Moment {
    fn into_cell(self) -> Cell {
        if self.0 == i64::MAX {
            return Some(Cow::Borrowed("infinity"));
        }
        let time = chrono::DateTime::from_timestamp_micros(self.0)?;
        Some(Cow::Owned(time.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string()))
    }
}

impl IntoCell for Option<Moment> {
    fn into_cell(self) -> Cell {
        self.and_then(IntoCell::into_cell)
    }
}
