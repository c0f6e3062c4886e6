//! `to_char` of dates, times and intervals; `to_date` and `to_timestamp` from text.

use arrow::array::ArrayRef;
use highwater_types::text::datetime::zone::Zone;
use highwater_types::text::datetime::{Civil, DAY_US, HOUR_US, MINUTE_US, SECOND_US, days_from_civil, julian_day};
use highwater_types::{IntervalParts, SqlError, SqlType};

use super::cast_time::{instant_to_local, is_infinite, local_to_instant};
use super::extract::iso_week;
use super::format_keys::{Case, DAYS, Key, MONTHS, Part, ROMAN_MONTHS, in_case, parse};
use super::format_read::read;
use super::function::{Call, Function, Takes};
use super::rows::{Answer, Days, Instant, Interval, Read, Text, Timestamp, map_rows, map2};

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    use Takes as T;
    let text = || SqlType::Text;
    vec![
        Function::new("to_char", &[T::Timestamp, T::Text], text, of_timestamps),
        Function::new("to_char", &[T::Timestamptz, T::Text], text, |c| {
            let zone = Zone::Named(c.settings.time_zone);
            map2::<Timestamp, Text, _>(c, |us, template| {
                if is_infinite(us) {
                    return Ok(None);
                }
                let fields = Fields::of_local(instant_to_local(us, zone)?);
                Ok(Some(write(&parse(template), &fields, Some((zone, us)))))
            })
        })
        .stable(),
        Function::new("to_char", &[T::Interval, T::Text], text, |c| {
            map2::<Interval, Text, _>(c, |i, template| {
                Ok(Some(write(&parse(template), &Fields::of_interval(i), None)))
            })
        }),
        Function::new(
            "to_date",
            &[T::Text, T::Text],
            || SqlType::Date,
            |c| {
                map2::<Text, Text, _>(c, |text, template| {
                    let us = read(text, template)?.0;
                    Ok(Some(Days(us.div_euclid(DAY_US) as i32)))
                })
            },
        ),
        Function::new(
            "to_timestamp",
            &[T::Text, T::Text],
            || SqlType::Timestamptz,
            |c| {
                let zone = Zone::Named(c.settings.time_zone);
                map2::<Text, Text, _>(c, |text, template| to_timestamp(text, template, zone))
            },
        )
        .stable(),
    ]
}

/// Timestamps mostly come in order, and most of a day's have one text in a report by days: the last one is kept.
fn of_timestamps(call: &Call) -> Result<ArrayRef, SqlError> {
    let (times, templates) = (Timestamp::open(&call.args[0].array), Text::open(&call.args[1].array));
    let mut known: Option<(&str, Vec<Part>, i64)> = None;
    let mut last: Option<(i64, String)> = None;
    map_rows(call, |row| {
        let us = Timestamp::value(&times, call.args[0].at(row));
        let template = Text::value(&templates, call.args[1].at(row));
        if is_infinite(us) {
            return Ok(None);
        }
        if known.as_ref().is_none_or(|(text, _, _)| *text != template) {
            let parts = parse(template);
            let unit_us = unit_us(&parts);
            (known, last) = (Some((template, parts, unit_us)), None);
        }
        let Some((_, parts, unit_us)) = &known else {
            return Ok(None);
        };
        let unit = us.div_euclid(*unit_us);
        if last.as_ref().is_none_or(|(other, _)| *other != unit) {
            last = Some((unit, write(parts, &Fields::of_local(us), None)));
        }
        Ok(last.as_ref().map(|(_, text)| text.clone()))
    })
}

/// Times within so many microseconds, counted from 1970, have one text.
fn unit_us(parts: &[Part]) -> i64 {
    let of_key = |key: &Key| match key {
        Key::Year(_)
        | Key::YearWithComma
        | Key::IsoYear(_)
        | Key::Month
        | Key::Day
        | Key::DayOfYear
        | Key::DayOfWeek
        | Key::IsoDayOfWeek
        | Key::WeekOfMonth
        | Key::WeekOfYear
        | Key::IsoWeek
        | Key::MonthName
        | Key::MonthShort
        | Key::DayName
        | Key::DayShort
        | Key::Quarter => DAY_US,
        Key::Hour24 | Key::Hour12 => HOUR_US,
        Key::Minute => MINUTE_US,
        Key::Second => SECOND_US,
        _ => 1,
    };
    let keys = parts.iter().map(|part| match part {
        Part::Text(_) => DAY_US,
        Part::Field { key, .. } => of_key(key),
    });
    keys.min().unwrap_or(DAY_US)
}

