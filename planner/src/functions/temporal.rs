//! Operators over dates, times, timestamps and intervals.
//!
//! Months and days of an interval are counted on the calendar: for a timestamptz, on the session's.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, TimestampMicrosecondType};
use highwater_types::text::datetime::zone::Zone;
use highwater_types::text::datetime::{Civil, DATE_INFINITY, DATE_NEG_INFINITY, DAY_US, SECOND_US, last_day_of_month};
use highwater_types::{IntervalParts, SqlError, SqlState, SqlType};

use super::arithmetic::{division_by_zero, union_of_nulls};
use super::cast_time::{checked, date_to_timestamp, instant_to_local, is_infinite, local_to_instant};
use super::function::{Call, Function, Takes};
use super::rows::{Answer, Date, Days, Float8, Int4, Interval, Local, Time, TimeOfDay, Timestamp, map2};

/// The operators over dates and times.
pub(crate) fn functions() -> Vec<Function> {
    use Takes as T;
    let mut functions = vec![
        Function::new(
            "+",
            &[T::Date, T::Int4],
            || SqlType::Date,
            |c| map2::<Date, Int4, _>(c, add_days),
        ),
        Function::new(
            "+",
            &[T::Int4, T::Date],
            || SqlType::Date,
            |c| map2::<Int4, Date, _>(c, |n, d| add_days(d, n)),
        ),
        Function::new(
            "-",
            &[T::Date, T::Int4],
            || SqlType::Date,
            |c| map2::<Date, Int4, _>(c, |d, n| add_days(d, n.checked_neg().ok_or_else(date_out_of_range)?)),
        ),
        Function::new(
            "-",
            &[T::Date, T::Date],
            || SqlType::Int4,
            |c| map2::<Date, Date, _>(c, days_between),
        ),
        Function::new(
            "+",
            &[T::Date, T::Time],
            || SqlType::Timestamp,
            |c| map2::<Date, Time, _>(c, |d, t| Ok(Some(Local(date_to_timestamp(d)?.saturating_add(t))))),
        ),
        Function::new(
            "+",
            &[T::Time, T::Date],
            || SqlType::Timestamp,
            |c| map2::<Time, Date, _>(c, |t, d| Ok(Some(Local(date_to_timestamp(d)?.saturating_add(t))))),
        ),
        Function::new(
            "-",
            &[T::Timestamp, T::Timestamp],
            || SqlType::Interval,
            |c| map2::<Timestamp, Timestamp, _>(c, time_between),
        ),
        Function::new(
            "-",
            &[T::Timestamptz, T::Timestamptz],
            || SqlType::Interval,
            |c| map2::<Timestamp, Timestamp, _>(c, time_between),
        ),
        Function::new(
            "-",
            &[T::Time, T::Time],
            || SqlType::Interval,
            |c| map2::<Time, Time, _>(c, |a, b| Ok(Some(micros(a - b)))),
        ),
        Function::new(
            "+",
            &[T::Interval, T::Interval],
            || SqlType::Interval,
            |c| map2::<Interval, Interval, _>(c, |a, b| add_intervals(a, b).map(Some)),
        ),
        Function::new(
            "-",
            &[T::Interval, T::Interval],
            || SqlType::Interval,
            |c| map2::<Interval, Interval, _>(c, |a, b| add_intervals(a, negate(b)?).map(Some)),
        ),
        Function::new(
            "*",
            &[T::Interval, T::Float8],
            || SqlType::Interval,
            |c| map2::<Interval, Float8, _>(c, |i, f| scale(i, f).map(Some)),
        ),
        Function::new(
            "*",
            &[T::Float8, T::Interval],
            || SqlType::Interval,
            |c| map2::<Float8, Interval, _>(c, |f, i| scale(i, f).map(Some)),
        ),
        Function::new(
            "/",
            &[T::Interval, T::Float8],
            || SqlType::Interval,
            |c| {
                map2::<Interval, Float8, _>(c, |i, f| {
                    if f == 0.0 {
                        Err(division_by_zero())
                    } else {
                        divide(i, f).map(Some)
                    }
                })
            },
        ),
    ];
    functions.extend(with_intervals());
    functions.extend(comparisons());
    functions
}

