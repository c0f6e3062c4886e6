//! Dependent joins made independent: a relation that looks at columns of the relation it is joined to is rewritten
//! to carry those columns itself, and then joined on them (Neumann and Kemper, Unnesting Arbitrary Queries, 2015).
//!
//! Where a filter says `outer.c = inner.x`, the column `x` already carries the values of `c` that matter, and the rewrite
//! costs nothing. Elsewhere the inner relation is joined to the distinct values of `c` in the outer one (its domain).
//! What cannot be rewritten is refused by name.

mod flatten;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, EmptyRelation, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit,
};

use super::Binder;
use super::join::join_plans;
use super::subquery::Pending;
use crate::error::Result;

/// The outer relation of a dependent join, and the columns of it that are looked at.
struct Domain {
    outer: LogicalPlan,
    columns: Vec<Column>,
}

/// A column that carries the values of an outer column.
#[derive(Debug, Clone)]
struct Key {
    column: Column,
    /// Whether NULL in it stands for NULL in the outer column; otherwise a NULL meets nothing.
    null_safe: bool,
}

/// A relation that carries its domain: one key for each column of the domain.
struct Flat {
    plan: LogicalPlan,
    keys: Vec<Key>,
}

impl Domain {
    fn occurs_in(&self, plan: &LogicalPlan) -> Result<bool> {
        Ok(!outer_columns(plan, |c| self.columns.contains(c))?.is_empty())
    }

