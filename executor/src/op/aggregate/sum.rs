//! sum(x) and avg(x) of integers and numerics, exact: a sum that leaves the accumulator's range on the way counts how
//! often it went round, and comes back when retractions bring it back. Only the answer can be out of range, and that
//! is a fault of its group with SQLSTATE 22003. NaN and the infinities are counted apart ([`Specials`]). An average is
//! rounded half away from zero where PostgreSQL rounds it. Twenty-four bytes a group; forty for numerics of more than 38
//! digits.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, Decimal128Array, Decimal256Array, Int64Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int16Type, Int32Type, Int64Type, i256};
use highwater_types::text::numeric::Numeric;
use highwater_types::{Fault, QUOTIENT, SqlState, UNCONSTRAINED_NUMERIC, average};

use super::accumulator::{Accumulator, Changes};
use super::count::{pick, restore};
use crate::ExecError;

/// What is made of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// The sum itself.
    Sum,
    /// The sum divided by the number of values.
    Average,
}

/// Sums or averages of integers or numerics.
#[derive(Debug)]
pub(super) struct SumAccumulator {
    finish: Finish,
    /// Digits after the point of the arguments.
    scale: i8,
    /// Whether the arguments' type sets their scale.
    is_constrained: bool,
    output: DataType,
    counts: Vec<i64>,
    sums: Sums,
    /// By group: how often the sum went round its range, upwards. Nearly always empty.
    rounds: HashMap<u32, i64>,
    /// By group: the values that are not finite. Nearly always empty.
    specials: HashMap<u32, Specials>,
}

#[derive(Debug)]
enum Sums {
    Narrow(Vec<i128>),
    Wide(Vec<i256>),
}

impl SumAccumulator {
    /// Over arguments of one type, with results of another.
    pub(super) fn new(finish: Finish, input: &DataType, output: DataType) -> SumAccumulator {
        let (scale, sums) = match input {
            DataType::Decimal256(_, scale) => (*scale, Sums::Wide(Vec::new())),
            DataType::Decimal128(_, scale) => (*scale, Sums::Narrow(Vec::new())),
            _ => (0, Sums::Narrow(Vec::new())),
        };
        SumAccumulator {
            finish,
            scale,
            is_constrained: *input != QUOTIENT && *input != UNCONSTRAINED_NUMERIC,
            output,
            counts: Vec::new(),
            sums,
            rounds: HashMap::new(),
            specials: HashMap::new(),
        }
    }

    fn add_narrow<T: ArrowPrimitiveType>(
        &mut self,
        changes: &Changes<'_>,
        column: &ArrayRef,
        valid: Option<&NullBuffer>,
        is_finite: impl Fn(i128) -> bool,
    ) where
        T::Native: Into<i128>,
    {
        let Sums::Narrow(sums) = &mut self.sums else {
            unreachable!("the sums are as wide as the arguments")
        };
        let values = column.as_primitive::<T>().values();
        let (counts, rounds, specials) = (&mut self.counts, &mut self.rounds, &mut self.specials);
        changes.for_each(valid, |row, group, weight| {
            counts[group] += weight;
            let value: i128 = values[row].into();
            if !is_finite(value) {
                return Specials::note(specials, group as u32, Numeric::from_128(value), weight);
            }
            let (term, mut carry) = match weight {
                1 => (value, 0),
                -1 if value != i128::MIN => (-value, 0),
                _ => multiply(value, weight),
            };
            let (sum, overflow) = sums[group].overflowing_add(term);
            sums[group] = sum;
            if overflow {
                carry += if term < 0 { -1 } else { 1 };
            }
            if carry != 0 {
                *rounds.entry(group as u32).or_default() += carry;
            }
        });
    }

