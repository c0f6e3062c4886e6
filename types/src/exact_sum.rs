//! [`ExactFloatSum`]: a sum of floating-point numbers without rounding on the way. The answer is the true sum,
//! rounded once; so it does not depend on the order of the numbers, and taking a number out again leaves exactly
//! what was there before it came. A sum that rounds at each step has neither property, and a view over it would
//! drift away from its own query.
//!
//! The numbers are added as integers, scaled by a power of two, in bins of 64 binary digits (after Kulisch's
//! accumulator). Numbers of like size share one bin, which stands in the struct; more bins, and counts of NaN and
//! the infinities, are allocated when needed. Bounded by 34 bins. Cost: one 128-bit addition a number.

/// A sum that can be taken apart again.
#[derive(Debug, Clone, Default)]
pub struct ExactFloatSum {
    first: i128,
    /// The bin of `first`, counted from 1; 0 while there is none.
    first_bin: u8,
    rest: Option<Box<Rest>>,
}

#[derive(Debug, Clone, Default)]
struct Rest {
    bins: Vec<(u8, i128)>,
    nan_count: i64,
    /// Of +infinity and -infinity.
    infinite_counts: [i64; 2],
}

/// Binary digits of a bin.
const BIN_BITS: i32 = 64;
/// The unit is 2^-UNIT. It is finer than the least number, so that the bins' edges lie at 2^-20 and 2^44 rather
/// than within a range that is much in use.
const UNIT: i32 = 1096;
/// Bins that there can be, with room for carries.
const BIN_COUNT: usize = 37;

impl ExactFloatSum {
    /// Adds a number `weight` times; a negative weight takes it out.
    pub fn add(&mut self, number: f64, weight: i64) {
        if !number.is_finite() {
            let rest = self.rest.get_or_insert_default();
            match number.is_nan() {
                true => rest.nan_count += weight,
                false => rest.infinite_counts[usize::from(number < 0.0)] += weight,
            }
            return;
        }
        let bits = number.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as i32;
        let fraction = (bits & ((1 << 52) - 1)) as i128;
        let (digits, place) = match exponent {
            0 => (fraction, UNIT - 1074),
            _ => (fraction | (1 << 52), UNIT - 1075 + exponent),
        };
        let digits = if number.is_sign_negative() { -digits } else { digits };
        let (bin, shift) = ((place / BIN_BITS) as u8 + 1, place % BIN_BITS);
        match (digits << shift).checked_mul(i128::from(weight)) {
            Some(term) => self.add_to_bin(bin, term),
            None => {
                let product = digits * i128::from(weight);
                self.add_to_bin(bin, i128::from(product as u64) << shift);
                self.add_to_bin(bin + 1, (product >> BIN_BITS) << shift);
            }
        }
    }

    /// Adds all that another sum holds.
    pub fn merge(&mut self, other: &ExactFloatSum) {
        self.add_to_bin_if_any(other.first_bin, other.first);
        let Some(rest) = &other.rest else { return };
        for (bin, sum) in &rest.bins {
            self.add_to_bin_if_any(*bin, *sum);
        }
        if rest.nan_count != 0 || rest.infinite_counts != [0, 0] {
            let own = self.rest.get_or_insert_default();
            own.nan_count += rest.nan_count;
            own.infinite_counts[0] += rest.infinite_counts[0];
            own.infinite_counts[1] += rest.infinite_counts[1];
        }
    }

    fn add_to_bin_if_any(&mut self, bin: u8, sum: i128) {
        if bin > 0 && sum != 0 {
            self.add_to_bin(bin, sum);
        }
    }

    /// The sum, rounded to the nearest number; `None` when it is finite but too large for one.
    pub fn value(&self) -> Option<f64> {
        if let Some(rest) = &self.rest {
            let [plus, minus] = rest.infinite_counts;
            if rest.nan_count > 0 || (plus > 0 && minus > 0) {
                return Some(f64::NAN);
            }
            if plus > 0 || minus > 0 {
                return Some(if plus > 0 { f64::INFINITY } else { f64::NEG_INFINITY });
            }
        }
        let alone = self.rest.as_ref().is_none_or(|r| r.bins.is_empty());
        if alone && (3..=32).contains(&self.first_bin) {
            let scale = i32::from(self.first_bin - 1) * BIN_BITS - UNIT + 1023;
            return Some(self.first as f64 * f64::from_bits((scale as u64) << 52));
        }
        self.round()
    }

