//! [`Decoder`]: what the fields read so far have told, and what each next one is taken for. A field may change what
//! an earlier one was: in `5 Jan 2024` the 5 was the month until the word came.

use super::clock::{parse_fraction, parse_offset, split_clock};
use super::fields::{Field, FieldKind};
use super::keywords::{Word, datetime_word};
use super::zone::{Zone, abbreviation, named_zone, parse_zone};
use super::{Civil, DAY_US, FIRST_DAY, HOUR_US, MINUTE_US, Refusal, SECOND_US, days_from_civil, last_day_of_month};
use crate::text::{DateOrder, TextSettings};

const YEAR: u8 = 1;
const MONTH: u8 = 2;
const DAY: u8 = 4;
pub(super) const TIME: u8 = 8;
const ZONE: u8 = 16;
const DAY_OF_YEAR: u8 = 32;
const DATE: u8 = YEAR | MONTH | DAY;
const MASK_YEAR_MONTH: u8 = YEAR | MONTH;
const MASK_MONTH_DAY: u8 = MONTH | DAY;

/// What a text came out as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Instant {
    Infinity,
    NegInfinity,
    /// 1970-01-01 00:00 UTC.
    Epoch,
    /// A reading of the clock, in microseconds, and where that clock hangs, when the text says so.
    Local(i128, Option<Zone>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meridiem {
    Am,
    Pm,
}

/// What a word makes of the number after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Julian,
    Time,
}