/// A date, time or timestamp plus or minus an interval.
fn with_intervals() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new(
            "+",
            &[T::Date, T::Interval],
            || SqlType::Timestamp,
            |c| map2::<Date, Interval, _>(c, |d, i| add_local(date_to_timestamp(d)?, i)),
        ),
        Function::new(
            "+",
            &[T::Interval, T::Date],
            || SqlType::Timestamp,
            |c| map2::<Interval, Date, _>(c, |i, d| add_local(date_to_timestamp(d)?, i)),
        ),
        Function::new(
            "-",
            &[T::Date, T::Interval],
            || SqlType::Timestamp,
            |c| map2::<Date, Interval, _>(c, |d, i| add_local(date_to_timestamp(d)?, negate(i)?)),
        ),
        Function::new(
            "+",
            &[T::Timestamp, T::Interval],
            || SqlType::Timestamp,
            |c| shift(c, 0, 1, false),
        ),
        Function::new(
            "+",
            &[T::Interval, T::Timestamp],
            || SqlType::Timestamp,
            |c| shift(c, 1, 0, false),
        ),
        Function::new(
            "-",
            &[T::Timestamp, T::Interval],
            || SqlType::Timestamp,
            |c| shift(c, 0, 1, true),
        ),
        Function::new(
            "+",
            &[T::Timestamptz, T::Interval],
            || SqlType::Timestamptz,
            |c| shift(c, 0, 1, false),
        )
        .stable(),
        Function::new(
            "+",
            &[T::Interval, T::Timestamptz],
            || SqlType::Timestamptz,
            |c| shift(c, 1, 0, false),
        )
        .stable(),
        Function::new(
            "-",
            &[T::Timestamptz, T::Interval],
            || SqlType::Timestamptz,
            |c| shift(c, 0, 1, true),
        )
        .stable(),
        Function::new(
            "+",
            &[T::Time, T::Interval],
            || SqlType::Time,
            |c| map2::<Time, Interval, _>(c, |t, i| Ok(Some(clock(t, i.micros)))),
        ),
        Function::new(
            "+",
            &[T::Interval, T::Time],
            || SqlType::Time,
            |c| map2::<Interval, Time, _>(c, |i, t| Ok(Some(clock(t, i.micros)))),
        ),
        Function::new(
            "-",
            &[T::Time, T::Interval],
            || SqlType::Time,
            |c| map2::<Time, Interval, _>(c, |t, i| Ok(Some(clock(t, -i.micros)))),
        ),
    ]
}

/// Intervals compare by their length, a month counting 30 days and a day 24 hours.
fn comparisons() -> Vec<Function> {
    macro_rules! comparison {
        ($name:literal, $op:tt) => {
            Function::new($name, &[Takes::Interval, Takes::Interval], || SqlType::Bool, |c| {
                map2::<Interval, Interval, _>(c, |a, b| Ok(Some(length(a) $op length(b))))
            })
        };
    }
    vec![
        comparison!("=", ==),
        comparison!("<>", !=),
        comparison!("<", <),
        comparison!("<=", <=),
        comparison!(">", >),
        comparison!(">=", >=),
    ]
}

/// An interval's length in microseconds.
pub(crate) fn length(parts: IntervalParts) -> i128 {
    let days = i128::from(parts.months) * 30 + i128::from(parts.days);
    days * i128::from(DAY_US) + i128::from(parts.micros)
}

/// Bytes that compare as lengths do.
pub(crate) fn sort_key(parts: IntervalParts) -> Vec<u8> {
    (length(parts) ^ i128::MIN).to_be_bytes().to_vec()
}

fn clock(time: i64, micros: i64) -> TimeOfDay {
    TimeOfDay((time + micros % DAY_US).rem_euclid(DAY_US))
}

/// An interval of so many microseconds.
pub(crate) fn micros(us: i64) -> IntervalParts {
    IntervalParts {
        months: 0,
        days: 0,
        micros: us,
    }
}

