//! UPDATE: the rows as they were beside the rows as they will be.

use datafusion::common::Column as PlanColumn;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit};
use highwater_types::SqlType;
use sqlparser::ast::{self, AssignmentTarget, Spanned, TableFactor, UpdateTableFromKind};

use super::assign::{check_writable, is_default};
use super::{UpdatePlan, bind_returning, optimize_returning, target_column, target_ident, target_table};
use crate::bind::{Binder, BoundColumn, ExprCx, Place, Rows, Source, Typed};
use crate::catalog::Relation;
use crate::context::PlanContext;
use crate::error::{PlanError, Result};
use crate::query::finish;

/// Plans UPDATE.
pub fn plan_update(ctx: &PlanContext, update: &ast::Update, declared: &[Option<SqlType>]) -> Result<UpdatePlan> {
    if update.or.is_some() || !update.order_by.is_empty() || update.limit.is_some() {
        return Err(PlanError::unsupported(
            "UPDATE with OR, ORDER BY or LIMIT",
            "Use WHERE.",
        ));
    }
    let mut binder = Binder::new(ctx, declared);
    let (name, alias) = plain_table(&update.table)?;
    let relation = target_table(&mut binder, name, "update")?;
    let from = match &update.from {
        None => &[] as &[ast::TableWithJoins],
        Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => from,
    };
    let joined = join_target(&mut binder, &relation, alias, from, update.selection.as_ref())?;
    let assigned = bind_assignments(&mut binder, &update.assignments, &relation, joined, Place::Update)?;
    let rows = old_and_new(&mut binder, &relation, assigned)?;
    let source = binder.name_outputs(rows)?;
    let returning = bind_returning(&mut binder, &relation, alias, update.returning.as_deref())?;
    let params = binder.parameter_types()?;
    Ok(UpdatePlan {
        table: relation.id,
        source: finish(ctx, source, params)?,
        returning: optimize_returning(ctx, returning)?,
    })
}

/// The name and alias of a table that stands alone.
pub(super) fn plain_table(table: &ast::TableWithJoins) -> Result<(&ast::ObjectName, Option<&ast::Ident>)> {
    match &table.relation {
        TableFactor::Table {
            name,
            alias,
            args: None,
            version: None,
            ..
        } if table.joins.is_empty() => Ok((name, alias.as_ref().map(|a| &a.name))),
        other => Err(PlanError::syntax(format!("syntax error at or near \"{other}\""))),
    }
}

/// The target's rows that WHERE keeps, joined to FROM or USING; each row at most once.
pub(super) fn join_target(
    binder: &mut Binder<'_>,
    relation: &Relation,
    alias: Option<&ast::Ident>,
    from: &[ast::TableWithJoins],
    condition: Option<&ast::Expr>,
) -> Result<Source> {
    let alias = alias.map(|name| super::table_alias(name.clone()));
    let mut source = binder.scan_relation(relation, alias.as_ref())?;
    if from.is_empty() {
        return binder.bind_where(source, condition, "WHERE", Place::Where);
    }
    // Without a key, rows are told apart by a number.
    let mut identity: Vec<Expr> = match &relation.key {
        Some(key) => key.iter().map(|i| source.scope.columns[*i].value.clone()).collect(),
        None => Vec::new(),
    };
    if identity.is_empty() {
        let (plan, number) = binder.numbered(source.plan, vec![], vec![])?;
        let qualifier = binder.names.fresh("row");
        let mut exprs: Vec<Expr> = source.scope.columns.iter().map(|c| c.value.clone()).collect();
        exprs.push(number.alias_qualified(Some(qualifier.clone()), "number"));
        source.plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        identity.push(Expr::Column(PlanColumn::new(Some(qualifier), "number")));
    }
    let joined = binder.bind_from_beside(source, from)?;
    let joined = binder.bind_where(joined, condition, "WHERE", Place::Where)?;
    let (plan, number) = binder.numbered(joined.plan, identity, vec![])?;
    let first = binary_expr(number, Operator::Eq, lit(1_i64));
    Ok(Source {
        plan: LogicalPlanBuilder::from(plan).filter(first)?.build()?,
        scope: joined.scope,
    })
}

/// Rows with the new value of each column of the table, where one is assigned.
pub(super) struct Assigned {
    plan: LogicalPlan,
    /// The columns as they were.
    old: Vec<Expr>,
    /// The assigned values.
    new: Vec<Option<Expr>>,
}

