//! Aggregates that pick one of their values, of those other databases than PostgreSQL have: by place in the order
//! (`first_value`, `last_value`, `any_value`), by another column (`min_by`, `max_by`, also called `arg_min` and `arg_max`;
//! ClickHouse, Trino, Flink), or by rank (`median`, `approx_percentile`, which here is exact).
//!
//! Where several rows have the least or the greatest in the other column, the least value of theirs is picked, NULL last,
//! so that the answer depends on the rows alone.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{SortColumn, SortOptions, cast, lexsort_to_indices, sort};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::ScalarValue;
use highwater_types::{SqlError, canonical_floats};

use super::collect::percentile;
use crate::functions::function::internal;

type Picked = Result<ScalarValue, SqlError>;

/// The type of the first argument.
pub(super) fn type_of_value(types: &[DataType]) -> Option<DataType> {
    Some(types.first()?.clone())
}

/// The type of the first argument; the second must be of a type that compares by its bytes as its values do.
pub(super) fn type_of_value_by(types: &[DataType]) -> Option<DataType> {
    let [value, by] = types else { return None };
    let is_ordered = !matches!(by, DataType::Interval(_) | DataType::LargeUtf8);
    is_ordered.then(|| value.clone())
}

/// Of numbers.
pub(super) fn type_of_median(types: &[DataType]) -> Option<DataType> {
    types.first()?.is_numeric().then_some(DataType::Float64)
}

/// The first value in the order.
pub(super) fn first(args: &[ArrayRef], _: &DataType) -> Picked {
    at(&args[0], 0)
}

/// The last value in the order.
pub(super) fn last(args: &[ArrayRef], _: &DataType) -> Picked {
    at(&args[0], args[0].len() - 1)
}

/// The value beside the least of the second argument.
pub(super) fn min_by(args: &[ArrayRef], data_type: &DataType) -> Picked {
    by(args, data_type, false)
}

/// The value beside the greatest of the second argument.
pub(super) fn max_by(args: &[ArrayRef], data_type: &DataType) -> Picked {
    by(args, data_type, true)
}

fn by(args: &[ArrayRef], data_type: &DataType, descending: bool) -> Picked {
    if args[1].null_count() == args[1].len() {
        return ScalarValue::try_from(data_type).map_err(internal);
    }
    let key = |values: ArrayRef, descending| SortColumn {
        values,
        options: Some(SortOptions {
            descending,
            nulls_first: false,
        }),
    };
    let keys = [
        key(canonical_floats(&args[1]), descending),
        key(ArrayRef::clone(&args[0]), false),
    ];
    let first = lexsort_to_indices(&keys, Some(1)).map_err(internal)?;
    at(&args[0], first.value(0) as usize)
}

/// The value in the middle, or the average of the two there.
pub(super) fn median(args: &[ArrayRef], _: &DataType) -> Picked {
    let values = sort(&cast(&args[0], &DataType::Float64).map_err(internal)?, None).map_err(internal)?;
    let values = values.as_primitive::<Float64Type>().values();
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    // As percentile_cont does it, so that both agree.
    Ok(ScalarValue::Float64(Some(
        low + (high - low) * if values.len() % 2 == 0 { 0.5 } else { 0.0 },
    )))
}

/// The first value whose place among all reaches a fraction of them.
pub(super) fn approx_percentile(args: &[ArrayRef], data_type: &DataType) -> Picked {
    let sorted = sort(&args[0], None).map_err(internal)?;
    percentile(&[sorted, ArrayRef::clone(&args[1])], data_type)
}

fn at(values: &ArrayRef, row: usize) -> Picked {
    ScalarValue::try_from_array(values, row).map_err(internal)
}
