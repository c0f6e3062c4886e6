//! Columns of small values as integers, and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Int64Array, PrimitiveArray, new_null_array,
};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType, UInt32Type,
};
use highwater_types::canonical_floats;

/// Whether values of a type take at most eight bytes.
pub(super) fn is_fixed(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt32
            | DataType::Float32
            | DataType::Float64
            | DataType::Date32
            | DataType::Time64(TimeUnit::Microsecond)
            | DataType::Timestamp(TimeUnit::Microsecond, _)
    )
}

/// A column of at most eight bytes a value as integers that are equal when the values are. NULLs stay.
pub(in crate::op) fn to_integers(column: &ArrayRef) -> Int64Array {
    fn widen<T: ArrowPrimitiveType>(column: &ArrayRef, to: impl Fn(T::Native) -> i64) -> Int64Array {
        column.as_primitive::<T>().unary(to)
    }
    match column.data_type() {
        DataType::Boolean => {
            let column = column.as_boolean();
            let values: Vec<i64> = column.values().iter().map(i64::from).collect();
            Int64Array::new(values.into(), column.nulls().cloned())
        }
        DataType::Int16 => widen::<Int16Type>(column, i64::from),
        DataType::Int32 => widen::<Int32Type>(column, i64::from),
        DataType::UInt32 => widen::<UInt32Type>(column, i64::from),
        DataType::Date32 => widen::<Date32Type>(column, i64::from),
        DataType::Int64 => column.as_primitive::<Int64Type>().clone(),
        DataType::Time64(TimeUnit::Microsecond) => column.as_primitive::<Time64MicrosecondType>().reinterpret_cast(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().reinterpret_cast()
        }
        DataType::Float32 => widen::<Float32Type>(&canonical_floats(column), |v| i64::from(v.to_bits())),
        DataType::Float64 => widen::<Float64Type>(&canonical_floats(column), |v| v.to_bits() as i64),
        other => unreachable!("a column of type {other} is not kept as integers"),
    }
}

/// The mirror of [`to_integers`].
pub(in crate::op) fn from_integers(data_type: &DataType, integers: Int64Array) -> ArrayRef {
    fn narrow<T: ArrowPrimitiveType>(integers: &Int64Array, to: impl Fn(i64) -> T::Native) -> ArrayRef {
        let array: PrimitiveArray<T> = integers.unary(to);
        Arc::new(array)
    }
    match data_type {
        DataType::Boolean => {
            let values = integers.values().iter().map(|v| *v != 0).collect();
            Arc::new(BooleanArray::new(values, integers.nulls().cloned()))
        }
        DataType::Int16 => narrow::<Int16Type>(&integers, |v| v as i16),
        DataType::Int32 => narrow::<Int32Type>(&integers, |v| v as i32),
        DataType::UInt32 => narrow::<UInt32Type>(&integers, |v| v as u32),
        DataType::Date32 => narrow::<Date32Type>(&integers, |v| v as i32),
        DataType::Int64 => Arc::new(integers),
        DataType::Time64(TimeUnit::Microsecond) => Arc::new(integers.reinterpret_cast::<Time64MicrosecondType>()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Arc::new(
            integers
                .reinterpret_cast::<TimestampMicrosecondType>()
                .with_data_type(data_type.clone()),
        ),
        DataType::Float32 => narrow::<Float32Type>(&integers, |v| f32::from_bits(v as u32)),
        DataType::Float64 => narrow::<Float64Type>(&integers, |v| f64::from_bits(v as u64)),
        other => new_null_array(other, integers.len()),
    }
}
