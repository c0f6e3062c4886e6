//! Casts between numbers, booleans and oids.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray, PrimitiveBuilder};
use arrow::datatypes::{
    ArrowNativeType, DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, UInt32Type, i256,
};
use highwater_types::text::numeric::{
    DisplayScale, Numeric, check_precision, field_overflow, overflow, parse_numeric, rescale, write_numeric,
};
use highwater_types::text::parse_f64;
use highwater_types::{QUOTIENT, SqlError, SqlState, SqlType, UNCONSTRAINED_NUMERIC};

use super::function::internal;

/// Casts a column of numbers; `None` when these are not numbers.
pub(crate) fn cast_number(array: &ArrayRef, from: &SqlType, to: &SqlType) -> Result<Option<ArrayRef>, SqlError> {
    use SqlType as S;
    let cast: ArrayRef = match (from, to) {
        (S::Bool, S::Int4) => {
            let bits = array.as_boolean();
            Arc::new(
                bits.iter()
                    .map(|b| b.map(i32::from))
                    .collect::<PrimitiveArray<Int32Type>>(),
            )
        }
        (S::Int4, S::Bool) => {
            let numbers = array.as_primitive::<Int32Type>();
            Arc::new(numbers.iter().map(|n| n.map(|n| n != 0)).collect::<BooleanArray>())
        }
        (S::Float4, S::Float8) | (S::Int2 | S::Int4 | S::Int8, S::Float4 | S::Float8) => {
            arrow::compute::cast(array, &to.to_arrow()).map_err(internal)?
        }
        (S::Float8, S::Float4) => to_single(array)?,
        (S::Float4 | S::Float8, S::Int2 | S::Int4 | S::Int8) => float_to_integer(array, to)?,
        (S::Float4 | S::Float8, S::Numeric(limits)) => float_to_numeric(array, *limits)?,
        (S::Numeric(_), S::Int2 | S::Int4 | S::Int8) => numeric_to_integer(array, to)?,
        (S::Numeric(_), S::Float4 | S::Float8) => numeric_to_float(array, to)?,
        (S::Numeric(_) | S::Int2 | S::Int4 | S::Int8, S::Numeric(limits)) => to_numeric(array, *limits)?,
        (S::Int2 | S::Int4 | S::Int8 | S::Oid, S::Int2 | S::Int4 | S::Int8) => narrow(array, to)?,
        (S::Int2 | S::Int4 | S::Int8, to) if to.to_arrow() == DataType::UInt32 => to_oid(array)?,
        _ => return Ok(None),
    };
    Ok(Some(cast))
}

/// `integer out of range`.
pub(crate) fn out_of_range(to: &SqlType) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{to} out of range"))
}

/// Reads any integer array as 64 bits.
fn wide(array: &ArrayRef) -> Result<PrimitiveArray<Int64Type>, SqlError> {
    let wide = arrow::compute::cast(array, &DataType::Int64).map_err(internal)?;
    Ok(wide.as_primitive().clone())
}

/// Every value through a function that may refuse it; NULLs stay.
fn try_map<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    array: &PrimitiveArray<A>,
    f: impl Fn(A::Native) -> Result<B::Native, SqlError>,
) -> Result<PrimitiveArray<B>, SqlError> {
    if array.null_count() == 0 {
        let values: Vec<B::Native> = array.values().iter().map(|v| f(*v)).collect::<Result<_, _>>()?;
        return Ok(PrimitiveArray::new(values.into(), None));
    }
    let mut builder = PrimitiveBuilder::<B>::with_capacity(array.len());
    for value in array {
        match value {
            None => builder.append_null(),
            Some(value) => builder.append_value(f(value)?),
        }
    }
    Ok(builder.finish())
}

fn to_integer<A: ArrowPrimitiveType>(
    array: &PrimitiveArray<A>,
    to: &SqlType,
    f: impl Fn(A::Native) -> Result<i64, SqlError>,
) -> Result<ArrayRef, SqlError> {
    let range = || out_of_range(to);
    Ok(match to {
        SqlType::Int2 => Arc::new(try_map::<A, Int16Type>(array, |v| {
            i16::try_from(f(v)?).map_err(|_| range())
        })?),
        SqlType::Int4 => Arc::new(try_map::<A, Int32Type>(array, |v| {
            i32::try_from(f(v)?).map_err(|_| range())
        })?),
        _ => Arc::new(try_map::<A, Int64Type>(array, f)?),
    })
}

fn narrow(array: &ArrayRef, to: &SqlType) -> Result<ArrayRef, SqlError> {
    to_integer(&wide(array)?, to, Ok)
}

fn to_oid(array: &ArrayRef) -> Result<ArrayRef, SqlError> {
    let is_wide = array.data_type() == &DataType::Int64;
    let oids = try_map::<Int64Type, UInt32Type>(&wide(array)?, |v| match u32::try_from(v) {
        Ok(oid) => Ok(oid),
        // An integer's bits are taken as they are; a bigint has to fit.
        Err(_) if !is_wide => Ok(v as i32 as u32),
        Err(_) => Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "OID out of range")),
    })?;
    Ok(Arc::new(oids))
}

