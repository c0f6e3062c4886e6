//! The sums and counts of groups, behind `sum` and `avg`.
//!
//! A sum of integers or of numerics of 38 digits is kept in 128 bits, and in 256 from the first time that these do
//! not do.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, Decimal256Array, Float32Array,
    Float64Array, Int64Array, PrimitiveArray,
};
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, i256,
};
use highwater_types::text::numeric::{Numeric, check_precision, overflow, rescale};
use highwater_types::{ExactFloatSum, IntervalParts, QUOTIENT, SqlError, SqlType, UNCONSTRAINED_NUMERIC, average};

use super::adapter::{GroupState, kept};
use crate::functions::cast_number::{build, float_overflow, out_of_range, scale_of};
use crate::functions::rows::arrow_interval;
use crate::functions::temporal::{checked_interval, divide, interval_out_of_range};

/// Sums and counts of groups.
#[derive(Debug)]
pub(super) struct Sums {
    is_average: bool,
    input: DataType,
    output: DataType,
    counts: Vec<i64>,
    sums: Kind,
    /// By group: how many NaN, Infinity and -Infinity among numerics. Nearly always empty.
    specials: HashMap<usize, [i64; 3]>,
}

#[derive(Debug)]
enum Kind {
    Narrow(Vec<i128>),
    Wide(Vec<i256>),
    Floats(Vec<ExactFloatSum>),
    /// Months, days and microseconds.
    Intervals(Vec<(i64, i64, i128)>),
}

impl Sums {
    /// Without groups yet.
    pub(super) fn new(is_average: bool, input: DataType, output: DataType) -> Sums {
        let sums = match input {
            DataType::Float32 | DataType::Float64 => Kind::Floats(Vec::new()),
            DataType::Interval(_) => Kind::Intervals(Vec::new()),
            _ => Kind::Narrow(Vec::new()),
        };
        Sums {
            is_average,
            input,
            output,
            counts: Vec::new(),
            sums,
            specials: HashMap::new(),
        }
    }

    fn widen(&mut self) {
        if let Kind::Narrow(sums) = &self.sums {
            self.sums = Kind::Wide(sums.iter().map(|s| i256::from_i128(*s)).collect());
        }
    }

    /// Rows of integers or decimals of 128 bits.
    fn add_narrow<T: ArrowPrimitiveType>(
        &mut self,
        values: &ArrayRef,
        groups: &[usize],
        keep: Option<&BooleanArray>,
        weight: i64,
    ) -> Result<(), SqlError>
    where
        T::Native: Into<i128>,
    {
        let array = values.as_primitive::<T>();
        let is_decimal = matches!(T::DATA_TYPE, DataType::Decimal128(_, _));
        let mut row = 0;
        if let (Kind::Narrow(sums), false) = (&mut self.sums, is_decimal) {
            // The common case without a branch for what cannot be: integers have no NaN, and cannot overflow 128 bits.
            for (group, value) in groups.iter().zip(array.values()) {
                if array.is_valid(row) && kept(keep, row) {
                    let value: i128 = (*value).into();
                    sums[*group] += value * i128::from(weight);
                    self.counts[*group] += weight;
                }
                row += 1;
            }
            return Ok(());
        }
        for (row, group) in groups.iter().enumerate().take(array.len()) {
            if array.is_valid(row) && kept(keep, row) {
                let value: i128 = array.value(row).into();
                let value = if is_decimal {
                    Numeric::from_128(value)
                } else {
                    Numeric::Finite(i256::from_i128(value))
                };
                self.add_numeric(value, *group, weight)?;
            }
        }
        Ok(())
    }

    fn add_numeric(&mut self, value: Numeric, group: usize, weight: i64) -> Result<(), SqlError> {
        self.counts[group] += weight;
        let finite = match value {
            Numeric::Finite(finite) => finite,
            Numeric::NaN => return self.add_special(group, 0, weight),
            Numeric::Infinity => return self.add_special(group, 1, weight),
            Numeric::NegInfinity => return self.add_special(group, 2, weight),
        };
        let term = if weight < 0 { finite.wrapping_neg() } else { finite };
        if let Kind::Narrow(sums) = &mut self.sums {
            match term.to_i128().and_then(|t| sums[group].checked_add(t)) {
                Some(sum) => {
                    sums[group] = sum;
                    return Ok(());
                }
                None => self.widen(),
            }
        }
        if let Kind::Wide(sums) = &mut self.sums {
            sums[group] = sums[group].checked_add(term).ok_or_else(overflow)?;
        }
        Ok(())
    }

