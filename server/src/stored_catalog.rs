//! How the catalog lies in the store: an object per key, JSON inside a versioned envelope. Also what a source's
//! catalog entry says to its connector.

use highwater_connectors::{SourceColumn, SourceSpec};
use highwater_planner::catalog::{Catalog, ConnectorConfig, Relation, SchemaEntry};
use highwater_storage::{StorageError, Store};
use highwater_types::RelationId;
use serde::de::DeserializeOwned;

const RELATION: &str = "relation/";
const SCHEMA: &str = "schema/";
/// The newest OID given away, so that none is given twice.
const NEWEST_ID: &str = "newest_id";

/// The catalog as it was last stored, and the newest OID; new ones in an empty store.
///
/// # Errors
/// When it cannot be read, or a record in it is damaged.
pub(crate) fn load(store: &Store) -> Result<(Catalog, u32), StorageError> {
    let mut catalog = Catalog::new();
    let mut newest_id = RelationId::FIRST_USER.0;
    for (key, value) in store.catalog_load()? {
        if key.starts_with(RELATION) {
            catalog = catalog.with_relation(decode::<Relation>(&key, &value)?);
        } else if key.starts_with(SCHEMA) {
            catalog = catalog.with_schema(decode::<SchemaEntry>(&key, &value)?);
        } else if key == NEWEST_ID {
            newest_id = decode::<u32>(&key, &value)?;
        }
    }
    Ok((catalog, newest_id))
}

/// Stores relations, new or changed.
///
/// # Errors
/// When it cannot be made durable.
pub(crate) fn put_relations(store: &Store, relations: &[&Relation], newest_id: u32) -> Result<(), StorageError> {
    let mut puts: Vec<(String, Vec<u8>)> = relations.iter().map(|r| relation_record(r)).collect();
    puts.push((NEWEST_ID.to_string(), encode(&newest_id)));
    store.catalog_commit(&puts, &[])
}

/// Stores the difference between two catalogs in one transaction.
///
/// # Errors
/// When it cannot be made durable.
pub(crate) fn put_changes(store: &Store, from: &Catalog, to: &Catalog, newest_id: u32) -> Result<(), StorageError> {
    let changed = to
        .relations()
        .filter(|r| from.relation(r.id) != Some(r))
        .map(|r| relation_record(r));
    let changed_schemas = to
        .schemas()
        .filter(|s| from.schema(&s.name) != Some(s))
        .map(|s| schema_record(s));
    let mut puts: Vec<(String, Vec<u8>)> = changed.chain(changed_schemas).collect();
    // What only takes away adds nothing: it is possible on a full disk.
    if !puts.is_empty() {
        puts.push((NEWEST_ID.to_string(), encode(&newest_id)));
    }
    let gone = from
        .relations()
        .filter(|r| to.relation(r.id).is_none())
        .map(|r| format!("{RELATION}{:010}", r.id.0));
    let gone_schemas = from
        .schemas()
        .filter(|s| to.schema(&s.name).is_none())
        .map(|s| format!("{SCHEMA}{}", s.name));
    let deletes: Vec<String> = gone.chain(gone_schemas).collect();
    store.catalog_commit(&puts, &deletes)
}

/// What a source's catalog entry says to its connector: the columns that the connector fills, and the options.
pub(crate) fn source_spec(relation: &Relation, config: &ConnectorConfig) -> SourceSpec {
    let columns = relation
        .columns
        .iter()
        .filter(|c| c.generated.is_none())
        .map(|c| SourceColumn {
            name: c.name.clone(),
            sql_type: c.sql_type.clone(),
            include: c.include.as_ref().map(include),
        })
        .collect();
    SourceSpec {
        connector: config.connector.clone(),
        columns,
        options: config.options.clone(),
        format: config.format.clone(),
        encode: config.encode.clone(),
        encode_options: config.encode_options.clone(),
    }
}

fn include(column: &highwater_planner::catalog::IncludeColumn) -> highwater_connectors::Include {
    use highwater_connectors::Include;
    use highwater_planner::catalog::IncludeColumn;
    match column {
        IncludeColumn::Key => Include::Key,
        IncludeColumn::Partition => Include::Partition,
        IncludeColumn::Offset => Include::Offset,
        IncludeColumn::Timestamp => Include::Timestamp,
        IncludeColumn::Header(name) => Include::Header(name.clone()),
    }
}

fn relation_record(relation: &Relation) -> (String, Vec<u8>) {
    (format!("{RELATION}{:010}", relation.id.0), encode(relation))
}

fn schema_record(schema: &SchemaEntry) -> (String, Vec<u8>) {
    (format!("{SCHEMA}{}", schema.name), encode(schema))
}

fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("catalog objects have string keys only, and always serialise")
}

fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, StorageError> {
    serde_json::from_slice(bytes).map_err(|error| StorageError::Damaged {
        what: format!("record {key}"),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use highwater_planner::PlanSettings;

    use super::*;

    /// A view's record without its kind, which stands in place of `KIND`.
    const RECORD: &str = r#"{"id": 16400, "schema": "s", "name": "v", "kind": KIND, "columns": [], "key": null,
        "watermark": null, "append_only": false, "depends_on": [16384], "definition": "", "comment": null}"#;

    #[test]
    fn views_stored_without_their_settings_look_for_names_in_their_own_schema_first() {
        let kinds = [
            r#"{"View": {"query": "SELECT 1"}}"#,
            r#"{"MaterializedView": {"query": "SELECT 1", "emit": "Changes"}}"#,
        ];
        for kind in kinds {
            let record = RECORD.replace("KIND", kind);
            let view: Relation = decode("relation/16400", record.as_bytes()).expect("an old record can be read");
            let expected = PlanSettings {
                search_path: vec!["s".to_string(), "public".to_string()],
                ..PlanSettings::default()
            };
            assert_eq!(view.settings(), expected);
        }
    }

    #[test]
    fn settings_of_views_survive_the_store() {
        let kind =
            r#"{"View": {"query": "SELECT 1", "settings": {"search_path": ["a", "b"], "time_zone": "Asia/Tokyo"}}}"#;
        let record = RECORD.replace("KIND", kind);
        let view: Relation = decode("relation/16400", record.as_bytes()).expect("a record can be read");
        let again: Relation = decode("relation/16400", &encode(&view)).expect("a record can be read");
        assert_eq!(again, view);
        assert_eq!(again.settings().search_path, ["a", "b"]);
        assert_eq!(again.settings().time_zone, "Asia/Tokyo");
    }
}