fn to_single(array: &ArrayRef) -> Result<ArrayRef, SqlError> {
    let singles = try_map::<Float64Type, Float32Type>(array.as_primitive(), |v| {
        let single = v as f32;
        if single.is_infinite() && v.is_finite() {
            return Err(float_overflow());
        }
        if single == 0.0 && v != 0.0 {
            return Err(float_underflow());
        }
        Ok(single)
    })?;
    Ok(Arc::new(singles))
}

/// `value out of range: overflow`.
pub(crate) fn float_overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

/// `value out of range: underflow`.
pub(crate) fn float_underflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

fn float_to_integer(array: &ArrayRef, to: &SqlType) -> Result<ArrayRef, SqlError> {
    let doubles = arrow::compute::cast(array, &DataType::Float64).map_err(internal)?;
    to_integer::<Float64Type>(doubles.as_primitive(), to, |v| {
        let rounded = v.round_ties_even();
        // 2^63 itself is out of range, and so are NaN and the infinities.
        if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
            Ok(rounded as i64)
        } else {
            Err(out_of_range(to))
        }
    })
}

/// A float as a numeric: its 15 digits, or 6 of a single, as PostgreSQL takes them.
pub(crate) fn float_text(value: f64, is_single: bool) -> String {
    if value.is_finite() {
        return if is_single {
            format!("{value:.5e}")
        } else {
            format!("{value:.14e}")
        };
    }
    if value.is_nan() {
        return "NaN".to_string();
    }
    if value > 0.0 { "Infinity" } else { "-Infinity" }.to_string()
}

fn float_to_numeric(array: &ArrayRef, limits: Option<(u8, i8)>) -> Result<ArrayRef, SqlError> {
    let is_single = array.data_type() == &DataType::Float32;
    let doubles = arrow::compute::cast(array, &DataType::Float64).map_err(internal)?;
    let doubles = doubles.as_primitive::<Float64Type>();
    let data_type = SqlType::Numeric(limits).to_arrow();
    let (precision, scale) = match limits {
        Some((precision, scale)) => (Some(precision), scale),
        None => (None, unconstrained_scale()),
    };
    let values = (0..doubles.len()).map(|row| match doubles.is_null(row) {
        true => Ok(None),
        false => parse_numeric(&float_text(doubles.value(row), is_single), precision, scale).map(Some),
    });
    build(&data_type, doubles.len(), values)
}

fn unconstrained_scale() -> i8 {
    match UNCONSTRAINED_NUMERIC {
        DataType::Decimal256(_, scale) => scale,
        _ => 0,
    }
}

/// A decimal array of this type from values already at its scale.
pub(crate) fn build(
    data_type: &DataType,
    rows: usize,
    values: impl Iterator<Item = Result<Option<Numeric>, SqlError>>,
) -> Result<ArrayRef, SqlError> {
    if matches!(data_type, DataType::Decimal128(_, _)) {
        let mut builder = PrimitiveBuilder::<Decimal128Type>::with_capacity(rows);
        for value in values {
            match value? {
                None => builder.append_null(),
                Some(value) => builder.append_value(value.to_128().ok_or_else(overflow)?),
            }
        }
        return Ok(Arc::new(builder.finish().with_data_type(data_type.clone())));
    }
    let mut builder = PrimitiveBuilder::<Decimal256Type>::with_capacity(rows);
    for value in values {
        match value? {
            None => builder.append_null(),
            Some(value) => builder.append_value(value.to_256()),
        }
    }
    Ok(Arc::new(builder.finish().with_data_type(data_type.clone())))
}

/// A numeric's value in a row, and its scale: of any decimal or integer array.
pub(crate) fn numeric_at(array: &dyn Array, row: usize) -> Numeric {
    match array.data_type() {
        DataType::Decimal128(_, _) => Numeric::from_128(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Decimal256(_, _) => Numeric::from_256(array.as_primitive::<Decimal256Type>().value(row)),
        DataType::Int16 => finite(i128::from(array.as_primitive::<Int16Type>().value(row))),
        DataType::Int32 => finite(i128::from(array.as_primitive::<Int32Type>().value(row))),
        _ => finite(i128::from(array.as_primitive::<Int64Type>().value(row))),
    }
}

fn finite(value: i128) -> Numeric {
    Numeric::Finite(i256::from_i128(value))
}

/// The scale of a decimal or integer array.
pub(crate) fn scale_of(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => i32::from(*scale),
        _ => 0,
    }
}

