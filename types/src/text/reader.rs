//! [`parse_column`]: reads texts to a column of a type.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, LargeStringBuilder, ListArray,
    NullArray, PrimitiveArray, PrimitiveBuilder, StringBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};

use super::datetime::{parse_date, parse_interval, parse_time, parse_timestamp, parse_timestamptz};
use super::json::{check_json, normalise_jsonb};
use super::nested::split_array;
use super::number::parse_oid;
use super::numeric::parse_numeric;
use super::{TextSettings, parse_bool, parse_bytea, parse_f32, parse_f64, parse_int, parse_uuid};
use crate::{SqlError, SqlState, SqlType, UNCONSTRAINED_NUMERIC};

type Texts<'a, 'b> = &'a mut dyn Iterator<Item = Option<&'b str>>;

/// Reads a column; `None` is NULL.
///
/// # Errors
/// The first value that the type does not take, in PostgreSQL's words: 22P02 for what is no such value, 22003 and
/// 22008 for what is too large, 22001 for a text that is too long.
pub fn parse_column(
    sql_type: &SqlType,
    values: &mut dyn Iterator<Item = Option<&str>>,
    settings: &TextSettings,
) -> Result<ArrayRef, SqlError> {
    match sql_type {
        SqlType::Bool => {
            let mut column = BooleanBuilder::new();
            for value in values {
                column.append_option(value.map(parse_bool).transpose()?);
            }
            Ok(Arc::new(column.finish()))
        }
        SqlType::Int2 => primitive::<Int16Type>(values, |text| parse_int(text, "smallint")),
        SqlType::Int4 => primitive::<Int32Type>(values, |text| parse_int(text, "integer")),
        SqlType::Int8 => primitive::<Int64Type>(values, |text| parse_int(text, "bigint")),
        SqlType::Oid => primitive::<UInt32Type>(values, parse_oid),
        SqlType::Regclass | SqlType::Regtype | SqlType::Regproc | SqlType::Regnamespace | SqlType::Regrole => {
            primitive::<UInt32Type>(values, |text| {
                parse_oid(text).map_err(|_| {
                    SqlError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        format!("reading {sql_type} from a name is not supported here: \"{text}\""),
                    )
                    .with_hint("Give the oid as a number.")
                })
            })
        }
        SqlType::Float4 => primitive::<Float32Type>(values, parse_f32),
        SqlType::Float8 => primitive::<Float64Type>(values, parse_f64),
        SqlType::Numeric(limits) => numeric(*limits, values),
        SqlType::Text
        | SqlType::Varchar(None)
        | SqlType::Bpchar(None)
        | SqlType::Unknown
        | SqlType::Int2Vector
        | SqlType::OidVector
        | SqlType::PgNodeTree => texts(values, |text| Ok(text)),
        SqlType::Varchar(Some(limit)) => texts(values, |text| fit_varchar(text, *limit)),
        SqlType::Bpchar(Some(limit)) => texts(values, |text| fit_bpchar(text, *limit)),
        SqlType::Char => texts(values, |text| Ok(first_char(text))),
        SqlType::Name => texts(values, |text| Ok(truncate_name(text))),
        SqlType::Json => texts(values, |text| check_json(text).map(|()| text)),
        SqlType::Bytea => {
            let mut column = BinaryBuilder::new();
            for value in values {
                column.append_option(value.map(parse_bytea).transpose()?);
            }
            Ok(Arc::new(column.finish()))
        }
        SqlType::Date => primitive::<Date32Type>(values, |text| parse_date(text, settings)),
        SqlType::Time => primitive::<Time64MicrosecondType>(values, |text| parse_time(text, settings)),
        SqlType::Timestamp => primitive::<TimestampMicrosecondType>(values, |text| parse_timestamp(text, settings)),
        SqlType::Timestamptz => {
            let column = primitive_array::<TimestampMicrosecondType>(values, |text| parse_timestamptz(text, settings))?;
            Ok(Arc::new(column.with_timezone("UTC")))
        }
        SqlType::Interval => primitive::<IntervalMonthDayNanoType>(values, |text| {
            let parts = parse_interval(text, settings)?;
            Ok(IntervalMonthDayNano::new(parts.months, parts.days, parts.micros * 1000))
        }),
        SqlType::Jsonb => {
            let mut column = LargeStringBuilder::new();
            for value in values {
                column.append_option(value.map(normalise_jsonb).transpose()?);
            }
            Ok(Arc::new(column.finish()))
        }
        SqlType::Uuid => uuid(values),
        SqlType::Void => Ok(Arc::new(NullArray::new(values.count()))),
        SqlType::Record(_) => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "input of anonymous composite types is not implemented",
        )
        .with_hint("Write the row as ROW(...).")),
        SqlType::Array(element) => array(element, values, settings),
    }
}

