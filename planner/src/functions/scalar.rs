//! One value of a column, as DataFusion's constants hold it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use datafusion::common::{Result, ScalarValue};

/// The value of a row. A list is kept as it is: taken apart, it would lose what the field of its elements says of their
/// type.
///
/// # Errors
/// When no constant can hold the column's type.
pub fn scalar_at(array: &ArrayRef, row: usize) -> Result<ScalarValue> {
    match array.as_list_opt::<i32>() {
        Some(list) => Ok(ScalarValue::List(Arc::new(list.slice(row, 1)))),
        None => ScalarValue::try_from_array(array, row),
    }
}
