//! The system relations: `pg_catalog` and `information_schema` as PostgreSQL's clients expect them, and the schema
//! `highwater` for what is ours. They are tables made from the catalog and from what the server knows of itself.
//!
//! To add one, write a function that fills [`rows::Rows`] from a [`SystemView`] and name it in the list of its group
//! (`pg/`, `information_schema/`, `own/`). Columns of PostgreSQL's relations come from `data/relations.tsv`; a
//! relation of PostgreSQL's that nobody fills is there, complete and empty. What never changes (types, functions)
//! is a file in `data/`. Functions that need the catalog or the session are in `functions/`.
//!
//! Rows that depend on the catalog alone are kept until it changes: tools ask the same thing again and again.

mod data;
mod functions;
mod information_schema;
mod name;
mod own;
mod pg;
mod relation;
mod rows;
mod types;
mod view;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use highwater_planner::SystemRelations;
use highwater_planner::catalog::Catalog;
use highwater_types::SqlError;

pub(crate) use self::functions::session_functions;
pub(crate) use self::view::{
    CurrentView, DeadLetterInfo, EpochInfo, LateRowInfo, Live, PartitionInfo, Role, SessionFacts, SessionInfo, Setting,
    Size, SourceInfo, SystemView, ViewInfo,
};

use self::relation::{POSTGRES, SystemRelation};
use self::rows::Rows;

/// How a relation gets its rows.
struct Table {
    schema: &'static str,
    name: &'static str,
    from: From,
    fill: fn(&SystemView, &mut Rows<'_>),
}

/// What rows depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// The catalog alone.
    Catalog,
    /// Also the session, or what is going on.
    View,
}

impl Table {
    const fn of_catalog(schema: &'static str, name: &'static str, fill: fn(&SystemView, &mut Rows<'_>)) -> Table {
        Table {
            schema,
            name,
            from: From::Catalog,
            fill,
        }
    }

    const fn of_view(schema: &'static str, name: &'static str, fill: fn(&SystemView, &mut Rows<'_>)) -> Table {
        Table {
            schema,
            name,
            from: From::View,
            fill,
        }
    }
}

/// All tables that have rows.
fn tables() -> impl Iterator<Item = &'static Table> {
    pg::TABLES
        .iter()
        .chain(information_schema::TABLES)
        .copied()
        .flatten()
        .chain(own::tables())
}

/// All system relations, PostgreSQL's and ours.
fn relations() -> impl Iterator<Item = &'static SystemRelation> {
    POSTGRES.iter().chain(own::RELATIONS.iter())
}

/// A system relation by its schema and name.
fn find(schema: &str, name: &str) -> Option<&'static SystemRelation> {
    static BY_NAME: LazyLock<HashMap<(&'static str, &'static str), &'static SystemRelation>> =
        LazyLock::new(|| relations().map(|r| ((r.schema_name, r.name), r)).collect());
    BY_NAME.get(&(schema, name)).copied()
}

/// A system relation by its OID.
fn find_oid(oid: u32) -> Option<&'static SystemRelation> {
    static BY_OID: LazyLock<HashMap<u32, &'static SystemRelation>> =
        LazyLock::new(|| relations().map(|r| (r.oid, r)).collect());
    BY_OID.get(&oid).copied()
}

/// Who is connected, asked of the protocol's front end.
type Sessions = Box<dyn Fn() -> Vec<SessionInfo> + Send + Sync>;

/// The system relations of a server.
pub struct SystemTables {
    /// By the relation's OID: the rows, and the catalog they were made from.
    kept: Mutex<HashMap<u32, (Arc<Catalog>, RecordBatch)>>,
    started_us: i64,
    sessions: OnceLock<Sessions>,
}

impl Default for SystemTables {
    fn default() -> SystemTables {
        SystemTables {
            kept: Mutex::default(),
            started_us: chrono::Utc::now().timestamp_micros(),
            sessions: OnceLock::new(),
        }
    }
}

impl std::fmt::Debug for SystemTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemTables").finish_non_exhaustive()
    }
}

impl SystemTables {
    /// The system relations; nothing is kept yet.
    pub fn new() -> SystemTables {
        SystemTables::default()
    }

    /// When the server started, in microseconds since 1970.
    pub fn started_us(&self) -> i64 {
        self.started_us
    }

    /// Says how to find out who is connected. The first word counts.
    pub fn ask_for_sessions(&self, sessions: impl Fn() -> Vec<SessionInfo> + Send + Sync + 'static) {
        let _ = self.sessions.set(Box::new(sessions));
    }

    /// Who is connected.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.sessions.get().map(|ask| ask()).unwrap_or_default()
    }

    /// The rows of a relation; `None` when there is none of this name.
    pub fn rows(&self, view: &SystemView, schema: &str, name: &str) -> Option<Result<RecordBatch, SqlError>> {
        let relation = find(schema, name)?;
        let table = tables().find(|t| t.schema == schema && t.name == name);
        if table.is_some_and(|t| t.from == From::View) {
            return Some(make(view, relation, table));
        }
        if let Some((catalog, batch)) = self.lock().get(&relation.oid)
            && Arc::ptr_eq(catalog, &view.catalog)
        {
            return Some(Ok(batch.clone()));
        }
        let made = make(view, relation, table);
        if let Ok(batch) = &made {
            self.lock()
                .insert(relation.oid, (Arc::clone(&view.catalog), batch.clone()));
        }
        Some(made)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, (Arc<Catalog>, RecordBatch)>> {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn make(view: &SystemView, relation: &SystemRelation, table: Option<&Table>) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation);
    if relation.schema_name == "pg_catalog" {
        data::fill(relation.name, &mut rows);
    }
    if let Some(table) = table {
        (table.fill)(view, &mut rows);
    }
    rows.finish()
}

impl SystemRelations for SystemTables {
    fn schema_of(&self, schema: &str, name: &str) -> Option<SchemaRef> {
        find(schema, name).map(|r| Arc::clone(&r.schema))
    }
}

#[cfg(test)]
mod tests;
