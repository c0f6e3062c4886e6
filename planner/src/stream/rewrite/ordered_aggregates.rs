//! Makes aggregates whose answer depends on the order of their rows determined: what their ORDER BY leaves open is
//! settled by all columns of the input, each ascending with NULLs first. So the general operator, which knows no order
//! of arrival, and a batch answer the same.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result as DfResult};
use datafusion::logical_expr::expr::{AggregateFunction, Sort as SortExpr};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};

/// Completes the orders inside the aggregates of an optimised plan.
pub(in crate::stream) fn rewrite(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    let rewritten = plan.transform_up(|node| match node {
        LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(minds_order) => {
            Ok(Transformed::yes(ordered(aggregate)?))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

fn ordered(aggregate: Aggregate) -> DfResult<LogicalPlan> {
    let schema = aggregate.input.schema();
    let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
    for call in aggregate.aggr_expr {
        if !minds_order(&call) {
            calls.push(call);
            continue;
        }
        let name = call.schema_name().to_string();
        calls.push(match call.unalias() {
            Expr::AggregateFunction(function) => {
                Expr::AggregateFunction(with_all_columns(function, schema, &aggregate.group_expr)).alias(name)
            }
            other => other.alias(name),
        });
    }
    Ok(LogicalPlan::Aggregate(Aggregate::try_new(
        aggregate.input,
        aggregate.group_expr,
        calls,
    )?))
}

/// A DISTINCT aggregate can be ordered by its arguments alone.
fn with_all_columns(mut function: AggregateFunction, schema: &DFSchema, group: &[Expr]) -> AggregateFunction {
    let columns = schema.columns().into_iter().map(Expr::Column);
    let args = function.params.args.clone();
    let keys: Vec<Expr> = if function.params.distinct {
        args.into_iter().take(1).collect()
    } else {
        columns.collect()
    };
    for key in keys {
        let settled = group.contains(&key) || function.params.order_by.iter().any(|sort| sort.expr == key);
        if !settled {
            function.params.order_by.push(SortExpr::new(key, true, true));
        }
    }
    function
}

/// Whether a call's answer depends on the order of its rows. The aggregates that have an operator are known not to.
fn minds_order(call: &Expr) -> bool {
    const ORDERLESS: [&str; 25] = [
        "approx_percentile",
        "avg",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bool_and",
        "bool_or",
        "corr",
        "count",
        "every",
        "max",
        "max_by",
        "median",
        "min",
        "min_by",
        "percentile_cont",
        "percentile_disc",
        "single_value",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "sum",
        "var_pop",
        "var_samp",
        "variance",
    ];
    match call {
        Expr::Alias(alias) => minds_order(&alias.expr),
        Expr::AggregateFunction(function) => {
            !ORDERLESS.contains(&function.func.name())
                && function.func.order_sensitivity() != AggregateOrderSensitivity::Insensitive
        }
        _ => false,
    }
}