/// Binds `SET a = x, (b, c) = (y, z)`.
pub(super) fn bind_assignments(
    binder: &mut Binder<'_>,
    assignments: &[ast::Assignment],
    relation: &Relation,
    source: Source,
    place: Place,
) -> Result<Assigned> {
    let target = &source.scope.tables[0];
    let old: Vec<Expr> = target.columns.iter().map(|c| c.value.clone()).collect();
    let mut cx = ExprCx::new(&source.scope, source.plan.schema(), place);
    let mut new: Vec<Option<Expr>> = vec![None; relation.columns.len()];
    for assignment in assignments {
        for (ident, value) in pair_up(binder, assignment, &mut cx)? {
            let at = target_column(relation, ident)?;
            let column = &relation.columns[at];
            if new[at].is_some() {
                return Err(
                    PlanError::syntax(format!("multiple assignments to same column \"{}\"", column.name))
                        .at(ident.span),
                );
            }
            new[at] = Some(match value {
                Value::Default => binder.default_value(column)?,
                Value::Bound(typed) => {
                    check_writable(column).map_err(|error| error.at(ident.span))?;
                    binder
                        .assign(typed, column)
                        .map_err(|error| error.at(assignment.value.span()))?
                }
            });
        }
    }
    let subqueries = cx.subqueries;
    Ok(Assigned {
        plan: binder.attach(source.plan, subqueries)?,
        old,
        new,
    })
}

enum Value {
    Default,
    Bound(Typed),
}

/// Each assigned column with its value.
fn pair_up<'a>(
    binder: &mut Binder<'_>,
    assignment: &'a ast::Assignment,
    cx: &mut ExprCx<'_>,
) -> Result<Vec<(&'a ast::Ident, Value)>> {
    let mut bind = |expr: &ast::Expr| -> Result<Value> {
        match is_default(expr) {
            true => Ok(Value::Default),
            false => Ok(Value::Bound(binder.bind_expr(expr, cx)?)),
        }
    };
    let names = match &assignment.target {
        AssignmentTarget::ColumnName(name) => return Ok(vec![(target_ident(name)?, bind(&assignment.value)?)]),
        AssignmentTarget::Tuple(names) => names,
    };
    let mut idents = Vec::with_capacity(names.len());
    for name in names {
        idents.push(target_ident(name)?);
    }
    let values = match &assignment.value {
        ast::Expr::Tuple(values) => values.iter().map(&mut bind).collect::<Result<Vec<_>>>()?,
        ast::Expr::Subquery(query) => binder
            .bind_row_subquery(query, cx)?
            .into_iter()
            .map(Value::Bound)
            .collect(),
        other => vec![bind(other)?],
    };
    if values.len() != idents.len() {
        return Err(PlanError::syntax("number of columns does not match number of values").at(assignment.value.span()));
    }
    Ok(idents.into_iter().zip(values).collect())
}

/// The table's columns as they were, then as they will be. Generated columns are computed anew.
pub(super) fn old_and_new(binder: &mut Binder<'_>, relation: &Relation, assigned: Assigned) -> Result<Rows> {
    let Assigned { plan, old, new } = assigned;
    // The old columns ride along below the new ones: they are computed first, under names of their own.
    let qualifier = binder.names.fresh("old");
    let fresh = binder.names.fresh("new");
    let mut exprs = Vec::with_capacity(old.len() * 2);
    for (column, value) in relation.columns.iter().zip(&old) {
        exprs.push(value.clone().alias_qualified(Some(qualifier.clone()), &column.name));
    }
    let mut given = Vec::with_capacity(new.len());
    for ((column, value), old) in relation.columns.iter().zip(new).zip(&old) {
        let value = value.unwrap_or_else(|| old.clone());
        exprs.push(value.alias_qualified(Some(fresh.clone()), &column.name));
        given.push(Some(Expr::Column(PlanColumn::new(Some(fresh.clone()), &column.name))));
    }
    let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
    let kept: Vec<Expr> = relation
        .columns
        .iter()
        .map(|c| Expr::Column(PlanColumn::new(Some(qualifier.clone()), &c.name)))
        .collect();
    let rows = binder.complete_row_keeping(plan, relation, given, kept)?;
    let old_columns = relation.columns.iter().map(|column| BoundColumn {
        open: false,
        name: column.name.clone(),
        column: PlanColumn::new(Some(qualifier.clone()), &column.name),
        sql_type: column.sql_type.clone(),
        origin: None,
    });
    Ok(Rows {
        plan: rows.plan,
        columns: old_columns.chain(rows.columns).collect(),
    })
}
