//! Plans of one row: a subquery whose rows are taken together by an aggregation without groups, so that each outer
//! row meets exactly one row of it.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ExprSchema, JoinType};
use datafusion::logical_expr::expr::{AggregateFunction, Sort};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};

use super::aggregate::{Rewrite, precompute};
use super::single_value::single_value;
use super::{Binder, ExprCx};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    /// Takes a query's rows to one row: the aggregation, and the values over its columns. A query that is not an
    /// aggregation without groups must have at most one row, which is checked when it runs.
    pub(super) fn as_one_row(&mut self, plan: LogicalPlan, values: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>)> {
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
    pub(super) fn push_one_row(
        &mut self,
        aggregate: LogicalPlan,
        values: Vec<Expr>,
        cx: &mut ExprCx<'_>,
    ) -> Result<Vec<Expr>> {
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
    pub(super) fn aggregate_whole(&mut self, plan: LogicalPlan, calls: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>)> {
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

    /// `count(*)`.
    pub(super) fn count_rows(&self) -> Result<Expr> {
        self.count_of(lit(1_i64))
    }

    /// `count(value)`.
    pub(super) fn count_of(&self, value: Expr) -> Result<Expr> {
        self.aggregate_call("count", vec![value], vec![])
    }

    /// A call of an aggregate that every server has.
    pub(super) fn aggregate_call(&self, name: &str, args: Vec<Expr>, order_by: Vec<Sort>) -> Result<Expr> {
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
pub(super) fn ordered_input(plan: LogicalPlan, value: Expr) -> Result<(LogicalPlan, Expr, Vec<Sort>)> {
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
