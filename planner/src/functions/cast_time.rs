//! Casts between dates, times, timestamps and intervals.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, PrimitiveBuilder};
use arrow::datatypes::{
    Date32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use highwater_types::text::TextSettings;
use highwater_types::text::datetime::zone::Zone;
use highwater_types::text::datetime::{
    DATE_INFINITY, DATE_NEG_INFINITY, DAY_US, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY, is_timestamp_in_range,
    timestamp_out_of_range,
};
use highwater_types::{SqlError, SqlState, SqlType};

/// Casts a column of dates, times, timestamps or intervals.
pub(crate) fn cast_time(
    array: &ArrayRef,
    from: &SqlType,
    to: &SqlType,
    settings: &TextSettings,
) -> Result<ArrayRef, SqlError> {
    use SqlType as S;
    let zone = Zone::Named(settings.time_zone);
    let utc = |a: PrimitiveArray<TimestampMicrosecondType>| -> ArrayRef { Arc::new(a.with_timezone("UTC")) };
    type Stamp = TimestampMicrosecondType;
    Ok(match (from, to) {
        (S::Date, S::Timestamp) => Arc::new(map::<Date32Type, Stamp>(array, date_to_timestamp)?),
        (S::Date, S::Timestamptz) => utc(map::<Date32Type, Stamp>(array, |d| {
            local_to_instant(date_to_timestamp(d)?, zone)
        })?),
        (S::Timestamp, S::Timestamptz) => utc(map::<Stamp, Stamp>(array, |t| local_to_instant(t, zone))?),
        (S::Timestamptz, S::Timestamp) => Arc::new(map::<Stamp, Stamp>(array, |t| instant_to_local(t, zone))?),
        (S::Timestamp, S::Date) => Arc::new(map::<Stamp, Date32Type>(array, timestamp_to_date)?),
        (S::Timestamptz, S::Date) => Arc::new(map::<Stamp, Date32Type>(array, |t| {
            timestamp_to_date(instant_to_local(t, zone)?)
        })?),
        (S::Timestamp, S::Time) => Arc::new(opt_map::<Stamp, Time64MicrosecondType>(array, timestamp_to_time)?),
        (S::Timestamptz, S::Time) => Arc::new(opt_map::<Stamp, Time64MicrosecondType>(array, |t| {
            timestamp_to_time(instant_to_local(t, zone)?)
        })?),
        (S::Time, S::Interval) => Arc::new(map::<Time64MicrosecondType, IntervalMonthDayNanoType>(array, |t| {
            Ok(IntervalMonthDayNano::new(0, 0, t * 1000))
        })?),
        (S::Interval, S::Time) => Arc::new(map::<IntervalMonthDayNanoType, Time64MicrosecondType>(array, |i| {
            Ok((i.nanoseconds / 1000).rem_euclid(DAY_US))
        })?),
        (from, to) => {
            return Err(SqlError::new(
                SqlState::CANNOT_COERCE,
                format!("cannot cast type {from} to {to}"),
            ));
        }
    })
}

fn opt_map<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    array: &ArrayRef,
    f: impl Fn(A::Native) -> Result<Option<B::Native>, SqlError>,
) -> Result<PrimitiveArray<B>, SqlError> {
    let array = array.as_primitive::<A>();
    let mut builder = PrimitiveBuilder::<B>::with_capacity(array.len());
    for value in array {
        builder.append_option(match value {
            None => None,
            Some(value) => f(value)?,
        });
    }
    Ok(builder.finish())
}

fn map<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    array: &ArrayRef,
    f: impl Fn(A::Native) -> Result<B::Native, SqlError>,
) -> Result<PrimitiveArray<B>, SqlError> {
    opt_map::<A, B>(array, |v| f(v).map(Some))
}

/// Midnight of a day.
pub(crate) fn date_to_timestamp(days: i32) -> Result<i64, SqlError> {
    match days {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_NEG_INFINITY => Ok(TIMESTAMP_NEG_INFINITY),
        days => i64::from(days)
            .checked_mul(DAY_US)
            .filter(|us| *us < i64::MAX)
            .ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp")),
    }
}

/// The day of a timestamp.
pub(crate) fn timestamp_to_date(us: i64) -> Result<i32, SqlError> {
    Ok(match us {
        TIMESTAMP_INFINITY => DATE_INFINITY,
        TIMESTAMP_NEG_INFINITY => DATE_NEG_INFINITY,
        us => us.div_euclid(DAY_US) as i32,
    })
}

fn timestamp_to_time(us: i64) -> Result<Option<i64>, SqlError> {
    Ok((!is_infinite(us)).then(|| us.rem_euclid(DAY_US)))
}

/// Whether a timestamp is infinity or -infinity.
pub(crate) fn is_infinite(us: i64) -> bool {
    matches!(us, TIMESTAMP_INFINITY | TIMESTAMP_NEG_INFINITY)
}

/// The instant at which a zone's clocks read this.
pub(crate) fn local_to_instant(us: i64, zone: Zone) -> Result<i64, SqlError> {
    if is_infinite(us) {
        return Ok(us);
    }
    checked(zone.to_utc(us))
}

/// What a zone's clocks read at an instant.
pub(crate) fn instant_to_local(us: i64, zone: Zone) -> Result<i64, SqlError> {
    if is_infinite(us) {
        return Ok(us);
    }
    checked(zone.to_local(us))
}

/// A timestamp within PostgreSQL's calendar.
pub(crate) fn checked(us: i128) -> Result<i64, SqlError> {
    if is_timestamp_in_range(us) {
        Ok(us as i64)
    } else {
        Err(timestamp_out_of_range())
    }
}
