//! Reads intervals: `1 year 2 days 03:04:05`, `1-2`, `3 days ago`, `P1Y2M3DT4H5M6S`, `1.5 hours`. Follows
//! PostgreSQL's `DecodeInterval`, which reads from the right so that a unit is known before its number.

use super::clock::{parse_fraction, split_clock};
use super::fields::{Field, FieldKind, split_fields};
use super::keywords::{IntervalWord, Unit, interval_word};
use super::{DAY_US, HOUR_US, MINUTE_US, Refusal, SECOND_US};
use crate::text::TextSettings;
use crate::{IntervalParts, SqlError};

/// Reads an interval.
///
/// # Errors
/// 22007 when it is no interval, 22015 when it is too long a time.
pub fn parse_interval(text: &str, _settings: &TextSettings) -> Result<IntervalParts, SqlError> {
    let decoded = split_fields(text).and_then(|fields| decode_fields(&fields));
    let decoded = match decoded {
        Err(Refusal::BadFormat) => decode_iso(text.trim()),
        other => other,
    };
    decoded.and_then(Sum::finish).map_err(|refusal| match refusal {
        Refusal::FieldOverflow => Refusal::IntervalOverflow.into_error("interval", text),
        other => other.into_error("interval", text),
    })
}

/// The interval so far, wider than the result so that only the end is checked.
#[derive(Default)]
struct Sum {
    months: i64,
    days: i64,
    micros: i128,
}

impl Sum {
    /// Adds `whole + fraction` units. As in PostgreSQL a fraction of a year becomes months, of a month or week
    /// days, of those microseconds.
    fn add(&mut self, unit: Unit, whole: i64, fraction: f64) -> Result<(), Refusal> {
        let overflow = || Refusal::FieldOverflow;
        let times = |n: i64| whole.checked_mul(n).ok_or_else(overflow);
        match unit {
            Unit::Microsecond => self.add_micros(whole, 1, fraction),
            Unit::Millisecond => self.add_micros(whole, 1000, fraction),
            Unit::Second => self.add_micros(whole, SECOND_US, fraction),
            Unit::Minute => self.add_micros(whole, MINUTE_US, fraction),
            Unit::Hour => self.add_micros(whole, HOUR_US, fraction),
            Unit::Day => {
                self.days = self.days.checked_add(whole).ok_or_else(overflow)?;
                self.add_micros(0, DAY_US, fraction);
            }
            Unit::Week => {
                self.days = self.days.checked_add(times(7)?).ok_or_else(overflow)?;
                self.add_days(fraction * 7.0);
            }
            Unit::Month => {
                self.months = self.months.checked_add(whole).ok_or_else(overflow)?;
                self.add_days(fraction * 30.0);
            }
            Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium => {
                let months: i64 = match unit {
                    Unit::Decade => 120,
                    Unit::Century => 1200,
                    Unit::Millennium => 12_000,
                    _ => 12,
                };
                self.months = self.months.checked_add(times(months)?).ok_or_else(overflow)?;
                self.months += (fraction * months as f64).round_ties_even() as i64;
            }
        }
        Ok(())
    }

    fn add_micros(&mut self, whole: i64, scale: i64, fraction: f64) {
        self.micros += i128::from(whole) * i128::from(scale);
        let scaled = fraction * scale as f64;
        let mut extra = scaled.trunc();
        let rest = scaled - extra;
        if rest > 0.5 {
            extra += 1.0;
        } else if rest < -0.5 {
            extra -= 1.0;
        }
        self.micros += extra as i128;
    }

    fn add_days(&mut self, days: f64) {
        let whole = days.trunc();
        self.days += whole as i64;
        self.add_micros(0, DAY_US, days - whole);
    }

    fn finish(self) -> Result<IntervalParts, Refusal> {
        Ok(IntervalParts {
            months: i32::try_from(self.months).map_err(|_| Refusal::FieldOverflow)?,
            days: i32::try_from(self.days).map_err(|_| Refusal::FieldOverflow)?,
            micros: i64::try_from(self.micros)
                .ok()
                .filter(|us| us.checked_mul(1000).is_some())
                .ok_or(Refusal::FieldOverflow)?,
        })
    }
}

fn decode_fields(fields: &[Field]) -> Result<Sum, Refusal> {
    let mut sum = Sum::default();
    // The unit of the next number to the left; `None` at the right end, where seconds are meant.
    let mut unit: Option<Unit> = None;
    let mut seen: Vec<Unit> = Vec::new();
    let mut is_ago = false;
    for (at, field) in fields.iter().enumerate().rev() {
        let text = field.text.as_str();
        let found: &[Unit] = match field.kind {
            FieldKind::Time => {
                add_clock(&mut sum, text, false)?;
                unit = Some(Unit::Day);
                &[Unit::Hour, Unit::Minute, Unit::Second]
            }
            FieldKind::Zone if text[1..].contains(':') && split_clock(&text[1..]).is_ok() => {
                add_clock(&mut sum, &text[1..], text.starts_with('-'))?;
                unit = Some(Unit::Day);
                &[Unit::Hour, Unit::Minute, Unit::Second]
            }
            FieldKind::Zone | FieldKind::Date | FieldKind::Number => {
                let counted = unit.unwrap_or(Unit::Second);
                unit = add_number(&mut sum, text, counted)?;
                match counted {
                    _ if text[1..].contains('-') => &[Unit::Year, Unit::Month],
                    counted => &[counted],
                }
            }
            FieldKind::Word | FieldKind::SignedWord => {
                match interval_word(text).ok_or(Refusal::BadFormat)? {
                    IntervalWord::Noise => {}
                    IntervalWord::Ago if at + 1 == fields.len() => is_ago = true,
                    IntervalWord::Ago => return Err(Refusal::BadFormat),
                    IntervalWord::Unit(named) => unit = Some(named),
                }
                continue;
            }
        };
        if found.iter().any(|u| seen.contains(u)) {
            return Err(Refusal::BadFormat);
        }
        seen.extend(found);
    }
    if seen.is_empty() {
        return Err(Refusal::BadFormat);
    }
    if is_ago {
        (sum.months, sum.days, sum.micros) = (-sum.months, -sum.days, -sum.micros);
    }
    Ok(sum)
}

