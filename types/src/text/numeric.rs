//! Decimals: numbers of up to 76 digits with a scale, and their NaN and infinities.
//!
//! Arrow's decimals have no NaN and no infinity. The integers beyond the largest precision stand for them:
//! the greatest is NaN, the one below it Infinity, the least -Infinity. They sort as PostgreSQL sorts them.

use arrow::datatypes::{DataType, i256};

use super::{invalid_syntax, is_space};
use crate::{QUOTIENT, SqlError, SqlState, UNCONSTRAINED_NUMERIC};

/// NaN in a `Decimal128`.
pub const NAN_128: i128 = i128::MAX;
/// Infinity in a `Decimal128`.
pub const INFINITY_128: i128 = i128::MAX - 1;
/// -Infinity in a `Decimal128`.
pub const NEG_INFINITY_128: i128 = i128::MIN;
/// NaN in a `Decimal256`.
pub const NAN_256: i256 = i256::MAX;
/// Infinity in a `Decimal256`.
pub const INFINITY_256: i256 = i256::from_parts(u128::MAX - 1, i128::MAX);
/// -Infinity in a `Decimal256`.
pub const NEG_INFINITY_256: i256 = i256::MIN;

/// The largest scale that is added to reach PostgreSQL's 16 significant digits: the scale of [`QUOTIENT`].
const QUOTIENT_SCALE: i32 = 24;

/// A numeric on its way between widths: finite with a scale kept elsewhere, or one of the three others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numeric {
    /// The unscaled value.
    Finite(i256),
    /// Not a number.
    NaN,
    /// Greater than every finite one.
    Infinity,
    /// Less than every finite one.
    NegInfinity,
}

impl Numeric {
    /// What a `Decimal128` holds.
    pub fn from_128(value: i128) -> Numeric {
        match value {
            NAN_128 => Numeric::NaN,
            INFINITY_128 => Numeric::Infinity,
            NEG_INFINITY_128 => Numeric::NegInfinity,
            finite => Numeric::Finite(i256::from_i128(finite)),
        }
    }

    /// What a `Decimal256` holds.
    pub fn from_256(value: i256) -> Numeric {
        match value {
            NAN_256 => Numeric::NaN,
            INFINITY_256 => Numeric::Infinity,
            NEG_INFINITY_256 => Numeric::NegInfinity,
            finite => Numeric::Finite(finite),
        }
    }

    /// As a `Decimal128` holds it; `None` when it is too large for one.
    pub fn to_128(self) -> Option<i128> {
        match self {
            Numeric::Finite(value) => value.to_i128().filter(|v| v.unsigned_abs() < 10u128.pow(38)),
            Numeric::NaN => Some(NAN_128),
            Numeric::Infinity => Some(INFINITY_128),
            Numeric::NegInfinity => Some(NEG_INFINITY_128),
        }
    }

    /// As a `Decimal256` holds it.
    pub fn to_256(self) -> i256 {
        match self {
            Numeric::Finite(value) => value,
            Numeric::NaN => NAN_256,
            Numeric::Infinity => INFINITY_256,
            Numeric::NegInfinity => NEG_INFINITY_256,
        }
    }
}

/// 10 to this power; `None` beyond what 256 bits hold.
pub fn power_of_ten(exponent: u32) -> Option<i256> {
    if exponent <= 38 {
        return Some(i256::from_i128(10i128.pow(exponent)));
    }
    (exponent <= 76).then(|| i256::from_i128(10i128.pow(38)).wrapping_mul(i256::from_i128(10i128.pow(exponent - 38))))
}

/// The unscaled value moved from one scale to another, rounding half away from zero.
/// `None` when it becomes too large.
pub fn rescale(value: i256, from: i32, to: i32) -> Option<i256> {
    if from == to || value == i256::ZERO {
        return Some(value);
    }
    if to > from {
        return value.checked_mul(power_of_ten((to - from) as u32)?);
    }
    let Some(divisor) = power_of_ten((from - to) as u32) else {
        return Some(i256::ZERO);
    };
    Some(divide_rounded(value, divisor))
}

/// `value / divisor`, rounded half away from zero. `divisor` is positive.
pub fn divide_rounded(value: i256, divisor: i256) -> i256 {
    if let (Some(v), Some(d)) = (value.to_i128(), divisor.to_i128()) {
        let (quotient, rest) = (v / d, v % d);
        let up = rest.unsigned_abs() >= d.unsigned_abs() - rest.unsigned_abs();
        return i256::from_i128(quotient + if up { v.signum() } else { 0 });
    }
    let quotient = value / divisor;
    let rest = (value % divisor).wrapping_abs();
    if rest >= divisor.wrapping_sub(rest) {
        quotient.wrapping_add(if value < i256::ZERO { i256::MINUS_ONE } else { i256::ONE })
    } else {
        quotient
    }
}

