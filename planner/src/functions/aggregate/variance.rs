//! The variances and standard deviations, of numbers of any kind.
//!
//! All keep the exact sum of the values and of their squares: of floats, as exact sums of doubles, a square in two
//! parts. So they depend on no order, and rows can be taken out again.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, i256};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility};
use highwater_types::text::numeric::{Numeric, overflow, power_of_ten, rescale, trimmed_scale};
use highwater_types::{
    ExactFloatSum, QUOTIENT, SqlError, SqlState, SqlType, UNCONSTRAINED_NUMERIC, quotient, quotient_digits,
};

use super::adapter::{Distinct, GroupState, Grouped, Single, kept};
use crate::functions::cast_number::{build, float_overflow, numeric_at, scale_of};
use crate::functions::function::external;

/// What is made of the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    of_sample: bool,
    is_deviation: bool,
}

/// One of the family.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Variance {
    name: &'static str,
    aliases: Vec<String>,
    shape: Shape,
    signature: Signature,
}

/// The whole family.
pub(super) fn all() -> Vec<Arc<AggregateUDF>> {
    let one = |name, alias: Option<&str>, of_sample, is_deviation| {
        Arc::new(AggregateUDF::new_from_impl(Variance {
            name,
            aliases: alias.into_iter().map(str::to_string).collect(),
            shape: Shape {
                of_sample,
                is_deviation,
            },
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    };
    vec![
        one("var_samp", Some("variance"), true, false),
        one("var_pop", None, false, false),
        one("stddev_samp", Some("stddev"), true, true),
        one("stddev_pop", None, false, true),
    ]
}

impl Variance {
    fn result_type(&self, input: &DataType) -> Option<DataType> {
        match input {
            DataType::Float32 | DataType::Float64 => Some(DataType::Float64),
            DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Decimal128(_, _)
            | DataType::Decimal256(_, _) => Some(QUOTIENT),
            _ => None,
        }
    }

    fn undefined(&self, input: &DataType) -> datafusion::common::DataFusionError {
        external(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function {}({}) does not exist", self.name, SqlType::of_arrow(input)),
        ))
    }

    fn boxed(&self, args: &AccumulatorArgs<'_>) -> Box<dyn Accumulator> {
        let input = args.expr_fields[0].data_type();
        match (input, args.is_distinct) {
            (DataType::Float32 | DataType::Float64, false) => Box::new(Single::new(Floats::new(self.shape))),
            (DataType::Float32 | DataType::Float64, true) => Box::new(Distinct::new(Floats::new(self.shape))),
            (_, false) => Box::new(Single::new(Numerics::new(self.shape, input))),
            (_, true) => Box::new(Distinct::new(Numerics::new(self.shape, input))),
        }
    }
}

impl AggregateUDFImpl for Variance {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        match arg_types {
            [DataType::Null] => Ok(vec![DataType::Float64]),
            [one] if self.result_type(one).is_some() => Ok(arg_types.to_vec()),
            other => Err(self.undefined(other.first().unwrap_or(&DataType::Utf8))),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> DfResult<DataType> {
        self.result_type(&arg_types[0])
            .ok_or_else(|| self.undefined(&arg_types[0]))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DfResult<Box<dyn Accumulator>> {
        Ok(self.boxed(&args))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DfResult<Vec<FieldRef>> {
        let field = |name: &str, data_type| Arc::new(Field::new(format_state_name(args.name, name), data_type, true));
        if args.is_distinct {
            let item = Field::new_list_field(args.input_fields[0].data_type().clone(), true);
            return Ok(vec![field("distinct", DataType::List(Arc::new(item)))]);
        }
        Ok(vec![
            field("count", DataType::Int64),
            field("sum", DataType::Binary),
            field("squares", DataType::Binary),
            field("special", DataType::Int64),
        ])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> DfResult<Box<dyn GroupsAccumulator>> {
        let input = args.expr_fields[0].data_type();
        Ok(match input {
            DataType::Float32 | DataType::Float64 => Box::new(Grouped::new(Floats::new(self.shape))),
            _ => Box::new(Grouped::new(Numerics::new(self.shape, input))),
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Whether so many values have a result.
fn is_defined(shape: Shape, count: i64) -> bool {
    count > i64::from(shape.of_sample)
}

fn divisor(shape: Shape, count: i64) -> i128 {
    let count = i128::from(count);
    if shape.of_sample {
        count * (count - 1)
    } else {
        count * count
    }
}

/// Over integers and numerics.
#[derive(Debug)]
struct Numerics {
    shape: Shape,
    input: DataType,
    counts: Vec<i64>,
    sums: Vec<i256>,
    squares: Vec<i256>,
    /// How many values are NaN or infinite.
    specials: Vec<i64>,
}

impl Numerics {
    fn new(shape: Shape, input: &DataType) -> Numerics {
        Numerics {
            shape,
            input: input.clone(),
            counts: Vec::new(),
            sums: Vec::new(),
            squares: Vec::new(),
            specials: Vec::new(),
        }
    }

    fn result(&self, group: usize) -> Result<Option<Numeric>, SqlError> {
        let count = self.counts[group];
        if !is_defined(self.shape, count) {
            return Ok(None);
        }
        if self.specials[group] > 0 {
            return Ok(Some(Numeric::NaN));
        }
        let scale = scale_of(&self.input) * 2;
        let times = self.squares[group].checked_mul(i256::from_i128(i128::from(count)));
        let square = self.sums[group].checked_mul(self.sums[group]);
        let spread = times
            .zip(square)
            .and_then(|(t, s)| t.checked_sub(s))
            .ok_or_else(overflow)?;
        if spread <= i256::ZERO {
            return Ok(Some(Numeric::Finite(i256::ZERO)));
        }
        let divisor = i256::from_i128(divisor(self.shape, count));
        let open = self.input == UNCONSTRAINED_NUMERIC || self.input == QUOTIENT;
        let shown = if open { trimmed_scale(spread, scale) } else { scale };
        let variance = quotient(spread, scale, divisor, 0, shown).ok_or_else(overflow)?;
        if !self.shape.is_deviation {
            return Ok(Some(Numeric::Finite(variance)));
        }
        let digits = quotient_digits(spread, scale, divisor, 0, shown);
        let root = square_root(variance).ok_or_else(overflow)?;
        let rounded = rescale(root, 24, digits).and_then(|r| rescale(r, digits, 24));
        rounded.map(|r| Some(Numeric::Finite(r))).ok_or_else(overflow)
    }
}

/// The root of a number of scale 24, at scale 24.
pub(crate) fn square_root(value: i256) -> Option<i256> {
    if value <= i256::ZERO {
        return Some(i256::ZERO);
    }
    let radicand = value.checked_mul(power_of_ten(24)?)?;
    // Newton's method from above, where it falls until it has reached the root.
    let guess = radicand.to_string().parse::<f64>().ok()?.sqrt();
    let mut root = i256::from_string(&format!("{:.0}", guess * 1.000_000_1 + 1.0))?;
    loop {
        let next = (root.wrapping_add(radicand / root)) / i256::from_i128(2);
        if next >= root {
            break;
        }
        root = next;
    }
    // To the nearest rather than down: the remainder decides.
    let rest = radicand.wrapping_sub(root.wrapping_mul(root));
    Some(if rest > root {
        root.wrapping_add(i256::ONE)
    } else {
        root
    })
}

impl GroupState for Numerics {
    fn fresh(&self) -> Numerics {
        Numerics::new(self.shape, &self.input)
    }

    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        self.sums.resize(groups, i256::ZERO);
        self.squares.resize(groups, i256::ZERO);
        self.specials.resize(groups, 0);
    }

    fn update(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        keep: Option<&BooleanArray>,
        weight: i64,
    ) -> Result<(), SqlError> {
        let values = &values[0];
        for row in (0..values.len()).filter(|r| values.is_valid(*r) && kept(keep, *r)) {
            let group = groups[row];
            self.counts[group] += weight;
            let Numeric::Finite(value) = numeric_at(values.as_ref(), row) else {
                self.specials[group] += weight;
                continue;
            };
            let sign = i256::from_i128(i128::from(weight));
            let square = value.checked_mul(value).ok_or_else(overflow)?;
            let sum = self.sums[group].checked_add(value.wrapping_mul(sign));
            let squares = self.squares[group].checked_add(square.wrapping_mul(sign));
            self.sums[group] = sum.ok_or_else(overflow)?;
            self.squares[group] = squares.ok_or_else(overflow)?;
        }
        Ok(())
    }

    fn evaluate(&self, groups: Range<usize>) -> Result<ArrayRef, SqlError> {
        let rows = groups.len();
        build(&QUOTIENT, rows, groups.map(|g| self.result(g)))
    }

    fn state(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>, SqlError> {
        let bytes = |sums: &[i256]| -> ArrayRef {
            Arc::new(BinaryArray::from_iter_values(sums.iter().map(|s| s.to_le_bytes())))
        };
        Ok(vec![
            Arc::new(Int64Array::from(self.counts[groups.clone()].to_vec())),
            bytes(&self.sums[groups.clone()]),
            bytes(&self.squares[groups.clone()]),
            Arc::new(Int64Array::from(self.specials[groups].to_vec())),
        ])
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize]) -> Result<(), SqlError> {
        let (counts, specials) = (
            states[0].as_primitive::<Int64Type>(),
            states[3].as_primitive::<Int64Type>(),
        );
        let number = |column: &ArrayRef, row: usize| {
            let bytes = column.as_binary::<i32>().value(row).try_into();
            bytes.map_or(i256::ZERO, i256::from_le_bytes)
        };
        for (row, group) in groups.iter().enumerate() {
            self.counts[*group] += counts.value(row);
            self.specials[*group] += specials.value(row);
            let sum = self.sums[*group].checked_add(number(&states[1], row));
            let squares = self.squares[*group].checked_add(number(&states[2], row));
            self.sums[*group] = sum.ok_or_else(overflow)?;
            self.squares[*group] = squares.ok_or_else(overflow)?;
        }
        Ok(())
    }

    fn drop_first(&mut self, groups: usize) {
        self.counts.drain(..groups);
        self.sums.drain(..groups);
        self.squares.drain(..groups);
        self.specials.drain(..groups);
    }

    fn size(&self) -> usize {
        self.counts.capacity() * 80
    }
}

/// Over floats.
#[derive(Debug)]
struct Floats {
    shape: Shape,
    counts: Vec<i64>,
    sums: Vec<ExactFloatSum>,
    squares: Vec<ExactFloatSum>,
}

/// A number in two parts, the second far smaller: about 106 binary digits.
#[derive(Clone, Copy)]
struct Double(f64, f64);

impl Double {
    fn of_sum(sum: &ExactFloatSum) -> Option<Double> {
        let high = sum.value()?;
        let mut rest = sum.clone();
        rest.add(high, -1);
        Some(Double(high, rest.value().unwrap_or(0.0)))
    }

    fn times(self, other: Double) -> Double {
        let high = self.0 * other.0;
        let low = self.0.mul_add(other.0, -high) + (self.0 * other.1 + self.1 * other.0);
        Double(high, low)
    }

    /// The difference, in one part.
    fn minus(self, other: Double) -> f64 {
        let high = self.0 - other.0;
        let back = high - self.0;
        let error = (self.0 - (high - back)) + (-other.0 - back);
        high + (error + (self.1 - other.1))
    }
}

impl Floats {
    fn new(shape: Shape) -> Floats {
        Floats {
            shape,
            counts: Vec::new(),
            sums: Vec::new(),
            squares: Vec::new(),
        }
    }

    fn result(&self, group: usize) -> Result<Option<f64>, SqlError> {
        let count = self.counts[group];
        if !is_defined(self.shape, count) {
            return Ok(None);
        }
        let sum = Double::of_sum(&self.sums[group]).ok_or_else(float_overflow)?;
        if !sum.0.is_finite() {
            return Ok(Some(f64::NAN));
        }
        let squares = Double::of_sum(&self.squares[group]).ok_or_else(float_overflow)?;
        let spread = squares.times(Double(count as f64, 0.0)).minus(sum.times(sum));
        if !spread.is_finite() {
            return Err(float_overflow());
        }
        let variance = spread.max(0.0) / divisor(self.shape, count) as f64;
        Ok(Some(if self.shape.is_deviation {
            variance.sqrt()
        } else {
            variance
        }))
    }
}

impl GroupState for Floats {
    fn fresh(&self) -> Floats {
        Floats::new(self.shape)
    }

    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        self.sums.resize(groups, ExactFloatSum::default());
        self.squares.resize(groups, ExactFloatSum::default());
    }

    fn update(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        keep: Option<&BooleanArray>,
        weight: i64,
    ) -> Result<(), SqlError> {
        let values =
            arrow::compute::cast(&values[0], &DataType::Float64).map_err(crate::functions::function::internal)?;
        let values = values.as_primitive::<Float64Type>();
        for row in (0..values.len()).filter(|r| values.is_valid(*r) && kept(keep, *r)) {
            let (value, group) = (values.value(row), groups[row]);
            self.counts[group] += weight;
            self.sums[group].add(value, weight);
            if value.is_finite() {
                let square = value * value;
                self.squares[group].add(square, weight);
                if square.is_finite() {
                    self.squares[group].add(value.mul_add(value, -square), weight);
                }
            }
        }
        Ok(())
    }

    fn evaluate(&self, groups: Range<usize>) -> Result<ArrayRef, SqlError> {
        let results: Vec<Option<f64>> = groups.map(|g| self.result(g)).collect::<Result<_, _>>()?;
        Ok(Arc::new(Float64Array::from(results)))
    }

    fn state(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>, SqlError> {
        let bytes = |sums: &[ExactFloatSum]| -> ArrayRef {
            Arc::new(BinaryArray::from_iter_values(sums.iter().map(ExactFloatSum::to_bytes)))
        };
        Ok(vec![
            Arc::new(Int64Array::from(self.counts[groups.clone()].to_vec())),
            bytes(&self.sums[groups.clone()]),
            bytes(&self.squares[groups.clone()]),
            Arc::new(Int64Array::from(vec![0; groups.len()])),
        ])
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize]) -> Result<(), SqlError> {
        let counts = states[0].as_primitive::<Int64Type>();
        let sum = |column: &ArrayRef, row: usize| ExactFloatSum::from_bytes(column.as_binary::<i32>().value(row));
        for (row, group) in groups.iter().enumerate() {
            self.counts[*group] += counts.value(row);
            self.sums[*group].merge(&sum(&states[1], row).unwrap_or_default());
            self.squares[*group].merge(&sum(&states[2], row).unwrap_or_default());
        }
        Ok(())
    }

    fn drop_first(&mut self, groups: usize) {
        self.counts.drain(..groups);
        self.sums.drain(..groups);
        self.squares.drain(..groups);
    }

    fn size(&self) -> usize {
        self.counts.capacity() * (8 + 2 * size_of::<ExactFloatSum>())
    }
}
