//! [`TextWriter`]: writes the values of one column of one batch.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Decimal256Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, LargeStringArray, ListArray, StringArray,
    StructArray, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};

use super::datetime::{write_date, write_interval, write_time, write_timestamp, write_timestamptz};
use super::nested::{write_element, write_field};
use super::number::write_int;
use super::numeric::{DisplayScale, Numeric, write_numeric};
use super::{TextSettings, format_uuid, write_bytea, write_f32, write_f64};
use crate::{QUOTIENT, SqlError, SqlState, SqlType};

/// Writes the values of one column of one batch. Made once a batch, so that the type is looked at once.
#[derive(Debug)]
pub struct TextWriter<'a> {
    column: Column,
    settings: &'a TextSettings,
}

/// The column, as its Arrow type.
#[derive(Debug)]
enum Column {
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Oid(UInt32Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Numeric128(Decimal128Array, i32),
    Numeric256(Decimal256Array, i32, DisplayScale),
    Text(StringArray),
    /// `char(n)`: padded with blanks to so many characters.
    Padded(StringArray, usize),
    LargeText(LargeStringArray),
    Bytea(BinaryArray),
    Date(arrow::array::Date32Array),
    Time(arrow::array::Time64MicrosecondArray),
    Timestamp(arrow::array::TimestampMicrosecondArray),
    Timestamptz(arrow::array::TimestampMicrosecondArray),
    Interval(arrow::array::IntervalMonthDayNanoArray),
    Uuid(FixedSizeBinaryArray),
    Array(ListArray, Box<Column>),
    Record(StructArray, Vec<Column>),
    Void,
}

impl<'a> TextWriter<'a> {
    /// A writer of `array`, which is a column with this field.
    ///
    /// # Errors
    /// When the array's Arrow type stands for no SQL type and cannot be made into one that does.
    pub fn try_new(field: &Field, array: &dyn Array, settings: &'a TextSettings) -> Result<TextWriter<'a>, SqlError> {
        let column = Column::try_new(field, &arrow::array::make_array(array.to_data()))?;
        Ok(TextWriter { column, settings })
    }

    /// Appends the text of a row's value, which is not NULL.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        self.column.write(row, self.settings, out);
    }
}

impl Column {
    fn try_new(field: &Field, array: &ArrayRef) -> Result<Column, SqlError> {
        let sql_type = SqlType::of_field(field);
        let wanted = match (&sql_type, array.data_type()) {
            (SqlType::Numeric(_), own) if *own == QUOTIENT => QUOTIENT,
            (SqlType::Record(_) | SqlType::Array(_), own) => canonical_container(own),
            _ => sql_type.to_arrow(),
        };
        let array = if *array.data_type() == wanted {
            array.clone()
        } else {
            cast(array, &wanted).map_err(|e| SqlError::new(SqlState::INTERNAL_ERROR, e.to_string()))?
        };
        Ok(match &wanted {
            DataType::Boolean => Column::Bool(array.as_boolean().clone()),
            DataType::Int16 => Column::Int2(array.as_primitive::<Int16Type>().clone()),
            DataType::Int32 => Column::Int4(array.as_primitive::<Int32Type>().clone()),
            DataType::Int64 => Column::Int8(array.as_primitive::<Int64Type>().clone()),
            DataType::UInt32 => Column::Oid(array.as_primitive::<UInt32Type>().clone()),
            DataType::Float32 => Column::Float4(array.as_primitive::<Float32Type>().clone()),
            DataType::Float64 => Column::Float8(array.as_primitive::<Float64Type>().clone()),
            DataType::Decimal128(_, scale) => {
                Column::Numeric128(array.as_primitive::<Decimal128Type>().clone(), i32::from(*scale))
            }
            DataType::Decimal256(_, scale) => Column::Numeric256(
                array.as_primitive::<Decimal256Type>().clone(),
                i32::from(*scale),
                DisplayScale::of(&wanted),
            ),
            DataType::Utf8 => match sql_type {
                SqlType::Bpchar(Some(limit)) => Column::Padded(array.as_string().clone(), limit as usize),
                _ => Column::Text(array.as_string().clone()),
            },
            DataType::LargeUtf8 => Column::LargeText(array.as_string().clone()),
            DataType::Binary => Column::Bytea(array.as_binary().clone()),
            DataType::Date32 => Column::Date(array.as_primitive::<Date32Type>().clone()),
            DataType::Time64(_) => Column::Time(array.as_primitive::<Time64MicrosecondType>().clone()),
            DataType::Timestamp(_, None) => Column::Timestamp(array.as_primitive::<TimestampMicrosecondType>().clone()),
            DataType::Timestamp(_, Some(_)) => {
                Column::Timestamptz(array.as_primitive::<TimestampMicrosecondType>().clone())
            }
            DataType::Interval(_) => Column::Interval(array.as_primitive::<IntervalMonthDayNanoType>().clone()),
            DataType::FixedSizeBinary(_) => Column::Uuid(array.as_fixed_size_binary().clone()),
            DataType::List(item) => {
                let list = array.as_list::<i32>().clone();
                let elements = Column::try_new(item, list.values())?;
                Column::Array(list, Box::new(elements))
            }
            DataType::Struct(fields) => {
                let record = array.as_struct().clone();
                let columns = fields
                    .iter()
                    .zip(record.columns())
                    .map(|(field, column)| Column::try_new(field, column))
                    .collect::<Result<_, _>>()?;
                Column::Record(record, columns)
            }
            DataType::Null => Column::Void,
            other => {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("a column of Arrow type {other} has no text form"),
                )
                .with_hint("Cast it to a type of PostgreSQL."));
            }
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Column::Bool(a) => a.is_null(row),
            Column::Int2(a) => a.is_null(row),
            Column::Int4(a) => a.is_null(row),
            Column::Int8(a) => a.is_null(row),
            Column::Oid(a) => a.is_null(row),
            Column::Float4(a) => a.is_null(row),
            Column::Float8(a) => a.is_null(row),
            Column::Numeric128(a, _) => a.is_null(row),
            Column::Numeric256(a, _, _) => a.is_null(row),
            Column::Text(a) | Column::Padded(a, _) => a.is_null(row),
            Column::LargeText(a) => a.is_null(row),
            Column::Bytea(a) => a.is_null(row),
            Column::Date(a) => a.is_null(row),
            Column::Time(a) => a.is_null(row),
            Column::Timestamp(a) | Column::Timestamptz(a) => a.is_null(row),
            Column::Interval(a) => a.is_null(row),
            Column::Uuid(a) => a.is_null(row),
            Column::Array(a, _) => a.is_null(row),
            Column::Record(a, _) => a.is_null(row),
            Column::Void => true,
        }
    }

