//! Expressions with a syntax of their own, functions whose types follow rules of their own (COALESCE, NULLIF), and
//! words that are functions without parentheses.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, ExprSchemable, lit};
use highwater_types::SqlType;
use sqlparser::ast::{self, CeilFloorKind, DateTimeField, TrimWhereField};

use super::function::Call;
use super::literal::unknown;
use super::types::{Category, category};
use super::{Binder, Casting, ExprCx, Typed};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    /// Expressions that are calls under another syntax.
    pub(crate) fn bind_special(&mut self, expr: &ast::Expr, cx: &mut ExprCx<'_>) -> Result<Typed> {
        match expr {
            ast::Expr::Extract { field, expr, .. } => {
                let value = self.bind_expr(expr, cx)?;
                self.call("extract", vec![unknown(&field_name(field)), value], cx)
            }
            ast::Expr::AtTimeZone { timestamp, time_zone } => {
                let timestamp = self.bind_expr(timestamp, cx)?;
                let timestamp = match timestamp.is_unknown() {
                    true => self.coerce(timestamp, &SqlType::Timestamptz, Casting::Implicit)?,
                    false => timestamp,
                };
                let zone = self.bind_expr(time_zone, cx)?;
                self.call("timezone", vec![zone, timestamp], cx)
            }
            ast::Expr::Ceil { expr, field } => self.bind_rounding("ceil", expr, field, cx),
            ast::Expr::Floor { expr, field } => self.bind_rounding("floor", expr, field, cx),
            ast::Expr::Position { expr, r#in } => {
                let part = self.bind_expr(expr, cx)?;
                let whole = self.bind_expr(r#in, cx)?;
                self.call("strpos", vec![whole, part], cx)
            }
            ast::Expr::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => self.bind_substring(expr, substring_from.as_deref(), substring_for.as_deref(), cx),
            ast::Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => self.bind_trim(
                trim_where.as_ref(),
                trim_what.as_deref(),
                expr,
                trim_characters.as_deref(),
                cx,
            ),
            ast::Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let mut args = Vec::new();
                for part in [Some(expr), Some(overlay_what), Some(overlay_from), overlay_for.as_ref()]
                    .into_iter()
                    .flatten()
                {
                    args.push(self.bind_expr(part, cx)?);
                }
                self.call("overlay", args, cx)
            }
            ast::Expr::Prefixed { prefix, .. } => Err(PlanError::unsupported(format!("the prefix {prefix}"), "")),
            other => Err(PlanError::unsupported(other.to_string(), "")),
        }
    }

    fn bind_rounding(
        &mut self,
        name: &str,
        expr: &ast::Expr,
        field: &CeilFloorKind,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        match field {
            CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => {
                let value = self.bind_expr(expr, cx)?;
                self.call(name, vec![value], cx)
            }
            _ => Err(PlanError::unsupported(
                format!("{name} to a field or scale"),
                "Use date_trunc or round.",
            )),
        }
    }

    fn bind_substring(
        &mut self,
        expr: &ast::Expr,
        from: Option<&ast::Expr>,
        count: Option<&ast::Expr>,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        let value = self.bind_expr(expr, cx)?;
        let mut args = vec![value];
        match (from, count) {
            (None, Some(_)) => args.push(super::literal::int4(1)),
            (Some(from), _) => args.push(self.bind_expr(from, cx)?),
            (None, None) => {}
        }
        if let Some(count) = count {
            args.push(self.bind_expr(count, cx)?);
        }
        self.call("substring", args, cx)
    }

    fn bind_trim(
        &mut self,
        side: Option<&TrimWhereField>,
        what: Option<&ast::Expr>,
        expr: &ast::Expr,
        characters: Option<&[ast::Expr]>,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        let name = match side {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            Some(TrimWhereField::Both) | None => "btrim",
        };
        let mut args = vec![self.bind_expr(expr, cx)?];
        for part in what.into_iter().chain(characters.into_iter().flatten()) {
            args.push(self.bind_expr(part, cx)?);
        }
        self.call(name, args, cx)
    }

    /// Functions whose arguments are unified, or that the binder knows the answer of.
    pub(crate) fn bind_special_function(&mut self, call: &Call<'_>, cx: &mut ExprCx<'_>) -> Result<Option<Typed>> {
        let typed = match call.name.as_str() {
            "coalesce" | "greatest" | "least" if !call.args.is_empty() => {
                let args = self.bind_args(call, cx)?;
                let (exprs, common) = self.unify(args, &call.name.to_uppercase())?;
                let function = self.scalar_function(&call.name)?;
                Typed::new(function.call(exprs), common)
            }
            "nullif" if call.args.len() == 2 => self.bind_nullif(call, cx)?,
            "row" => {
                let fields: Vec<ast::Expr> = call.args.iter().map(|e| (*e).clone()).collect();
                self.bind_row(&fields, cx)?
            }
            "pg_typeof" if call.args.len() == 1 => {
                let typed = self.bind_args(call, cx)?.swap_remove(0);
                let name = match super::coerce::without_typmod(&typed.sql_type) {
                    SqlType::Bpchar(_) => "character".to_string(),
                    other => other.to_string(),
                };
                match typed.expr {
                    Expr::Literal(..) => Typed::new(lit(name), SqlType::Text),
                    // The value stays in the query: it may be an aggregate, or an error.
                    _ => self.call("pg_typeof", vec![Typed::new(lit(name), SqlType::Text), typed], cx)?,
                }
            }
            "age" if call.args.len() == 1 => {
                let until = self.bind_args(call, cx)?.swap_remove(0);
                match self.bind_bare_word("current_date")? {
                    Some(today) => self.call("age", vec![today, until], cx)?,
                    None => return Ok(None),
                }
            }
            "current_timestamp" | "localtimestamp" | "localtime" if call.args.len() == 1 => {
                let precision = match self.bind_args(call, cx)?.swap_remove(0).expr {
                    Expr::Literal(ScalarValue::Int32(Some(precision)), _) if precision >= 0 => precision as u64,
                    _ => return Err(PlanError::syntax("the precision is a whole number")),
                };
                match self.bind_bare_word(&call.name)? {
                    Some(typed) => self.rounded(typed, precision, cx)?,
                    None => return Ok(None),
                }
            }
            "pg_collation_for" if call.args.len() == 1 => {
                let typed = self.bind_args(call, cx)?.swap_remove(0);
                match category(&typed.sql_type) {
                    Category::String => Typed::new(lit("\"default\""), SqlType::Text),
                    _ => Typed::new(Expr::Literal(ScalarValue::Utf8(None), None), SqlType::Text),
                }
            }
            "current_schema" | "current_database" | "current_user" | "session_user" if call.args.is_empty() => {
                match self.bind_bare_word(&call.name)? {
                    Some(typed) => typed,
                    None => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(typed))
    }

    fn bind_nullif(&mut self, call: &Call<'_>, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let mut args = self.bind_args(call, cx)?;
        let right = args.swap_remove(1);
        let left = self.settle_beside(args.swap_remove(0), &right)?;
        let equal = self.equals(left.clone(), right, cx)?;
        // Of the value's own type: a quotient's is not that of other numerics.
        let null = ScalarValue::try_from(&left.expr.get_type(&cx.schema)?)?;
        let case = Case::new(
            None,
            vec![(Box::new(equal), Box::new(Expr::Literal(null, None)))],
            Some(Box::new(left.expr)),
        );
        Ok(Typed::new(Expr::Case(case), left.sql_type))
    }

    /// A value without type takes the type of the one beside it.
    fn settle_beside(&mut self, typed: Typed, beside: &Typed) -> Result<Typed> {
        match (typed.is_unknown(), beside.is_unknown()) {
            (true, false) => self.coerce(typed, &beside.sql_type, Casting::Implicit),
            _ => self.settle(typed),
        }
    }

    /// Words that are functions without parentheses.
    pub(crate) fn bind_bare_word(&mut self, word: &str) -> Result<Option<Typed>> {
        let settings = &self.ctx.settings;
        let name = |value: &str| Ok(Some(Typed::new(lit(value), SqlType::Name)));
        let target = match word {
            "current_user" | "user" | "session_user" | "current_role" => return name(&settings.user),
            "current_catalog" | "current_database" => return name(&settings.database),
            "current_schema" => {
                let exists = |schema: &&String| self.ctx.catalog.schema(schema).is_some();
                let schema = settings.search_path.iter().find(exists).cloned();
                return Ok(Some(Typed::new(
                    Expr::Literal(ScalarValue::Utf8(schema), None),
                    SqlType::Name,
                )));
            }
            "current_timestamp" => SqlType::Timestamptz,
            "localtimestamp" => SqlType::Timestamp,
            "current_date" => SqlType::Date,
            "localtime" => SqlType::Time,
            "current_time" => {
                return Err(PlanError::unsupported(
                    "current_time, a time with time zone,",
                    "Use localtime.",
                ));
            }
            _ => return Ok(None),
        };
        let now = Typed::new(self.scalar_function("now")?.call(vec![]), SqlType::Timestamptz);
        self.coerce(now, &target, Casting::Explicit).map(Some)
    }
}

/// A field of EXTRACT as `date_part` takes it.
fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(ident) => ident.value.to_lowercase(),
        DateTimeField::Years => "year".to_string(),
        DateTimeField::Months => "month".to_string(),
        DateTimeField::Days => "day".to_string(),
        DateTimeField::Hours => "hour".to_string(),
        DateTimeField::Minutes => "minute".to_string(),
        DateTimeField::Seconds => "second".to_string(),
        other => other.to_string().to_lowercase(),
    }
}
