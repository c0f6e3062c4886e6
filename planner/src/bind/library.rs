//! The way from the binder to the function library: casts and operators, one place for each.

use datafusion::common::DFSchema;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use highwater_types::SqlType;

use crate::error::Result;
use crate::functions;

/// A cast that PostgreSQL allows, as an expression.
pub(crate) fn cast(expr: Expr, from: &SqlType, to: &SqlType, explicit: bool) -> Result<Expr> {
    functions::cast(expr, from, to, explicit)
}

/// An operator over operands whose types are settled.
pub(crate) fn binary(op: Operator, left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match functions::binary(op, &left, &right, schema)? {
        Some(expr) => expr,
        None => Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))),
    })
}
