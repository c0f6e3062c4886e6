//! Functions of dates, times and intervals, but for EXTRACT (`extract.rs`) and formatting.

use highwater_types::text::datetime::zone::{Zone, parse_zone, unknown};
use highwater_types::text::datetime::{
    Civil, DAY_US, HOUR_US, MINUTE_US, SECOND_US, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY, days_from_civil,
    last_day_of_month,
};
use highwater_types::{IntervalParts, SqlError, SqlState, SqlType};

use super::cast_time::{checked, instant_to_local, is_infinite, local_to_instant};
use super::function::{Call, Function, Takes};
use super::rows::{
    Answer, Days, Float8, Instant, Int4, Interval, Local, Read, Text, Time, TimeOfDay, Timestamp, map_rows, map1, map2,
    map3,
};
use super::temporal::checked_interval;

const STAMP: fn() -> SqlType = || SqlType::Timestamp;
const STAMPTZ: fn() -> SqlType = || SqlType::Timestamptz;
const INTERVAL: fn() -> SqlType = || SqlType::Interval;

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    let mut functions = super::date_trunc::truncating();
    functions.extend(zones());
    functions.extend(making());
    functions.extend(intervals());
    functions
}

/// The zone of this name.
pub(crate) fn zone_of(name: &str) -> Result<Zone, SqlError> {
    parse_zone(name).ok_or_else(|| unknown(name))
}

fn zone_of_interval(parts: IntervalParts) -> Result<Zone, SqlError> {
    if parts.months != 0 || parts.days != 0 {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "interval time zone must not include months or days",
        ));
    }
    Ok(Zone::Fixed((parts.micros / SECOND_US) as i32))
}

/// AT TIME ZONE.
fn zones() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("timezone", &[T::Text, T::Timestamptz], STAMP, |c| {
            map2::<Text, Timestamp, _>(c, |zone, t| Ok(Some(Local(instant_to_local(t, zone_of(zone)?)?))))
        }),
        Function::new("timezone", &[T::Text, T::Timestamp], STAMPTZ, |c| {
            map2::<Text, Timestamp, _>(c, |zone, t| Ok(Some(Instant(local_to_instant(t, zone_of(zone)?)?))))
        }),
        Function::new("timezone", &[T::Interval, T::Timestamptz], STAMP, |c| {
            map2::<Interval, Timestamp, _>(c, |zone, t| {
                Ok(Some(Local(instant_to_local(t, zone_of_interval(zone)?)?)))
            })
        }),
        Function::new("timezone", &[T::Interval, T::Timestamp], STAMPTZ, |c| {
            map2::<Interval, Timestamp, _>(c, |zone, t| {
                Ok(Some(Instant(local_to_instant(t, zone_of_interval(zone)?)?)))
            })
        }),
    ]
}

fn field_out_of_range(kind: &str, text: String) -> SqlError {
    SqlError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("{kind} field value out of range: {text}"),
    )
}

fn make_days(year: i32, month: i32, day: i32) -> Result<i64, SqlError> {
    // A negative year is BC; there is no year 0.
    let astronomical = if year < 0 { year + 1 } else { year };
    let valid = year != 0
        && (1..=12).contains(&month)
        && day >= 1
        && day as u32 <= last_day_of_month(astronomical, month as u32);
    if !valid {
        return Err(field_out_of_range("date", format!("{year}-{month:02}-{day:02}")));
    }
    Ok(days_from_civil(i64::from(astronomical), month as u32, day as u32))
}

fn make_clock(hour: i32, minute: i32, second: f64) -> Result<i64, SqlError> {
    let us = (second * SECOND_US as f64).round_ties_even();
    let valid = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0 * SECOND_US as f64).contains(&us);
    let time = i64::from(hour) * HOUR_US + i64::from(minute) * MINUTE_US + us as i64;
    if !valid || time > DAY_US {
        let seconds = if second < 10.0 {
            format!("0{second}")
        } else {
            second.to_string()
        };
        return Err(field_out_of_range("time", format!("{hour}:{minute:02}:{seconds}")));
    }
    Ok(time)
}

fn int(call: &Call, place: usize, row: usize) -> i32 {
    use arrow::array::AsArray;
    let arg = &call.args[place];
    arg.array
        .as_primitive::<arrow::datatypes::Int32Type>()
        .value(arg.at(row))
}

fn float(call: &Call, place: usize, row: usize) -> f64 {
    use arrow::array::AsArray;
    let arg = &call.args[place];
    arg.array
        .as_primitive::<arrow::datatypes::Float64Type>()
        .value(arg.at(row))
}

