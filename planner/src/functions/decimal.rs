//! `+ - * / %` over numerics.
//!
//! Decimals of 38 digits and integers are computed in 128 bits, column-wise; wider ones, and columns that hold NaN or
//! an infinity, row by row in 256. A quotient has the value that PostgreSQL's would, rounded at the scale that its
//! `select_div_scale` chooses (24 at most).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, i256};
use highwater_types::text::numeric::{Numeric, check_precision, divide_rounded, overflow, rescale, trimmed_scale};
use highwater_types::{QUOTIENT, SqlError, SqlType, UNCONSTRAINED_NUMERIC, quotient};

use super::arithmetic::{division_by_zero, union_of_nulls};
use super::cast_number::{build, numeric_at, scale_of};
use super::function::{Call, Function, Gives, Takes};
use super::numbers::{product_type, remainder_type, sum_type};

const TWO: &[Takes] = &[Takes::Numeric, Takes::Numeric];

/// The operators over numerics.
pub(crate) fn functions() -> Vec<Function> {
    let operator = |name, run| Function::new(name, TWO, || SqlType::Numeric(None), run);
    let sum = Gives::From(|args| sum_type(&args.types[0], &args.types[1]));
    let product = Gives::From(|args| product_type(&args.types[0], &args.types[1]));
    let rest = Gives::From(|args| remainder_type(&args.types[0], &args.types[1]));
    vec![
        operator("+", |c| add(c, false)).giving(sum),
        operator("-", |c| add(c, true)).giving(sum),
        operator("*", multiply).giving(product),
        operator("/", divide).giving(Gives::From(|_| QUOTIENT)),
        operator("%", remainder).giving(rest),
        operator("mod", remainder).giving(rest),
        operator("div", whole_quotient).giving(Gives::From(|_| UNCONSTRAINED_NUMERIC)),
    ]
}

/// The greatest absolute value of 38 digits, plus one.
const LIMIT_128: u128 = 10u128.pow(38);

/// A column of finite numbers of at most 38 digits.
#[derive(Clone, Copy)]
enum Narrow<'a> {
    Integers(&'a [i64]),
    Decimals(&'a [i128]),
}

impl Narrow<'_> {
    /// `None` when the column is wider, or holds NaN or an infinity.
    fn of(array: &ArrayRef) -> Option<Narrow<'_>> {
        if let Some(integers) = array.as_primitive_opt::<Int64Type>() {
            return Some(Narrow::Integers(integers.values()));
        }
        let decimals = array.as_primitive_opt::<Decimal128Type>()?.values();
        let is_special = |value: &i128| value.unsigned_abs() >= LIMIT_128;
        let has_special = decimals.iter().fold(false, |any, value| any | is_special(value));
        (!has_special).then_some(Narrow::Decimals(decimals))
    }
}

/// Both arguments in 128 bits with nothing but finite numbers, and a result in 128 bits that cannot overflow.
fn narrow(call: &Call) -> Option<(Narrow<'_>, Narrow<'_>)> {
    if !matches!(call.return_type, DataType::Decimal128(_, _)) {
        return None;
    }
    Some((Narrow::of(&call.args[0].array)?, Narrow::of(&call.args[1].array)?))
}

/// A function of two numbers over such columns.
fn zip(call: &Call, (a, b): (Narrow<'_>, Narrow<'_>), f: impl Fn(i128, i128) -> i128) -> ArrayRef {
    let values = match (a, b) {
        (Narrow::Integers(a), Narrow::Integers(b)) => zip_values(call, a, b, f),
        (Narrow::Integers(a), Narrow::Decimals(b)) => zip_values(call, a, b, f),
        (Narrow::Decimals(a), Narrow::Integers(b)) => zip_values(call, a, b, f),
        (Narrow::Decimals(a), Narrow::Decimals(b)) => zip_values(call, a, b, f),
    };
    let array = PrimitiveArray::<Decimal128Type>::new(values.into(), union_of_nulls(call));
    Arc::new(array.with_data_type(call.return_type.clone()))
}

fn zip_values<A: Copy + Into<i128>, B: Copy + Into<i128>>(
    call: &Call,
    a: &[A],
    b: &[B],
    f: impl Fn(i128, i128) -> i128,
) -> Vec<i128> {
    match (call.args[0].is_scalar, call.args[1].is_scalar) {
        (false, false) => a.iter().zip(b).map(|(x, y)| f((*x).into(), (*y).into())).collect(),
        (false, true) => {
            let y = b[0].into();
            a.iter().map(|x| f((*x).into(), y)).collect()
        }
        (true, false) => {
            let x = a[0].into();
            b.iter().map(|y| f(x, (*y).into())).collect()
        }
        (true, true) => vec![f(a[0].into(), b[0].into()); call.rows],
    }
}