    fn add_special(&mut self, group: usize, kind: usize, weight: i64) -> Result<(), SqlError> {
        self.specials.entry(group).or_default()[kind] += weight;
        Ok(())
    }

    /// What NaN and infinities make of a group, if it has any.
    fn special(&self, group: usize) -> Option<Numeric> {
        let [nan, plus, minus] = *self.specials.get(&group)?;
        match (nan > 0, plus > 0, minus > 0) {
            (true, _, _) | (_, true, true) => Some(Numeric::NaN),
            (_, true, _) => Some(Numeric::Infinity),
            (_, _, true) => Some(Numeric::NegInfinity),
            (false, false, false) => None,
        }
    }

    fn numeric_result(&self, group: usize) -> Result<Option<Numeric>, SqlError> {
        if self.counts[group] == 0 {
            return Ok(None);
        }
        if let Some(special) = self.special(group) {
            return Ok(Some(special));
        }
        let sum = match &self.sums {
            Kind::Narrow(sums) => i256::from_i128(sums[group]),
            Kind::Wide(sums) => sums[group],
            Kind::Floats(_) | Kind::Intervals(_) => unreachable!("numerics are summed as numerics"),
        };
        let scale = scale_of(&self.input);
        if self.is_average {
            let is_constrained = self.input != UNCONSTRAINED_NUMERIC && self.input != QUOTIENT;
            let quotient = average(sum, scale, is_constrained, self.counts[group]).ok_or_else(overflow)?;
            return check_precision(Numeric::Finite(quotient), None, 0).map(Some);
        }
        let sum = rescale(sum, scale, scale_of(&self.output)).ok_or_else(overflow)?;
        let precision = match self.output {
            DataType::Decimal128(38, _) => Some(38),
            _ => None,
        };
        check_precision(Numeric::Finite(sum), precision, 0)
            .map(Some)
            .map_err(|_| overflow())
    }

    fn numeric_results(&self, groups: Range<usize>) -> Result<ArrayRef, SqlError> {
        if self.output == DataType::Int64 {
            let range = || out_of_range(&SqlType::Int8);
            let sum = |group| -> Result<Option<i64>, SqlError> {
                match self.numeric_result(group).map_err(|_| range())? {
                    None => Ok(None),
                    Some(Numeric::Finite(sum)) => {
                        let sum = sum.to_i128().and_then(|s| i64::try_from(s).ok());
                        sum.map(Some).ok_or_else(range)
                    }
                    Some(_) => Err(range()),
                }
            };
            let results: Vec<Option<i64>> = groups.map(sum).collect::<Result<_, _>>()?;
            return Ok(Arc::new(Int64Array::from(results)));
        }
        let rows = groups.len();
        build(&self.output, rows, groups.map(|g| self.numeric_result(g)))
    }

    fn float_result(&self, sums: &[ExactFloatSum], group: usize) -> Result<Option<f64>, SqlError> {
        if self.counts[group] == 0 {
            return Ok(None);
        }
        let sum = sums[group].value().ok_or_else(float_overflow)?;
        let result = if self.is_average {
            sum / self.counts[group] as f64
        } else {
            sum
        };
        if self.output == DataType::Float32 && result.is_finite() && !(result as f32).is_finite() {
            return Err(float_overflow());
        }
        Ok(Some(result))
    }

    fn interval_result(&self, sums: &[(i64, i64, i128)], group: usize) -> Result<Option<IntervalParts>, SqlError> {
        let (months, days, micros) = sums[group];
        match self.counts[group] {
            0 => Ok(None),
            count if self.is_average => {
                let parts = checked_interval(months, days, micros)?;
                divide(parts, count as f64).map(Some)
            }
            _ => checked_interval(months, days, micros).map(Some),
        }
    }
}

