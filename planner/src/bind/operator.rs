//! Operators: the types of their operands are settled as PostgreSQL does it, then the function library says what
//! they mean.

use datafusion::logical_expr::{Expr, Operator};
use highwater_types::SqlType;
use sqlparser::ast::{self, BinaryOperator, Spanned, UnaryOperator};

use super::coerce::common_of_two;
use super::literal::int4;
use super::operand::{unknown_left, unknown_right};
use super::outline::Outline;
use super::types::{Category, casts_implicitly, category, is_oid_like};
use super::{Binder, Casting, ExprCx, Typed, library};
use crate::error::{PlanError, Result};
use crate::functions::integer_as_numeric;

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
            BinaryOperator::Overlaps => return self.bind_overlaps(left, right, cx),
            _ => {}
        }
        let symbol = symbol(op);
        if let (Some(l), Some(r)) = (row_fields(left), row_fields(right)) {
            return self.compare_rows(&symbol, l, r, cx);
        }
        if let (Some(l), Some(query)) = (row_fields(left), subquery(right)) {
            let values = self.bind_row_subquery(query, cx)?;
            return self.compare_row_values(&symbol, l, values, cx);
        }
        let operand = left;
        let left = self.bind_expr(operand, cx)?;
        let right = self.bind_expr(right, cx)?;
        let applied = self.apply_operator(&symbol, left, right, cx);
        applied.map_err(|error| error.at_operator_after(operand.span()))
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
                // A product keeps the sign of a floating zero, and of an interval's parts.
                match &typed.sql_type {
                    SqlType::Interval => self.apply_operator("*", typed, int4(-1), cx),
                    SqlType::Float4 | SqlType::Float8 => {
                        let minus_one = self.coerce(int4(-1), &typed.sql_type, Casting::Explicit)?;
                        self.apply_operator("*", typed, minus_one, cx)
                    }
                    _ => {
                        let zero = self.number_like(0, &typed)?;
                        self.apply_operator("-", zero, typed, cx)
                    }
                }
            }
            UnaryOperator::BitwiseNot => {
                let ones = self.number_like(-1, &typed)?;
                self.apply_operator("#", typed, ones, cx)
            }
            UnaryOperator::PGAbs => self.call("abs", vec![typed], cx),
            // The operator takes doubles, the function numerics too.
            UnaryOperator::PGSquareRoot => {
                let double = self.coerce(typed, &SqlType::Float8, Casting::Implicit)?;
                self.call("sqrt", vec![double], cx)
            }
            UnaryOperator::PGCubeRoot => self.call("cbrt", vec![typed], cx),
            UnaryOperator::BangNot => Err(undefined_prefix("!", &typed.sql_type)),
            other => Err(undefined_prefix(&other.to_string(), &typed.sql_type)),
        }
    }

    /// A constant of the integer type of another value, or `integer`.
    fn number_like(&mut self, value: i32, like: &Typed) -> Result<Typed> {
        match &like.sql_type {
            integer @ (SqlType::Int2 | SqlType::Int8) => self.coerce(int4(value), integer, Casting::Explicit),
            _ => Ok(int4(value)),
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
        let ast::Value::Number(text, _) = &value.value else {
            return Ok(None);
        };
        // The least integer has no positive counterpart of its type.
        if let (Err(_), Ok(_)) = (text.parse::<i32>(), format!("-{text}").parse::<i32>()) {
            return super::literal::number(&format!("-{text}")).map(Some);
        }
        if let (Err(_), Ok(_)) = (text.parse::<i64>(), format!("-{text}").parse::<i64>()) {
            return super::literal::number(&format!("-{text}")).map(Some);
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
            "@?" | "@@" => {
                return Err(PlanError::unsupported(
                    format!("the operator {symbol}"),
                    "Take the value apart with -> and #>.",
                ));
            }
            "~~" => return self.like(left, right, false, false),
            "!~~" => return self.like(left, right, true, false),
            "~~*" => return self.like(left, right, false, true),
            "!~~*" => return self.like(left, right, true, true),
            _ => {}
        }
        let op = operator_of(symbol).ok_or_else(|| undefined.clone())?;
        let (left, right) = self.settle_operands(symbol, left, right)?;
        if op == Operator::StringConcat
            && let Some(joined) = self.concatenate(&left, &right, cx)?
        {
            return Ok(joined);
        }
        let text = |t: &Typed| category(&t.sql_type) == Category::String;
        // `jsonb - text` takes a key away; no other arithmetic has to do with text.
        let takes_key = symbol == "-" && left.sql_type == SqlType::Jsonb;
        if matches!(symbol, "+" | "-" | "*" | "/" | "%") && !takes_key && (text(&left) || text(&right)) {
            return Err(undefined);
        }
        let comparison = is_comparison(op);
        let (left, right) = if comparison {
            self.comparable(left, right).map_err(|_| undefined.clone())?
        } else {
            self.meet_operands(op, left, right)?
        };
        let outline = Outline::try_new(&[left, right], cx)?;
        let [left, right] = outline.args.as_slice() else {
            return Err(undefined);
        };
        let expr = library::binary(op, left.clone(), right.clone(), &outline.schema)?;
        if comparison {
            return Ok(Typed::new(outline.filled(expr)?, SqlType::Bool));
        }
        outline.typed(expr).map_err(|_| undefined)
    }

    /// `||` over text and arrays. Beside text, a value of any other type is its text.
    fn concatenate(&mut self, left: &Typed, right: &Typed, cx: &mut ExprCx<'_>) -> Result<Option<Typed>> {
        let is_text = |t: &Typed| category(&t.sql_type) == Category::String;
        match (&left.sql_type, &right.sql_type) {
            (SqlType::Array(l), SqlType::Array(r)) if l == r => self
                .call("array_concat", vec![left.clone(), right.clone()], cx)
                .map(Some),
            (SqlType::Array(element), _) if !is_array(right) => {
                let right = self.coerce(right.clone(), element, Casting::Implicit)?;
                self.call("array_append", vec![left.clone(), right], cx).map(Some)
            }
            (_, SqlType::Array(element)) if !is_array(left) => {
                let left = self.coerce(left.clone(), element, Casting::Implicit)?;
                self.call("array_prepend", vec![left, right.clone()], cx).map(Some)
            }
            _ if is_text(left) || is_text(right) => {
                let left = self.coerce(left.clone(), &SqlType::Text, Casting::Explicit)?;
                let right = self.coerce(right.clone(), &SqlType::Text, Casting::Explicit)?;
                let expr = datafusion::logical_expr::binary_expr(left.expr, Operator::StringConcat, right.expr);
                Ok(Some(Typed::new(expr, SqlType::Text)))
            }
            _ => Ok(None),
        }
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
                        return Err(PlanError::from(ambiguous(symbol)));
                    }
                    "+" | "-" | "*" | "/" | "%" => return Err(PlanError::from(ambiguous(symbol))),
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

    /// Operands that are not compared. A shift counts in `integer`, whatever it shifts.
    fn meet_operands(&mut self, op: Operator, left: Typed, right: Typed) -> Result<(Typed, Typed)> {
        let shifts = matches!(op, Operator::BitwiseShiftLeft | Operator::BitwiseShiftRight);
        match shifts && casts_implicitly(&right.sql_type, &SqlType::Int4) {
            true => Ok((left, self.coerce(right, &SqlType::Int4, Casting::Implicit)?)),
            false => self.meet_numbers(left, right),
        }
    }

    /// `(start, end) OVERLAPS (start, length)`.
    fn bind_overlaps(&mut self, left: &ast::Expr, right: &ast::Expr, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let mut ends = Vec::with_capacity(4);
        for period in [left, right] {
            let Some([start, end]) = row_fields(period) else {
                return Err(PlanError::syntax(
                    "wrong number of parameters on one side of OVERLAPS expression",
                ));
            };
            let start = self.bind_expr(start, cx)?;
            let end = self.bind_expr(end, cx)?;
            let end = match end.sql_type {
                SqlType::Interval => self.apply_operator("+", start.clone(), end, cx)?,
                _ => end,
            };
            ends.extend([start, end]);
        }
        self.call("overlaps", ends, cx)
    }

    /// Numbers of different types meet in the wider one.
    fn meet_numbers(&mut self, left: Typed, right: Typed) -> Result<(Typed, Typed)> {
        let (l, r) = (&left.sql_type, &right.sql_type);
        if category(l) != Category::Numeric || category(r) != Category::Numeric || l == r {
            return Ok((left, right));
        }
        let (to_left, to_right) = match (l, r) {
            // The operators over numerics take integers as they are.
            (SqlType::Numeric(_), other) | (other, SqlType::Numeric(_)) if is_exact(other) => {
                return Ok((left, right));
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
            // Character data of fixed length is kept, and compared, without its padding.
            (l, r) if category(l) == Category::String && category(r) == Category::String => SqlType::Text,
            (SqlType::Record(_), SqlType::Record(_)) => left.sql_type.clone(),
            (l, r) => super::coerce::common_type([l, r], "comparison")?,
        };
        if matches!(common, SqlType::Json) {
            return Err(PlanError::NoCommonType {
                construct: "comparison".to_string(),
                left: left.sql_type,
                right: right.sql_type,
            });
        }
        let left = self.coerce(left, &common, Casting::Implicit)?;
        let right = self.coerce(right, &common, Casting::Implicit)?;
        Ok((self.sortable(left)?, self.sortable(right)?))
    }

    /// A value that sorts and compares as PostgreSQL's: of a jsonb, whose text does not, its key.
    pub(crate) fn sortable(&mut self, typed: Typed) -> Result<Typed> {
        match typed.sql_type {
            SqlType::Jsonb => {
                let key = self.scalar_function("jsonb_sort_key")?;
                Ok(Typed::new(key.call(vec![typed.expr]), SqlType::Bytea))
            }
            _ => Ok(typed),
        }
    }
}

/// Numerics and integers.
fn is_exact(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Numeric(_)) || integer_as_numeric(sql_type).is_some()
}

fn is_array(typed: &Typed) -> bool {
    category(&typed.sql_type) == Category::Array
}

/// The query of `(SELECT ...)`.
fn subquery(expr: &ast::Expr) -> Option<&ast::Query> {
    match expr {
        ast::Expr::Subquery(query) => Some(query),
        _ => None,
    }
}

/// The fields of `(a, b)` or `ROW(a, b)`.
pub(crate) fn row_fields(expr: &ast::Expr) -> Option<&[ast::Expr]> {
    match expr {
        ast::Expr::Tuple(fields) => Some(fields),
        _ => None,
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
