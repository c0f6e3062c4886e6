//! WITH: each reference to an item binds the item's query in its place; a recursive item is computed by iteration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{Field, Schema};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use highwater_types::SqlType;
use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier, Spanned};

use super::from::{derived, with_column_names};
use super::scope::{Scope, ScopeColumn, ScopeTable, fold};
use super::{Binder, BoundColumn, Casting, Rows, Source, Typed};
use crate::error::{PlanError, Result};

/// A WITH item in sight.
#[derive(Debug)]
pub(crate) struct Cte {
    name: String,
    kind: CteKind,
    /// Whether anything refers to it.
    used: AtomicBool,
}

#[derive(Debug)]
enum CteKind {
    /// A query, to be bound with the items and scopes that were in sight where it stands.
    Query {
        query: Box<ast::Query>,
        alias: ast::TableAlias,
        recursive: bool,
        item_count: usize,
        scope_count: usize,
    },
    /// The rows of the last iteration, inside of a recursive item's query.
    Working {
        table: String,
        columns: Vec<(String, SqlType)>,
    },
}

impl Binder<'_> {
    /// Brings the items of a WITH clause in sight.
    pub(crate) fn open_with(&mut self, with: &ast::With) -> Result<()> {
        let first = self.ctes.len();
        for item in &with.cte_tables {
            let name = fold(&item.alias.name);
            if self.ctes[first..].iter().any(|c| c.name == name) {
                return Err(PlanError::from(highwater_types::SqlError::new(
                    highwater_types::SqlState::DUPLICATE_ALIAS,
                    format!("WITH query name \"{name}\" specified more than once"),
                ))
                .at(item.alias.name.span));
            }
            let item_count = self.ctes.len();
            self.ctes.push(Arc::new(Cte {
                name,
                kind: CteKind::Query {
                    query: item.query.clone(),
                    alias: item.alias.clone(),
                    recursive: with.recursive,
                    item_count,
                    scope_count: self.outer.len(),
                },
                used: AtomicBool::new(false),
            }));
        }
        Ok(())
    }

    /// Closes the items above `depth`. One that nothing refers to is bound all the same, so that its errors show.
    pub(crate) fn close_with(&mut self, depth: usize) -> Result<()> {
        for at in (depth..self.ctes.len()).rev() {
            let cte = Arc::clone(&self.ctes[at]);
            if !cte.used.load(Ordering::Relaxed) {
                self.bind_item(&cte)?;
            }
        }
        self.ctes.truncate(depth);
        Ok(())
    }

    /// The rows of the item of this name, if one is in sight.
    pub(crate) fn bind_cte(&mut self, name: &str, alias: Option<&ast::TableAlias>) -> Result<Option<Source>> {
        let Some(cte) = self.ctes.iter().rev().find(|c| c.name == name).cloned() else {
            return Ok(None);
        };
        let mut source = self.bind_item(&cte)?;
        let mut table = source.scope.tables.swap_remove(0);
        table.alias = alias.map_or_else(|| name.to_string(), |a| fold(&a.name));
        source.scope = Scope::of_table(with_column_names(table, alias)?);
        Ok(Some(source))
    }

    fn bind_item(&mut self, cte: &Cte) -> Result<Source> {
        cte.used.store(true, Ordering::Relaxed);
        match &cte.kind {
            CteKind::Working { table, columns } => self.working_rows(table, columns),
            CteKind::Query {
                query,
                alias,
                recursive,
                item_count,
                scope_count,
            } => {
                let later = self.ctes.split_off(*item_count);
                let inner = self.outer.split_off((*scope_count).min(self.outer.len()));
                let rows = match *recursive && refers_to(query, &cte.name) {
                    true => self.bind_recursive(&cte.name, query, alias),
                    false => self.bind_query(query, &[]),
                };
                self.outer.extend(inner);
                self.ctes.extend(later);
                derived(rows?, Some(alias))
            }
        }
    }

    /// `base UNION [ALL] step`, where the step reads the item itself.
    fn bind_recursive(&mut self, name: &str, query: &ast::Query, alias: &ast::TableAlias) -> Result<Rows> {
        let depth = self.ctes.len();
        if let Some(with) = &query.with {
            self.open_with(with)?;
        }
        let rows = self.bind_iteration(name, query, alias)?;
        self.close_with(depth)?;
        Ok(rows)
    }

    fn bind_iteration(&mut self, name: &str, query: &ast::Query, alias: &ast::TableAlias) -> Result<Rows> {
        let SetExpr::SetOperation {
            left,
            op: SetOperator::Union,
            set_quantifier,
            right,
        } = query.body.as_ref()
        else {
            return Err(PlanError::syntax(format!(
                "recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term"
            ))
            .at(alias.name.span));
        };
        if query.order_by.is_some() || query.limit_clause.is_some() {
            return Err(PlanError::unsupported(
                "ORDER BY or LIMIT in a recursive query",
                "Put it on the query that reads the WITH item.",
            )
            .at(query.body.span()));
        }
        let base = self.bind_set_expr(left, &[])?;
        let table = self.names.fresh(name);
        let names = super::scope::unique_names(base.columns.iter().map(|c| c.name.as_str()));
        let (base_plan, columns) = self.base_rows(base, &table, &names)?;
        let visible = columns.iter().enumerate().map(|(i, c)| {
            let shown = alias.columns.get(i).map_or_else(|| c.name.clone(), |a| fold(&a.name));
            (shown, c.sql_type.clone())
        });
        let working = Arc::new(Cte {
            name: name.to_string(),
            kind: CteKind::Working {
                table: table.table().to_string(),
                columns: visible.collect(),
            },
            used: AtomicBool::new(true),
        });
        self.ctes.push(working);
        let step = self.bind_set_expr(right, &[]);
        self.ctes.pop();
        let step = step?;
        if step.columns.len() != columns.len() {
            return Err(PlanError::syntax(
                "each UNION query must have the same number of columns",
            ));
        }
        let mut exprs = Vec::with_capacity(columns.len());
        for (i, (from, to)) in step.columns.into_iter().zip(&columns).enumerate() {
            let found = from.sql_type.clone();
            let value = self
                .coerce(
                    Typed::new(Expr::Column(from.column), from.sql_type),
                    &to.sql_type,
                    Casting::Implicit,
                )
                .map_err(|_| recursion_type(name, i, &to.sql_type, &found))?;
            exprs.push(value.expr.alias_qualified(to.column.relation.clone(), &to.column.name));
        }
        let step = LogicalPlanBuilder::from(step.plan).project(exprs)?.build()?;
        let distinct = !matches!(set_quantifier, SetQuantifier::All);
        let plan = LogicalPlanBuilder::from(base_plan)
            .to_recursive_query(table.table().to_string(), step, distinct)?
            .build()?;
        // What is read of the iteration has names of its own.
        let qualifier = self.names.fresh(name);
        let mut exprs = Vec::with_capacity(columns.len());
        let mut outward = Vec::with_capacity(columns.len());
        for (from, column) in plan.schema().columns().into_iter().zip(columns) {
            let unique = column.column.name.clone();
            exprs.push(Expr::Column(from).alias_qualified(Some(qualifier.clone()), &unique));
            outward.push(BoundColumn {
                column: Column::new(Some(qualifier.clone()), unique),
                ..column
            });
        }
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        Ok(Rows { plan, columns: outward })
    }

    fn base_rows(
        &mut self,
        base: Rows,
        table: &datafusion::common::TableReference,
        names: &[String],
    ) -> Result<(datafusion::logical_expr::LogicalPlan, Vec<BoundColumn>)> {
        let mut exprs = Vec::with_capacity(names.len());
        let mut columns = Vec::with_capacity(names.len());
        for (column, unique) in base.columns.into_iter().zip(names) {
            exprs.push(Expr::Column(column.column).alias_qualified(Some(table.clone()), unique));
            columns.push(BoundColumn {
                open: false,
                name: column.name,
                column: Column::new(Some(table.clone()), unique),
                sql_type: column.sql_type,
                origin: None,
            });
        }
        let plan = LogicalPlanBuilder::from(base.plan).project(exprs)?.build()?;
        Ok((plan, columns))
    }

    /// A scan of the last iteration's rows.
    fn working_rows(&mut self, table: &str, columns: &[(String, SqlType)]) -> Result<Source> {
        let names = super::scope::unique_names(columns.iter().map(|(name, _)| name.as_str()));
        let fields: Vec<Field> = columns
            .iter()
            .zip(&names)
            .map(|((_, sql_type), name)| sql_type.to_field(name).as_ref().clone())
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let source = provider_as_source(Arc::new(CteWorkTable::new(table, schema)));
        let qualifier = self.names.fresh(table);
        let plan = LogicalPlanBuilder::scan(qualifier.clone(), source, None)?.build()?;
        let scope_columns = columns.iter().zip(names).map(|((name, sql_type), unique)| ScopeColumn {
            name: name.clone(),
            value: Expr::Column(Column::new(Some(qualifier.clone()), unique)),
            sql_type: sql_type.clone(),
            origin: None,
        });
        Ok(Source {
            plan,
            scope: Scope::of_table(ScopeTable {
                relation: None,
                alias: table.to_string(),
                schema: None,
                columns: scope_columns.collect(),
            }),
        })
    }
}

/// Whether a query names a relation, anywhere in it.
fn refers_to(query: &ast::Query, name: &str) -> bool {
    let mut found = false;
    let _ = ast::visit_relations(query, |relation| {
        if let [part] = super::scope::fold_name(relation).as_slice()
            && part == name
        {
            found = true;
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    found
}

fn recursion_type(name: &str, column: usize, base: &SqlType, step: &SqlType) -> PlanError {
    PlanError::from(
        highwater_types::SqlError::new(
            highwater_types::SqlState::DATATYPE_MISMATCH,
            format!(
                "recursive query \"{name}\" column {} has type {base} in non-recursive term but type {step} overall",
                column + 1
            ),
        )
        .with_hint("Cast the output of the non-recursive term to the correct type."),
    )
}
