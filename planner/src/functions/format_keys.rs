//! The patterns of `to_char`, `to_date` and `to_timestamp`: what the keywords of a template mean.

/// A field of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Hour12,
    Hour24,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    /// So many digits of the second's fraction.
    Fraction(usize),
    SecondsOfDay,
    /// With points.
    Meridiem(bool),
    /// The last so many digits.
    Year(usize),
    YearWithComma,
    IsoYear(usize),
    /// With points.
    Era(bool),
    MonthName,
    MonthShort,
    Month,
    MonthRoman,
    DayName,
    DayShort,
    DayOfYear,
    IsoDayOfYear,
    Day,
    DayOfWeek,
    IsoDayOfWeek,
    WeekOfMonth,
    WeekOfYear,
    IsoWeek,
    Century,
    Julian,
    Quarter,
    ZoneName,
    ZoneHour,
    ZoneMinute,
    Offset,
}

/// How a name is to be written, after how its keyword is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Upper,
    Lower,
    Title,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Field {
        key: Key,
        case: Case,
        /// FM: no padding.
        fills: bool,
        /// TH or th.
        ordinal: Option<Case>,
    },
}

/// Keywords, longer ones before those that they begin with.
const KEYS: &[(&str, Key)] = &[
    ("A.D.", Key::Era(true)),
    ("A.M.", Key::Meridiem(true)),
    ("AD", Key::Era(false)),
    ("AM", Key::Meridiem(false)),
    ("B.C.", Key::Era(true)),
    ("BC", Key::Era(false)),
    ("CC", Key::Century),
    ("DAY", Key::DayName),
    ("DDD", Key::DayOfYear),
    ("DD", Key::Day),
    ("DY", Key::DayShort),
    ("D", Key::DayOfWeek),
    ("FF1", Key::Fraction(1)),
    ("FF2", Key::Fraction(2)),
    ("FF3", Key::Fraction(3)),
    ("FF4", Key::Fraction(4)),
    ("FF5", Key::Fraction(5)),
    ("FF6", Key::Fraction(6)),
    ("HH24", Key::Hour24),
    ("HH12", Key::Hour12),
    ("HH", Key::Hour12),
    ("IDDD", Key::IsoDayOfYear),
    ("ID", Key::IsoDayOfWeek),
    ("IW", Key::IsoWeek),
    ("IYYY", Key::IsoYear(4)),
    ("IYY", Key::IsoYear(3)),
    ("IY", Key::IsoYear(2)),
    ("I", Key::IsoYear(1)),
    ("J", Key::Julian),
    ("MI", Key::Minute),
    ("MM", Key::Month),
    ("MONTH", Key::MonthName),
    ("MON", Key::MonthShort),
    ("MS", Key::Millisecond),
    ("OF", Key::Offset),
    ("P.M.", Key::Meridiem(true)),
    ("PM", Key::Meridiem(false)),
    ("Q", Key::Quarter),
    ("RM", Key::MonthRoman),
    ("SSSSS", Key::SecondsOfDay),
    ("SSSS", Key::SecondsOfDay),
    ("SS", Key::Second),
    ("TZH", Key::ZoneHour),
    ("TZM", Key::ZoneMinute),
    ("TZ", Key::ZoneName),
    ("US", Key::Microsecond),
    ("WW", Key::WeekOfYear),
    ("W", Key::WeekOfMonth),
    ("Y,YYY", Key::YearWithComma),
    ("YYYY", Key::Year(4)),
    ("YYY", Key::Year(3)),
    ("YY", Key::Year(2)),
    ("Y", Key::Year(1)),
];

/// Cuts a template to parts.
pub(crate) fn parse(template: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (mut after, mut fills) = (rest, true);
        for (prefix, is_fill) in [("FM", true), ("fm", true), ("TM", false), ("tm", false)] {
            if let Some(tail) = after.strip_prefix(prefix) {
                fills &= !is_fill;
                after = tail;
            }
        }
        if let Some((key, written, tail)) = keyword(after) {
            let (ordinal, tail) = match tail.get(..2) {
                Some("TH") => (Some(Case::Upper), &tail[2..]),
                Some("th") => (Some(Case::Lower), &tail[2..]),
                _ => (None, tail),
            };
            parts.push(Part::Field {
                key,
                case: case_of(written),
                fills,
                ordinal,
            });
            rest = tail;
            continue;
        }
        let mut chars = after.chars();
        match chars.next() {
            Some('"') => {
                let mut text = String::new();
                loop {
                    match chars.next() {
                        None | Some('"') => break,
                        Some('\\') => text.extend(chars.next()),
                        Some(c) => text.push(c),
                    }
                }
                push_text(&mut parts, &text);
            }
            Some('\\') if chars.as_str().starts_with('"') => {
                chars.next();
                push_text(&mut parts, "\"");
            }
            Some(c) => push_text(&mut parts, c.encode_utf8(&mut [0; 4])),
            None => {}
        }
        rest = chars.as_str();
    }
    parts
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_string())),
    }
}

fn keyword(text: &str) -> Option<(Key, &str, &str)> {
    KEYS.iter().find_map(|(name, key)| {
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name)
            .then(|| (*key, head, &text[name.len()..]))
    })
}

fn case_of(written: &str) -> Case {
    let mut letters = written.chars().filter(char::is_ascii_alphabetic);
    match (letters.next(), letters.next()) {
        (Some(first), _) if first.is_ascii_lowercase() => Case::Lower,
        (Some(_), Some(second)) if second.is_ascii_lowercase() => Case::Title,
        _ => Case::Upper,
    }
}

/// The months, in English.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The days of the week, from Sunday.
pub(crate) const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
/// The months in Roman numerals.
pub(crate) const ROMAN_MONTHS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// A name in a case.
pub(crate) fn in_case(name: &str, case: Case) -> String {
    match case {
        Case::Upper => name.to_uppercase(),
        Case::Lower => name.to_lowercase(),
        Case::Title => name.to_string(),
    }
}
