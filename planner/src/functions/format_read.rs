//! `to_date` and `to_timestamp`: a text read by a template.

use highwater_types::text::datetime::{
    DAY_US, HOUR_US, MINUTE_US, SECOND_US, days_from_civil, julian_day, last_day_of_month,
};
use highwater_types::{SqlError, SqlState};

use super::cast_time::checked;
use super::format_keys::{DAYS, Key, MONTHS, Part, ROMAN_MONTHS, parse};

/// What was read.
#[derive(Default)]
struct Reading {
    year: Option<i64>,
    is_bc: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    iso: [Option<i64>; 3],
    hour: i64,
    is_pm: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    seconds_of_day: Option<i64>,
    zone_hours: Option<i32>,
    zone_minutes: i32,
}

fn bad(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

/// Reads a text by a template: a clock's reading, and the offset of its zone if it names one.
pub(crate) fn read(text: &str, template: &str) -> Result<(i64, Option<i32>), SqlError> {
    let mut reading = Reading::default();
    let mut rest = text.trim_start();
    let parts = parse(template);
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Text(literal) => rest = skip_literal(rest, literal),
            Part::Field { key, .. } => {
                // A number ends where the next number's place begins, unless something stands between.
                let is_tight = matches!(parts.get(at + 1), Some(Part::Field { .. }));
                rest = read_field(&mut reading, *key, rest, is_tight)?;
            }
        }
        if rest.trim().is_empty() {
            break;
        }
    }
    reading.finish(text)
}

/// Separators match any separators; other characters just as many of any.
fn skip_literal<'t>(text: &'t str, literal: &str) -> &'t str {
    let mut rest = text;
    for c in literal.chars() {
        let next = rest.chars().next();
        match next {
            Some(n)
                if c.is_alphanumeric()
                    || n == c
                    || (!n.is_alphanumeric() && !matches!(n, '+' | '-'))
                    || n == '-' && !c.is_whitespace() =>
            {
                rest = &rest[n.len_utf8()..];
            }
            _ => {}
        }
    }
    rest.trim_start()
}

fn read_number(text: &str, width: usize, key: Key) -> Result<(i64, &str), SqlError> {
    let trimmed = text.trim_start();
    let digits: usize = trimmed.bytes().take(width).take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        let shown: String = trimmed.chars().take(width.min(4)).collect();
        return Err(bad(format!("invalid value \"{shown}\" for \"{}\"", key_name(key)))
            .with_detail("Value must be an integer."));
    }
    let value = trimmed[..digits].parse().map_err(|_| {
        bad(format!(
            "value for \"{}\" in source string is out of range",
            key_name(key)
        ))
    })?;
    Ok((value, &trimmed[digits..]))
}

fn key_name(key: Key) -> String {
    match key {
        Key::Year(digits) => "Y".repeat(digits),
        Key::Month => "MM".to_string(),
        Key::Day => "DD".to_string(),
        Key::Hour24 => "HH24".to_string(),
        Key::Hour12 => "HH12".to_string(),
        Key::Minute => "MI".to_string(),
        Key::Second => "SS".to_string(),
        Key::DayOfYear => "DDD".to_string(),
        other => format!("{other:?}"),
    }
}

