//! EMIT ON WINDOW CLOSE. Aggregates by a window's bounds emit on close by themselves; rows that carry a window's end
//! without being settled are held back until it is reached. Where neither is possible, the view is refused.

use datafusion::logical_expr::LogicalPlan;

use super::fused::keep_rows;
use super::{Built, Translator};
use crate::error::{PlanError, Result};
use crate::stream::derive::Bound;
use crate::stream::plan::{StateBound, StreamOp};

impl Translator<'_> {
    /// The rows of a plan, each once and for good when its window closes.
    pub(super) fn held(&mut self, plan: &LogicalPlan) -> Result<Built> {
        let before = (self.names.clone(), self.families);
        let built = self.node(plan)?;
        if built.facts.settled {
            return Ok(built);
        }
        self.outer_windows |= built.facts.bounds.iter().flatten().any(|bound| bound.missing);
        if let Some(held) = hold(built) {
            return Ok(held);
        }
        (self.names, self.families) = before;
        match plan {
            LogicalPlan::Projection(projection) => {
                let input = self.held(&projection.input)?;
                self.projection(projection, input)
            }
            LogicalPlan::Filter(filter) => {
                let input = self.held(&filter.input)?;
                let predicate = self.resolve(&filter.predicate, filter.input.schema(), &input)?;
                Ok(keep_rows(input, predicate))
            }
            LogicalPlan::SubqueryAlias(alias) => self.held(&alias.input),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.held(&sort.input),
            _ => Err(self.never_closes()),
        }
    }

    fn never_closes(&self) -> PlanError {
        let windowed = self.unbounded_windows.iter().find_map(|id| self.catalog.relation(*id));
        if let Some(relation) = windowed {
            let name = relation.display_name();
            return if relation.append_only || relation.watermark.is_none() {
                PlanError::unsupported(
                    format!("EMIT ON WINDOW CLOSE over \"{name}\", which has no watermark,"),
                    "Declare WATERMARK FOR its time column, or leave EMIT ON WINDOW CLOSE out.",
                )
            } else {
                PlanError::unsupported(
                    format!("EMIT ON WINDOW CLOSE over \"{name}\", whose rows may be deleted at any time,"),
                    "Declare the table APPEND ONLY, or leave EMIT ON WINDOW CLOSE out.",
                )
            };
        }
        if self.outer_windows {
            return PlanError::unsupported(
                "EMIT ON WINDOW CLOSE of an outer join by a window that rows without a partner do not have",
                "Select, group and join by the window_end of the side whose rows are all kept, or leave EMIT ON WINDOW \
                 CLOSE out. FULL JOIN has no such side: join its sides with LEFT JOIN, once each way.",
            );
        }
        if self.windows == 0 {
            return PlanError::unsupported(
                "EMIT ON WINDOW CLOSE without a window",
                "Group by window_end of TUMBLE or HOP over a source with a WATERMARK, or leave EMIT ON WINDOW CLOSE \
                 out.",
            );
        }
        PlanError::unsupported(
            "EMIT ON WINDOW CLOSE of rows that may change after their window has closed",
            "Group, partition and join by window_end, and join tables with FOR SYSTEM_TIME AS OF PROCTIME().",
        )
    }
}

/// Rows of `input` once the end of their window is reached; `None` when they have no such column, or not all have.
fn hold(input: Built) -> Option<Built> {
    let columns: Vec<usize> = (0..input.width()).collect();
    let is_end = |bound: &Bound| bound.windowed && bound.after_us <= 0 && !bound.missing;
    let (column, bound) = input.facts.soonest_where(&columns, is_end)?;
    let sources = bound.sources.clone();
    let op = StreamOp::HoldUntil {
        column,
        after_us: bound.after_us,
        sources: sources.clone(),
    };
    let facts = input.facts.closed_by(column);
    let schema = input.schema().clone();
    let held = Built::new(op, vec![input.node], schema, facts);
    Some(held.with_state(StateBound::Watermark(sources), Vec::new()))
}
