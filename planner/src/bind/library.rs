//! The way from the binder to the function library: casts and operators, one place for each.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use highwater_types::SqlType;

use crate::error::{PlanError, Result};
use crate::functions;

/// A cast that PostgreSQL allows, as an expression.
pub(crate) fn cast(expr: Expr, from: &SqlType, to: &SqlType, explicit: bool) -> Result<Expr> {
    functions::cast(expr, from, to, explicit)
}

/// An operator over operands whose types are settled. Where PostgreSQL's meaning is DataFusion's, it is DataFusion's
/// own operator, which the optimizer knows.
pub(crate) fn binary(op: Operator, left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    let plain = || Expr::BinaryExpr(BinaryExpr::new(Box::new(left.clone()), op, Box::new(right.clone())));
    match functions::binary(op, &left, &right, schema) {
        Ok(Some(expr)) => Ok(expr),
        Ok(None) => Ok(plain()),
        Err(PlanError::UndefinedOperator { .. })
            if is_regex(op) && is_text(&left, schema) && is_text(&right, schema) =>
        {
            Ok(plain())
        }
        Err(error) => Err(error),
    }
}

fn is_regex(op: Operator) -> bool {
    matches!(
        op,
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch
    )
}

fn is_text(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Utf8))
}
