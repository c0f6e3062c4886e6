//! DROP: what depends on an object goes with it, or keeps it.

use std::sync::Arc;

use highwater_parser::{DropObjects, ObjectKind};
use highwater_planner::catalog::{Catalog, Relation, RelationKind};
use highwater_types::{RelationId, SqlError, SqlState};
use sqlparser::ast;

use super::name::{is_kind, kind_word, word};
use crate::session::Session;

impl Session {
    pub(in crate::session) async fn drop_objects(&mut self, drop: &DropObjects) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        if drop.object == ObjectKind::Schema {
            return self.drop_schemas(drop).await;
        }
        let mut wanted = Vec::new();
        for name in &drop.names {
            match self.find_to_drop(drop.object, name) {
                Ok(relation) => wanted.push(relation),
                Err(error) if drop.if_exists && error.state == undefined(drop.object) => {
                    self.notice(&format!("{} \"{name}\" does not exist, skipping", word(drop.object)));
                }
                Err(error) => return Err(error),
            }
        }
        self.drop_relations(wanted, drop.cascade).await
    }

    pub(super) async fn drop_relations(&mut self, wanted: Vec<Arc<Relation>>, cascade: bool) -> Result<(), SqlError> {
        let catalog = Arc::clone(&self.world().catalog);
        let ids: Vec<RelationId> = wanted.iter().map(|r| r.id).collect();
        let all = with_dependents(&catalog, &ids);
        let others: Vec<&RelationId> = all.iter().filter(|id| !ids.contains(id)).collect();
        if !others.is_empty() && !cascade {
            let blocked = wanted
                .iter()
                .find(|r| catalog.dependents(r.id).any(|d| !ids.contains(&d.id)));
            let first = blocked.or(wanted.first());
            return Err(first.map_or_else(
                || SqlError::new(SqlState::INTERNAL_ERROR, "nothing to drop"),
                |relation| dependents_error(relation, &catalog),
            ));
        }
        for id in others {
            if let Some(relation) = catalog.relation(*id) {
                self.notice(&format!(
                    "drop cascades to {} {}",
                    kind_word(relation),
                    relation.display_name()
                ));
            }
        }
        self.commitment.keep(self.database.remove(all)).await
    }

    fn find_to_drop(&self, kind: ObjectKind, name: &ast::ObjectName) -> Result<Arc<Relation>, SqlError> {
        let relation = self.find(name).map_err(|mut error| {
            error.message = error.message.replacen("relation", word(kind), 1);
            error.state = undefined(kind);
            error
        })?;
        if let RelationKind::Index { primary: true, on, .. } = relation.kind {
            let table = self.world().catalog.relation(on).map(|t| t.display_name());
            return Err(key_index_error(&relation, &table.unwrap_or_default()));
        }
        if is_kind(&relation, kind) {
            return Ok(relation);
        }
        let (name, is) = (relation.display_name(), kind_word(&relation));
        Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{name}\" is not a {}", word(kind)),
        )
        .with_hint(format!("Use DROP {} to remove a {is}.", is.to_uppercase())))
    }
}

/// These relations and all that read them, dependents first.
pub(super) fn with_dependents(catalog: &Catalog, ids: &[RelationId]) -> Vec<RelationId> {
    let mut all = Vec::new();
    fn visit(catalog: &Catalog, id: RelationId, all: &mut Vec<RelationId>) {
        if all.contains(&id) {
            return;
        }
        for dependent in catalog.dependents(id) {
            visit(catalog, dependent.id, all);
        }
        all.push(id);
    }
    ids.iter().for_each(|id| visit(catalog, *id, &mut all));
    all
}

pub(super) fn dependents_error(relation: &Relation, catalog: &Catalog) -> SqlError {
    let (kind, name) = (kind_word(relation), relation.display_name());
    let details: Vec<String> = catalog
        .dependents(relation.id)
        .map(|d| format!("{} {} depends on {kind} {name}", kind_word(d), d.display_name()))
        .collect();
    SqlError::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop {kind} {name} because other objects depend on it"),
    )
    .with_detail(details.join("\n"))
    .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
}

/// DROP's command tag.
pub(in crate::session) fn drop_tag(kind: ObjectKind) -> String {
    format!("DROP {}", word(kind).to_uppercase())
}

/// SQLSTATE of an object that does not exist.
fn undefined(kind: ObjectKind) -> SqlState {
    match kind {
        ObjectKind::Table | ObjectKind::Source | ObjectKind::View | ObjectKind::MaterializedView => {
            SqlState::UNDEFINED_TABLE
        }
        ObjectKind::Index | ObjectKind::Sink => SqlState::UNDEFINED_OBJECT,
        ObjectKind::Schema => SqlState::INVALID_SCHEMA_NAME,
        ObjectKind::Column => SqlState::UNDEFINED_COLUMN,
        ObjectKind::Database => SqlState::INVALID_CATALOG_NAME,
        ObjectKind::Function => SqlState::UNDEFINED_FUNCTION,
    }
}

fn key_index_error(index: &Relation, table: &str) -> SqlError {
    let name = &index.name;
    SqlError::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop index {name} because constraint {name} on table {table} requires it"),
    )
    .with_hint("It goes with its table.")
}