fn date_out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")
}

/// `interval out of range`.
pub(crate) fn interval_out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

fn add_days(date: i32, days: i32) -> Answer<Days> {
    use highwater_types::text::datetime::{END_OF_DATES, FIRST_DAY};
    if matches!(date, DATE_INFINITY | DATE_NEG_INFINITY) {
        return Ok(Some(Days(date)));
    }
    let sum = i64::from(date) + i64::from(days);
    if (FIRST_DAY..END_OF_DATES).contains(&sum) {
        Ok(Some(Days(sum as i32)))
    } else {
        Err(date_out_of_range())
    }
}

fn days_between(a: i32, b: i32) -> Answer<i32> {
    let infinite = |d| matches!(d, DATE_INFINITY | DATE_NEG_INFINITY);
    if infinite(a) || infinite(b) {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "cannot subtract infinite dates",
        ));
    }
    Ok(Some(a - b))
}

/// The time between two timestamps: days of 24 hours, and the rest.
pub(crate) fn time_between(a: i64, b: i64) -> Answer<IntervalParts> {
    if is_infinite(a) || is_infinite(b) {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "cannot subtract infinite timestamps",
        ));
    }
    let us = i128::from(a) - i128::from(b);
    let day = i128::from(DAY_US);
    Ok(Some(IntervalParts {
        months: 0,
        days: (us / day) as i32,
        micros: (us % day) as i64,
    }))
}

/// An interval within what Arrow's nanoseconds hold.
pub(crate) fn checked_interval(months: i64, days: i64, micros: i128) -> Result<IntervalParts, SqlError> {
    let micros = i64::try_from(micros).ok().filter(|us| us.checked_mul(1000).is_some());
    match (i32::try_from(months), i32::try_from(days), micros) {
        (Ok(months), Ok(days), Some(micros)) => Ok(IntervalParts { months, days, micros }),
        _ => Err(interval_out_of_range()),
    }
}

pub(crate) fn add_intervals(a: IntervalParts, b: IntervalParts) -> Result<IntervalParts, SqlError> {
    checked_interval(
        i64::from(a.months) + i64::from(b.months),
        i64::from(a.days) + i64::from(b.days),
        i128::from(a.micros) + i128::from(b.micros),
    )
}

/// The interval backwards.
pub(crate) fn negate(parts: IntervalParts) -> Result<IntervalParts, SqlError> {
    checked_interval(
        -i64::from(parts.months),
        -i64::from(parts.days),
        -i128::from(parts.micros),
    )
}

fn scale(parts: IntervalParts, factor: f64) -> Result<IntervalParts, SqlError> {
    spread(
        f64::from(parts.months) * factor,
        f64::from(parts.days) * factor,
        parts.micros as f64 * factor,
    )
}

pub(crate) fn divide(parts: IntervalParts, divisor: f64) -> Result<IntervalParts, SqlError> {
    spread(
        f64::from(parts.months) / divisor,
        f64::from(parts.days) / divisor,
        parts.micros as f64 / divisor,
    )
}

/// Brings fractions of months down to days and fractions of days down to time, as PostgreSQL's `interval_mul` does.
fn spread(months: f64, days: f64, micros: f64) -> Result<IntervalParts, SqlError> {
    let round = |seconds: f64| (seconds * 1e6).round_ties_even() / 1e6;
    const DAY_SECONDS: f64 = 86_400.0;
    if !months.is_finite() || !days.is_finite() || !micros.is_finite() || months.abs() > 2.2e9 || days.abs() > 2.2e9 {
        return Err(interval_out_of_range());
    }
    let whole_months = months.trunc();
    let mut whole_days = days.trunc();
    let month_rest_days = round((months - whole_months) * 30.0);
    let mut rest_seconds = round((days - whole_days + month_rest_days - month_rest_days.trunc()) * DAY_SECONDS);
    if rest_seconds.abs() >= DAY_SECONDS {
        let extra = (rest_seconds / DAY_SECONDS).trunc();
        whole_days += extra;
        rest_seconds -= extra * DAY_SECONDS;
    }
    whole_days += month_rest_days.trunc();
    let us = (micros + rest_seconds * SECOND_US as f64).round_ties_even();
    checked_interval(whole_months as i64, whole_days as i64, us as i128)
}