fn scales(call: &Call) -> (i32, i32) {
    (
        scale_of(call.args[0].array.data_type()),
        scale_of(call.args[1].array.data_type()),
    )
}

/// Row by row in 256 bits. `f` answers at the result's scale.
fn wide(call: &Call, f: impl Fn(Numeric, Numeric) -> Result<Numeric, SqlError>) -> Result<ArrayRef, SqlError> {
    let scale = scale_of(&call.return_type) as i8;
    let values = (0..call.rows).map(|row| {
        if call.skips(row) {
            return Ok(None);
        }
        let (a, b) = (&call.args[0], &call.args[1]);
        let value = f(
            numeric_at(a.array.as_ref(), a.at(row)),
            numeric_at(b.array.as_ref(), b.at(row)),
        )?;
        check_precision(value, None, scale).map(Some)
    });
    build(&call.return_type, call.rows, values)
}

fn add(call: &Call, subtract: bool) -> Result<ArrayRef, SqlError> {
    let (s1, s2) = scales(call);
    let scale = scale_of(&call.return_type);
    if let Some(both) = narrow(call) {
        let (f1, f2) = (10i128.pow((scale - s1) as u32), 10i128.pow((scale - s2) as u32));
        return Ok(match subtract {
            // A NULL's place may hold any number: wrapping keeps it harmless.
            false => zip(call, both, |x, y| x.wrapping_mul(f1).wrapping_add(y.wrapping_mul(f2))),
            true => zip(call, both, |x, y| x.wrapping_mul(f1).wrapping_sub(y.wrapping_mul(f2))),
        });
    }
    wide(call, |a, b| {
        let b = if subtract { negate(b) } else { b };
        add_numeric(a, s1, b, s2, scale)
    })
}

/// The number with the other sign.
pub(crate) fn negate(value: Numeric) -> Numeric {
    match value {
        Numeric::Finite(value) => Numeric::Finite(value.wrapping_neg()),
        Numeric::NaN => Numeric::NaN,
        Numeric::Infinity => Numeric::NegInfinity,
        Numeric::NegInfinity => Numeric::Infinity,
    }
}

