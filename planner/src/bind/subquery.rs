//! Subqueries in expressions. Each becomes a relation that is joined to the plan below the expression: a scalar
//! subquery one with at most one row for each outer row, EXISTS and IN among the conditions of WHERE a semi- or
//! anti-join, and elsewhere a left join whose match tells the answer.

use std::sync::Arc;

use datafusion::common::{Column, JoinType, ScalarValue};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit};
use highwater_types::SqlType;
use sqlparser::ast::{self, Spanned};

use super::aggregate::precompute;
use super::one_row::ordered_input;
use super::operator::row_fields;
use super::{Binder, ExprCx, OuterScope, Rows, Typed};
use crate::error::{PlanError, Result};

/// A relation to be joined before an expression can be computed.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    /// Its rows. Columns of the outer query stand in it as outer references.
    pub plan: LogicalPlan,
    /// Which outer rows meet which of its rows, over both sides.
    pub on: Option<Expr>,
    /// Left, where an outer row meets at most one row of `plan`; or semi or anti.
    pub join: JoinType,
    /// Whether it stands inside of an aggregate, and so belongs below the grouping.
    pub in_aggregate: bool,
}

impl Pending {
    /// The columns that it takes from the outer query, of those that `wanted` tells.
    pub(crate) fn outer_columns(&self, wanted: impl Fn(&Column) -> bool) -> Result<Vec<Column>> {
        let mut found = super::decorrelate::outer_columns(&self.plan, &wanted)?;
        let inner = self.plan.schema();
        for column in self.on.iter().flat_map(|on| on.column_refs()) {
            if !inner.has_column(column) && wanted(column) && !found.contains(column) {
                found.push(column.clone());
            }
        }
        Ok(found)
    }
}

