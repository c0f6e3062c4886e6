//! UNION, INTERSECT and EXCEPT, with ALL as PostgreSQL counts it.

use std::sync::Arc;

use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::logical_plan::Union;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr};
use highwater_types::{QUOTIENT, SqlType, UNCONSTRAINED_NUMERIC};
use sqlparser::ast::{SetExpr, SetOperator, SetQuantifier, Spanned};
use sqlparser::tokenizer::Span;

use super::coerce::{common_type, with_fraction};
use super::join::join_plans;
use super::{Binder, BoundColumn, Casting, Rows, Typed};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    pub(crate) fn bind_set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
        expected: &[SqlType],
    ) -> Result<Rows> {
        let (name, all) = match (op, quantifier) {
            (SetOperator::Union, q) => ("UNION", is_all(q)?),
            (SetOperator::Intersect, q) => ("INTERSECT", is_all(q)?),
            (SetOperator::Except | SetOperator::Minus, q) => ("EXCEPT", is_all(q)?),
        };
        let other = right;
        let (left, right) = self.bind_sides(left, right, expected)?;
        if left.columns.len() != right.columns.len() {
            let message = format!("each {name} query must have the same number of columns");
            return Err(PlanError::syntax(message).at(item_span(other, 0)));
        }
        let qualifier = self.names.fresh(&name.to_lowercase());
        let names = super::scope::unique_names(left.columns.iter().map(|c| c.name.as_str()));
        let mut types = Vec::with_capacity(names.len());
        for (l, r) in left.columns.iter().zip(&right.columns) {
            let common = common_type([&l.sql_type, &r.sql_type], name);
            types.push(common.map_err(|error| error.at(item_span(other, types.len())))?);
        }
        let columns: Vec<BoundColumn> = left
            .columns
            .iter()
            .zip(names)
            .zip(types)
            .map(|((c, unique), sql_type)| BoundColumn {
                open: false,
                name: c.name.clone(),
                column: Column::new(Some(qualifier.clone()), unique),
                sql_type,
                origin: None,
            })
            .collect();
        let left = self.in_types(left, &columns)?;
        let right = self.in_types(right, &columns)?;
        let left = with_fractions_of(&right, left)?;
        let right = with_fractions_of(&left, right)?;
        let plan = match op {
            SetOperator::Union => union_of(left, right, &columns, all)?,
            SetOperator::Intersect => self.matched(left, right, &columns, JoinType::LeftSemi, all)?,
            SetOperator::Except | SetOperator::Minus => self.matched(left, right, &columns, JoinType::LeftAnti, all)?,
        };
        Ok(Rows { plan, columns })
    }

    /// Binds both sides. A column that has no type on one side takes the other's: the sides are bound again with it.
    fn bind_sides(&mut self, left: &SetExpr, right: &SetExpr, expected: &[SqlType]) -> Result<(Rows, Rows)> {
        let params = self.params.clone();
        let l = self.bind_set_expr(left, expected)?;
        let r = self.bind_set_expr(right, expected)?;
        let mut missing = false;
        let mut types = Vec::with_capacity(l.columns.len());
        for (i, (l, r)) in l.columns.iter().zip(&r.columns).enumerate() {
            types.push(match (l.open, r.open) {
                (true, false) => r.sql_type.clone(),
                (false, true) => l.sql_type.clone(),
                _ => expected.get(i).cloned().unwrap_or(SqlType::Unknown),
            });
            missing |= l.open != r.open;
        }
        if !missing || l.columns.len() != r.columns.len() {
            return Ok((l, r));
        }
        self.params = params;
        let l = self.bind_set_expr(left, &types)?;
        let r = self.bind_set_expr(right, &types)?;
        Ok((l, r))
    }

    /// A side's rows in the common types, under the common names.
    fn in_types(&mut self, rows: Rows, columns: &[BoundColumn]) -> Result<LogicalPlan> {
        let mut exprs = Vec::with_capacity(columns.len());
        for (from, to) in rows.columns.into_iter().zip(columns) {
            let value = Typed::new(Expr::Column(from.column), from.sql_type);
            let value = self.coerce(value, &to.sql_type, Casting::Implicit)?;
            exprs.push(value.expr.alias_qualified(to.column.relation.clone(), &to.column.name));
        }
        Ok(LogicalPlanBuilder::from(rows.plan).project(exprs)?.build()?)
    }

    /// The left rows that meet, or do not meet, an equal right row; with `all`, one for one.
    fn matched(
        &mut self,
        left: LogicalPlan,
        right: LogicalPlan,
        columns: &[BoundColumn],
        join: JoinType,
        all: bool,
    ) -> Result<LogicalPlan> {
        let values: Vec<Expr> = columns.iter().map(|c| Expr::Column(c.column.clone())).collect();
        let qualifier = self.names.fresh("other");
        let mut condition = None;
        let mut exprs = Vec::with_capacity(columns.len() + 1);
        for column in columns {
            let other = Expr::Column(Column::new(Some(qualifier.clone()), &column.column.name));
            let value = Expr::Column(column.column.clone());
            exprs.push(
                value
                    .clone()
                    .alias_qualified(Some(qualifier.clone()), &column.column.name),
            );
            let same = binary_expr(value, Operator::IsNotDistinctFrom, other);
            condition = Some(match condition {
                None => same,
                Some(so_far) => Expr::and(so_far, same),
            });
        }
        if !all {
            let left = LogicalPlanBuilder::from(left).distinct()?.build()?;
            let right = LogicalPlanBuilder::from(right).project(exprs)?.build()?;
            return join_plans(left, right, join, condition);
        }
        // The n-th copy of a row meets the n-th copy on the other side.
        let copies = self.names.fresh("copy");
        let copy = Column::new(Some(copies.clone()), "number");
        let other_copy = Column::new(Some(qualifier.clone()), "copy number");
        let (left, number) = self.numbered(left, values.clone(), vec![])?;
        let kept = values.iter().cloned();
        let left = LogicalPlanBuilder::from(left)
            .project(
                kept.chain([number.alias_qualified(Some(copies), "number")])
                    .collect::<Vec<_>>(),
            )?
            .build()?;
        let (right, number) = self.numbered(right, values.clone(), vec![])?;
        exprs.push(number.alias_qualified(Some(qualifier), "copy number"));
        let right = LogicalPlanBuilder::from(right).project(exprs)?.build()?;
        let same = binary_expr(
            Expr::Column(copy),
            Operator::IsNotDistinctFrom,
            Expr::Column(other_copy),
        );
        let condition = condition.map_or(same.clone(), |c| c.and(same));
        let plan = join_plans(left, right, join, Some(condition))?;
        Ok(LogicalPlanBuilder::from(plan).project(values)?.build()?)
    }
}

