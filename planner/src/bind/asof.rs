//! ASOF joins: each left row with the row of the right side that is nearest to it by the one comparison of the two, of
//! those for which the rest of the condition holds. It is a join with the first row of a correlated subquery, and is maintained as one.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlanBuilder, Operator};
use sqlparser::ast::{self, Spanned};

use super::join::of_side;
use super::{Binder, ExprCx, Place, Source};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    pub(super) fn asof_join(
        &mut self,
        left: Source,
        right: Source,
        join: JoinType,
        condition: &ast::Expr,
    ) -> Result<Source> {
        left.scope.check_aliases(&right.scope)?;
        let scope = left.scope.clone().beside(right.scope.clone())?;
        let schema = left.plan.schema().join(right.plan.schema())?;
        let mut cx = ExprCx::new(&scope, &schema, Place::JoinOn);
        let bound = self.bind_condition(condition, "JOIN/ON", &mut cx)?;
        if !cx.subqueries.is_empty() {
            return Err(PlanError::unsupported("a subquery in the condition of an ASOF join", "").at(condition.span()));
        }
        let compared = split_conjunction(&bound).into_iter();
        let orders: Vec<Sort> = compared.filter_map(|part| nearest_first(part, &left, &right)).collect();
        let Ok([nearest]) = <[Sort; 1]>::try_from(orders) else {
            return Err(PlanError::InvalidReference {
                message: "an ASOF join needs one comparison of its sides, such as l.ts >= r.ts".to_string(),
            }
            .at(condition.span()));
        };
        let right = nearest_row(&left, right, bound, nearest)?;
        self.joined(left, right, join, None, None)
    }
}

/// For a left row, the first of the right side's rows in an order, of those for which a condition holds.
pub(super) fn nearest_row(left: &Source, right: Source, condition: Expr, order: Sort) -> Result<Source> {
    // Where several rows are as near, the columns decide, so that the answer is determined.
    let columns = right.plan.schema().columns().into_iter();
    let mut orders = vec![order];
    orders.extend(columns.map(|column| Sort::new(Expr::Column(column), true, true)));
    let plan = LogicalPlanBuilder::from(right.plan)
        .filter(as_seen_inside(condition, left)?)?
        .sort(orders)?
        .limit(0, Some(1))?
        .build()?;
    let scope = right.scope;
    Ok(Source { plan, scope })
}

/// The order of the right side's rows that has the nearest first; `None` when the condition compares no two sides.
pub(super) fn nearest_first(condition: &Expr, left: &Source, right: &Source) -> Option<Sort> {
    let Expr::BinaryExpr(BinaryExpr { left: l, op, right: r }) = condition else {
        return None;
    };
    let (op, of_right) = if of_side(l, left.plan.schema()) && of_side(r, right.plan.schema()) {
        (*op, r)
    } else if of_side(l, right.plan.schema()) && of_side(r, left.plan.schema()) {
        (op.swap()?, l)
    } else {
        return None;
    };
    let ascending = match op {
        Operator::Gt | Operator::GtEq => false,
        Operator::Lt | Operator::LtEq => true,
        _ => return None,
    };
    Some(Sort::new(of_right.as_ref().clone(), ascending, false))
}

/// The condition with the left side's columns as a subquery sees them.
fn as_seen_inside(condition: Expr, left: &Source) -> Result<Expr> {
    let schema = left.plan.schema();
    let seen = condition.transform(|expr| match expr {
        Expr::Column(column) if schema.has_column(&column) => {
            let (_, field) = schema.qualified_field_from_column(&column)?;
            Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(seen.data)
}
