//! Values from their binary form: the mirror of `encode_binary.rs`. Nothing in the bytes is trusted.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::scalar::ScalarValue;
use highwater_types::text::TextSettings;
use highwater_types::{SqlError, SqlState, SqlType};

use super::decode::{decode_text, null};
use super::encode_binary::{EPOCH_DAYS, EPOCH_MICROS};
use super::frame::check_utf8;
use super::types;

/// PostgreSQL's limit on an array's dimensions.
const MAX_DIMENSIONS: i32 = 6;

/// The value of these bytes.
///
/// # Errors
/// 22P03 when they are not one of the type; what the type's own checks say.
pub(super) fn decode_binary(
    sql_type: &SqlType,
    bytes: &[u8],
    settings: &TextSettings,
) -> Result<ScalarValue, SqlError> {
    let value = match sql_type {
        SqlType::Bool => ScalarValue::Boolean(Some(fixed::<1>(bytes)?[0] != 0)),
        SqlType::Int2 => ScalarValue::Int16(Some(i16::from_be_bytes(fixed(bytes)?))),
        SqlType::Int4 => ScalarValue::Int32(Some(i32::from_be_bytes(fixed(bytes)?))),
        SqlType::Int8 => ScalarValue::Int64(Some(i64::from_be_bytes(fixed(bytes)?))),
        SqlType::Float4 => ScalarValue::Float32(Some(f32::from_be_bytes(fixed(bytes)?))),
        SqlType::Float8 => ScalarValue::Float64(Some(f64::from_be_bytes(fixed(bytes)?))),
        SqlType::Numeric(_) => return decode_text(sql_type, &numeric_text(bytes)?, settings),
        SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::Bpchar(_)
        | SqlType::Name
        | SqlType::Json
        | SqlType::Unknown
        | SqlType::PgNodeTree => return decode_text(sql_type, characters(bytes)?, settings),
        SqlType::Char => {
            let [byte] = fixed::<1>(bytes)?;
            let text = if byte == 0 {
                String::new()
            } else {
                char::from(byte).to_string()
            };
            ScalarValue::Utf8(Some(text))
        }
        SqlType::Bytea => ScalarValue::Binary(Some(bytes.to_vec())),
        SqlType::Date => ScalarValue::Date32(Some(days(i32::from_be_bytes(fixed(bytes)?))?)),
        SqlType::Time => ScalarValue::Time64Microsecond(Some(time(i64::from_be_bytes(fixed(bytes)?))?)),
        SqlType::Timestamp => ScalarValue::TimestampMicrosecond(Some(micros(i64::from_be_bytes(fixed(bytes)?))?), None),
        SqlType::Timestamptz => {
            let zone = Some(Arc::from("UTC"));
            ScalarValue::TimestampMicrosecond(Some(micros(i64::from_be_bytes(fixed(bytes)?))?), zone)
        }
        SqlType::Interval => ScalarValue::IntervalMonthDayNano(Some(interval(bytes)?)),
        SqlType::Jsonb => match bytes.split_first() {
            Some((1, text)) => return decode_text(sql_type, characters(text)?, settings),
            Some((version, _)) => {
                let message = format!("unsupported jsonb version number {version}");
                return Err(SqlError::new(SqlState::INTERNAL_ERROR, message));
            }
            None => return Err(incorrect()),
        },
        SqlType::Uuid => ScalarValue::FixedSizeBinary(16, Some(fixed::<16>(bytes)?.to_vec())),
        SqlType::Oid
        | SqlType::Regclass
        | SqlType::Regtype
        | SqlType::Regproc
        | SqlType::Regnamespace
        | SqlType::Regrole => ScalarValue::UInt32(Some(u32::from_be_bytes(fixed(bytes)?))),
        SqlType::Array(element) => return array(element, bytes, settings),
        SqlType::Int2Vector | SqlType::OidVector | SqlType::Record(_) | SqlType::Void => {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("a parameter of type {sql_type} in binary is not supported"),
            )
            .with_hint("Send it as text."));
        }
    };
    Ok(value)
}