    /// The state as bytes, for [`ExactFloatSum::from_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let rest = self.rest.as_deref().cloned().unwrap_or_default();
        let mut bytes = Vec::with_capacity(24 + 17 * (1 + rest.bins.len()));
        for count in [rest.nan_count, rest.infinite_counts[0], rest.infinite_counts[1]] {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        for (bin, sum) in std::iter::once((self.first_bin, self.first)).chain(rest.bins) {
            bytes.push(bin);
            bytes.extend_from_slice(&sum.to_le_bytes());
        }
        bytes
    }

    /// The mirror of [`ExactFloatSum::to_bytes`]; `None` when the bytes are not its.
    pub fn from_bytes(bytes: &[u8]) -> Option<ExactFloatSum> {
        let (counts, bins) = bytes.split_at_checked(24)?;
        if bins.is_empty() || bins.len() % 17 != 0 {
            return None;
        }
        let mut counts = counts
            .chunks_exact(8)
            .map(|c| i64::from_le_bytes(c.try_into().expect("chunks of eight bytes")));
        let mut bins = bins.chunks_exact(17).map(|c| {
            (
                c[0],
                i128::from_le_bytes(c[1..].try_into().expect("chunks of 1 and 16 bytes")),
            )
        });
        let (first_bin, first) = bins.next()?;
        let rest = Rest {
            nan_count: counts.next()?,
            infinite_counts: [counts.next()?, counts.next()?],
            bins: bins.collect(),
        };
        let plain = rest.bins.is_empty() && rest.nan_count == 0 && rest.infinite_counts == [0, 0];
        Some(ExactFloatSum {
            first,
            first_bin,
            rest: (!plain).then(|| Box::new(rest)),
        })
    }

    fn add_to_bin(&mut self, bin: u8, term: i128) {
        if self.first_bin == 0 {
            self.first_bin = bin;
        }
        let sum = if self.first_bin == bin {
            &mut self.first
        } else {
            let bins = &mut self.rest.get_or_insert_default().bins;
            let at = match bins.iter().position(|(b, _)| *b == bin) {
                Some(at) => at,
                None => {
                    bins.push((bin, 0));
                    bins.len() - 1
                }
            };
            &mut bins[at].1
        };
        match sum.checked_add(term) {
            Some(total) => *sum = total,
            None => {
                let carry = (*sum >> BIN_BITS) + (term >> BIN_BITS);
                *sum = i128::from(*sum as u64) + i128::from(term as u64);
                self.add_to_bin(bin + 1, carry);
            }
        }
    }

    /// Adds up all bins and rounds to nearest, ties to even.
    fn round(&self) -> Option<f64> {
        let mut bins = [0_i128; BIN_COUNT];
        let others = self.rest.iter().flat_map(|r| r.bins.iter().copied());
        for (bin, sum) in std::iter::once((self.first_bin, self.first)).chain(others) {
            if bin > 0 {
                bins[usize::from(bin) - 1] = sum;
            }
        }
        let mut limbs = [0_u64; BIN_COUNT + 1];
        let mut carry = 0_i128;
        for (limb, bin) in limbs.iter_mut().zip(bins) {
            let low = i128::from(bin as u64) + carry;
            *limb = low as u64;
            carry = (bin >> BIN_BITS) + (low >> BIN_BITS);
        }
        limbs[BIN_COUNT] = carry as u64;
        let negative = carry < 0;
        if negative {
            let mut one = true;
            for limb in &mut limbs {
                (*limb, one) = (!*limb).overflowing_add(u64::from(one));
            }
        }
        let Some(top) = limbs.iter().rposition(|l| *l != 0) else {
            return Some(0.0);
        };
        let top_bit = top as i32 * 64 + 63 - limbs[top].leading_zeros() as i32;
        let magnitude = magnitude(&limbs, top_bit)?;
        Some(if negative { -magnitude } else { magnitude })
    }
}

