//! What the binder calls for types of time with a precision: `timestamp(3)`, `interval hour to minute`.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::Int32Type;
use highwater_types::text::datetime::{DAY_US, HOUR_US, MINUTE_US};
use highwater_types::{IntervalParts, SqlError, SqlType};

use super::cast_time::{checked, is_infinite};
use super::function::{Call, Function, Takes};
use super::rows::{Instant, Interval, Local, Read, Text, Time, TimeOfDay, Timestamp, Write, map_rows, map2};

/// The names of all of them, which no statement may use.
pub(crate) const NAMES: [&str; 2] = ["round_time", "cut_interval"];

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    use Takes as T;
    let round = NAMES[0];
    vec![
        Function::new(
            round,
            &[T::Timestamp, T::Int4],
            || SqlType::Timestamp,
            |c| rounded::<Timestamp, _>(c, |t, unit| stamp(t, unit).map(Local)),
        ),
        Function::new(
            round,
            &[T::Timestamptz, T::Int4],
            || SqlType::Timestamptz,
            |c| rounded::<Timestamp, _>(c, |t, unit| stamp(t, unit).map(Instant)),
        ),
        Function::new(
            round,
            &[T::Time, T::Int4],
            || SqlType::Time,
            |c| rounded::<Time, _>(c, |t, unit| Ok(TimeOfDay(round_half_up(t, unit).min(DAY_US)))),
        ),
        Function::new(
            round,
            &[T::Interval, T::Int4],
            || SqlType::Interval,
            |c| {
                rounded::<Interval, _>(c, |i, unit| {
                    let micros = i.micros.signum() * round_half_up(i.micros.abs(), unit);
                    Ok(IntervalParts { micros, ..i })
                })
            },
        ),
        Function::new(
            NAMES[1],
            &[T::Text, T::Interval],
            || SqlType::Interval,
            |c| map2::<Text, Interval, _>(c, |field, i| Ok(Some(cut(field, i)))),
        ),
    ]
}

/// Applies `f(value, microseconds of the last digit)`.
fn rounded<A: Read, R: Write>(
    call: &Call,
    f: impl for<'a> Fn(A::Item<'a>, i64) -> Result<R, SqlError>,
) -> Result<ArrayRef, SqlError> {
    let (values, digits) = (A::open(&call.args[0].array), &call.args[1]);
    map_rows(call, |row| {
        let digits = digits
            .array
            .as_primitive::<Int32Type>()
            .value(digits.at(row))
            .clamp(0, 6);
        let unit = 10i64.pow(6 - digits as u32);
        f(A::value(&values, call.args[0].at(row)), unit).map(Some)
    })
}

/// To the nearest multiple, halves away from the past.
fn round_half_up(value: i64, unit: i64) -> i64 {
    (value + unit / 2).div_euclid(unit) * unit
}

fn stamp(us: i64, unit: i64) -> Result<i64, SqlError> {
    if is_infinite(us) {
        return Ok(us);
    }
    // PostgreSQL counts from 2000 and rounds away from then.
    const EPOCH_2000_US: i64 = 946_684_800_000_000;
    let since = i128::from(us) - i128::from(EPOCH_2000_US);
    let (unit, half) = (i128::from(unit), i128::from(unit / 2));
    let rounded = match since >= 0 {
        true => (since + half) / unit * unit,
        false => -((half - since) / unit * unit),
    };
    checked(rounded + i128::from(EPOCH_2000_US))
}

/// An interval without what is smaller than a field.
fn cut(field: &str, i: IntervalParts) -> IntervalParts {
    let (months, days) = (i.months, i.days);
    match field {
        "year" => IntervalParts {
            months: months / 12 * 12,
            days: 0,
            micros: 0,
        },
        "month" => IntervalParts {
            months,
            days: 0,
            micros: 0,
        },
        "day" => IntervalParts { micros: 0, ..i },
        "hour" => IntervalParts {
            micros: i.micros / HOUR_US * HOUR_US,
            ..i
        },
        "minute" => IntervalParts {
            micros: i.micros / MINUTE_US * MINUTE_US,
            ..i
        },
        _ => IntervalParts { months, days, ..i },
    }
}
