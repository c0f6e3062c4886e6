//! [`ForgetEquivalences`]: what DataFusion concludes from a join or a filter about its rows, and should not.
//!
//! It takes a column that is constant on one side of an outer join for constant in the join's rows too, where those
//! without a partner have NULL: ORDER BY and GROUP BY of such a column would answer wrongly. And it takes expressions
//! that a filter equates for one another, and then finds no order for a window function's partition. So the rows of
//! these nodes go through one that knows nothing about them.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};

/// The rule. It comes before all that rely on what is known about rows.
#[derive(Debug)]
pub(crate) struct ForgetEquivalences;

impl PhysicalOptimizerRule for ForgetEquivalences {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let forget = |node: Arc<dyn ExecutionPlan>| {
            Ok(match knows_too_much(node.as_ref()) {
                true => Transformed::yes(Arc::new(ForgetfulExec::new(node)) as Arc<dyn ExecutionPlan>),
                false => Transformed::no(node),
            })
        };
        plan.transform_up(forget).data()
    }

    fn name(&self) -> &str {
        "forget_equivalences"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn knows_too_much(node: &dyn ExecutionPlan) -> bool {
    let join_type = None
        .or_else(|| Some(*node.downcast_ref::<HashJoinExec>()?.join_type()))
        .or_else(|| Some(*node.downcast_ref::<NestedLoopJoinExec>()?.join_type()))
        .or_else(|| Some(node.downcast_ref::<SortMergeJoinExec>()?.join_type()));
    if let Some(join_type) = join_type {
        return matches!(join_type, JoinType::Left | JoinType::Right | JoinType::Full);
    }
    let mut classes = node.equivalence_properties().eq_group().iter();
    node.is::<FilterExec>() && classes.any(|class| !class.iter().all(|expr| expr.is::<Column>()))
}

/// Passes its input's rows on.
#[derive(Debug)]
struct ForgetfulExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ForgetfulExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> ForgetfulExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        ForgetfulExec {
            input,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for ForgetfulExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForgetfulExec")
    }
}

impl ExecutionPlan for ForgetfulExec {
    fn name(&self) -> &str {
        "ForgetfulExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(ForgetfulExec::new(children.swap_remove(0))))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(ForgetfulExec::new(children.swap_remove(0))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