    fn add_wide(&mut self, changes: &Changes<'_>, column: &ArrayRef, valid: Option<&NullBuffer>) {
        let Sums::Wide(sums) = &mut self.sums else {
            unreachable!("the sums are as wide as the arguments")
        };
        let values = column.as_primitive::<Decimal256Type>().values();
        let (counts, rounds, specials) = (&mut self.counts, &mut self.rounds, &mut self.specials);
        changes.for_each(valid, |row, group, weight| {
            counts[group] += weight;
            let number = Numeric::from_256(values[row]);
            if !matches!(number, Numeric::Finite(_)) {
                return Specials::note(specials, group as u32, number, weight);
            }
            let carry = add_times(&mut sums[group], values[row], weight);
            if carry != 0 {
                *rounds.entry(group as u32).or_default() += carry;
            }
        });
    }

    /// The sum of a group, if 256 bits hold it.
    fn sum(&self, group: u32) -> Option<i256> {
        let rounds = self.rounds.get(&group).copied().unwrap_or(0);
        match &self.sums {
            Sums::Narrow(sums) => {
                let sum = sums[group as usize];
                let high = i128::from(rounds) + if sum < 0 { -1 } else { 0 };
                Some(i256::from_parts(sum as u128, high))
            }
            Sums::Wide(sums) => (rounds == 0).then(|| sums[group as usize]),
        }
    }

    fn result(&self, group: u32) -> Option<i256> {
        if let Some(specials) = self.specials.get(&group) {
            return match self.output {
                DataType::Decimal128(_, _) => specials.sum().to_128().map(i256::from_i128),
                _ => Some(specials.sum().to_256()),
            };
        }
        let to = match self.output {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => scale,
            _ => 0,
        };
        let mut sum = self.sum(group)?;
        if self.finish == Finish::Average && self.output == QUOTIENT {
            let count = self.counts[group as usize];
            return average(sum, i32::from(self.scale), self.is_constrained, count);
        }
        let mut divisor = match self.finish {
            Finish::Sum => i256::ONE,
            Finish::Average => i256::from_i128(i128::from(self.counts[group as usize])),
        };
        let power = i256::from_i128(10).checked_pow(u32::from(to.abs_diff(self.scale)))?;
        if to >= self.scale {
            sum = sum.checked_mul(power)?;
        } else {
            divisor = divisor.checked_mul(power)?;
        }
        let result = if divisor == i256::ONE {
            sum
        } else {
            divide_rounding(sum, divisor)
        };
        let limit = match self.output {
            DataType::Decimal128(precision, _) | DataType::Decimal256(precision, _) => {
                i256::from_i128(10).checked_pow(u32::from(precision))?
            }
            _ => return (result.to_i128().is_some_and(|v| i64::try_from(v).is_ok())).then_some(result),
        };
        (result < limit && result > -limit).then_some(result)
    }

    /// The common case: integers or numerics of one scale in, nothing went round.
    fn narrow_results(&self, groups: &[u32]) -> Option<ArrayRef> {
        let is_plain = self.rounds.is_empty() && self.specials.is_empty();
        let (Finish::Sum, Sums::Narrow(sums), true) = (self.finish, &self.sums, is_plain) else {
            return None;
        };
        let counted = |g: &u32| self.counts[*g as usize] != 0;
        let nulls = groups
            .iter()
            .any(|g| !counted(g))
            .then(|| groups.iter().map(counted).collect());
        match self.output {
            DataType::Int64 if self.scale == 0 => {
                let values: Result<Vec<i64>, _> = groups.iter().map(|g| i64::try_from(sums[*g as usize])).collect();
                Some(Arc::new(Int64Array::new(values.ok()?.into(), nulls)))
            }
            DataType::Decimal128(precision, scale) if scale == self.scale => {
                let limit = 10_i128.pow(u32::from(precision));
                let values: Vec<i128> = groups.iter().map(|g| sums[*g as usize]).collect();
                if values.iter().any(|v| *v >= limit || *v <= -limit) {
                    return None;
                }
                let array = Decimal128Array::new(values.into(), nulls);
                Some(Arc::new(array.with_data_type(self.output.clone())))
            }
            _ => None,
        }
    }

