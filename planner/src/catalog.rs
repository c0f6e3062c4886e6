//! [`Catalog`]: every schema, relation and index that exists, as one immutable value. DDL makes the next catalog
//! from the last one; whoever holds a catalog keeps seeing it unchanged, so a statement is planned against one
//! state of the world. The server stores each object under its own key and keeps OIDs stable across restarts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use highwater_types::{RelationId, SqlType};
use serde::{Deserialize, Serialize};

use crate::context::PlanSettings;

/// The name of the schema that unqualified names are created in.
pub const DEFAULT_SCHEMA: &str = "public";
/// The name of the schema of Highwater's own system relations.
pub const SYSTEM_SCHEMA: &str = "highwater";

/// Everything that exists, at one version.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    version: u64,
    schemas: BTreeMap<String, Arc<SchemaEntry>>,
    relations: BTreeMap<RelationId, Arc<Relation>>,
    by_name: BTreeMap<(String, String), RelationId>,
}

/// A schema of relations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaEntry {
    /// The OID of its `pg_namespace` row.
    pub id: RelationId,
    /// Its name, as folded.
    pub name: String,
    /// From COMMENT ON.
    pub comment: Option<String>,
}

/// A table, source, view, materialized view or index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// Its OID.
    pub id: RelationId,
    /// The schema it lives in.
    pub schema: String,
    /// Its name in that schema, as folded.
    pub name: String,
    /// What kind of relation, with what only that kind has.
    pub kind: RelationKind,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Positions of the key's columns, when rows are known to be unique by them: a declared primary key, or the
    /// key that the planner derived for a view.
    pub key: Option<Vec<usize>>,
    /// The declared watermark.
    pub watermark: Option<WatermarkDecl>,
    /// Whether rows are only ever added.
    pub append_only: bool,
    /// What it reads directly.
    pub depends_on: Vec<RelationId>,
    /// The statement that made it.
    pub definition: String,
    /// From COMMENT ON.
    pub comment: Option<String>,
}

/// A column of a relation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, as folded.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// The DEFAULT, as SQL text.
    pub default: Option<String>,
    /// For a generated column, its expression over the other columns, as SQL text.
    pub generated: Option<String>,
    /// For a column filled by INCLUDE, what the connector puts in.
    pub include: Option<IncludeColumn>,
    /// From COMMENT ON.
    pub comment: Option<String>,
}

/// What `INCLUDE ... AS` adds to a source's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncludeColumn {
    /// The record's key.
    Key,
    /// The partition it came from.
    Partition,
    /// Its offset in the partition.
    Offset,
    /// The time the connector gives it.
    Timestamp,
    /// One header's value.
    Header(String),
}

/// `WATERMARK FOR column AS expression [IDLE TIMEOUT interval]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WatermarkDecl {
    /// Position of the time column.
    pub column: usize,
    /// The expression, as SQL text over the relation's columns.
    pub expression: String,
    /// After how long a partition without rows stops holding the watermark back, in microseconds.
    pub idle_timeout_us: Option<i64>,
}

/// What a relation is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RelationKind {
    /// Rows are stored and changed by DML.
    Table {
        /// The primary key's constraint name, when there is one.
        primary_key_name: Option<String>,
    },
    /// Rows come from a connector and are not stored.
    Source(ConnectorConfig),
    /// An inline view: its query is put in its place.
    View {
        /// The SELECT, as SQL text.
        query: String,
        /// The settings that it was written under; not known of views made before they were kept.
        #[serde(default)]
        settings: Option<PlanSettings>,
    },
    /// A view whose rows are kept current.
    MaterializedView {
        /// The SELECT, as SQL text.
        query: String,
        /// The settings that it was written under; not known of views made before they were kept.
        #[serde(default)]
        settings: Option<PlanSettings>,
        /// When rows appear.
        emit: EmitMode,
    },
    /// An index on a table or materialized view.
    Index {
        /// What it indexes.
        on: RelationId,
        /// Positions of the indexed columns.
        columns: Vec<usize>,
        /// Whether it enforces uniqueness (a primary key's index does).
        unique: bool,
        /// Whether it stands for the primary key.
        primary: bool,
    },
}

/// Which connector feeds a source, how its bytes are read, and the options of both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectorConfig {
    /// The `connector` option.
    pub connector: String,
    /// All options of `WITH (...)` but `connector`, keys folded to lower case.
    pub options: BTreeMap<String, String>,
    /// The word after FORMAT, upper case; empty when none was given.
    pub format: String,
    /// The word after ENCODE, upper case; empty when none was given.
    pub encode: String,
    /// The options in parentheses after ENCODE.
    pub encode_options: BTreeMap<String, String>,
}

/// When a view's rows appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum EmitMode {
    /// The current answer, changing as input does.
    #[default]
    Changes,
    /// Once, when the watermark reaches the window's end.
    OnWindowClose,
}

