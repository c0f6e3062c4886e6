//! VALUES: rows of expressions whose columns meet in one type each.

use datafusion::common::Column;
use datafusion::logical_expr::logical_plan::Union;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use highwater_types::SqlType;
use sqlparser::ast::{self, Spanned};
use std::sync::Arc;

use super::scope::Scope;
use super::{Binder, BoundColumn, Casting, ExprCx, Place, Rows, Typed};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    /// Binds rows of expressions. A column whose values all have no type takes the expected one, or text; with an
    /// expected type, values without type are read as that type.
    pub(crate) fn bind_value_rows(
        &mut self,
        rows: &[Vec<ast::Expr>],
        expected: &[SqlType],
        place: Place,
    ) -> Result<Rows> {
        let width = rows.first().map_or(0, Vec::len);
        let scope = Scope::default();
        let mut cx = ExprCx::new(&scope, &datafusion::common::DFSchema::empty(), place);
        let mut columns: Vec<Vec<Typed>> = vec![Vec::with_capacity(rows.len()); width];
        for row in rows {
            if row.len() != width {
                let error = PlanError::syntax("VALUES lists must all be the same length");
                return Err(row.first().map_or(error.clone(), |e| error.at(e.span())));
            }
            for (i, expr) in row.iter().enumerate() {
                let typed = self.bind_expr(expr, &mut cx)?;
                let typed = match expected.get(i) {
                    Some(to) if typed.is_unknown() && *to != SqlType::Unknown => self
                        .coerce(typed, to, Casting::Assignment)
                        .map_err(|error| error.at(expr.span()))?,
                    _ => typed,
                };
                columns[i].push(typed);
            }
        }
        let mut exprs: Vec<Vec<Expr>> = vec![Vec::with_capacity(width); rows.len()];
        let mut types = Vec::with_capacity(width);
        let open: Vec<bool> = columns
            .iter()
            .map(|column| column.iter().all(Typed::is_unknown))
            .collect();
        for column in columns {
            let (values, common) = self.unify(column, "VALUES")?;
            for (row, value) in exprs.iter_mut().zip(values) {
                row.push(value);
            }
            types.push(common);
        }
        let mut rows = self.value_plan(exprs, &types, cx)?;
        for (column, open) in rows.columns.iter_mut().zip(open) {
            column.open = open;
        }
        Ok(rows)
    }

    /// Rows of values whose columns have these types.
    pub(crate) fn value_plan(&mut self, rows: Vec<Vec<Expr>>, types: &[SqlType], cx: ExprCx<'_>) -> Result<Rows> {
        let qualifier = self.names.fresh("values");
        let columns: Vec<BoundColumn> = types
            .iter()
            .enumerate()
            .map(|(i, sql_type)| BoundColumn {
                open: false,
                name: format!("column{}", i + 1),
                column: Column::new(Some(qualifier.clone()), format!("column{}", i + 1)),
                sql_type: sql_type.clone(),
                origin: None,
            })
            .collect();
        let looks_out = rows.iter().flatten().any(super::decorrelate::has_outer);
        let plan = if cx.subqueries.is_empty() && !looks_out && rows.len() > 1 && !types.is_empty() {
            let plan = LogicalPlanBuilder::values(rows)?.build()?;
            let named = plan.schema().columns().into_iter().zip(&columns);
            let exprs: Vec<Expr> = named
                .map(|(c, out)| Expr::Column(c).alias_qualified(out.column.relation.clone(), &out.column.name))
                .collect();
            LogicalPlanBuilder::from(plan).project(exprs)?.build()?
        } else {
            self.value_union(rows, &columns, cx)?
        };
        Ok(Rows { plan, columns })
    }

    /// Rows that look at an outer query or hold subqueries: each by itself.
    fn value_union(&mut self, rows: Vec<Vec<Expr>>, columns: &[BoundColumn], cx: ExprCx<'_>) -> Result<LogicalPlan> {
        if rows.len() > 1 && !cx.subqueries.is_empty() {
            return Err(PlanError::unsupported(
                "a subquery in one of several rows of VALUES",
                "Use SELECT ... UNION ALL SELECT ...",
            ));
        }
        let base = self.attach(LogicalPlanBuilder::empty(true).build()?, cx.subqueries)?;
        let mut plans = Vec::with_capacity(rows.len());
        for row in rows {
            let exprs: Vec<Expr> = row
                .into_iter()
                .zip(columns)
                .map(|(value, out)| value.alias_qualified(out.column.relation.clone(), &out.column.name))
                .collect();
            plans.push(Arc::new(
                LogicalPlanBuilder::from(base.clone()).project(exprs)?.build()?,
            ));
        }
        match <[Arc<LogicalPlan>; 1]>::try_from(plans) {
            Ok([only]) => Ok(Arc::unwrap_or_clone(only)),
            Err(plans) => {
                let union = LogicalPlan::Union(Union::try_new_with_loose_types(plans)?);
                let named = union.schema().columns().into_iter().zip(columns);
                let exprs: Vec<Expr> = named
                    .map(|(c, out)| Expr::Column(c).alias_qualified(out.column.relation.clone(), &out.column.name))
                    .collect();
                Ok(LogicalPlanBuilder::from(union).project(exprs)?.build()?)
            }
        }
    }
}
