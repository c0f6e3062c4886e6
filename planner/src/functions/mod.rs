//! PostgreSQL's functions, operators, casts and aggregates over our types, as DataFusion takes them.
//!
//! DataFusion's own stay where PostgreSQL agrees; a function here replaces the one of the same name. Errors inside
//! functions are [`SqlError`](highwater_types::SqlError)s, wrapped as `DataFusionError::External`.
//!
//! | file | what it knows |
//! |---|---|
//! | `function.rs` | overloads, and how PostgreSQL chooses one; `rows.rs` applies a function of values to columns |
//! | `cast*.rs` | casts |
//! | `operator.rs` | which expression an operator is; `arithmetic.rs`, `decimal.rs`, `temporal.rs` compute it |
//! | `numbers.rs` | precision and scale of results |
//! | `math.rs`, `rounding.rs`, `string*.rs`, `pattern.rs`, `date*.rs`, `extract.rs`, `format*.rs`, `json*.rs`, `array.rs`, `series.rs` | functions, by type |
//! | `aggregate/` | aggregates |

mod aggregate;
mod arithmetic;
mod array;
mod cast;
mod cast_json;
mod cast_number;
mod cast_time;
mod date;
mod date_trunc;
mod decimal;
mod digest;
mod extract;
mod format;
mod format_keys;
mod format_number;
mod format_read;
mod function;
mod json;
mod json_build;
mod json_change;
mod json_raw;
mod math;
mod misc;
mod numbers;
mod operator;
mod pattern;
mod rounding;
mod rows;
mod series;
mod string;
mod string_join;
mod temporal;
mod to_json;
mod to_text;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub use cast::cast;
pub use operator::{as_operator, binary};
pub use to_json::row_as_json;

use function::PgFunction;

/// Every scalar function.
pub fn all_scalar() -> Vec<Arc<ScalarUDF>> {
    let mut functions = Vec::new();
    functions.extend(arithmetic::functions());
    functions.extend(decimal::functions());
    functions.extend(json::functions());
    functions.extend(date::functions());
    functions.extend(extract::functions());
    functions.extend(math::functions());
    functions.extend(pattern::functions());
    functions.extend(string::functions());
    functions.extend(array::functions());
    functions.extend(series::functions());
    functions.extend(format::functions());
    functions.extend(format_number::functions());
    functions.extend(misc::functions());
    functions.retain(|f| f.name.starts_with(|c: char| c.is_ascii_alphabetic()));
    PgFunction::group(functions)
}

/// Every aggregate.
pub fn all_aggregate() -> Vec<Arc<AggregateUDF>> {
    aggregate::all()
}

/// Every window function.
pub fn all_window() -> Vec<Arc<WindowUDF>> {
    Vec::new()
}

#[cfg(test)]
mod tests;
