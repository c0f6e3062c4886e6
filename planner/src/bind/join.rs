//! Joins: ON, USING, NATURAL, and the columns that they merge.

use std::sync::Arc;

use datafusion::common::{DFSchema, JoinType, NullEquality};
use datafusion::logical_expr::logical_plan::Join;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, JoinConstraint, LogicalPlan, Operator, binary_expr, lit};
use highwater_parser::asof_condition;
use sqlparser::ast::{self, JoinOperator, Spanned};

use super::scope::{Scope, ScopeColumn, fold_name};
use super::{Binder, ExprCx, Place, Source, Typed};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    pub(crate) fn bind_join(&mut self, left: Source, right: Source, operator: &JoinOperator) -> Result<Source> {
        let (join, constraint) = kind_of(operator)?;
        if let Some(condition) = asof_condition(constraint) {
            return self.asof_join(left, right, join, condition);
        }
        match constraint {
            ast::JoinConstraint::On(condition) => self.join_on(left, right, join, condition),
            ast::JoinConstraint::Using(names) => self.join_using(left, right, join, &written_names(names)),
            ast::JoinConstraint::Natural => {
                let common = natural_columns(&left.scope, &right.scope);
                self.join_using(left, right, join, &common)
            }
            ast::JoinConstraint::None => self.joined(left, right, join, None, None),
        }
    }

    fn join_on(&mut self, left: Source, right: Source, join: JoinType, condition: &ast::Expr) -> Result<Source> {
        left.scope.check_aliases(&right.scope)?;
        let scope = left.scope.clone().beside(right.scope.clone())?;
        let schema = left.plan.schema().join(right.plan.schema())?;
        let mut cx = ExprCx::new(&scope, &schema, Place::JoinOn);
        let bound = self.bind_condition(condition, "JOIN/ON", &mut cx)?;
        let pending = std::mem::take(&mut cx.subqueries);
        if pending.is_empty() {
            return self.joined(left, right, join, Some(bound), None);
        }
        if join != JoinType::Inner {
            return Err(PlanError::unsupported(
                "a subquery in the condition of an outer join",
                "Join the subquery first.",
            )
            .at(condition.span()));
        }
        let mut source = self.joined(left, right, join, None, None)?;
        source.plan = self.attach(source.plan, pending)?;
        source.plan = super::decorrelate::filtered(source.plan, Some(bound))?;
        Ok(source)
    }

    fn join_using(&mut self, left: Source, right: Source, join: JoinType, names: &[String]) -> Result<Source> {
        let (condition, merged) = self.using(&left.scope, &right.scope, join, names)?;
        self.joined(left, right, join, condition, Some(merged))
    }

    /// The condition of USING, and the columns that it merges.
    pub(super) fn using(
        &mut self,
        left: &Scope,
        right: &Scope,
        join: JoinType,
        names: &[String],
    ) -> Result<(Option<Expr>, Vec<ScopeColumn>)> {
        let mut conditions = Vec::with_capacity(names.len());
        let mut merged = Vec::with_capacity(names.len());
        for name in names {
            let l = using_column(left, name, "left")?;
            let r = using_column(right, name, "right")?;
            let text = format!("{} = {}", l.sql_type, r.sql_type);
            let (lv, rv) = self
                .comparable(typed(&l), typed(&r))
                .map_err(|_| PlanError::UndefinedOperator { text })?;
            conditions.push(binary_expr(lv.expr.clone(), Operator::Eq, rv.expr.clone()));
            merged.push(match join {
                JoinType::Right => ScopeColumn {
                    name: name.clone(),
                    ..r
                },
                JoinType::Full => ScopeColumn {
                    name: name.clone(),
                    sql_type: lv.sql_type,
                    value: self.scalar_function("coalesce")?.call(vec![lv.expr, rv.expr]),
                    origin: None,
                },
                _ => ScopeColumn {
                    name: name.clone(),
                    ..l
                },
            });
        }
        Ok((conjunction(conditions), merged))
    }

    /// Joins two sources. Merged columns come first, in place of both sides' own.
    pub(super) fn joined(
        &mut self,
        left: Source,
        right: Source,
        join: JoinType,
        condition: Option<Expr>,
        merged: Option<Vec<ScopeColumn>>,
    ) -> Result<Source> {
        left.scope.check_aliases(&right.scope)?;
        let mut columns = merged.unwrap_or_default();
        let is_merged = |c: &ScopeColumn, merged: &[ScopeColumn]| merged.iter().any(|m| m.name == c.name);
        let rest: Vec<ScopeColumn> = left
            .scope
            .columns
            .into_iter()
            .chain(right.scope.columns)
            .filter(|c| !is_merged(c, &columns))
            .collect();
        columns.extend(rest);
        let mut tables = left.scope.tables;
        tables.extend(right.scope.tables);
        let schema = Arc::clone(left.plan.schema());
        let looks_left = !super::decorrelate::outer_columns(&right.plan, |c| schema.has_column(c))?.is_empty();
        let plan = match join {
            JoinType::Inner | JoinType::Left => self.dependent_join(left.plan, right.plan, join, condition, false)?,
            _ if looks_left => {
                return Err(PlanError::syntax(
                    "invalid reference to a FROM-clause entry: the combining JOIN type must be INNER or LEFT for a LATERAL reference",
                ));
            }
            _ => join_plans(left.plan, right.plan, join, condition)?,
        };
        Ok(Source {
            plan,
            scope: Scope { tables, columns },
        })
    }
}