/// A timestamp without zone plus an interval.
fn add_local(us: i64, parts: IntervalParts) -> Answer<Local> {
    Ok(Some(Local(add_to_local(us, parts)?)))
}

/// A clock's reading plus an interval, on the calendar.
pub(crate) fn add_to_local(us: i64, parts: IntervalParts) -> Result<i64, SqlError> {
    if is_infinite(us) {
        return Ok(us);
    }
    let mut sum = i128::from(us);
    if parts.months != 0 {
        let mut civil = Civil::from_micros(us);
        let months = i64::from(civil.year) * 12 + i64::from(civil.month) - 1 + i64::from(parts.months);
        civil.year = months.div_euclid(12) as i32;
        civil.month = months.rem_euclid(12) as u32 + 1;
        civil.day = civil.day.min(last_day_of_month(civil.year, civil.month));
        sum = civil.micros();
    }
    sum += i128::from(parts.days) * i128::from(DAY_US) + i128::from(parts.micros);
    checked(sum)
}

/// An instant plus an interval, whose months and days are counted by a zone's clocks.
pub(crate) fn add_to_instant(us: i64, parts: IntervalParts, zone: Zone) -> Result<i64, SqlError> {
    if is_infinite(us) {
        return Ok(us);
    }
    let mut sum = us;
    if parts.months != 0 || parts.days != 0 {
        let calendar = IntervalParts { micros: 0, ..parts };
        sum = local_to_instant(add_to_local(instant_to_local(us, zone)?, calendar)?, zone)?;
    }
    checked(i128::from(sum) + i128::from(parts.micros))
}

/// A timestamp column plus or minus an interval.
fn shift(call: &Call, stamp: usize, span: usize, subtract: bool) -> Result<ArrayRef, SqlError> {
    let (stamp, span) = (&call.args[stamp], &call.args[span]);
    let stamps = stamp.array.as_primitive::<TimestampMicrosecondType>();
    let spans = span.array.as_primitive::<IntervalMonthDayNanoType>();
    let is_zoned = matches!(call.return_type, DataType::Timestamp(_, Some(_)));
    let zone = Zone::Named(call.settings.time_zone);
    let parts_at = |row: usize| -> Result<IntervalParts, SqlError> {
        let parts = IntervalParts::from(spans.value(span.at(row)));
        if subtract { negate(parts) } else { Ok(parts) }
    };
    let nulls = union_of_nulls(call);
    if span.is_scalar && !stamp.is_scalar {
        let parts = parts_at(0)?;
        let is_fixed = parts.months == 0 && (parts.days == 0 || !is_zoned || call.settings.time_zone == chrono_tz::UTC);
        let us = i64::from(parts.days) * DAY_US + parts.micros;
        // Within 200,000 years of 1970 and of each other nothing overflows and nothing is infinite.
        const SAFE: i64 = 200_000 * 366 * DAY_US;
        let safe = |v: &i64| (-SAFE..SAFE).contains(v);
        let all_safe = stamps.values().iter().fold(true, |all, v| all & safe(v));
        if is_fixed && all_safe && us.abs() < DAY_US * 366 * 1000 {
            let values: Vec<i64> = stamps.values().iter().map(|v| v + us).collect();
            let array = PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), nulls);
            return Ok(Arc::new(array.with_data_type(call.return_type.clone())));
        }
    }
    let mut values = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if call.skips(row) {
            values.push(0);
            continue;
        }
        let (us, parts) = (stamps.value(stamp.at(row)), parts_at(row)?);
        values.push(match is_zoned {
            true => add_to_instant(us, parts, zone)?,
            false => add_to_local(us, parts)?,
        });
    }
    let array = PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), nulls);
    Ok(Arc::new(array.with_data_type(call.return_type.clone())))
}
