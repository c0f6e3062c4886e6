//! CREATE INDEX, and the index that stands for a primary key.

use std::sync::Arc;

use highwater_parser::CreateIndex;
use highwater_planner::catalog::{Relation, RelationKind};
use highwater_types::{RelationId, SqlError, SqlState};

use super::name::fold;
use crate::database::NewRelation;
use crate::session::Session;

impl Session {
    pub(in crate::session) async fn create_index(&mut self, create: &CreateIndex, text: &str) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        if create.unique {
            return Err(
                SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "UNIQUE indexes are not supported yet")
                    .with_hint("Declare a PRIMARY KEY on the table."),
            );
        }
        let on = self.find(&create.on)?;
        if !on.is_stored() {
            let message = format!("\"{}\" is not a table or materialized view", on.display_name());
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                .with_hint("Only stored rows can be indexed: create a materialized view, and index that."));
        }
        let mut columns = Vec::new();
        for column in &create.columns {
            columns.push(on.column_index(&fold(column)).ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" does not exist", fold(column)),
                )
            })?);
        }
        let default_name = || {
            let names: Vec<&str> = columns.iter().map(|c| on.columns[*c].name.as_str()).collect();
            format!("{}_{}_idx", on.name, names.join("_"))
        };
        let name = create.name.as_ref().map_or_else(default_name, fold);
        if self.exists_already(&on.schema, &name, create.if_not_exists)? {
            return Ok(());
        }
        let index = index_relation(&on, self.database.next_id(), name, columns, false, text);
        self.database
            .create(
                NewRelation::Inline {
                    relation: Arc::new(index),
                },
                Vec::new(),
            )
            .await
    }
}

/// The index that stands for a table's primary key.
pub(super) fn primary_key_index(table: &Relation, next: RelationId) -> Option<Relation> {
    let RelationKind::Table {
        primary_key_name: Some(name),
    } = &table.kind
    else {
        return None;
    };
    let id = RelationId(next.0.max(table.id.0 + 1));
    Some(index_relation(table, id, name.clone(), table.key.clone()?, true, ""))
}

fn index_relation(
    on: &Relation,
    id: RelationId,
    name: String,
    columns: Vec<usize>,
    primary: bool,
    definition: &str,
) -> Relation {
    Relation {
        id,
        schema: on.schema.clone(),
        name,
        columns: columns.iter().map(|c| on.columns[*c].clone()).collect(),
        kind: RelationKind::Index {
            on: on.id,
            columns,
            unique: primary,
            primary,
        },
        key: None,
        watermark: None,
        append_only: false,
        depends_on: vec![on.id],
        definition: definition.to_string(),
        comment: None,
    }
}
