//! Names in statements: what they stand for, where a new object goes, and the words for kinds of objects.

use std::sync::Arc;

use highwater_parser::ObjectKind;
use highwater_planner::catalog::{Relation, RelationKind};
use highwater_types::{SqlError, SqlState};
use sqlparser::ast;

use crate::session::Session;

impl Session {
    /// Finds the relation that a name stands for.
    pub(in crate::session) fn find(&self, name: &ast::ObjectName) -> Result<Arc<Relation>, SqlError> {
        let parts: Vec<String> = name.0.iter().map(fold_part).collect();
        let world = self.world();
        let found = match parts.as_slice() {
            [name] => world.catalog.resolve(&self.plan_settings().search_path, name),
            [schema, name] | [_, schema, name] => world.catalog.find(schema, name),
            _ => None,
        };
        found.cloned().ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{}\" does not exist", parts.join(".")),
            )
        })
    }

    /// Where a new object goes: its schema, which must exist, and its name.
    pub(super) fn target(&self, name: &ast::ObjectName) -> Result<(String, String), SqlError> {
        let parts: Vec<String> = name.0.iter().map(fold_part).collect();
        let (schema, name) = match parts.as_slice() {
            [name] => (self.creation_schema()?, name.clone()),
            [schema, name] | [_, schema, name] => (schema.clone(), name.clone()),
            _ => {
                let message = format!("improper qualified name (too many dotted names): {}", parts.join("."));
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
        };
        if self.world().catalog.schema(&schema).is_none() {
            return Err(SqlError::new(
                SqlState::INVALID_SCHEMA_NAME,
                format!("schema \"{schema}\" does not exist"),
            ));
        }
        Ok((schema, name))
    }

    fn creation_schema(&self) -> Result<String, SqlError> {
        let world = self.world();
        let path = self.plan_settings().search_path;
        path.into_iter()
            .find(|schema| world.catalog.schema(schema).is_some())
            .ok_or_else(|| {
                SqlError::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    "no schema has been selected to create in",
                )
            })
    }

    pub(super) fn exists_already(&mut self, schema: &str, name: &str, if_not_exists: bool) -> Result<bool, SqlError> {
        if self.world().catalog.find(schema, name).is_none() {
            return Ok(false);
        }
        let message = format!("relation \"{name}\" already exists");
        if !if_not_exists {
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        }
        self.notice(&format!("{message}, skipping"));
        Ok(true)
    }
}

/// Whether a relation is of this kind.
pub(in crate::session) fn is_kind(relation: &Relation, kind: ObjectKind) -> bool {
    matches!(
        (kind, &relation.kind),
        (ObjectKind::Table, RelationKind::Table { .. })
            | (ObjectKind::Source, RelationKind::Source(_))
            | (ObjectKind::View, RelationKind::View { .. })
            | (ObjectKind::MaterializedView, RelationKind::MaterializedView { .. })
            | (ObjectKind::Index, RelationKind::Index { .. })
    )
}

/// The word for a relation's kind.
pub(super) fn kind_word(relation: &Relation) -> &'static str {
    match relation.kind {
        RelationKind::Table { .. } => "table",
        RelationKind::Source(_) => "source",
        RelationKind::View { .. } => "view",
        RelationKind::MaterializedView { .. } => "materialized view",
        RelationKind::Index { .. } => "index",
    }
}

/// The word for a kind of object.
pub(super) fn word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table => "table",
        ObjectKind::Source => "source",
        ObjectKind::Sink => "sink",
        ObjectKind::View => "view",
        ObjectKind::MaterializedView => "materialized view",
        ObjectKind::Index => "index",
        ObjectKind::Schema => "schema",
        ObjectKind::Column => "column",
        ObjectKind::Database => "database",
        ObjectKind::Function => "function",
    }
}

/// An identifier as PostgreSQL folds it: lower case unless quoted.
pub(in crate::session) fn fold(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_lowercase()
    }
}

pub(super) fn fold_part(part: &ast::ObjectNamePart) -> String {
    match part.as_ident() {
        Some(ident) => fold(ident),
        None => part.to_string(),
    }
}
