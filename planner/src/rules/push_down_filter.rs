//! [`PushDownFilter`]: DataFusion's rule, but for filters above an aggregate that answers a row over no input. It takes
//! a condition without columns to hold of all rows or of none, and puts it below, where it would only empty the input.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::push_down_filter::PushDownFilter as Theirs;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The rule, under its own name.
#[derive(Debug, Default)]
pub(crate) struct PushDownFilter(Theirs);

impl OptimizerRule for PushDownFilter {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Filter(filter) if answers_anyway(below_filters(&filter.input)) => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

/// The rule makes one filter of several, and then does not come by here again.
fn below_filters(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Filter(filter) => below_filters(&filter.input),
        other => other,
    }
}

fn answers_anyway(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Aggregate(Aggregate { group_expr, .. }) = plan else {
        return false;
    };
    group_expr.iter().all(|group| matches!(group, Expr::GroupingSet(_)))
}
