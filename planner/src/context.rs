//! What a statement is planned against: the catalog, the system relations, the session's settings and functions.
//! Planning reads nothing else, so a plan is a function of the statement and its [`PlanContext`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableFunctionImpl;
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF, TableProviderFilterPushDown, TableSource};
use highwater_types::RelationId;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, DEFAULT_SCHEMA, Relation};

/// Everything that planning one statement may look at.
#[derive(Debug, Clone)]
pub struct PlanContext {
    /// What exists.
    pub catalog: Arc<Catalog>,
    /// The relations of `pg_catalog`, `information_schema` and `highwater`.
    pub system: Arc<dyn SystemRelations>,
    /// The session's settings that names and types depend on.
    pub settings: PlanSettings,
    /// The functions that know the catalog or the session.
    pub functions: Arc<SessionFunctions>,
    /// For a view's query that is planned again: the relations that it was found to read when it was written. Names
    /// mean these, whatever relations of the same names there are by now.
    pub reads: Option<Vec<RelationId>>,
}

impl PlanContext {
    /// What the text of an existing view is planned against, so that it means what it meant when it was written.
    pub fn of_view(&self, view: &Relation) -> PlanContext {
        PlanContext {
            settings: view.settings(),
            reads: Some(view.depends_on.clone()),
            ..self.clone()
        }
    }
}

/// The settings of a session that change what a statement means. A view keeps those that it was written under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanSettings {
    /// Schemas that unqualified names are looked up in, `pg_catalog` implicitly first.
    pub search_path: Vec<String>,
    /// The name of the session's time zone.
    pub time_zone: String,
    /// What `current_user` answers.
    pub user: String,
    /// What `current_database()` answers, and the only name allowed first in a three-part name.
    pub database: String,
}

impl Default for PlanSettings {
    fn default() -> PlanSettings {
        PlanSettings {
            search_path: vec![DEFAULT_SCHEMA.to_string()],
            time_zone: "UTC".to_string(),
            user: "highwater".to_string(),
            database: "highwater".to_string(),
        }
    }
}

/// The system relations, by name. Their rows are made when a query runs.
pub trait SystemRelations: Send + Sync + Debug {
    /// The columns of a system relation; `None` when there is no relation of this name in this schema.
    fn schema_of(&self, schema: &str, name: &str) -> Option<SchemaRef>;
}

/// No system relations, for tests and tools.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoSystemRelations;

impl SystemRelations for NoSystemRelations {
    fn schema_of(&self, _schema: &str, _name: &str) -> Option<SchemaRef> {
        None
    }
}

/// Functions whose answer depends on the catalog or the session: `current_setting`, `pg_get_indexdef`. They come
/// before functions of the same name in the library.
#[derive(Debug, Default)]
pub struct SessionFunctions {
    /// By name, lower case.
    pub scalar: HashMap<String, Arc<ScalarUDF>>,
    /// By name, lower case.
    pub table: HashMap<String, Arc<dyn TableFunctionImpl>>,
}

/// What a scan in a plan reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub enum ScanTarget {
    /// A table, source or materialized view of the catalog.
    Relation(RelationId),
    /// A system relation.
    System {
        /// Its schema.
        schema: String,
        /// Its name.
        name: String,
    },
    /// Rows that whoever runs the plan puts in its place: one of [`placeholder`]'s names.
    Placeholder(&'static str),
}

/// The names of scans that stand for rows which are there only when the plan runs.
pub mod placeholder {
    /// The rows that a DML statement changed, with the table's columns.
    pub const CHANGED: &str = "changed";
    /// Pairs of an existing and an excluded row of INSERT ... ON CONFLICT.
    pub const CONFLICT: &str = "conflict";
    /// The rows that COPY or a connector brings.
    pub const COPIED: &str = "copied";
}

/// What the `TableScan` nodes of every plan made here hold.
#[derive(Debug, Clone)]
pub struct RelationSource {
    /// What is read.
    pub target: ScanTarget,
    /// All of its columns.
    pub schema: SchemaRef,
}

impl RelationSource {
    /// A source over these columns.
    pub fn new(target: ScanTarget, schema: SchemaRef) -> RelationSource {
        RelationSource { target, schema }
    }

    /// What a scan reads, when it is one of ours.
    pub fn of(source: &Arc<dyn TableSource>) -> Option<&RelationSource> {
        let any: &dyn std::any::Any = source.as_ref();
        any.downcast_ref::<RelationSource>()
    }
}

impl TableSource for RelationSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Filters are shown to the scan, which may use them to find rows by key; they are applied again above it.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        None
    }
}
