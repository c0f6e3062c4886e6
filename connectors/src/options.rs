//! [`Options`]: a connector's options, read by name and type, none left over.
//!
//! A connector asks for each option it knows; [`Options::finish`] then refuses what nobody asked for and names the
//! nearest of what was asked for. `.`, `-` and `_` are the same in a name, so `rows-per-second` of Flink,
//! `nexmark.table.type` of RisingWave and ours can all be typed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::str::FromStr;

use arrow::array::AsArray;
use arrow::datatypes::{IntervalMonthDayNanoType, TimestampMicrosecondType};
use highwater_types::text::{TextSettings, parse_column};
use highwater_types::{IntervalParts, SqlType};

use crate::ConnectorError;

/// Options still to be read, and the names asked for so far.
pub(crate) struct Options {
    connector: &'static str,
    /// By normalised name: the name as written, and the value.
    left: RefCell<BTreeMap<String, (String, String)>>,
    /// Every name asked for: what hints choose from.
    known: RefCell<Vec<String>>,
}

impl Options {
    /// # Errors
    /// When two names are the same option.
    pub(crate) fn try_new(
        connector: &'static str,
        given: &BTreeMap<String, String>,
    ) -> Result<Options, ConnectorError> {
        let mut left: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (name, value) in given {
            let same = left.insert(normal(name), (name.clone(), value.clone()));
            if let Some((first, _)) = same {
                return Err(ConnectorError::DuplicateOption {
                    first,
                    second: name.clone(),
                });
            }
        }
        Ok(Options {
            connector,
            left: RefCell::new(left),
            known: RefCell::default(),
        })
    }

    /// An option's text, under the first of these names; the others are other systems' names for it.
    ///
    /// # Errors
    /// When it is given under two of them.
    pub(crate) fn text(&self, names: &[&str]) -> Result<Option<String>, ConnectorError> {
        Ok(self.take(names)?.map(|(_, value)| value))
    }

    /// A number that must be within bounds.
    pub(crate) fn number<T: FromStr + PartialOrd + std::fmt::Display>(
        &self,
        names: &[&str],
        bounds: std::ops::RangeInclusive<T>,
    ) -> Result<Option<T>, ConnectorError> {
        let Some((option, value)) = self.take(names)? else {
            return Ok(None);
        };
        match value.trim().parse() {
            Ok(number) if bounds.contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => {
                let expected = format!("A number from {} to {}.", bounds.start(), bounds.end());
                Err(invalid(option, value, &expected))
            }
        }
    }

    /// true or false, in any of PostgreSQL's spellings.
    pub(crate) fn flag(&self, names: &[&str]) -> Result<Option<bool>, ConnectorError> {
        let Some((option, value)) = self.take(names)? else {
            return Ok(None);
        };
        match highwater_types::text::parse_bool(&value) {
            Ok(flag) => Ok(Some(flag)),
            Err(_) => Err(invalid(option, value, "true or false.")),
        }
    }

    /// A single ASCII character.
    pub(crate) fn character(&self, names: &[&str]) -> Result<Option<u8>, ConnectorError> {
        let Some((option, value)) = self.take(names)? else {
            return Ok(None);
        };
        match value.as_bytes() {
            [one] if one.is_ascii() && *one != b'\n' && *one != b'\r' => Ok(Some(*one)),
            br"\t" => Ok(Some(b'\t')),
            _ => Err(invalid(option, value, "A single one-byte character.")),
        }
    }

    /// A timestamp, in microseconds since 1970.
    pub(crate) fn timestamp_us(&self, names: &[&str]) -> Result<Option<i64>, ConnectorError> {
        let Some((option, value)) = self.take(names)? else {
            return Ok(None);
        };
        let column = parse_one(&SqlType::Timestamp, &value);
        match column {
            Some(column) => Ok(Some(column.as_primitive::<TimestampMicrosecondType>().value(0))),
            None => Err(invalid(option, value, "A timestamp such as 2024-01-31 12:00:00.")),
        }
    }

    /// An interval without months, in microseconds; a bare number is in milliseconds.
    pub(crate) fn interval_us(&self, names: &[&str]) -> Result<Option<i64>, ConnectorError> {
        let Some((option, value)) = self.take(names)? else {
            return Ok(None);
        };
        if let Ok(millis) = value.trim().parse::<u32>() {
            return Ok(Some(i64::from(millis) * 1000));
        }
        let parsed = parse_one(&SqlType::Interval, &value)
            .map(|column| IntervalParts::from(column.as_primitive::<IntervalMonthDayNanoType>().value(0)));
        let micros = parsed
            .filter(|parts| parts.months == 0)
            .and_then(|parts| {
                i64::from(parts.days)
                    .checked_mul(86_400_000_000)?
                    .checked_add(parts.micros)
            })
            .filter(|micros| *micros >= 0);
        match micros {
            Some(micros) => Ok(Some(micros)),
            None => Err(invalid(
                option,
                value,
                "An interval without months, such as 1 day, and not negative.",
            )),
        }
    }

