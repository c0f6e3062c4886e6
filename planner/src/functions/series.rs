//! `generate_series` and `generate_subscripts`, as lists that FROM unnests.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, ListArray, PrimitiveArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Decimal256Type, Field, Int32Type, Int64Type, IntervalMonthDayNanoType, TimestampMicrosecondType, i256,
};
use highwater_types::text::datetime::zone::Zone;
use highwater_types::text::numeric::{Numeric, overflow, rescale};
use highwater_types::{IntervalParts, SqlError, SqlState, SqlType};

use super::cast_number::{numeric_at, scale_of};
use super::cast_time::is_infinite;
use super::function::{Call, Function, Gives, Takes, TypeArgs, internal};
use super::numbers::decimal_type;
use super::temporal::{add_to_instant, add_to_local, length};

/// No list has more elements than this: a longer series is for `generate_series` between constants in FROM, which is
/// made as it is read.
const MAX_ELEMENT_COUNT: usize = 50_000_000;

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    use Takes as T;
    let int8s = || SqlType::Array(Box::new(SqlType::Int8));
    let int4s = || SqlType::Array(Box::new(SqlType::Int4));
    let stamps = || SqlType::Array(Box::new(SqlType::Timestamp));
    let instants = || SqlType::Array(Box::new(SqlType::Timestamptz));
    vec![
        Function::new("generate_series", &[T::Int8, T::Int8], int8s, whole::<Int64Type>),
        Function::new(
            "generate_series",
            &[T::Int8, T::Int8, T::Int8],
            int8s,
            whole::<Int64Type>,
        ),
        Function::new(
            "generate_series",
            &[T::Timestamp, T::Timestamp, T::Interval],
            stamps,
            times,
        ),
        Function::new(
            "generate_series",
            &[T::Timestamptz, T::Timestamptz, T::Interval],
            instants,
            times,
        )
        .stable(),
        Function::new("numeric_series", &[T::Numeric, T::Numeric, T::Numeric], int8s, numerics)
            .giving(Gives::From(numeric_list)),
        Function::new("generate_subscripts", &[T::AnyArray, T::Int4], int4s, subscripts),
    ]
}

fn too_many() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("a series of more than {MAX_ELEMENT_COUNT} elements"),
    )
}

fn zero_step() -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero")
}

/// Lists of primitives, row by row.
fn lists<T: ArrowPrimitiveType>(
    call: &Call,
    mut fill: impl FnMut(usize, &mut Vec<T::Native>) -> Result<(), SqlError>,
) -> Result<ArrayRef, SqlError> {
    let mut values = Vec::new();
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    for row in 0..call.rows {
        let before = values.len();
        if !call.skips(row) {
            fill(row, &mut values)?;
        }
        lengths.push(values.len() - before);
        valid.push(!call.skips(row));
    }
    let item = match &call.return_type {
        DataType::List(item) => Arc::clone(item),
        other => unreachable!("a series is a list, not {other}"),
    };
    let array = PrimitiveArray::<T>::new(values.into(), None).with_data_type(item.data_type().clone());
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::new(
        item,
        offsets,
        Arc::new(array),
        Some(NullBuffer::from(valid)),
    )))
}

fn whole<T: ArrowPrimitiveType<Native = i64>>(call: &Call) -> Result<ArrayRef, SqlError> {
    let number = |place: usize, row: usize| {
        let arg = call.args.get(place)?;
        Some(arg.array.as_primitive::<T>().value(arg.at(row)))
    };
    lists::<T>(call, |row, values| {
        let (Some(first), Some(last)) = (number(0, row), number(1, row)) else {
            return Ok(());
        };
        let step = number(2, row).unwrap_or(1);
        if step == 0 {
            return Err(zero_step());
        }
        let mut at = Some(first);
        while let Some(value) = at.filter(|v| if step > 0 { *v <= last } else { *v >= last }) {
            if values.len() >= MAX_ELEMENT_COUNT {
                return Err(too_many());
            }
            values.push(value);
            at = value.checked_add(step);
        }
        Ok(())
    })
}

/// A list of decimals with the greatest scale of the three.
fn numeric_list(args: &TypeArgs<'_>) -> DataType {
    let scale = args.types.iter().map(scale_of).max().unwrap_or(0);
    DataType::List(Arc::new(Field::new("item", decimal_type(76, scale), true)))
}

/// A series of numerics.
fn numerics(call: &Call) -> Result<ArrayRef, SqlError> {
    let DataType::List(item) = &call.return_type else {
        return Err(internal("a series is a list"));
    };
    let scale = scale_of(item.data_type());
    let at = |place: usize, row: usize| {
        let arg = &call.args[place];
        match numeric_at(arg.array.as_ref(), arg.at(row)) {
            Numeric::Finite(value) => rescale(value, scale_of(arg.array.data_type()), scale).ok_or_else(overflow),
            Numeric::NaN | Numeric::Infinity | Numeric::NegInfinity => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "start, stop and step must be finite numbers",
            )),
        }
    };
    lists::<Decimal256Type>(call, |row, values| {
        let (mut value, last, step) = (at(0, row)?, at(1, row)?, at(2, row)?);
        if step == i256::ZERO {
            return Err(zero_step());
        }
        while if step > i256::ZERO {
            value <= last
        } else {
            value >= last
        } {
            if values.len() >= MAX_ELEMENT_COUNT {
                return Err(too_many());
            }
            values.push(value);
            value = value.checked_add(step).ok_or_else(overflow)?;
        }
        Ok(())
    })
}

fn times(call: &Call) -> Result<ArrayRef, SqlError> {
    let stamp = |place: usize, row: usize| {
        let arg = &call.args[place];
        arg.array.as_primitive::<TimestampMicrosecondType>().value(arg.at(row))
    };
    let zone = match call.args[0].array.data_type() {
        DataType::Timestamp(_, Some(_)) => Some(Zone::Named(call.settings.time_zone)),
        _ => None,
    };
    lists::<TimestampMicrosecondType>(call, |row, values| {
        let arg = &call.args[2];
        let step = IntervalParts::from(arg.array.as_primitive::<IntervalMonthDayNanoType>().value(arg.at(row)));
        let direction = length(step);
        if direction == 0 {
            return Err(zero_step());
        }
        let (mut at, last) = (stamp(0, row), stamp(1, row));
        if is_infinite(at) || is_infinite(last) {
            return Err(too_many());
        }
        while if direction > 0 { at <= last } else { at >= last } {
            if values.len() >= MAX_ELEMENT_COUNT {
                return Err(too_many());
            }
            values.push(at);
            at = match zone {
                Some(zone) => add_to_instant(at, step, zone)?,
                None => add_to_local(at, step)?,
            };
        }
        Ok(())
    })
}

fn subscripts(call: &Call) -> Result<ArrayRef, SqlError> {
    let (array, dimension) = (&call.args[0], &call.args[1]);
    lists::<Int32Type>(call, |row, values| {
        if dimension.array.as_primitive::<Int32Type>().value(dimension.at(row)) == 1 {
            values.extend(1..=array.array.as_list::<i32>().value_length(array.at(row)));
        }
        Ok(())
    })
}