/// The state of reading one text.
pub(super) struct Decoder<'a> {
    settings: &'a TextSettings,
    /// Which parts are known: the constants above.
    pub(super) seen: u8,
    year: i64,
    month: u32,
    day: u32,
    day_of_year: u32,
    /// Set by a Julian day or by a word such as 'today': the whole date at once.
    days: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    micro: i64,
    pub(super) zone: Option<Zone>,
    meridiem: Option<Meridiem>,
    is_bc: bool,
    has_month_name: bool,
    has_two_digit_year: bool,
    prefix: Option<Prefix>,
    pub(super) special: Option<Instant>,
    pub(super) time_only: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(settings: &'a TextSettings) -> Decoder<'a> {
        Decoder {
            settings,
            seen: 0,
            year: 0,
            month: 0,
            day: 0,
            day_of_year: 0,
            days: None,
            hour: 0,
            minute: 0,
            second: 0,
            micro: 0,
            zone: None,
            meridiem: None,
            is_bc: false,
            has_month_name: false,
            has_two_digit_year: false,
            prefix: None,
            special: None,
            time_only: false,
        }
    }

    pub(super) fn run(&mut self, fields: &[Field]) -> Result<(), Refusal> {
        if fields.is_empty() {
            return Err(Refusal::BadFormat);
        }
        for (at, field) in fields.iter().enumerate() {
            let found = match field.kind {
                FieldKind::Date => self.date_field(&field.text)?,
                FieldKind::Time => {
                    if self.prefix.take().is_some_and(|p| p != Prefix::Time) {
                        return Err(Refusal::BadFormat);
                    }
                    self.clock(&field.text)?;
                    TIME
                }
                FieldKind::Zone => {
                    self.zone = Some(Zone::Fixed(parse_offset(&field.text)?));
                    ZONE
                }
                FieldKind::Number => self.number_field(&field.text)?,
                FieldKind::Word | FieldKind::SignedWord => self.word(&field.text, &fields[at + 1..])?,
            };
            if found & self.seen != 0 {
                return Err(Refusal::BadFormat);
            }
            self.seen |= found;
        }
        if self.prefix.is_some() {
            return Err(Refusal::BadFormat);
        }
        Ok(())
    }

    fn date_field(&mut self, text: &str) -> Result<u8, Refusal> {
        let starts_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
        if self.prefix == Some(Prefix::Julian) {
            // A Julian day with a zone: `J2451187-08`.
            self.prefix = None;
            let at = text.find('-').ok_or(Refusal::BadFormat)?;
            self.zone = Some(Zone::Fixed(parse_offset(&text[at..])?));
            let day: i64 = text[..at].parse().map_err(|_| Refusal::BadFormat)?;
            self.days = Some(day + FIRST_DAY);
            return Ok(DATE | ZONE);
        }
        let has_date = self.seen & (MONTH | DAY) == MONTH | DAY;
        if !has_date && self.prefix.is_none() && (starts_with_digit || !self.time_only) {
            return match self.date(text) {
                // A zone's name looks the same: `America/New_York 10:00`.
                Err(Refusal::BadFormat) if !starts_with_digit && named_zone(text).is_some() => self.zone_name(text),
                other => other,
            };
        }
        if !starts_with_digit && self.prefix.is_none() {
            return self.zone_name(text);
        }
        // A run-together time with a zone: `T040506-08`.
        if self.prefix.take().is_some_and(|p| p != Prefix::Time) || self.seen & TIME != 0 {
            return Err(Refusal::BadFormat);
        }
        let at = text.find('-').ok_or(Refusal::BadFormat)?;
        self.zone = Some(Zone::Fixed(parse_offset(&text[at..])?));
        let found = self.run_together(&text[..at], self.seen | DATE)?;
        Ok(found | ZONE)
    }

    fn zone_name(&mut self, text: &str) -> Result<u8, Refusal> {
        self.zone = Some(parse_zone(text).ok_or_else(|| Refusal::UnknownZone(text.to_string()))?);
        Ok(ZONE)
    }

    fn number_field(&mut self, text: &str) -> Result<u8, Refusal> {
        match self.prefix.take() {
            Some(Prefix::Time) => {
                let found = self.run_together(text, self.seen | DATE)?;
                return if found == TIME {
                    Ok(found)
                } else {
                    Err(Refusal::BadFormat)
                };
            }
            Some(Prefix::Julian) => {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                let day: i64 = whole.parse().map_err(|_| Refusal::FieldOverflow)?;
                self.days = Some(day + FIRST_DAY);
                if !text.contains('.') {
                    return Ok(DATE);
                }
                let part: f64 = format!("0.{fraction}").parse().map_err(|_| Refusal::BadFormat)?;
                self.set_time((part * DAY_US as f64) as i64);
                return Ok(DATE | TIME);
            }
            None => {}
        }
        let point = text.find('.');
        let has_date = self.seen & DATE == DATE || self.seen & DAY_OF_YEAR != 0;
        match point {
            Some(_) if self.seen & DATE == 0 && !self.time_only => self.date(text),
            Some(at) if at > 2 => self.run_together(text, self.seen),
            _ if text.len() >= 6 && (!has_date || self.seen & TIME == 0) => self.run_together(text, self.seen),
            _ if self.time_only && self.seen & TIME == 0 => self.run_together(text, self.seen),
            _ => self.number(text, self.seen),
        }
    }

    fn word(&mut self, text: &str, rest: &[Field]) -> Result<u8, Refusal> {
        if let Some(seconds) = abbreviation(text)
            && text != "at"
        {
            self.zone = Some(Zone::Fixed(seconds));
            return Ok(ZONE);
        }
        match datetime_word(text) {
            None => match named_zone(text) {
                Some(tz) => {
                    self.zone = Some(Zone::Named(tz));
                    Ok(ZONE)
                }
                None => Err(Refusal::BadFormat),
            },
            Some(word) => self.known_word(word, text, rest),
        }
    }

    fn known_word(&mut self, word: Word, text: &str, rest: &[Field]) -> Result<u8, Refusal> {
        match word {
            Word::Month(month) => {
                let mut found = MONTH;
                // A number taken for the month was the day then: `5 Jan 2024`.
                if self.seen & MONTH != 0
                    && !self.has_month_name
                    && self.seen & DAY == 0
                    && (1..=31).contains(&self.month)
                {
                    self.day = self.month;
                    found = DAY;
                }
                self.has_month_name = true;
                self.month = month;
                return Ok(found);
            }
            Word::Weekday | Word::Noise => {}
            Word::Ad => self.is_bc = false,
            Word::Bc => self.is_bc = true,
            Word::Am => self.meridiem = Some(Meridiem::Am),
            Word::Pm => self.meridiem = Some(Meridiem::Pm),
            Word::Midnight => {
                self.set_time(0);
                self.zone = Some(Zone::Fixed(0));
                return Ok(TIME | ZONE);
            }
            Word::Epoch | Word::Infinity | Word::NegInfinity => {
                if self.time_only {
                    return Err(Refusal::BadFormat);
                }
                self.special = Some(match word {
                    Word::Epoch => Instant::Epoch,
                    Word::Infinity => Instant::Infinity,
                    _ => Instant::NegInfinity,
                });
                return Ok(DATE | TIME | ZONE);
            }
            Word::Now | Word::Today | Word::Tomorrow | Word::Yesterday => return self.relative(word, text),
            Word::Julian => self.prefix = Some(Prefix::Julian),
            Word::TimeFollows => {
                let followed = rest
                    .first()
                    .is_some_and(|f| matches!(f.kind, FieldKind::Number | FieldKind::Time | FieldKind::Date));
                if (self.seen & DATE != DATE && !self.time_only) || !followed {
                    return Err(Refusal::BadFormat);
                }
                self.prefix = Some(Prefix::Time);
            }
            Word::Dst => match self.zone {
                Some(Zone::Fixed(seconds)) => self.zone = Some(Zone::Fixed(seconds + 3600)),
                Some(Zone::Named(_)) | None => return Err(Refusal::BadFormat),
            },
            Word::Unit => return Err(Refusal::BadFormat),
        }
        Ok(0)
    }

    fn relative(&mut self, word: Word, text: &str) -> Result<u8, Refusal> {
        let zone = Zone::Named(self.settings.time_zone);
        let now = self.settings.now_us.ok_or_else(|| Refusal::NoClock(text.to_string()))?;
        let local = zone.to_local(now);
        let today = local.div_euclid(i128::from(DAY_US)) as i64;
        let shift = match word {
            Word::Yesterday => -1,
            Word::Tomorrow => 1,
            _ => 0,
        };
        self.days = Some(today + shift);
        if word == Word::Now {
            self.set_time(local.rem_euclid(i128::from(DAY_US)) as i64);
            self.zone = Some(Zone::Fixed(zone.offset_at(now)));
            return Ok(DATE | TIME | ZONE);
        }
        Ok(DATE)
    }

    fn set_time(&mut self, us: i64) {
        self.hour = us / HOUR_US;
        self.minute = us / MINUTE_US % 60;
        self.second = us / SECOND_US % 60;
        self.micro = us % SECOND_US;
    }

    /// A date with its parts separated: month names first, since they leave no doubt, then the numbers.
    fn date(&mut self, text: &str) -> Result<u8, Refusal> {
        let mut parts: Vec<&str> = Vec::new();
        for part in text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|p| !p.is_empty())
        {
            let mut rest = part;
            while !rest.is_empty() {
                let is_digit = rest.as_bytes()[0].is_ascii_digit();
                let end = rest
                    .find(|c: char| c.is_ascii_digit() != is_digit)
                    .unwrap_or(rest.len());
                parts.push(&rest[..end]);
                rest = &rest[end..];
            }
        }
        let mut found = 0;
        for part in &parts {
            if part.as_bytes()[0].is_ascii_digit() {
                continue;
            }
            match datetime_word(part) {
                Some(Word::Noise) => {}
                Some(Word::Month(month)) if (found | self.seen) & MONTH == 0 => {
                    self.month = month;
                    self.has_month_name = true;
                    found |= MONTH;
                }
                _ => return Err(Refusal::BadFormat),
            }
        }
        for part in parts.iter().filter(|p| p.as_bytes()[0].is_ascii_digit()) {
            let more = self.number(part, self.seen | found)?;
            if more & (self.seen | found) != 0 {
                return Err(Refusal::BadFormat);
            }
            found |= more;
        }
        let all = self.seen | found;
        if all & DATE != DATE && all & (YEAR | DAY_OF_YEAR) != YEAR | DAY_OF_YEAR {
            return Err(Refusal::BadFormat);
        }
        Ok(found)
    }

    /// A number by itself: which part it is depends on what is known and on the order that dates have.
    fn number(&mut self, text: &str, seen: u8) -> Result<u8, Refusal> {
        let (whole, fraction) = match text.split_once('.') {
            None => (text, None),
            Some((whole, fraction)) => (whole, Some(fraction)),
        };
        if whole.is_empty() {
            return Err(Refusal::BadFormat);
        }
        let value: i64 = whole.parse::<i32>().map_err(|_| Refusal::FieldOverflow)?.into();
        if let Some(fraction) = fraction {
            if whole.len() > 2 {
                return self.run_together(text, seen | DATE);
            }
            self.micro = parse_fraction(fraction)?;
        }
        let length = text.len();
        if length == 3 && seen & DATE == YEAR && (1..=366).contains(&value) {
            self.day_of_year = value as u32;
            return Ok(DAY_OF_YEAR | MONTH | DAY);
        }
        let order = self.settings.date_order;
        let part = match (seen & DATE, self.has_month_name) {
            (0, _) if length >= 3 || order == DateOrder::Ymd => YEAR,
            (0, _) if order == DateOrder::Dmy => DAY,
            (0, _) | (YEAR | DAY, false) => MONTH,
            (DAY, _) => MONTH,
            (YEAR, _) => MONTH,
            (MONTH, true) if length >= 3 || order == DateOrder::Ymd => YEAR,
            (MONTH, _) => DAY,
            (MASK_YEAR_MONTH, true) if length >= 3 && self.has_two_digit_year => {
                // The first number was the day after all: `05 Jan 2024` in an order that has the year first.
                self.day = self.year as u32;
                self.year = value;
                self.has_two_digit_year = false;
                return Ok(DAY);
            }
            (MASK_YEAR_MONTH, _) => DAY,
            (MASK_MONTH_DAY, _) => YEAR,
            (DATE, _) => return self.run_together(text, seen),
            _ => return Err(Refusal::BadFormat),
        };
        match part {
            YEAR => {
                self.year = value;
                self.has_two_digit_year = length <= 2;
            }
            MONTH => self.month = value as u32,
            _ => self.day = value as u32,
        }
        Ok(part)
    }

    /// Digits without separators: `20240105`, `240105`, `040506`, `0405`, `040506.789`.
    fn run_together(&mut self, text: &str, seen: u8) -> Result<u8, Refusal> {
        let (digits, fraction) = match text.split_once('.') {
            None => (text, None),
            Some((digits, fraction)) => (digits, Some(fraction)),
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::BadFormat);
        }
        let number = |part: &str| part.parse::<i64>().map_err(|_| Refusal::FieldOverflow);
        let length = digits.len();
        if let Some(fraction) = fraction {
            self.micro = parse_fraction(fraction)?;
        } else if seen & DATE != DATE && length >= 6 && !self.time_only {
            self.day = number(&digits[length - 2..])? as u32;
            self.month = number(&digits[length - 4..length - 2])? as u32;
            self.year = number(&digits[..length - 4])?;
            self.has_two_digit_year = length == 6;
            return Ok(DATE);
        }
        if seen & TIME == 0 && (length == 6 || (length == 4 && fraction.is_none())) {
            self.hour = number(&digits[..2])?;
            self.minute = number(&digits[2..4])?;
            self.second = if length == 6 { number(&digits[4..])? } else { 0 };
            return Ok(TIME);
        }
        Err(Refusal::BadFormat)
    }

    /// `hh:mm`, `hh:mm:ss`, `hh:mm:ss.sss`.
    fn clock(&mut self, text: &str) -> Result<(), Refusal> {
        let (hour, minute, second, micro) = split_clock(text)?;
        (self.hour, self.minute, self.second, self.micro) = (hour, minute, second, micro);
        Ok(())
    }

    pub(super) fn time(&self) -> Result<i64, Refusal> {
        let mut hour = self.hour;
        match self.meridiem {
            Some(_) if hour > 12 => return Err(Refusal::FieldOverflow),
            Some(Meridiem::Am) if hour == 12 => hour = 0,
            Some(Meridiem::Pm) if hour != 12 => hour += 12,
            _ => {}
        }
        if !(0..=59).contains(&self.minute) || !(0..=60).contains(&self.second) {
            return Err(Refusal::FieldOverflow);
        }
        let us = hour * HOUR_US + self.minute * MINUTE_US + self.second * SECOND_US + self.micro;
        if us > DAY_US || hour > 24 {
            return Err(Refusal::FieldOverflow);
        }
        Ok(us)
    }

    /// Checks the date's parts and answers its day. `required`: there must be one.
    pub(super) fn check_date(&self, required: bool) -> Result<i64, Refusal> {
        if let Some(days) = self.days {
            return Ok(days);
        }
        if self.seen & DATE != DATE {
            return if required || self.seen & DATE != 0 {
                Err(Refusal::BadFormat)
            } else {
                Ok(0)
            };
        }
        let year = if self.is_bc {
            if self.year <= 0 {
                return Err(Refusal::FieldOverflow);
            }
            1 - self.year
        } else if self.has_two_digit_year {
            self.year + if self.year < 70 { 2000 } else { 1900 }
        } else if self.year <= 0 {
            return Err(Refusal::FieldOverflow);
        } else {
            self.year
        };
        if self.seen & DAY_OF_YEAR != 0 {
            return Ok(days_from_civil(year, 1, 1) + i64::from(self.day_of_year) - 1);
        }
        if !(1..=12).contains(&self.month) || !(1..=31).contains(&self.day) {
            return Err(Refusal::MonthDayOverflow);
        }
        if self.day > last_day_of_month(year as i32, self.month) || year > 6_000_000 {
            return Err(Refusal::FieldOverflow);
        }
        let civil = Civil {
            year: year as i32,
            month: self.month,
            day: self.day,
            time_us: 0,
        };
        Ok(civil.days())
    }
}
