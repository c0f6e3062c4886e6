//! EMIT ON WINDOW CLOSE. Aggregates by a window's bounds emit on close by themselves; rows that carry a window's end
//! without being settled are held back until it is reached. So are rows of OVER windows in an order of time, and rows
//! that are asked for in such an order, until no row can come that would change them, or stand before them. Where none
//! of that is possible, the view is refused.

use datafusion::logical_expr::{LogicalPlan, Sort};

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
        (self.names, self.families) = before.clone();
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
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => match self.held(&sort.input) {
                Ok(held) => Ok(held),
                Err(refused) => {
                    (self.names, self.families) = before;
                    self.held_in_order(sort)?.ok_or(refused)
                }
            },
            LogicalPlan::Window(window) => {
                let (built, time) = self.over(window)?;
                let held = time.and_then(|time| hold_by(built, time));
                held.ok_or_else(|| self.never_closes())
            }
            _ => Err(self.never_closes()),
        }
    }

    /// Rows that are asked for in an order of time, each when no earlier one can come; `None` when they are not.
    fn held_in_order(&mut self, sort: &Sort) -> Result<Option<Built>> {
        let Some(first) = sort.expr.first().filter(|key| key.asc && !key.nulls_first) else {
            return Ok(None);
        };
        let built = self.node(&sort.input)?;
        let time = self.resolve(&first.expr, sort.input.schema(), &built)?;
        Ok(built.position(&time).and_then(|time| hold_by(built, time)))
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
                "Group by window_end of TUMBLE or HOP over a source with a WATERMARK, order by its time, or leave EMIT \
                 ON WINDOW CLOSE out.",
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
    let (column, _) = input.facts.soonest_where(&columns, is_end)?;
    hold_by(input, column)
}

/// Rows of `input` once their value in a column is complete; `None` when nothing bounds it, or not all rows have one.
fn hold_by(input: Built, column: usize) -> Option<Built> {
    let bound = input.facts.bounds[column].as_ref().filter(|bound| !bound.missing)?;
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
