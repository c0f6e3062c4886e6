//! PostgreSQL's functions, operators, casts and aggregates over our types, as DataFusion takes them.
//!
//! DataFusion's own stay where PostgreSQL agrees; a function here replaces the one of the same name. Errors inside
//! functions are [`SqlError`](highwater_types::SqlError)s, wrapped as `DataFusionError::External`.
//!
//! | file | what it knows |
//! |---|---|
//! | `function.rs` | overloads, and how PostgreSQL chooses one; `argument.rs` brings arguments to its types; `rows.rs` applies a function of values to columns |
//! | `cast*.rs` | casts |
//! | `operator.rs` | which expression an operator is; `arithmetic.rs`, `decimal.rs`, `temporal.rs` compute it |
//! | `numbers.rs` | precision and scale of results |
//! | `math.rs`, `rounding.rs`, `trigonometry.rs`, `string*.rs`, `bytes.rs`, `pattern*.rs`, `date*.rs`, `extract.rs`, `format*.rs`, `json*.rs`, `array.rs`, `series.rs`, `size.rs` | functions, by type |
//! | `precision.rs` | what casts to `timestamp(3)` and its kin call |
//! | `aggregate/` | aggregates |

mod aggregate;
mod argument;
mod arithmetic;
mod array;
mod bytes;
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
mod format_special;
mod function;
mod json;
mod json_build;
mod json_change;
mod json_object;
mod json_order;
mod json_raw;
mod label;
mod math;
mod nulls;
mod numbers;
mod operator;
mod pattern;
mod pattern_place;
mod precision;
mod rounding;
mod rows;
mod scalar;
mod series;
mod size;
mod string;
mod string_join;
mod temporal;
mod to_json;
mod to_text;
mod trigonometry;
mod volatile;

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

pub use cast::cast;
pub(crate) use numbers::{integer_as_numeric, stored_quotient};
pub use operator::{as_operator, binary};
pub use scalar::scalar_at;
pub(crate) use string_join::quote_ident;
pub use to_json::row_as_json;

use function::{Function, PgFunction};

use crate::now;

/// Functions of DataFusion that answer as PostgreSQL's of the same name.
const OF_DATAFUSION: [&str; 9] = [
    "coalesce", "greatest", "least", "nullif", "random", "sha224", "sha256", "sha384", "sha512",
];

/// Aggregates of DataFusion that answer as PostgreSQL's of the same name.
const AGGREGATES_OF_DATAFUSION: [&str; 22] = [
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "every",
    "grouping",
    "max",
    "min",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
];

/// Functions that only the binder calls.
const INTERNAL: [&str; 10] = [
    "array_includes",
    "array_overlap",
    "interval_sort_key",
    "json_object_texts",
    "json_object_values",
    "jsonb_object_texts",
    "jsonb_object_values",
    "jsonb_sort_key",
    "numeric_series",
    "similar_to_escape",
];

static SCALARS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let own = named_functions().into_iter().map(|f| f.name);
    let all = own.chain(now::NAMES).chain(OF_DATAFUSION);
    all.filter(|name| !INTERNAL.contains(name) && !precision::NAMES.contains(name))
        .collect()
});

static AGGREGATES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let own = all_aggregate();
    let names = own
        .iter()
        .flat_map(|a| a.aliases().iter().cloned().chain([a.name().to_string()]));
    names.chain(AGGREGATES_OF_DATAFUSION.map(str::to_string)).collect()
});

/// Whether PostgreSQL has a scalar function of this name that is here too. DataFusion has more.
pub fn is_scalar(name: &str) -> bool {
    SCALARS.contains(name)
}

/// Whether PostgreSQL has an aggregate of this name that is here too.
pub fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(name)
}

/// Every scalar function.
pub fn all_scalar() -> Vec<Arc<ScalarUDF>> {
    PgFunction::group(named_functions())
}

/// The function whose answers sort and compare as PostgreSQL's values of a type do, where those of the type do not:
/// the text of a jsonb, and the months, days and time of an interval.
pub fn sort_key(data_type: &DataType) -> Option<Arc<ScalarUDF>> {
    static KEYS: LazyLock<[Arc<ScalarUDF>; 2]> = LazyLock::new(|| {
        let all = PgFunction::group(json::functions().into_iter().chain(date::functions()).collect());
        ["jsonb_sort_key", "interval_sort_key"].map(|name| {
            let key = all.iter().find(|f| f.name() == name);
            Arc::clone(key.expect("it is among the functions of its type"))
        })
    });
    let [jsonb, interval] = &*KEYS;
    match data_type {
        DataType::LargeUtf8 => Some(Arc::clone(jsonb)),
        DataType::Interval(_) => Some(Arc::clone(interval)),
        _ => None,
    }
}

/// Every function that is called by a name, not by an operator's symbol.
fn named_functions() -> Vec<Function> {
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
    functions.extend(nulls::functions());
    functions.extend(volatile::functions());
    functions.extend(bytes::functions());
    functions.extend(precision::functions());
    functions.extend(size::functions());
    functions.extend(trigonometry::functions());
    functions.retain(|f| f.name.starts_with(|c: char| c.is_ascii_alphabetic()));
    functions
}

/// Every aggregate.
pub fn all_aggregate() -> Vec<Arc<AggregateUDF>> {
    aggregate::all()
}

#[cfg(test)]
mod tests;