impl GroupState for Sums {
    fn fresh(&self) -> Sums {
        Sums::new(self.is_average, self.input.clone(), self.output.clone())
    }

    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        match &mut self.sums {
            Kind::Narrow(sums) => sums.resize(groups, 0),
            Kind::Wide(sums) => sums.resize(groups, i256::ZERO),
            Kind::Floats(sums) => sums.resize(groups, ExactFloatSum::default()),
            Kind::Intervals(sums) => sums.resize(groups, (0, 0, 0)),
        }
    }

    fn update(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        keep: Option<&BooleanArray>,
        weight: i64,
    ) -> Result<(), SqlError> {
        let values = &values[0];
        match values.data_type() {
            DataType::Int16 => self.add_narrow::<Int16Type>(values, groups, keep, weight),
            DataType::Int32 => self.add_narrow::<Int32Type>(values, groups, keep, weight),
            DataType::Int64 => self.add_narrow::<Int64Type>(values, groups, keep, weight),
            DataType::Decimal128(_, _) => self.add_narrow::<Decimal128Type>(values, groups, keep, weight),
            DataType::Decimal256(_, _) => {
                let array = values.as_primitive::<Decimal256Type>();
                for row in (0..array.len()).filter(|r| array.is_valid(*r) && kept(keep, *r)) {
                    self.add_numeric(Numeric::from_256(array.value(row)), groups[row], weight)?;
                }
                Ok(())
            }
            DataType::Float32 => {
                let array = values.as_primitive::<Float32Type>();
                self.add_floats(array, f64::from, groups, keep, weight);
                Ok(())
            }
            DataType::Float64 => {
                let array = values.as_primitive::<Float64Type>();
                self.add_floats(array, |v| v, groups, keep, weight);
                Ok(())
            }
            _ => self.add_intervals(values, groups, keep, weight),
        }
    }

    fn evaluate(&self, groups: Range<usize>) -> Result<ArrayRef, SqlError> {
        match &self.sums {
            Kind::Narrow(_) | Kind::Wide(_) => self.numeric_results(groups),
            Kind::Floats(sums) => {
                let results: Vec<Option<f64>> = groups.map(|g| self.float_result(sums, g)).collect::<Result<_, _>>()?;
                Ok(match self.output {
                    DataType::Float32 => {
                        Arc::new(results.iter().map(|r| r.map(|v| v as f32)).collect::<Float32Array>())
                    }
                    _ => Arc::new(Float64Array::from(results)),
                })
            }
            Kind::Intervals(sums) => {
                let results = groups.map(|g| self.interval_result(sums, g).map(|r| r.map(arrow_interval)));
                let results: Vec<_> = results.collect::<Result<_, _>>()?;
                Ok(Arc::new(PrimitiveArray::<IntervalMonthDayNanoType>::from(results)))
            }
        }
    }

    fn state(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>, SqlError> {
        let decimals = |sums: Vec<i256>| -> ArrayRef {
            let data_type = DataType::Decimal256(76, scale_of(&self.input) as i8);
            Arc::new(Decimal256Array::from_iter_values(sums).with_data_type(data_type))
        };
        let sums: ArrayRef = match &self.sums {
            Kind::Narrow(sums) => decimals(sums[groups.clone()].iter().map(|s| i256::from_i128(*s)).collect()),
            Kind::Wide(sums) => decimals(sums[groups.clone()].to_vec()),
            Kind::Floats(sums) => Arc::new(BinaryArray::from_iter_values(
                sums[groups.clone()].iter().map(ExactFloatSum::to_bytes),
            )),
            Kind::Intervals(sums) => {
                let parts = sums[groups.clone()]
                    .iter()
                    .map(|(m, d, u)| checked_interval(*m, *d, *u).map(arrow_interval));
                let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
                Arc::new(PrimitiveArray::<IntervalMonthDayNanoType>::from_iter_values(parts))
            }
        };
        let counts = Int64Array::from(self.counts[groups.clone()].to_vec());
        let specials: BinaryArray = groups
            .map(|g| {
                let bytes = |counts: &[i64; 3]| counts.iter().flat_map(|c| c.to_le_bytes()).collect::<Vec<u8>>();
                self.specials.get(&g).map(bytes)
            })
            .collect();
        Ok(vec![sums, Arc::new(counts), Arc::new(specials)])
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize]) -> Result<(), SqlError> {
        let counts = states[1].as_primitive::<Int64Type>();
        let specials = states[2].as_binary::<i32>();
        for (row, group) in groups.iter().enumerate() {
            if specials.is_valid(row) {
                for (kind, count) in specials.value(row).chunks_exact(8).enumerate() {
                    let count = i64::from_le_bytes(count.try_into().expect("chunks of eight bytes"));
                    self.add_special(*group, kind, count)?;
                }
            }
            match &mut self.sums {
                Kind::Narrow(_) | Kind::Wide(_) => {
                    let sum = states[0].as_primitive::<Decimal256Type>().value(row);
                    let before = self.counts[*group];
                    self.add_numeric(Numeric::Finite(sum), *group, 1)?;
                    self.counts[*group] = before;
                }
                Kind::Floats(sums) => {
                    let other = ExactFloatSum::from_bytes(states[0].as_binary::<i32>().value(row));
                    sums[*group].merge(&other.unwrap_or_default());
                }
                Kind::Intervals(sums) => {
                    let parts = IntervalParts::from(states[0].as_primitive::<IntervalMonthDayNanoType>().value(row));
                    add_parts(&mut sums[*group], parts, 1);
                }
            }
            self.counts[*group] += counts.value(row);
        }
        Ok(())
    }

    fn drop_first(&mut self, groups: usize) {
        self.counts.drain(..groups);
        match &mut self.sums {
            Kind::Narrow(sums) => drop(sums.drain(..groups)),
            Kind::Wide(sums) => drop(sums.drain(..groups)),
            Kind::Floats(sums) => drop(sums.drain(..groups)),
            Kind::Intervals(sums) => drop(sums.drain(..groups)),
        }
        let moved = self
            .specials
            .drain()
            .filter(|(g, _)| *g >= groups)
            .map(|(g, s)| (g - groups, s));
        self.specials = moved.collect::<Vec<_>>().into_iter().collect();
    }

    fn size(&self) -> usize {
        let per_group = match &self.sums {
            Kind::Narrow(_) => 16,
            Kind::Wide(_) => 32,
            Kind::Floats(_) => size_of::<ExactFloatSum>(),
            Kind::Intervals(_) => 32,
        };
        self.counts.capacity() * (8 + per_group)
    }
}

