//! Which of DataFusion's rules rewrite a view's plan.
//!
//! Left out, because they would change what a changing view answers or what its operators keep:
//! `push_down_limit` (which rows a limit takes below a join is open), `eliminate_join` (makes semi joins, also of a
//! join as of arrival), `single_distinct_to_groupby` (operators count distinct values themselves),
//! `filter_null_join_keys`, `unions_to_filter`, and the rules for nested columns. `eliminate_cross_join` puts joins in
//! another order, which matters where one of them is as of arrival; it is left out there. No rule is told the time,
//! so nothing that depends on it is made a constant. None of them reads statistics. Subqueries are joins already.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNode;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion::optimizer::eliminate_filter::EliminateFilter;
use datafusion::optimizer::eliminate_group_by_constant::EliminateGroupByConstant;
use datafusion::optimizer::eliminate_limit::EliminateLimit;
use datafusion::optimizer::eliminate_outer_join::EliminateOuterJoin;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::optimize_unions::OptimizeUnions;
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion::optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{Optimizer, OptimizerContext, OptimizerRule};

use super::rewrite::{grouping_sets, ordered_aggregates};
use crate::error::Result;
use crate::rules::{ForgetKeys, PushDownFilter};
use crate::window::ProcTimeNode;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The plan of a view's query, analysed and optimised: what the stream plan is made from.
///
/// # Errors
/// When a rule fails.
pub(super) fn optimize(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})?;
    let plan = grouping_sets::rewrite(plan)?;
    let mut options = state.config_options().as_ref().clone();
    options.optimizer.skip_failed_rules = false;
    let context = OptimizerContext::new_with_config_options(Arc::new(options)).without_query_execution_start_time();
    let rules = rules(has_join_as_of_arrival(&plan)?);
    let plan = Optimizer::with_rules(rules).optimize(plan, &context, |_, _| {})?;
    Ok(ordered_aggregates::rewrite(plan)?)
}

fn rules(as_of_arrival: bool) -> Vec<Rule> {
    let mut rules: Vec<Rule> = vec![
        Arc::new(ForgetKeys::Begin),
        Arc::new(OptimizeUnions::new()),
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ReplaceDistinctWithAggregate::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
        Arc::new(EliminateDuplicatedExpr::new()),
        Arc::new(EliminateFilter::new()),
    ];
    if !as_of_arrival {
        rules.push(Arc::new(EliminateCrossJoin::new()));
    }
    let rest: [Rule; 8] = [
        Arc::new(EliminateLimit::new()),
        Arc::new(PropagateEmptyRelation::new()),
        Arc::new(EliminateOuterJoin::new()),
        Arc::new(PushDownFilter::default()),
        Arc::new(EliminateGroupByConstant::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
        Arc::new(ForgetKeys::End),
    ];
    rules.extend(rest);
    rules
}

fn has_join_as_of_arrival(plan: &LogicalPlan) -> Result<bool> {
    let found = plan.exists(|node| {
        let LogicalPlan::Extension(extension) = node else {
            return Ok(false);
        };
        let inner = extension.node.as_any();
        Ok(inner.is::<ProcTimeNode>())
    })?;
    Ok(found)
}
