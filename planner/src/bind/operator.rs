//! Operators: the types of their operands are settled as PostgreSQL does it, then the function library says what
//! they mean.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};
use highwater_types::SqlType;
use sqlparser::ast::{self, BinaryOperator, UnaryOperator};

use super::coerce::{common_of_two, integer_as_numeric};
use super::literal::{int4, unknown};
use super::types::{Category, category, is_oid_like};
use super::{Binder, Casting, ExprCx, Typed, library};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    pub(crate) fn bind_binary(
        &mut self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        match op {
            BinaryOperator::And | BinaryOperator::Or => return self.bind_logic(left, op, right, cx),
            _ => {}
        }
        let symbol = symbol(op);
        if let (Some(l), Some(r)) = (row_fields(left), row_fields(right)) {
            return self.compare_rows(&symbol, l, r, cx);
        }
        let left = self.bind_expr(left, cx)?;
        let right = self.bind_expr(right, cx)?;
        self.apply_operator(&symbol, left, right, cx)
    }

    /// A chain of AND or OR, without recursion on its left side: generated queries have thousands of links.
    fn bind_logic(
        &mut self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        let mut operands = vec![right];
        let mut first = left;
        while let ast::Expr::BinaryOp { left, op: inner, right } = first
            && inner == op
        {
            operands.push(right);
            first = left;
        }
        let (name, operator) = match op {
            BinaryOperator::And => ("AND", Operator::And),
            _ => ("OR", Operator::Or),
        };
        let mut bound = self.bind_condition(first, name, cx)?;
        for operand in operands.into_iter().rev() {
            let next = self.bind_condition(operand, name, cx)?;
            bound = datafusion::logical_expr::binary_expr(bound, operator, next);
        }
        Ok(Typed::new(bound, SqlType::Bool))
    }

    pub(crate) fn bind_unary(&mut self, op: UnaryOperator, operand: &ast::Expr, cx: &mut ExprCx<'_>) -> Result<Typed> {
        match op {
            UnaryOperator::Not => {
                let condition = self.bind_condition(operand, "NOT", cx)?;
                return Ok(Typed::new(Expr::Not(Box::new(condition)), SqlType::Bool));
            }
            UnaryOperator::Minus => {
                if let Some(literal) = self.negative_literal(operand)? {
                    return Ok(literal);
                }
            }
            _ => {}
        }
        let typed = self.bind_expr(operand, cx)?;
        match op {
            UnaryOperator::Plus => Ok(typed),
            UnaryOperator::Minus => {
                if category(&typed.sql_type) == Category::Timespan {
                    return self.apply_operator("*", typed, int4(-1), cx);
                }
                self.apply_operator("-", int4(0), typed, cx)
            }
            UnaryOperator::BitwiseNot => self.apply_operator("#", typed, int4(-1), cx),
            UnaryOperator::PGAbs => self.call("abs", vec![typed], cx),
            UnaryOperator::PGSquareRoot => self.call("sqrt", vec![typed], cx),
            UnaryOperator::PGCubeRoot => self.call("cbrt", vec![typed], cx),
            UnaryOperator::BangNot => Err(undefined_prefix("!", &typed.sql_type)),
            other => Err(undefined_prefix(&other.to_string(), &typed.sql_type)),
        }
    }

    /// `-5` is one constant.
    fn negative_literal(&mut self, operand: &ast::Expr) -> Result<Option<Typed>> {
        let ast::Expr::Value(value) = operand else {
            return Ok(None);
        };
        if !matches!(value.value, ast::Value::Number(..)) {
            return Ok(None);
        }
        let typed = self.bind_value(&value.value)?;
        let Expr::Literal(value, _) = &typed.expr else {
            return Ok(None);
        };
        let negative = value.arithmetic_negate()?;
        Ok(Some(Typed::new(Expr::Literal(negative, None), typed.sql_type)))
    }

    /// Applies an operator by its symbol.
    pub(crate) fn apply_operator(
        &mut self,
        symbol: &str,
        left: Typed,
        right: Typed,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        let undefined = PlanError::UndefinedOperator {
            text: format!("{} {symbol} {}", left.sql_type, right.sql_type),
        };
        match symbol {
            "^" => return self.call("power", vec![left, right], cx),
            "^@" => return self.call("starts_with", vec![left, right], cx),
            "&&" => return self.call("array_overlap", vec![left, right], cx),
            "~~" => return self.like(left, right, false, false),
            "!~~" => return self.like(left, right, true, false),
            "~~*" => return self.like(left, right, false, true),
            "!~~*" => return self.like(left, right, true, true),
            _ => {}
        }
        let op = operator_of(symbol).ok_or_else(|| undefined.clone())?;
        let (left, right) = self.settle_operands(symbol, left, right)?;
        let comparison = is_comparison(op);
        let (left, right) = if comparison {
            self.comparable(left, right).map_err(|_| undefined.clone())?
        } else {
            self.meet_numbers(left, right)?
        };
        let expr = library::binary(op, left.expr, right.expr, &cx.schema)?;
        if comparison {
            return Ok(Typed::new(expr, SqlType::Bool));
        }
        cx.typed(expr).map_err(|_| undefined)
    }

    /// `left = right`, for constructs that compare by themselves.
    pub(crate) fn equals(&mut self, left: Typed, right: Typed, cx: &mut ExprCx<'_>) -> Result<Expr> {
        Ok(self.apply_operator("=", left, right, cx)?.expr)
    }

    /// An operand without type takes the other's, or what the operator asks for.
    fn settle_operands(&mut self, symbol: &str, left: Typed, right: Typed) -> Result<(Typed, Typed)> {
        match (left.is_unknown(), right.is_unknown()) {
            (false, false) => Ok((left, right)),
            (true, true) => {
                let to = match symbol {
                    "+" | "-" | "*" | "/" | "%" if is_parameter(&left) && is_parameter(&right) => {
                        return Err(PlanError::Value(ambiguous(symbol)));
                    }
                    "+" | "-" | "*" | "/" | "%" => return Err(PlanError::Value(ambiguous(symbol))),
                    "->" | "->>" | "#>" | "#>>" | "@>" | "<@" | "?" => SqlType::Jsonb,
                    _ => SqlType::Text,
                };
                let right_type = unknown_right(symbol, &to);
                Ok((
                    self.coerce(left, &to, Casting::Implicit)?,
                    self.coerce(right, &right_type, Casting::Implicit)?,
                ))
            }
            (false, true) => {
                let to = unknown_right(symbol, &left.sql_type);
                let right = self.coerce(right, &to, Casting::Implicit)?;
                Ok((left, right))
            }
            (true, false) => {
                let to = unknown_left(symbol, &right.sql_type);
                let left = self.coerce(left, &to, Casting::Implicit)?;
                Ok((left, right))
            }
        }
    }

    /// Numbers of different types meet in the wider one.
    fn meet_numbers(&mut self, left: Typed, right: Typed) -> Result<(Typed, Typed)> {
        let (l, r) = (&left.sql_type, &right.sql_type);
        if category(l) != Category::Numeric || category(r) != Category::Numeric || l == r {
            return Ok((left, right));
        }
        let (to_left, to_right) = match (l, r) {
            (SqlType::Numeric(_), SqlType::Numeric(_)) => return Ok((left, right)),
            (SqlType::Numeric(_), integer) if integer_as_numeric(integer).is_some() => {
                (None, integer_as_numeric(integer))
            }
            (integer, SqlType::Numeric(_)) if integer_as_numeric(integer).is_some() => {
                (integer_as_numeric(integer), None)
            }
            (SqlType::Float4 | SqlType::Float8, _) | (_, SqlType::Float4 | SqlType::Float8) => {
                (Some(SqlType::Float8), Some(SqlType::Float8))
            }
            _ => match common_of_two(l, r) {
                Some(common) => (Some(common.clone()), Some(common)),
                None => (None, None),
            },
        };
        Ok((self.widen(left, to_left)?, self.widen(right, to_right)?))
    }

    fn widen(&mut self, typed: Typed, to: Option<SqlType>) -> Result<Typed> {
        match to {
            Some(to) => self.coerce(typed, &to, Casting::Implicit),
            None => Ok(typed),
        }
    }

    /// Both sides of a comparison in one type; an error when there is none.
    pub(crate) fn comparable(&mut self, left: Typed, right: Typed) -> Result<(Typed, Typed)> {
        let common = match (&left.sql_type, &right.sql_type) {
            (l, r) if l == r => l.clone(),
            (l, r) if is_oid_like(l) || is_oid_like(r) => {
                if category(l) != Category::Numeric || category(r) != Category::Numeric {
                    return Err(PlanError::NoCommonType {
                        construct: "comparison".to_string(),
                        left: l.clone(),
                        right: r.clone(),
                    });
                }
                SqlType::Oid
            }
            (SqlType::Float4, r) if category(r) == Category::Numeric => SqlType::Float8,
            (l, SqlType::Float4) if category(l) == Category::Numeric => SqlType::Float8,
            // Character data of fixed length is compared without its padding.
            (SqlType::Bpchar(_), r) | (r, SqlType::Bpchar(_)) if category(r) == Category::String => {
                SqlType::Bpchar(None)
            }
            (SqlType::Record(_), SqlType::Record(_)) => left.sql_type.clone(),
            (l, r) => super::coerce::common_type([l, r], "comparison")?,
        };
        if matches!(common, SqlType::Bpchar(_)) {
            return Ok((self.without_padding(left)?, self.without_padding(right)?));
        }
        if matches!(common, SqlType::Json) {
            return Err(PlanError::NoCommonType {
                construct: "comparison".to_string(),
                left: left.sql_type,
                right: right.sql_type,
            });
        }
        let left = self.coerce(left, &common, Casting::Implicit)?;
        let right = self.coerce(right, &common, Casting::Implicit)?;
        Ok((left, right))
    }

    fn without_padding(&mut self, typed: Typed) -> Result<Typed> {
        if let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = &typed.expr {
            return Ok(Typed::new(unknown(text.trim_end_matches(' ')).expr, SqlType::Text));
        }
        let trim = self.scalar_function("rtrim")?;
        Ok(Typed::new(trim.call(vec![typed.expr]), SqlType::Text))
    }
}

