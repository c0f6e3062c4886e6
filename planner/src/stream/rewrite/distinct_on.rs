//! `SELECT DISTINCT ON (k) ... ORDER BY k, o` becomes `row_number() OVER (PARTITION BY k ORDER BY o) = 1`, which is a
//! top-N with one row a key. DataFusion's own rewrite makes ordered aggregates of it, and its filter push-down moves
//! filters below a DISTINCT ON that belong above.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result as DfResult};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::expr_rewriter::{normalize_cols, normalize_sorts};
use datafusion::logical_expr::{
    Distinct, DistinctOn, Expr, LogicalPlan, LogicalPlanBuilder, WindowFrame, WindowFunctionDefinition, lit,
};

/// The name of the column that numbers the rows of a key.
const NUMBER: &str = "distinct_on";

/// Rewrites every DISTINCT ON of a plan, also in subqueries.
pub(in crate::stream) fn rewrite(plan: LogicalPlan, state: &SessionState) -> DfResult<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Distinct(Distinct::On(distinct)) => Ok(Transformed::yes(numbered(distinct, state)?)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

fn numbered(distinct: DistinctOn, state: &SessionState) -> DfResult<LogicalPlan> {
    let DistinctOn {
        on_expr,
        select_expr,
        sort_expr,
        input,
        schema,
    } = distinct;
    let keys = normalize_cols(on_expr, input.as_ref())?;
    let order = normalize_sorts(sort_expr.unwrap_or_default(), input.as_ref())?;
    let order_by: Vec<_> = order.into_iter().filter(|sort| !keys.contains(&sort.expr)).collect();
    let row_number = state.window_functions().get("row_number").map_or_else(
        || datafusion::functions_window::row_number::row_number_udwf(),
        Arc::clone,
    );
    let window_frame = WindowFrame::new((!order_by.is_empty()).then_some(false));
    let params = WindowFunctionParams {
        args: Vec::new(),
        partition_by: keys,
        order_by,
        window_frame,
        filter: None,
        null_treatment: None,
        distinct: false,
    };
    let function = Expr::from(WindowFunction {
        fun: WindowFunctionDefinition::WindowUDF(row_number),
        params,
    });
    let select = normalize_cols(select_expr, input.as_ref())?;
    let columns = select
        .into_iter()
        .zip(schema.iter())
        .map(|(expr, (qualifier, field))| expr.alias_qualified(qualifier.cloned(), field.name()));
    LogicalPlanBuilder::from(input)
        .window(vec![function.alias(NUMBER)])?
        .filter(Expr::Column(Column::new_unqualified(NUMBER)).lt_eq(lit(1_i64)))?
        .project(columns)?
        .build()
}
