//! `date_trunc`, `date_bin`, and the names of units.

use highwater_types::text::datetime::zone::Zone;
use highwater_types::text::datetime::{
    Civil, DATE_INFINITY, DATE_NEG_INFINITY, DAY_US, HOUR_US, MINUTE_US, SECOND_US, days_from_civil,
};
use highwater_types::{IntervalParts, SqlError, SqlState, SqlType};

use super::cast_time::{checked, instant_to_local, is_infinite, local_to_instant};
use super::date::zone_of;
use super::function::{Function, Takes};
use super::rows::{Answer, Date, Instant, Interval, Local, Text, Timestamp, map1, map2, map3};
use super::temporal::length;

const STAMP: fn() -> SqlType = || SqlType::Timestamp;
const STAMPTZ: fn() -> SqlType = || SqlType::Timestamptz;
const INTERVAL: fn() -> SqlType = || SqlType::Interval;
const BOOL: fn() -> SqlType = || SqlType::Bool;

pub(crate) fn truncating() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("date_trunc", &[T::Text, T::Timestamp], STAMP, |c| {
            map2::<Text, Timestamp, _>(c, |unit, t| {
                Ok(Some(Local(truncate(unit, t, "timestamp without time zone")?)))
            })
        }),
        Function::new("date_trunc", &[T::Text, T::Timestamptz], STAMPTZ, |c| {
            let zone = Zone::Named(c.settings.time_zone);
            map2::<Text, Timestamp, _>(c, |unit, t| truncate_instant(unit, t, zone))
        })
        .stable(),
        Function::new("date_trunc", &[T::Text, T::Timestamptz, T::Text], STAMPTZ, |c| {
            map3::<Text, Timestamp, Text, _>(c, |unit, t, zone| truncate_instant(unit, t, zone_of(zone)?))
        }),
        Function::new("date_trunc", &[T::Text, T::Interval], INTERVAL, |c| {
            map2::<Text, Interval, _>(c, |unit, i| truncate_interval(unit, i).map(Some))
        }),
        Function::new("date_bin", &[T::Interval, T::Timestamp, T::Timestamp], STAMP, |c| {
            map3::<Interval, Timestamp, Timestamp, _>(c, |step, t, origin| Ok(Some(Local(bin(step, t, origin)?))))
        }),
        Function::new(
            "date_bin",
            &[T::Interval, T::Timestamptz, T::Timestamptz],
            STAMPTZ,
            |c| {
                map3::<Interval, Timestamp, Timestamp, _>(c, |step, t, origin| Ok(Some(Instant(bin(step, t, origin)?))))
            },
        ),
        Function::new("isfinite", &[T::Timestamp], BOOL, |c| {
            map1::<Timestamp, _>(c, |t| Ok(Some(!is_infinite(t))))
        }),
        Function::new("isfinite", &[T::Timestamptz], BOOL, |c| {
            map1::<Timestamp, _>(c, |t| Ok(Some(!is_infinite(t))))
        }),
        Function::new("isfinite", &[T::Date], BOOL, |c| {
            map1::<Date, _>(c, |d| Ok(Some(!matches!(d, DATE_INFINITY | DATE_NEG_INFINITY))))
        }),
        Function::new("isfinite", &[T::Interval], BOOL, |c| {
            map1::<Interval, _>(c, |_| Ok(Some(true)))
        }),
    ]
}

/// `unit "x" not recognized for type y`.
pub(crate) fn unknown_unit(unit: &str, type_name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("unit \"{unit}\" not recognized for type {type_name}"),
    )
}

/// `unit "x" not supported for type y`.
pub(crate) fn unsupported_unit(unit: &str, type_name: &str) -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unit \"{unit}\" not supported for type {type_name}"),
    )
    .with_hint("Name a unit that the type has, or cast the value.")
}

/// A unit under the one name that the functions here know it by.
pub(crate) fn unit_name(unit: &str) -> String {
    let lower = unit.to_ascii_lowercase();
    match lower.as_str() {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" => "microseconds",
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" => "milliseconds",
        "s" | "sec" | "secs" | "seconds" => "second",
        "m" | "min" | "mins" | "minutes" => "minute",
        "h" | "hr" | "hrs" | "hours" => "hour",
        "d" | "days" => "day",
        "w" | "weeks" => "week",
        "mon" | "mons" | "months" => "month",
        "qtr" | "quarters" => "quarter",
        "y" | "yr" | "yrs" | "years" => "year",
        "dec" | "decs" | "decades" => "decade",
        "c" | "cent" | "centuries" => "century",
        "mil" | "mils" | "millennia" => "millennium",
        "timezone_h" => "timezone_hour",
        "timezone_m" => "timezone_minute",
        "j" | "jd" => "julian",
        other => other,
    }
    .to_string()
}

