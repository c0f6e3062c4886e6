//! DELETE.

use datafusion::common::Column as PlanColumn;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use highwater_types::SqlType;
use sqlparser::ast::{self, FromTable};

use super::update::{join_target, plain_table};
use super::{DeletePlan, bind_returning, optimize_returning, target_table};
use crate::bind::{Binder, BoundColumn, Rows};
use crate::context::PlanContext;
use crate::error::{PlanError, Result};
use crate::query::finish;

/// Plans DELETE.
pub fn plan_delete(ctx: &PlanContext, delete: &ast::Delete, declared: &[Option<SqlType>]) -> Result<DeletePlan> {
    if !delete.tables.is_empty() || !delete.order_by.is_empty() || delete.limit.is_some() {
        return Err(PlanError::unsupported(
            "DELETE with several tables, ORDER BY or LIMIT",
            "Use DELETE FROM t USING ... WHERE ...",
        ));
    }
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let [table] = tables.as_slice() else {
        return Err(PlanError::syntax("DELETE names one table; others go after USING"));
    };
    let mut binder = Binder::new(ctx, declared);
    let (name, alias) = plain_table(table)?;
    let relation = target_table(&mut binder, name, "delete from")?;
    let using = delete.using.as_deref().unwrap_or(&[]);
    let kept = join_target(&mut binder, &relation, alias, using, delete.selection.as_ref())?;
    let old: Vec<Expr> = kept.scope.tables[0].columns.iter().map(|c| c.value.clone()).collect();
    let qualifier = binder.names.fresh("old");
    let mut exprs = Vec::with_capacity(old.len());
    let mut columns = Vec::with_capacity(old.len());
    for (value, column) in old.into_iter().zip(&relation.columns) {
        exprs.push(value.alias_qualified(Some(qualifier.clone()), &column.name));
        columns.push(BoundColumn {
            open: false,
            name: column.name.clone(),
            column: PlanColumn::new(Some(qualifier.clone()), &column.name),
            sql_type: column.sql_type.clone(),
            origin: None,
        });
    }
    let plan = LogicalPlanBuilder::from(kept.plan).project(exprs)?.build()?;
    let source = binder.name_outputs(Rows { plan, columns })?;
    let returning = bind_returning(&mut binder, &relation, alias, delete.returning.as_deref())?;
    let params = binder.parameter_types()?;
    Ok(DeletePlan {
        table: relation.id,
        source: finish(ctx, source, params)?,
        returning: optimize_returning(ctx, returning)?,
    })
}
