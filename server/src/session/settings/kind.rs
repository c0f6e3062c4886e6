//! [`Kind`]: which values a setting takes, and the one spelling each value is kept in.

use highwater_types::{SqlError, SqlState};

use super::zone;

/// Which values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Anything.
    Text,
    /// Anything, cut to the length of an identifier, with `?` for what is not printable ASCII.
    ShortText,
    /// on or off, in all of PostgreSQL's spellings.
    Bool,
    /// A boolean whose other value is not built.
    AlwaysOn,
    /// A whole number, perhaps with a unit. Kept in the unit given here.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
        /// What it counts.
        unit: Unit,
    },
    /// A number.
    Real {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// One of these words, in any case.
    Words(&'static [&'static str]),
    /// Names, separated by commas, each quoted where it must be.
    NameList,
    /// A zone of the IANA database, or an offset in hours.
    TimeZone,
    /// An output style and an order of day, month and year.
    DateStyle,
    /// UTF8.
    Encoding,
}

/// What an integer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Nothing that has a unit.
    None,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Kilobytes.
    Kilobytes,
}

impl Unit {
    /// The units that may be written, as multiples (or, below one, fractions) of this one; the largest first.
    fn factors(self) -> &'static [(&'static str, f64)] {
        match self {
            Unit::None => &[],
            Unit::Milliseconds => &[
                ("d", 86_400_000.0),
                ("h", 3_600_000.0),
                ("min", 60_000.0),
                ("s", 1000.0),
                ("ms", 1.0),
                ("us", 0.001),
            ],
            Unit::Seconds => &[
                ("d", 86_400.0),
                ("h", 3600.0),
                ("min", 60.0),
                ("s", 1.0),
                ("ms", 0.001),
                ("us", 0.000_001),
            ],
            Unit::Kilobytes => &[
                ("TB", 1_073_741_824.0),
                ("GB", 1_048_576.0),
                ("MB", 1024.0),
                ("kB", 1.0),
                ("B", 0.000_976_562_5),
            ],
        }
    }

    /// The name `pg_settings.unit` gives.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Unit::None => None,
            Unit::Milliseconds => Some("ms"),
            Unit::Seconds => Some("s"),
            Unit::Kilobytes => Some("kB"),
        }
    }
}

impl Kind {
    /// The value in the spelling it is kept in.
    ///
    /// # Errors
    /// 22023 when the setting does not take it.
    pub(super) fn canonical(self, name: &str, value: &str) -> Result<String, SqlError> {
        match self {
            Kind::Text => Ok(value.to_string()),
            Kind::ShortText => Ok(value
                .chars()
                .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
                .take(63)
                .collect()),
            Kind::Bool => match boolean(value) {
                Some(on) => Ok(on_off(on)),
                None => Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("parameter \"{name}\" requires a Boolean value"),
                )),
            },
            Kind::AlwaysOn => match boolean(value) {
                Some(true) => Ok(on_off(true)),
                Some(false) => Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("parameter \"{name}\" cannot be turned off"),
                )
                .with_hint("Write E'...' where a string needs backslash escapes.")),
                None => Err(invalid(name, value)),
            },
            Kind::Integer { min, max, unit } => integer(name, value, min, max, unit).map(|v| v.to_string()),
            Kind::Real { min, max } => {
                let number: f64 = value.trim().parse().map_err(|_| invalid(name, value))?;
                if number < min || number > max || number.is_nan() {
                    return Err(outside(
                        name,
                        &number.to_string(),
                        &min.to_string(),
                        &max.to_string(),
                        "",
                    ));
                }
                Ok(number.to_string())
            }
            Kind::Words(words) => words
                .iter()
                .find(|word| word.eq_ignore_ascii_case(value.trim()))
                .map(|word| (*word).to_string())
                .or_else(|| boolean_word(words, value))
                .ok_or_else(|| invalid(name, value).with_hint(format!("Available values: {}.", words.join(", ")))),
            Kind::NameList => {
                let names =
                    split_names(value).ok_or_else(|| invalid(name, value).with_detail("List syntax is invalid."))?;
                let quoted: Vec<String> = names.iter().map(|n| quote_name(n)).collect();
                Ok(quoted.join(", "))
            }
            Kind::TimeZone => zone::canonical(value).ok_or_else(|| invalid(name, value)),
            Kind::DateStyle => date_style(name, value),
            Kind::Encoding => encoding(name, value),
        }
    }

    /// How SHOW writes the value: integers in the largest unit that divides them.
    pub(super) fn shown(self, value: &str) -> String {
        let Kind::Integer { unit, .. } = self else {
            return value.to_string();
        };
        let number: i64 = value.parse().unwrap_or(0);
        if number <= 0 {
            return value.to_string();
        }
        for (suffix, factor) in unit.factors() {
            let factor = *factor as i64;
            if factor >= 1 && number % factor == 0 {
                return format!("{}{suffix}", number / factor);
            }
        }
        value.to_string()
    }

    /// `pg_settings.vartype`.
    pub(super) fn vartype(self) -> &'static str {
        match self {
            Kind::Bool | Kind::AlwaysOn => "bool",
            Kind::Integer { .. } => "integer",
            Kind::Real { .. } => "real",
            Kind::Words(_) => "enum",
            Kind::Text | Kind::ShortText | Kind::NameList | Kind::TimeZone | Kind::DateStyle | Kind::Encoding => {
                "string"
            }
        }
    }
}

