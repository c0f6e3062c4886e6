//! Floats: the shortest text that reads back as the same value, laid out as C's `%g` would.

use std::fmt::Write as _;

use super::{invalid_syntax, trim};
use crate::{SqlError, SqlState};

/// Writes a double. Above 0, `extra_digits` asks for the shortest exact text; else for 15 digits and that many more.
pub fn write_f64(value: f64, extra_digits: i32, out: &mut Vec<u8>) {
    if write_special(value, out) {
        return;
    }
    let mut text = String::with_capacity(24);
    let digits = (15 + extra_digits).max(1);
    let written = match extra_digits > 0 {
        true => write!(text, "{value:e}"),
        false => write!(text, "{value:.*e}", digits as usize - 1),
    };
    written.expect("writing to a string cannot fail");
    lay_out(
        &text,
        if extra_digits > 0 { 15 } else { digits },
        extra_digits <= 0,
        out,
    );
}

/// Writes a single: as [`write_f64`], with 6 digits for 15.
pub fn write_f32(value: f32, extra_digits: i32, out: &mut Vec<u8>) {
    if write_special(f64::from(value), out) {
        return;
    }
    let mut text = String::with_capacity(24);
    let digits = (6 + extra_digits).max(1);
    let written = match extra_digits > 0 {
        true => write!(text, "{value:e}"),
        false => write!(text, "{value:.*e}", digits as usize - 1),
    };
    written.expect("writing to a string cannot fail");
    lay_out(&text, if extra_digits > 0 { 6 } else { digits }, extra_digits <= 0, out);
}

fn write_special(value: f64, out: &mut Vec<u8>) -> bool {
    let text: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value == f64::INFINITY {
        b"Infinity"
    } else if value == f64::NEG_INFINITY {
        b"-Infinity"
    } else if value == 0.0 {
        if value.is_sign_negative() { b"-0" } else { b"0" }
    } else {
        return false;
    };
    out.extend_from_slice(text);
    true
}

/// From Rust's `-1.25e-7` to PostgreSQL's layout: plain for exponents from -4 up to below `precision`, else with an
/// exponent of at least two digits. `trim` drops trailing zeros.
fn lay_out(text: &str, precision: i32, trim: bool, out: &mut Vec<u8>) {
    let (mantissa, exponent) = text.split_once('e').expect("LowerExp writes an exponent");
    let exponent: i32 = exponent.parse().expect("LowerExp's exponent is an integer");
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    if trim {
        while digits.len() > 1 && digits.last() == Some(&b'0') {
            digits.pop();
        }
    }
    if negative {
        out.push(b'-');
    }
    if !(-4..precision).contains(&exponent) {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend_from_slice(&digits);
    } else {
        let whole = exponent as usize + 1;
        for at in 0..whole.max(digits.len()) {
            if at == whole {
                out.push(b'.');
            }
            out.push(digits.get(at).copied().unwrap_or(b'0'));
        }
    }
}

/// Reads a double.
///
/// # Errors
/// 22P02 when it is not a number, 22003 when it is too large or too small to hold.
pub fn parse_f64(text: &str) -> Result<f64, SqlError> {
    let word = trim(text);
    let value: f64 = parse_float(word).ok_or_else(|| invalid_syntax("double precision", text))?;
    if lost(word, value) {
        return Err(out_of_range(word, "double precision"));
    }
    Ok(value)
}

/// Reads a single.
///
/// # Errors
/// As [`parse_f64`].
pub fn parse_f32(text: &str) -> Result<f32, SqlError> {
    let word = trim(text);
    let value: f32 = parse_float(word).ok_or_else(|| invalid_syntax("real", text))?;
    if lost(word, f64::from(value)) {
        return Err(out_of_range(word, "real"));
    }
    Ok(value)
}

fn parse_float<F: std::str::FromStr>(word: &str) -> Option<F> {
    // Rust's reader takes all that PostgreSQL's takes, short of hexadecimal.
    word.parse::<F>().ok()
}

/// Whether digits were given and the value came out as infinite or zero all the same.
fn lost(word: &str, value: f64) -> bool {
    let mantissa = word.split(['e', 'E']).next().unwrap_or(word);
    if value == 0.0 {
        mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b))
    } else {
        value.is_infinite() && mantissa.bytes().any(|b| b.is_ascii_digit())
    }
}

fn out_of_range(word: &str, type_name: &str) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("\"{word}\" is out of range for type {type_name}"),
    )
}
