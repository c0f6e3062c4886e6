//! Parameters of Bind: from bytes in text or binary to values of the types that the statement was planned with.

use bytes::Bytes;
use chrono::Utc;
use datafusion::scalar::ScalarValue;
use highwater_planner::functions::scalar_at;
use highwater_types::text::{TextSettings, parse_column};
use highwater_types::{SqlError, SqlState, SqlType};

use super::decode_binary::decode_binary;
use super::encode::Format;
use super::frame::check_utf8;
use crate::session::Session;

/// The parameters' values, in order.
///
/// # Errors
/// In PostgreSQL's words: 08P01 for wrong counts, 22P02 and its kin for bad text, 22P03 for bad bytes.
pub(super) fn decode_parameters(
    statement: &str,
    types: &[SqlType],
    values: &[Option<Bytes>],
    codes: &[i16],
    settings: &TextSettings,
) -> Result<Vec<ScalarValue>, SqlError> {
    if codes.len() > 1 && codes.len() != values.len() {
        return Err(protocol(format!(
            "bind message has {} parameter formats but {} parameters",
            codes.len(),
            values.len()
        )));
    }
    if types.len() != values.len() {
        return Err(protocol(format!(
            "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
            values.len(),
            types.len()
        )));
    }
    let mut decoded = Vec::with_capacity(values.len());
    for (index, (sql_type, value)) in types.iter().zip(values).enumerate() {
        let format = match codes {
            [] => Format::Text,
            [one] => Format::of_code(*one)?,
            many => Format::of_code(many[index])?,
        };
        let value = match (value, format) {
            (None, _) => null(sql_type),
            (Some(bytes), Format::Text) => decode_text(sql_type, text(bytes)?, settings),
            (Some(bytes), Format::Binary) => decode_binary(sql_type, bytes, settings),
        };
        decoded.push(value.map_err(|error| error.with_context(format!("unnamed portal parameter ${}", index + 1)))?);
    }
    Ok(decoded)
}

/// The value of a text.
///
/// # Errors
/// When it is not one of the type.
pub(super) fn decode_text(sql_type: &SqlType, text: &str, settings: &TextSettings) -> Result<ScalarValue, SqlError> {
    // Keys of point reads, by far the most frequent parameters.
    match sql_type {
        SqlType::Text | SqlType::Unknown => return Ok(ScalarValue::Utf8(Some(text.to_string()))),
        SqlType::Int4 => {
            if let Ok(value) = text.parse() {
                return Ok(ScalarValue::Int32(Some(value)));
            }
        }
        SqlType::Int8 => {
            if let Ok(value) = text.parse() {
                return Ok(ScalarValue::Int64(Some(value)));
            }
        }
        _ => {}
    }
    let array = parse_column(sql_type, &mut std::iter::once(Some(text)), settings)?;
    scalar_at(&array, 0).map_err(|error| internal(&error.to_string()))
}

/// How a client's texts are read now: with a meaning for `'now'` and its kin.
pub(super) fn input_settings(session: &Session) -> TextSettings {
    TextSettings {
        now_us: Some(Utc::now().timestamp_micros()),
        ..session.text_settings()
    }
}

/// NULL of this type.
pub(super) fn null(sql_type: &SqlType) -> Result<ScalarValue, SqlError> {
    ScalarValue::try_from(&sql_type.to_arrow()).map_err(|error| internal(&error.to_string()))
}

/// The text of a value; a NUL is as little a character as what is not UTF-8.
fn text(bytes: &[u8]) -> Result<&str, SqlError> {
    if bytes.contains(&0) {
        return Err(SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ));
    }
    check_utf8(bytes)
}

fn protocol(message: String) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

fn internal(message: &str) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, message)
}
