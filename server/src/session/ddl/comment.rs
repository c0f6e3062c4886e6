//! COMMENT ON.

use std::sync::Arc;

use highwater_parser::ObjectKind;
use highwater_planner::catalog::{Relation, SchemaEntry};
use highwater_types::{SqlError, SqlState};
use sqlparser::ast;

use super::name::{is_kind, word};
use crate::session::Session;

impl Session {
    pub(in crate::session) async fn comment_on(
        &mut self,
        object: ObjectKind,
        name: &ast::ObjectName,
        comment: Option<String>,
    ) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        let catalog = Arc::clone(&self.world().catalog);
        let next = match object {
            ObjectKind::Schema => {
                let (_, name) = self.target(name)?;
                let schema = catalog.schema(&name).ok_or_else(|| {
                    SqlError::new(
                        SqlState::INVALID_SCHEMA_NAME,
                        format!("schema \"{name}\" does not exist"),
                    )
                })?;
                catalog.with_schema(SchemaEntry {
                    comment,
                    ..schema.as_ref().clone()
                })
            }
            ObjectKind::Column => {
                let mut parts = name.0.clone();
                let column = parts
                    .pop()
                    .map(|part| part.to_string().trim_matches('"').to_string())
                    .unwrap_or_default();
                let mut relation = self.find(&ast::ObjectName(parts))?.as_ref().clone();
                let index = relation.column_index(&column).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("column \"{column}\" does not exist"),
                    )
                })?;
                relation.columns[index].comment = comment;
                catalog.with_relation(relation)
            }
            ObjectKind::Database | ObjectKind::Function | ObjectKind::Sink => return Ok(()),
            ObjectKind::Table
            | ObjectKind::Source
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Index => {
                let relation = self.find(name)?;
                if !is_kind(&relation, object) {
                    let message = format!("\"{}\" is not a {}", relation.display_name(), word(object));
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
                }
                catalog.with_relation(Relation {
                    comment,
                    ..relation.as_ref().clone()
                })
            }
        };
        self.database.publish(next)
    }
}