/// The fields of `(a, b)` or `ROW(a, b)`.
pub(crate) fn row_fields(expr: &ast::Expr) -> Option<&[ast::Expr]> {
    match expr {
        ast::Expr::Tuple(fields) => Some(fields),
        _ => None,
    }
}

/// The type that a right operand without type takes.
fn unknown_right(symbol: &str, left: &SqlType) -> SqlType {
    match (symbol, left) {
        ("+", SqlType::Date) => SqlType::Interval,
        ("+", SqlType::Timestamp | SqlType::Timestamptz | SqlType::Time) => SqlType::Interval,
        ("*" | "/", SqlType::Interval) => SqlType::Float8,
        ("->" | "->>" | "?" | "-", SqlType::Json | SqlType::Jsonb) => SqlType::Text,
        ("#>" | "#>>" | "?|" | "?&" | "#-", _) => SqlType::Array(Box::new(SqlType::Text)),
        ("||", SqlType::Array(_) | SqlType::Jsonb | SqlType::Bytea) => left.clone(),
        ("||" | "~" | "~*" | "!~" | "!~*", _) => SqlType::Text,
        ("<<" | ">>", _) => SqlType::Int4,
        (_, SqlType::Varchar(_)) => SqlType::Text,
        (_, SqlType::Numeric(_)) => SqlType::Numeric(None),
        (_, SqlType::Bpchar(_)) => SqlType::Bpchar(None),
        _ => left.clone(),
    }
}