fn read_field<'t>(r: &mut Reading, key: Key, text: &'t str, is_tight: bool) -> Result<&'t str, SqlError> {
    let any = if is_tight { 0 } else { 9 };
    let number = |width: usize| read_number(text, width.max(any), key);
    let exact = |width: usize| read_number(text, width, key);
    let (value, rest) = match key {
        Key::Year(4) => number(4)?,
        Key::Year(digits) => {
            let (value, rest) = exact(digits)?;
            (full_year(value, digits), rest)
        }
        Key::YearWithComma => {
            let (thousands, rest) = exact(2)?;
            let (units, rest) = read_number(rest.strip_prefix(',').unwrap_or(rest), 3, key)?;
            (thousands * 1000 + units, rest)
        }
        Key::Millisecond | Key::Microsecond | Key::Fraction(_) => return read_fraction(r, key, text),
        Key::DayOfYear | Key::IsoDayOfYear => exact(3)?,
        Key::Julian | Key::SecondsOfDay => number(9)?,
        Key::IsoYear(digits) => exact(digits)?,
        Key::IsoDayOfWeek | Key::DayOfWeek | Key::Quarter | Key::WeekOfMonth => exact(1)?,
        Key::Hour12
        | Key::Hour24
        | Key::Minute
        | Key::Second
        | Key::Month
        | Key::Day
        | Key::WeekOfYear
        | Key::IsoWeek
        | Key::Century => exact(2)?,
        _ => return read_name(r, key, text),
    };
    match key {
        Key::Year(_) | Key::YearWithComma => r.year = Some(value),
        Key::Month => r.month = Some(value),
        Key::Day => r.day = Some(value),
        Key::DayOfYear => r.day_of_year = Some(value),
        Key::Julian => r.julian = Some(value),
        Key::IsoYear(_) => r.iso[0] = Some(value),
        Key::IsoWeek => r.iso[1] = Some(value),
        Key::IsoDayOfWeek => r.iso[2] = Some(value),
        Key::Hour12 if !(1..=12).contains(&value) => {
            return Err(bad(format!("hour \"{value}\" is invalid for the 12-hour clock"))
                .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        Key::Hour12 => {
            r.hour = value % 12;
            r.is_pm.get_or_insert(false);
        }
        Key::Hour24 => r.hour = value,
        Key::Minute => r.minute = value,
        Key::Second => r.second = value,
        Key::SecondsOfDay => r.seconds_of_day = Some(value),
        _ => {}
    }
    Ok(rest)
}

/// Two digits of a year mean the century nearest to 2020.
fn full_year(value: i64, digits: usize) -> i64 {
    match digits {
        1 => 2000 + value,
        2 if value < 70 => 2000 + value,
        2 => 1900 + value,
        3 if value < 100 => 2000 + value,
        3 if value < 520 => 2000 + value,
        3 => 1000 + value,
        _ => value,
    }
}

fn read_fraction<'t>(r: &mut Reading, key: Key, text: &'t str) -> Result<&'t str, SqlError> {
    let width = match key {
        Key::Millisecond => 3,
        Key::Fraction(digits) => digits,
        _ => 6,
    };
    let before = text.trim_start();
    let (value, rest) = read_number(before, width, key)?;
    let digits = (before.len() - rest.len()) as u32;
    r.micros = value * 10_i64.pow(6 - digits.min(6));
    Ok(rest)
}

