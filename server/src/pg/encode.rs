//! Rows from Arrow columns straight into the output buffer. One writer a column is made for a batch, which knows
//! the column's type and format; a row is then written by asking each of them in turn. Nothing is allocated a row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use highwater_types::text::{TextSettings, TextWriter};
use highwater_types::{SqlError, SqlState, SqlType};

use super::encode_binary::BinaryWriter;
use crate::session::OutputColumn;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// As psql shows it.
    Text,
    /// As the type's send function gives it.
    Binary,
}

impl Format {
    /// The protocol's code.
    pub(super) fn code(self) -> i16 {
        match self {
            Format::Text => 0,
            Format::Binary => 1,
        }
    }

    /// The format of this code.
    ///
    /// # Errors
    /// 22023 when there is none.
    pub(super) fn of_code(code: i16) -> Result<Format, SqlError> {
        match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unsupported format code: {other}"),
            )),
        }
    }
}

/// A column of a batch in the Arrow type that its SQL type has everywhere.
#[derive(Debug, Clone)]
pub(super) struct Column {
    array: ArrayRef,
    field: FieldRef,
    sql_type: SqlType,
}

/// The columns of a batch, ready to be written.
///
/// # Errors
/// When the batch does not fit its description, which is an error of ours.
pub(super) fn columns_of(batch: &RecordBatch, described: &[OutputColumn]) -> Result<Vec<Column>, SqlError> {
    if batch.num_columns() != described.len() {
        let message = format!(
            "{} columns were described, {} came",
            described.len(),
            batch.num_columns()
        );
        return Err(SqlError::new(SqlState::INTERNAL_ERROR, message));
    }
    batch
        .columns()
        .iter()
        .zip(described)
        .map(|(array, column)| column_of(array, column))
        .collect()
}

fn column_of(array: &ArrayRef, described: &OutputColumn) -> Result<Column, SqlError> {
    let sql_type = described.sql_type.clone();
    let own = array.data_type();
    let is_decimal = matches!(own, DataType::Decimal128(..) | DataType::Decimal256(..));
    if matches!(sql_type, SqlType::Numeric(_)) && is_decimal {
        // The scale, not the declared type, says how many digits are written.
        let field = Arc::new(Field::new(&described.name, own.clone(), true));
        return Ok(Column {
            array: Arc::clone(array),
            field,
            sql_type,
        });
    }
    let field = sql_type.to_field(&described.name);
    let array = if own.equals_datatype(field.data_type()) {
        Arc::clone(array)
    } else {
        cast(array, field.data_type()).map_err(|error| {
            let message = format!("column \"{}\" came as {own}: {error}", described.name);
            SqlError::new(SqlState::INTERNAL_ERROR, message)
        })?
    };
    Ok(Column { array, field, sql_type })
}

/// Writes rows of one batch.
pub(super) struct RowWriter<'a> {
    columns: Vec<ColumnWriter<'a>>,
}

struct ColumnWriter<'a> {
    nulls: Option<&'a NullBuffer>,
    value: ValueWriter<'a>,
}

enum ValueWriter<'a> {
    Text(TextWriter<'a>),
    Binary(BinaryWriter<'a>),
}

impl<'a> RowWriter<'a> {
    /// Writers for these columns: one format each.
    ///
    /// # Errors
    /// When a type has no such form.
    pub(super) fn try_new(
        columns: &'a [Column],
        formats: &[Format],
        settings: &'a TextSettings,
    ) -> Result<RowWriter<'a>, SqlError> {
        let columns = columns
            .iter()
            .zip(formats)
            .map(|(column, format)| ColumnWriter::try_new(column, *format, settings))
            .collect::<Result<_, _>>()?;
        Ok(RowWriter { columns })
    }

    /// Appends a DataRow.
    ///
    /// # Errors
    /// When a value has no such form, or the row is longer than a message may be.
    pub(super) fn put_data_row(&self, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        out.push(b'D');
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        self.put_fields(row, out)?;
        let length = out.len() - start;
        put_length(out, start, length)
    }

    /// Appends the number of fields and then each with its length, as DataRow and binary COPY have them.
    ///
    /// # Errors
    /// When a value has no such form, or is longer than a message may be.
    pub(super) fn put_fields(&self, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        out.extend_from_slice(&(self.columns.len() as i16).to_be_bytes());
        for column in &self.columns {
            if column.is_null(row) {
                out.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            column.put(row, out)?;
            let length = out.len() - start - 4;
            put_length(out, start, length)?;
        }
        Ok(())
    }

    /// Whether the field is NULL.
    pub(super) fn is_null(&self, column: usize, row: usize) -> bool {
        self.columns[column].is_null(row)
    }

    /// Appends one field that is not NULL, without a length.
    ///
    /// # Errors
    /// When the value has no such form.
    pub(super) fn put_value(&self, column: usize, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        self.columns[column].put(row, out)
    }
}

impl<'a> ColumnWriter<'a> {
    fn try_new(column: &'a Column, format: Format, settings: &'a TextSettings) -> Result<ColumnWriter<'a>, SqlError> {
        let array = column.array.as_ref();
        let value = match format {
            Format::Text => ValueWriter::Text(TextWriter::try_new(&column.field, array, settings)?),
            Format::Binary => {
                ValueWriter::Binary(BinaryWriter::try_new(&column.sql_type, &column.field, array, settings)?)
            }
        };
        Ok(ColumnWriter {
            nulls: array.nulls(),
            value,
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match (self.nulls, &self.value) {
            (Some(nulls), _) => nulls.is_null(row),
            (None, _) => false,
        }
    }

    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        match &self.value {
            ValueWriter::Text(writer) => {
                writer.write(row, out);
                Ok(())
            }
            ValueWriter::Binary(writer) => writer.write(row, out),
        }
    }
}

/// Puts a length into the four bytes kept for it.
pub(super) fn put_length(out: &mut [u8], at: usize, length: usize) -> Result<(), SqlError> {
    let length = i32::try_from(length).map_err(|_| {
        SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "a row is longer than a message may be",
        )
    })?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
