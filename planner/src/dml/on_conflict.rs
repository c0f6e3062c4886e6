//! ON CONFLICT.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Column as PlanColumn;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use sqlparser::ast::{self, ConflictTarget, OnConflictAction, Spanned};

use super::update::{bind_assignments, old_and_new};
use super::{OnConflict, target_column};
use crate::bind::{Binder, Place, Scope, ScopeColumn, ScopeTable, Source, fold, fold_name, unique_names};
use crate::catalog::{Relation, RelationKind};
use crate::context::{PlanContext, RelationSource, ScanTarget, placeholder};
use crate::error::{PlanError, Result};
use crate::query::optimize;

pub(super) fn bind_on_conflict(
    ctx: &PlanContext,
    binder: &mut Binder<'_>,
    clause: &ast::OnConflict,
    relation: &Relation,
    alias: Option<&ast::Ident>,
) -> Result<OnConflict> {
    let target = match &clause.conflict_target {
        None => None,
        Some(target) => Some(conflict_key(ctx, target, relation)?),
    };
    match (&clause.action, target) {
        (OnConflictAction::DoNothing, target) => Ok(OnConflict::Nothing { target }),
        (OnConflictAction::DoUpdate(_), None) => Err(PlanError::syntax(
            "ON CONFLICT DO UPDATE requires inference specification or constraint name",
        )),
        (OnConflictAction::DoUpdate(update), Some(target)) => {
            let source = conflict_rows(binder, relation, alias)?;
            let source = binder.bind_where(source, update.selection.as_ref(), "WHERE", Place::OnConflict)?;
            let assigned = bind_assignments(binder, &update.assignments, relation, source, Place::OnConflict)?;
            let rows = old_and_new(binder, relation, assigned)?;
            let bound = binder.name_outputs(rows)?;
            Ok(OnConflict::Update {
                target,
                plan: optimize(ctx, &bound.plan)?,
            })
        }
    }
}

/// The columns of the key that a conflict target names: of the primary key, or of a unique index.
fn conflict_key(ctx: &PlanContext, target: &ConflictTarget, relation: &Relation) -> Result<Vec<usize>> {
    let unmatched = || PlanError::InvalidReference {
        message: "there is no unique or exclusion constraint matching the ON CONFLICT specification".to_string(),
    };
    let indexes: Vec<&Arc<Relation>> = ctx.catalog.indexes_on(relation.id).collect();
    let unique = |r: &&Arc<Relation>| match &r.kind {
        RelationKind::Index {
            columns, unique: true, ..
        } => Some((r.name.clone(), columns.clone())),
        _ => None,
    };
    let mut keys: Vec<(String, Vec<usize>)> = indexes.iter().filter_map(unique).collect();
    if let (RelationKind::Table { primary_key_name }, Some(key)) = (&relation.kind, &relation.key) {
        let name = primary_key_name
            .clone()
            .unwrap_or_else(|| format!("{}_pkey", relation.name));
        keys.insert(0, (name, key.clone()));
    }
    match target {
        ConflictTarget::Columns(names) => {
            let mut wanted = Vec::with_capacity(names.len());
            for name in names {
                wanted.push(target_column(relation, name)?);
            }
            let same = |key: &&(String, Vec<usize>)| {
                key.1.len() == wanted.len() && key.1.iter().all(|column| wanted.contains(column))
            };
            keys.iter().find(same).map(|(_, key)| key.clone()).ok_or_else(unmatched)
        }
        ConflictTarget::OnConstraint(name) => {
            let wanted = fold_name(name).pop().unwrap_or_default();
            let found = keys.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, key)| key.clone()).ok_or_else(|| {
                PlanError::UndefinedObject {
                    kind: "constraint",
                    name: wanted,
                }
                .at(name.span())
            })
        }
    }
}

/// The columns of the rows that ON CONFLICT DO UPDATE is planned over: those of the existing row, then those of the
/// excluded one, named apart.
pub fn conflict_schema(relation: &Relation) -> SchemaRef {
    let schema = relation.arrow_schema();
    let shown = relation.columns.iter().map(|c| c.name.clone());
    let excluded = relation.columns.iter().map(|c| format!("excluded {}", c.name));
    let hints: Vec<String> = shown.chain(excluded).collect();
    let names = unique_names(hints.iter().map(String::as_str));
    let fields = schema.fields().iter().chain(schema.fields()).zip(&names);
    let fields: Vec<Field> = fields
        .map(|(field, name)| field.as_ref().clone().with_name(name).with_nullable(true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Pairs of an existing row, under the table's name, and an excluded one.
fn conflict_rows(binder: &mut Binder<'_>, relation: &Relation, alias: Option<&ast::Ident>) -> Result<Source> {
    let schema = conflict_schema(relation);
    let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    let target = ScanTarget::Placeholder(placeholder::CONFLICT);
    let source = Arc::new(RelationSource::new(target, schema));
    let qualifier = binder.names.fresh(&relation.name);
    let plan = LogicalPlanBuilder::scan(qualifier.clone(), source, None)?.build()?;
    let table = |alias: String, names: &[String]| ScopeTable {
        relation: None,
        alias,
        schema: None,
        columns: relation
            .columns
            .iter()
            .zip(names)
            .map(|(column, name)| ScopeColumn {
                name: column.name.clone(),
                value: Expr::Column(PlanColumn::new(Some(qualifier.clone()), name)),
                sql_type: column.sql_type.clone(),
                origin: None,
            })
            .collect(),
    };
    let (existing, excluded) = names.split_at(relation.columns.len());
    let existing = table(alias.map_or_else(|| relation.name.clone(), fold), existing);
    let excluded = table("excluded".to_string(), excluded);
    // A bare name means the existing row.
    let scope = Scope {
        columns: existing.columns.clone(),
        tables: vec![existing, excluded],
    };
    Ok(Source { plan, scope })
}