impl Relation {
    /// The columns as Arrow fields, with the metadata that tells their SQL types.
    pub fn arrow_schema(&self) -> SchemaRef {
        let fields: Vec<_> = self
            .columns
            .iter()
            .map(|c| c.sql_type.to_field(&c.name).as_ref().clone().with_nullable(!c.not_null))
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// The position of a column.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// The name as a user writes it: with the schema unless that is the default one.
    pub fn display_name(&self) -> String {
        if self.schema == DEFAULT_SCHEMA {
            self.name.clone()
        } else {
            format!("{}.{}", self.schema, self.name)
        }
    }

    /// The settings that its statement was written under; where they are not known, those of a session that looks for
    /// names in its schema first.
    pub fn settings(&self) -> PlanSettings {
        if let RelationKind::View {
            settings: Some(settings),
            ..
        }
        | RelationKind::MaterializedView {
            settings: Some(settings),
            ..
        } = &self.kind
        {
            return settings.clone();
        }
        let mut search_path = vec![self.schema.clone()];
        search_path.extend((self.schema != DEFAULT_SCHEMA).then(|| DEFAULT_SCHEMA.to_string()));
        PlanSettings {
            search_path,
            ..PlanSettings::default()
        }
    }

    /// Whether its rows are stored and can be read: a table or a materialized view.
    pub fn is_stored(&self) -> bool {
        matches!(
            self.kind,
            RelationKind::Table { .. } | RelationKind::MaterializedView { .. }
        )
    }
}

impl Catalog {
    /// An empty catalog with the default schema.
    pub fn new() -> Catalog {
        let public = SchemaEntry {
            id: RelationId(2200),
            name: DEFAULT_SCHEMA.to_string(),
            comment: None,
        };
        Catalog::default().with_schema(public)
    }

    /// Changes with every DDL statement. What is derived from a catalog can be cached under it.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All schemas, by name.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<SchemaEntry>> {
        self.schemas.values()
    }

    /// One schema.
    pub fn schema(&self, name: &str) -> Option<&Arc<SchemaEntry>> {
        self.schemas.get(name)
    }

    /// All relations, oldest first.
    pub fn relations(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations.values()
    }

    /// One relation.
    pub fn relation(&self, id: RelationId) -> Option<&Arc<Relation>> {
        self.relations.get(&id)
    }

    /// The relation of this name in this schema.
    pub fn find(&self, schema: &str, name: &str) -> Option<&Arc<Relation>> {
        self.by_name
            .get(&(schema.to_string(), name.to_string()))
            .and_then(|id| self.relations.get(id))
    }

    /// The relation of this name in the first schema of `search_path` that has one.
    pub fn resolve(&self, search_path: &[String], name: &str) -> Option<&Arc<Relation>> {
        search_path.iter().find_map(|schema| self.find(schema, name))
    }

    /// The indexes on a relation.
    pub fn indexes_on(&self, id: RelationId) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations
            .values()
            .filter(move |r| matches!(&r.kind, RelationKind::Index { on, .. } if *on == id))
    }

    /// The relations that read `id` directly (indexes on it are not among them).
    pub fn dependents(&self, id: RelationId) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations
            .values()
            .filter(move |r| r.depends_on.contains(&id) && !matches!(r.kind, RelationKind::Index { .. }))
    }

    /// The stored relations and sources that `ids` read, through any number of inline views. Sorted, once each.
    pub fn inputs_of(&self, ids: &[RelationId]) -> Vec<RelationId> {
        let mut found = Vec::new();
        let mut open: Vec<RelationId> = ids.to_vec();
        while let Some(id) = open.pop() {
            match self.relations.get(&id).map(|r| (&r.kind, &r.depends_on)) {
                Some((RelationKind::View { .. }, depends_on)) => open.extend(depends_on),
                Some(_) => found.push(id),
                None => {}
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// This catalog with one schema more, or changed.
    pub fn with_schema(&self, schema: SchemaEntry) -> Catalog {
        let mut next = self.next();
        next.schemas.insert(schema.name.clone(), Arc::new(schema));
        next
    }

    /// This catalog without a schema.
    pub fn without_schema(&self, name: &str) -> Catalog {
        let mut next = self.next();
        next.schemas.remove(name);
        next
    }

    /// This catalog with one relation more, or changed (also its name).
    pub fn with_relation(&self, relation: Relation) -> Catalog {
        let mut next = self.next();
        next.by_name.retain(|_, id| *id != relation.id);
        next.by_name
            .insert((relation.schema.clone(), relation.name.clone()), relation.id);
        next.relations.insert(relation.id, Arc::new(relation));
        next
    }

    /// This catalog without a relation.
    pub fn without_relation(&self, id: RelationId) -> Catalog {
        let mut next = self.next();
        next.by_name.retain(|_, other| *other != id);
        next.relations.remove(&id);
        next
    }

    fn next(&self) -> Catalog {
        Catalog {
            version: self.version + 1,
            ..self.clone()
        }
    }
}
