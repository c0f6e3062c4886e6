//! `+ - * / %` and the bit operators over integers and floats: checked, and vectorised.
//!
//! The loops compute all rows and only note whether any overflowed; a NULL's place holds any number, so that what
//! was noted is looked at again, row by row, before it is an error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use highwater_types::{SqlError, SqlState, SqlType};

use super::cast_number::{float_overflow, float_underflow, out_of_range};
use super::function::{Arg, Call, Function, Takes};

/// The operators over integers and floats.
pub(crate) fn functions() -> Vec<Function> {
    let mut functions = Vec::new();
    integer_operators::<Int16Type>(&mut functions, &[Takes::Int2, Takes::Int2], || SqlType::Int2);
    integer_operators::<Int32Type>(&mut functions, &[Takes::Int4, Takes::Int4], || SqlType::Int4);
    integer_operators::<Int64Type>(&mut functions, &[Takes::Int8, Takes::Int8], || SqlType::Int8);
    float_operators::<Float32Type>(&mut functions, &[Takes::Float4, Takes::Float4], || SqlType::Float4);
    float_operators::<Float64Type>(&mut functions, &[Takes::Float8, Takes::Float8], || SqlType::Float8);
    shift_operators::<Int16Type>(&mut functions, &[Takes::Int2, Takes::Int4], || SqlType::Int2);
    shift_operators::<Int32Type>(&mut functions, &[Takes::Int4, Takes::Int4], || SqlType::Int4);
    shift_operators::<Int64Type>(&mut functions, &[Takes::Int8, Takes::Int4], || SqlType::Int8);
    functions
}

/// `division by zero`.
pub(crate) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// NULL where either argument is.
pub(crate) fn union_of_nulls(call: &Call) -> Option<NullBuffer> {
    let mut nulls: Option<NullBuffer> = None;
    // A scalar that is NULL never comes here: the whole call is NULL then.
    for arg in call.args.iter().filter(|a| !a.is_scalar) {
        nulls = NullBuffer::union(nulls.as_ref(), arg.array.nulls());
    }
    nulls
}

/// Two columns, or a column and a value, through a function of two numbers. `flag` says that a row went wrong.
fn zip<T: ArrowPrimitiveType>(
    call: &Call,
    f: impl Fn(T::Native, T::Native) -> (T::Native, bool),
    error: impl Fn(T::Native, T::Native) -> SqlError,
) -> Result<ArrayRef, SqlError> {
    let (left, right) = (&call.args[0], &call.args[1]);
    let (a, b) = (left.array.as_primitive::<T>(), right.array.as_primitive::<T>());
    let mut any = false;
    let mut note = |(value, wrong): (T::Native, bool)| {
        any |= wrong;
        value
    };
    let values: Vec<T::Native> = match (left.is_scalar, right.is_scalar) {
        (false, false) => a
            .values()
            .iter()
            .zip(b.values())
            .map(|(x, y)| note(f(*x, *y)))
            .collect(),
        (false, true) => {
            let y = b.value(0);
            a.values().iter().map(|x| note(f(*x, y))).collect()
        }
        (true, false) => {
            let x = a.value(0);
            b.values().iter().map(|y| note(f(x, *y))).collect()
        }
        (true, true) => (0..call.rows).map(|_| note(f(a.value(0), b.value(0)))).collect(),
    };
    let nulls = union_of_nulls(call);
    if any {
        for row in 0..call.rows {
            if nulls.as_ref().is_none_or(|n| n.is_valid(row)) {
                let (x, y) = (a.value(left.at(row)), b.value(right.at(row)));
                if f(x, y).1 {
                    return Err(error(x, y));
                }
            }
        }
    }
    Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)))
}

/// Whole numbers of some width.
trait Integer: Copy + PartialEq + Into<i64> + TryFrom<i64> {
    fn add(self, other: Self) -> (Self, bool);
    fn subtract(self, other: Self) -> (Self, bool);
    fn multiply(self, other: Self) -> (Self, bool);
    /// Truncating; wrong for a zero divisor, and for the least number by -1.
    fn divide(self, other: Self) -> (Self, bool);
    fn remainder(self, other: Self) -> (Self, bool);
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn shift_left(self, bits: i32) -> Self;
    fn shift_right(self, bits: i32) -> Self;
    fn is_zero(self) -> bool;
}

macro_rules! integer {
    ($($native:ty),*) => {$(
        impl Integer for $native {
            fn add(self, other: Self) -> (Self, bool) { self.overflowing_add(other) }
            fn subtract(self, other: Self) -> (Self, bool) { self.overflowing_sub(other) }
            fn multiply(self, other: Self) -> (Self, bool) { self.overflowing_mul(other) }
            fn divide(self, other: Self) -> (Self, bool) {
                if other == 0 { (0, true) } else { self.overflowing_div(other) }
            }
            fn remainder(self, other: Self) -> (Self, bool) {
                if other == 0 { (0, true) } else { (self.wrapping_rem(other), false) }
            }
            fn and(self, other: Self) -> Self { self & other }
            fn or(self, other: Self) -> Self { self | other }
            fn xor(self, other: Self) -> Self { self ^ other }
            fn shift_left(self, bits: i32) -> Self { self.wrapping_shl(bits as u32) }
            fn shift_right(self, bits: i32) -> Self { self.wrapping_shr(bits as u32) }
            fn is_zero(self) -> bool { self == 0 }
        }
    )*};
}

integer!(i16, i32, i64);