fn make_local(call: &Call, row: usize) -> Result<i64, SqlError> {
    let days = make_days(int(call, 0, row), int(call, 1, row), int(call, 2, row))?;
    let time = make_clock(int(call, 3, row), int(call, 4, row), float(call, 5, row))?;
    checked(i128::from(days) * i128::from(DAY_US) + i128::from(time))
}

const SIX: &[Takes] = &[
    Takes::Int4,
    Takes::Int4,
    Takes::Int4,
    Takes::Int4,
    Takes::Int4,
    Takes::Float8,
];

const SEVEN: &[Takes] = &[
    Takes::Int4,
    Takes::Int4,
    Takes::Int4,
    Takes::Int4,
    Takes::Int4,
    Takes::Float8,
    Takes::Text,
];

fn making() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new(
            "make_date",
            &[T::Int4, T::Int4, T::Int4],
            || SqlType::Date,
            |c| map3::<Int4, Int4, Int4, _>(c, |y, m, d| Ok(Some(Days(make_days(y, m, d)? as i32)))),
        ),
        Function::new(
            "make_time",
            &[T::Int4, T::Int4, T::Float8],
            || SqlType::Time,
            |c| map3::<Int4, Int4, Float8, _>(c, |h, m, s| Ok(Some(TimeOfDay(make_clock(h, m, s)?)))),
        ),
        Function::new("make_timestamp", SIX, STAMP, |c| {
            map_rows(c, |r| Ok(Some(Local(make_local(c, r)?))))
        }),
        Function::new("make_timestamptz", SIX, STAMPTZ, |c| {
            let zone = Zone::Named(c.settings.time_zone);
            map_rows(c, |r| Ok(Some(Instant(local_to_instant(make_local(c, r)?, zone)?))))
        })
        .stable(),
        Function::new("make_timestamptz", SEVEN, STAMPTZ, |c| {
            use arrow::array::AsArray;
            let zone = &c.args[6];
            map_rows(c, |r| {
                let zone = zone_of(zone.array.as_string::<i32>().value(zone.at(r)))?;
                Ok(Some(Instant(local_to_instant(make_local(c, r)?, zone)?)))
            })
        }),
        Function::new("make_interval", &[], INTERVAL, make_interval).and_more(T::Float8),
        Function::new("to_timestamp", &[T::Float8], STAMPTZ, |c| {
            map1::<Float8, _>(c, from_epoch)
        }),
        Function::new("clock_timestamp", &[], STAMPTZ, |c| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let us = since.map_or(0, |d| d.as_micros() as i64);
            super::rows::map0(c, || Ok(Some(Instant(us))))
        })
        .volatile(),
    ]
}

/// Years, months, weeks, days, hours, minutes, seconds: as many as are given.
fn make_interval(call: &Call) -> Result<arrow::array::ArrayRef, SqlError> {
    map_rows(call, |row| {
        let part = |place: usize| {
            if place < call.args.len() {
                float(call, place, row)
            } else {
                0.0
            }
        };
        let whole = |place: usize| part(place) as i64;
        let us = i128::from(whole(4)) * i128::from(HOUR_US)
            + i128::from(whole(5)) * i128::from(MINUTE_US)
            + (part(6) * SECOND_US as f64).round_ties_even() as i128;
        checked_interval(whole(0) * 12 + whole(1), whole(2) * 7 + whole(3), us).map(Some)
    })
}

fn from_epoch(seconds: f64) -> Answer<Instant> {
    if seconds.is_nan() {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "timestamp cannot be NaN",
        ));
    }
    if seconds.is_infinite() {
        let end = if seconds > 0.0 {
            TIMESTAMP_INFINITY
        } else {
            TIMESTAMP_NEG_INFINITY
        };
        return Ok(Some(Instant(end)));
    }
    checked((seconds * SECOND_US as f64).round_ties_even() as i128)
        .map(|us| Some(Instant(us)))
        .map_err(|_| {
            SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("timestamp out of range: \"{seconds}\""),
            )
        })
}

