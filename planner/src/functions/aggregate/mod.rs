//! Aggregates whose types or values differ from DataFusion's: sums and averages that are exact and as wide as
//! PostgreSQL's, the variances, those of text and JSON, and those that pick a value.
//!
//! The operators that maintain views have accumulators of their own; they and these agree on every value:
//! - `sum` of integers and numerics is exact; only a final value out of range is an error (22003). `avg` of these is
//!   [`highwater_types::average`].
//! - `sum` and `avg` of floats are [`highwater_types::ExactFloatSum`]: the true sum, rounded once; NaN makes NaN, and so
//!   do infinities of both signs; a finite sum too large for the type is an error (22003).
//! - NaN in a numeric sum makes NaN, infinities as for floats.
//! - `min` and `max` take NaN for greater than all numbers.
//! - No value at all: NULL.

mod adapter;
mod collect;
mod extreme;
mod pick;
mod sum;
mod sum_state;
mod variance;

use std::sync::Arc;

use datafusion::functions_aggregate::bool_and_or::bool_and_udaf;
use datafusion::logical_expr::AggregateUDF;

pub(crate) use variance::square_root;

/// Every aggregate of ours.
pub(super) fn all() -> Vec<Arc<AggregateUDF>> {
    let mut all: Vec<Arc<AggregateUDF>> = vec![
        Arc::new(bool_and_udaf().as_ref().clone().with_aliases(["every"])),
        Arc::new(AggregateUDF::new_from_impl(sum::Sum::new("sum"))),
        Arc::new(AggregateUDF::new_from_impl(sum::Sum::new("avg"))),
    ];
    all.extend(collect::all());
    all.extend(variance::all());
    all.extend(extreme::all());
    all
}
