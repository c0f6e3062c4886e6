//! `x NOT IN (SELECT y ...)`, which DataFusion plans as one null-aware anti join, becomes up to three plain ones: against
//! equal `y`; against any NULL among the `y`, which makes the answer unknown for every row; and, for rows whose `x` is
//! NULL, against any `y` at all. So it is maintained by ordinary joins, and a NULL `x` is not in an empty set, as
//! PostgreSQL has it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, NullEquality, Result as DfResult};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, JoinType, LogicalPlan, LogicalPlanBuilder, lit};

/// Rewrites the NOT INs of an optimised plan that compare one column and nothing else.
pub(in crate::stream) fn rewrite(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    let mut count = 0;
    let rewritten = plan.transform_up(|node| match node {
        LogicalPlan::Join(join) if join.null_aware => match plain_joins(&join, &mut count)? {
            Some(plan) => Ok(Transformed::yes(plan)),
            None => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

fn plain_joins(join: &Join, count: &mut usize) -> DfResult<Option<LogicalPlan>> {
    let (JoinType::LeftAnti, [(x, y)], None) = (join.join_type, join.on.as_slice(), &join.filter) else {
        return Ok(None);
    };
    let mut plain = join.clone();
    plain.null_aware = false;
    let mut plan = LogicalPlan::Join(plain);
    let right = join.right.as_ref();
    if y.nullable(right.schema())? {
        let (nulls, any) = whether_any(right, Some(y.clone().is_null()), count)?;
        plan = anti(plan, nulls, any)?;
    }
    if x.nullable(join.left.schema())? {
        let (rows, any) = whether_any(right, None, count)?;
        plan = anti(plan, rows, any.and(x.clone().is_null()))?;
    }
    Ok(Some(plan))
}

/// One row with TRUE when the plan has a row under the condition, no row otherwise; and its column.
fn whether_any(plan: &LogicalPlan, condition: Option<Expr>, count: &mut usize) -> DfResult<(LogicalPlan, Expr)> {
    *count += 1;
    let alias = format!("not_in_{count}");
    let mut rows = LogicalPlanBuilder::from(plan.clone());
    if let Some(condition) = condition {
        rows = rows.filter(condition)?;
    }
    let rows = rows
        .project([lit(true).alias("found")])?
        .aggregate([Expr::Column(Column::new_unqualified("found"))], Vec::<Expr>::new())?
        .alias(alias.clone())?
        .build()?;
    Ok((rows, Expr::Column(Column::new(Some(alias), "found"))))
}

fn anti(left: LogicalPlan, right: LogicalPlan, filter: Expr) -> DfResult<LogicalPlan> {
    let join = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        Vec::new(),
        Some(filter),
        JoinType::LeftAnti,
        datafusion::logical_expr::JoinConstraint::On,
        NullEquality::NullEqualsNothing,
        false,
    )?;
    Ok(LogicalPlan::Join(join))
}