fn add_parts(sum: &mut (i64, i64, i128), parts: IntervalParts, weight: i64) {
    sum.0 += i64::from(parts.months) * weight;
    sum.1 += i64::from(parts.days) * weight;
    sum.2 += i128::from(parts.micros) * i128::from(weight);
}

impl Sums {
    fn add_floats<T: ArrowPrimitiveType>(
        &mut self,
        array: &PrimitiveArray<T>,
        double: impl Fn(T::Native) -> f64,
        groups: &[usize],
        keep: Option<&BooleanArray>,
        weight: i64,
    ) {
        let Kind::Floats(sums) = &mut self.sums else {
            unreachable!("floats are summed as floats")
        };
        for row in (0..array.len()).filter(|r| array.is_valid(*r) && kept(keep, *r)) {
            sums[groups[row]].add(double(array.value(row)), weight);
            self.counts[groups[row]] += weight;
        }
    }

    fn add_intervals(
        &mut self,
        values: &ArrayRef,
        groups: &[usize],
        keep: Option<&BooleanArray>,
        weight: i64,
    ) -> Result<(), SqlError> {
        let Kind::Intervals(sums) = &mut self.sums else {
            return Err(interval_out_of_range());
        };
        let array = values.as_primitive::<IntervalMonthDayNanoType>();
        for row in (0..array.len()).filter(|r| array.is_valid(*r) && kept(keep, *r)) {
            add_parts(&mut sums[groups[row]], array.value(row).into(), weight);
            self.counts[groups[row]] += weight;
        }
        Ok(())
    }
}
