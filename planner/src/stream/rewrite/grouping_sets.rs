//! GROUP BY with several sets, as the union of one GROUP BY a set: each has an operator of its own, with the state that
//! it needs, and a set without columns has its row over no input too.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DataFusionError, Result as DfResult, ScalarValue};
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Union};

use crate::error::PlanError;

/// Each set has state of its own.
const SETS_MAX: usize = 128;

/// Takes the aggregates with several sets apart.
pub(in crate::stream) fn rewrite(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    let rewritten = plan.transform_up(|node| match node {
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.as_slice() {
            [Expr::GroupingSet(grouping)] => Ok(Transformed::yes(union(&aggregate, grouping)?)),
            _ => Ok(Transformed::no(LogicalPlan::Aggregate(aggregate))),
        },
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

fn union(aggregate: &Aggregate, grouping: &GroupingSet) -> DfResult<LogicalPlan> {
    let GroupingSet::GroupingSets(sets) = grouping else {
        return datafusion::common::internal_err!("the binder lists the sets of ROLLUP and CUBE");
    };
    if sets.len() > SETS_MAX {
        return Err(DataFusionError::from(PlanError::unsupported(
            format!("GROUP BY of more than {SETS_MAX} sets in a materialized view"),
            "Each set has its own groups: list those that are needed with GROUPING SETS.",
        )));
    }
    let keys = grouping.distinct_expr();
    let mut masks = Vec::with_capacity(sets.len());
    let mut parts = Vec::with_capacity(sets.len());
    for set in sets {
        let mask = mask_of(&keys, set);
        let earlier = masks.iter().filter(|other| **other == mask).count() as u64;
        masks.push(mask);
        parts.push(Arc::new(of_set(aggregate, &keys, set, mask | earlier << keys.len())?));
    }
    let union = match parts.len() {
        1 => parts.remove(0).as_ref().clone(),
        _ => LogicalPlan::Union(Union::try_new_with_loose_types(parts)?),
    };
    let named = aggregate.schema.iter().enumerate().map(|(at, (qualifier, field))| {
        Expr::Column(Column::from_name(place(at))).alias_qualified(qualifier.cloned(), field.name())
    });
    LogicalPlanBuilder::from(union)
        .project(named.collect::<Vec<_>>())?
        .build()
}

/// A bit for each key that the set lacks, the last key's the lowest: what GROUPING() is read from.
fn mask_of(keys: &[&Expr], set: &[Expr]) -> u64 {
    let lacking = keys.iter().rev().enumerate().filter(|(_, key)| !set.contains(key));
    lacking.fold(0, |mask, (bit, _)| mask | 1 << bit)
}

/// The groups of one set, with the columns of the whole aggregate under the names of their places: NULL for the keys
/// that the set lacks, and `id` between keys and aggregates (see `Aggregate::INTERNAL_GROUPING_ID`).
fn of_set(aggregate: &Aggregate, keys: &[&Expr], set: &[Expr], id: u64) -> DfResult<LogicalPlan> {
    let group: Vec<Expr> = keys
        .iter()
        .filter(|key| set.contains(key))
        .map(|key| (*key).clone())
        .collect();
    let group_count = group.len();
    // Without columns there is one group, whatever the input.
    let one = match group.is_empty() && aggregate.aggr_expr.is_empty() {
        true => LogicalPlanBuilder::empty(true).build()?,
        false => {
            let input = Arc::clone(&aggregate.input);
            LogicalPlan::Aggregate(Aggregate::try_new(input, group, aggregate.aggr_expr.clone())?)
        }
    };
    let columns: Vec<Expr> = one.schema().columns().into_iter().map(Expr::Column).collect();
    let mut of_group = columns.iter().take(group_count).cloned().peekable();
    let mut exprs = Vec::with_capacity(aggregate.schema.fields().len());
    for (key, field) in keys.iter().zip(aggregate.schema.fields()) {
        exprs.push(match of_group.next_if(|_| set.contains(key)) {
            Some(column) => column,
            None => Expr::Literal(ScalarValue::try_from(field.data_type())?, Some(field.as_ref().into())),
        });
    }
    let id_type = aggregate.schema.field(keys.len()).data_type();
    exprs.push(Expr::Literal(ScalarValue::UInt64(Some(id)).cast_to(id_type)?, None));
    exprs.extend(columns.into_iter().skip(group_count));
    let named = exprs.into_iter().enumerate().map(|(at, expr)| expr.alias(place(at)));
    LogicalPlanBuilder::from(one)
        .project(named.collect::<Vec<_>>())?
        .build()
}

fn place(at: usize) -> String {
    format!("place{at}")
}
