//! Mathematical functions. The scale of a rounded numeric is part of its type, where the number of digits is constant.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, i256};
use highwater_types::text::numeric::{Numeric, check_precision, overflow, power_of_ten, rescale};
use highwater_types::text::parse_f64;
use highwater_types::{QUOTIENT, SqlError, SqlState, SqlType};

use super::aggregate::square_root;
use super::cast_number::{
    build, float_overflow, float_text, float_underflow, numeric_at, out_of_range, scale_of, to_double,
};
use super::decimal::{multiply_finite, negate, rescaled};
use super::function::{Call, Function, Gives, Takes, TypeArgs};
use super::numbers::{common_type, decimal_type};
use super::rows::{Answer, Float8, Int4, Int8, map0, map1, map2, map4};

const FLOAT8: fn() -> SqlType = || SqlType::Float8;
const NUMERIC: fn() -> SqlType = || SqlType::Numeric(None);
const INT4: fn() -> SqlType = || SqlType::Int4;

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    let mut functions = signs();
    functions.extend(super::rounding::functions());
    functions.extend(roots());
    functions.extend(whole());
    functions
}

fn signs() -> Vec<Function> {
    use Takes as T;
    let whole_type = |_: &TypeArgs<'_>| decimal_type(1, 0);
    vec![
        Function::new(
            "abs",
            &[T::Int2],
            || SqlType::Int2,
            |c| integers::<Int16Type>(c, |v| v.checked_abs().ok_or_else(|| out_of_range(&SqlType::Int2))),
        ),
        Function::new("abs", &[T::Int4], INT4, |c| {
            integers::<Int32Type>(c, |v| v.checked_abs().ok_or_else(|| out_of_range(&SqlType::Int4)))
        }),
        Function::new(
            "abs",
            &[T::Int8],
            || SqlType::Int8,
            |c| integers::<Int64Type>(c, |v| v.checked_abs().ok_or_else(|| out_of_range(&SqlType::Int8))),
        ),
        Function::new(
            "abs",
            &[T::Float4],
            || SqlType::Float4,
            |c| integers::<Float32Type>(c, |v| Ok(v.abs())),
        ),
        Function::new("abs", &[T::Float8], FLOAT8, |c| {
            integers::<Float64Type>(c, |v| Ok(v.abs()))
        }),
        Function::new("abs", &[T::Numeric], NUMERIC, |c| {
            numerics(c, |v, _, _| Ok(if is_negative(v) { negate(v) } else { v }))
        })
        .giving(Gives::Argument(0)),
        Function::new("sign", &[T::Float8], FLOAT8, |c| {
            map1::<Float8, _>(c, |v| {
                Ok(Some(if v > 0.0 {
                    1.0
                } else if v < 0.0 {
                    -1.0
                } else {
                    0.0
                }))
            })
        }),
        Function::new("sign", &[T::Numeric], NUMERIC, |c| {
            numerics(c, |v, _, to| match v {
                Numeric::NaN => Ok(Numeric::NaN),
                Numeric::Finite(zero) if zero == i256::ZERO => Ok(v),
                v => rescaled(
                    Numeric::Finite(if is_negative(v) { i256::MINUS_ONE } else { i256::ONE }),
                    0,
                    to,
                ),
            })
        })
        .giving(Gives::From(whole_type)),
    ]
}

fn is_negative(value: Numeric) -> bool {
    match value {
        Numeric::Finite(value) => value < i256::ZERO,
        Numeric::NegInfinity => true,
        Numeric::NaN | Numeric::Infinity => false,
    }
}

/// A function of one number of some width.
fn integers<T: ArrowPrimitiveType>(
    call: &Call,
    f: impl Fn(T::Native) -> Result<T::Native, SqlError>,
) -> Result<ArrayRef, SqlError> {
    let arg = &call.args[0];
    let array = arg.array.as_primitive::<T>();
    let values = (0..call.rows).map(|row| match call.skips(row) {
        true => Ok(None),
        false => f(array.value(arg.at(row))).map(Some),
    });
    let values: Vec<Option<T::Native>> = values.collect::<Result<_, _>>()?;
    Ok(Arc::new(values.into_iter().collect::<PrimitiveArray<T>>()))
}

/// A function of one numeric: `f(value, its scale, the result's scale)`.
pub(crate) fn numerics(
    call: &Call,
    f: impl Fn(Numeric, i32, i32) -> Result<Numeric, SqlError>,
) -> Result<ArrayRef, SqlError> {
    let arg = &call.args[0];
    let (from, to) = (scale_of(arg.array.data_type()), scale_of(&call.return_type));
    let values = (0..call.rows).map(|row| {
        if call.skips(row) {
            return Ok(None);
        }
        let value = f(numeric_at(arg.array.as_ref(), arg.at(row)), from, to)?;
        check_precision(value, None, to as i8).map(Some)
    });
    build(&call.return_type, call.rows, values)
}