    fn occurs_in_expr(&self, expr: &Expr) -> bool {
        let mut found = false;
        let _ = expr.apply(|e| {
            if let Expr::OuterReferenceColumn(_, column) = e
                && self.columns.contains(column)
            {
                found = true;
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }

    /// An expression with keys instead of outer columns.
    fn replace(&self, expr: Expr, keys: &[Key]) -> Result<Expr> {
        let replaced = expr.transform(|e| match &e {
            Expr::OuterReferenceColumn(_, column) => match self.columns.iter().position(|c| c == column) {
                Some(i) => Ok(Transformed::yes(Expr::Column(keys[i].column.clone()))),
                None => Ok(Transformed::no(e)),
            },
            _ => Ok(Transformed::no(e)),
        })?;
        Ok(replaced.data)
    }
}

/// The outer references in a plan to columns that `wanted` tells, once each.
pub(crate) fn outer_columns(plan: &LogicalPlan, wanted: impl Fn(&Column) -> bool) -> Result<Vec<Column>> {
    let mut found: Vec<Column> = Vec::new();
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Expr::OuterReferenceColumn(_, column) = e
                    && wanted(column)
                    && !found.contains(column)
                {
                    found.push(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

impl Binder<'_> {
    /// Joins what subqueries left to be joined.
    pub(crate) fn attach(&mut self, mut plan: LogicalPlan, pending: Vec<Pending>) -> Result<LogicalPlan> {
        for subquery in pending {
            let one_row = subquery.join == JoinType::Left;
            plan = self.dependent_join(plan, subquery.plan, subquery.join, subquery.on, one_row)?;
        }
        Ok(plan)
    }

    /// Joins `inner`, which may look at columns of `outer`. Inner, left, semi and anti joins. With `defaulted`, whoever
    /// reads the result knows what a missing row of an aggregation stands for.
    pub(crate) fn dependent_join(
        &mut self,
        outer: LogicalPlan,
        inner: LogicalPlan,
        join: JoinType,
        on: Option<Expr>,
        defaulted: bool,
    ) -> Result<LogicalPlan> {
        let schema = Arc::clone(outer.schema());
        if outer_columns(&inner, |c| schema.has_column(c))?.is_empty() {
            return join_plans(outer, inner, join, on);
        }
        if join == JoinType::Inner
            && let Some(plan) = inline(&outer, &inner)?
        {
            return filtered(plan, on);
        }
        let (outer, inner) = self.hoist(outer, inner)?;
        let schema = Arc::clone(outer.schema());
        let columns = outer_columns(&inner, |c| schema.has_column(c))?;
        let inner_columns = inner.schema().columns();
        let domain = Domain {
            outer: outer.clone(),
            columns,
        };
        let flat = self.flatten(inner, &domain, defaulted)?;
        let (inner, keys) = self.rename_keys(flat, &inner_columns)?;
        let mut conditions: Vec<Expr> = domain
            .columns
            .iter()
            .zip(&keys)
            .map(|(column, key)| meets(Expr::Column(column.clone()), key))
            .collect();
        conditions.extend(on);
        join_plans(outer, inner, join, conjunction(conditions))
    }

    /// Just the relation's own columns, and its keys under names used nowhere else.
    fn rename_keys(&mut self, flat: Flat, columns: &[Column]) -> Result<(LogicalPlan, Vec<Key>)> {
        let qualifier = self.names.fresh("corr");
        let mut exprs: Vec<Expr> = columns.iter().cloned().map(Expr::Column).collect();
        let mut keys = Vec::with_capacity(flat.keys.len());
        for (i, key) in flat.keys.into_iter().enumerate() {
            let name = format!("key{}", i + 1);
            exprs.push(Expr::Column(key.column).alias_qualified(Some(qualifier.clone()), &name));
            keys.push(Key {
                column: Column::new(Some(qualifier.clone()), name),
                null_safe: key.null_safe,
            });
        }
        Ok((LogicalPlanBuilder::from(flat.plan).project(exprs)?.build()?, keys))
    }

    /// In `f(outer columns) = inner`, computes `f` in the outer relation, so that it can be a key.
    fn hoist(&mut self, outer: LogicalPlan, inner: LogicalPlan) -> Result<(LogicalPlan, LogicalPlan)> {
        let schema = Arc::clone(outer.schema());
        let mut hoisted: Vec<(Expr, Expr)> = Vec::new();
        let mut added = Vec::new();
        let names = &mut self.names;
        let inner = inner.transform(|node| {
            let LogicalPlan::Filter(filter) = node else {
                return Ok(Transformed::no(node));
            };
            let mut changed = false;
            let mut conditions = Vec::new();
            for condition in split_conjunction_owned(filter.predicate.clone()) {
                let Expr::BinaryExpr(BinaryExpr {
                    left,
                    op: Operator::Eq,
                    right,
                }) = condition
                else {
                    conditions.push(condition);
                    continue;
                };
                let mut hoist = |side: Box<Expr>| -> datafusion::common::Result<Expr> {
                    if !only_outer(&side, &schema) {
                        return Ok(*side);
                    }
                    changed = true;
                    if let Some((_, to)) = hoisted.iter().find(|(from, _)| *from == *side) {
                        return Ok(to.clone());
                    }
                    let qualifier = names.fresh("corr");
                    let local = outer_as_columns((*side).clone())?;
                    let (_, field) = local.to_field(&schema)?;
                    let column = Column::new(Some(qualifier.clone()), "value");
                    added.push(local.alias_qualified(Some(qualifier), "value"));
                    let field = Arc::new(field.as_ref().clone().with_name("value"));
                    let to = Expr::OuterReferenceColumn(field, column);
                    hoisted.push((*side, to.clone()));
                    Ok(to)
                };
                let (left, right) = (hoist(left)?, hoist(right)?);
                conditions.push(binary_expr(left, Operator::Eq, right));
            }
            match (changed, conjunction(conditions)) {
                (true, Some(predicate)) => {
                    let filter = Filter::try_new(predicate, filter.input)?;
                    Ok(Transformed::yes(LogicalPlan::Filter(filter)))
                }
                _ => Ok(Transformed::no(LogicalPlan::Filter(filter))),
            }
        })?;
        if added.is_empty() {
            return Ok((outer, inner.data));
        }
        let kept = schema.columns().into_iter().map(Expr::Column);
        let exprs: Vec<Expr> = kept.chain(added).collect();
        let outer = LogicalPlanBuilder::from(outer).project(exprs)?.build()?;
        Ok((outer, inner.data))
    }

    /// The distinct values of the domain's columns at `which` positions.
    fn domain_plan(&mut self, domain: &Domain, which: &[usize]) -> Result<(LogicalPlan, Vec<Key>)> {
        let qualifier = self.names.fresh("domain");
        let mut exprs = Vec::with_capacity(which.len());
        let mut keys = Vec::with_capacity(which.len());
        for i in which {
            let name = format!("key{}", i + 1);
            let value = Expr::Column(domain.columns[*i].clone());
            exprs.push(value.alias_qualified(Some(qualifier.clone()), &name));
            keys.push(Key {
                column: Column::new(Some(qualifier.clone()), name),
                null_safe: true,
            });
        }
        let plan = LogicalPlanBuilder::from(domain.outer.clone())
            .project(exprs)?
            .distinct()?
            .build()?;
        Ok((plan, keys))
    }
}

/// `left` equals a key, as far as the key's NULLs count.
fn meets(left: Expr, key: &Key) -> Expr {
    let op = if key.null_safe {
        Operator::IsNotDistinctFrom
    } else {
        Operator::Eq
    };
    binary_expr(left, op, Expr::Column(key.column.clone()))
}

pub(crate) fn has_outer(expr: &Expr) -> bool {
    let mut found = false;
    let _ = expr.apply(|e| {
        if matches!(e, Expr::OuterReferenceColumn(..)) {
            found = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// Whether an expression, more than a column, looks at nothing but columns of the outer relation.
fn only_outer(expr: &Expr, schema: &datafusion::common::DFSchema) -> bool {
    if matches!(expr, Expr::OuterReferenceColumn(..)) || !has_outer(expr) {
        return false;
    }
    let mut only = true;
    let _ = expr.apply(|e| {
        only &= match e {
            Expr::Column(_) => false,
            Expr::OuterReferenceColumn(_, column) => schema.has_column(column),
            _ => true,
        };
        Ok(TreeNodeRecursion::Continue)
    });
    only
}

fn outer_as_columns(expr: Expr) -> datafusion::common::Result<Expr> {
    let replaced = expr.transform(|e| match e {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

/// A relation computed from one outer row at a time is computed beside that row: no join is needed.
fn inline(outer: &LogicalPlan, inner: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let kept = outer.schema().columns();
    Ok(match inner {
        plan if is_one_row(plan) => Some(outer.clone()),
        LogicalPlan::Projection(projection) => {
            let Some(input) = inline(outer, &projection.input)? else {
                return Ok(None);
            };
            let mut exprs: Vec<Expr> = kept.into_iter().map(Expr::Column).collect();
            for (expr, name) in projection.expr.iter().zip(projection.schema.columns()) {
                let expr = at_hand(expr.clone().unalias(), outer)?;
                exprs.push(expr.alias_qualified(name.relation, name.name));
            }
            Some(LogicalPlanBuilder::from(input).project(exprs)?.build()?)
        }
        LogicalPlan::Filter(filter) => match inline(outer, &filter.input)? {
            Some(input) => Some(filtered(input, Some(at_hand(filter.predicate.clone(), outer)?))?),
            None => None,
        },
        LogicalPlan::Unnest(unnest) => match inline(outer, &unnest.input)? {
            Some(input) => Some(
                LogicalPlanBuilder::from(input)
                    .unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?
                    .build()?,
            ),
            None => None,
        },
        _ => None,
    })
}

fn at_hand(expr: Expr, outer: &LogicalPlan) -> Result<Expr> {
    let schema = outer.schema();
    let replaced = expr.transform(|e| match e {
        Expr::OuterReferenceColumn(_, column) if schema.has_column(&column) => {
            Ok(Transformed::yes(Expr::Column(column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

fn is_one_row(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: true,
            ..
        })
    )
}

/// A filter above a plan, when there is a condition.
pub(crate) fn filtered(plan: LogicalPlan, condition: Option<Expr>) -> Result<LogicalPlan> {
    match condition {
        Some(condition) if condition != lit(true) => Ok(LogicalPlanBuilder::from(plan).filter(condition)?.build()?),
        _ => Ok(plan),
    }
}
