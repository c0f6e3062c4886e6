//! Reads dates, times and timestamps, as PostgreSQL's `DecodeDateTime` does: each field is taken for what it looks
//! like and for what is still missing, so `2024-01-05 10:00`, `Jan 5, 2024 10am UTC` and `20240105T100000Z` are one.

use super::decoder::{Decoder, Instant, TIME};
use super::fields::split_fields;
use super::zone::Zone;
use super::{
    DATE_INFINITY, DATE_NEG_INFINITY, DAY_US, END_OF_DATES, FIRST_DAY, Refusal, TIMESTAMP_INFINITY,
    TIMESTAMP_NEG_INFINITY, is_timestamp_in_range,
};
use crate::text::TextSettings;
use crate::{SqlError, SqlState};

/// Reads a date: days since 1970.
///
/// # Errors
/// 22007 when it is no date, 22008 when there is no such day.
pub fn parse_date(text: &str, settings: &TextSettings) -> Result<i32, SqlError> {
    let instant = decode(text, settings).map_err(|r| r.into_error("date", text))?;
    let days = match instant {
        Instant::Infinity => return Ok(DATE_INFINITY),
        Instant::NegInfinity => return Ok(DATE_NEG_INFINITY),
        Instant::Epoch => 0,
        Instant::Local(us, _) => us.div_euclid(i128::from(DAY_US)) as i64,
    };
    if !(FIRST_DAY..END_OF_DATES).contains(&days) {
        return Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: \"{text}\""),
        ));
    }
    Ok(days as i32)
}

/// Reads a timestamp: microseconds since 1970. A time zone in it is ignored, as in PostgreSQL.
///
/// # Errors
/// As [`parse_date`].
pub fn parse_timestamp(text: &str, settings: &TextSettings) -> Result<i64, SqlError> {
    let instant = decode(text, settings).map_err(|r| r.into_error("timestamp", text))?;
    finish(instant, |us, _| us, text)
}

/// Reads a timestamptz: microseconds since 1970 UTC. Without a zone in it, it is meant in the session's.
///
/// # Errors
/// As [`parse_date`]; also 22023 for an unknown zone.
pub fn parse_timestamptz(text: &str, settings: &TextSettings) -> Result<i64, SqlError> {
    let instant = decode(text, settings).map_err(|r| r.into_error("timestamp with time zone", text))?;
    let to_utc = |us: i128, zone: Option<Zone>| {
        let zone = zone.unwrap_or(Zone::Named(settings.time_zone));
        i64::try_from(us).map_or(us, |us| zone.to_utc(us))
    };
    finish(instant, to_utc, text)
}

fn finish(instant: Instant, to_us: impl Fn(i128, Option<Zone>) -> i128, text: &str) -> Result<i64, SqlError> {
    match instant {
        Instant::Infinity => Ok(TIMESTAMP_INFINITY),
        Instant::NegInfinity => Ok(TIMESTAMP_NEG_INFINITY),
        Instant::Epoch => Ok(0),
        Instant::Local(us, zone) => {
            let us = to_us(us, zone);
            if !is_timestamp_in_range(us) {
                return Err(SqlError::new(
                    SqlState::DATETIME_FIELD_OVERFLOW,
                    format!("timestamp out of range: \"{text}\""),
                ));
            }
            Ok(us as i64)
        }
    }
}

/// Reads a time of day: microseconds since midnight, up to and including 24:00:00. A date or zone in it is ignored.
///
/// # Errors
/// 22007 when it is no time, 22008 when there is no such time.
pub fn parse_time(text: &str, settings: &TextSettings) -> Result<i64, SqlError> {
    let decoded = (|| {
        let fields = split_fields(text)?;
        let mut decoder = Decoder::new(settings);
        decoder.time_only = true;
        decoder.run(&fields)?;
        decoder.check_date(false)?;
        let us = decoder.time()?;
        if decoder.seen & TIME == 0 {
            return Err(Refusal::BadFormat);
        }
        Ok(us)
    })();
    decoded.map_err(|r: Refusal| r.into_error("time", text))
}

fn decode(text: &str, settings: &TextSettings) -> Result<Instant, Refusal> {
    let fields = split_fields(text)?;
    let mut decoder = Decoder::new(settings);
    decoder.run(&fields)?;
    if let Some(instant) = decoder.special {
        return Ok(instant);
    }
    let days = decoder.check_date(true)?;
    let time_us = decoder.time()?;
    let us = i128::from(days) * i128::from(DAY_US) + i128::from(time_us);
    Ok(Instant::Local(us, decoder.zone))
}
