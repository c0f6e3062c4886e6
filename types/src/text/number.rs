//! Booleans and integers.

use arrow::datatypes::ArrowNativeType;

use super::{invalid_syntax, trim};
use crate::{SqlError, SqlState};

/// Reads a boolean: any prefix of true, false, yes, no; on, off; 1, 0.
///
/// # Errors
/// 22P02 for anything else.
pub fn parse_bool(text: &str) -> Result<bool, SqlError> {
    let word = trim(text).to_ascii_lowercase();
    let is_prefix_of = |full: &str| !word.is_empty() && full.starts_with(&word);
    if is_prefix_of("true") || is_prefix_of("yes") || word == "on" || word == "1" {
        Ok(true)
    } else if is_prefix_of("false") || is_prefix_of("no") || word == "of" || word == "off" || word == "0" {
        Ok(false)
    } else {
        Err(invalid_syntax("boolean", text))
    }
}

/// Reads an integer of any width.
///
/// # Errors
/// 22P02 when it is not an integer, 22003 when the type does not hold it.
pub fn parse_int<T: ArrowNativeType + TryFrom<i64>>(text: &str, type_name: &str) -> Result<T, SqlError> {
    let out_of_range = || {
        SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type {type_name}"),
        )
    };
    let bytes = trim(text).as_bytes();
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(invalid_syntax(type_name, text));
    }
    // Counted downwards, since the least integer has no positive twin.
    let mut value: i64 = 0;
    for digit in digits {
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_sub(i64::from(digit - b'0')))
            .ok_or_else(out_of_range)?;
    }
    if !negative {
        value = value.checked_neg().ok_or_else(out_of_range)?;
    }
    T::try_from(value).map_err(|_| out_of_range())
}

/// Reads an oid: an unsigned 32-bit integer, of which a negative one is taken modulo 2^32.
pub(crate) fn parse_oid(text: &str) -> Result<u32, SqlError> {
    let wide: i64 = parse_int(text, "oid")?;
    let fits = (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&wide);
    fits.then_some(wide as u32).ok_or_else(|| {
        SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type oid"),
        )
    })
}

/// Writes an integer.
pub(crate) fn write_int(value: i64, out: &mut Vec<u8>) {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&buffer[at..]);
}