/// Reads a message field by field.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SqlError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(incorrect)?;
        self.rest = rest;
        Ok(*head)
    }

    fn int(&mut self) -> Result<i32, SqlError> {
        self.take().map(i32::from_be_bytes)
    }

    fn short(&mut self) -> Result<i16, SqlError> {
        self.take().map(i16::from_be_bytes)
    }

    /// A value with its length before it; `None` for NULL.
    fn sized(&mut self) -> Result<Option<&'a [u8]>, SqlError> {
        let length = self.int()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| incorrect())?;
        let (head, rest) = self.rest.split_at_checked(length).ok_or_else(incorrect)?;
        self.rest = rest;
        Ok(Some(head))
    }
}

fn array(element: &SqlType, bytes: &[u8], settings: &TextSettings) -> Result<ScalarValue, SqlError> {
    let mut fields = Fields { rest: bytes };
    let dimensions = fields.int()?;
    let _has_null = fields.int()?;
    let oid = u32::from_be_bytes(fields.take()?);
    if !(0..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(incorrect());
    }
    if dimensions > 1 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "an array parameter of more than one dimension in binary is not supported",
        )
        .with_hint("Send it as text."));
    }
    // Clients send text for varchar and the like: what counts is how the bytes are read.
    let sent = types::from_oid(oid).unwrap_or_else(|| element.clone());
    if sent != *types::innermost(element) && !same_bytes(&sent, element) {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {oid} instead of expected {}",
                types::oid(element)
            ),
        ));
    }
    let count = if dimensions == 1 { fields.int()? } else { 0 };
    if count < 0 {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "array size exceeds the maximum allowed",
        ));
    }
    if dimensions == 1 {
        let _lower_bound = fields.int()?;
    }
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(match fields.sized()? {
            Some(bytes) => decode_binary(element, bytes, settings)?,
            None => null(element)?,
        });
    }
    if !fields.rest.is_empty() {
        return Err(incorrect());
    }
    list(element, values)
}

/// Whether two types have the same binary form.
fn same_bytes(a: &SqlType, b: &SqlType) -> bool {
    let class = |t: &SqlType| match t {
        SqlType::Text | SqlType::Varchar(_) | SqlType::Bpchar(_) | SqlType::Name | SqlType::Unknown => 1,
        SqlType::Numeric(_) => 2,
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => 3,
        _ => 0,
    };
    class(a) != 0 && class(a) == class(b)
}

/// An array of these values.
fn list(element: &SqlType, values: Vec<ScalarValue>) -> Result<ScalarValue, SqlError> {
    let DataType::List(field) = SqlType::Array(Box::new(element.clone())).to_arrow() else {
        return Err(incorrect());
    };
    let length = values.len();
    let items = column(element, values)?;
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths([length]), items, None)
        .map_err(|error| SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()))?;
    Ok(ScalarValue::List(Arc::new(list)))
}

/// A column of these values.
///
/// # Errors
/// Only where a value is not of the type, which is an error of ours.
pub(super) fn column(sql_type: &SqlType, values: Vec<ScalarValue>) -> Result<ArrayRef, SqlError> {
    if values.is_empty() {
        return Ok(new_empty_array(&sql_type.to_arrow()));
    }
    ScalarValue::iter_to_array(values).map_err(|error| SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()))
}

