//! INSERT.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use highwater_types::SqlType;
use sqlparser::ast::{self, SetExpr, Spanned, TableObject};

use super::assign::{check_writable, is_default};
use super::on_conflict::bind_on_conflict;
use super::{InsertPlan, bind_returning, optimize_returning, target_column, target_ident, target_table};
use crate::bind::{Binder, ExprCx, Place, Rows, Scope, Typed};
use crate::catalog::Relation;
use crate::context::PlanContext;
use crate::error::{PlanError, Result};
use crate::query::finish;

/// Plans INSERT.
pub fn plan_insert(ctx: &PlanContext, insert: &ast::Insert, declared: &[Option<SqlType>]) -> Result<InsertPlan> {
    refuse_clauses(insert)?;
    let TableObject::TableName(name) = &insert.table else {
        return Err(PlanError::unsupported(
            "INSERT into a function or query",
            "Name a table.",
        ));
    };
    let mut binder = Binder::new(ctx, declared);
    let relation = target_table(&mut binder, name, "insert into")?;
    let alias = insert.table_alias.as_ref().map(|a| &a.alias);
    let rows = bind_rows(&mut binder, insert, &relation)?;
    let source = binder.name_outputs(rows)?;
    let on_conflict = match &insert.on {
        None => None,
        Some(ast::OnInsert::OnConflict(clause)) => Some(bind_on_conflict(ctx, &mut binder, clause, &relation, alias)?),
        Some(other) => return Err(PlanError::unsupported(other.to_string(), "Use ON CONFLICT.")),
    };
    let returning = bind_returning(&mut binder, &relation, alias, insert.returning.as_deref())?;
    let params = binder.parameter_types()?;
    Ok(InsertPlan {
        table: relation.id,
        source: finish(ctx, source, params)?,
        on_conflict,
        returning: optimize_returning(ctx, returning)?,
    })
}

fn refuse_clauses(insert: &ast::Insert) -> Result<()> {
    let refused = [
        (
            insert.or.is_some() || insert.replace_into || insert.ignore,
            "INSERT OR",
            "Use ON CONFLICT.",
        ),
        (insert.overwrite, "INSERT OVERWRITE", "Use DELETE, then INSERT."),
        (insert.partitioned.is_some(), "INSERT ... PARTITION", ""),
        (!insert.assignments.is_empty(), "INSERT ... SET", "Use VALUES."),
        (
            insert.insert_alias.is_some(),
            "a row alias",
            "Use ON CONFLICT ... excluded.",
        ),
    ];
    match refused.iter().find(|(is_there, _, _)| *is_there) {
        Some((_, construct, hint)) => Err(PlanError::unsupported(*construct, *hint)),
        None => Ok(()),
    }
}

/// The rows to be inserted, with all columns of the table.
fn bind_rows(binder: &mut Binder<'_>, insert: &ast::Insert, relation: &Arc<Relation>) -> Result<Rows> {
    let targets = targets(insert, relation)?;
    let Some(query) = &insert.source else {
        let one = LogicalPlanBuilder::empty(true).build()?;
        return binder.complete_row(one, relation, Vec::new());
    };
    match query.body.as_ref() {
        SetExpr::Values(values) if is_plain(query) => {
            let rows: Vec<&[ast::Expr]> = values.rows.iter().map(|row| row.content.as_slice()).collect();
            insert_values(binder, &rows, &targets, !insert.columns.is_empty(), relation)
        }
        _ => insert_query(binder, query, &targets, !insert.columns.is_empty(), relation),
    }
}

fn is_plain(query: &ast::Query) -> bool {
    query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none()
}

/// The columns that values are given for, in the order given.
fn targets(insert: &ast::Insert, relation: &Relation) -> Result<Vec<usize>> {
    if insert.columns.is_empty() {
        return Ok((0..relation.columns.len())
            .filter(|i| relation.columns[*i].generated.is_none())
            .collect());
    }
    let mut targets = Vec::with_capacity(insert.columns.len());
    for name in &insert.columns {
        let ident = target_ident(name)?;
        let column = target_column(relation, ident)?;
        if targets.contains(&column) {
            return Err(PlanError::DuplicateColumn {
                name: relation.columns[column].name.clone(),
            }
            .at(ident.span));
        }
        targets.push(column);
    }
    Ok(targets)
}

