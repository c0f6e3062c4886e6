//! The templates of `to_char` that lay out no digits: Roman numerals (`RN`) and powers of ten (`EEEE`).

use highwater_types::text::numeric::{DisplayScale, Numeric, rescale, write_numeric};

/// The width of a Roman numeral.
const ROMAN_WIDTH: usize = 15;

/// From 1 to 3999, at the right of 15 places unless FM is asked for.
pub(crate) fn roman(number: Numeric, scale: i32, capitals: bool, fills: bool) -> String {
    const LETTERS: [(i128, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let whole = match number {
        Numeric::Finite(value) => rescale(value, scale, 0).and_then(|v| v.to_i128()),
        Numeric::NaN | Numeric::Infinity | Numeric::NegInfinity => None,
    };
    let Some(mut rest) = whole.filter(|n| (1..=3999).contains(n)) else {
        return "#".repeat(ROMAN_WIDTH);
    };
    let mut out = String::new();
    for (worth, letters) in LETTERS {
        while rest >= worth {
            out.push_str(letters);
            rest -= worth;
        }
    }
    if !capitals {
        out = out.to_lowercase();
    }
    match fills {
        true => format!("{out:>ROMAN_WIDTH$}"),
        false => out,
    }
}

/// `1.23e+04`, with so many digits after the point. A blank stands for the plus of a positive number.
pub(crate) fn scientific(number: Numeric, scale: i32, fraction_width: usize, has_sign: bool) -> String {
    let Numeric::Finite(value) = number else {
        return format!(" #.{}", "#".repeat(fraction_width + 4));
    };
    let mut text = Vec::new();
    write_numeric(Numeric::Finite(value), scale.max(0), DisplayScale::Full, &mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let is_negative = text.starts_with('-');
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let (mut digits, mut exponent) = match digits.is_empty() {
        true => (vec![0u8], 0),
        false => (
            digits.bytes().map(|b| b - b'0').collect::<Vec<u8>>(),
            digits.len() as i32 - 1 - scale.max(0),
        ),
    };
    let wanted = fraction_width + 1;
    if digits.len() > wanted {
        let rounds_up = digits[wanted] >= 5;
        digits.truncate(wanted);
        if rounds_up && increment(&mut digits) {
            exponent += 1;
        }
    }
    digits.resize(wanted, 0);
    let shown: String = digits.iter().map(|d| char::from(b'0' + d)).collect();
    let (first, rest) = shown.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    with_exponent(&format!("{first}{point}{rest}"), exponent, is_negative, has_sign)
}

/// The same of a double, rounded as C's `printf` rounds it.
pub(crate) fn scientific_float(value: f64, fraction_width: usize, has_sign: bool) -> String {
    let text = format!("{:.fraction_width$e}", value.abs());
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    with_exponent(digits, exponent, value.is_sign_negative(), has_sign)
}

fn with_exponent(digits: &str, exponent: i32, is_negative: bool, has_sign: bool) -> String {
    let sign = match (is_negative, has_sign) {
        (true, _) => "-",
        (false, true) => "",
        (false, false) => " ",
    };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{digits}e{exponent_sign}{:02}", exponent.abs())
}

/// Adds one to the last digit; whether a digit more was needed, and the last one dropped for it.
fn increment(digits: &mut [u8]) -> bool {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return false;
        }
        *digit = 0;
    }
    if let Some(first) = digits.first_mut() {
        *first = 1;
    }
    true
}
