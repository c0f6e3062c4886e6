//! ORDER BY of a query: names of output columns, positions, or expressions; NULLs last unless descending.

use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::{self, OrderByKind, OrderByOptions, Spanned};

use super::scope::fold;
use super::{Binder, BoundColumn, Rows};
use crate::error::{PlanError, Result};
use crate::functions;

/// The keys of an ORDER BY clause.
pub(crate) fn order_keys(order_by: Option<&ast::OrderBy>) -> Result<&[ast::OrderByExpr]> {
    match order_by {
        None => Ok(&[]),
        Some(order_by) => match &order_by.kind {
            OrderByKind::Expressions(keys) => Ok(keys),
            OrderByKind::All(_) => Err(PlanError::unsupported("ORDER BY ALL", "Name the columns.")),
        },
    }
}

/// One key over a value, with PostgreSQL's place for NULLs.
pub(crate) fn sort_key(value: Expr, options: OrderByOptions) -> Sort {
    let ascending = options.asc.unwrap_or(true);
    Sort::new(value, ascending, options.nulls_first.unwrap_or(!ascending))
}

/// For `ORDER BY 2`: the position from 0. Other constants are no positions.
pub(crate) fn position(expr: &ast::Expr, columns: usize, clause: &str) -> Result<Option<usize>> {
    let ast::Expr::Value(value) = expr else {
        return Ok(None);
    };
    match &value.value {
        ast::Value::Number(text, _) => match text.parse::<usize>() {
            Ok(position) if (1..=columns).contains(&position) => Ok(Some(position - 1)),
            Ok(_) => Err(PlanError::InvalidReference {
                message: format!("{clause} position {text} is not in select list"),
            }
            .at(expr.span())),
            Err(_) => Err(PlanError::syntax(format!("non-integer constant in {clause}")).at(expr.span())),
        },
        ast::Value::SingleQuotedString(_) | ast::Value::Boolean(_) => {
            Err(PlanError::syntax(format!("non-integer constant in {clause}")).at(expr.span()))
        }
        _ => Ok(None),
    }
}

/// For `ORDER BY name`: which output column has that name.
pub(crate) fn output_named<'n>(
    expr: &ast::Expr,
    names: impl Iterator<Item = &'n str>,
    clause: &str,
    same: impl Fn(usize, usize) -> bool,
) -> Result<Option<usize>> {
    let ast::Expr::Identifier(ident) = expr else {
        return Ok(None);
    };
    let wanted = fold(ident);
    let mut found: Option<usize> = None;
    for (i, _) in names.enumerate().filter(|(_, name)| *name == wanted) {
        match found {
            None => found = Some(i),
            Some(first) if same(first, i) => {}
            Some(_) => {
                return Err(PlanError::from(highwater_types::SqlError::new(
                    highwater_types::SqlState::AMBIGUOUS_COLUMN,
                    format!("{clause} \"{wanted}\" is ambiguous"),
                ))
                .at(expr.span()));
            }
        }
    }
    Ok(found)
}

impl Binder<'_> {
    /// Orders rows whose columns are all that is known of them: UNION, VALUES.
    pub(crate) fn order_rows(&mut self, rows: Rows, keys: &[ast::OrderByExpr]) -> Result<Rows> {
        if keys.is_empty() {
            return Ok(rows);
        }
        let mut sort = Vec::with_capacity(keys.len());
        for key in keys {
            let at = match position(&key.expr, rows.columns.len(), "ORDER BY")? {
                Some(at) => Some(at),
                None => output_named(
                    &key.expr,
                    rows.columns.iter().map(|c| c.name.as_str()),
                    "ORDER BY",
                    |_, _| false,
                )?,
            };
            let Some(at) = at else {
                return Err(order_error(&key.expr, &rows.columns));
            };
            sort.push(sort_key(Expr::Column(rows.columns[at].column.clone()), key.options));
        }
        Ok(Rows {
            plan: sorted(rows.plan, sort)?,
            columns: rows.columns,
        })
    }
}

fn order_error(expr: &ast::Expr, _columns: &[BoundColumn]) -> PlanError {
    let error = match expr {
        ast::Expr::Identifier(ident) => PlanError::UndefinedColumn {
            qualifier: None,
            name: fold(ident),
            near: None,
        },
        _ => PlanError::Unsupported {
            construct: "an expression in ORDER BY of a UNION, INTERSECT or EXCEPT".to_string(),
            hint: "Add the expression to every SELECT, or move the UNION into a FROM clause.".to_string(),
        },
    };
    error.at(expr.span())
}

/// What stands for a value where values are sorted or are keys.
pub(crate) fn by_sort_key(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match functions::sort_key(&expr.get_type(schema)?) {
        Some(key) => key.call(vec![expr]),
        None => expr,
    })
}

/// A plan sorted, when there are keys.
pub(crate) fn sorted(plan: LogicalPlan, keys: Vec<Sort>) -> Result<LogicalPlan> {
    if keys.is_empty() {
        return Ok(plan);
    }
    let mut sortable = Vec::with_capacity(keys.len());
    for key in keys {
        let expr = by_sort_key(key.expr, plan.schema())?;
        sortable.push(Sort::new(expr, key.asc, key.nulls_first));
    }
    Ok(LogicalPlanBuilder::from(plan).sort(sortable)?.build()?)
}