/// Quotients have more digits behind the point than other numerics have without a declared scale: where the other side
/// of a set operation has a quotient, this side's numeric gets as many.
fn with_fractions_of(other: &LogicalPlan, plan: LogicalPlan) -> Result<LogicalPlan> {
    let pairs = plan.schema().iter().zip(other.schema().fields());
    let mut is_shorter = false;
    let exprs = pairs.map(|((qualifier, field), other)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        if *field.data_type() != UNCONSTRAINED_NUMERIC || *other.data_type() != QUOTIENT {
            return Ok(column);
        }
        is_shorter = true;
        Ok(with_fraction(column)?.alias_qualified(qualifier.cloned(), field.name()))
    });
    let exprs: Vec<Expr> = exprs.collect::<Result<_>>()?;
    if !is_shorter {
        return Ok(plan);
    }
    Ok(LogicalPlanBuilder::from(plan).project(exprs)?.build()?)
}

/// All rows of both sides, or the distinct ones.
fn union_of(left: LogicalPlan, right: LogicalPlan, columns: &[BoundColumn], all: bool) -> Result<LogicalPlan> {
    let union = LogicalPlan::Union(Union::try_new_with_loose_types(vec![Arc::new(left), Arc::new(right)])?);
    let named = union.schema().columns().into_iter().zip(columns);
    let exprs: Vec<Expr> = named
        .map(|(c, out)| Expr::Column(c).alias_qualified(out.column.relation.clone(), &out.column.name))
        .collect();
    let plan = LogicalPlanBuilder::from(union).project(exprs)?;
    Ok(if all { plan.build()? } else { plan.distinct()?.build()? })
}

/// Where an entry of a side's SELECT list stands.
fn item_span(side: &SetExpr, at: usize) -> Span {
    match side {
        SetExpr::Select(select) => select.projection.get(at).map_or_else(Span::empty, Spanned::span),
        SetExpr::Query(query) => item_span(&query.body, at),
        SetExpr::SetOperation { left, .. } => item_span(left, at),
        _ => Span::empty(),
    }
}

fn is_all(quantifier: SetQuantifier) -> Result<bool> {
    match quantifier {
        SetQuantifier::All => Ok(true),
        SetQuantifier::None | SetQuantifier::Distinct => Ok(false),
        SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => Err(
            PlanError::unsupported("UNION BY NAME", "List the columns in one order."),
        ),
    }
}
