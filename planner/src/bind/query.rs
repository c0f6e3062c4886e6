//! Queries as a whole: WITH, the body, ORDER BY, LIMIT and OFFSET.

use datafusion::common::Column;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, WindowFrame, WindowFunctionDefinition, lit,
};
use highwater_types::{SqlError, SqlState, SqlType};
use sqlparser::ast::{self, LimitClause, SetExpr, Spanned};

use super::order::order_keys;
use super::scope::Scope;
use super::window::by_peers;
use super::{Binder, Casting, ExprCx, Place, Rows};
use crate::error::{PlanError, Result};

/// The rows of a query that are wanted.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    pub skip: Option<Expr>,
    pub fetch: Option<Expr>,
    /// FETCH ... WITH TIES.
    pub with_ties: bool,
}

impl Bounds {
    pub(crate) fn is_empty(&self) -> bool {
        self.skip.is_none() && self.fetch.is_none()
    }
}

impl Binder<'_> {
    /// Binds a query. Columns that stay without a type take the `expected` one, or text.
    pub(crate) fn bind_query(&mut self, query: &ast::Query, expected: &[SqlType]) -> Result<Rows> {
        refuse_clauses(query)?;
        let depth = self.ctes.len();
        if let Some(with) = &query.with {
            self.open_with(with)?;
        }
        let rows = self.bind_query_body(query, expected)?;
        self.close_with(depth)?;
        Ok(rows)
    }

    fn bind_query_body(&mut self, query: &ast::Query, expected: &[SqlType]) -> Result<Rows> {
        let keys = order_keys(query.order_by.as_ref())?;
        let bounds = self.bind_bounds(query)?;
        if let SetExpr::Select(select) = query.body.as_ref() {
            return self.bind_select(select, keys, &bounds, expected);
        }
        let rows = self.bind_set_expr(&query.body, expected)?;
        if bounds.with_ties {
            return Err(PlanError::unsupported(
                "WITH TIES after a UNION",
                "Move the UNION into a FROM clause.",
            ));
        }
        let rows = self.order_rows(rows, keys)?;
        Ok(Rows {
            plan: limited(rows.plan, &bounds)?,
            columns: rows.columns,
        })
    }

    /// The body of a query or of a side of UNION.
    pub(crate) fn bind_set_expr(&mut self, body: &SetExpr, expected: &[SqlType]) -> Result<Rows> {
        match body {
            SetExpr::Select(select) => self.bind_select(select, &[], &Bounds::default(), expected),
            SetExpr::Query(query) => self.bind_query(query, expected),
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => self.bind_set_operation(left, *op, *set_quantifier, right, expected),
            SetExpr::Values(values) => {
                let rows: Vec<Vec<ast::Expr>> = values.rows.iter().map(|row| row.content.clone()).collect();
                self.bind_value_rows(&rows, expected, Place::Values)
            }
            SetExpr::Table(table) => self.bind_table_command(table),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(PlanError::unsupported(
                    "a data-changing statement inside of a query",
                    "Run it as a statement of its own.",
                ))
            }
        }
    }

    /// `TABLE t`.
    fn bind_table_command(&mut self, table: &ast::Table) -> Result<Rows> {
        let parts = table.schema_name.iter().chain(&table.table_name);
        let name = ast::ObjectName::from(parts.map(|p| ast::Ident::new(p.clone())).collect::<Vec<_>>());
        let source = self.bind_relation(&name, None)?;
        let columns = source.scope.columns.into_iter().filter_map(|c| match c.value {
            Expr::Column(column) => Some(super::BoundColumn {
                open: false,
                name: c.name,
                column,
                sql_type: c.sql_type,
                origin: c.origin,
            }),
            _ => None,
        });
        Ok(Rows {
            plan: source.plan,
            columns: columns.collect(),
        })
    }

    fn bind_bounds(&mut self, query: &ast::Query) -> Result<Bounds> {
        let mut bounds = Bounds::default();
        match &query.limit_clause {
            None => {}
            Some(LimitClause::LimitOffset {
                limit,
                offset,
                limit_by,
            }) => {
                if !limit_by.is_empty() {
                    return Err(PlanError::unsupported("LIMIT BY", ""));
                }
                if let Some(limit) = limit {
                    bounds.fetch = self.bind_bound(limit, "LIMIT")?;
                }
                if let Some(offset) = offset {
                    bounds.skip = self.bind_bound(&offset.value, "OFFSET")?;
                }
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => {
                return Err(PlanError::syntax("LIMIT #,# syntax is not supported"));
            }
        }
        if let Some(fetch) = &query.fetch {
            if fetch.percent {
                return Err(PlanError::unsupported("FETCH ... PERCENT", "Give a number of rows."));
            }
            bounds.with_ties = fetch.with_ties;
            bounds.fetch = match &fetch.quantity {
                Some(quantity) => self.bind_bound(quantity, "LIMIT")?,
                None => Some(lit(1_i64)),
            };
        }
        Ok(bounds)
    }

    /// A count of rows: a constant or a parameter. NULL means none is given.
    fn bind_bound(&mut self, expr: &ast::Expr, clause: &str) -> Result<Option<Expr>> {
        // ALL is read as a name.
        if matches!(expr, ast::Expr::Identifier(ident) if ident.value.eq_ignore_ascii_case("all")) {
            return Ok(None);
        }
        let scope = Scope::default();
        let mut cx = ExprCx::new(&scope, &datafusion::common::DFSchema::empty(), Place::Limit);
        let bound = self
            .bind_as(expr, &SqlType::Int8, Casting::Assignment, &mut cx)
            .map_err(|error| {
                error.map(|error| match error {
                    PlanError::UndefinedColumn { .. } => PlanError::InvalidReference {
                        message: format!("argument of {clause} must not contain variables"),
                    },
                    other => other,
                })
            })?;
        if !cx.subqueries.is_empty() {
            return Err(
                PlanError::unsupported(format!("a subquery in {clause}"), "Give a constant or a parameter.")
                    .at(expr.span()),
            );
        }
        if matches!(bound, Expr::Placeholder(_)) {
            return Ok(Some(bound));
        }
        let bound = match bound {
            Expr::Literal(..) => bound,
            other if has_parameter(&other) => return Ok(Some(other)),
            other => self.evaluate(&other)?,
        };
        match &bound {
            Expr::Literal(ScalarValue::Int64(Some(n)), _) if *n < 0 => {
                let state = match clause {
                    "LIMIT" => SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
                    _ => SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE,
                };
                Err(PlanError::from(SqlError::new(
                    state,
                    format!("{clause} must not be negative"),
                )))
            }
            Expr::Literal(value, _) if value.is_null() => Ok(None),
            _ => Ok(Some(bound)),
        }
    }

    /// A plan with one column more: `row_number()` within the partition, in the order.
    pub(crate) fn numbered(
        &mut self,
        plan: LogicalPlan,
        partition_by: Vec<Expr>,
        order_by: Vec<Sort>,
    ) -> Result<(LogicalPlan, Expr)> {
        self.ranked(plan, partition_by, order_by, "row_number")
    }

    /// A plan with one column more: a ranking function's number, as bigint.
    pub(crate) fn ranked(
        &mut self,
        plan: LogicalPlan,
        partition_by: Vec<Expr>,
        order_by: Vec<Sort>,
        function: &str,
    ) -> Result<(LogicalPlan, Expr)> {
        let udf = self.state.window_functions().get(function).cloned();
        let udf = udf.ok_or_else(|| PlanError::internal(format!("the function {function} is missing")))?;
        let mut call = WindowFunction::new(WindowFunctionDefinition::WindowUDF(udf), vec![]);
        let frame = WindowFrame::new((!order_by.is_empty()).then_some(false));
        call.params.window_frame = match order_by.first() {
            Some(first) => by_peers(frame, &first.expr.get_type(plan.schema())?),
            None => frame,
        };
        call.params.partition_by = partition_by;
        call.params.order_by = order_by;
        let call = Expr::WindowFunction(Box::new(call));
        let column = Expr::Column(Column::from_name(call.schema_name().to_string()));
        let plan = LogicalPlanBuilder::from(plan).window(vec![call])?.build()?;
        let data_type = plan
            .schema()
            .field_with_unqualified_name(&column_name(&column))?
            .data_type()
            .clone();
        let number = match data_type {
            arrow::datatypes::DataType::Int64 => column,
            _ => Expr::Cast(datafusion::logical_expr::Cast::new(
                Box::new(column),
                arrow::datatypes::DataType::Int64,
            )),
        };
        Ok((plan, number))
    }
}

fn column_name(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => column.name.clone(),
        other => other.to_string(),
    }
}

fn has_parameter(expr: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    expr.exists(|e| Ok(matches!(e, Expr::Placeholder(_)))).unwrap_or(false)
}

/// The wanted rows of a plan.
pub(crate) fn limited(plan: LogicalPlan, bounds: &Bounds) -> Result<LogicalPlan> {
    match bounds.is_empty() {
        true => Ok(plan),
        false => Ok(LogicalPlanBuilder::from(plan)
            .limit_by_expr(bounds.skip.clone(), bounds.fetch.clone())?
            .build()?),
    }
}

/// Clauses that sqlparser knows from other databases, and row locks.
fn refuse_clauses(query: &ast::Query) -> Result<()> {
    if let Some(lock) = query.locks.first() {
        return Err(PlanError::unsupported(
            lock.to_string(),
            "Reads see one epoch and take no locks: leave the clause out.",
        ));
    }
    if query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some() {
        return Err(PlanError::syntax("syntax error in the clauses after the query"));
    }
    if !query.pipe_operators.is_empty() {
        return Err(PlanError::unsupported("the pipe operator |>", "Write it as a SELECT."));
    }
    Ok(())
}
