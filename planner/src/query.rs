//! Plans of queries: names bound, types given, subqueries turned into joins, then optimised.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use highwater_types::{RelationId, SqlType};
use sqlparser::ast;

use crate::bind::Binder;
use crate::context::{PlanContext, RelationSource, ScanTarget};
use crate::error::{PlanError, Result};
use crate::session_state::shared_session_state;
use crate::window::ProcTimeNode;

/// A column of a result, as a client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputColumn {
    /// Its name. Names need not be unique.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// For a plain column of a relation: which, and its number in it, from 1.
    pub origin: Option<(RelationId, i16)>,
}

/// A query, ready to run.
#[derive(Debug, Clone)]
pub struct QueryPlan {
    /// The plan, optimised. Its column names are unique, and so may differ from `columns`' names.
    pub plan: LogicalPlan,
    /// The types of `$1`, `$2`, ...
    pub params: Vec<SqlType>,
    /// The result's columns.
    pub columns: Vec<OutputColumn>,
    /// The relations it scans (inline views are looked through), sorted, once each.
    pub reads: Vec<RelationId>,
}

/// Plans a query. Types in `declared_params` are given; the others are inferred.
pub fn plan_query(ctx: &PlanContext, query: &ast::Query, declared_params: &[Option<SqlType>]) -> Result<QueryPlan> {
    let mut binder = Binder::new(ctx, declared_params);
    let bound = binder.bind_top_query(query)?;
    let params = binder.parameter_types()?;
    finish(ctx, bound, params)
}

/// Plans the arguments of EXECUTE: one row of values.
pub fn plan_expressions(ctx: &PlanContext, exprs: &[ast::Expr]) -> Result<QueryPlan> {
    let bound = Binder::new(ctx, &[]).bind_expressions(exprs)?;
    finish(ctx, bound, Vec::new())
}

/// A query whose names are bound and types given, not yet optimised. Subqueries are joins already, so it holds
/// neither subquery expressions nor outer references.
#[derive(Debug, Clone)]
pub struct BoundQuery {
    /// The plan as bound.
    pub plan: LogicalPlan,
    /// The result's columns.
    pub columns: Vec<OutputColumn>,
    /// The relations that the query names itself, inline views included: what it depends on. Sorted, once each.
    pub depends_on: Vec<RelationId>,
    /// Where it names them, in the order in which they are bound.
    pub names: Vec<NamedRelation>,
}

/// A place in a statement that names a relation.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedRelation {
    /// Which one.
    pub relation: RelationId,
    /// The name, with its place in the text.
    pub name: ast::ObjectName,
    /// Whether an alias hides it.
    pub aliased: bool,
}

/// Binds a query: the first half of [`plan_query`], and what views are planned from. Parameters are refused.
pub fn bind_query(ctx: &PlanContext, query: &ast::Query) -> Result<BoundQuery> {
    let mut binder = Binder::new(ctx, &[]);
    let bound = binder.bind_top_query(query)?;
    match binder.parameter_types()?.is_empty() {
        true => Ok(bound),
        false => Err(PlanError::UndefinedParameter { name: "$1".to_string() }),
    }
}

/// Analyses and optimises a bound query.
pub(crate) fn finish(ctx: &PlanContext, bound: BoundQuery, params: Vec<SqlType>) -> Result<QueryPlan> {
    Ok(QueryPlan {
        plan: optimize(ctx, &bound.plan)?,
        params,
        reads: relations_read(&bound.plan)?,
        columns: bound.columns,
    })
}

/// Analyses and optimises a plan. A join as of arrival is a plain join in a snapshot.
pub(crate) fn optimize(ctx: &PlanContext, plan: &LogicalPlan) -> Result<LogicalPlan> {
    let plain = plan.clone().transform(|node| match &node {
        LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<ProcTimeNode>() {
            Some(node) => Ok(Transformed::yes(node.input.as_ref().clone())),
            None => Ok(Transformed::no(node)),
        },
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(shared_session_state(&ctx.settings.time_zone).optimize(&plain.data)?)
}

/// The relations that a plan scans, sorted, once each.
pub fn relations_read(plan: &LogicalPlan) -> Result<Vec<RelationId>> {
    let mut reads = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(RelationSource {
                target: ScanTarget::Relation(id),
                ..
            }) = RelationSource::of(&scan.source)
        {
            reads.push(*id);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    reads.sort_unstable();
    reads.dedup();
    Ok(reads)
}