/// The scale without trailing zeros.
pub fn trimmed_scale(value: i256, scale: i32) -> i32 {
    let ten = i256::from_i128(10);
    let (mut value, mut scale) = (value, scale);
    while scale > 0 && value % ten == i256::ZERO {
        value /= ten;
        scale -= 1;
    }
    scale
}

/// How many digits are written after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisplayScale {
    /// All of the scale.
    Full,
    /// As many as are not trailing zeros.
    Trimmed,
    /// PostgreSQL's at least 16 significant digits of a division.
    Quotient,
}

impl DisplayScale {
    /// How numerics of this Arrow type are written.
    pub fn of(data_type: &DataType) -> DisplayScale {
        if *data_type == QUOTIENT {
            DisplayScale::Quotient
        } else if *data_type == UNCONSTRAINED_NUMERIC {
            DisplayScale::Trimmed
        } else {
            DisplayScale::Full
        }
    }
}

/// Writes a numeric of this scale.
pub fn write_numeric(value: Numeric, scale: i32, display: DisplayScale, out: &mut Vec<u8>) {
    let finite = match value {
        Numeric::NaN => return out.extend_from_slice(b"NaN"),
        Numeric::Infinity => return out.extend_from_slice(b"Infinity"),
        Numeric::NegInfinity => return out.extend_from_slice(b"-Infinity"),
        Numeric::Finite(finite) => finite,
    };
    let mut buffer = [0u8; 80];
    let mut digits = digits_of(finite, &mut buffer);
    let mut scale = scale;
    let wanted = match display {
        DisplayScale::Full => scale,
        DisplayScale::Trimmed => significant_scale(digits, scale),
        DisplayScale::Quotient => quotient_scale(digits, scale),
    };
    while scale > wanted && scale > 0 {
        // Only zeros are dropped here: the scales above keep every digit that counts.
        digits = &digits[..digits.len().saturating_sub(1)];
        scale -= 1;
    }
    if finite < i256::ZERO {
        out.push(b'-');
    }
    write_digits(digits, scale, out);
}

fn write_digits(digits: &[u8], scale: i32, out: &mut Vec<u8>) {
    if scale <= 0 {
        if digits.is_empty() {
            return out.push(b'0');
        }
        out.extend_from_slice(digits);
        return out.extend(std::iter::repeat_n(b'0', scale.unsigned_abs() as usize));
    }
    let scale = scale as usize;
    if digits.len() <= scale {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', scale - digits.len()));
        out.extend_from_slice(digits);
    } else {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

/// The decimal digits of the absolute value; none for zero.
fn digits_of(value: i256, buffer: &mut [u8; 80]) -> &[u8] {
    let mut at = buffer.len();
    let (mut low, mut rest) = match value.to_i128() {
        Some(small) => (small.unsigned_abs(), i256::ZERO),
        None => {
            let limb = i256::from_i128(10i128.pow(38));
            // The least value has no positive twin, so the sign is taken off after the division.
            let low = (value % limb).wrapping_abs().as_i128().unsigned_abs();
            (low, (value / limb).wrapping_abs())
        }
    };
    let mut more = rest != i256::ZERO;
    loop {
        let stop = if more { buffer.len() - 38 } else { 0 };
        while low > 0 || (more && at > stop) {
            at -= 1;
            buffer[at] = b'0' + (low % 10) as u8;
            low /= 10;
        }
        if !more {
            return &buffer[at..];
        }
        more = false;
        low = rest.as_i128().unsigned_abs();
        rest = i256::ZERO;
    }
}

/// The scale without trailing zeros.
fn significant_scale(digits: &[u8], scale: i32) -> i32 {
    if digits.is_empty() {
        return 0;
    }
    let zeros = digits.iter().rev().take_while(|d| **d == b'0').count() as i32;
    (scale - zeros).max(0)
}

/// The scale that PostgreSQL shows for a division with this result: at least 16 significant digits, counted in
/// groups of four as its `select_div_scale` does.
fn quotient_scale(digits: &[u8], scale: i32) -> i32 {
    let exponent = digits.len() as i32 - 1 - scale;
    let mut weight = if digits.is_empty() { -1 } else { exponent.div_euclid(4) };
    // A quotient of exactly 1 has equal leading digits above and below, which PostgreSQL takes for less than 1.
    let is_power = digits.first() == Some(&b'1') && digits[1..].iter().all(|d| *d == b'0');
    if is_power && exponent.rem_euclid(4) == 0 {
        weight -= 1;
    }
    let shown = (16 - 4 * weight).clamp(0, QUOTIENT_SCALE.min(scale.max(0)));
    shown.max(significant_scale(digits, scale))
}

/// Reads a numeric as a type with this precision and scale holds it; `precision` is `None` when the type sets
/// no bound of its own.
///
/// # Errors
/// 22P02 when it is not a number, 22003 when the type does not hold it.
pub fn parse_numeric(text: &str, precision: Option<u8>, scale: i8) -> Result<Numeric, SqlError> {
    let bytes = text.as_bytes();
    let start = bytes.iter().position(|b| !is_space(*b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| !is_space(*b)).map_or(start, |at| at + 1);
    let word = &bytes[start..end];
    let (negative, rest) = match word {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if rest.first().is_some_and(|b| b.is_ascii_alphabetic()) {
        return parse_special(rest, negative, word.len() != rest.len(), precision, scale)
            .unwrap_or_else(|| Err(invalid_syntax("numeric", text)));
    }
    let number = Decimal::parse(rest).ok_or_else(|| invalid_syntax("numeric", text))?;
    let unscaled = number.to_scale(i32::from(scale)).ok_or_else(|| match precision {
        None => overflow(),
        Some(precision) => field_overflow(precision, scale),
    })?;
    let value = Numeric::Finite(if negative { unscaled.wrapping_neg() } else { unscaled });
    check_precision(value, precision, scale)
}

/// Refuses a value with more digits than the type has room for.
///
/// # Errors
/// 22003 when it does not fit.
pub fn check_precision(value: Numeric, precision: Option<u8>, scale: i8) -> Result<Numeric, SqlError> {
    let Numeric::Finite(finite) = value else {
        return match (value, precision) {
            (Numeric::NaN, _) | (_, None) => Ok(value),
            (_, Some(precision)) => Err(field_overflow(precision, scale).with_detail(format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            ))),
        };
    };
    let limit = power_of_ten(u32::from(precision.unwrap_or(76))).expect("a precision is at most 76");
    if finite >= limit || finite <= limit.wrapping_neg() {
        return Err(match precision {
            None => overflow(),
            Some(precision) => field_overflow(precision, scale),
        });
    }
    Ok(value)
}

/// `value overflows numeric format`.
pub fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

/// `numeric field overflow`, with the type's bound.
pub fn field_overflow(precision: u8, scale: i8) -> SqlError {
    let exponent = i32::from(precision) - i32::from(scale);
    let bound = if exponent == 0 {
        "1".to_string()
    } else {
        format!("10^{exponent}")
    };
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").with_detail(format!(
        "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
    ))
}

fn parse_special(
    word: &[u8],
    negative: bool,
    signed: bool,
    precision: Option<u8>,
    scale: i8,
) -> Option<Result<Numeric, SqlError>> {
    let value = match word.to_ascii_lowercase().as_slice() {
        b"nan" if !signed => Numeric::NaN,
        b"infinity" | b"inf" if negative => Numeric::NegInfinity,
        b"infinity" | b"inf" => Numeric::Infinity,
        _ => return None,
    };
    Some(check_precision(value, precision, scale))
}

/// The parts of a number's text: digits, of which `fraction` stand after the point, and an exponent.
struct Decimal<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i32,
}