/// The error for a value a setting does not take.
pub(super) fn invalid(name: &str, value: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": \"{value}\""),
    )
}

fn outside(name: &str, value: &str, min: &str, max: &str, unit: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("{value}{unit} is outside the valid range for parameter \"{name}\" ({min}{unit} .. {max}{unit})"),
    )
}

fn on_off(on: bool) -> String {
    if on { "on".to_string() } else { "off".to_string() }
}

/// PostgreSQL's `parse_bool`: unique prefixes of true, false, yes, no; on, off, of; 1, 0.
pub(super) fn boolean(value: &str) -> Option<bool> {
    let value = value.trim().to_ascii_lowercase();
    if value.is_empty() {
        return None;
    }
    if "true".starts_with(&value) || "yes".starts_with(&value) || value == "on" || value == "1" {
        Some(true)
    } else if "false".starts_with(&value) || "no".starts_with(&value) || value == "off" || value == "of" || value == "0"
    {
        Some(false)
    } else {
        None
    }
}

/// Enumerations that have `on` and `off` among their words take every boolean.
fn boolean_word(words: &[&str], value: &str) -> Option<String> {
    let word = on_off(boolean(value)?);
    words.contains(&word.as_str()).then_some(word)
}

fn integer(name: &str, value: &str, min: i64, max: i64, unit: Unit) -> Result<i64, SqlError> {
    let value = value.trim();
    let split = value
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E')))
        .unwrap_or(value.len());
    let (digits, suffix) = value.split_at(split);
    let number: f64 = digits.parse().map_err(|_| invalid(name, value))?;
    let suffix = suffix.trim();
    let factor = if suffix.is_empty() {
        1.0
    } else {
        let known = unit.factors();
        known
            .iter()
            .find(|(word, _)| *word == suffix)
            .map(|(_, factor)| *factor)
            .ok_or_else(|| {
                let words: Vec<&str> = known.iter().rev().map(|(word, _)| *word).collect();
                let error = invalid(name, value);
                if words.is_empty() {
                    error
                } else {
                    error.with_hint(format!("Valid units for this parameter are {}.", words.join(", ")))
                }
            })?
    };
    let number = (number * factor).round();
    if !number.is_finite() || number < min as f64 || number > max as f64 {
        let unit = unit.name().map(|u| format!(" {u}")).unwrap_or_default();
        return Err(outside(
            name,
            &number.to_string(),
            &min.to_string(),
            &max.to_string(),
            &unit,
        ));
    }
    Ok(number as i64)
}

fn date_style(name: &str, value: &str) -> Result<String, SqlError> {
    let mut style = None;
    let mut order = None;
    for word in value.split(',').map(|w| w.trim().to_ascii_uppercase()) {
        match word.as_str() {
            "ISO" => style = Some("ISO"),
            "SQL" | "POSTGRES" | "GERMAN" => {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("DateStyle \"{word}\" is not supported"),
                )
                .with_hint("Use ISO."));
            }
            "MDY" | "US" | "NONEURO" | "NONEUROPEAN" => order = Some("MDY"),
            "DMY" | "EURO" | "EUROPEAN" => order = Some("DMY"),
            "YMD" => order = Some("YMD"),
            "DEFAULT" => {}
            _ => return Err(invalid(name, value)),
        }
    }
    Ok(format!("{}, {}", style.unwrap_or("ISO"), order.unwrap_or("MDY")))
}

/// Clients send `UTF8`, `utf-8`, `'utf-8'` with its quotes, `UNICODE`.
fn encoding(name: &str, value: &str) -> Result<String, SqlError> {
    let plain: String = value
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    match plain.as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_string()),
        "sqlascii" => Ok("SQL_ASCII".to_string()),
        "latin1" | "iso88591" | "latin9" | "iso885915" | "win1252" | "windows1252" | "win1251" | "win1250" => {
            Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("conversion between {value} and UTF8 is not supported"),
            )
            .with_hint("Set client_encoding to UTF8."))
        }
        _ => Err(invalid(name, value)),
    }
}

/// Splits a list of names as PostgreSQL's `SplitIdentifierString` does: unquoted names fold to lower case.
pub(super) fn split_names(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim_start();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = quoted_name(quoted)?;
            name = text;
            rest = after.trim_start();
        } else {
            let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            name = rest[..end].to_lowercase();
            rest = rest[end..].trim_start();
        }
        names.push(name);
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

/// The name up to its closing quote, and what follows; `""` inside stands for one quote.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, rest)),
        }
    }
}

/// A name, quoted unless it is lower case already.
pub(super) fn quote_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain {
        name.to_string()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}