/// The kind of a join, and what its sides are joined on.
pub(super) fn kind_of(operator: &JoinOperator) -> Result<(JoinType, &ast::JoinConstraint)> {
    match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) | JoinOperator::CrossJoin(constraint) => {
            Ok((JoinType::Inner, constraint))
        }
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => Ok((JoinType::Left, constraint)),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => Ok((JoinType::Right, constraint)),
        JoinOperator::FullOuter(constraint) => Ok((JoinType::Full, constraint)),
        other => Err(PlanError::unsupported(
            format!("{other:?}").to_uppercase(),
            "Use EXISTS or a join.",
        )),
    }
}

/// The columns that USING names.
pub(super) fn written_names(names: &[ast::ObjectName]) -> Vec<String> {
    let last = |name: &ast::ObjectName| fold_name(name).pop().unwrap_or_default();
    names.iter().map(last).collect()
}

fn typed(column: &ScopeColumn) -> Typed {
    Typed::new(column.value.clone(), column.sql_type.clone())
}

fn using_column(scope: &Scope, name: &str, side: &str) -> Result<ScopeColumn> {
    let mut matches = scope.columns.iter().filter(|c| c.name == name);
    match (matches.next(), matches.next()) {
        (Some(column), None) => Ok(column.clone()),
        (Some(_), Some(_)) => Err(PlanError::AmbiguousColumn { name: name.to_string() }),
        (None, _) => Err(PlanError::from(highwater_types::SqlError::new(
            highwater_types::SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" specified in USING clause does not exist in {side} table"),
        ))),
    }
}

fn natural_columns(left: &Scope, right: &Scope) -> Vec<String> {
    let in_right = |c: &&ScopeColumn| right.columns.iter().any(|r| r.name == c.name);
    left.columns.iter().filter(in_right).map(|c| c.name.clone()).collect()
}

/// Joins two plans. Equalities between the sides become keys, the rest of the condition a filter of the join.
pub(crate) fn join_plans(
    left: LogicalPlan,
    right: LogicalPlan,
    join: JoinType,
    condition: Option<Expr>,
) -> Result<LogicalPlan> {
    let mut keys = Vec::new();
    let mut null_safe_keys = Vec::new();
    let mut rest = Vec::new();
    for part in condition.into_iter().flat_map(split_conjunction_owned) {
        match key_pair(&part, left.schema(), right.schema()) {
            Some((pair, true)) => null_safe_keys.push((pair, part)),
            Some((pair, false)) => keys.push(pair),
            None if part == lit(true) => {}
            None => rest.push(part),
        }
    }
    // One join compares all of its keys in one way.
    let null_equality = match keys.is_empty() && !null_safe_keys.is_empty() {
        true => {
            keys.extend(null_safe_keys.into_iter().map(|(pair, _)| pair));
            NullEquality::NullEqualsNull
        }
        false => {
            rest.extend(null_safe_keys.into_iter().map(|(_, part)| part));
            NullEquality::NullEqualsNothing
        }
    };
    let join = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        keys,
        conjunction(rest),
        join,
        JoinConstraint::On,
        null_equality,
        false,
    )?;
    Ok(LogicalPlan::Join(join))
}

/// The two sides of an equality, left side's expression first, and whether NULL equals NULL in it.
pub(super) fn key_pair(condition: &Expr, left: &DFSchema, right: &DFSchema) -> Option<((Expr, Expr), bool)> {
    let Expr::BinaryExpr(BinaryExpr { left: l, op, right: r }) = condition else {
        return None;
    };
    let null_safe = match op {
        Operator::Eq => false,
        Operator::IsNotDistinctFrom => true,
        _ => return None,
    };
    if of_side(l, left) && of_side(r, right) {
        return Some(((l.as_ref().clone(), r.as_ref().clone()), null_safe));
    }
    if of_side(l, right) && of_side(r, left) {
        return Some(((r.as_ref().clone(), l.as_ref().clone()), null_safe));
    }
    None
}

/// Whether an expression looks at columns of one side, at least one, and at nothing else.
pub(super) fn of_side(expr: &Expr, schema: &DFSchema) -> bool {
    let columns = expr.column_refs();
    !columns.is_empty()
        && columns.iter().all(|c| schema.has_column(c))
        && !expr.is_volatile()
        && !super::decorrelate::has_outer(expr)
}
