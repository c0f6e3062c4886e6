//! Rows that come from outside, as COPY FROM and connectors bring them: completed to all columns of their table, and
//! for a relation with a watermark, the watermark of each.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, LogicalPlanBuilder};
use highwater_types::SqlType;

use super::assign::parse_stored;
use crate::bind::{Binder, ExprCx, Place, Rows, Scope, ScopeColumn, ScopeTable};
use crate::catalog::Relation;
use crate::context::{PlanContext, RelationSource, ScanTarget, placeholder};
use crate::error::{PlanError, Result};
use crate::query::{QueryPlan, finish, optimize};

/// The name of the column that [`completion_plan`] adds.
pub(crate) const WATERMARK: &str = "watermark";

/// Plans COPY FROM: scans [`crate::placeholder::COPIED`] with just `columns`, yields all columns of the table.
pub fn plan_copy_from(ctx: &PlanContext, table: &Relation, columns: &[usize]) -> Result<QueryPlan> {
    let mut binder = Binder::new(ctx, &[]);
    let rows = copied_rows(&mut binder, table, columns)?;
    let bound = binder.name_outputs(rows)?;
    finish(ctx, bound, Vec::new())
}

/// What completes the rows of a relation that has generated columns or a watermark; `None` for one that has neither.
/// Scans [`crate::placeholder::COPIED`] with the declared (not generated) columns; yields all columns, then the
/// watermark, if there is one, as one `timestamp` column more.
pub fn completion_plan(ctx: &PlanContext, relation: &Relation) -> Result<Option<LogicalPlan>> {
    let is_complete = relation.columns.iter().all(|column| column.generated.is_none());
    if is_complete && relation.watermark.is_none() {
        return Ok(None);
    }
    let declared: Vec<usize> = (0..relation.columns.len())
        .filter(|i| relation.columns[*i].generated.is_none())
        .collect();
    let mut binder = Binder::new(ctx, &[]);
    let rows = copied_rows(&mut binder, relation, &declared)?;
    let Some(watermark) = &relation.watermark else {
        return optimize(ctx, &rows.plan).map(Some);
    };
    let scope = scope_of(relation, &rows);
    let mut cx = ExprCx::new(&scope, rows.plan.schema(), Place::Watermark);
    let expr = parse_stored(&watermark.expression)?;
    let typed = binder.bind_expr(&expr, &mut cx).map_err(PlanError::without_place)?;
    let instant = instant(typed.expr, &typed.sql_type)?;
    let mut exprs: Vec<Expr> = rows
        .columns
        .iter()
        .map(|c| Expr::Column(c.column.clone()).alias(&c.column.name))
        .collect();
    let name = crate::bind::unique_names(relation.columns.iter().map(|c| c.name.as_str()).chain([WATERMARK])).pop();
    exprs.push(instant.alias(name.unwrap_or_default()));
    let plan = LogicalPlanBuilder::from(rows.plan).project(exprs)?.build()?;
    optimize(ctx, &plan).map(Some)
}

/// An instant as microseconds since 1970, whatever the session's time zone.
pub(crate) fn instant(expr: Expr, sql_type: &SqlType) -> Result<Expr> {
    match sql_type {
        SqlType::Timestamp => Ok(expr),
        SqlType::Timestamptz => Ok(Expr::Cast(Cast::new(
            Box::new(expr),
            DataType::Timestamp(TimeUnit::Microsecond, None),
        ))),
        found => Err(PlanError::WrongType {
            place: "the watermark".to_string(),
            expected: SqlType::Timestamptz,
            found: found.clone(),
        }),
    }
}

/// All columns of a table over rows of some of them.
fn copied_rows(binder: &mut Binder<'_>, relation: &Relation, columns: &[usize]) -> Result<Rows> {
    let schema = relation.arrow_schema();
    let fields: Vec<_> = columns
        .iter()
        .map(|i| schema.field(*i).clone().with_nullable(true))
        .collect();
    let target = ScanTarget::Placeholder(placeholder::COPIED);
    let source = Arc::new(RelationSource::new(target, Arc::new(Schema::new(fields))));
    let types = columns.iter().map(|i| &relation.columns[*i]);
    let types = types.map(|c| (c.name.clone(), c.sql_type.clone())).collect();
    let scan = binder.scan(source, "copied", None, types, None, None)?;
    let mut given = vec![None; relation.columns.len()];
    for (column, at) in scan.scope.columns.into_iter().zip(columns) {
        given[*at] = Some(column.value);
    }
    binder.complete_row(scan.plan, relation, given)
}

fn scope_of(relation: &Relation, rows: &Rows) -> Scope {
    let columns = rows.columns.iter().map(|c| ScopeColumn {
        name: c.name.clone(),
        value: Expr::Column(c.column.clone()),
        sql_type: c.sql_type.clone(),
        origin: None,
    });
    Scope::of_table(ScopeTable {
        relation: None,
        alias: relation.name.clone(),
        schema: None,
        columns: columns.collect(),
    })
}
