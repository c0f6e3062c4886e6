//! What a view may not have, found before any rewrite could hide it: the time of day, volatile functions, functions of
//! the session.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use crate::context::SessionFunctions;
use crate::error::{PlanError, Result};
use crate::now::is_now;

/// The functions that answer the time of day.
const CLOCKS: [&str; 9] = [
    "clock_timestamp",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "proctime",
    "timeofday",
    "today",
];

/// Refuses what cannot be maintained in a bound plan.
///
/// # Errors
/// With the construct's name.
pub(in crate::stream) fn check_plan(plan: &LogicalPlan, functions: &SessionFunctions) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                check_function(e, functions)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

fn check_function(expr: &Expr, functions: &SessionFunctions) -> DfResult<()> {
    let Expr::ScalarFunction(function) = expr else {
        return Ok(());
    };
    // Where that may stand is seen when the plan is translated.
    if is_now(expr) {
        return Ok(());
    }
    let name = function.name();
    let error = if CLOCKS.contains(&name) {
        PlanError::unsupported(
            format!("{name}() in a materialized view"),
            "Use it in a SELECT over the view, or window rows by their own time with TUMBLE or HOP.",
        )
    } else if function.func.signature().volatility == Volatility::Volatile {
        PlanError::unsupported(
            format!("the volatile function {name}() in a materialized view"),
            "A view must answer the same for the same rows: use it in a SELECT over the view.",
        )
    } else if functions.scalar.contains_key(name) {
        PlanError::unsupported(
            format!("{name}(), which depends on the session, in a materialized view"),
            "Use it in a SELECT over the view.",
        )
    } else {
        return Ok(());
    };
    Err(DataFusionError::from(error))
}
