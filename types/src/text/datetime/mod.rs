//! Dates, times and intervals: the calendar, and the way to and from text.
//!
//! Values are PostgreSQL's: days or microseconds since 1970 on the proleptic Gregorian calendar, the greatest
//! and the least integer standing for infinity and -infinity. The reader follows PostgreSQL's `datetime.c`: cut the
//! text to fields ([`fields`]), then decide field by field what each is ([`decode`], [`interval`]).

mod calendar;
mod clock;
mod decode;
mod decoder;
mod fields;
mod interval;
mod keywords;
mod write;
pub mod zone;

pub use calendar::{Civil, days_from_civil, is_leap_year, julian_day, last_day_of_month};
pub use decode::{parse_date, parse_time, parse_timestamp, parse_timestamptz};
pub use interval::parse_interval;
pub use write::{write_date, write_interval, write_time, write_timestamp, write_timestamptz};

use crate::{SqlError, SqlState};

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE_US: i64 = 60 * SECOND_US;
/// Microseconds in an hour.
pub const HOUR_US: i64 = 60 * MINUTE_US;
/// Microseconds in a day of 24 hours.
pub const DAY_US: i64 = 24 * HOUR_US;

/// A timestamp's `infinity`.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;
/// A timestamp's `-infinity`.
pub const TIMESTAMP_NEG_INFINITY: i64 = i64::MIN;
/// A date's `infinity`.
pub const DATE_INFINITY: i32 = i32::MAX;
/// A date's `-infinity`.
pub const DATE_NEG_INFINITY: i32 = i32::MIN;

/// The first day of PostgreSQL's calendar, 24 November 4714 BC, in days since 1970.
pub const FIRST_DAY: i64 = -2_440_588;
/// The day after the last of a date, in days since 1970: the year 5874898.
pub const END_OF_DATES: i64 = 2_145_042_906;

/// Whether a timestamp, in microseconds since 1970, is within PostgreSQL's calendar.
pub fn is_timestamp_in_range(us: i128) -> bool {
    us >= i128::from(FIRST_DAY) * i128::from(DAY_US) && us < i128::from(i64::MAX)
}

/// `timestamp out of range`.
pub fn timestamp_out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

/// What can be wrong with a text, before the text and the type's name are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    BadFormat,
    FieldOverflow,
    MonthDayOverflow,
    IntervalOverflow,
    ZoneOverflow,
    UnknownZone(String),
    NoClock(String),
}

impl Refusal {
    pub(super) fn into_error(self, type_name: &str, text: &str) -> SqlError {
        let out_of_range = || {
            SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            )
        };
        match self {
            Refusal::BadFormat => SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type {type_name}: \"{text}\""),
            ),
            Refusal::FieldOverflow => out_of_range(),
            Refusal::MonthDayOverflow => {
                out_of_range().with_hint("Perhaps you need a different \"datestyle\" setting.")
            }
            Refusal::IntervalOverflow => SqlError::new(
                SqlState("22015"),
                format!("interval field value out of range: \"{text}\""),
            ),
            Refusal::ZoneOverflow => SqlError::new(
                SqlState("22009"),
                format!("time zone displacement out of range: \"{text}\""),
            ),
            Refusal::UnknownZone(zone) => zone::unknown(&zone),
            Refusal::NoClock(word) => SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("the date/time value \"{word}\" is not supported here"),
            )
            .with_hint("Use now() or current_date."),
        }
    }
}
