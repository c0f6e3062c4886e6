//! The texts of clocks: `10:00:05.25`, the fraction by itself, and offsets from UTC such as `+05:30`.

use super::Refusal;

/// Hours (any number), minutes, seconds and microseconds.
pub(super) fn split_clock(text: &str) -> Result<(i64, i64, i64, i64), Refusal> {
    let number = |part: &str| -> Result<i64, Refusal> {
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::BadFormat);
        }
        part.parse::<i32>().map(i64::from).map_err(|_| Refusal::FieldOverflow)
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (hour, minute, second, micro) = match parts.as_slice() {
        [minute, second] if second.contains('.') => {
            let (second, fraction) = second.split_once('.').unwrap_or((second, ""));
            (0, number(minute)?, number(second)?, parse_fraction(fraction)?)
        }
        [hour, minute] => (number(hour)?, number(minute)?, 0, 0),
        [hour, minute, second] => {
            let (second, micro) = match second.split_once('.') {
                None => (number(second)?, 0),
                Some((second, fraction)) => (number(second)?, parse_fraction(fraction)?),
            };
            (number(hour)?, number(minute)?, second, micro)
        }
        _ => return Err(Refusal::BadFormat),
    };
    if minute > 59 || second > 60 {
        return Err(Refusal::FieldOverflow);
    }
    Ok((hour, minute, second, micro))
}

/// The digits after the point as microseconds, rounded.
pub(super) fn parse_fraction(digits: &str) -> Result<i64, Refusal> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::BadFormat);
    }
    let mut micro = 0;
    for at in 0..6 {
        micro = micro * 10 + digits.as_bytes().get(at).map_or(0, |d| i64::from(d - b'0'));
    }
    // PostgreSQL rounds the fraction as a double, half to even.
    let rest = &digits.as_bytes()[digits.len().min(6)..];
    let up = match rest.first() {
        None | Some(b'0'..=b'4') => false,
        Some(b'5') if rest[1..].iter().all(|d| *d == b'0') => micro % 2 == 1,
        Some(_) => true,
    };
    Ok(micro + i64::from(up))
}

/// `+05`, `-0330`, `+05:30`, `+05:30:15` as seconds east of UTC.
pub(super) fn parse_offset(text: &str) -> Result<i32, Refusal> {
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => return Err(Refusal::BadFormat),
    };
    let number = |part: &str| -> Result<i32, Refusal> {
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::BadFormat);
        }
        part.parse().map_err(|_| Refusal::ZoneOverflow)
    };
    let parts: Vec<&str> = rest.split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [all] if all.len() > 2 => (number(&all[..all.len() - 2])?, number(&all[all.len() - 2..])?, 0),
        [hour] => (number(hour)?, 0, 0),
        [hour, minute] => (number(hour)?, number(minute)?, 0),
        [hour, minute, second] => (number(hour)?, number(minute)?, number(second)?),
        _ => return Err(Refusal::BadFormat),
    };
    if hour > 15 || minute > 59 || second > 59 {
        return Err(Refusal::ZoneOverflow);
    }
    Ok(sign * (hour * 3600 + minute * 60 + second))
}
