//! TUMBLE, HOP and CUMULATE in FROM become a [`WindowNode`]. SESSION is refused by name.

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan};
use highwater_parser::{WindowCall, WindowFunction, WindowInput};
use highwater_types::{IntervalParts, SqlType};
use sqlparser::ast::{self, Spanned};

use super::from::{derived, with_column_names};
use super::scope::{Scope, ScopeColumn, ScopeTable, fold};
use super::{Binder, Casting, ExprCx, Place, Source};
use crate::error::{PlanError, Result};
use crate::stream::plan::{WindowAssign, WindowKind};
use crate::window::{WINDOW_END, WINDOW_START, WindowNode};

const MICROS_PER_DAY: i64 = 86_400_000_000;

impl Binder<'_> {
    pub(crate) fn bind_window_table(
        &mut self,
        call: &WindowCall<'_>,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let kind = match call.function {
            WindowFunction::Tumble => WindowKind::Tumble,
            WindowFunction::Hop => WindowKind::Hop,
            WindowFunction::Cumulate => WindowKind::Cumulate,
            WindowFunction::Session => {
                return Err(PlanError::unsupported("SESSION", "Use TUMBLE or HOP.").at(call.time.span()));
            }
        };
        let source = match &call.input {
            WindowInput::Relation(name) => self.bind_relation(name, None)?,
            WindowInput::Query(query) => {
                let rows = self.bind_query(query, &[])?;
                derived(rows, None)?
            }
        };
        let time = self.time_column(call.time, &source)?;
        let assign = self.window_assign(kind, &call.intervals)?;
        let qualifier = self.names.fresh("window");
        let bounds = [WINDOW_START, WINDOW_END].map(|name| Column::new(Some(qualifier.clone()), name));
        let node = WindowNode::try_new(Arc::new(source.plan), time.0, assign, bounds.clone())?;
        let table = windowed_table(source.scope, &bounds, &time.1, call.input_alias, alias);
        Ok(Source {
            plan: LogicalPlan::Extension(Extension { node: Arc::new(node) }),
            scope: Scope::of_table(with_column_names(table, alias)?),
        })
    }

    fn time_column(&mut self, expr: &ast::Expr, source: &Source) -> Result<(Column, SqlType)> {
        let mut cx = ExprCx::new(&source.scope, source.plan.schema(), Place::Function);
        let typed = self.bind_expr(expr, &mut cx)?;
        match (typed.expr, typed.sql_type) {
            (Expr::Column(column), sql_type @ (SqlType::Timestamp | SqlType::Timestamptz)) => Ok((column, sql_type)),
            (Expr::Column(_), found) => Err(PlanError::WrongType {
                place: "the time column of a window".to_string(),
                expected: SqlType::Timestamptz,
                found,
            }
            .at(expr.span())),
            _ => Err(PlanError::unsupported(
                "a window over an expression",
                "Compute the time in a subquery: TUMBLE((SELECT ..., expression AS ts FROM t), ts, size).",
            )
            .at(expr.span())),
        }
    }

    fn window_assign(&mut self, kind: WindowKind, intervals: &[&ast::Expr]) -> Result<WindowAssign> {
        let mut lengths = Vec::with_capacity(intervals.len());
        for expr in intervals {
            lengths.push((self.micros(expr).map_err(|error| error.at(expr.span()))?, expr.span()));
        }
        let (size, slide, offset) = match (kind, lengths.as_slice()) {
            (WindowKind::Tumble, [size, offset @ ..]) => (*size, *size, offset.first().map_or(0, |o| o.0)),
            (WindowKind::Hop | WindowKind::Cumulate, [slide, size, offset @ ..]) => {
                (*size, *slide, offset.first().map_or(0, |o| o.0))
            }
            _ => return Err(PlanError::internal("a window without a size")),
        };
        for (length, span) in [size, slide] {
            if length <= 0 {
                return Err(PlanError::InvalidParameter {
                    message: "the size and slide of a window must be positive".to_string(),
                    hint: None,
                }
                .at(span));
            }
        }
        if size.0 % slide.0 != 0 {
            let (word, slide) = match kind {
                WindowKind::Cumulate => ("CUMULATE", "step"),
                WindowKind::Tumble | WindowKind::Hop => ("HOP", "slide"),
            };
            return Err(PlanError::InvalidParameter {
                message: format!("the size of a {word} window must be a multiple of its {slide}"),
                hint: Some(format!(
                    "{word} takes the {slide} first, then the size: {word}(table, time, {slide}, size)."
                )),
            }
            .at(size.1));
        }
        Ok(WindowAssign {
            kind,
            time_column: 0,
            size_us: size.0,
            slide_us: slide.0,
            offset_us: offset,
        })
    }

    /// A constant interval, in microseconds.
    fn micros(&mut self, expr: &ast::Expr) -> Result<i64> {
        let scope = Scope::default();
        let mut cx = ExprCx::new(&scope, &datafusion::common::DFSchema::empty(), Place::Function);
        let bound = self.bind_as(expr, &SqlType::Interval, Casting::Implicit, &mut cx)?;
        let value = match self.evaluate(&bound)? {
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(value)), _) => IntervalParts::from(value),
            _ => {
                return Err(PlanError::InvalidParameter {
                    message: "the intervals of a window must be constants, and not NULL".to_string(),
                    hint: None,
                });
            }
        };
        if value.months != 0 {
            return Err(PlanError::unsupported(
                "a window of months or years",
                "Months differ in length: use days, or group by date_trunc('month', ...).",
            ));
        }
        i64::from(value.days)
            .checked_mul(MICROS_PER_DAY)
            .and_then(|days| days.checked_add(value.micros))
            .ok_or_else(|| PlanError::InvalidParameter {
                message: "the interval of a window is out of range".to_string(),
                hint: None,
            })
    }
}

/// The input's columns, then the window's bounds, which hide columns of the same names.
fn windowed_table(
    scope: Scope,
    bounds: &[Column; 2],
    time: &SqlType,
    input_alias: Option<&ast::Ident>,
    alias: Option<&ast::TableAlias>,
) -> ScopeTable {
    let mut columns = scope.columns;
    columns.retain(|c| c.name != WINDOW_START && c.name != WINDOW_END);
    columns.extend(bounds.iter().map(|bound| ScopeColumn {
        name: bound.name.clone(),
        value: Expr::Column(bound.clone()),
        sql_type: time.clone(),
        origin: None,
    }));
    let own = scope.tables.into_iter().next().map(|t| t.alias).unwrap_or_default();
    ScopeTable {
        relation: None,
        alias: alias.map(|a| &a.name).or(input_alias).map_or(own, fold),
        schema: None,
        columns,
    }
}