fn to_timestamp(text: &str, template: &str, zone: Zone) -> Answer<Instant> {
    let (us, offset) = read(text, template)?;
    let zone = offset.map_or(zone, Zone::Fixed);
    Ok(Some(Instant(local_to_instant(us, zone)?)))
}

/// What there is to write.
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    time_us: i64,
    /// Days since 1970; `None` for an interval, which has no calendar.
    days: Option<i64>,
}

impl Fields {
    fn of_local(us: i64) -> Fields {
        let civil = Civil::from_micros(us);
        Fields {
            year: i64::from(civil.year),
            month: i64::from(civil.month),
            day: i64::from(civil.day),
            time_us: civil.time_us,
            days: Some(us.div_euclid(DAY_US)),
        }
    }

    fn of_interval(parts: IntervalParts) -> Fields {
        Fields {
            year: i64::from(parts.months / 12),
            month: i64::from(parts.months % 12),
            day: i64::from(parts.days),
            time_us: parts.micros,
            days: None,
        }
    }

    /// As people count: 1 BC is year 1 of its era.
    fn counted_year(&self) -> i64 {
        if self.days.is_some() && self.year <= 0 {
            1 - self.year
        } else {
            self.year
        }
    }

    fn day_number(&self) -> i64 {
        self.days.unwrap_or(0)
    }
}

fn write(parts: &[Part], fields: &Fields, zone: Option<(Zone, i64)>) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Field {
                key,
                case,
                fills,
                ordinal,
            } => {
                let start = out.len();
                write_field(*key, *case, *fills, fields, zone, &mut out);
                if let Some(case) = ordinal {
                    let suffix = ordinal_suffix(&out[start..]);
                    out.push_str(&in_case(suffix, *case));
                }
            }
        }
    }
    out
}

fn ordinal_suffix(number: &str) -> &'static str {
    let digits = number.trim_start_matches('-').as_bytes();
    let tens = digits.len().checked_sub(2).map(|at| digits[at]);
    match (tens, digits.last()) {
        (Some(b'1'), _) => "th",
        (_, Some(b'1')) => "st",
        (_, Some(b'2')) => "nd",
        (_, Some(b'3')) => "rd",
        _ => "th",
    }
}