/// A numeric's digits as text.
fn numeric_text(bytes: &[u8]) -> Result<String, SqlError> {
    let mut fields = Fields { rest: bytes };
    let count = usize::try_from(fields.short()?).map_err(|_| incorrect())?;
    let weight = i32::from(fields.short()?);
    let sign = fields.short()? as u16;
    let decimals = usize::try_from(fields.short()?).map_err(|_| incorrect())?;
    if fields.rest.len() != count * 2 {
        return Err(incorrect());
    }
    let mut text = match sign {
        0 => String::new(),
        0x4000 => "-".to_string(),
        0xC000 => return Ok("NaN".to_string()),
        0xD000 => return Ok("Infinity".to_string()),
        0xF000 => return Ok("-Infinity".to_string()),
        _ => return Err(external("invalid sign in external \"numeric\" value")),
    };
    let mut digits = Vec::with_capacity(count);
    for _ in 0..count {
        let digit = fields.short()?;
        if !(0..10_000).contains(&digit) {
            return Err(external("invalid digit in external \"numeric\" value"));
        }
        digits.push(digit);
    }
    let digit_at = |place: i32| {
        let index = weight - place;
        usize::try_from(index)
            .ok()
            .and_then(|i| digits.get(i))
            .copied()
            .unwrap_or(0)
    };
    if weight < 0 {
        text.push('0');
    }
    for place in (0..=weight.max(-1)).rev() {
        let digit = digit_at(place);
        if place == weight {
            text.push_str(&digit.to_string())
        } else {
            text.push_str(&format!("{digit:04}"))
        }
    }
    if decimals > 0 {
        let mut fraction = String::with_capacity(decimals + 4);
        let mut place = -1;
        while fraction.len() < decimals {
            fraction.push_str(&format!("{:04}", digit_at(place)));
            place -= 1;
        }
        fraction.truncate(decimals);
        text.push('.');
        text.push_str(&fraction);
    }
    Ok(text)
}

fn interval(bytes: &[u8]) -> Result<IntervalMonthDayNano, SqlError> {
    let mut fields = Fields { rest: bytes };
    let micros = i64::from_be_bytes(fields.take()?);
    let days = fields.int()?;
    let months = fields.int()?;
    if !fields.rest.is_empty() {
        return Err(incorrect());
    }
    let nanoseconds = micros
        .checked_mul(1000)
        .ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))?;
    Ok(IntervalMonthDayNano {
        months,
        days,
        nanoseconds,
    })
}

fn days(since_2000: i32) -> Result<i32, SqlError> {
    match since_2000 {
        i32::MIN | i32::MAX => Ok(since_2000),
        days => days.checked_add(EPOCH_DAYS).ok_or_else(|| out_of_range("date")),
    }
}

fn micros(since_2000: i64) -> Result<i64, SqlError> {
    match since_2000 {
        i64::MIN | i64::MAX => Ok(since_2000),
        micros => micros
            .checked_add(EPOCH_MICROS)
            .ok_or_else(|| out_of_range("timestamp")),
    }
}

fn time(micros: i64) -> Result<i64, SqlError> {
    if (0..=86_400_000_000).contains(&micros) {
        Ok(micros)
    } else {
        Err(out_of_range("time"))
    }
}

fn out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

fn characters(bytes: &[u8]) -> Result<&str, SqlError> {
    if bytes.contains(&0) {
        return Err(SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ));
    }
    check_utf8(bytes)
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], SqlError> {
    bytes.try_into().map_err(|_| incorrect())
}

fn incorrect() -> SqlError {
    external("incorrect binary data format")
}

fn external(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerics_are_read_as_postgres_reads_them() {
        let bytes = [0, 3, 0, 1, 0, 0, 0, 3, 0x00, 0x0c, 0x0d, 0x80, 0x1e, 0xd2];
        assert_eq!(
            numeric_text(&bytes).expect("well formed"),
            "12 3456.7890".replace(' ', "").trim_end_matches('0')
        );
        assert_eq!(
            numeric_text(&[0, 1, 0xff, 0xff, 0x40, 0, 0, 4, 0, 1]).expect("well formed"),
            "-0.0001"
        );
        assert_eq!(numeric_text(&[0, 0, 0, 0, 0, 0, 0, 0]).expect("well formed"), "0");
        assert_eq!(numeric_text(&[0, 0, 0, 0, 0xC0, 0, 0, 0]).expect("well formed"), "NaN");
        assert!(numeric_text(&[0, 9, 0, 0, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn arrays_with_false_counts_are_refused() {
        let integers = SqlType::Array(Box::new(SqlType::Int4));
        for count in [i32::MAX, 1, -1, i32::MIN] {
            let bytes: Vec<u8> = [1i32, 0, 23, count, 1].iter().flat_map(|n| n.to_be_bytes()).collect();
            let read = decode_binary(&integers, &bytes, &TextSettings::default());
            assert!(read.is_err(), "{count} elements, none of them sent");
        }
    }
}