/// A clock's reading cut to a unit.
fn truncate(unit: &str, us: i64, type_name: &str) -> Result<i64, SqlError> {
    if is_infinite(us) {
        return Ok(us);
    }
    let floor = |step: i64| us - us.rem_euclid(step);
    let name = unit_name(unit);
    match name.as_str() {
        "microseconds" => return Ok(us),
        "milliseconds" => return Ok(floor(1000)),
        "second" => return Ok(floor(SECOND_US)),
        "minute" => return Ok(floor(MINUTE_US)),
        "hour" => return Ok(floor(HOUR_US)),
        "day" => return Ok(floor(DAY_US)),
        _ => {}
    }
    let civil = Civil::from_micros(us);
    // PostgreSQL counts years without a year 0.
    let year = if civil.year > 0 { civil.year } else { civil.year - 1 };
    let start_of = |length: i32, first: i32| match year > 0 {
        true => (year - first) / length * length + first,
        false => {
            let back = -((length - 1 - (year + 1 - first)) / length) * length + first;
            if back <= 0 { back } else { back - 1 }
        }
    };
    let days = match name.as_str() {
        "week" => {
            let days = us.div_euclid(DAY_US);
            days - (days + 3).rem_euclid(7)
        }
        "month" => days_from_civil(i64::from(civil.year), civil.month, 1),
        "quarter" => days_from_civil(i64::from(civil.year), (civil.month - 1) / 3 * 3 + 1, 1),
        "year" => days_from_civil(i64::from(civil.year), 1, 1),
        "decade" => days_from_civil(i64::from(civil.year.div_euclid(10) * 10), 1, 1),
        "century" => days_from_civil(i64::from(start_of(100, 1)), 1, 1),
        "millennium" => days_from_civil(i64::from(start_of(1000, 1)), 1, 1),
        _ => return Err(unknown_unit(unit, type_name)),
    };
    checked(i128::from(days) * i128::from(DAY_US))
}

fn truncate_instant(unit: &str, us: i64, zone: Zone) -> Answer<Instant> {
    if is_infinite(us) {
        return Ok(Some(Instant(us)));
    }
    let type_name = "timestamp with time zone";
    // Below a day the offset does not change what is cut off, and the reading may be ambiguous.
    let instant = match unit_name(unit).as_str() {
        "microseconds" | "milliseconds" | "second" | "minute" | "hour" => {
            let local = instant_to_local(us, zone)?;
            us - (local - truncate(unit, local, type_name)?)
        }
        _ => local_to_instant(truncate(unit, instant_to_local(us, zone)?, type_name)?, zone)?,
    };
    Ok(Some(Instant(instant)))
}

fn truncate_interval(unit: &str, parts: IntervalParts) -> Result<IntervalParts, SqlError> {
    let months = |step: i32| IntervalParts {
        months: parts.months / step * step,
        days: 0,
        micros: 0,
    };
    let time = |step: i64| IntervalParts {
        micros: parts.micros / step * step,
        ..parts
    };
    Ok(match unit_name(unit).as_str() {
        "microseconds" => parts,
        "milliseconds" => time(1000),
        "second" => time(SECOND_US),
        "minute" => time(MINUTE_US),
        "hour" => time(HOUR_US),
        "day" => IntervalParts { micros: 0, ..parts },
        "month" => months(1),
        "quarter" => months(3),
        "year" => months(12),
        "decade" => months(120),
        "century" => months(1200),
        "millennium" => months(12_000),
        "week" => return Err(unsupported_unit(unit, "interval").with_detail("Months usually have fractional weeks.")),
        _ => return Err(unknown_unit(unit, "interval")),
    })
}

fn bin(step: IntervalParts, us: i64, origin: i64) -> Result<i64, SqlError> {
    if is_infinite(us) {
        return Ok(us);
    }
    if is_infinite(origin) {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "origin out of range"));
    }
    if step.months != 0 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        )
        .with_hint("Months differ in length: use date_trunc."));
    }
    let step = length(step);
    if step <= 0 {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "stride must be greater than zero",
        ));
    }
    let since = i128::from(us) - i128::from(origin);
    checked(i128::from(us) - since.rem_euclid(step))
}