/// The sum at a scale.
pub(crate) fn add_numeric(a: Numeric, s1: i32, b: Numeric, s2: i32, scale: i32) -> Result<Numeric, SqlError> {
    match (a, b) {
        (Numeric::Finite(a), Numeric::Finite(b)) => {
            let a = rescale(a, s1, scale).ok_or_else(overflow)?;
            let b = rescale(b, s2, scale).ok_or_else(overflow)?;
            a.checked_add(b).map(Numeric::Finite).ok_or_else(overflow)
        }
        (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(Numeric::NaN),
        (Numeric::Infinity, Numeric::NegInfinity) | (Numeric::NegInfinity, Numeric::Infinity) => Ok(Numeric::NaN),
        (Numeric::Finite(_), special) | (special, _) => Ok(special),
    }
}

fn multiply(call: &Call) -> Result<ArrayRef, SqlError> {
    let (s1, s2) = scales(call);
    let scale = scale_of(&call.return_type);
    if scale == s1 + s2
        && let Some(both) = narrow(call)
    {
        return Ok(zip(call, both, i128::wrapping_mul));
    }
    wide(call, |a, b| match (a, b) {
        (Numeric::Finite(a), Numeric::Finite(b)) => multiply_finite(a, b, s1 + s2, scale)
            .map(Numeric::Finite)
            .ok_or_else(overflow),
        (a, b) => Ok(special_product(a, b)),
    })
}

fn sign(value: Numeric) -> i32 {
    match value {
        Numeric::Finite(value) if value == i256::ZERO => 0,
        Numeric::Finite(value) if value < i256::ZERO => -1,
        Numeric::Finite(_) | Numeric::Infinity | Numeric::NaN => 1,
        Numeric::NegInfinity => -1,
    }
}

/// A product with NaN or an infinity in it.
fn special_product(a: Numeric, b: Numeric) -> Numeric {
    if a == Numeric::NaN || b == Numeric::NaN {
        return Numeric::NaN;
    }
    match sign(a) * sign(b) {
        0 => Numeric::NaN,
        1 => Numeric::Infinity,
        _ => Numeric::NegInfinity,
    }
}

/// `a * b`, whose scale is `from`, at scale `to`. The product itself may need more than 256 bits.
pub(crate) fn multiply_finite(a: i256, b: i256, from: i32, to: i32) -> Option<i256> {
    if let Some(product) = a.checked_mul(b) {
        return rescale(product, from, to);
    }
    // Zeros at the end of a factor are what unconstrained numerics mostly have: without them the product fits.
    let ten = i256::from_i128(10);
    let (mut a, mut b, mut from) = (a, b, from);
    while from > to {
        if a % ten == i256::ZERO {
            a /= ten;
        } else if b % ten == i256::ZERO {
            b /= ten;
        } else {
            break;
        }
        from -= 1;
    }
    if let Some(product) = a.checked_mul(b) {
        return rescale(product, from, to);
    }
    // Else digits that the result has no room for are cut off the larger factor first; one digit stays for rounding.
    while from > to + 1 {
        if a.wrapping_abs() > b.wrapping_abs() {
            a = divide_rounded(a, ten);
        } else {
            b = divide_rounded(b, ten);
        }
        from -= 1;
        if let Some(product) = a.checked_mul(b) {
            return rescale(product, from, to);
        }
    }
    None
}

fn divide(call: &Call) -> Result<ArrayRef, SqlError> {
    let (s1, s2) = scales(call);
    let (d1, d2) = (display_scale_of(call, 0), display_scale_of(call, 1));
    wide(call, |a, b| {
        let (x, y) = match (a, b) {
            (Numeric::Finite(x), Numeric::Finite(y)) => (x, y),
            (a, b) => return special_quotient(a, b),
        };
        if y == i256::ZERO {
            return Err(division_by_zero());
        }
        let shown = |known: Option<i32>, value: i256, scale: i32| known.unwrap_or_else(|| trimmed_scale(value, scale));
        let least = shown(d1, x, s1).max(shown(d2, y, s2));
        quotient(x, s1, y, s2, least).map(Numeric::Finite).ok_or_else(overflow)
    })
}

/// The scale that PostgreSQL takes an argument to have, where its type says so.
fn display_scale_of(call: &Call, place: usize) -> Option<i32> {
    let data_type = call.args[place].array.data_type();
    let open = *data_type == QUOTIENT || *data_type == UNCONSTRAINED_NUMERIC;
    (!open).then(|| scale_of(data_type))
}

fn special_quotient(a: Numeric, b: Numeric) -> Result<Numeric, SqlError> {
    Ok(match (a, b) {
        (Numeric::NaN, _) | (_, Numeric::NaN) => Numeric::NaN,
        (Numeric::Finite(_), _) => Numeric::Finite(i256::ZERO),
        (_, Numeric::Finite(zero)) if zero == i256::ZERO => return Err(division_by_zero()),
        (_, Numeric::Finite(_)) => special_product(a, b),
        (_, _) => Numeric::NaN,
    })
}

fn remainder(call: &Call) -> Result<ArrayRef, SqlError> {
    let (s1, s2) = scales(call);
    let scale = scale_of(&call.return_type);
    wide(call, |a, b| match (a, b) {
        (Numeric::Finite(a), Numeric::Finite(b)) => {
            if b == i256::ZERO {
                return Err(division_by_zero());
            }
            let a = rescale(a, s1, scale).ok_or_else(overflow)?;
            let b = rescale(b, s2, scale).ok_or_else(overflow)?;
            Ok(Numeric::Finite(a % b))
        }
        (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(Numeric::NaN),
        (Numeric::Finite(_), _) => Ok(rescaled(a, s1, scale)?),
        (_, Numeric::Finite(zero)) if zero == i256::ZERO => Err(division_by_zero()),
        (_, _) => Ok(Numeric::NaN),
    })
}

/// A numeric at another scale.
pub(crate) fn rescaled(value: Numeric, from: i32, to: i32) -> Result<Numeric, SqlError> {
    match value {
        Numeric::Finite(value) => rescale(value, from, to).map(Numeric::Finite).ok_or_else(overflow),
        special => Ok(special),
    }
}

/// `div(a, b)`: the quotient without its fraction.
fn whole_quotient(call: &Call) -> Result<ArrayRef, SqlError> {
    let (s1, s2) = scales(call);
    let scale = scale_of(&call.return_type);
    wide(call, |a, b| match (a, b) {
        (Numeric::Finite(a), Numeric::Finite(b)) => {
            if b == i256::ZERO {
                return Err(division_by_zero());
            }
            let common = s1.max(s2);
            let a = rescale(a, s1, common).ok_or_else(overflow)?;
            let b = rescale(b, s2, common).ok_or_else(overflow)?;
            rescaled(Numeric::Finite(a / b), 0, scale)
        }
        (a, b) => special_quotient(a, b),
    })
}
