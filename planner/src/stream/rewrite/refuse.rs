//! What a view may not have, found before any rewrite could hide it: the time of day, volatile functions, functions of
//! the session, IN below operators that tell unknown from false.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, Volatility};
use sqlparser::ast;

use crate::context::SessionFunctions;
use crate::error::{PlanError, Result};

/// The functions that answer the time of day.
const CLOCKS: [&str; 12] = [
    "clock_timestamp",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "now",
    "proctime",
    "statement_timestamp",
    "timeofday",
    "today",
    "transaction_timestamp",
];

/// Refuses set operations that keep duplicates one by one.
///
/// # Errors
/// With the construct's name.
pub(in crate::stream) fn check_syntax(query: &ast::Query) -> Result<()> {
    check_body(&query.body)
}

fn check_body(body: &ast::SetExpr) -> Result<()> {
    match body {
        ast::SetExpr::SetOperation {
            op,
            set_quantifier,
            left,
            right,
        } => {
            let all = matches!(set_quantifier, ast::SetQuantifier::All | ast::SetQuantifier::AllByName);
            if all && *op != ast::SetOperator::Union {
                return Err(PlanError::unsupported(
                    format!("{op} ALL in a materialized view"),
                    format!("Write {op} without ALL, or number equal rows with row_number() first."),
                ));
            }
            check_body(left)?;
            check_body(right)
        }
        ast::SetExpr::Query(query) => check_body(&query.body),
        _ => Ok(()),
    }
}

/// Refuses what cannot be maintained in a bound plan.
///
/// # Errors
/// With the construct's name.
pub(in crate::stream) fn check_plan(plan: &LogicalPlan, functions: &SessionFunctions) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::RecursiveQuery(_) = node {
            return Err(DataFusionError::from(PlanError::unsupported(
                "WITH RECURSIVE in a materialized view",
                "Compute the recursion in a SELECT over a view.",
            )));
        }
        node.apply_expressions(|expr| {
            if let LogicalPlan::Filter(_) = node {
                check_in(expr, true)?;
            } else {
                check_in(expr, false)?;
            }
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

/// A subquery of IN whose answer is used as a value is unknown, not false, when it has a NULL and no match; only where
/// rows are filtered by it, by itself or below AND and OR, does that not matter.
fn check_in(expr: &Expr, filters: bool) -> DfResult<()> {
    match expr {
        Expr::InSubquery(InSubquery { negated: false, .. }) if filters => Ok(()),
        // At the top of a filter: a join that minds NULL.
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And,
            right,
        }) if filters => {
            check_in(left, true)?;
            check_in(right, true)
        }
        Expr::InSubquery(InSubquery { negated: true, .. }) if filters => Ok(()),
        Expr::Not(inner) if filters && matches!(inner.as_ref(), Expr::InSubquery(_)) => Ok(()),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) if filters => {
            check_below_or(left)?;
            check_below_or(right)
        }
        other => {
            let found = other.exists(|e| Ok(matches!(e, Expr::InSubquery(_) | Expr::SetComparison(_))))?;
            if found {
                Err(DataFusionError::from(in_as_value()))
            } else {
                Ok(())
            }
        }
    }
}

fn check_below_or(expr: &Expr) -> DfResult<()> {
    match expr {
        Expr::InSubquery(InSubquery { negated: false, .. }) => Ok(()),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And | Operator::Or,
            right,
        }) => {
            check_below_or(left)?;
            check_below_or(right)
        }
        other => check_in(other, false),
    }
}

fn in_as_value() -> PlanError {
    PlanError::unsupported(
        "IN (SELECT ...) as a value, or NOT IN below OR, in a materialized view",
        "Write EXISTS, or join with the subquery.",
    )
}
