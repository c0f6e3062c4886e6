//! Counting NULLs among values of any types.

use highwater_types::SqlType;

use super::function::{Call, Function, Takes};
use super::rows::map_rows;

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    vec![
        Function::new("num_nulls", &[Takes::Any], || SqlType::Int4, |c| count_nulls(c, true))
            .and_more(Takes::Any)
            .with_nulls(),
        Function::new(
            "num_nonnulls",
            &[Takes::Any],
            || SqlType::Int4,
            |c| count_nulls(c, false),
        )
        .and_more(Takes::Any)
        .with_nulls(),
    ]
}

fn count_nulls(call: &Call, nulls: bool) -> Result<arrow::array::ArrayRef, highwater_types::SqlError> {
    map_rows(call, |row| {
        let is_null = |a: &&super::function::Arg| a.is_null(row) == nulls;
        Ok(Some(call.args.iter().filter(is_null).count() as i32))
    })
}
