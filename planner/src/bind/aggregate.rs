//! GROUP BY and aggregates: from expressions over the input to expressions over the groups.

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, Case, GroupingSet, Sort};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, lit};

use super::expr::place_of;
use super::scope::Scope;
use super::{Binder, subquery::Pending};
use crate::catalog::Relation;
use crate::error::{PlanError, Result};

/// Expressions, and what stands for each of them from now on.
#[derive(Debug, Default)]
pub(crate) struct Rewrite {
    pairs: Vec<(Expr, Expr)>,
}

impl Rewrite {
    pub(crate) fn insert(&mut self, from: Expr, to: Expr) {
        if self.find(&from).is_none() {
            self.pairs.push((from, to));
        }
    }

    pub(crate) fn find(&self, expr: &Expr) -> Option<&Expr> {
        self.pairs.iter().find(|(from, _)| from == expr).map(|(_, to)| to)
    }

    /// What stands for an expression as a whole; itself when nothing does.
    pub(crate) fn whole(&self, expr: &Expr) -> Expr {
        self.find(expr).unwrap_or(expr).clone()
    }

    /// Replaces every part that something stands for, outermost first.
    pub(crate) fn apply(&self, expr: Expr) -> Result<Expr> {
        let replaced = expr.transform_down(|e| match self.find(&e) {
            Some(to) => Ok(Transformed::new(to.clone(), true, TreeNodeRecursion::Jump)),
            None => Ok(Transformed::no(e)),
        })?;
        Ok(replaced.data)
    }
}