fn numeric_to_integer(array: &ArrayRef, to: &SqlType) -> Result<ArrayRef, SqlError> {
    let scale = scale_of(array.data_type());
    let rows = PrimitiveArray::<Int64Type>::new(
        (0..array.len() as i64).collect::<Vec<_>>().into(),
        array.nulls().cloned(),
    );
    to_integer::<Int64Type>(&rows, to, |row| {
        let special = |word: &str| {
            SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot convert {word} to {to}"),
            )
            .with_hint("Integers are finite: use double precision or numeric.")
        };
        match numeric_at(array.as_ref(), row as usize) {
            Numeric::NaN => Err(special("NaN")),
            Numeric::Infinity | Numeric::NegInfinity => Err(special("infinity")),
            Numeric::Finite(value) => rescale(value, scale, 0)
                .and_then(|v| v.to_i128())
                .and_then(|v| i64::try_from(v).ok())
                .ok_or_else(|| out_of_range(to)),
        }
    })
}

/// A numeric as the nearest double.
pub(crate) fn to_double(value: Numeric, scale: i32) -> f64 {
    match value {
        Numeric::NaN => f64::NAN,
        Numeric::Infinity => f64::INFINITY,
        Numeric::NegInfinity => f64::NEG_INFINITY,
        Numeric::Finite(value) => {
            if let Some(small) = value.to_i128().filter(|v| v.unsigned_abs() < 1 << 53)
                && (0..=22).contains(&scale)
            {
                // Both are exact, so the one division rounds correctly.
                return small as f64 / 10f64.powi(scale);
            }
            let mut text = Vec::new();
            write_numeric(Numeric::Finite(value), scale, DisplayScale::Full, &mut text);
            let text = String::from_utf8_lossy(&text);
            parse_f64(&text).unwrap_or(f64::NAN)
        }
    }
}

fn numeric_to_float(array: &ArrayRef, to: &SqlType) -> Result<ArrayRef, SqlError> {
    let scale = scale_of(array.data_type());
    let mut builder = PrimitiveBuilder::<Float64Type>::with_capacity(array.len());
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
        } else {
            builder.append_value(to_double(numeric_at(array.as_ref(), row), scale));
        }
    }
    let doubles: ArrayRef = Arc::new(builder.finish());
    if *to == SqlType::Float4 {
        to_single(&doubles)
    } else {
        Ok(doubles)
    }
}

/// To a numeric type with limits or without, from a numeric or an integer.
fn to_numeric(array: &ArrayRef, limits: Option<(u8, i8)>) -> Result<ArrayRef, SqlError> {
    // A division's result stays one where nothing asks for a scale.
    if limits.is_none() && *array.data_type() == QUOTIENT {
        return rescale_array(array, &UNCONSTRAINED_NUMERIC, None);
    }
    let to = SqlType::Numeric(limits).to_arrow();
    // A quotient's digits are no limits that somebody has set: it may be without end.
    let limits = limits.filter(|_| to != QUOTIENT);
    rescale_array(array, &to, limits)
}

/// A decimal or integer array at another scale and width.
pub(crate) fn rescale_array(array: &ArrayRef, to: &DataType, limits: Option<(u8, i8)>) -> Result<ArrayRef, SqlError> {
    if let Some(fast) = widen_integers(array, to) {
        return Ok(fast);
    }
    let (from_scale, to_scale) = (scale_of(array.data_type()), scale_of(to));
    let precision = limits.map(|(precision, _)| precision);
    let values = (0..array.len()).map(|row| {
        if array.is_null(row) {
            return Ok(None);
        }
        let value =
            match numeric_at(array.as_ref(), row) {
                Numeric::Finite(value) => Numeric::Finite(rescale(value, from_scale, to_scale).ok_or_else(|| {
                    limits.map_or_else(overflow, |(precision, scale)| field_overflow(precision, scale))
                })?),
                special => special,
            };
        check_precision(value, precision, to_scale as i8).map(Some)
    });
    build(to, array.len(), values)
}

/// Integers as decimals that hold all of them: one multiplication a row, or none.
fn widen_integers(array: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let DataType::Decimal128(precision, scale) = to else {
        return None;
    };
    let digits = match array.data_type() {
        DataType::Int16 => 5,
        DataType::Int32 => 10,
        DataType::Int64 => 19,
        _ => return None,
    };
    if *scale < 0 || i32::from(*precision) - i32::from(*scale) < digits {
        return None;
    }
    let factor = 10i128.pow(u32::from(scale.unsigned_abs()));
    let decimals = match array.data_type() {
        DataType::Int16 => scaled(array.as_primitive::<Int16Type>(), factor),
        DataType::Int32 => scaled(array.as_primitive::<Int32Type>(), factor),
        _ => scaled(array.as_primitive::<Int64Type>(), factor),
    };
    Some(Arc::new(decimals.with_data_type(to.clone())))
}

fn scaled<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, factor: i128) -> PrimitiveArray<Decimal128Type>
where
    T::Native: Into<i128> + ArrowNativeType,
{
    array.unary(|v| {
        let wide: i128 = v.into();
        wide * factor
    })
}