fn checked(result: f64, a: f64, b: f64) -> Answer<f64> {
    if result.is_infinite() && a.is_finite() && b.is_finite() {
        return Err(float_overflow());
    }
    Ok(Some(result))
}

fn log_error(negative: bool) -> SqlError {
    let of = if negative { "a negative number" } else { "zero" };
    SqlError::new(
        SqlState::INVALID_ARGUMENT_FOR_LOGARITHM,
        format!("cannot take logarithm of {of}"),
    )
}

fn logarithm(value: f64, of: fn(f64) -> f64) -> Answer<f64> {
    if value <= 0.0 {
        return Err(log_error(value < 0.0));
    }
    Ok(Some(of(value)))
}

fn power_error(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message)
}

fn power(a: f64, b: f64) -> Answer<f64> {
    if a == 0.0 && b < 0.0 {
        return Err(power_error("zero raised to a negative power is undefined"));
    }
    if a < 0.0 && b.is_finite() && b.fract() != 0.0 {
        return Err(power_error(
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    checked(a.powf(b), a, b)
}

/// Through doubles: as many digits as those have.
fn by_double(value: Numeric, scale: i32, f: impl Fn(f64) -> Answer<f64>) -> Result<Numeric, SqlError> {
    let result = f(to_double(value, scale))?.unwrap_or(f64::NAN);
    from_double(result)
}

fn from_double(value: f64) -> Result<Numeric, SqlError> {
    // Sixteen digits, of which the last may be off by a few.
    let text = if value.is_finite() {
        format!("{value:.15e}")
    } else {
        float_text(value, false)
    };
    parse_f64(&text)?;
    highwater_types::text::numeric::parse_numeric(&text, None, 24)
}

fn numeric_power(call: &Call) -> Result<ArrayRef, SqlError> {
    let (a, b) = (&call.args[0], &call.args[1]);
    let (s1, s2) = (scale_of(a.array.data_type()), scale_of(b.array.data_type()));
    let values = (0..call.rows).map(|row| {
        if call.skips(row) {
            return Ok(None);
        }
        let (x, y) = (
            numeric_at(a.array.as_ref(), a.at(row)),
            numeric_at(b.array.as_ref(), b.at(row)),
        );
        let exact = exact_power(x, s1, y, s2);
        let value = match exact {
            Some(exact) => exact,
            None => by_double(x, s1, |x| power(x, to_double(y, s2)))?,
        };
        check_precision(value, None, 24).map(Some)
    });
    build(&call.return_type, call.rows, values)
}

/// A power with a whole exponent that is not too large.
fn exact_power(x: Numeric, s1: i32, y: Numeric, s2: i32) -> Option<Numeric> {
    let (Numeric::Finite(x), Numeric::Finite(y)) = (x, y) else {
        return None;
    };
    let exponent = rescale(y, s2, 0).filter(|e| rescale(*e, 0, s2) == Some(y))?.to_i128()?;
    let exponent = u32::try_from(exponent).ok().filter(|e| *e <= 4096)?;
    let base = rescale(x, s1, 24)?;
    let mut result = power_of_ten(24)?;
    for _ in 0..exponent {
        result = multiply_finite(result, base, 48, 24)?;
    }
    Some(Numeric::Finite(result))
}

fn roots() -> Vec<Function> {
    use Takes as T;
    let float: &'static [Takes] = &[T::Float8];
    let two: &'static [Takes] = &[T::Float8, T::Float8];
    let one: &'static [Takes] = &[T::Numeric];
    let quotient = Gives::From(|_| QUOTIENT);
    let mut functions = vec![
        Function::new("sqrt", float, FLOAT8, |c| {
            map1::<Float8, _>(c, |v| if v < 0.0 { Err(root_error()) } else { Ok(Some(v.sqrt())) })
        }),
        Function::new("sqrt", one, NUMERIC, |c| {
            numerics(c, |v, from, _| match v {
                Numeric::Finite(v) if v < i256::ZERO => Err(root_error()),
                Numeric::NegInfinity => Err(root_error()),
                Numeric::Finite(v) => {
                    let v = rescale(v, from, 24).ok_or_else(overflow)?;
                    let root = square_root(v).ok_or_else(overflow)?;
                    // As many digits as PostgreSQL gives: 16 that count.
                    let digits = 16
                        - (to_double(Numeric::Finite(root), 24).log10() / 4.0)
                            .floor()
                            .clamp(-2.0, 4.0) as i32
                            * 4;
                    rescaled(rescaled(Numeric::Finite(root), 24, digits.min(24))?, digits.min(24), 24)
                }
                special => Ok(special),
            })
        })
        .giving(quotient),
        Function::new("cbrt", float, FLOAT8, |c| map1::<Float8, _>(c, |v| Ok(Some(v.cbrt())))),
        Function::new("exp", float, FLOAT8, |c| {
            map1::<Float8, _>(c, |v| match v.exp() {
                lost if lost == 0.0 && v.is_finite() => Err(float_underflow()),
                result => checked(result, v, v),
            })
        }),
        Function::new("exp", one, NUMERIC, |c| {
            numerics(c, |v, s, _| by_double(v, s, |v| checked(v.exp(), v, v)))
        })
        .giving(quotient),
        Function::new("ln", float, FLOAT8, |c| map1::<Float8, _>(c, |v| logarithm(v, f64::ln))),
        Function::new("ln", one, NUMERIC, |c| {
            numerics(c, |v, s, _| by_double(v, s, |v| logarithm(v, f64::ln)))
        })
        .giving(quotient),
        Function::new("log", &[T::Numeric, T::Numeric], NUMERIC, |c| {
            let (a, b) = (&c.args[0], &c.args[1]);
            let (s1, s2) = (scale_of(a.array.data_type()), scale_of(b.array.data_type()));
            let values = (0..c.rows).map(|row| {
                if c.skips(row) {
                    return Ok(None);
                }
                let base = logarithm(to_double(numeric_at(a.array.as_ref(), a.at(row)), s1), f64::ln)?;
                let value = logarithm(to_double(numeric_at(b.array.as_ref(), b.at(row)), s2), f64::ln)?;
                match (base, value) {
                    (Some(0.0), _) => Err(super::arithmetic::division_by_zero()),
                    (Some(base), Some(value)) => from_double(value / base).map(Some),
                    _ => Ok(None),
                }
            });
            build(&c.return_type, c.rows, values)
        })
        .giving(quotient),
    ];
    for name in ["log", "log10"] {
        functions.push(Function::new(name, float, FLOAT8, |c| {
            map1::<Float8, _>(c, |v| logarithm(v, f64::log10))
        }));
        let numeric = Function::new(name, one, NUMERIC, |c| {
            numerics(c, |v, s, _| by_double(v, s, |v| logarithm(v, f64::log10)))
        });
        functions.push(numeric.giving(quotient));
    }
    for name in ["power", "pow"] {
        functions.push(Function::new(name, two, FLOAT8, |c| {
            map2::<Float8, Float8, _>(c, power)
        }));
        functions.push(Function::new(name, &[T::Numeric, T::Numeric], NUMERIC, numeric_power).giving(quotient));
    }
    functions
}

fn root_error() -> SqlError {
    power_error("cannot take square root of a negative number")
}

fn whole() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("pi", &[], FLOAT8, |c| map0(c, || Ok(Some(std::f64::consts::PI)))),
        Function::new("degrees", &[T::Float8], FLOAT8, |c| {
            map1::<Float8, _>(c, |v| checked(v.to_degrees(), v, v))
        }),
        Function::new("radians", &[T::Float8], FLOAT8, |c| {
            map1::<Float8, _>(c, |v| Ok(Some(v.to_radians())))
        }),
        Function::new("gcd", &[T::Int4, T::Int4], INT4, |c| {
            map2::<Int4, Int4, _>(c, |a, b| {
                i32::try_from(gcd(i64::from(a), i64::from(b)))
                    .map(Some)
                    .map_err(|_| out_of_range(&SqlType::Int4))
            })
        }),
        Function::new(
            "gcd",
            &[T::Int8, T::Int8],
            || SqlType::Int8,
            |c| {
                map2::<Int8, Int8, _>(c, |a, b| {
                    i64::try_from(gcd(a, b))
                        .map(Some)
                        .map_err(|_| out_of_range(&SqlType::Int8))
                })
            },
        ),
        Function::new("lcm", &[T::Int4, T::Int4], INT4, |c| {
            map2::<Int4, Int4, _>(c, |a, b| {
                i32::try_from(lcm(i64::from(a), i64::from(b)))
                    .map(Some)
                    .map_err(|_| out_of_range(&SqlType::Int4))
            })
        }),
        Function::new(
            "lcm",
            &[T::Int8, T::Int8],
            || SqlType::Int8,
            |c| {
                map2::<Int8, Int8, _>(c, |a, b| {
                    i64::try_from(lcm(a, b))
                        .map(Some)
                        .map_err(|_| out_of_range(&SqlType::Int8))
                })
            },
        ),
        Function::new("gcd", &[T::Numeric, T::Numeric], NUMERIC, |c| numeric_divisor(c, false))
            .giving(Gives::From(common_scale)),
        Function::new("lcm", &[T::Numeric, T::Numeric], NUMERIC, |c| numeric_divisor(c, true))
            .giving(Gives::From(common_scale)),
        Function::new("factorial", &[T::Int8], NUMERIC, factorial).giving(Gives::From(|_| DataType::Decimal256(76, 0))),
        Function::new("width_bucket", &[T::Float8, T::Float8, T::Float8, T::Int4], INT4, |c| {
            map4::<Float8, Float8, Float8, Int4, _>(c, width_bucket)
        }),
    ]
}

fn gcd(a: i64, b: i64) -> i128 {
    let (mut a, mut b) = (i128::from(a).abs(), i128::from(b).abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn lcm(a: i64, b: i64) -> i128 {
    match gcd(a, b) {
        0 => 0,
        divisor => (i128::from(a) / divisor * i128::from(b)).abs(),
    }
}

/// A decimal of the greater of the two scales.
fn common_scale(args: &TypeArgs<'_>) -> DataType {
    common_type(&args.types[0], &args.types[1])
}

/// The greatest common divisor, or the least common multiple, of numerics.
fn numeric_divisor(call: &Call, multiple: bool) -> Result<ArrayRef, SqlError> {
    let to = scale_of(&call.return_type);
    let values = (0..call.rows).map(|row| {
        if call.skips(row) {
            return Ok(None);
        }
        let mut sides = [i256::ZERO; 2];
        for (side, arg) in sides.iter_mut().zip(&call.args) {
            match numeric_at(arg.array.as_ref(), arg.at(row)) {
                Numeric::Finite(value) => {
                    let scaled = rescale(value, scale_of(arg.array.data_type()), to).ok_or_else(overflow)?;
                    *side = scaled.wrapping_abs();
                }
                Numeric::NaN | Numeric::Infinity | Numeric::NegInfinity => return Ok(Some(Numeric::NaN)),
            }
        }
        let [a, b] = sides;
        let (mut divisor, mut rest) = (a, b);
        while rest != i256::ZERO {
            (divisor, rest) = (rest, divisor % rest);
        }
        let result = match multiple {
            true if divisor == i256::ZERO => i256::ZERO,
            true => (a / divisor).checked_mul(b).ok_or_else(overflow)?,
            false => divisor,
        };
        check_precision(Numeric::Finite(result), None, to as i8).map(Some)
    });
    build(&call.return_type, call.rows, values)
}

fn factorial(call: &Call) -> Result<ArrayRef, SqlError> {
    let arg = &call.args[0];
    let numbers = arg.array.as_primitive::<Int64Type>();
    let values = (0..call.rows).map(|row| {
        if call.skips(row) {
            return Ok(None);
        }
        let n = numbers.value(arg.at(row));
        if n < 0 {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "factorial of a negative number is undefined",
            ));
        }
        let mut product = i256::ONE;
        for factor in 2..=n {
            product = product
                .checked_mul(i256::from_i128(i128::from(factor)))
                .ok_or_else(overflow)?;
        }
        check_precision(Numeric::Finite(product), None, 0).map(Some)
    });
    build(&call.return_type, call.rows, values)
}

fn width_bucket(value: f64, low: f64, high: f64, count: i32) -> Answer<i32> {
    let invalid = |message: &str| SqlError::new(SqlState("2201G"), message);
    if count <= 0 {
        return Err(invalid("count must be greater than zero"));
    }
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return Err(invalid("operand, lower bound, and upper bound cannot be NaN"));
    }
    if low.is_infinite() || high.is_infinite() {
        return Err(invalid("lower and upper bounds must be finite"));
    }
    if low == high {
        return Err(invalid("lower bound cannot equal upper bound"));
    }
    let (place, span) = if low < high {
        (value - low, high - low)
    } else {
        (low - value, low - high)
    };
    Ok(Some(if place < 0.0 {
        0
    } else if place >= span {
        count.checked_add(1).ok_or_else(|| out_of_range(&SqlType::Int4))?
    } else {
        (place / span * f64::from(count)) as i32 + 1
    }))
}