/// Collects the outermost parts of an expression that `wanted` tells, once each.
pub(crate) fn collect(expr: &Expr, wanted: impl Fn(&Expr) -> bool, into: &mut Vec<Expr>) -> Result<()> {
    expr.apply(|e| {
        if wanted(e) {
            if !into.contains(e) {
                into.push(e.clone());
            }
            return Ok(TreeNodeRecursion::Jump);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Computes expressions that are neither columns nor constants in a projection above `plan`, which keeps all of its
/// columns. Tells which column stands for which expression.
pub(crate) fn precompute(
    binder: &mut Binder<'_>,
    plan: LogicalPlan,
    exprs: impl Iterator<Item = Expr>,
) -> Result<(LogicalPlan, Rewrite)> {
    let mut rewrite = Rewrite::default();
    let mut added = Vec::new();
    for expr in exprs {
        if matches!(expr, Expr::Column(_) | Expr::Literal(..) | Expr::Placeholder(_)) || rewrite.find(&expr).is_some() {
            continue;
        }
        let qualifier = binder.names.fresh("expr");
        let name = short_name(&expr);
        added.push(expr.clone().alias_qualified(Some(qualifier.clone()), &name));
        rewrite.insert(expr, Expr::Column(Column::new(Some(qualifier), name)));
    }
    if added.is_empty() {
        return Ok((plan, rewrite));
    }
    let kept = plan.schema().columns().into_iter().map(Expr::Column);
    let exprs: Vec<Expr> = kept.chain(added).collect();
    let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
    Ok((plan, rewrite))
}

/// A name for a computed column: its function's, for a readable plan.
fn short_name(expr: &Expr) -> String {
    match expr {
        Expr::ScalarFunction(function) => function.name().to_string(),
        Expr::Cast(cast) => short_name(&cast.expr),
        Expr::Column(column) => column.name.clone(),
        Expr::Case(_) => "case".to_string(),
        _ => "value".to_string(),
    }
}

/// GROUP BY as bound.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    /// All grouping expressions, once each.
    pub exprs: Vec<Expr>,
    /// For ROLLUP, CUBE and GROUPING SETS: the sets, as positions in `exprs`.
    pub sets: Option<Vec<Vec<usize>>>,
}

/// An aggregation: the plan that computes it, and what stands for group expressions and aggregates above it.
pub(crate) struct Aggregated {
    pub plan: LogicalPlan,
    rewrite: Rewrite,
    groups: Vec<Column>,
}

/// Builds the aggregation that `exprs` (the SELECT list, HAVING, ORDER BY) need.
pub(crate) fn aggregate(
    binder: &mut Binder<'_>,
    plan: LogicalPlan,
    grouping: &mut Grouping,
    exprs: &[&Expr],
    scope: &Scope,
) -> Result<Aggregated> {
    let mut calls = Vec::new();
    for expr in exprs {
        collect(expr, |e| matches!(e, Expr::AggregateFunction(_)), &mut calls)?;
    }
    add_dependent_columns(binder, grouping, exprs, scope)?;
    let guarded: Vec<Expr> = calls.iter().cloned().map(guarded).collect();
    let inputs = grouping
        .exprs
        .iter()
        .cloned()
        .chain(guarded.iter().flat_map(call_inputs));
    let inputs: Vec<Expr> = inputs.collect();
    let constants = grouping.exprs.iter().filter(|e| !matches!(e, Expr::Column(_))).cloned();
    let constants: Vec<Expr> = constants.collect();
    let (plan, computed) = precompute(binder, plan, inputs.into_iter())?;
    let (plan, computed) = with_constant_groups(binder, plan, computed, constants)?;
    let mut rewrite = Rewrite::default();
    let mut groups = Vec::new();
    for expr in &grouping.exprs {
        let column = computed.whole(expr);
        rewrite.insert(expr.clone(), column.clone());
        if let Expr::Column(column) = column {
            groups.push(column);
        }
    }
    let mut over_columns = Vec::new();
    for (call, guarded) in calls.into_iter().zip(guarded) {
        let over = call_over_columns(&guarded, &computed)?;
        let column = Column::from_name(over.schema_name().to_string());
        rewrite.insert(call, Expr::Column(column));
        if !over_columns.contains(&over) {
            over_columns.push(over);
        }
    }
    if grouping.exprs.is_empty() && over_columns.is_empty() {
        // HAVING alone makes one group of all rows.
        over_columns.push(datafusion::functions_aggregate::expr_fn::count(lit(1_i64)));
    }
    let group_exprs = group_exprs(grouping, &computed);
    let plan = LogicalPlanBuilder::from(plan)
        .aggregate(group_exprs, over_columns)?
        .build()?;
    Ok(Aggregated { plan, rewrite, groups })
}

/// Group expressions that are constants or parameters become columns too, so that every group is a column.
fn with_constant_groups(
    binder: &mut Binder<'_>,
    plan: LogicalPlan,
    mut computed: Rewrite,
    exprs: Vec<Expr>,
) -> Result<(LogicalPlan, Rewrite)> {
    let mut added = Vec::new();
    for expr in exprs {
        if computed.find(&expr).is_some() {
            continue;
        }
        let qualifier = binder.names.fresh("expr");
        added.push(expr.clone().alias_qualified(Some(qualifier.clone()), "value"));
        computed.insert(expr, Expr::Column(Column::new(Some(qualifier), "value")));
    }
    if added.is_empty() {
        return Ok((plan, computed));
    }
    let kept = plan.schema().columns().into_iter().map(Expr::Column);
    let exprs: Vec<Expr> = kept.chain(added).collect();
    let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
    Ok((plan, computed))
}

fn group_exprs(grouping: &Grouping, computed: &Rewrite) -> Vec<Expr> {
    let columns: Vec<Expr> = grouping.exprs.iter().map(|e| computed.whole(e)).collect();
    match &grouping.sets {
        None => columns,
        Some(sets) => {
            let sets = sets.iter().map(|set| set.iter().map(|i| columns[*i].clone()).collect());
            vec![Expr::GroupingSet(GroupingSet::GroupingSets(sets.collect()))]
        }
    }
}

/// The call with arguments that can fail computed only for rows that its FILTER lets in.
fn guarded(call: Expr) -> Expr {
    let Expr::AggregateFunction(mut call) = call else {
        return call;
    };
    if let Some(filter) = call.params.filter.clone() {
        let guard = |expr: &mut Expr| {
            if can_fail(expr) {
                let branch = (filter.clone(), Box::new(expr.clone()));
                *expr = Expr::Case(Case::new(None, vec![branch], None));
            }
        };
        call.params.args.iter_mut().for_each(guard);
        call.params.order_by.iter_mut().for_each(|sort| guard(&mut sort.expr));
    }
    Expr::AggregateFunction(call)
}

/// Whether computing an expression may end in an error: whatever computes more than a condition on columns may.
fn can_fail(expr: &Expr) -> bool {
    let harmless = |e: &Expr| match e {
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Placeholder(_)
        | Expr::Alias(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::Not(_)
        | Expr::Case(_) => true,
        Expr::BinaryExpr(binary) => compares(binary.op) || binary.op.is_logic_operator(),
        _ => false,
    };
    expr.exists(|e| Ok(!harmless(e))).unwrap_or(true)
}

fn compares(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// The expressions that an aggregate looks at.
fn call_inputs(call: &Expr) -> Vec<Expr> {
    let Expr::AggregateFunction(AggregateFunction { params, .. }) = call else {
        return Vec::new();
    };
    let mut inputs = params.args.clone();
    inputs.extend(params.order_by.iter().map(|s| s.expr.clone()));
    inputs.extend(params.filter.iter().map(|f| f.as_ref().clone()));
    inputs
}

fn call_over_columns(call: &Expr, computed: &Rewrite) -> Result<Expr> {
    let Expr::AggregateFunction(call) = call else {
        return Err(PlanError::internal("an aggregate expected"));
    };
    let mut call = call.clone();
    let params = &mut call.params;
    params.args = params.args.iter().map(|e| computed.whole(e)).collect();
    params.order_by = params
        .order_by
        .iter()
        .map(|s| Sort::new(computed.whole(&s.expr), s.asc, s.nulls_first))
        .collect();
    params.filter = params.filter.as_ref().map(|f| Box::new(computed.whole(f)));
    Ok(Expr::AggregateFunction(call))
}

/// Grouping by a table's primary key groups by all of its columns.
fn add_dependent_columns(binder: &Binder<'_>, grouping: &mut Grouping, exprs: &[&Expr], scope: &Scope) -> Result<()> {
    if grouping.exprs.is_empty() || grouping.sets.is_some() {
        return Ok(());
    }
    let mut used = Vec::new();
    for expr in exprs {
        let known = &grouping.exprs;
        expr.apply(|e| {
            if known.contains(e) || matches!(e, Expr::AggregateFunction(_)) {
                return Ok(TreeNodeRecursion::Jump);
            }
            if matches!(e, Expr::Column(_)) && !used.contains(e) {
                used.push(e.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    for column in used {
        let table = scope
            .tables
            .iter()
            .find(|t| t.columns.iter().any(|c| c.value == column));
        let Some(table) = table else { continue };
        let Some(relation) = table.columns.iter().find_map(|c| c.origin).map(|(id, _)| id) else {
            continue;
        };
        let key = binder.ctx.catalog.relation(relation).and_then(|r| declared_key(r));
        let in_group = |position: &usize| {
            let of_key =
                |c: &&super::ScopeColumn| c.origin.is_some_and(|(_, n)| usize::try_from(n) == Ok(position + 1));
            table
                .columns
                .iter()
                .find(of_key)
                .is_some_and(|c| grouping.exprs.contains(&c.value))
        };
        if key.is_some_and(|key| !key.is_empty() && key.iter().all(in_group)) {
            grouping.exprs.push(column);
        }
    }
    Ok(())
}

fn declared_key(relation: &Relation) -> Option<&[usize]> {
    match relation.kind {
        crate::catalog::RelationKind::Table { .. } => relation.key.as_deref(),
        _ => None,
    }
}

impl Aggregated {
    /// An expression over the groups. A column outside of them is an error.
    pub(crate) fn over_groups(&self, expr: Expr, scope: &Scope, added: &[Column]) -> Result<Expr> {
        let rewritten = self.rewrite.apply(expr)?;
        for column in rewritten.column_refs() {
            if !self.plan.schema().has_column(column) && !added.contains(column) {
                return Err(PlanError::Ungrouped {
                    name: scope.written(column),
                }
                .at(place_of(column)));
            }
        }
        Ok(rewritten)
    }

    /// That a subquery above the groups looks at grouped columns only.
    pub(crate) fn check_subquery(&self, pending: &Pending, scope: &Scope) -> Result<()> {
        for column in pending.outer_columns(|c| scope_has(scope, c))? {
            if !self.groups.contains(&column) {
                return Err(PlanError::UngroupedOuter {
                    name: scope.written(&column),
                }
                .at(place_of(&column)));
            }
        }
        Ok(())
    }
}

fn scope_has(scope: &Scope, column: &Column) -> bool {
    let value = Expr::Column(column.clone());
    let of = |columns: &[super::ScopeColumn]| columns.iter().any(|c| c.value == value);
    of(&scope.columns) || scope.tables.iter().any(|t| of(&t.columns))
}
