//! Writing dates, times and intervals.

use chrono_tz::Tz;

use super::zone::Zone;
use super::{
    Civil, DATE_INFINITY, DATE_NEG_INFINITY, HOUR_US, MINUTE_US, SECOND_US, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY,
};
use crate::IntervalParts;
use crate::text::IntervalStyle;
use crate::text::number::write_int;

/// Writes a date, in days since 1970: `2024-02-29`, `0044-03-15 BC`, `infinity`.
pub fn write_date(days: i32, out: &mut Vec<u8>) {
    match days {
        DATE_INFINITY => out.extend_from_slice(b"infinity"),
        DATE_NEG_INFINITY => out.extend_from_slice(b"-infinity"),
        days => {
            let civil = Civil::from_days(i64::from(days));
            write_year_month_day(&civil, out);
            write_era(&civil, out);
        }
    }
}

/// Writes a time of day: `04:05:06.789`.
pub fn write_time(us: i64, out: &mut Vec<u8>) {
    write_two(us / HOUR_US, out);
    out.push(b':');
    write_two(us / MINUTE_US % 60, out);
    out.push(b':');
    write_two(us / SECOND_US % 60, out);
    write_fraction(us % SECOND_US, out);
}

/// Writes a timestamp, in microseconds since 1970.
pub fn write_timestamp(us: i64, out: &mut Vec<u8>) {
    if !write_infinity(us, out) {
        let civil = Civil::from_micros(us);
        write_year_month_day(&civil, out);
        out.push(b' ');
        write_time(civil.time_us, out);
        write_era(&civil, out);
    }
}

/// Writes a timestamptz, in microseconds since 1970 UTC, as this zone's clocks show it: `2024-01-01 05:30:00+05:30`.
pub fn write_timestamptz(us: i64, zone: Tz, out: &mut Vec<u8>) {
    if !write_infinity(us, out) {
        let offset = Zone::Named(zone).offset_at(us);
        let civil = Civil::from_micros(us.saturating_add(i64::from(offset) * SECOND_US));
        write_year_month_day(&civil, out);
        out.push(b' ');
        write_time(civil.time_us, out);
        write_offset(offset, out);
        write_era(&civil, out);
    }
}

fn write_infinity(us: i64, out: &mut Vec<u8>) -> bool {
    match us {
        TIMESTAMP_INFINITY => out.extend_from_slice(b"infinity"),
        TIMESTAMP_NEG_INFINITY => out.extend_from_slice(b"-infinity"),
        _ => return false,
    }
    true
}

/// Writes an offset from UTC: `+00`, `-03:30`.
pub(super) fn write_offset(seconds: i32, out: &mut Vec<u8>) {
    out.push(if seconds < 0 { b'-' } else { b'+' });
    let rest = i64::from(seconds.unsigned_abs());
    write_two(rest / 3600, out);
    if rest % 3600 != 0 {
        out.push(b':');
        write_two(rest / 60 % 60, out);
    }
    if rest % 60 != 0 {
        out.push(b':');
        write_two(rest % 60, out);
    }
}

fn write_year_month_day(civil: &Civil, out: &mut Vec<u8>) {
    let year = if civil.year > 0 { civil.year } else { 1 - civil.year };
    if year < 10_000 {
        write_two(i64::from(year / 100), out);
        write_two(i64::from(year % 100), out);
    } else {
        write_int(i64::from(year), out);
    }
    out.push(b'-');
    write_two(i64::from(civil.month), out);
    out.push(b'-');
    write_two(i64::from(civil.day), out);
}

