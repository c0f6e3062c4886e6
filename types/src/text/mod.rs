//! PostgreSQL's text form of every [`SqlType`](crate::SqlType): writing ([`TextWriter`]) and reading ([`parse_column`]).
//!
//! Casts to and from text, COPY, and the text format of the wire all go through here, so that a value looks the
//! same wherever it is seen: exactly as PostgreSQL 15 prints it, and refused in PostgreSQL's words and SQLSTATEs.
//! Nothing here reads a clock: what `'now'` means is said by [`TextSettings::now_us`].
//!
//! | file | what it knows |
//! |---|---|
//! | `writer.rs`, `reader.rs` | one column: which form for which type |
//! | `number.rs`, `float.rs`, `numeric.rs` | integers and booleans; floats; decimals of any width |
//! | `bytes.rs`, `json.rs`, `nested.rs` | bytea and uuid; json and jsonb; arrays and records |
//! | `datetime/` | dates, times, timestamps, intervals, time zones |
//!
//! # Values beyond the finite
//! A numeric's NaN is the greatest integer of its width, Infinity the one below, -Infinity the least (see
//! [`numeric`]); a date's or timestamp's infinity is the greatest integer and -infinity the least. They so sort
//! as PostgreSQL sorts them.

mod bytes;
pub mod datetime;
mod float;
pub mod json;
mod nested;
mod number;
pub mod numeric;
mod reader;
mod writer;

use chrono_tz::Tz;

pub use bytes::{format_uuid, parse_bytea, parse_uuid, write_bytea};
pub use float::{parse_f32, parse_f64, write_f32, write_f64};
pub use number::{parse_bool, parse_int};
pub use reader::{fit_bpchar, fit_varchar, parse_column};
pub use writer::TextWriter;

use crate::{SqlError, SqlState};

/// The session's settings that text forms depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSettings {
    /// `TimeZone`: the zone in which a timestamptz is written, and read when it names none.
    pub time_zone: Tz,
    /// `IntervalStyle`.
    pub interval_style: IntervalStyle,
    /// The order of day, month and year in ambiguous dates, from `DateStyle`. Dates are always written as ISO.
    pub date_order: DateOrder,
    /// `extra_float_digits`: above 0, the shortest text that reads back as the same float.
    pub extra_float_digits: i32,
    /// `bytea_output = escape`.
    pub bytea_escape: bool,
    /// What `'now'` reads as, in microseconds since 1970; `None` refuses `'now'`, `'today'` and the like.
    pub now_us: Option<i64>,
}

impl Default for TextSettings {
    fn default() -> TextSettings {
        TextSettings {
            time_zone: Tz::UTC,
            interval_style: IntervalStyle::Postgres,
            date_order: DateOrder::Mdy,
            extra_float_digits: 1,
            bytea_escape: false,
            now_us: None,
        }
    }
}

/// How intervals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntervalStyle {
    /// `1 year 2 mons 3 days 04:05:06`
    #[default]
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs`
    PostgresVerbose,
    /// `+1-2 +3 +4:05:06`
    SqlStandard,
    /// `P1Y2M3DT4H5M6S`
    Iso8601,
}

impl IntervalStyle {
    /// The style of this name, as `SET intervalstyle` takes it.
    pub fn from_name(name: &str) -> Option<IntervalStyle> {
        Some(match name.to_ascii_lowercase().as_str() {
            "postgres" => IntervalStyle::Postgres,
            "postgres_verbose" => IntervalStyle::PostgresVerbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            "iso_8601" => IntervalStyle::Iso8601,
            _ => return None,
        })
    }

    /// The style's name.
    pub fn name(self) -> &'static str {
        match self {
            IntervalStyle::Postgres => "postgres",
            IntervalStyle::PostgresVerbose => "postgres_verbose",
            IntervalStyle::SqlStandard => "sql_standard",
            IntervalStyle::Iso8601 => "iso_8601",
        }
    }
}

/// The order of the fields in an ambiguous date such as `01/02/03`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateOrder {
    /// Month, day, year.
    #[default]
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// `invalid input syntax for type integer: "a"`.
pub(crate) fn invalid_syntax(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// Whether PostgreSQL's scanner takes the byte for white space.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// The text without white space at both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii() && is_space(c as u8))
}

#[cfg(test)]
mod tests;
