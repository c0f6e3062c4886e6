//! Trigonometry, in radians and in degrees. The functions of degrees are exact where PostgreSQL's are: at multiples of
//! 30 and 45 degrees they answer what a schoolbook says (`sind` and its kin in its `float.c`).

use highwater_types::{SqlError, SqlState, SqlType};

use super::function::{Function, Takes};
use super::rows::{Float8, map1, map2};

const FLOAT8: fn() -> SqlType = || SqlType::Float8;
const ONE: &[Takes] = &[Takes::Float8];
const TWO: &[Takes] = &[Takes::Float8, Takes::Float8];

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    macro_rules! of_one {
        ($($name:literal => $f:expr;)*) => {
            vec![$(Function::new($name, ONE, FLOAT8, |c| map1::<Float8, _>(c, $f)),)*]
        };
    }
    let mut functions = of_one! {
        "sin" => |v| finite(v).map(|v| Some(v.sin()));
        "cos" => |v| finite(v).map(|v| Some(v.cos()));
        "tan" => |v| finite(v).map(|v| Some(v.tan()));
        "cot" => |v| finite(v).map(|v| Some(1.0 / v.tan()));
        "asin" => |v| within(v, -1.0, 1.0).map(|v| Some(v.asin()));
        "acos" => |v| within(v, -1.0, 1.0).map(|v| Some(v.acos()));
        "atan" => |v| Ok(Some(v.atan()));
        "sinh" => |v| Ok(Some(v.sinh()));
        "cosh" => |v| Ok(Some(v.cosh()));
        "tanh" => |v| Ok(Some(v.tanh()));
        "asinh" => |v| Ok(Some(v.asinh()));
        "acosh" => |v| within(v, 1.0, f64::INFINITY).map(|v| Some(v.acosh()));
        "atanh" => |v| within(v, -1.0, 1.0).map(|v| Some(v.atanh()));
        "sind" => |v| finite(v).map(|v| Some(sind(v)));
        "cosd" => |v| finite(v).map(|v| Some(cosd(v)));
        "tand" => |v| finite(v).map(tand);
        "cotd" => |v| finite(v).map(cotd);
        "asind" => |v| within(v, -1.0, 1.0).map(|v| Some(if v >= 0.0 { asind_q1(v) } else { -asind_q1(-v) }));
        "acosd" => |v| within(v, -1.0, 1.0).map(|v| Some(if v >= 0.0 { acosd_q1(v) } else { 90.0 + asind_q1(-v) }));
        "atand" => |v| Ok(Some(v.atan() / 1f64.atan() * 45.0));
    };
    functions.push(Function::new("atan2", TWO, FLOAT8, |c| {
        map2::<Float8, Float8, _>(c, |y, x| Ok(Some(y.atan2(x))))
    }));
    functions.push(Function::new("atan2d", TWO, FLOAT8, |c| {
        map2::<Float8, Float8, _>(c, |y, x| Ok(Some(y.atan2(x) / 1f64.atan() * 45.0)))
    }));
    functions
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

/// Any number but the infinities.
fn finite(value: f64) -> Result<f64, SqlError> {
    if value.is_infinite() {
        Err(out_of_range())
    } else {
        Ok(value)
    }
}

/// A number in a range, or NaN.
fn within(value: f64, low: f64, high: f64) -> Result<f64, SqlError> {
    if value < low || value > high {
        Err(out_of_range())
    } else {
        Ok(value)
    }
}

/// The sine between 0 and 30 degrees, scaled to be exact at its end.
fn sine_to_30(x: f64) -> f64 {
    x.to_radians().sin() / 30f64.to_radians().sin() / 2.0
}

/// The cosine between 0 and 60 degrees, scaled to be exact at its end.
fn cosine_to_60(x: f64) -> f64 {
    1.0 - (1.0 - x.to_radians().cos()) / (1.0 - 60f64.to_radians().cos()) / 2.0
}

fn sind_q1(x: f64) -> f64 {
    if x <= 30.0 {
        sine_to_30(x)
    } else {
        cosine_to_60(90.0 - x)
    }
}

fn cosd_q1(x: f64) -> f64 {
    if x <= 60.0 {
        cosine_to_60(x)
    } else {
        sine_to_30(90.0 - x)
    }
}

/// An angle in the first quadrant with the signs that sine and cosine have at the given one.
fn first_quadrant(degrees: f64) -> (f64, f64, f64) {
    let mut x = degrees % 360.0;
    let (mut sine, mut cosine) = (1.0, 1.0);
    if x < 0.0 {
        x = -x;
        sine = -sine;
    }
    if x > 180.0 {
        x = 360.0 - x;
        sine = -sine;
    }
    if x > 90.0 {
        x = 180.0 - x;
        cosine = -cosine;
    }
    (x, sine, cosine)
}

fn sind(degrees: f64) -> f64 {
    let (x, sign, _) = first_quadrant(degrees);
    sign * sind_q1(x)
}

fn cosd(degrees: f64) -> f64 {
    let (x, _, sign) = first_quadrant(degrees);
    sign * cosd_q1(x)
}

fn tand(degrees: f64) -> Option<f64> {
    let (x, sine, cosine) = first_quadrant(degrees);
    let tan_45 = sind_q1(45.0) / cosd_q1(45.0);
    // No negative zero, as in PostgreSQL.
    Some(sine * cosine * (sind_q1(x) / cosd_q1(x) / tan_45)).map(|t| if t == 0.0 { 0.0 } else { t })
}

fn cotd(degrees: f64) -> Option<f64> {
    let (x, sine, cosine) = first_quadrant(degrees);
    let cot_45 = cosd_q1(45.0) / sind_q1(45.0);
    Some(sine * cosine * (cosd_q1(x) / sind_q1(x) / cot_45)).map(|t| if t == 0.0 { 0.0 } else { t })
}

fn asind_q1(x: f64) -> f64 {
    if x <= 0.5 {
        x.asin() / 0.5f64.asin() * 30.0
    } else {
        90.0 - x.acos() / 0.5f64.acos() * 60.0
    }
}

fn acosd_q1(x: f64) -> f64 {
    if x <= 0.5 {
        90.0 - x.asin() / 0.5f64.asin() * 30.0
    } else {
        x.acos() / 0.5f64.acos() * 60.0
    }
}
