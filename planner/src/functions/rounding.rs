//! `round`, `trunc`, `ceil`, `floor`, and the scales of numerics. A constant number of digits is part of the result's type.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type, i256};
use datafusion::common::ScalarValue;
use highwater_types::text::numeric::{
    Numeric, check_precision, divide_rounded, overflow, power_of_ten, rescale, trimmed_scale,
};
use highwater_types::{QUOTIENT, SqlError, SqlType, UNCONSTRAINED_NUMERIC};

use super::cast_number::{build, numeric_at, scale_of};
use super::decimal::rescaled;
use super::function::{Call, Function, Gives, Takes, TypeArgs};
use super::math::numerics;
use super::numbers::{MAX_PRECISION, decimal_type, precision_and_scale};
use super::rows::{Float8, map1};

const FLOAT8: fn() -> SqlType = || SqlType::Float8;
const NUMERIC: fn() -> SqlType = || SqlType::Numeric(None);
const INT4: fn() -> SqlType = || SqlType::Int4;

/// Where a fraction goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Toward {
    /// Half away from zero.
    Nearest,
    Zero,
    Up,
    Down,
}

/// A numeric cut to so many digits after the point (before it, when negative), at its own scale.
fn cut(value: i256, scale: i32, digits: i32, toward: Toward) -> Option<i256> {
    if digits >= scale {
        return Some(value);
    }
    let Some(unit) = power_of_ten((scale - digits) as u32) else {
        return Some(i256::ZERO);
    };
    let floor = |v: i256| {
        let rest = v % unit;
        if rest < i256::ZERO {
            v.wrapping_sub(rest).wrapping_sub(unit)
        } else {
            v.wrapping_sub(rest)
        }
    };
    match toward {
        Toward::Nearest => divide_rounded(value, unit).checked_mul(unit),
        Toward::Zero => Some(value.wrapping_sub(value % unit)),
        Toward::Down => Some(floor(value)),
        Toward::Up => Some(floor(value.wrapping_neg()).wrapping_neg()),
    }
}

/// The type of a numeric with so many digits after the point.
fn rounded_type(source: &DataType, digits: Option<i64>) -> DataType {
    let Some(digits) = digits else {
        return UNCONSTRAINED_NUMERIC;
    };
    let scale = digits.clamp(0, 40) as i32;
    match precision_and_scale(source) {
        Some((p, s)) if p < MAX_PRECISION => decimal_type(p - s + scale + 1, scale),
        _ => decimal_type(MAX_PRECISION, scale),
    }
}

fn digits_of(args: &TypeArgs<'_>) -> Option<i64> {
    match args.constants.get(1)? {
        Some(ScalarValue::Int16(Some(n))) => Some(i64::from(*n)),
        Some(ScalarValue::Int32(Some(n))) => Some(i64::from(*n)),
        Some(ScalarValue::Int64(Some(n))) => Some(*n),
        _ => None,
    }
}

fn to_digits(call: &Call, toward: Toward) -> Result<ArrayRef, SqlError> {
    let (arg, digits) = (&call.args[0], &call.args[1]);
    let counts = digits.array.as_primitive::<Int32Type>();
    let (from, to) = (scale_of(arg.array.data_type()), scale_of(&call.return_type));
    let values = (0..call.rows).map(|row| {
        if call.skips(row) {
            return Ok(None);
        }
        let digits = counts.value(digits.at(row)).clamp(-100, 100);
        let value = match numeric_at(arg.array.as_ref(), arg.at(row)) {
            Numeric::Finite(value) => {
                let value = cut(value, from, digits, toward).ok_or_else(overflow)?;
                Numeric::Finite(rescale(value, from, to).ok_or_else(overflow)?)
            }
            special => special,
        };
        check_precision(value, None, to as i8).map(Some)
    });
    build(&call.return_type, call.rows, values)
}

fn to_whole(call: &Call, toward: Toward) -> Result<ArrayRef, SqlError> {
    numerics(call, |value, from, to| match value {
        Numeric::Finite(value) => {
            let value = cut(value, from, 0, toward).ok_or_else(overflow)?;
            rescaled(Numeric::Finite(value), from, to)
        }
        special => Ok(special),
    })
}

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    use Takes as T;
    let whole = Gives::From(|args| rounded_type(&args.types[0], Some(0)));
    let digits = Gives::From(|args| rounded_type(&args.types[0], digits_of(args)));
    let one: &'static [Takes] = &[T::Numeric];
    let two: &'static [Takes] = &[T::Numeric, T::Int4];
    let float: &'static [Takes] = &[T::Float8];
    vec![
        Function::new("round", float, FLOAT8, |c| {
            map1::<Float8, _>(c, |v| Ok(Some(v.round_ties_even())))
        }),
        Function::new("trunc", float, FLOAT8, |c| {
            map1::<Float8, _>(c, |v| Ok(Some(v.trunc())))
        }),
        Function::new("ceil", float, FLOAT8, |c| map1::<Float8, _>(c, |v| Ok(Some(v.ceil())))),
        Function::new("ceiling", float, FLOAT8, |c| {
            map1::<Float8, _>(c, |v| Ok(Some(v.ceil())))
        }),
        Function::new("floor", float, FLOAT8, |c| {
            map1::<Float8, _>(c, |v| Ok(Some(v.floor())))
        }),
        Function::new("round", one, NUMERIC, |c| to_whole(c, Toward::Nearest)).giving(whole),
        Function::new("trunc", one, NUMERIC, |c| to_whole(c, Toward::Zero)).giving(whole),
        Function::new("ceil", one, NUMERIC, |c| to_whole(c, Toward::Up)).giving(whole),
        Function::new("ceiling", one, NUMERIC, |c| to_whole(c, Toward::Up)).giving(whole),
        Function::new("floor", one, NUMERIC, |c| to_whole(c, Toward::Down)).giving(whole),
        Function::new("round", two, NUMERIC, |c| to_digits(c, Toward::Nearest)).giving(digits),
        Function::new("trunc", two, NUMERIC, |c| to_digits(c, Toward::Zero)).giving(digits),
        Function::new("scale", one, INT4, |c| {
            let arg = &c.args[0];
            let scale = scale_of(arg.array.data_type());
            let is_open = *arg.array.data_type() == UNCONSTRAINED_NUMERIC || *arg.array.data_type() == QUOTIENT;
            super::rows::map_rows(c, |r| match numeric_at(arg.array.as_ref(), arg.at(r)) {
                Numeric::Finite(v) => Ok(Some(if is_open { trimmed_scale(v, scale) } else { scale })),
                _ => Ok(None),
            })
        }),
        Function::new("min_scale", one, INT4, |c| {
            let arg = &c.args[0];
            let scale = scale_of(arg.array.data_type());
            super::rows::map_rows(c, |r| match numeric_at(arg.array.as_ref(), arg.at(r)) {
                Numeric::Finite(v) => Ok(Some(trimmed_scale(v, scale))),
                _ => Ok(None),
            })
        }),
        Function::new("trim_scale", one, NUMERIC, |c| numerics(c, rescaled)),
    ]
}