fn write_era(civil: &Civil, out: &mut Vec<u8>) {
    if civil.year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// At least two digits.
fn write_two(value: i64, out: &mut Vec<u8>) {
    if value < 100 {
        out.push(b'0' + (value / 10) as u8);
        out.push(b'0' + (value % 10) as u8);
    } else {
        write_int(value, out);
    }
}

/// Microseconds after the point, without trailing zeros; nothing for none.
fn write_fraction(us: i64, out: &mut Vec<u8>) {
    if us == 0 {
        return;
    }
    let mut digits = [b'0'; 6];
    let mut rest = us;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let end = digits.iter().rposition(|d| *d != b'0').map_or(0, |at| at + 1);
    out.push(b'.');
    out.extend_from_slice(&digits[..end]);
}

/// An interval's seven parts, each with its own sign.
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

/// Writes an interval.
pub fn write_interval(value: IntervalParts, style: IntervalStyle, out: &mut Vec<u8>) {
    let parts = Parts {
        years: i64::from(value.months / 12),
        months: i64::from(value.months % 12),
        days: i64::from(value.days),
        hours: value.micros / HOUR_US,
        minutes: value.micros / MINUTE_US % 60,
        seconds: value.micros / SECOND_US % 60,
        micros: value.micros % SECOND_US,
    };
    match style {
        IntervalStyle::Postgres => write_postgres(&parts, value.micros, out),
        IntervalStyle::PostgresVerbose => write_verbose(&parts, out),
        IntervalStyle::SqlStandard => write_standard(&parts, value, out),
        IntervalStyle::Iso8601 => write_iso(&parts, out),
    }
}

fn write_clock(micros: i64, two_digit_hours: bool, out: &mut Vec<u8>) {
    // The least integer has no positive twin; an interval's time never reaches it in practice.
    let us = micros.saturating_abs();
    if two_digit_hours {
        write_two(us / HOUR_US, out);
    } else {
        write_int(us / HOUR_US, out);
    }
    out.push(b':');
    write_two(us / MINUTE_US % 60, out);
    out.push(b':');
    write_two(us / SECOND_US % 60, out);
    write_fraction(us % SECOND_US, out);
}

fn write_postgres(parts: &Parts, micros: i64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut after_negative = false;
    for (value, unit) in [(parts.years, "year"), (parts.months, "mon"), (parts.days, "day")] {
        if value == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        if after_negative && value > 0 {
            out.push(b'+');
        }
        write_int(value, out);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if value != 1 {
            out.push(b's');
        }
        after_negative = value < 0;
    }
    if out.len() == start || micros != 0 {
        if out.len() > start {
            out.push(b' ');
        }
        if micros < 0 {
            out.push(b'-');
        } else if after_negative {
            out.push(b'+');
        }
        write_clock(micros, true, out);
    }
}

/// Seconds with their fraction, signed; hours and minutes are not in it.
fn write_seconds(parts: &Parts, out: &mut Vec<u8>) {
    if parts.seconds < 0 || parts.micros < 0 {
        out.push(b'-');
    }
    write_int(parts.seconds.abs(), out);
    write_fraction(parts.micros.abs(), out);
}

fn write_iso(parts: &Parts, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'P');
    for (value, unit) in [(parts.years, b'Y'), (parts.months, b'M'), (parts.days, b'D')] {
        if value != 0 {
            write_int(value, out);
            out.push(unit);
        }
    }
    if parts.hours != 0 || parts.minutes != 0 || parts.seconds != 0 || parts.micros != 0 {
        out.push(b'T');
        for (value, unit) in [(parts.hours, b'H'), (parts.minutes, b'M')] {
            if value != 0 {
                write_int(value, out);
                out.push(unit);
            }
        }
        if parts.seconds != 0 || parts.micros != 0 {
            write_seconds(parts, out);
            out.push(b'S');
        }
    }
    if out.len() == start + 1 {
        out.extend_from_slice(b"T0S");
    }
}

fn write_verbose(parts: &Parts, out: &mut Vec<u8>) {
    out.push(b'@');
    let start = out.len();
    let mut is_before = false;
    let whole = [
        (parts.years, "year"),
        (parts.months, "mon"),
        (parts.days, "day"),
        (parts.hours, "hour"),
        (parts.minutes, "min"),
    ];
    for (value, unit) in whole {
        if value == 0 {
            continue;
        }
        // The first part says whether it all is "ago"; the others are signed against it.
        if out.len() == start {
            is_before = value < 0;
        }
        let shown = if is_before { -value } else { value };
        out.push(b' ');
        write_int(shown, out);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if shown != 1 {
            out.push(b's');
        }
    }
    if parts.seconds != 0 || parts.micros != 0 {
        let negative = parts.seconds < 0 || parts.micros < 0;
        if out.len() == start {
            is_before = negative;
        }
        out.push(b' ');
        if negative != is_before {
            out.push(b'-');
        }
        write_int(parts.seconds.abs(), out);
        write_fraction(parts.micros.abs(), out);
        let singular = parts.seconds.abs() == 1 && parts.micros == 0;
        out.extend_from_slice(if singular { b" sec" } else { b" secs" });
    }
    if out.len() == start {
        out.extend_from_slice(b" 0");
    }
    if is_before {
        out.extend_from_slice(b" ago");
    }
}

fn write_standard(parts: &Parts, value: IntervalParts, out: &mut Vec<u8>) {
    let signs = [i64::from(value.months), i64::from(value.days), value.micros];
    let has_negative = signs.iter().any(|s| *s < 0);
    let has_positive = signs.iter().any(|s| *s > 0);
    let (has_months, has_days, has_time) = (value.months != 0, value.days != 0, value.micros != 0);
    if !has_negative && !has_positive {
        return out.push(b'0');
    }
    let is_mixed = (has_negative && has_positive) || (has_months && (has_days || has_time));
    if is_mixed {
        out.push(if value.months < 0 { b'-' } else { b'+' });
        write_int(parts.years.abs(), out);
        out.push(b'-');
        write_int(parts.months.abs(), out);
        out.extend_from_slice(if value.days < 0 { b" -" } else { b" +" });
        write_int(parts.days.abs(), out);
        out.extend_from_slice(if value.micros < 0 { b" -" } else { b" +" });
        return write_clock(value.micros, false, out);
    }
    if has_negative {
        out.push(b'-');
    }
    if has_months {
        write_int(parts.years.abs(), out);
        out.push(b'-');
        return write_int(parts.months.abs(), out);
    }
    if has_days {
        write_int(parts.days.abs(), out);
        out.push(b' ');
    }
    write_clock(value.micros, false, out);
}
