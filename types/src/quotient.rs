//! Division of numerics, as PostgreSQL rounds it: at least 16 significant digits, counted in groups of four
//! (`select_div_scale` in its `numeric.c`). Quotients and averages everywhere come from here, so that a view and its
//! query run as a batch agree to the last digit.

use arrow::datatypes::i256;

use crate::text::numeric::{divide_rounded, power_of_ten, rescale, trimmed_scale};

/// The scale of [`QUOTIENT`](crate::QUOTIENT).
const SCALE: i32 = 24;

/// `a / b` as a [`QUOTIENT`](crate::QUOTIENT). `a` and `b` are unscaled, of scales `s1` and `s2`; `b` is not zero.
/// `least_scale` is the greater of the scales that the two are shown with: the quotient has no fewer digits.
/// `None` when the result is too large.
pub fn quotient(a: i256, s1: i32, b: i256, s2: i32, least_scale: i32) -> Option<i256> {
    let digits = quotient_digits(a, s1, b, s2, least_scale);
    rescale(divide_finite(a, b, digits + s2 - s1)?, digits, SCALE)
}

/// How many digits after the point [`quotient`] rounds at.
pub fn quotient_digits(a: i256, s1: i32, b: i256, s2: i32, least_scale: i32) -> i32 {
    division_scale(a, s1, b, s2).max(least_scale).clamp(0, SCALE)
}

/// `sum / count` as a [`QUOTIENT`](crate::QUOTIENT), for an average over values of scale `scale`, which keep their
/// trailing zeros if `is_constrained`. `None` when the result is too large.
pub fn average(sum: i256, scale: i32, is_constrained: bool, count: i64) -> Option<i256> {
    let shown = if is_constrained {
        scale
    } else {
        trimmed_scale(sum, scale)
    };
    quotient(sum, scale, i256::from_i128(i128::from(count)), 0, shown)
}

/// How many digits a number has before and after the point: 0 for zero.
fn digit_count(value: i256) -> i32 {
    let value = value.wrapping_abs();
    if let Some(small) = value.to_i128() {
        return small.checked_ilog10().map_or(0, |n| n as i32 + 1);
    }
    let mut digits = 39;
    while power_of_ten(digits).is_some_and(|limit| value >= limit) {
        digits += 1;
    }
    digits as i32
}

/// The weight of the first base-10000 digit, and that digit, as PostgreSQL stores numerics.
fn weight_and_first_digit(value: i256, scale: i32) -> (i32, i64) {
    let digits = digit_count(value);
    if digits == 0 {
        return (0, 0);
    }
    let exponent = digits - 1 - scale;
    let weight = exponent.div_euclid(4);
    let leading = exponent.rem_euclid(4) + 1;
    let value = value.wrapping_abs();
    let first = match power_of_ten((digits - leading).unsigned_abs()) {
        Some(power) if digits >= leading => value / power,
        Some(power) => value.wrapping_mul(power),
        None => i256::ZERO,
    };
    (weight, first.to_i128().unwrap_or(0) as i64)
}

/// PostgreSQL's `select_div_scale`, without the scales of the arguments: at least 16 significant digits.
fn division_scale(a: i256, s1: i32, b: i256, s2: i32) -> i32 {
    let (weight1, first1) = weight_and_first_digit(a, s1);
    let (weight2, first2) = weight_and_first_digit(b, s2);
    let mut weight = weight1 - weight2;
    if first1 <= first2 {
        weight -= 1;
    }
    16 - weight * 4
}

/// `a * 10^shift / b`, rounded half away from zero.
fn divide_finite(a: i256, b: i256, shift: i32) -> Option<i256> {
    let (mut a, mut b) = (a, b);
    if b < i256::ZERO {
        (a, b) = (a.wrapping_neg(), b.wrapping_neg());
    }
    if shift < 0 {
        let b = b.checked_mul(power_of_ten(shift.unsigned_abs())?)?;
        return Some(divide_rounded(a, b));
    }
    if let Some(scaled) = power_of_ten(shift as u32).and_then(|p| a.checked_mul(p)) {
        return Some(divide_rounded(scaled, b));
    }
    // Long division: digits in pieces, so that no remainder outgrows 256 bits.
    let mut quotient = a / b;
    let mut rest = a % b;
    let mut left = shift as u32;
    while left > 0 {
        let room = (1..=left.min(18)).rev().find_map(|n| {
            let power = power_of_ten(n)?;
            rest.checked_mul(power).map(|scaled| (n, power, scaled))
        });
        let Some((digits, power, scaled)) = room else {
            // The divisor alone nearly fills 256 bits: its last digit is beyond what a result can show.
            rest /= i256::from_i128(10);
            b /= i256::from_i128(10);
            continue;
        };
        quotient = quotient.checked_mul(power)?.checked_add(scaled / b)?;
        rest = scaled % b;
        left -= digits;
    }
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    if twice >= b {
        quotient = quotient.checked_add(if a < i256::ZERO { i256::MINUS_ONE } else { i256::ONE })?;
    }
    Some(quotient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::numeric::{DisplayScale, Numeric, write_numeric};

    fn shown(a: i128, s1: i32, b: i128, s2: i32) -> String {
        let value = quotient(i256::from_i128(a), s1, i256::from_i128(b), s2, s1.max(s2)).expect("small");
        let mut text = Vec::new();
        write_numeric(Numeric::Finite(value), SCALE, DisplayScale::Quotient, &mut text);
        String::from_utf8(text).expect("digits")
    }

    #[test]
    fn quotients_are_those_of_postgresql() {
        assert_eq!(shown(1, 0, 3, 0), "0.33333333333333333333");
        assert_eq!(shown(10, 0, 4, 0), "2.5000000000000000");
        assert_eq!(shown(5, 0, 3, 0), "1.6666666666666667");
        assert_eq!(shown(-5, 0, 3, 0), "-1.6666666666666667");
        assert_eq!(shown(123_456_789, 2, 7, 0), "176366.841428571429");
        assert_eq!(shown(1, 0, 20_000, 0), "0.000050000000000000000000");
        assert_eq!(shown(i128::MAX / 10, 0, 3, 0), "5671372782015641057722910123862803524");
    }

    #[test]
    fn a_numerator_that_fills_256_bits_is_divided_in_pieces() {
        let a = power_of_ten(75).expect("76 digits fit");
        let third = divide_finite(a, i256::from_i128(3), 0).expect("it fits");
        assert_eq!(third.to_string(), "3".repeat(75));
        assert_eq!(divide_finite(a, a, 24), power_of_ten(24));
    }
}
