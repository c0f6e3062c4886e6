//! The windows of a stream plan, and what closes them: for EXPLAIN WATERMARK.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use highwater_types::RelationId;

use super::expression_text::duration;
use super::plan::{Step, StreamNode, StreamOp, StreamPlan, WindowAssign, WindowKind};
use crate::window::{WINDOW_END, WINDOW_START};

/// A place where a plan assigns rows to windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanWindow {
    /// The words of the query: `tumble(ts, 1min)`.
    pub text: String,
    /// The sources whose watermarks close its windows. Empty: they never close.
    pub sources: Vec<RelationId>,
    /// Where its windows end.
    pub ends: WindowEnds,
}

/// Where windows end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowEnds {
    /// At `offset_us` and every `step_us` before and after it, in microseconds since 1970.
    Every {
        /// From one end to the next.
        step_us: i64,
        /// One of them.
        offset_us: i64,
    },
    /// So many microseconds after the last row of each.
    AfterRows(i64),
}

impl WindowEnds {
    /// The first end that a watermark has not reached; `None` where that depends on rows, or is out of range.
    pub fn next(self, watermark_us: i64) -> Option<i64> {
        match self {
            WindowEnds::Every { step_us, offset_us } => {
                let since = watermark_us.checked_sub(offset_us)?.rem_euclid(step_us);
                watermark_us.checked_sub(since)?.checked_add(step_us)
            }
            WindowEnds::AfterRows(_) => None,
        }
    }
}

/// The windows of a plan, those nearest to its inputs last.
pub fn plan_windows(plan: &StreamPlan) -> Vec<PlanWindow> {
    let (mut windows, mut seen) = (Vec::new(), HashSet::new());
    collect(&plan.root, &mut seen, &mut windows);
    windows
}

fn collect(node: &Arc<StreamNode>, seen: &mut HashSet<*const StreamNode>, windows: &mut Vec<PlanWindow>) {
    if !seen.insert(Arc::as_ptr(node)) {
        return;
    }
    match &node.op {
        StreamOp::Fused(steps) => windows.extend(assigned_by(steps, &node.inputs[0])),
        StreamOp::Session(session) => {
            let input = &node.inputs[0];
            let time = input.schema.field(session.time_column).name();
            windows.push(PlanWindow {
                text: format!("session({time}, {})", duration(session.gap_us)),
                sources: session.complete.as_ref().map_or_else(Vec::new, |c| c.sources.clone()),
                ends: WindowEnds::AfterRows(session.gap_us),
            });
        }
        _ => {}
    }
    node.inputs.iter().for_each(|input| collect(input, seen, windows));
}

/// The windows that steps over the rows of `input` assign.
fn assigned_by(steps: &[Step], input: &StreamNode) -> Vec<PlanWindow> {
    let names_of = |schema: &DFSchema| -> Vec<String> { schema.fields().iter().map(|f| f.name().clone()).collect() };
    // The columns at each step: what they are called, and which column of the input each is, unless it is computed.
    let mut names = names_of(&input.schema);
    let mut origins: Vec<Option<usize>> = (0..names.len()).map(Some).collect();
    let mut windows = Vec::new();
    for step in steps {
        match step {
            Step::Filter(_) => {}
            Step::Project(exprs, schema) => {
                let origin = |expr: &Expr| match expr.clone().unalias() {
                    Expr::Column(column) => {
                        let at = names.iter().position(|name| *name == column.name);
                        at.and_then(|at| origins[at])
                    }
                    _ => None,
                };
                origins = exprs.iter().map(origin).collect();
                names = names_of(schema);
            }
            Step::Unnest(columns, _) => columns.iter().for_each(|column| origins[*column] = None),
            Step::Window(window) => {
                let time = origins[window.time_column];
                windows.push(assigned(window, &names[window.time_column], time, input));
                names.extend([WINDOW_START.to_string(), WINDOW_END.to_string()]);
                origins.extend([time, time]);
            }
        }
    }
    windows
}

fn assigned(window: &WindowAssign, name: &str, time: Option<usize>, input: &StreamNode) -> PlanWindow {
    let (size, slide) = (duration(window.size_us), duration(window.slide_us));
    let text = match window.kind {
        WindowKind::Tumble => format!("tumble({name}, {size})"),
        WindowKind::Hop => format!("hop({name}, {slide}, {size})"),
        WindowKind::Cumulate => format!("cumulate({name}, {slide}, {size})"),
    };
    PlanWindow {
        text,
        sources: time.map_or_else(Vec::new, |time| input.properties.watermarks[time].clone()),
        ends: WindowEnds::Every {
            step_us: window.slide_us,
            offset_us: window.offset_us.saturating_add(window.size_us),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_end_is_the_first_that_is_not_reached() {
        let hop = WindowEnds::Every {
            step_us: 10,
            offset_us: 3,
        };
        assert_eq!(hop.next(12), Some(13));
        assert_eq!(hop.next(13), Some(23), "a window that ends at the watermark is closed");
        assert_eq!(hop.next(-8), Some(-7));
        assert_eq!(hop.next(i64::MAX), None);
        assert_eq!(WindowEnds::AfterRows(5).next(0), None);
    }
}