    fn write(&self, row: usize, settings: &TextSettings, out: &mut Vec<u8>) {
        match self {
            Column::Bool(a) => out.push(if a.value(row) { b't' } else { b'f' }),
            Column::Int2(a) => write_int(i64::from(a.value(row)), out),
            Column::Int4(a) => write_int(i64::from(a.value(row)), out),
            Column::Int8(a) => write_int(a.value(row), out),
            Column::Oid(a) => write_int(i64::from(a.value(row)), out),
            Column::Float4(a) => write_f32(a.value(row), settings.extra_float_digits, out),
            Column::Float8(a) => write_f64(a.value(row), settings.extra_float_digits, out),
            Column::Numeric128(a, scale) => {
                write_numeric(Numeric::from_128(a.value(row)), *scale, DisplayScale::Full, out);
            }
            Column::Numeric256(a, scale, display) => {
                write_numeric(Numeric::from_256(a.value(row)), *scale, *display, out);
            }
            Column::Text(a) => out.extend_from_slice(a.value(row).as_bytes()),
            Column::Padded(a, width) => {
                let text = a.value(row);
                out.extend_from_slice(text.as_bytes());
                out.extend(std::iter::repeat_n(b' ', width.saturating_sub(text.chars().count())));
            }
            Column::LargeText(a) => out.extend_from_slice(a.value(row).as_bytes()),
            Column::Bytea(a) => write_bytea(a.value(row), settings.bytea_escape, out),
            Column::Date(a) => write_date(a.value(row), out),
            Column::Time(a) => write_time(a.value(row), out),
            Column::Timestamp(a) => write_timestamp(a.value(row), out),
            Column::Timestamptz(a) => write_timestamptz(a.value(row), settings.time_zone, out),
            Column::Interval(a) => write_interval(a.value(row).into(), settings.interval_style, out),
            Column::Uuid(a) => format_uuid(a.value(row), out),
            Column::Array(list, elements) => write_array(list, elements, row, settings, out),
            Column::Record(_, columns) => write_record(columns, row, settings, out),
            Column::Void => {}
        }
    }
}

/// The Arrow type that a list or struct is written from.
fn canonical_container(own: &DataType) -> DataType {
    match own {
        DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => DataType::List(item.clone()),
        other => other.clone(),
    }
}

fn write_array(list: &ListArray, elements: &Column, row: usize, settings: &TextSettings, out: &mut Vec<u8>) {
    let offsets = list.value_offsets();
    let mut text = Vec::new();
    out.push(b'{');
    for (at, element) in (offsets[row] as usize..offsets[row + 1] as usize).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if elements.is_null(element) {
            out.extend_from_slice(b"NULL");
        } else if matches!(elements, Column::Array(_, _)) {
            elements.write(element, settings, out);
        } else {
            text.clear();
            elements.write(element, settings, &mut text);
            write_element(&text, out);
        }
    }
    out.push(b'}');
}

fn write_record(columns: &[Column], row: usize, settings: &TextSettings, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    out.push(b'(');
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if !column.is_null(row) {
            text.clear();
            column.write(row, settings, &mut text);
            write_field(&text, out);
        }
    }
    out.push(b')');
}