impl Binder<'_> {
    /// Binds a query inside of an expression, which sees the expression's columns.
    fn bind_inner(&mut self, query: &ast::Query, cx: &ExprCx<'_>) -> Result<Rows> {
        if !cx.place.allows_subqueries() {
            return Err(PlanError::unsupported(
                format!("a subquery in {}", cx.place.name()),
                "Use constants and the row's own columns.",
            ));
        }
        self.outer.push(OuterScope {
            scope: Arc::new(cx.scope.clone()),
            schema: Arc::new(cx.schema.clone()),
        });
        let rows = self.bind_query(query, &[]);
        self.outer.pop();
        rows
    }

    /// Has a relation joined before the expression is computed.
    pub(super) fn push(
        &mut self,
        plan: LogicalPlan,
        on: Option<Expr>,
        join: JoinType,
        cx: &mut ExprCx<'_>,
    ) -> Result<()> {
        if join == JoinType::Left {
            cx.schema = cx.schema.join(plan.schema())?;
        }
        cx.subqueries.push(Pending {
            plan,
            on,
            join,
            in_aggregate: cx.in_aggregate,
        });
        Ok(())
    }

    /// `(SELECT x ...)` as a value.
    pub(crate) fn bind_scalar_subquery(&mut self, query: &ast::Query, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let values = self.bind_row_subquery(query, cx)?;
        match <[Typed; 1]>::try_from(values) {
            Ok([value]) => Ok(value),
            Err(_) => {
                Err(PlanError::syntax("subquery must return only one column").at_parenthesis_before(query.span()))
            }
        }
    }

    /// `(SELECT x, y ...)` as values.
    pub(crate) fn bind_row_subquery(&mut self, query: &ast::Query, cx: &mut ExprCx<'_>) -> Result<Vec<Typed>> {
        let rows = self.bind_inner(query, cx)?;
        let values = rows.columns.iter().map(|c| Expr::Column(c.column.clone())).collect();
        let (aggregate, values) = self.as_one_row(rows.plan.clone(), values)?;
        let values = self.push_one_row(aggregate, values, cx)?;
        let types = rows.columns.into_iter().map(|c| c.sql_type);
        Ok(values
            .into_iter()
            .zip(types)
            .map(|(value, sql_type)| Typed::new(value, sql_type))
            .collect())
    }

    /// `EXISTS (SELECT ...)` as a value.
    pub(crate) fn bind_exists(&mut self, query: &ast::Query, negated: bool, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let rows = self.bind_inner(query, cx)?;
        let count = self.count_rows()?;
        let (plan, columns) = self.aggregate_whole(rows.plan, vec![count])?;
        let value = self.push_one_row(plan, columns, cx)?.swap_remove(0);
        let op = if negated { Operator::Eq } else { Operator::Gt };
        Ok(Typed::new(binary_expr(value, op, lit(0_i64)), SqlType::Bool))
    }

    /// `x IN (SELECT y ...)` as a value, which is NULL when only a NULL could have matched.
    pub(crate) fn bind_in_subquery(
        &mut self,
        left: &ast::Expr,
        query: &ast::Query,
        negated: bool,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        let values = self.in_operands(left, cx)?;
        let rows = self.bind_inner(query, cx)?;
        let pairs = self.pair_up(values, &rows)?;
        let certain = pairs
            .iter()
            .all(|(x, y)| !x.nullable(&cx.schema).unwrap_or(true) && !y.nullable(rows.plan.schema()).unwrap_or(true));
        let matched = self.push_match(&rows, &pairs, cx)?;
        let found = Expr::IsNotNull(Box::new(matched));
        let answer = if certain {
            found
        } else {
            self.three_valued(found, &rows, &pairs, cx)?
        };
        let answer = if negated { Expr::Not(Box::new(answer)) } else { answer };
        Ok(Typed::new(answer, SqlType::Bool))
    }

    fn in_operands(&mut self, left: &ast::Expr, cx: &mut ExprCx<'_>) -> Result<Vec<Typed>> {
        let fields = row_fields(left).unwrap_or(std::slice::from_ref(left));
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            values.push(self.bind_expr(field, cx)?);
        }
        Ok(values)
    }

    /// Each operand with the subquery's column that it is compared with, in one type.
    fn pair_up(&mut self, values: Vec<Typed>, rows: &Rows) -> Result<Vec<(Expr, Expr)>> {
        if values.len() != rows.columns.len() {
            let problem = if values.len() > rows.columns.len() {
                "few"
            } else {
                "many"
            };
            return Err(PlanError::syntax(format!("subquery has too {problem} columns")));
        }
        let mut pairs = Vec::with_capacity(values.len());
        for (value, column) in values.into_iter().zip(&rows.columns) {
            let other = Typed::new(Expr::Column(column.column.clone()), column.sql_type.clone());
            let text = format!("{} = {}", value.sql_type, other.sql_type);
            let (x, y) = match value.is_unknown() {
                true => (self.coerce(value, &other.sql_type, super::Casting::Implicit)?, other),
                false => self
                    .comparable(value, other)
                    .map_err(|_| PlanError::UndefinedOperator { text })?,
            };
            pairs.push((x.expr, y.expr));
        }
        Ok(pairs)
    }

    /// Joins the distinct values of a subquery; the column that is not NULL where one matched.
    fn push_match(&mut self, rows: &Rows, pairs: &[(Expr, Expr)], cx: &mut ExprCx<'_>) -> Result<Expr> {
        let ys = pairs.iter().map(|(_, y)| y.clone());
        let (plan, computed) = precompute(self, rows.plan.clone(), ys.clone())?;
        let groups: Vec<Expr> = ys.map(|y| computed.whole(&y)).collect();
        let distinct = LogicalPlanBuilder::from(plan)
            .aggregate(groups.clone(), Vec::<Expr>::new())?
            .build()?;
        let qualifier = self.names.fresh("matched");
        let mut exprs = Vec::with_capacity(groups.len() + 1);
        let mut on: Option<Expr> = None;
        for (i, (group, (x, _))) in groups.iter().zip(pairs).enumerate() {
            let name = format!("value{}", i + 1);
            exprs.push(group.clone().alias_qualified(Some(qualifier.clone()), &name));
            let y = Expr::Column(Column::new(Some(qualifier.clone()), name));
            let equal = binary_expr(x.clone(), Operator::Eq, y);
            on = Some(match on {
                None => equal,
                Some(so_far) => so_far.and(equal),
            });
        }
        exprs.push(lit(true).alias_qualified(Some(qualifier.clone()), "found"));
        let plan = LogicalPlanBuilder::from(distinct).project(exprs)?.build()?;
        self.push(plan, on, JoinType::Left, cx)?;
        Ok(Expr::Column(Column::new(Some(qualifier), "found")))
    }

    /// IN as SQL has it: unknown when nothing matched but a NULL was on either side.
    fn three_valued(&mut self, found: Expr, rows: &Rows, pairs: &[(Expr, Expr)], cx: &mut ExprCx<'_>) -> Result<Expr> {
        let mut calls = vec![self.count_rows()?];
        for (_, y) in pairs {
            calls.push(self.count_of(y.clone())?);
        }
        let (plan, columns) = self.aggregate_whole(rows.plan.clone(), calls)?;
        let counts = self.push_one_row(plan, columns, cx)?;
        let total = counts[0].clone();
        let mut null_seen: Option<Expr> = None;
        for ((x, _), known) in pairs.iter().zip(&counts[1..]) {
            let null = Expr::IsNull(Box::new(x.clone())).or(known.clone().lt(total.clone()));
            null_seen = Some(match null_seen {
                None => null,
                Some(so_far) => so_far.or(null),
            });
        }
        let null_seen = null_seen.unwrap_or_else(|| lit(false));
        let unknown = Expr::Literal(ScalarValue::Boolean(None), None);
        Ok(Expr::Case(Case::new(
            None,
            vec![
                (Box::new(found), Box::new(lit(true))),
                (Box::new(total.eq(lit(0_i64))), Box::new(lit(false))),
                (Box::new(null_seen), Box::new(unknown)),
            ],
            Some(Box::new(lit(false))),
        )))
    }

    /// `x op ANY (SELECT y ...)` and `x op ALL (SELECT y ...)`.
    pub(crate) fn bind_quantified_subquery(
        &mut self,
        left: &ast::Expr,
        symbol: &str,
        query: &ast::Query,
        all: bool,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        match (symbol, all) {
            ("=", false) => return self.bind_in_subquery(left, query, false, cx),
            ("<>", true) => return self.bind_in_subquery(left, query, true, cx),
            _ => {}
        }
        let value = self.bind_expr(left, cx)?;
        let rows = self.bind_inner(query, cx)?;
        let [column] = rows.columns.as_slice() else {
            return Err(PlanError::syntax("subquery has too many columns"));
        };
        let outer = Typed::new(super::expr::as_outer(value.expr, &cx.schema)?, value.sql_type);
        let other = Typed::new(Expr::Column(column.column.clone()), column.sql_type.clone());
        let mut inner_cx = ExprCx::new(cx.scope, rows.plan.schema(), cx.place);
        let holds = self.apply_operator(symbol, outer, other, &mut inner_cx)?.expr;
        let decisive = if all {
            Expr::IsFalse(Box::new(holds.clone()))
        } else {
            Expr::IsTrue(Box::new(holds.clone()))
        };
        let mut calls = Vec::new();
        for condition in [decisive, Expr::IsUnknown(Box::new(holds))] {
            let one = Case::new(None, vec![(Box::new(condition), Box::new(lit(1_i64)))], None);
            calls.push(self.count_of(Expr::Case(one))?);
        }
        let (plan, columns) = self.aggregate_whole(rows.plan.clone(), calls)?;
        let counts = self.push_one_row(plan, columns, cx)?;
        let unknown = Expr::Literal(ScalarValue::Boolean(None), None);
        let answer = Expr::Case(Case::new(
            None,
            vec![
                (Box::new(counts[0].clone().gt(lit(0_i64))), Box::new(lit(!all))),
                (Box::new(counts[1].clone().gt(lit(0_i64))), Box::new(unknown)),
            ],
            Some(Box::new(lit(all))),
        ));
        Ok(Typed::new(answer, SqlType::Bool))
    }

    /// `ARRAY(SELECT x ... ORDER BY ...)`.
    pub(crate) fn bind_array_subquery(&mut self, query: &ast::Query, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let rows = self.bind_inner(query, cx)?;
        let [column] = rows.columns.as_slice() else {
            return Err(PlanError::syntax("subquery must return only one column"));
        };
        let sql_type = SqlType::Array(Box::new(column.sql_type.clone()));
        let (plan, value, order) = ordered_input(rows.plan.clone(), Expr::Column(column.column.clone()))?;
        let call = self.aggregate_call("array_agg", vec![value], order)?;
        let (plan, columns) = self.aggregate_whole(plan, vec![call])?;
        let value = self.push_one_row(plan, columns, cx)?.swap_remove(0);
        let empty = ScalarValue::new_list_nullable(&[], &column.sql_type.to_arrow());
        let coalesce = self.scalar_function("coalesce")?;
        let expr = coalesce.call(vec![value, Expr::Literal(ScalarValue::List(empty), None)]);
        Ok(Typed::new(expr, sql_type))
    }

    /// Conditions of WHERE. EXISTS and IN that stand alone become semi- and anti-joins.
    pub(crate) fn bind_conjuncts(
        &mut self,
        expr: &ast::Expr,
        place: &str,
        cx: &mut ExprCx<'_>,
        conditions: &mut Vec<Expr>,
    ) -> Result<()> {
        let mut open = vec![expr];
        while let Some(expr) = open.pop() {
            match expr {
                ast::Expr::Nested(inner) => open.push(inner),
                ast::Expr::BinaryOp {
                    left,
                    op: ast::BinaryOperator::And,
                    right,
                } => {
                    open.push(right);
                    open.push(left);
                }
                ast::Expr::Exists { subquery, negated } => {
                    let rows = self.bind_inner(subquery, cx)?;
                    let join = if *negated {
                        JoinType::LeftAnti
                    } else {
                        JoinType::LeftSemi
                    };
                    self.push(rows.plan, None, join, cx)?;
                }
                ast::Expr::UnaryOp {
                    op: ast::UnaryOperator::Not,
                    expr: inner,
                } if matches!(inner.as_ref(), ast::Expr::Exists { negated: false, .. }) => {
                    if let ast::Expr::Exists { subquery, .. } = inner.as_ref() {
                        let rows = self.bind_inner(subquery, cx)?;
                        self.push(rows.plan, None, JoinType::LeftAnti, cx)?;
                    }
                }
                ast::Expr::InSubquery {
                    expr: left,
                    subquery,
                    negated: false,
                } => {
                    let values = self.in_operands(left, cx)?;
                    let rows = self.bind_inner(subquery, cx)?;
                    let pairs = self.pair_up(values, &rows)?;
                    let equal = pairs.into_iter().map(|(x, y)| binary_expr(x, Operator::Eq, y));
                    self.push(rows.plan, equal.reduce(Expr::and), JoinType::LeftSemi, cx)?;
                }
                other => conditions.push(self.bind_condition(other, place, cx)?),
            }
        }
        Ok(())
    }
}