fn integer_operators<T>(functions: &mut Vec<Function>, takes: &'static [Takes], gives: fn() -> SqlType)
where
    T: ArrowPrimitiveType,
    T::Native: Integer,
{
    fn range<T: ArrowPrimitiveType>() -> SqlError {
        out_of_range(&SqlType::of_arrow(&T::DATA_TYPE))
    }
    functions.extend([
        Function::new("+", takes, gives, |c| zip::<T>(c, |a, b| a.add(b), |_, _| range::<T>())),
        Function::new("-", takes, gives, |c| {
            zip::<T>(c, |a, b| a.subtract(b), |_, _| range::<T>())
        }),
        Function::new("*", takes, gives, |c| {
            zip::<T>(c, |a, b| a.multiply(b), |_, _| range::<T>())
        }),
        Function::new("/", takes, gives, |c| {
            let error = |_, b: T::Native| if b.is_zero() { division_by_zero() } else { range::<T>() };
            zip::<T>(c, |a, b| a.divide(b), error)
        }),
        Function::new("%", takes, gives, remainder::<T>),
        Function::new("mod", takes, gives, remainder::<T>),
        Function::new("&", takes, gives, |c| {
            zip::<T>(c, |a, b| (a.and(b), false), |_, _| range::<T>())
        }),
        Function::new("|", takes, gives, |c| {
            zip::<T>(c, |a, b| (a.or(b), false), |_, _| range::<T>())
        }),
        Function::new("#", takes, gives, |c| {
            zip::<T>(c, |a, b| (a.xor(b), false), |_, _| range::<T>())
        }),
    ]);
}

fn remainder<T>(call: &Call) -> Result<ArrayRef, SqlError>
where
    T: ArrowPrimitiveType,
    T::Native: Integer,
{
    zip::<T>(call, |a, b| a.remainder(b), |_, _| division_by_zero())
}

fn shift_operators<T>(functions: &mut Vec<Function>, takes: &'static [Takes], gives: fn() -> SqlType)
where
    T: ArrowPrimitiveType,
    T::Native: Integer,
{
    functions.extend([
        Function::new("<<", takes, gives, |c| shift::<T>(c, T::Native::shift_left)),
        Function::new(">>", takes, gives, |c| shift::<T>(c, T::Native::shift_right)),
    ]);
}

fn shift<T: ArrowPrimitiveType>(call: &Call, f: fn(T::Native, i32) -> T::Native) -> Result<ArrayRef, SqlError> {
    let (number, bits): (&Arg, &Arg) = (&call.args[0], &call.args[1]);
    let (a, b) = (number.array.as_primitive::<T>(), bits.array.as_primitive::<Int32Type>());
    let values: Vec<T::Native> = (0..call.rows)
        .map(|r| f(a.value(number.at(r)), b.value(bits.at(r))))
        .collect();
    Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), union_of_nulls(call))))
}

/// Floating-point numbers of some width.
trait Float: Copy + PartialEq {
    fn is_infinite(self) -> bool;
    fn is_zero(self) -> bool;
    fn is_nan(self) -> bool;
    fn add(self, other: Self) -> Self;
    fn subtract(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    fn divide(self, other: Self) -> Self;
    /// NaN without a sign: to Arrow, the one with a sign is less than all numbers.
    fn one_nan(self) -> Self;
}

macro_rules! float {
    ($($native:ty),*) => {$(
        impl Float for $native {
            fn is_infinite(self) -> bool { <$native>::is_infinite(self) }
            fn is_zero(self) -> bool { self == 0.0 }
            fn is_nan(self) -> bool { <$native>::is_nan(self) }
            fn add(self, other: Self) -> Self { (self + other).one_nan() }
            fn subtract(self, other: Self) -> Self { (self - other).one_nan() }
            fn multiply(self, other: Self) -> Self { (self * other).one_nan() }
            fn divide(self, other: Self) -> Self { (self / other).one_nan() }
            fn one_nan(self) -> Self { if self.is_nan() { <$native>::NAN } else { self } }
        }
    )*};
}

float!(f32, f64);

/// Infinity from finite numbers.
fn overflowed<F: Float>(result: F, a: F, b: F) -> bool {
    result.is_infinite() && !a.is_infinite() && !b.is_infinite()
}

fn float_operators<T>(functions: &mut Vec<Function>, takes: &'static [Takes], gives: fn() -> SqlType)
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    fn sum<F: Float>(f: fn(F, F) -> F, a: F, b: F) -> (F, bool) {
        let result = f(a, b);
        (result, overflowed(result, a, b))
    }
    fn product<F: Float>(a: F, b: F) -> (F, bool) {
        let result = a.multiply(b);
        let lost = result.is_zero() && !a.is_zero() && !b.is_zero();
        (result, overflowed(result, a, b) || lost)
    }
    fn quotient<F: Float>(a: F, b: F) -> (F, bool) {
        let result = a.divide(b);
        let lost = result.is_zero() && !a.is_zero() && !b.is_infinite();
        (result, (b.is_zero() && !a.is_nan()) || overflowed(result, a, b) || lost)
    }
    fn quotient_error<F: Float>(a: F, b: F) -> SqlError {
        if b.is_zero() {
            division_by_zero()
        } else if a.divide(b).is_zero() {
            float_underflow()
        } else {
            float_overflow()
        }
    }
    functions.extend([
        Function::new("+", takes, gives, |c| {
            zip::<T>(c, |a, b| sum(Float::add, a, b), |_, _| float_overflow())
        }),
        Function::new("-", takes, gives, |c| {
            zip::<T>(c, |a, b| sum(Float::subtract, a, b), |_, _| float_overflow())
        }),
        Function::new("*", takes, gives, |c| {
            let error = |a: T::Native, b: T::Native| {
                if a.multiply(b).is_zero() {
                    float_underflow()
                } else {
                    float_overflow()
                }
            };
            zip::<T>(c, product, error)
        }),
        Function::new("/", takes, gives, |c| zip::<T>(c, quotient, quotient_error)),
    ]);
}
