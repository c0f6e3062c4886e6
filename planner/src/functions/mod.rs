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

mod arithmetic;
mod cast;
mod cast_json;
mod cast_number;
mod cast_time;
mod decimal;
mod function;
mod numbers;
mod operator;
mod rows;
mod temporal;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub use cast::cast;
pub use operator::{as_operator, binary};

use function::PgFunction;

/// Every scalar function.
pub fn all_scalar() -> Vec<Arc<ScalarUDF>> {
    let mut functions = Vec::new();
    functions.extend(arithmetic::functions());
    functions.extend(decimal::functions());
    functions.retain(|f| f.name.starts_with(|c: char| c.is_ascii_alphabetic()));
    PgFunction::group(functions)
}

/// Every aggregate.
pub fn all_aggregate() -> Vec<Arc<AggregateUDF>> {
    Vec::new()
}

/// Every window function.
pub fn all_window() -> Vec<Arc<WindowUDF>> {
    Vec::new()
}

#[cfg(test)]
mod tests;
