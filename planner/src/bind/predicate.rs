//! Predicates: IS, IN a list, BETWEEN, ANY and ALL over arrays, and comparisons of rows. LIKE is in `like.rs`.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Expr, Operator, binary_expr, lit};
use highwater_types::SqlType;
use sqlparser::ast::{self, BinaryOperator};

use super::operator::{row_fields, symbol};
use super::{Binder, Casting, ExprCx, Typed};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    pub(crate) fn bind_predicate(&mut self, expr: &ast::Expr, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let bound = match expr {
            ast::Expr::IsNull(inner) => self.bind_null_test(inner, Expr::IsNull, cx)?,
            ast::Expr::IsNotNull(inner) => self.bind_null_test(inner, Expr::IsNotNull, cx)?,
            ast::Expr::IsTrue(inner) => Expr::IsTrue(Box::new(self.bind_condition(inner, "IS TRUE", cx)?)),
            ast::Expr::IsNotTrue(inner) => Expr::IsNotTrue(Box::new(self.bind_condition(inner, "IS NOT TRUE", cx)?)),
            ast::Expr::IsFalse(inner) => Expr::IsFalse(Box::new(self.bind_condition(inner, "IS FALSE", cx)?)),
            ast::Expr::IsNotFalse(inner) => {
                Expr::IsNotFalse(Box::new(self.bind_condition(inner, "IS NOT FALSE", cx)?))
            }
            ast::Expr::IsUnknown(inner) => Expr::IsUnknown(Box::new(self.bind_condition(inner, "IS UNKNOWN", cx)?)),
            ast::Expr::IsNotUnknown(inner) => {
                Expr::IsNotUnknown(Box::new(self.bind_condition(inner, "IS NOT UNKNOWN", cx)?))
            }
            ast::Expr::IsDistinctFrom(left, right) => self.bind_distinct(left, right, Operator::IsDistinctFrom, cx)?,
            ast::Expr::IsNotDistinctFrom(left, right) => {
                self.bind_distinct(left, right, Operator::IsNotDistinctFrom, cx)?
            }
            ast::Expr::InList { expr, list, negated } => self.bind_in_list(expr, list, *negated, cx)?,
            ast::Expr::Between {
                expr,
                negated,
                low,
                high,
            } => self.bind_between(expr, *negated, low, high, cx)?,
            ast::Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => {
                return self.bind_like(expr, pattern, escape_char.as_ref(), *negated, false, cx);
            }
            ast::Expr::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => {
                return self.bind_like(expr, pattern, escape_char.as_ref(), *negated, true, cx);
            }
            ast::Expr::Like {
                negated,
                any: true,
                expr,
                pattern,
                ..
            } => {
                let op = like_operator(*negated, false);
                return self.bind_quantified(expr, &op, pattern, false, cx);
            }
            ast::Expr::ILike {
                negated,
                any: true,
                expr,
                pattern,
                ..
            } => {
                let op = like_operator(*negated, true);
                return self.bind_quantified(expr, &op, pattern, false, cx);
            }
            ast::Expr::SimilarTo {
                negated,
                expr,
                pattern,
                escape_char,
            } => {
                return self.bind_similar(expr, pattern, escape_char.as_ref(), *negated, cx);
            }
            ast::Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => {
                return self.bind_quantified(left, compare_op, right, false, cx);
            }
            ast::Expr::AllOp {
                left,
                compare_op,
                right,
            } => {
                return self.bind_quantified(left, compare_op, right, true, cx);
            }
            other => return Err(PlanError::unsupported(other.to_string(), "")),
        };
        Ok(Typed::new(bound, SqlType::Bool))
    }

    /// IS NULL and IS NOT NULL. Of a row, all fields have to be so.
    fn bind_null_test(&mut self, inner: &ast::Expr, test: fn(Box<Expr>) -> Expr, cx: &mut ExprCx<'_>) -> Result<Expr> {
        let typed = self.bind_expr(inner, cx)?;
        let SqlType::Record(fields) = &typed.sql_type else {
            return Ok(test(Box::new(self.any_value(typed)?)));
        };
        let get = self.scalar_function("get_field")?;
        let field = |name: &String| get.call(vec![typed.expr.clone(), lit(name.as_str())]);
        let all = fields.iter().map(|(name, _)| test(Box::new(field(name))));
        Ok(all.reduce(Expr::and).unwrap_or_else(|| lit(true)))
    }

    /// A value whose type does not matter. A parameter needs a type all the same: PostgreSQL refuses one without.
    fn any_value(&mut self, typed: Typed) -> Result<Expr> {
        match typed.expr {
            Expr::Placeholder(_) => Ok(typed.expr),
            _ => Ok(self.settle(typed)?.expr),
        }
    }

    fn bind_distinct(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        op: Operator,
        cx: &mut ExprCx<'_>,
    ) -> Result<Expr> {
        if let (Some(left), Some(right)) = (row_fields(left), row_fields(right)) {
            return self.distinct_rows(left, right, op, cx);
        }
        let left = self.bind_expr(left, cx)?;
        let right = self.bind_expr(right, cx)?;
        let text = format!("{} = {}", left.sql_type, right.sql_type);
        let (left, right) = self
            .comparable(left, right)
            .map_err(|_| PlanError::UndefinedOperator { text })?;
        Ok(binary_expr(left.expr, op, right.expr))
    }

    fn distinct_rows(
        &mut self,
        left: &[ast::Expr],
        right: &[ast::Expr],
        op: Operator,
        cx: &mut ExprCx<'_>,
    ) -> Result<Expr> {
        check_row_length(left.len(), right.len())?;
        let mut all: Option<Expr> = None;
        for (l, r) in left.iter().zip(right) {
            let pair = self.bind_distinct(l, r, op, cx)?;
            all = Some(match (all, op) {
                (None, _) => pair,
                (Some(so_far), Operator::IsDistinctFrom) => so_far.or(pair),
                (Some(so_far), _) => so_far.and(pair),
            });
        }
        Ok(all.unwrap_or_else(|| lit(op == Operator::IsNotDistinctFrom)))
    }

    fn bind_in_list(
        &mut self,
        expr: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
        cx: &mut ExprCx<'_>,
    ) -> Result<Expr> {
        if let Some(fields) = row_fields(expr) {
            let mut any: Option<Expr> = None;
            for item in list {
                let item = row_fields(item)
                    .ok_or_else(|| PlanError::syntax("unequal number of entries in row expressions"))?;
                let equal = self.compare_rows("=", fields, item, cx)?.expr;
                any = Some(match any {
                    None => equal,
                    Some(so_far) => so_far.or(equal),
                });
            }
            let any = any.unwrap_or_else(|| lit(false));
            return Ok(if negated { Expr::Not(Box::new(any)) } else { any });
        }
        let value = self.bind_expr(expr, cx)?;
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            items.push(self.bind_expr(item, cx)?);
        }
        self.in_values(value, items, negated, cx)
    }

    /// `value IN (items)`: one list when all meet in one type, else a chain of comparisons.
    pub(crate) fn in_values(
        &mut self,
        value: Typed,
        items: Vec<Typed>,
        negated: bool,
        cx: &mut ExprCx<'_>,
    ) -> Result<Expr> {
        let same = items
            .iter()
            .all(|i| i.sql_type == value.sql_type || i.is_unknown() || castable_integer(i, &value));
        let padded = matches!(
            value.sql_type,
            SqlType::Bpchar(_) | SqlType::Json | SqlType::Jsonb | SqlType::Record(_)
        );
        if same && !value.is_unknown() && !padded {
            let to = bare(&value.sql_type);
            let mut list = Vec::with_capacity(items.len());
            for item in items {
                list.push(self.coerce(item, &to, Casting::Implicit)?.expr);
            }
            return Ok(Expr::InList(InList::new(Box::new(value.expr), list, negated)));
        }
        let mut any: Option<Expr> = None;
        for item in items {
            let equal = self.equals(value.clone(), item, cx)?;
            any = Some(match any {
                None => equal,
                Some(so_far) => so_far.or(equal),
            });
        }
        let any = any.unwrap_or_else(|| lit(false));
        Ok(if negated { Expr::Not(Box::new(any)) } else { any })
    }

    fn bind_between(
        &mut self,
        expr: &ast::Expr,
        negated: bool,
        low: &ast::Expr,
        high: &ast::Expr,
        cx: &mut ExprCx<'_>,
    ) -> Result<Expr> {
        let value = self.bind_expr(expr, cx)?;
        let low = self.bind_expr(low, cx)?;
        let high = self.bind_expr(high, cx)?;
        let from = self.apply_operator(">=", value.clone(), low, cx)?;
        let to = self.apply_operator("<=", value, high, cx)?;
        let within = from.expr.and(to.expr);
        Ok(if negated { Expr::Not(Box::new(within)) } else { within })
    }

    pub(crate) fn bind_quantified(
        &mut self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        all: bool,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        let symbol = symbol(op);
        let inner = match right {
            ast::Expr::Nested(inner) => inner.as_ref(),
            other => other,
        };
        match inner {
            ast::Expr::Subquery(query) => return self.bind_quantified_subquery(left, &symbol, query, all, cx),
            ast::Expr::Array(array) => {
                let value = self.bind_expr(left, cx)?;
                let mut items = Vec::new();
                for item in &array.elem {
                    items.push(self.bind_expr(item, cx)?);
                }
                return self.quantified_items(&symbol, value, items, all, cx);
            }
            _ => {}
        }
        let value = self.bind_expr(left, cx)?;
        let array = self.bind_expr(inner, cx)?;
        let array = match &array.sql_type {
            SqlType::Unknown => {
                let element = if value.is_unknown() {
                    SqlType::Text
                } else {
                    bare(&value.sql_type)
                };
                self.coerce(array, &SqlType::Array(Box::new(element)), Casting::Implicit)?
            }
            SqlType::Int2Vector => self.coerce(array, &SqlType::Array(Box::new(SqlType::Int2)), Casting::Implicit)?,
            SqlType::OidVector => self.coerce(array, &SqlType::Array(Box::new(SqlType::Oid)), Casting::Implicit)?,
            _ => array,
        };
        let SqlType::Array(element) = array.sql_type.clone() else {
            return Err(PlanError::WrongObject {
                message: "op ANY/ALL (array) requires array on right side".to_string(),
                hint: None,
            });
        };
        if let Expr::Literal(ScalarValue::List(list), _) = &array.expr
            && !array_is_null(&array.expr)
        {
            let values = list.value(0);
            let mut items = Vec::new();
            for row in 0..values.len() {
                let item = ScalarValue::try_from_array(&values, row)?;
                items.push(Typed::new(Expr::Literal(item, None), element.as_ref().clone()));
            }
            return self.quantified_items(&symbol, value, items, all, cx);
        }
        self.quantified_array(&symbol, value, array, &element, all, cx)
    }

    /// ANY and ALL over items that are known: a chain of comparisons.
    fn quantified_items(
        &mut self,
        symbol: &str,
        value: Typed,
        items: Vec<Typed>,
        all: bool,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        match (symbol, all) {
            ("=", false) => return Ok(Typed::new(self.in_values(value, items, false, cx)?, SqlType::Bool)),
            ("<>", true) => return Ok(Typed::new(self.in_values(value, items, true, cx)?, SqlType::Bool)),
            _ => {}
        }
        let mut chain: Option<Expr> = None;
        for item in items {
            let link = self.apply_operator(symbol, value.clone(), item, cx)?.expr;
            chain = Some(match chain {
                None => link,
                Some(so_far) if all => so_far.and(link),
                Some(so_far) => so_far.or(link),
            });
        }
        Ok(Typed::new(chain.unwrap_or_else(|| lit(all)), SqlType::Bool))
    }

    /// ANY and ALL over an array that is computed.
    fn quantified_array(
        &mut self,
        symbol: &str,
        value: Typed,
        array: Typed,
        element: &SqlType,
        all: bool,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        let negated = match (symbol, all) {
            ("=", false) => false,
            ("<>", true) => true,
            _ => {
                return Err(PlanError::unsupported(
                    format!(
                        "{symbol} {} over an array that is not a constant",
                        if all { "ALL" } else { "ANY" }
                    ),
                    "Compare with a subquery over unnest(array).",
                ));
            }
        };
        let probe = Typed::new(Expr::Literal(ScalarValue::Null, None), element.clone());
        let undefined = PlanError::UndefinedOperator {
            text: format!("{} {symbol} {element}", value.sql_type),
        };
        let (value, probe) = self.comparable(value, probe).map_err(|_| undefined)?;
        let array = self.coerce(array, &SqlType::Array(Box::new(probe.sql_type)), Casting::Explicit)?;
        let has = self.call("array_includes", vec![array, value], cx)?;
        let expr = if negated {
            Expr::Not(Box::new(has.expr))
        } else {
            has.expr
        };
        Ok(Typed::new(expr, SqlType::Bool))
    }

    /// Compares rows field by field.
    pub(crate) fn compare_rows(
        &mut self,
        symbol: &str,
        left: &[ast::Expr],
        right: &[ast::Expr],
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        check_row_length(left.len(), right.len())?;
        let mut pairs = Vec::with_capacity(left.len());
        for (l, r) in left.iter().zip(right) {
            pairs.push((self.bind_expr(l, cx)?, self.bind_expr(r, cx)?));
        }
        let expr = self.compare_pairs(symbol, pairs, cx)?;
        Ok(Typed::new(expr, SqlType::Bool))
    }

    /// Compares a row with values, as a subquery gives them.
    pub(crate) fn compare_row_values(
        &mut self,
        symbol: &str,
        left: &[ast::Expr],
        right: Vec<Typed>,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        check_row_length(left.len(), right.len())?;
        let mut pairs = Vec::with_capacity(left.len());
        for (l, r) in left.iter().zip(right) {
            pairs.push((self.bind_expr(l, cx)?, r));
        }
        let expr = self.compare_pairs(symbol, pairs, cx)?;
        Ok(Typed::new(expr, SqlType::Bool))
    }

    /// `(a, b) op (c, d)`: equality field by field, order by the first field that differs.
    fn compare_pairs(&mut self, symbol: &str, pairs: Vec<(Typed, Typed)>, cx: &mut ExprCx<'_>) -> Result<Expr> {
        let mut result: Option<Expr> = None;
        match symbol {
            "=" | "<>" => {
                for (l, r) in pairs {
                    let equal = self.apply_operator(symbol, l, r, cx)?.expr;
                    result = Some(match result {
                        None => equal,
                        Some(so_far) if symbol == "=" => so_far.and(equal),
                        Some(so_far) => so_far.or(equal),
                    });
                }
            }
            "<" | "<=" | ">" | ">=" => {
                let strict = symbol.trim_end_matches('=');
                for (l, r) in pairs.into_iter().rev() {
                    let last = result.is_none();
                    let op = if last { symbol } else { strict };
                    let step = self.apply_operator(op, l.clone(), r.clone(), cx)?.expr;
                    result = Some(match result {
                        None => step,
                        Some(rest) => step.or(self.equals(l, r, cx)?.and(rest)),
                    });
                }
            }
            _ => {
                return Err(PlanError::unsupported(
                    format!("{symbol} between rows"),
                    "Compare the fields one by one.",
                ));
            }
        }
        Ok(result.unwrap_or_else(|| lit(true)))
    }
}