impl<'a> Decimal<'a> {
    fn parse(word: &'a [u8]) -> Option<Decimal<'a>> {
        let (mantissa, exponent) = match word.iter().position(|b| matches!(b, b'e' | b'E')) {
            None => (word, 0),
            Some(at) => (&word[..at], parse_exponent(&word[at + 1..])?),
        };
        let (whole, fraction) = match mantissa.iter().position(|b| *b == b'.') {
            None => (mantissa, &mantissa[..0]),
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        };
        let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
        (all_digits && whole.len() + fraction.len() > 0).then_some(Decimal {
            whole,
            fraction,
            exponent,
        })
    }

    /// The unscaled value at this scale, rounded half away from zero; `None` when it is too large.
    fn to_scale(&self, scale: i32) -> Option<i256> {
        // How many of the digits come before the cut.
        let kept = self.whole.len() as i64 + i64::from(self.exponent) + i64::from(scale);
        let mut digits = self.whole.iter().chain(self.fraction);
        let mut wide = i256::ZERO;
        let mut narrow: i128 = 0;
        let mut taken: i64 = 0;
        while taken < kept {
            let digit = digits.next().map_or(0, |d| i128::from(d - b'0'));
            if wide == i256::ZERO && narrow < 10i128.pow(36) {
                narrow = narrow * 10 + digit;
            } else {
                if wide == i256::ZERO {
                    wide = i256::from_i128(narrow);
                }
                wide = wide
                    .checked_mul(i256::from_i128(10))?
                    .checked_add(i256::from_i128(digit))?;
            }
            taken += 1;
        }
        let value = if wide == i256::ZERO {
            i256::from_i128(narrow)
        } else {
            wide
        };
        let rounds_up = kept >= 0 && digits.next().is_some_and(|d| *d >= b'5');
        if rounds_up {
            value.checked_add(i256::ONE)
        } else {
            Some(value)
        }
    }
}

fn parse_exponent(text: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let exponent = text.parse::<i32>().ok()?;
    (exponent.abs() < 100_000).then_some(exponent)
}