fn write_field(key: Key, case: Case, fills: bool, f: &Fields, zone: Option<(Zone, i64)>, out: &mut String) {
    let mut number = |value: i64, width: usize| {
        let width = if fills { width } else { 0 };
        match value < 0 {
            true => out.push_str(&format!("-{:0width$}", -value)),
            false => out.push_str(&format!("{value:0width$}")),
        }
    };
    let hours = f.time_us / HOUR_US;
    let micros = f.time_us % SECOND_US;
    match key {
        Key::Hour24 => number(hours, 2),
        Key::Hour12 => {
            let twelve = hours % 12;
            number(
                if twelve == 0 && (f.days.is_some() || hours != 0) {
                    12
                } else {
                    twelve
                },
                2,
            );
        }
        Key::Minute => number(f.time_us / MINUTE_US % 60, 2),
        Key::Second => number(f.time_us / SECOND_US % 60, 2),
        Key::Millisecond => number(micros / 1000, 3),
        Key::Microsecond => number(micros, 6),
        Key::Fraction(digits) => number(micros / 10_i64.pow(6 - digits as u32), digits),
        Key::SecondsOfDay => number(f.time_us / SECOND_US, 0),
        Key::Year(4) => number(f.counted_year(), 4),
        Key::Year(digits) => number(f.counted_year() % 10_i64.pow(digits as u32), digits),
        Key::YearWithComma => {
            let year = f.counted_year();
            out.push_str(&format!("{},{:03}", year / 1000, year % 1000));
        }
        Key::IsoYear(digits) => {
            let year = iso_week(f.day_number()).0;
            let year = if year <= 0 { 1 - year } else { year };
            number(
                if digits == 4 {
                    year
                } else {
                    year % 10_i64.pow(digits as u32)
                },
                digits,
            );
        }
        Key::Month => number(f.month, 2),
        Key::Day => number(f.day, 2),
        Key::DayOfYear => number(f.day_number() - days_from_civil(f.year, 1, 1) + 1, 3),
        Key::IsoDayOfYear => {
            let (_, week) = iso_week(f.day_number());
            number((week - 1) * 7 + (f.day_number() + 3).rem_euclid(7) + 1, 3);
        }
        Key::DayOfWeek => number(weekday(f) as i64 + 1, 0),
        Key::IsoDayOfWeek => number((weekday(f) as i64 + 6) % 7 + 1, 0),
        Key::WeekOfMonth => number((f.day - 1) / 7 + 1, 0),
        Key::WeekOfYear => number((f.day_number() - days_from_civil(f.year, 1, 1)) / 7 + 1, 2),
        Key::IsoWeek => number(iso_week(f.day_number()).1, 2),
        Key::Century => {
            let century = if f.year > 0 {
                (f.year + 99) / 100
            } else {
                -((100 - f.year) / 100)
            };
            number(century, 2);
        }
        Key::Julian => number(julian_day(f.day_number()), 0),
        Key::Quarter => number((f.month - 1) / 3 + 1, 0),
        _ => write_name(key, case, fills, f, zone, out),
    }
}

fn weekday(f: &Fields) -> usize {
    (f.day_number() + 4).rem_euclid(7) as usize
}

fn write_name(key: Key, case: Case, fills: bool, f: &Fields, zone: Option<(Zone, i64)>, out: &mut String) {
    let month = (f.month - 1).rem_euclid(12) as usize;
    let mut padded = |name: &str, width: usize| {
        let name = in_case(name, case);
        match fills {
            true => out.push_str(&format!("{name:<width$}")),
            false => out.push_str(&name),
        }
    };
    match key {
        Key::MonthName => padded(MONTHS[month], 9),
        Key::MonthShort => padded(&MONTHS[month][..3], 0),
        Key::MonthRoman => padded(ROMAN_MONTHS[month], 4),
        Key::DayName => padded(DAYS[weekday(f)], 9),
        Key::DayShort => padded(&DAYS[weekday(f)][..3], 0),
        Key::Meridiem(points) => {
            let is_pm = f.time_us.rem_euclid(DAY_US) >= DAY_US / 2;
            let name = match (is_pm, points) {
                (true, true) => "P.M.",
                (true, false) => "PM",
                (false, true) => "A.M.",
                (false, false) => "AM",
            };
            padded(name, 0);
        }
        Key::Era(points) => {
            let is_bc = f.days.is_some() && f.year <= 0;
            let name = match (is_bc, points) {
                (true, true) => "B.C.",
                (true, false) => "BC",
                (false, true) => "A.D.",
                (false, false) => "AD",
            };
            padded(name, 0);
        }
        _ => write_zone(key, case, zone, out),
    }
}

fn write_zone(key: Key, case: Case, zone: Option<(Zone, i64)>, out: &mut String) {
    let Some((zone, us)) = zone else {
        // A timestamp without zone: as UTC where there must be something.
        return match key {
            Key::ZoneHour | Key::Offset => out.push_str("+00"),
            Key::ZoneMinute => out.push_str("00"),
            _ => {}
        };
    };
    let seconds = zone.offset_at(us);
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    match key {
        Key::ZoneHour => out.push_str(&format!("{sign}{hours:02}")),
        Key::ZoneMinute => out.push_str(&format!("{minutes:02}")),
        Key::Offset => {
            out.push_str(&format!("{sign}{hours:02}"));
            if minutes != 0 {
                out.push_str(&format!(":{minutes:02}"));
            }
        }
        _ => out.push_str(&in_case(&zone.abbreviation_at(us), case)),
    }
}