fn like_operator(negated: bool, fold_case: bool) -> BinaryOperator {
    match (negated, fold_case) {
        (false, false) => BinaryOperator::PGLikeMatch,
        (true, false) => BinaryOperator::PGNotLikeMatch,
        (false, true) => BinaryOperator::PGILikeMatch,
        (true, true) => BinaryOperator::PGNotILikeMatch,
    }
}

fn array_is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

fn check_row_length(left: usize, right: usize) -> Result<()> {
    match left == right {
        true => Ok(()),
        false => Err(PlanError::syntax("unequal number of entries in row expressions")),
    }
}

/// A type without its modifier, for a literal compared with a column.
fn bare(sql_type: &SqlType) -> SqlType {
    match sql_type {
        SqlType::Varchar(_) => SqlType::Varchar(None),
        SqlType::Bpchar(_) => SqlType::Bpchar(None),
        other => other.clone(),
    }
}

/// Whether an integer constant can stand in a list of the value's wider integers.
fn castable_integer(item: &Typed, value: &Typed) -> bool {
    matches!(
        (&item.sql_type, &value.sql_type),
        (SqlType::Int2 | SqlType::Int4, SqlType::Int8) | (SqlType::Int2, SqlType::Int4)
    ) || (matches!(item.sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8)
        && super::types::is_oid_like(&value.sql_type))
}