/// The number whose binary digits, in units of 2^-UNIT, are `limbs`.
fn magnitude(limbs: &[u64], top_bit: i32) -> Option<f64> {
    let lowest = UNIT - 1074;
    if top_bit <= lowest + 52 {
        // Subnormal, or just above: exact, and its bits are its digits.
        return Some(f64::from_bits(digits_from(limbs, lowest)));
    }
    let cut = top_bit - 52;
    let mut digits = digits_from(limbs, cut);
    let half = digits_from(limbs, cut - 1) & 1 == 1;
    let below = (0..cut - 1).any(|bit| limbs[bit as usize / 64] >> (bit % 64) & 1 == 1);
    if half && (below || digits & 1 == 1) {
        digits += 1;
    }
    let exponent = (top_bit - UNIT + 1023) as u64;
    let bits = (exponent << 52) + (digits - (1 << 52));
    (bits >> 52 < 0x7ff).then(|| f64::from_bits(bits))
}

/// 64 binary digits from `bit` on.
fn digits_from(limbs: &[u64], bit: i32) -> u64 {
    let (limb, shift) = (bit as usize / 64, bit % 64);
    let high = limbs.get(limb + 1).copied().unwrap_or(0);
    let both = (u128::from(high) << 64) | u128::from(limbs[limb]);
    (both >> shift) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(numbers: &[f64]) -> Option<f64> {
        let mut sum = ExactFloatSum::default();
        numbers.iter().for_each(|n| sum.add(*n, 1));
        let copy = ExactFloatSum::from_bytes(&sum.to_bytes()).expect("its own bytes");
        assert_eq!(copy.value().map(f64::to_bits), sum.value().map(f64::to_bits));
        sum.value()
    }

    #[test]
    fn a_sum_is_the_true_one_rounded_once() {
        assert_eq!(sum(&[]), Some(0.0));
        assert_eq!(sum(&[0.1; 10]), Some(1.0));
        assert_eq!(sum(&[1e308, 1.0, -1e308]), Some(1.0));
        assert_eq!(sum(&[1e16, 1.0, 1.0]), Some(1e16 + 2.0));
        assert_eq!(sum(&[5e-324, 1e300, -1e300]), Some(5e-324));
        assert_eq!(sum(&[-2.5, 1e-300]), Some(-2.5));
        assert_eq!(sum(&[2.5, 0.0, -4.5]), Some(-2.0));
    }

    #[test]
    fn numbers_of_every_size_come_back_alone_and_beside_a_larger_one() {
        for exponent in -1074..=1023 {
            let number = 2_f64.powi(exponent / 2) * 2_f64.powi(exponent - exponent / 2) * 1.0;
            assert_eq!(sum(&[number]), Some(number), "2^{exponent}");
            assert_eq!(sum(&[1e308, number, -1e308]), Some(number), "2^{exponent}");
            assert_eq!(sum(&[-1e-310, -number, 1e-310]), Some(-number), "2^{exponent}");
        }
    }

    #[test]
    fn sums_of_parts_make_the_sum_of_all() {
        let mut parts = [ExactFloatSum::default(), ExactFloatSum::default()];
        for (at, number) in [1e300, 0.1, -1e300, 0.2, f64::INFINITY, 1e-300].into_iter().enumerate() {
            parts[at % 2].add(number, 1);
        }
        let [mut whole, other] = parts;
        whole.merge(&other);
        whole.add(f64::INFINITY, -1);
        assert_eq!(whole.value(), sum(&[0.1, 0.2, 1e-300]));
    }

    #[test]
    fn what_is_taken_out_leaves_no_trace() {
        let mut sum = ExactFloatSum::default();
        for (number, weight) in [(0.3, 1), (f64::NAN, 2), (1e200, 7), (f64::INFINITY, 1)] {
            sum.add(number, weight);
        }
        assert!(sum.value().is_some_and(f64::is_nan));
        sum.add(f64::NAN, -2);
        assert_eq!(sum.value(), Some(f64::INFINITY));
        sum.add(f64::INFINITY, -1);
        sum.add(1e200, -7);
        assert_eq!(sum.value(), Some(0.3));
    }

    #[test]
    fn large_weights_and_many_carries_stay_exact() {
        let mut sum = ExactFloatSum::default();
        for _ in 0..10_000 {
            sum.add(1.7e13, 1 << 40);
            sum.add(-1.5, i64::MAX / 2);
        }
        for _ in 0..10_000 {
            sum.add(1.7e13, -(1 << 40));
            sum.add(-1.5, -(i64::MAX / 2));
        }
        sum.add(0.25, 3);
        assert_eq!(sum.value(), Some(0.75));
    }

    #[test]
    fn a_finite_sum_that_is_too_large_is_no_number() {
        assert_eq!(sum(&[f64::MAX, f64::MAX]), None);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), Some(f64::MAX));
    }
}
