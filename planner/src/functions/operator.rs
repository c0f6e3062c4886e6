//! [`binary`]: what PostgreSQL's operators mean over operands whose types are settled.
//!
//! Comparisons stay DataFusion's own, which its optimizer and join planner know; all else is a function under the
//! operator's name, with PostgreSQL's overloads.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, ScalarUDF};
use highwater_types::{QUOTIENT, SqlType, UNCONSTRAINED_NUMERIC};

use super::cast::cast;
use super::function::{Function, PgFunction};
use super::numbers::common_type;
use super::{arithmetic, array, decimal, json, pattern, string, temporal};
use crate::error::{PlanError, Result};

/// The functions behind the operators, by symbol.
static OPERATORS: LazyLock<HashMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
    let is_operator = |f: &Function| !f.name.starts_with(|c: char| c.is_ascii_alphabetic());
    let functions = all().into_iter().filter(is_operator).collect();
    PgFunction::group(functions)
        .into_iter()
        .map(|udf| (udf.name().to_string(), udf))
        .collect()
});

/// Every group that has operators.
fn all() -> Vec<Function> {
    let mut functions = arithmetic::functions();
    functions.extend(decimal::functions());
    functions.extend(temporal::functions());
    // Before texts: `array || element` wins over `any || text`.
    functions.extend(array::functions());
    functions.extend(json::functions());
    functions.extend(pattern::functions());
    functions.extend(string::functions());
    functions
}

/// `left op right` as an expression; `None` for an operator that DataFusion has as PostgreSQL has it.
///
/// # Errors
/// 42883 when no such operator takes these types.
pub fn binary(op: Operator, left: &Expr, right: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let symbol = match op {
        Operator::And | Operator::Or | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => return Ok(None),
        Operator::LikeMatch | Operator::ILikeMatch | Operator::NotLikeMatch | Operator::NotILikeMatch => {
            return Ok(None);
        }
        Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
            return compare(op, left, right, schema);
        }
        other => other.to_string(),
    };
    let symbol = match symbol.as_str() {
        "BIT_XOR" => "#",
        other => other,
    };
    let undefined = |left: SqlType, right: SqlType| PlanError::UndefinedOperator {
        text: format!("{left} {symbol} {right}"),
    };
    let (l, r) = (type_of(left, schema)?, type_of(right, schema)?);
    let Some(udf) = OPERATORS.get(symbol) else {
        return Err(undefined(l, r));
    };
    let types = [l.to_arrow(), r.to_arrow()];
    if udf.coerce_types(&types).is_err() {
        return Err(undefined(l, r));
    }
    Ok(Some(call(udf, left, right)))
}

/// The operator and operands of an expression made by [`binary`] or by DataFusion itself.
pub fn as_operator(expr: &Expr) -> Option<(&str, &Expr, &Expr)> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) if OPERATORS.contains_key(func.name()) => {
            match args.as_slice() {
                [left, right] => Some((func.name(), left, right)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn call(udf: &Arc<ScalarUDF>, left: &Expr, right: &Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(
        Arc::clone(udf),
        vec![left.clone(), right.clone()],
    ))
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Result<SqlType> {
    let (_, field) = expr.to_field(schema)?;
    Ok(SqlType::of_field(&field))
}

fn compare(op: Operator, left: &Expr, right: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let (_, l) = left.to_field(schema)?;
    let (_, r) = right.to_field(schema)?;
    let (left_type, right_type) = (SqlType::of_field(&l), SqlType::of_field(&r));
    if left_type == SqlType::Interval && right_type == SqlType::Interval {
        return Ok(OPERATORS
            .get(op.to_string().as_str())
            .or_else(|| OPERATORS.get("<>"))
            .map(|udf| call(udf, left, right)));
    }
    let numeric = |t: &SqlType| matches!(t, SqlType::Numeric(_));
    if numeric(&left_type) && numeric(&right_type) && l.data_type() != r.data_type() {
        // Brought to one type here: Arrow's own cast does not know NaN and the infinities.
        let common = common_type(l.data_type(), r.data_type());
        let to = if common == UNCONSTRAINED_NUMERIC || common == QUOTIENT {
            SqlType::Numeric(None)
        } else {
            SqlType::of_arrow(&common)
        };
        let left = to_type(left, &left_type, l.data_type(), &to)?;
        let right = to_type(right, &right_type, r.data_type(), &to)?;
        return Ok(Some(Expr::BinaryExpr(BinaryExpr::new(
            Box::new(left),
            op,
            Box::new(right),
        ))));
    }
    Ok(None)
}

fn to_type(expr: &Expr, from: &SqlType, from_arrow: &arrow::datatypes::DataType, to: &SqlType) -> Result<Expr> {
    if *from_arrow == to.to_arrow() {
        return Ok(expr.clone());
    }
    // A quotient and an unconstrained numeric are one SQL type in two Arrow types.
    let from = if from == to {
        &SqlType::Numeric(Some((76, 24)))
    } else {
        from
    };
    cast(expr.clone(), from, to, false)
}
