//! Makes the batch reference of a view determined where SQL leaves a choice: rows that ORDER BY ... LIMIT or
//! `row_number()` find equal are ordered by all of their columns, each ascending with NULLs first, as the operator
//! `TopN` orders them. Only the reference is changed; the operators need not be told.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result as DfResult};
use datafusion::logical_expr::expr::{Sort as SortExpr, WindowFunction};
use datafusion::logical_expr::{
    Expr, Limit, LogicalPlan, Projection, Sort, SubqueryAlias, Window, WindowFrame, WindowFrameUnits,
    WindowFunctionDefinition,
};

/// Adds the columns that break ties to the orders of an optimised plan.
pub(in crate::stream) fn rewrite(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    let rewritten = plan.transform_up(|node| match node {
        LogicalPlan::Limit(limit) => {
            let input = ordered(Arc::unwrap_or_clone(limit.input))?;
            Ok(Transformed::yes(LogicalPlan::Limit(Limit {
                input: Arc::new(input),
                ..limit
            })))
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_some() => Ok(Transformed::yes(ordered(LogicalPlan::Sort(sort))?)),
        LogicalPlan::Window(window) => Ok(Transformed::yes(numbered(window)?)),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

/// The plan in its own order, which may lie below projections, and then in that of its columns.
fn ordered(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(sort) => {
            let expr = with_all_columns(sort.expr, sort.input.schema());
            Ok(LogicalPlan::Sort(Sort { expr, ..sort }))
        }
        LogicalPlan::Projection(projection) => {
            let input = ordered(Arc::unwrap_or_clone(projection.input))?;
            let projection = Projection::try_new_with_schema(projection.expr, Arc::new(input), projection.schema)?;
            Ok(LogicalPlan::Projection(projection))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let input = ordered(Arc::unwrap_or_clone(alias.input))?;
            Ok(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(
                Arc::new(input),
                alias.alias,
            )?))
        }
        other => {
            let expr = with_all_columns(Vec::new(), other.schema());
            Ok(LogicalPlan::Sort(Sort {
                expr,
                input: Arc::new(other),
                fetch: None,
            }))
        }
    }
}

/// The window functions that number or look at single rows, ordered by all columns.
fn numbered(window: Window) -> DfResult<LogicalPlan> {
    let Window {
        input,
        window_expr,
        schema,
    } = window;
    let mut exprs = Vec::with_capacity(window_expr.len());
    for (at, expr) in window_expr.into_iter().enumerate() {
        let (qualifier, field) = schema.qualified_field(input.schema().fields().len() + at);
        let (qualifier, name) = (qualifier.cloned(), field.name().clone());
        let expr = unaliased(expr);
        let changed = match expr {
            Expr::WindowFunction(function) if looks_at_rows(&function) => {
                let mut function = function;
                let params = &mut function.params;
                if params.order_by.is_empty() {
                    params.window_frame = WindowFrame::new(Some(false));
                }
                params.order_by = with_all_columns(std::mem::take(&mut params.order_by), input.schema());
                Expr::WindowFunction(function)
            }
            other => other,
        };
        exprs.push(if changed.schema_name().to_string() == name {
            changed
        } else {
            changed.alias_qualified(qualifier, name)
        });
    }
    Ok(LogicalPlan::Window(Window::try_new(exprs, input)?))
}

/// Whether a function's answer depends on the order of rows that its ORDER BY finds equal.
fn looks_at_rows(function: &WindowFunction) -> bool {
    let by_rows = function.params.window_frame.units == WindowFrameUnits::Rows && !function.params.order_by.is_empty();
    match &function.fun {
        WindowFunctionDefinition::WindowUDF(udf) => {
            matches!(
                udf.name(),
                "row_number" | "ntile" | "lag" | "lead" | "first_value" | "nth_value"
            ) || by_rows
        }
        WindowFunctionDefinition::AggregateUDF(_) => by_rows,
    }
}

fn with_all_columns(mut order: Vec<SortExpr>, schema: &DFSchema) -> Vec<SortExpr> {
    for (qualifier, field) in schema.iter() {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        if !order.iter().any(|sort| sort.expr == column) {
            order.push(SortExpr::new(column, true, true));
        }
    }
    order
}

fn unaliased(expr: Expr) -> Expr {
    match expr {
        Expr::Alias(alias) => unaliased(*alias.expr),
        other => other,
    }
}