fn read_name<'t>(r: &mut Reading, key: Key, text: &'t str) -> Result<&'t str, SqlError> {
    let find = |names: &[&str], length: Option<usize>| {
        names.iter().enumerate().find_map(|(at, name)| {
            let name = &name[..length.unwrap_or(name.len())];
            let head = text.get(..name.len())?;
            head.eq_ignore_ascii_case(name).then(|| (at, &text[name.len()..]))
        })
    };
    let invalid = || {
        let word: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
        bad(format!(
            "invalid value \"{word}\" for \"{}\"",
            match key {
                Key::MonthName => "Month",
                Key::MonthShort => "Mon",
                Key::DayName => "Day",
                Key::DayShort => "Dy",
                _ => "AM",
            }
        ))
        .with_detail("The given value did not match any of the allowed values for this field.")
    };
    match key {
        Key::MonthName | Key::MonthShort => {
            let length = (key == Key::MonthShort).then_some(3);
            let (at, rest) = find(&MONTHS, length)
                .or_else(|| find(&MONTHS, Some(3)))
                .ok_or_else(invalid)?;
            r.month = Some(at as i64 + 1);
            Ok(rest)
        }
        Key::DayName | Key::DayShort => {
            let length = (key == Key::DayShort).then_some(3);
            find(&DAYS, length).map(|(_, rest)| rest).ok_or_else(invalid)
        }
        Key::Meridiem(_) => {
            let (at, rest) = find(&["A.M.", "AM", "P.M.", "PM"], None).ok_or_else(invalid)?;
            r.is_pm = Some(at >= 2);
            r.hour %= 12;
            Ok(rest)
        }
        Key::Era(_) => {
            let (at, rest) = find(&["A.D.", "AD", "B.C.", "BC"], None).ok_or_else(invalid)?;
            r.is_bc = at >= 2;
            Ok(rest)
        }
        Key::ZoneHour => {
            let sign = if text.starts_with('-') { -1 } else { 1 };
            let (value, rest) = read_number(text.trim_start_matches(['+', '-']), 2, key)?;
            r.zone_hours = Some(sign * value as i32);
            Ok(rest)
        }
        Key::ZoneMinute => {
            let (value, rest) = read_number(text, 2, key)?;
            r.zone_minutes = value as i32;
            Ok(rest)
        }
        Key::MonthRoman => {
            let names: Vec<&str> = ROMAN_MONTHS.to_vec();
            let longest = (0..12)
                .filter(|m| text.to_uppercase().starts_with(names[*m]))
                .max_by_key(|m| names[*m].len());
            let at = longest.ok_or_else(invalid)?;
            r.month = Some(at as i64 + 1);
            Ok(&text[names[at].len()..])
        }
        _ => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "formatting field \"TZ\"/\"OF\" is only supported in to_char",
        )
        .with_hint("Read the offset with TZH and TZM.")),
    }
}

impl Reading {
    fn finish(self, text: &str) -> Result<(i64, Option<i32>), SqlError> {
        let out_of_range = || {
            SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            )
        };
        let mut hour = self.hour;
        if self.is_pm == Some(true) {
            hour += 12;
        }
        let clock = match self.seconds_of_day {
            Some(seconds) => seconds * SECOND_US,
            None => hour * HOUR_US + self.minute * MINUTE_US + self.second * SECOND_US,
        };
        let in_range = (0..=24).contains(&hour) && (0..60).contains(&self.minute) && (0..=60).contains(&self.second);
        if !in_range || clock > DAY_US {
            return Err(out_of_range());
        }
        let days = self.days().ok_or_else(out_of_range)?;
        let us = checked(i128::from(days) * i128::from(DAY_US) + i128::from(clock + self.micros))?;
        let offset = self.zone_hours.map(|h| h * 3600 + h.signum() * self.zone_minutes * 60);
        Ok((us, offset))
    }

    fn days(&self) -> Option<i64> {
        if let Some(julian) = self.julian {
            return Some(julian - julian_day(0));
        }
        if let [Some(year), week, day] = self.iso {
            let january_fourth = days_from_civil(year, 1, 4);
            let monday = january_fourth - (january_fourth + 3).rem_euclid(7);
            return Some(monday + (week.unwrap_or(1) - 1) * 7 + day.unwrap_or(1) - 1);
        }
        // Without a year, PostgreSQL's is 1 BC.
        let year = match (self.year, self.is_bc) {
            (None, _) => 0,
            (Some(year), true) => 1 - year,
            (Some(year), false) => year,
        };
        if let Some(day_of_year) = self.day_of_year {
            return (1..=366)
                .contains(&day_of_year)
                .then(|| days_from_civil(year, 1, 1) + day_of_year - 1);
        }
        let month = u32::try_from(self.month.unwrap_or(1))
            .ok()
            .filter(|m| (1..=12).contains(m))?;
        let day = u32::try_from(self.day.unwrap_or(1)).ok()?;
        (day >= 1 && day <= last_day_of_month(year as i32, month)).then(|| days_from_civil(year, month, day))
    }
}