/// The type that a left operand without type takes.
fn unknown_left(symbol: &str, right: &SqlType) -> SqlType {
    match (symbol, right) {
        ("+", SqlType::Interval) => SqlType::Timestamptz,
        ("+", SqlType::Date) => SqlType::Interval,
        ("*", SqlType::Interval) => SqlType::Float8,
        ("||", SqlType::Array(_) | SqlType::Jsonb | SqlType::Bytea) => right.clone(),
        ("||" | "~" | "~*" | "!~" | "!~*", _) => SqlType::Text,
        (_, SqlType::Varchar(_)) => SqlType::Text,
        (_, SqlType::Numeric(_)) => SqlType::Numeric(None),
        (_, SqlType::Bpchar(_)) => SqlType::Bpchar(None),
        _ => right.clone(),
    }
}

fn is_parameter(typed: &Typed) -> bool {
    matches!(typed.expr, Expr::Placeholder(_))
}

fn ambiguous(symbol: &str) -> highwater_types::SqlError {
    highwater_types::SqlError::new(
        highwater_types::SqlState::AMBIGUOUS_FUNCTION,
        format!("operator is not unique: unknown {symbol} unknown"),
    )
    .with_hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
}

fn undefined_prefix(symbol: &str, operand: &SqlType) -> PlanError {
    PlanError::UndefinedOperator {
        text: format!("{symbol} {operand}"),
    }
}

/// The symbol of an operator, as PostgreSQL spells it.
pub(crate) fn symbol(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
        BinaryOperator::Custom(symbol) => symbol.clone(),
        BinaryOperator::PGBitwiseXor => "#".to_string(),
        BinaryOperator::NotEq => "<>".to_string(),
        other => other.to_string(),
    }
}

fn operator_of(symbol: &str) -> Option<Operator> {
    Some(match symbol {
        "=" => Operator::Eq,
        "<>" | "!=" => Operator::NotEq,
        "<" => Operator::Lt,
        "<=" => Operator::LtEq,
        ">" => Operator::Gt,
        ">=" => Operator::GtEq,
        "+" => Operator::Plus,
        "-" => Operator::Minus,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        "%" => Operator::Modulo,
        "||" => Operator::StringConcat,
        "&" => Operator::BitwiseAnd,
        "|" => Operator::BitwiseOr,
        "#" => Operator::BitwiseXor,
        "<<" => Operator::BitwiseShiftLeft,
        ">>" => Operator::BitwiseShiftRight,
        "~" => Operator::RegexMatch,
        "~*" => Operator::RegexIMatch,
        "!~" => Operator::RegexNotMatch,
        "!~*" => Operator::RegexNotIMatch,
        "@>" => Operator::AtArrow,
        "<@" => Operator::ArrowAt,
        "->" => Operator::Arrow,
        "->>" => Operator::LongArrow,
        "#>" => Operator::HashArrow,
        "#>>" => Operator::HashLongArrow,
        "#-" => Operator::HashMinus,
        "?" => Operator::Question,
        "?&" => Operator::QuestionAnd,
        "?|" => Operator::QuestionPipe,
        "@?" => Operator::AtQuestion,
        "@@" => Operator::AtAt,
        _ => return None,
    })
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
    )
}