fn add_clock(sum: &mut Sum, text: &str, negative: bool) -> Result<(), Refusal> {
    let (hour, minute, second, micro) = split_clock(text)?;
    let us = hour * HOUR_US + minute * MINUTE_US + second * SECOND_US + micro;
    sum.micros += i128::from(if negative { -us } else { us });
    Ok(())
}

/// Adds a number of this unit; answers the unit of the number to its left, where it follows from this one.
fn add_number(sum: &mut Sum, text: &str, unit: Unit) -> Result<Option<Unit>, Refusal> {
    let negative = text.starts_with('-');
    let digits = text.trim_start_matches(['+', '-']);
    if let Some((years, months)) = digits.split_once('-') {
        // The standard's year-month form: `1-2`.
        let years = whole_number(years)?;
        let months = whole_number(months)?;
        if months >= 12 {
            return Err(Refusal::FieldOverflow);
        }
        let total = years.checked_mul(12).ok_or(Refusal::FieldOverflow)? + months;
        sum.add(Unit::Month, if negative { -total } else { total }, 0.0)?;
        return Ok(Some(Unit::Month));
    }
    let (whole, fraction) = match digits.split_once('.') {
        None => (whole_number(digits)?, 0.0),
        Some((whole, fraction)) => {
            let whole = if whole.is_empty() { 0 } else { whole_number(whole)? };
            (whole, fraction_of(fraction)?)
        }
    };
    if negative {
        sum.add(unit, -whole, -fraction)?;
    } else {
        sum.add(unit, whole, fraction)?;
    }
    Ok(Some(if unit == Unit::Hour { Unit::Day } else { unit }))
}

fn whole_number(text: &str) -> Result<i64, Refusal> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::BadFormat);
    }
    text.parse().map_err(|_| Refusal::FieldOverflow)
}

fn fraction_of(digits: &str) -> Result<f64, Refusal> {
    // Checks the digits; the value itself keeps more of them.
    parse_fraction(digits)?;
    format!("0.{digits}0").parse().map_err(|_| Refusal::BadFormat)
}

/// ISO 8601 with designators: `P1Y2M3DT4H5M6.7S`, `P2W`; and the alternative form `P0001-02-03T04:05:06`.
fn decode_iso(text: &str) -> Result<Sum, Refusal> {
    let mut rest = text.strip_prefix('P').ok_or(Refusal::BadFormat)?;
    if rest.is_empty() {
        return Err(Refusal::BadFormat);
    }
    let has_designator = rest.contains(|c: char| c.is_ascii_alphabetic() && c != 'T');
    if !has_designator && rest != "T" {
        return decode_iso_alternative(rest);
    }
    let mut sum = Sum::default();
    let mut in_time = false;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            if in_time {
                return Err(Refusal::BadFormat);
            }
            in_time = true;
            rest = time;
            continue;
        }
        let end = rest
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.')))
            .ok_or(Refusal::BadFormat)?;
        let (number, tail) = rest.split_at(end);
        let designator = tail.chars().next().ok_or(Refusal::BadFormat)?;
        let unit = match (designator, in_time) {
            ('Y', false) => Unit::Year,
            ('M', false) => Unit::Month,
            ('W', false) => Unit::Week,
            ('D', false) => Unit::Day,
            ('H', true) => Unit::Hour,
            ('M', true) => Unit::Minute,
            ('S', true) => Unit::Second,
            _ => return Err(Refusal::BadFormat),
        };
        if number.is_empty() || number[1..].contains(['+', '-']) {
            return Err(Refusal::BadFormat);
        }
        add_number(&mut sum, number, unit)?;
        rest = &tail[designator.len_utf8()..];
    }
    Ok(sum)
}

fn decode_iso_alternative(text: &str) -> Result<Sum, Refusal> {
    let (date, time) = match text.split_once('T') {
        None => (text, None),
        Some((date, time)) => (date, Some(time)),
    };
    let mut sum = Sum::default();
    if !date.is_empty() {
        for (part, unit) in date.splitn(3, '-').zip([Unit::Year, Unit::Month, Unit::Day]) {
            sum.add(unit, whole_number(part)?, 0.0)?;
        }
    }
    if let Some(time) = time {
        add_clock(&mut sum, time, false)?;
    }
    Ok(sum)
}
