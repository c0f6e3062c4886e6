//! Plans of INSERT, UPDATE, DELETE and COPY FROM: each is a query that yields the rows to be written, and what
//! RETURNING makes of them. Constraints (NOT NULL, keys) are checked by whoever writes the rows.

mod assign;
mod copy;
mod delete;
mod insert;
mod on_conflict;
mod update;

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use highwater_types::RelationId;
use sqlparser::ast::{self, Spanned};

use crate::bind::{Binder, Named, Source, fold};
use crate::catalog::{Relation, RelationKind};
use crate::context::{PlanContext, RelationSource, ScanTarget, placeholder};
use crate::error::{PlanError, Result};
use crate::query::{BoundQuery, OutputColumn, QueryPlan, optimize};

pub(crate) use copy::instant;
pub use copy::{completion_plan, plan_copy_from};
pub use delete::plan_delete;
pub use insert::plan_insert;
pub use on_conflict::conflict_schema;
pub use update::plan_update;

/// INSERT.
#[derive(Debug, Clone)]
pub struct InsertPlan {
    /// Into which table.
    pub table: RelationId,
    /// The rows: exactly the table's columns, with defaults, generated columns and assignment casts done.
    pub source: QueryPlan,
    /// What to do with rows whose key exists.
    pub on_conflict: Option<OnConflict>,
    /// RETURNING.
    pub returning: Option<Returning>,
}

/// ON CONFLICT.
#[derive(Debug, Clone)]
pub enum OnConflict {
    /// DO NOTHING.
    Nothing {
        /// The columns of the key, in the table's order; `None` for any.
        target: Option<Vec<usize>>,
    },
    /// DO UPDATE.
    Update {
        /// The columns of the key, in the table's order.
        target: Vec<usize>,
        /// Scans [`crate::placeholder::CONFLICT`] (existing columns, then excluded columns) and yields, for rows to
        /// be changed, old columns, then new columns.
        plan: LogicalPlan,
    },
}

/// UPDATE.
#[derive(Debug, Clone)]
pub struct UpdatePlan {
    /// Which table.
    pub table: RelationId,
    /// The table's columns as they were, then as they will be.
    pub source: QueryPlan,
    /// RETURNING.
    pub returning: Option<Returning>,
}

/// DELETE.
#[derive(Debug, Clone)]
pub struct DeletePlan {
    /// Which table.
    pub table: RelationId,
    /// The table's columns as they were.
    pub source: QueryPlan,
    /// RETURNING.
    pub returning: Option<Returning>,
}

/// RETURNING.
#[derive(Debug, Clone)]
pub struct Returning {
    /// Scans [`crate::placeholder::CHANGED`], with the table's columns.
    pub plan: LogicalPlan,
    /// The result's columns.
    pub columns: Vec<OutputColumn>,
}

/// The table that a statement writes to.
fn target_table(binder: &mut Binder<'_>, name: &ast::ObjectName, verb: &str) -> Result<Arc<Relation>> {
    let refused = |message: String, hint: &str| {
        PlanError::WrongObject {
            message,
            hint: Some(hint.to_string()),
        }
        .at(name.span())
    };
    let relation = match binder.find_relation(name)? {
        Named::Relation(relation) => relation,
        Named::System { name, .. } => {
            return Err(refused(format!("cannot change system relation \"{name}\""), "Use DDL."));
        }
    };
    let named = &relation.name;
    match &relation.kind {
        RelationKind::Table { .. } => {}
        RelationKind::Source(_) => {
            return Err(refused(
                format!("cannot change source \"{named}\""),
                "Its rows come from its connector.",
            ));
        }
        RelationKind::View { .. } => {
            return Err(refused(
                format!("cannot {verb} view \"{named}\""),
                "Change the tables it reads.",
            ));
        }
        RelationKind::MaterializedView { .. } => {
            return Err(refused(
                format!("cannot change materialized view \"{named}\""),
                "It changes with the relations it reads.",
            ));
        }
        RelationKind::Index { .. } => {
            return Err(refused(format!("\"{named}\" is an index"), "Name the table."));
        }
    }
    if relation.append_only && verb != "insert into" {
        return Err(refused(
            format!("cannot {verb} append-only table \"{named}\""),
            "An APPEND ONLY table takes INSERT alone.",
        ));
    }
    Ok(relation)
}

/// Binds RETURNING over the changed rows, which are seen under the table's name or alias.
fn bind_returning(
    binder: &mut Binder<'_>,
    relation: &Relation,
    alias: Option<&ast::Ident>,
    items: Option<&[ast::SelectItem]>,
) -> Result<Option<BoundQuery>> {
    let Some(items) = items else {
        return Ok(None);
    };
    let source = changed_rows(binder, relation, alias)?;
    let rows = binder.bind_returning(items, source)?;
    binder.name_outputs(rows).map(Some)
}

/// A scan of the rows that the statement changed.
fn changed_rows(binder: &mut Binder<'_>, relation: &Relation, alias: Option<&ast::Ident>) -> Result<Source> {
    let source = RelationSource::new(ScanTarget::Placeholder(placeholder::CHANGED), relation.arrow_schema());
    let alias = alias.map(|name| table_alias(name.clone()));
    let columns = relation
        .columns
        .iter()
        .map(|c| (c.name.clone(), c.sql_type.clone()))
        .collect();
    let id = Some(relation.id);
    binder.scan(
        Arc::new(source),
        &relation.name,
        Some(&relation.schema),
        columns,
        id,
        alias.as_ref(),
    )
}

/// An alias without column names.
fn table_alias(name: ast::Ident) -> ast::TableAlias {
    ast::TableAlias {
        explicit: true,
        name,
        columns: Vec::new(),
        at: None,
    }
}

/// The position of a column that the statement names as a target.
fn target_column(relation: &Relation, name: &ast::Ident) -> Result<usize> {
    let folded = fold(name);
    relation.column_index(&folded).ok_or_else(|| {
        PlanError::UndefinedColumnOf {
            column: folded,
            relation: relation.name.clone(),
        }
        .at(name.span)
    })
}

/// The last part of a target's name: `t.a` and `a` both mean column a.
fn target_ident(name: &ast::ObjectName) -> Result<&ast::Ident> {
    match name.0.as_slice() {
        [.., ast::ObjectNamePart::Identifier(ident)] => Ok(ident),
        _ => Err(PlanError::syntax(format!("syntax error at or near \"{name}\""))),
    }
}

fn optimize_returning(ctx: &PlanContext, returning: Option<BoundQuery>) -> Result<Option<Returning>> {
    returning
        .map(|bound| {
            Ok(Returning {
                plan: optimize(ctx, &bound.plan)?,
                columns: bound.columns,
            })
        })
        .transpose()
}
