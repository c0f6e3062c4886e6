//! CREATE SCHEMA and DROP SCHEMA.

use std::sync::Arc;

use highwater_parser::DropObjects;
use highwater_planner::catalog::{Catalog, Relation, RelationKind, SYSTEM_SCHEMA, SchemaEntry};
use highwater_types::{SqlError, SqlState};
use sqlparser::ast;

use super::name::fold;
use crate::session::Session;

impl Session {
    pub(in crate::session) async fn create_schema(
        &mut self,
        name: &ast::Ident,
        if_not_exists: bool,
    ) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        let name = fold(name);
        match check_new_schema(&self.world().catalog, &name) {
            Err(error) if if_not_exists && error.state == SqlState::DUPLICATE_SCHEMA => {
                self.notice(&format!("{}, skipping", error.message));
                return Ok(());
            }
            checked => checked?,
        }
        let entry = SchemaEntry {
            id: self.database.next_id(),
            name,
            comment: None,
        };
        self.database.publish(self.world().catalog.with_schema(entry))
    }

    pub(super) async fn drop_schemas(&mut self, drop: &DropObjects) -> Result<(), SqlError> {
        for name in &drop.names {
            let name = name
                .0
                .last()
                .map(|part| part.to_string().trim_matches('"').to_string())
                .unwrap_or_default();
            let catalog = Arc::clone(&self.world().catalog);
            if catalog.schema(&name).is_none() {
                if drop.if_exists {
                    self.notice(&format!("schema \"{name}\" does not exist, skipping"));
                    continue;
                }
                return Err(SqlError::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    format!("schema \"{name}\" does not exist"),
                ));
            }
            let inside: Vec<Arc<Relation>> = catalog
                .relations()
                .filter(|r| r.schema == name && !matches!(r.kind, RelationKind::Index { .. }))
                .cloned()
                .collect();
            if !inside.is_empty() && !drop.cascade {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("cannot drop schema {name} because other objects depend on it"),
                )
                .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            if !inside.is_empty() {
                self.drop_relations(inside, true).await?;
            }
            self.database.publish(self.world().catalog.without_schema(&name))?;
        }
        Ok(())
    }
}

/// That a schema may get this name.
pub(super) fn check_new_schema(catalog: &Catalog, name: &str) -> Result<(), SqlError> {
    if name.starts_with("pg_") {
        return Err(
            SqlError::new(SqlState("42939"), format!("unacceptable schema name \"{name}\""))
                .with_detail("The prefix \"pg_\" is reserved for system schemas."),
        );
    }
    let reserved = name == SYSTEM_SCHEMA || name == "information_schema";
    if reserved || catalog.schema(name).is_some() {
        let message = format!("schema \"{name}\" already exists");
        return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, message));
    }
    Ok(())
}
