//! [`ForgetKeys`]: DataFusion takes the keys of what is unnested for keys of the rows that come of it, where each is as
//! often as its list is long; so it drops joins, groups and DISTINCT that are needed. Before all other rules this one puts
//! an [`UnkeyedNode`] between, and after them it takes that away again.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchemaRef, FunctionalDependencies, Result};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::window::only_input;

/// The rule: the first of all, and the last.
#[derive(Debug)]
pub(crate) enum ForgetKeys {
    Begin,
    End,
}

/// Its input, of which no key is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct UnkeyedNode {
    /// Where rows come from.
    input: Arc<LogicalPlan>,
    schema: DFSchemaRef,
}

impl OptimizerRule for ForgetKeys {
    fn name(&self) -> &str {
        match self {
            ForgetKeys::Begin => "forget_keys_begin",
            ForgetKeys::End => "forget_keys_end",
        }
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match self {
            ForgetKeys::Begin if plan.exists(|node| Ok(may_have_keys(node)))? => begin(plan),
            ForgetKeys::End => plan.transform_up(|node| {
                Ok(match unkeyed(&node) {
                    Some(unkeyed) => Transformed::yes(unkeyed.input.as_ref().clone()),
                    None => Transformed::no(node),
                })
            }),
            ForgetKeys::Begin => Ok(Transformed::no(plan)),
        }
    }
}

fn begin(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up(|node| match node {
        LogicalPlan::Unnest(unnest) if !is_unkeyed(&unnest.input) => {
            let node = Arc::new(UnkeyedNode::try_new(unnest.input)?);
            let input = LogicalPlan::Extension(Extension { node });
            let unnested = LogicalPlanBuilder::from(input)
                .unnest_columns_with_options(unnest.exec_columns, unnest.options)?
                .build()?;
            Ok(Transformed::yes(unnested))
        }
        // What is above had those keys too.
        other => Ok(Transformed::yes(other.recompute_schema()?)),
    })
}

fn unkeyed(plan: &LogicalPlan) -> Option<&UnkeyedNode> {
    match plan {
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
        _ => None,
    }
}

fn may_have_keys(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Unnest(unnest) if !is_unkeyed(&unnest.input))
}

/// Whether the rule has been here. Keys may also come to be known later, as when DISTINCT becomes an aggregate.
fn is_unkeyed(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_unkeyed(&projection.input),
        _ => unkeyed(plan).is_some(),
    }
}

impl UnkeyedNode {
    fn try_new(input: Arc<LogicalPlan>) -> Result<UnkeyedNode> {
        let schema = input.schema().as_ref().clone();
        let schema = schema.with_functional_dependencies(FunctionalDependencies::empty())?;
        Ok(UnkeyedNode {
            input,
            schema: Arc::new(schema),
        })
    }
}

impl PartialOrd for UnkeyedNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for UnkeyedNode {
    fn name(&self) -> &str {
        "Unkeyed"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unkeyed")
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        UnkeyedNode::try_new(Arc::new(only_input(inputs)?))
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}
