//! `JOIN ... FOR SYSTEM_TIME AS OF PROCTIME()`: the right side as of the left row's arrival.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{self as logical, JoinType, LogicalPlan};

use super::join::{Condition, Sides, key_of};
use super::{Built, Translator, schema_of};
use crate::error::{PlanError, Result};
use crate::stream::derive::Facts;
use crate::stream::plan::{JoinKind, StateBound, StreamOp, TemporalJoin};
use crate::window::ProcTimeNode;

/// The error for a right side that is none.
pub(super) fn misplaced() -> PlanError {
    PlanError::unsupported(
        "FOR SYSTEM_TIME AS OF PROCTIME() here",
        "Put it on the right side of JOIN or LEFT JOIN, with the rows that arrive on the left.",
    )
}

/// The right side of a join without its mark, when it has one.
pub(super) fn as_of_arrival(right: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let mut marked = false;
    let plan = right.clone().transform_down(|node| match &node {
        LogicalPlan::Extension(extension) => {
            let inner = extension.node.as_any();
            match inner.downcast_ref::<ProcTimeNode>() {
                Some(mark) => {
                    marked = true;
                    let input = mark.input.as_ref().clone();
                    Ok(Transformed::new(input, true, TreeNodeRecursion::Stop))
                }
                None => Ok(Transformed::new(node, false, TreeNodeRecursion::Stop)),
            }
        }
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            Ok(Transformed::no(node))
        }
        _ => Ok(Transformed::new(node, false, TreeNodeRecursion::Stop)),
    })?;
    Ok(marked.then_some(plan.data))
}

impl Translator<'_> {
    pub(super) fn temporal_join(&mut self, join: &logical::Join, right: &LogicalPlan) -> Result<Built> {
        let left_outer = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            _ => return Err(misplaced()),
        };
        let left = self.node(&join.left)?;
        if !left.facts.append_only {
            return Err(PlanError::unsupported(
                "FOR SYSTEM_TIME AS OF PROCTIME() with a left side whose rows may change",
                "Join sources and APPEND ONLY tables as of their arrival, before rows are aggregated.",
            ));
        }
        let right = self.node(right)?;
        let Sides {
            left,
            right,
            condition,
            widths,
        } = self.sides(join, left, right)?;
        let facts = facts_of(left_outer, &left.facts, &right.facts, &condition);
        let mut fields = left.schema().fields().to_vec();
        for field in right.schema().fields() {
            let nullable = left_outer || field.is_nullable();
            fields.push(Arc::new(field.as_ref().clone().with_nullable(nullable)));
        }
        let op = StreamOp::TemporalJoin(TemporalJoin {
            left_outer,
            keys: condition.keys,
            filter: condition.filter,
        });
        let left_width = left.width();
        let text = "keeps the rows of the right side, and none of the left";
        let built = Built::new(op, vec![left.node, right.node], schema_of(fields)?, facts)
            .with_state(StateBound::Unbounded(text.to_string()), Vec::new());
        let mut columns: Vec<usize> = (0..widths.0).collect();
        columns.extend(left_width..left_width + widths.1);
        self.keep_columns(built, &columns)
    }
}

fn facts_of(left_outer: bool, left: &Facts, right: &Facts, condition: &Condition) -> Facts {
    let kind = if left_outer { JoinKind::Left } else { JoinKind::Inner };
    let mut facts = left.clone();
    facts.bounds.resize(left.bounds.len() + right.bounds.len(), None);
    // Rows of the right side that come and go may meet one left row under the same key only if it has none; and a
    // left row never meets two states of the right side.
    facts.key = key_of(kind, left, right, &condition.keys);
    facts
}
