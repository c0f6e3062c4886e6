//! [`Arg`]: an argument of a call, brought to the type that the overload takes in its place; and results brought under
//! the field that the overload promised.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;
use highwater_types::text::TextSettings;
use highwater_types::{SqlError, SqlType};

use super::cast::cast_array;
use super::function::{Takes, internal};
use super::numbers::integer_as_numeric;

/// An argument of a call: a column, or one value for all rows.
#[derive(Debug, Clone)]
pub(crate) struct Arg {
    pub(crate) array: ArrayRef,
    pub(crate) is_scalar: bool,
    pub(crate) field: FieldRef,
}

impl Arg {
    /// Where the value of a row stands in the array.
    pub(crate) fn at(&self, row: usize) -> usize {
        if self.is_scalar { 0 } else { row }
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.array.data_type() == &DataType::Null || self.array.is_null(self.at(row))
    }

    /// As a column of so many rows.
    pub(crate) fn to_column(&self, rows: usize) -> Result<ArrayRef, SqlError> {
        if !self.is_scalar {
            return Ok(Arc::clone(&self.array));
        }
        let value = ScalarValue::try_from_array(&self.array, 0).map_err(internal)?;
        value.to_array_of_size(rows).map_err(internal)
    }
}

/// Brings an argument to the type of its place.
pub(super) fn bind(
    value: &ColumnarValue,
    field: &FieldRef,
    takes: Takes,
    settings: &TextSettings,
) -> Result<Arg, SqlError> {
    let (array, is_scalar) = match value {
        ColumnarValue::Array(array) => (Arc::clone(array), false),
        ColumnarValue::Scalar(scalar) => (scalar.to_array().map_err(internal)?, true),
    };
    let from = SqlType::of_field(field);
    let to = match takes {
        Takes::Any | Takes::AnyArray => {
            return Ok(Arg {
                array,
                is_scalar,
                field: Arc::clone(field),
            });
        }
        Takes::Numeric => match &from {
            // Without a copy: the operators read 64-bit integers as numerics of scale 0.
            SqlType::Numeric(_) | SqlType::Int8 if array.data_type() != &DataType::Null => {
                return Ok(Arg {
                    array,
                    is_scalar,
                    field: Arc::clone(field),
                });
            }
            other => integer_as_numeric(other).unwrap_or(SqlType::Numeric(None)),
        },
        Takes::Bool => SqlType::Bool,
        Takes::Int2 => SqlType::Int2,
        Takes::Int4 => SqlType::Int4,
        Takes::Int8 => SqlType::Int8,
        Takes::Float4 => SqlType::Float4,
        Takes::Float8 => SqlType::Float8,
        Takes::Text => SqlType::Text,
        Takes::Bytea => SqlType::Bytea,
        Takes::Date => SqlType::Date,
        Takes::Time => SqlType::Time,
        Takes::Timestamp => SqlType::Timestamp,
        Takes::Timestamptz => SqlType::Timestamptz,
        Takes::Interval => SqlType::Interval,
        Takes::Jsonb => SqlType::Jsonb,
        Takes::Texts => SqlType::Array(Box::new(SqlType::Text)),
    };
    let array = cast_array(&array, &from, &to, false, settings)?;
    Ok(Arg {
        array,
        is_scalar,
        field: to.to_field(field.name()),
    })
}

/// A list under the field of the result's type, which names an SQL type that the list's own field does not.
pub(super) fn conform(array: ArrayRef, data_type: &DataType) -> ArrayRef {
    match (array.as_list_opt::<i32>(), data_type) {
        (Some(list), DataType::List(item)) if array.data_type() != data_type => {
            let (_, offsets, values, nulls) = list.clone().into_parts();
            match values.data_type() == item.data_type() {
                true => Arc::new(ListArray::new(Arc::clone(item), offsets, values, nulls)),
                false => array,
            }
        }
        _ => array,
    }
}
