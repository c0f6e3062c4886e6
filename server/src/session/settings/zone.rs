//! Time zones by name or by offset. Names are those of the IANA database, in any case. An offset stands for the zone
//! that has just that offset: `Etc/GMT` for whole hours, and for the others a place that has kept it since 1950.

use std::str::FromStr;

use chrono_tz::{TZ_VARIANTS, Tz};

/// Minutes east of Greenwich that are not whole hours, and a place that keeps them.
const PLACES: &[(i32, Tz)] = &[
    (-570, Tz::Pacific__Marquesas),
    (270, Tz::Asia__Kabul),
    (330, Tz::Asia__Kolkata),
    (345, Tz::Asia__Kathmandu),
    (390, Tz::Asia__Yangon),
    (525, Tz::Australia__Eucla),
    (570, Tz::Australia__Darwin),
];

/// The zone's name as the database spells it.
pub(super) fn canonical(value: &str) -> Option<String> {
    let value = value.trim().trim_matches('\'').trim();
    if let Some(minutes) = offset_minutes(value) {
        return fixed(minutes);
    }
    // POSIX: a name of no meaning, and an offset that counts westwards.
    if let Some((_, offset)) = value.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        return offset_minutes(offset).and_then(|minutes| fixed(-minutes));
    }
    if value.eq_ignore_ascii_case("default") || value.eq_ignore_ascii_case("local") || value.eq_ignore_ascii_case("z") {
        return Some("UTC".to_string());
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

/// `-8`, `+00:00`, `05:30`, `5.5`: minutes, where the text is hours.
fn offset_minutes(value: &str) -> Option<i32> {
    let (hours, minutes) = value.split_once(':').unwrap_or((value, "0"));
    let negative = hours.starts_with('-');
    let hours: f64 = hours.parse().ok()?;
    let minutes: f64 = minutes.split(':').next()?.parse().ok()?;
    let total = hours * 60.0 + if negative { -minutes } else { minutes };
    (total.fract() == 0.0 && (-840.0..=840.0).contains(&total)).then_some(total as i32)
}

/// `Etc/GMT-5` is five hours east: the database counts westwards, as POSIX does.
fn fixed(minutes: i32) -> Option<String> {
    if minutes == 0 {
        return Some("UTC".to_string());
    }
    if minutes % 60 != 0 {
        let place = PLACES.iter().find(|(offset, _)| *offset == minutes)?;
        return Some(place.1.name().to_string());
    }
    let name = format!("Etc/GMT{:+}", -minutes / 60);
    Tz::from_str(&name).ok().map(|tz| tz.name().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_in_any_case_and_by_offset() {
        for (value, name) in [
            ("europe/berlin", Some("Europe/Berlin")),
            ("+00:00", Some("UTC")),
            ("<+00>-00", Some("UTC")),
            ("<+02>-02", Some("Etc/GMT-2")),
            ("-8", Some("Etc/GMT+8")),
            ("5", Some("Etc/GMT-5")),
            ("+05:30", Some("Asia/Kolkata")),
            ("-9:30", Some("Pacific/Marquesas")),
            ("<+05:30>-05:30", Some("Asia/Kolkata")),
            ("99", None),
            ("Nowhere/Land", None),
        ] {
            assert_eq!(canonical(value).as_deref(), name, "{value}");
        }
    }
}