    fn out_of_range(&self) -> Fault {
        let message = match self.output {
            DataType::Int64 => "bigint out of range",
            _ => "value overflows numeric format",
        };
        Fault::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
    }
}

impl Accumulator for SumAccumulator {
    fn grow(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        match &mut self.sums {
            Sums::Narrow(sums) => sums.resize(groups, 0),
            Sums::Wide(sums) => sums.resize(groups, i256::ZERO),
        }
    }

    fn update(
        &mut self,
        changes: &Changes<'_>,
        args: &[ArrayRef],
        valid: Option<&NullBuffer>,
    ) -> Result<(), ExecError> {
        match args[0].data_type() {
            DataType::Int16 => self.add_narrow::<Int16Type>(changes, &args[0], valid, |_| true),
            DataType::Int32 => self.add_narrow::<Int32Type>(changes, &args[0], valid, |_| true),
            DataType::Int64 => self.add_narrow::<Int64Type>(changes, &args[0], valid, |_| true),
            DataType::Decimal128(_, _) => self.add_narrow::<Decimal128Type>(changes, &args[0], valid, is_finite),
            DataType::Decimal256(_, _) => self.add_wide(changes, &args[0], valid),
            other => unreachable!("no sum was made for {other}"),
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32], faults: &mut Vec<(usize, Fault)>) -> Result<ArrayRef, ExecError> {
        if let Some(results) = self.narrow_results(groups) {
            return Ok(results);
        }
        let mut results = Vec::with_capacity(groups.len());
        for (at, group) in groups.iter().enumerate() {
            if self.counts[*group as usize] == 0 {
                results.push(None);
                continue;
            }
            let result = self.result(*group);
            if result.is_none() {
                faults.push((at, self.out_of_range()));
            }
            results.push(result);
        }
        Ok(match &self.output {
            DataType::Int64 => Arc::new(Int64Array::from_iter(
                results.iter().map(|r| r.map(|v| v.as_i128() as i64)),
            )),
            DataType::Decimal128(_, _) => {
                let array: Decimal128Array = results.iter().map(|r| r.map(i256::as_i128)).collect();
                Arc::new(array.with_data_type(self.output.clone()))
            }
            _ => {
                let array: Decimal256Array = results.into_iter().collect();
                Arc::new(array.with_data_type(self.output.clone()))
            }
        })
    }

    fn forget(&mut self, groups: &[u32]) {
        for group in groups {
            self.counts[*group as usize] = 0;
            match &mut self.sums {
                Sums::Narrow(sums) => sums[*group as usize] = 0,
                Sums::Wide(sums) => sums[*group as usize] = i256::ZERO,
            }
            self.rounds.remove(group);
            self.specials.remove(group);
        }
    }

    fn numbers(&self, groups: &[u32]) -> Vec<ArrayRef> {
        let sums = groups.iter().map(|g| {
            let sum = match &self.sums {
                Sums::Narrow(sums) => i256::from_i128(sums[*g as usize]),
                Sums::Wide(sums) => sums[*g as usize],
            };
            sum.to_le_bytes()
        });
        let rounds = groups.iter().map(|g| self.rounds.get(g).copied().unwrap_or(0));
        let mut columns: Vec<ArrayRef> = vec![
            pick(&self.counts, groups),
            Arc::new(BinaryArray::from_iter_values(sums)),
            Arc::new(Int64Array::from_iter_values(rounds)),
        ];
        for at in 0..3 {
            let counts = groups.iter().map(|g| self.specials.get(g).map_or(0, |s| s.counts[at]));
            columns.push(Arc::new(Int64Array::from_iter_values(counts)));
        }
        columns
    }

