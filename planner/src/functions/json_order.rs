//! `jsonb_sort_key`: bytes that compare as PostgreSQL compares jsonb values.
//!
//! Object > array > boolean > number > string > null; arrays and objects of more parts are greater than those of fewer;
//! numbers compare by what they are worth. On top, a scalar counts as an array of one that is less than a true one, so
//! that an empty array is the least of all (`compareJsonbContainers` in PostgreSQL).

use highwater_types::text::json::Json;

/// The key of a value.
pub(crate) fn sort_key(json: &Json) -> Vec<u8> {
    let mut key = Vec::new();
    match json {
        Json::Object(_) => push(json, &mut key),
        Json::Array(elements) => {
            key.push(0);
            push_count(elements.len(), &mut key);
            key.push(1);
            elements.iter().for_each(|e| push(e, &mut key));
        }
        scalar => {
            key.push(0);
            push_count(1, &mut key);
            key.push(0);
            push(scalar, &mut key);
        }
    }
    key
}

fn push_count(count: usize, key: &mut Vec<u8>) {
    key.extend_from_slice(&(count as u32).to_be_bytes());
}

fn push_text(text: &str, key: &mut Vec<u8>) {
    // No text in a jsonb holds a zero byte.
    key.extend_from_slice(text.as_bytes());
    key.push(0);
}

fn push(json: &Json, key: &mut Vec<u8>) {
    match json {
        Json::Null => key.push(1),
        Json::String(text) => {
            key.push(2);
            push_text(text, key);
        }
        Json::Number(number) => {
            key.push(3);
            push_number(number, key);
        }
        Json::Bool(value) => key.extend_from_slice(&[4, u8::from(*value)]),
        Json::Array(elements) => {
            key.push(5);
            push_count(elements.len(), key);
            elements.iter().for_each(|e| push(e, key));
        }
        Json::Object(members) => {
            key.push(6);
            push_count(members.len(), key);
            for (name, value) in members {
                push_text(name, key);
                push(value, key);
            }
        }
    }
}

/// Sign, power of ten and digits; of a negative number with all bits turned.
fn push_number(number: &str, key: &mut Vec<u8>) {
    let (is_negative, magnitude) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match magnitude.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(0)),
        None => (magnitude, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let digits = digits.trim_matches('0');
    if digits.is_empty() {
        key.push(1);
        return;
    }
    let power = whole.len() as i32 + exponent - leading as i32;
    let mut bytes = vec![2];
    bytes.extend_from_slice(&((power as u32) ^ (1 << 31)).to_be_bytes());
    bytes.extend_from_slice(digits.as_bytes());
    bytes.push(0);
    match is_negative {
        false => key.extend(bytes),
        true => {
            key.push(0);
            key.extend(bytes.iter().skip(1).map(|b| !b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_postgresql_sorts_the_values() {
        let sorted = [
            "[]",
            "null",
            "\"\"",
            "\"a\"",
            "\"ab\"",
            "-100",
            "-2",
            "-1.5",
            "0",
            "0.001",
            "0.5",
            "1",
            "2",
            "10",
            "99",
            "100",
            "false",
            "true",
            "[null]",
            "[1]",
            "[[]]",
            "[{}]",
            "[1, 2]",
            "{}",
            "{\"a\": 1}",
            "{\"a\": 2}",
        ];
        let keys: Vec<Vec<u8>> = sorted
            .iter()
            .map(|text| sort_key(&Json::parse(text).expect(text)))
            .collect();
        for (at, pair) in keys.windows(2).enumerate() {
            assert!(pair[0] < pair[1], "{} < {}", sorted[at], sorted[at + 1]);
        }
        let key = |text: &str| sort_key(&Json::parse(text).expect(text));
        assert_eq!(key("1.0"), key("1"));
        assert_eq!(key("100"), key("1e2"));
    }
}
