//! Time zones: by name, by abbreviation, by offset, and in POSIX's spelling.

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::SECOND_US;
use crate::{SqlError, SqlState};

/// A zone: one of the tz database, or so many seconds east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Of the tz database.
    Named(Tz),
    /// Seconds east of UTC.
    Fixed(i32),
}

impl Zone {
    /// Seconds east of UTC at an instant, given in microseconds since 1970 UTC.
    pub fn offset_at(self, utc_us: i64) -> i32 {
        match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(Tz::UTC) => 0,
            Zone::Named(tz) => match naive(utc_us) {
                Some(naive) => tz.offset_from_utc_datetime(&naive).fix().local_minus_utc(),
                None => 0,
            },
        }
    }

    /// The wall clock's reading at an instant.
    pub fn to_local(self, utc_us: i64) -> i128 {
        i128::from(utc_us) + i128::from(self.offset_at(utc_us)) * i128::from(SECOND_US)
    }

    /// The instant at which the wall clock reads this. As in PostgreSQL, a reading that a change of the clocks
    /// skips counts by the offset before the change, and one that it repeats by the offset after it: standard time.
    pub fn to_utc(self, local_us: i64) -> i128 {
        let seconds = match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(Tz::UTC) => 0,
            Zone::Named(tz) => match naive(local_us) {
                None => 0,
                Some(reading) => {
                    use chrono::offset::LocalResult;
                    match tz.offset_from_local_datetime(&reading) {
                        LocalResult::Single(offset) => offset.fix().local_minus_utc(),
                        LocalResult::Ambiguous(_, later) => later.fix().local_minus_utc(),
                        LocalResult::None => Zone::Named(tz).offset_at(local_us.saturating_sub(86_400 * SECOND_US)),
                    }
                }
            },
        };
        i128::from(local_us) - i128::from(seconds) * i128::from(SECOND_US)
    }

    /// The abbreviation in force at an instant: `CET`, or the offset when the zone has none.
    pub fn abbreviation_at(self, utc_us: i64) -> String {
        if let (Zone::Named(tz), Some(naive)) = (self, naive(utc_us)) {
            let offset = tz.offset_from_utc_datetime(&naive);
            return chrono_tz::OffsetName::abbreviation(&offset).map_or_else(|| offset.to_string(), str::to_string);
        }
        let mut text = Vec::new();
        super::write::write_offset(self.offset_at(utc_us), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn naive(us: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(us.div_euclid(SECOND_US), 0).map(|t| t.naive_utc())
}

/// The zone of this name in the tz database, in any case.
pub fn named_zone(name: &str) -> Option<Tz> {
    if let Ok(tz) = name.parse::<Tz>() {
        return Some(tz);
    }
    TZ_VARIANTS
        .iter()
        .find(|tz| tz.name().eq_ignore_ascii_case(name))
        .copied()
}

/// The zone that `AT TIME ZONE` and `SET TimeZone` would take by this text: an abbreviation, a name, or POSIX's
/// spelling, in which a positive offset is west of Greenwich.
pub fn parse_zone(text: &str) -> Option<Zone> {
    if let Some(seconds) = abbreviation(text) {
        return Some(Zone::Fixed(seconds));
    }
    if let Some(tz) = named_zone(text) {
        return Some(Zone::Named(tz));
    }
    let offset = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let letters = text.len() - offset.len();
    if offset.is_empty() || (letters > 0 && letters < 3) {
        return None;
    }
    let (sign, digits) = match offset.strip_prefix('-') {
        Some(digits) => (1, digits),
        None => (-1, offset.strip_prefix('+').unwrap_or(offset)),
    };
    Some(Zone::Fixed(sign * parse_clock(digits)?))
}

/// `hh`, `hh:mm` or `hh:mm:ss` as seconds.
fn parse_clock(text: &str) -> Option<i32> {
    let mut seconds = 0;
    let mut unit = 3600;
    for part in text.split(':') {
        if unit == 0 || part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        seconds += part.parse::<i32>().ok()? * unit;
        unit /= 60;
    }
    (seconds <= 168 * 3600).then_some(seconds)
}

/// `time zone "x" not recognized`.
pub fn unknown(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("time zone \"{name}\" not recognized"),
    )
}

/// The offset of an abbreviation of PostgreSQL's default set, in seconds east of UTC.
pub fn abbreviation(word: &str) -> Option<i32> {
    let quarters = match word.to_ascii_lowercase().as_str() {
        "utc" | "gmt" | "z" | "zulu" | "ut" | "uct" | "wet" => 0,
        "bst" | "cet" | "met" | "west" => 4,
        "cest" | "mest" | "cetdst" | "metdst" | "eet" | "sast" | "ist2" => 8,
        "eest" | "eetdst" | "msk" | "eat" => 12,
        "msd" | "gst" => 16,
        "irt" => 14,
        "aft" => 18,
        "pkt" | "uzt" | "mvt" => 20,
        "ist" => 8,
        "npt" => 23,
        "bdt" | "almt" => 24,
        "mmt" => 26,
        "ict" | "wib" => 28,
        "hkt" | "sgt" | "pht" | "awst" | "wita" => 32,
        "jst" | "kst" | "wit" => 36,
        "acst" => 38,
        "aest" | "chst" => 40,
        "acdt" => 42,
        "aedt" => 44,
        "nzst" => 48,
        "nzdt" => 52,
        "azot" => -4,
        "fnt" => -8,
        "brt" | "art" | "uyt" | "gft" | "adt" => -12,
        "ndt" => -10,
        "nst" | "nft" => -14,
        "ast" | "edt" | "clt" | "pyt" | "amt" | "bot" => -16,
        "est" | "cdt" | "pet" | "cot" | "act" => -20,
        "cst" | "mdt" | "galt" => -24,
        "mst" | "pdt" => -28,
        "pst" | "akdt" => -32,
        "akst" => -36,
        "hst" => -40,
        _ => return None,
    };
    Some(quarters * 900)
}
