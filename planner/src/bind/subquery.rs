//! Subqueries in expressions. Each becomes a relation that is joined to the plan below the expression: a scalar
//! subquery one with at most one row for each outer row, EXISTS and IN among the conditions of WHERE a semi- or
//! anti-join, and elsewhere a left join whose match tells the answer.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ExprSchema, JoinType, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Case, Sort};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit};
use highwater_types::SqlType;
use sqlparser::ast::{self, Spanned};

use super::aggregate::{Rewrite, precompute};
use super::operator::row_fields;
use super::single_value::single_value;
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

    fn push(&mut self, plan: LogicalPlan, on: Option<Expr>, join: JoinType, cx: &mut ExprCx<'_>) -> Result<()> {
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

    /// Takes a query's rows to one row: the aggregation, and the values over its columns. A query that is not an
    /// aggregation without groups must have at most one row, which is checked when it runs.
    fn as_one_row(&mut self, plan: LogicalPlan, values: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>)> {
        let mut node = &plan;
        let mut over = values.clone();
        loop {
            match node {
                LogicalPlan::Projection(projection) => {
                    over = over
                        .into_iter()
                        .map(|e| through(projection, e))
                        .collect::<Result<_>>()?;
                    node = projection.input.as_ref();
                }
                LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
                    return Ok((node.clone(), over));
                }
                _ => break,
            }
        }
        let calls = values.into_iter().map(|value| {
            let call = AggregateFunction::new_udf(single_value(), vec![value], false, None, vec![], None);
            Expr::AggregateFunction(call)
        });
        self.aggregate_whole(plan, calls.collect())
    }

    /// Joins an aggregation without groups, and gives `values`, which are over its columns.
    fn push_one_row(&mut self, aggregate: LogicalPlan, values: Vec<Expr>, cx: &mut ExprCx<'_>) -> Result<Vec<Expr>> {
        let (plan, rewrite, defaults) = self.unique_columns(aggregate)?;
        self.push(plan, None, JoinType::Left, cx)?;
        let over = |value| defaults.apply(as_inner(rewrite.apply(value)?, cx)?);
        values.into_iter().map(over).collect()
    }

    /// An aggregation without groups under unique names; what stands for its columns; and what an outer row without
    /// any group answers: a count is 0 then, not NULL.
    fn unique_columns(&mut self, plan: LogicalPlan) -> Result<(LogicalPlan, Rewrite, Rewrite)> {
        let LogicalPlan::Aggregate(aggregate) = &plan else {
            return Err(PlanError::internal("an aggregation expected"));
        };
        let qualifier = self.names.fresh("sub");
        let mut rewrite = Rewrite::default();
        let mut defaults = Rewrite::default();
        let mut exprs = Vec::new();
        for (i, (column, call)) in aggregate
            .schema
            .columns()
            .into_iter()
            .zip(&aggregate.aggr_expr)
            .enumerate()
        {
            let function = match call {
                Expr::AggregateFunction(function) => function,
                other => return Err(PlanError::internal(format!("{other} is no aggregate"))),
            };
            let name = format!("{}{}", function.func.name(), i + 1);
            let unique = Expr::Column(Column::new(Some(qualifier.clone()), &name));
            exprs.push(Expr::Column(column.clone()).alias_qualified(Some(qualifier.clone()), &name));
            rewrite.insert(Expr::Column(column.clone()), unique.clone());
            let data_type = aggregate.schema.field_from_column(&column)?.data_type();
            let default = function.func.default_value(data_type)?;
            if !default.is_null() {
                let coalesce = self.scalar_function("coalesce")?;
                let value = coalesce.call(vec![unique.clone(), Expr::Literal(default, None)]);
                defaults.insert(unique, value);
            }
        }
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        Ok((plan, rewrite, defaults))
    }

    /// Aggregates all rows of a plan into one. The calls' arguments may be any expressions over it.
    fn aggregate_whole(&mut self, plan: LogicalPlan, calls: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>)> {
        let mut inputs = Vec::new();
        for call in &calls {
            if let Expr::AggregateFunction(call) = call {
                inputs.extend(call.params.args.iter().cloned());
                inputs.extend(call.params.order_by.iter().map(|s| s.expr.clone()));
            }
        }
        let (plan, computed) = precompute(self, plan, inputs.into_iter())?;
        let mut over_columns = Vec::with_capacity(calls.len());
        for call in calls {
            let Expr::AggregateFunction(mut call) = call else {
                return Err(PlanError::internal("an aggregate expected"));
            };
            call.params.args = call.params.args.iter().map(|e| computed.whole(e)).collect();
            for key in &mut call.params.order_by {
                key.expr = computed.whole(&key.expr);
            }
            over_columns.push(Expr::AggregateFunction(call));
        }
        let columns = over_columns
            .iter()
            .map(|c| Expr::Column(Column::from_name(c.schema_name().to_string())))
            .collect();
        over_columns.dedup();
        let plan = LogicalPlanBuilder::from(plan)
            .aggregate(Vec::<Expr>::new(), over_columns)?
            .build()?;
        Ok((plan, columns))
    }

    fn count_rows(&self) -> Result<Expr> {
        self.count_of(lit(1_i64))
    }

    fn count_of(&self, value: Expr) -> Result<Expr> {
        self.aggregate_call("count", vec![value], vec![])
    }

    fn aggregate_call(&self, name: &str, args: Vec<Expr>, order_by: Vec<Sort>) -> Result<Expr> {
        let function = self.state.aggregate_functions().get(name).cloned();
        let function = function.ok_or_else(|| PlanError::internal(format!("the aggregate {name} is missing")))?;
        let call = AggregateFunction::new_udf(function, args, false, None, order_by, None);
        Ok(Expr::AggregateFunction(call))
    }
}

/// An expression over a projection's output, over its input.
fn through(projection: &datafusion::logical_expr::Projection, expr: Expr) -> Result<Expr> {
    let columns = projection.schema.columns();
    let replaced = expr.transform_down(|e| match &e {
        Expr::Column(column) => match columns.iter().position(|c| c == column) {
            Some(i) => {
                let inner = projection.expr[i].clone().unalias();
                Ok(Transformed::new(inner, true, TreeNodeRecursion::Jump))
            }
            None => Ok(Transformed::no(e)),
        },
        _ => Ok(Transformed::no(e)),
    })?;
    Ok(replaced.data)
}

/// A query's rows before its last projection and sort, its value over them, and their order.
fn ordered_input(plan: LogicalPlan, value: Expr) -> Result<(LogicalPlan, Expr, Vec<Sort>)> {
    let (node, over) = match &plan {
        LogicalPlan::Projection(projection) => (projection.input.as_ref(), through(projection, value.clone())?),
        other => (other, value.clone()),
    };
    match node {
        LogicalPlan::Sort(sort) => Ok((sort.input.as_ref().clone(), over, sort.expr.clone())),
        LogicalPlan::Limit(limit) => match limit.input.as_ref() {
            LogicalPlan::Sort(sort) => Ok((node.clone(), over, sort.expr.clone())),
            _ => Ok((plan, value, Vec::new())),
        },
        _ => Ok((plan, value, Vec::new())),
    }
}

/// Outer references to columns that are at hand become columns.
fn as_inner(expr: Expr, cx: &ExprCx<'_>) -> Result<Expr> {
    let replaced = expr.transform(|e| match e {
        Expr::OuterReferenceColumn(_, column) if cx.schema.has_column(&column) => {
            Ok(Transformed::yes(Expr::Column(column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}