fn check_count(count: usize, targets: &[usize], named: bool) -> Result<()> {
    if count > targets.len() {
        return Err(PlanError::syntax("INSERT has more expressions than target columns"));
    }
    if count < targets.len() && named {
        return Err(PlanError::syntax("INSERT has more target columns than expressions"));
    }
    Ok(())
}

/// INSERT ... SELECT.
fn insert_query(
    binder: &mut Binder<'_>,
    query: &ast::Query,
    targets: &[usize],
    named: bool,
    relation: &Relation,
) -> Result<Rows> {
    let types: Vec<SqlType> = targets.iter().map(|i| relation.columns[*i].sql_type.clone()).collect();
    let rows = binder.bind_query(query, &types)?;
    check_count(rows.columns.len(), targets, named).map_err(|error| error.at(query.body.span()))?;
    let mut given = vec![None; relation.columns.len()];
    for (column, target) in rows.columns.into_iter().zip(targets) {
        let declared = &relation.columns[*target];
        check_writable(declared)?;
        let value = Typed::new(Expr::Column(column.column), column.sql_type);
        given[*target] = Some(
            binder
                .assign(value, declared)
                .map_err(|error| error.at(query.body.span()))?,
        );
    }
    binder.complete_row(rows.plan, relation, given)
}

/// INSERT ... VALUES: each value is assigned by itself, so that rows need not agree in their types.
fn insert_values(
    binder: &mut Binder<'_>,
    rows: &[&[ast::Expr]],
    targets: &[usize],
    named: bool,
    relation: &Relation,
) -> Result<Rows> {
    let width = rows.first().map_or(0, |row| row.len());
    let scope = Scope::default();
    let mut cx = ExprCx::new(&scope, &DFSchema::empty(), Place::Values);
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        if row.len() != width {
            let error = PlanError::syntax("VALUES lists must all be the same length");
            return Err(row.first().map_or(error.clone(), |e| error.at(e.span())));
        }
        check_count(width, targets, named).map_err(|error| {
            let extra = row.get(targets.len()).or(row.last());
            extra.map_or(error.clone(), |e| error.at(e.span()))
        })?;
        let mut bound = Vec::with_capacity(width);
        for (expr, target) in row.iter().zip(targets) {
            bound.push(bind_value(binder, expr, *target, relation, &mut cx)?);
        }
        values.push(bound);
    }
    let given_targets = &targets[..width];
    let plain: Vec<usize> = (0..width)
        .filter(|i| relation.columns[given_targets[*i]].generated.is_none())
        .collect();
    let types: Vec<SqlType> = plain
        .iter()
        .map(|i| relation.columns[given_targets[*i]].sql_type.clone())
        .collect();
    let values: Vec<Vec<Expr>> = values
        .into_iter()
        .map(|row| plain.iter().map(|i| row[*i].clone()).collect())
        .collect();
    let rows = binder.value_plan(values, &types, cx)?;
    let mut given = vec![None; relation.columns.len()];
    for (column, at) in rows.columns.iter().zip(&plain) {
        given[given_targets[*at]] = Some(Expr::Column(column.column.clone()));
    }
    let plan: LogicalPlan = rows.plan;
    binder.complete_row(plan, relation, given)
}

fn bind_value(
    binder: &mut Binder<'_>,
    expr: &ast::Expr,
    target: usize,
    relation: &Relation,
    cx: &mut ExprCx<'_>,
) -> Result<Expr> {
    let column = &relation.columns[target];
    if is_default(expr) {
        return binder.default_value(column);
    }
    check_writable(column).map_err(|error| error.at(expr.span()))?;
    let typed = binder.bind_expr(expr, cx)?;
    binder.assign(typed, column).map_err(|error| error.at(expr.span()))
}