fn primitive_array<T: ArrowPrimitiveType>(
    values: Texts<'_, '_>,
    parse: impl Fn(&str) -> Result<T::Native, SqlError>,
) -> Result<PrimitiveArray<T>, SqlError> {
    let mut column = PrimitiveBuilder::<T>::with_capacity(values.size_hint().0);
    for value in values {
        match value {
            None => column.append_null(),
            Some(text) => column.append_value(parse(text)?),
        }
    }
    Ok(column.finish())
}

fn primitive<T: ArrowPrimitiveType>(
    values: Texts<'_, '_>,
    parse: impl Fn(&str) -> Result<T::Native, SqlError>,
) -> Result<ArrayRef, SqlError> {
    Ok(Arc::new(primitive_array::<T>(values, parse)?))
}

fn texts(
    values: Texts<'_, '_>,
    fit: impl for<'t> Fn(&'t str) -> Result<&'t str, SqlError>,
) -> Result<ArrayRef, SqlError> {
    let mut column = StringBuilder::new();
    for value in values {
        match value {
            None => column.append_null(),
            Some(text) if text.contains('\0') => {
                return Err(SqlError::new(
                    SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                    "invalid byte sequence for encoding \"UTF8\": 0x00",
                ));
            }
            Some(text) => column.append_value(fit(text)?),
        }
    }
    Ok(Arc::new(column.finish()))
}

fn numeric(limits: Option<(u8, i8)>, values: Texts<'_, '_>) -> Result<ArrayRef, SqlError> {
    let sql_type = SqlType::Numeric(limits);
    let data_type = sql_type.to_arrow();
    let scale = match (limits, &UNCONSTRAINED_NUMERIC) {
        (Some((_, scale)), _) => scale,
        (None, DataType::Decimal256(_, scale)) => *scale,
        (None, other) => unreachable!("the unconstrained numeric is {other}"),
    };
    let precision = limits.map(|(precision, _)| precision);
    if matches!(data_type, DataType::Decimal128(_, _)) {
        let column = primitive_array::<Decimal128Type>(values, |text| {
            parse_numeric(text, precision, scale)?
                .to_128()
                .ok_or_else(super::numeric::overflow)
        })?;
        return Ok(Arc::new(column.with_data_type(data_type)));
    }
    let column = primitive_array::<Decimal256Type>(values, |text| Ok(parse_numeric(text, precision, scale)?.to_256()))?;
    Ok(Arc::new(column.with_data_type(data_type)))
}

fn uuid(values: Texts<'_, '_>) -> Result<ArrayRef, SqlError> {
    let mut column = FixedSizeBinaryBuilder::new(16);
    for value in values {
        match value {
            None => column.append_null(),
            Some(text) => column
                .append_value(parse_uuid(text)?)
                .expect("a uuid has the column's 16 bytes"),
        }
    }
    Ok(Arc::new(column.finish()))
}

fn array(element: &SqlType, values: Texts<'_, '_>, settings: &TextSettings) -> Result<ArrayRef, SqlError> {
    let of_arrays = matches!(element, SqlType::Array(_));
    let mut elements: Vec<Option<String>> = Vec::new();
    let mut lengths = Vec::new();
    let mut valid = Vec::new();
    for value in values {
        let before = elements.len();
        if let Some(text) = value {
            elements.extend(split_array(text, of_arrays)?);
        }
        lengths.push(elements.len() - before);
        valid.push(value.is_some());
    }
    let column = parse_column(element, &mut elements.iter().map(|e| e.as_deref()), settings)?;
    Ok(Arc::new(ListArray::new(
        element.to_field("item"),
        OffsetBuffer::from_lengths(lengths),
        column,
        Some(NullBuffer::from(valid)),
    )))
}

/// The text as a `varchar(limit)` holds it: as it is, or without blanks that are too many.
///
/// # Errors
/// 22001 when more than blanks would be lost.
pub fn fit_varchar(text: &str, limit: u32) -> Result<&str, SqlError> {
    fit(text, limit, "character varying")
}

/// The text as a `char(limit)` holds it: without trailing blanks, which are added again where it is written.
///
/// # Errors
/// 22001 when more than blanks would be lost.
pub fn fit_bpchar(text: &str, limit: u32) -> Result<&str, SqlError> {
    Ok(fit(text, limit, "character")?.trim_end_matches(' '))
}

fn fit<'t>(text: &'t str, limit: u32, type_name: &str) -> Result<&'t str, SqlError> {
    if text.len() <= limit as usize {
        return Ok(text);
    }
    match text.char_indices().nth(limit as usize) {
        None => Ok(text),
        Some((end, _)) if text[end..].bytes().all(|b| b == b' ') => Ok(&text[..end]),
        Some(_) => Err(SqlError::new(
            SqlState::STRING_DATA_RIGHT_TRUNCATION,
            format!("value too long for type {type_name}({limit})"),
        )),
    }
}

/// What a `"char"` keeps of a text.
fn first_char(text: &str) -> &str {
    text.chars().next().map_or("", |c| &text[..c.len_utf8()])
}

/// A name has at most 63 bytes.
fn truncate_name(text: &str) -> &str {
    let mut end = text.len().min(63);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
