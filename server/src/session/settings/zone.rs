//! Time zones by name or by offset. Names are those of the IANA database, in any case; an offset in whole hours
//! stands for the `Etc/GMT` zone of that offset, which has no name of its own in PostgreSQL.

use std::str::FromStr;

use chrono_tz::{TZ_VARIANTS, Tz};

/// The zone's name as the database spells it.
pub(super) fn canonical(value: &str) -> Option<String> {
    let value = value.trim().trim_matches('\'').trim();
    if let Some(hours) = offset_hours(value) {
        return fixed(hours);
    }
    match value.to_ascii_lowercase().as_str() {
        "default" | "local" | "z" => return Some("UTC".to_string()),
        _ => {}
    }
    TZ_VARIANTS
        .iter()
        .find(|tz| tz.name().eq_ignore_ascii_case(value))
        .map(|tz| tz.name().to_string())
}

/// The zone of a canonical name.
pub(super) fn parse(canonical: &str) -> Tz {
    Tz::from_str(canonical).unwrap_or(Tz::UTC)
}

/// `-8`, `+00:00`, `05`, `5.0`: hours east of Greenwich. What is not whole hours is not answered.
fn offset_hours(value: &str) -> Option<i32> {
    let (hours, rest) = match value.split_once(':') {
        Some((hours, rest)) => (hours, rest),
        None => (value, ""),
    };
    let whole_minutes = rest.chars().all(|c| c == '0' || c == ':');
    let hours: f64 = hours.parse().ok()?;
    (whole_minutes && hours.fract() == 0.0 && (-14.0..=14.0).contains(&hours)).then_some(hours as i32)
}

/// `Etc/GMT-5` is five hours east: the database counts westwards, as POSIX does.
fn fixed(hours: i32) -> Option<String> {
    let name = match hours {
        0 => "UTC".to_string(),
        hours if (-12..=14).contains(&hours) => format!("Etc/GMT{:+}", -hours),
        _ => return None,
    };
    Tz::from_str(&name).ok().map(|tz| tz.name().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_in_any_case_and_by_offset() {
        assert_eq!(canonical("europe/berlin").as_deref(), Some("Europe/Berlin"));
        assert_eq!(canonical("+00:00").as_deref(), Some("UTC"));
        assert_eq!(canonical("-8").as_deref(), Some("Etc/GMT+8"));
        assert_eq!(canonical("5").as_deref(), Some("Etc/GMT-5"));
        assert_eq!(canonical("Nowhere/Land"), None);
    }
}
