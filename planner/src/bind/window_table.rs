//! TUMBLE, HOP and CUMULATE in FROM become a [`WindowNode`], SESSION a [`SessionNode`].

use std::sync::Arc;

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode};
use highwater_parser::{WindowCall, WindowFunction, WindowInput};
use highwater_types::{IntervalParts, SqlType};
use sqlparser::ast::{self, Spanned};

use super::from::{derived, with_column_names};
use super::scope::{Scope, ScopeColumn, ScopeTable, fold};
use super::{Binder, Casting, ExprCx, Place, Source};
use crate::error::{PlanError, Result};
use crate::session_window::SessionNode;
use crate::stream::plan::{WindowAssign, WindowKind};
use crate::window::{WINDOW_END, WINDOW_START, WindowNode};

const MICROS_PER_DAY: i64 = 86_400_000_000;

impl Binder<'_> {
    pub(crate) fn bind_window_table(
        &mut self,
        call: &WindowCall<'_>,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let source = match &call.input {
            WindowInput::Relation(name) => self.bind_relation(name, None)?,
            WindowInput::Query(query) => {
                let rows = self.bind_query(query, &[])?;
                derived(rows, None)?
            }
        };
        let time = self.time_column(call.time, &source)?;
        let qualifier = self.names.fresh("window");
        let bounds = [WINDOW_START, WINDOW_END].map(|name| Column::new(Some(qualifier.clone()), name));
        let node: Arc<dyn UserDefinedLogicalNode> = match window_kind(call.function) {
            None => Arc::new(self.session(call, &source, time.0, bounds.clone())?),
            Some(_) if !call.partition_by.is_empty() => return Err(partition_refused(call)),
            Some(kind) => {
                let assign = self.window_assign(kind, &call.intervals)?;
                let input = Arc::new(source.plan.clone());
                Arc::new(WindowNode::try_new(input, time.0, assign, bounds.clone())?)
            }
        };
        let table = windowed_table(source.scope, &bounds, &time.1, call.input_alias, alias);
        Ok(Source {
            plan: LogicalPlan::Extension(Extension { node }),
            scope: Scope::of_table(with_column_names(table, alias)?),
        })
    }

    fn session(
        &mut self,
        call: &WindowCall<'_>,
        source: &Source,
        time: Column,
        bounds: [Column; 2],
    ) -> Result<SessionNode> {
        let mut partition: Vec<Column> = Vec::with_capacity(call.partition_by.len());
        for expr in &call.partition_by {
            let mut cx = ExprCx::new(&source.scope, source.plan.schema(), Place::Function);
            match self.bind_expr(expr, &mut cx)?.expr {
                Expr::Column(column) if partition.contains(&column) => {}
                Expr::Column(column) => partition.push(column),
                _ => {
                    return Err(PlanError::unsupported(
                        "a session partitioned by an expression",
                        "Compute it in a subquery: SESSION((SELECT ..., expression AS k FROM t) PARTITION BY k, ts, gap).",
                    )
                    .at(expr.span()));
                }
            }
        }
        let [gap] = call.intervals.as_slice() else {
            return Err(PlanError::internal("a session without a gap"));
        };
        let gap_us = self.micros(gap).map_err(|error| error.at(gap.span()))?;
        if gap_us <= 0 {
            return Err(PlanError::InvalidParameter {
                message: "the gap of a session must be positive".to_string(),
                hint: None,
            }
            .at(gap.span()));
        }
        let input = Arc::new(source.plan.clone());
        Ok(SessionNode::try_new(input, time, partition, gap_us, bounds)?)
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

/// The kind of window, where rows need no others to know theirs.
fn window_kind(function: WindowFunction) -> Option<WindowKind> {
    match function {
        WindowFunction::Tumble => Some(WindowKind::Tumble),
        WindowFunction::Hop => Some(WindowKind::Hop),
        WindowFunction::Cumulate => Some(WindowKind::Cumulate),
        WindowFunction::Session => None,
    }
}

fn partition_refused(call: &WindowCall<'_>) -> PlanError {
    let name = call.function.name();
    let message = format!("PARTITION BY in {name}");
    let hint = format!("Only SESSION has partitions; leave it out: a window of {name} is the same for all rows.");
    let refused = PlanError::unsupported(message, hint);
    match call.partition_by.first() {
        Some(expr) => refused.at(expr.span()),
        None => refused,
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
