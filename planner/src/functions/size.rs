//! `pg_size_pretty` and `pg_size_bytes`.

use highwater_types::{SqlError, SqlState, SqlType};

use super::function::{Function, Takes};
use super::rows::{Int8, Text, map1};
use super::string::invalid;

/// Units, and from how many of the unit before it PostgreSQL shows the next.
const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
const NEXT_UNIT_FROM: i64 = 10 * 1024;

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new(
            "pg_size_pretty",
            &[T::Int8],
            || SqlType::Text,
            |c| map1::<Int8, _>(c, |bytes| Ok(Some(pretty(bytes)))),
        ),
        Function::new(
            "pg_size_bytes",
            &[T::Text],
            || SqlType::Int8,
            |c| map1::<Text, _>(c, |text| bytes(text).map(Some)),
        ),
    ]
}

fn pretty(bytes: i64) -> String {
    // Below the first unit whole bytes; after it half units are kept, and rounded when shown.
    let (mut size, mut unit) = (i128::from(bytes), 0);
    if size.abs() >= i128::from(NEXT_UNIT_FROM) {
        size >>= 9;
        unit = 1;
        while unit + 1 < UNITS.len() && size.abs() >= i128::from(NEXT_UNIT_FROM * 2 - 1) {
            size >>= 10;
            unit += 1;
        }
        size = (size + size.signum()) / 2;
    }
    format!("{size} {}", UNITS[unit])
}

fn bytes(text: &str) -> Result<i64, SqlError> {
    let wrong = || invalid(format!("invalid size: \"{text}\""));
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+'))
        .unwrap_or(trimmed.len());
    let number: f64 = trimmed[..end].parse().map_err(|_| wrong())?;
    let unit = trimmed[end..].trim();
    let power = match unit {
        "" => 0,
        unit => UNITS.iter().position(|u| u.eq_ignore_ascii_case(unit)).ok_or_else(|| {
            wrong().with_hint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
        })?,
    };
    let bytes = (number * 1024f64.powi(power as i32)).round();
    if bytes.abs() >= 9.2e18 {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "bigint out of range",
        ));
    }
    Ok(bytes as i64)
}