fn intervals() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new(
            "interval_sort_key",
            &[T::Interval],
            || SqlType::Bytea,
            |c| map1::<Interval, _>(c, |i| Ok(Some(super::temporal::sort_key(i)))),
        ),
        Function::new("age", &[T::Timestamp, T::Timestamp], INTERVAL, |c| {
            map2::<Timestamp, Timestamp, _>(c, age)
        }),
        Function::new("age", &[T::Timestamptz, T::Timestamptz], INTERVAL, |c| {
            let zone = Zone::Named(c.settings.time_zone);
            map2::<Timestamp, Timestamp, _>(c, |a, b| age(instant_to_local(a, zone)?, instant_to_local(b, zone)?))
        })
        .stable(),
        Function::new("overlaps", &[T::Timestamp; 4], || SqlType::Bool, overlap::<Timestamp>).with_nulls(),
        Function::new("overlaps", &[T::Timestamptz; 4], || SqlType::Bool, overlap::<Timestamp>).with_nulls(),
        Function::new("overlaps", &[T::Time; 4], || SqlType::Bool, overlap::<Time>).with_nulls(),
        Function::new("justify_hours", &[T::Interval], INTERVAL, |c| {
            map1::<Interval, _>(c, |i| justify_hours(i).map(Some))
        }),
        Function::new("justify_days", &[T::Interval], INTERVAL, |c| {
            map1::<Interval, _>(c, |i| justify_days(i).map(Some))
        }),
        Function::new("justify_interval", &[T::Interval], INTERVAL, |c| {
            map1::<Interval, _>(c, |i| justify_interval(i).map(Some))
        }),
    ]
}

/// Carries whole multiples upwards and brings both to one sign.
fn carry(high: i64, low: i128, size: i128) -> (i64, i128) {
    let mut high = high + (low / size) as i64;
    let mut low = low % size;
    if high > 0 && low < 0 {
        (high, low) = (high - 1, low + size);
    } else if high < 0 && low > 0 {
        (high, low) = (high + 1, low - size);
    }
    (high, low)
}

fn justify_hours(i: IntervalParts) -> Result<IntervalParts, SqlError> {
    let (days, micros) = carry(i64::from(i.days), i128::from(i.micros), i128::from(DAY_US));
    checked_interval(i64::from(i.months), days, micros)
}

fn justify_days(i: IntervalParts) -> Result<IntervalParts, SqlError> {
    let (months, days) = carry(i64::from(i.months), i128::from(i.days), 30);
    checked_interval(months, days as i64, i128::from(i.micros))
}

fn justify_interval(i: IntervalParts) -> Result<IntervalParts, SqlError> {
    let total_days = i64::from(i.days) + i.micros / DAY_US;
    let mut micros = i.micros % DAY_US;
    let mut months = i64::from(i.months) + total_days / 30;
    let mut days = total_days % 30;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        (months, days) = (months + 1, days - 30);
    }
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + DAY_US);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - DAY_US);
    }
    checked_interval(months, days, i128::from(micros))
}

/// The time between two timestamps in years, months and days of the calendar.
fn age(a: i64, b: i64) -> Answer<IntervalParts> {
    if is_infinite(a) || is_infinite(b) {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "timestamp out of range",
        ));
    }
    let (later, earlier, sign) = if a >= b { (a, b, 1) } else { (b, a, -1) };
    let (x, y) = (Civil::from_micros(later), Civil::from_micros(earlier));
    let mut months = i64::from(x.year - y.year) * 12 + i64::from(x.month) - i64::from(y.month);
    let mut days = i64::from(x.day) - i64::from(y.day);
    let mut micros = x.time_us - y.time_us;
    if micros < 0 {
        micros += DAY_US;
        days -= 1;
    }
    if days < 0 {
        // The days of the month that the earlier date is in make up for it.
        let (year, month) = if sign > 0 { (y.year, y.month) } else { (x.year, x.month) };
        days += i64::from(last_day_of_month(year, month));
        months -= 1;
    }
    checked_interval(sign * months, sign * days, i128::from(sign * micros)).map(Some)
}

/// Whether two periods, each of two ends in either order, have a time in common. An end that is NULL is unknown.
fn overlap<A>(call: &Call) -> Result<arrow::array::ArrayRef, SqlError>
where
    A: for<'a> Read<Item<'a> = i64>,
{
    let ends: Vec<A::Array> = call.args.iter().map(|arg| A::open(&arg.array)).collect();
    map_rows(call, |row| {
        let end = |place: usize| {
            let arg = &call.args[place];
            (!arg.is_null(row)).then(|| A::value(&ends[place], arg.at(row)))
        };
        let period = |a: Option<i64>, b: Option<i64>| match (a, b) {
            (Some(a), Some(b)) => Some((a.min(b), Some(a.max(b)))),
            (Some(known), None) | (None, Some(known)) => Some((known, None)),
            (None, None) => None,
        };
        let (Some(first), Some(second)) = (period(end(0), end(1)), period(end(2), end(3))) else {
            return Ok(None);
        };
        let ((_, earlier_end), (start, later_end)) = match first.0 <= second.0 {
            true => (first, second),
            false => (second, first),
        };
        if first.0 == second.0 {
            return Ok(earlier_end.and(later_end).map(|_| true));
        }
        Ok(match (earlier_end, later_end) {
            (None, _) => None,
            (Some(end), _) if start < end => Some(true),
            (Some(_), None) => None,
            (Some(_), Some(_)) => Some(false),
        })
    })
}