    /// One of a few words, in any case.
    pub(crate) fn word(&self, names: &[&str], words: &[&'static str]) -> Result<Option<&'static str>, ConnectorError> {
        let Some((option, value)) = self.take(names)? else {
            return Ok(None);
        };
        match words.iter().find(|word| word.eq_ignore_ascii_case(value.trim())) {
            Some(word) => Ok(Some(word)),
            None => {
                let mut expected = format!("One of: {}.", words.join(", "));
                if let Some(nearest) = nearest(&value, words.iter().copied()) {
                    expected = format!("Did you mean {nearest:?}? {expected}");
                }
                Err(invalid(option, value, &expected))
            }
        }
    }

    /// Refuses whatever nobody asked for.
    ///
    /// # Errors
    /// The first option left, with the nearest known one.
    pub(crate) fn finish(self) -> Result<(), ConnectorError> {
        let left = self.left.into_inner();
        let Some((name, (option, _))) = left.into_iter().next() else {
            return Ok(());
        };
        let mut known = self.known.into_inner();
        known.sort();
        known.dedup();
        Err(ConnectorError::UnknownOption {
            connector: self.connector,
            option,
            nearest: nearest(&name, known.iter().map(String::as_str)),
            known,
        })
    }

    fn take(&self, names: &[&str]) -> Result<Option<(String, String)>, ConnectorError> {
        self.known.borrow_mut().extend(names.iter().map(|n| (*n).to_string()));
        let mut found: Option<(String, String)> = None;
        for name in names {
            if let Some((written, value)) = self.left.borrow_mut().remove(&normal(name)) {
                if let Some((first, _)) = found {
                    return Err(ConnectorError::DuplicateOption { first, second: written });
                }
                found = Some((written, value));
            }
        }
        Ok(found)
    }
}

/// An error about a value.
pub(crate) fn invalid(option: String, value: String, expected: &str) -> ConnectorError {
    ConnectorError::InvalidOption {
        option,
        value,
        expected: expected.to_string(),
    }
}

/// The one of `names` that comes nearest to `given`, when one is near: at most a third of its letters differ.
pub(crate) fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = normal(given);
    let scored = names.into_iter().map(|name| (distance(&wanted, &normal(name)), name));
    let (distance, name) = scored.min()?;
    (distance <= (wanted.len().max(3)) / 3).then(|| name.to_string())
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace(['.', '-'], "_")
}

/// How many letters must be put in, left out, changed or swapped with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j - 1] + same).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

fn parse_one(sql_type: &SqlType, text: &str) -> Option<arrow::array::ArrayRef> {
    parse_column(sql_type, &mut std::iter::once(Some(text)), &TextSettings::default()).ok()
}

#[cfg(test)]
mod tests {
    use highwater_types::SqlError;

    use super::*;

    fn options(given: &[(&str, &str)]) -> Options {
        let given = given
            .iter()
            .map(|(k, v)| ((*k).to_string(), (*v).to_string()))
            .collect();
        Options::try_new("test", &given).expect("no option twice")
    }

    #[test]
    fn a_misspelt_option_names_the_nearest() {
        let options = options(&[("rows_pre_second", "5")]);
        assert_eq!(
            options.number::<u64>(&["rows_per_second"], 1..=9).expect("absent"),
            None
        );
        assert_eq!(options.text(&["seed"]).expect("absent"), None);
        let error = SqlError::from(options.finish().expect_err("one is left"));
        assert_eq!(error.message, "connector test has no option \"rows_pre_second\"");
        assert_eq!(error.hint.as_deref(), Some("Did you mean \"rows_per_second\"?"));
    }

    #[test]
    fn dots_dashes_and_underscores_are_the_same_and_may_not_be_mixed() {
        let flink = options(&[("rows-per-second", "5")]);
        assert_eq!(flink.number(&["rows_per_second"], 1..=9).expect("a number"), Some(5));
        let given = BTreeMap::from([("a.b".to_string(), String::new()), ("a_b".to_string(), String::new())]);
        assert!(matches!(
            Options::try_new("test", &given),
            Err(ConnectorError::DuplicateOption { .. })
        ));
        let both = options(&[("count", "1"), ("event.num", "2")]);
        assert!(matches!(
            both.text(&["count", "event_num"]),
            Err(ConnectorError::DuplicateOption { .. })
        ));
    }

    #[test]
    fn a_value_out_of_bounds_says_what_is_expected() {
        let error = options(&[("n", "0")]).number(&["n"], 1..=9).expect_err("out of bounds");
        assert_eq!(SqlError::from(error).hint.as_deref(), Some("A number from 1 to 9."));
    }

    #[test]
    fn intervals_are_text_or_milliseconds() {
        let one = |text: &str| options(&[("i", text)]).interval_us(&["i"]);
        assert_eq!(one("250").expect("a number"), Some(250_000));
        assert_eq!(one("1 day 2 seconds").expect("an interval"), Some(86_402_000_000));
        assert!(one("1 month").is_err());
        assert!(one("-1 second").is_err());
    }

    #[test]
    fn nothing_near_gives_no_hint() {
        assert_eq!(nearest("zzz", ["rate", "seed"]), None);
        assert_eq!(nearest("raet", ["rate", "seed"]), Some("rate".to_string()));
    }
}