    fn load_numbers(&mut self, groups: &[u32], columns: &[ArrayRef]) -> Result<(), ExecError> {
        restore(&mut self.counts, groups, &columns[0]);
        let (sums, rounds) = (columns[1].as_binary::<i32>(), columns[2].as_primitive::<Int64Type>());
        for (at, group) in groups.iter().enumerate() {
            let bytes: [u8; 32] = sums.value(at).try_into().map_err(|_| ExecError::State {
                operator: "Aggregate",
                reason: "a sum has not 32 bytes".to_string(),
            })?;
            let sum = i256::from_le_bytes(bytes);
            match &mut self.sums {
                Sums::Narrow(sums) => sums[*group as usize] = sum.as_i128(),
                Sums::Wide(sums) => sums[*group as usize] = sum,
            }
            match rounds.value(at) {
                0 => self.rounds.remove(group),
                rounds => self.rounds.insert(*group, rounds),
            };
            let counts = [3, 4, 5].map(|column: usize| columns[column].as_primitive::<Int64Type>().value(at));
            match counts {
                [0, 0, 0] => self.specials.remove(group),
                counts => self.specials.insert(*group, Specials { counts }),
            };
        }
        Ok(())
    }
}

/// How often NaN, infinity and minus infinity are among the values of a group.
#[derive(Debug, Default)]
struct Specials {
    counts: [i64; 3],
}

impl Specials {
    /// Adds a number that is not finite `weight` times.
    fn note(all: &mut HashMap<u32, Specials>, group: u32, number: Numeric, weight: i64) {
        let specials = all.entry(group).or_default();
        match number {
            Numeric::NaN => specials.counts[0] += weight,
            Numeric::Infinity => specials.counts[1] += weight,
            Numeric::NegInfinity => specials.counts[2] += weight,
            Numeric::Finite(_) => unreachable!("a finite number is summed"),
        }
        if specials.counts == [0; 3] {
            all.remove(&group);
        }
    }

    /// Their sum with any numbers.
    fn sum(&self) -> Numeric {
        match self.counts.map(|count| count != 0) {
            [false, true, false] => Numeric::Infinity,
            [false, false, true] => Numeric::NegInfinity,
            _ => Numeric::NaN,
        }
    }
}

/// Whether what a `Decimal128` holds is a number of its digits.
fn is_finite(value: i128) -> bool {
    matches!(Numeric::from_128(value), Numeric::Finite(_))
}

/// The product's low 128 bits, and how often it went round.
fn multiply(value: i128, weight: i64) -> (i128, i64) {
    let product = i256::from_i128(value).wrapping_mul(i256::from_i128(i128::from(weight)));
    let (low, high) = product.to_parts();
    let low = low as i128;
    (low, (high + i128::from(low < 0)) as i64)
}

/// Adds `value` `weight` times; answers how often the sum went round.
fn add_times(sum: &mut i256, value: i256, weight: i64) -> i64 {
    let term = match weight {
        1 => value,
        _ => match value.checked_mul(i256::from_i128(i128::from(weight))) {
            Some(term) => term,
            // Too large for one step: in two halves.
            None => return add_times(sum, value, weight / 2) + add_times(sum, value, weight - weight / 2),
        },
    };
    let (total, overflow) = sum.overflowing_add(term);
    *sum = total;
    match (overflow, term.is_negative()) {
        (false, _) => 0,
        (true, true) => -1,
        (true, false) => 1,
    }
}

/// The quotient, rounded half away from zero. The divisor is positive.
fn divide_rounding(sum: i256, divisor: i256) -> i256 {
    let quotient = sum.wrapping_div(divisor);
    let rest = sum.wrapping_rem(divisor).wrapping_abs();
    // Twice the rest may not fit; the divisor less the rest does.
    if rest >= divisor.wrapping_sub(rest) {
        let away = if sum.is_negative() { i256::MINUS_ONE } else { i256::ONE };
        return quotient.wrapping_add(away);
    }
    quotient
}
