//! `pg_index`, `pg_constraint` and `pg_indexes`. A primary key is a constraint with an index relation of its own.

use std::sync::Arc;

use highwater_planner::catalog::{Catalog, Relation, RelationKind};

use super::PG_CATALOG;
use crate::system::name::{quote, schema_oid};
use crate::system::rows::{List, Rows, Vector};
use crate::system::view::SystemView;
use crate::system::{Table, data, types};

pub(super) const TABLES: &[Table] = &[
    Table::of_catalog(PG_CATALOG, "pg_index", indexes),
    Table::of_catalog(PG_CATALOG, "pg_constraint", constraints),
    Table::of_catalog(PG_CATALOG, "pg_indexes", index_definitions),
];

/// An index with the relation it is on.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) relation: Arc<Relation>,
    pub(crate) on: Arc<Relation>,
    /// Positions in `on`.
    pub(crate) columns: Vec<usize>,
    pub(crate) unique: bool,
    pub(crate) primary: bool,
}

/// All indexes.
pub(crate) fn all(catalog: &Catalog) -> impl Iterator<Item = Index> {
    catalog.relations().filter_map(|relation| of(catalog, relation))
}

/// A relation as an index, if it is one.
pub(crate) fn of(catalog: &Catalog, relation: &Arc<Relation>) -> Option<Index> {
    match &relation.kind {
        RelationKind::Index {
            on,
            columns,
            unique,
            primary,
        } => Some(Index {
            relation: Arc::clone(relation),
            on: Arc::clone(catalog.relation(*on)?),
            columns: columns.clone(),
            unique: *unique,
            primary: *primary,
        }),
        RelationKind::Table { .. }
        | RelationKind::Source(_)
        | RelationKind::View { .. }
        | RelationKind::MaterializedView { .. } => None,
    }
}

impl Index {
    /// The names of its columns, quoted where needed.
    pub(crate) fn column_names(&self) -> Vec<String> {
        let name = |c: &usize| self.on.columns.get(*c).map(|c| quote(&c.name));
        self.columns.iter().filter_map(name).collect()
    }

    /// The statement that makes it; `on` is the table's name as it is to be written.
    pub(crate) fn definition(&self, on: &str) -> String {
        format!(
            "CREATE {}INDEX {} ON {on} USING btree ({})",
            if self.unique { "UNIQUE " } else { "" },
            quote(&self.relation.name),
            self.column_names().join(", ")
        )
    }

    /// The name of the constraint that it stands for.
    pub(crate) fn constraint_name(&self) -> &str {
        match &self.on.kind {
            RelationKind::Table {
                primary_key_name: Some(name),
            } if self.primary => name,
            _ => &self.relation.name,
        }
    }

    fn numbers(&self) -> Vec<usize> {
        self.columns.iter().map(|c| c + 1).collect()
    }
}

fn indexes(view: &SystemView, rows: &mut Rows<'_>) {
    for index in all(&view.catalog) {
        let column_types: Vec<_> = index
            .columns
            .iter()
            .filter_map(|c| index.on.columns.get(*c))
            .map(|c| types::of(&c.sql_type))
            .collect();
        rows.add()
            .set("indexrelid", index.relation.id)
            .set("indrelid", index.on.id)
            .set("indnatts", index.columns.len())
            .set("indnkeyatts", index.columns.len())
            .set("indisunique", index.unique)
            .set("indisprimary", index.primary)
            .set("indimmediate", true)
            .set("indisvalid", true)
            .set("indisready", true)
            .set("indislive", true)
            .set("indkey", Vector(index.numbers()))
            .set(
                "indcollation",
                Vector(column_types.iter().map(|t| t.collation).collect()),
            )
            .set(
                "indclass",
                Vector(column_types.iter().map(|t| operator_class(t.oid)).collect()),
            )
            .set("indoption", Vector(vec![0; index.columns.len()]));
    }
}

/// The default btree operator class of a type.
fn operator_class(type_oid: u32) -> u32 {
    // varchar has text's; arrays have one for all.
    let name = match types::by_oid(type_oid) {
        Some(t) if t.name.starts_with('_') => "array_ops".to_string(),
        Some(t) if t.name == "varchar" => "text_ops".to_string(),
        Some(t) => format!("{}_ops", t.name),
        None => return 0,
    };
    // Fields: oid, opcmethod, opcname.
    data::first_where("pg_opclass", 2, &name).unwrap_or(0)
}

fn constraints(view: &SystemView, rows: &mut Rows<'_>) {
    for index in all(&view.catalog).filter(|i| i.primary) {
        rows.add()
            // Its index's number is free in this relation, and stays the same.
            .set("oid", index.relation.id)
            .set("conname", index.constraint_name())
            .set("connamespace", schema_oid(view, &index.on.schema).unwrap_or(0))
            .set("contype", "p")
            .set("convalidated", true)
            .set("conrelid", index.on.id)
            .set("conindid", index.relation.id)
            .set("confupdtype", " ")
            .set("confdeltype", " ")
            .set("confmatchtype", " ")
            .set("conislocal", true)
            .set("connoinherit", true)
            .set("conkey", List(index.numbers()));
    }
}

fn index_definitions(view: &SystemView, rows: &mut Rows<'_>) {
    for index in all(&view.catalog) {
        let on = format!("{}.{}", quote(&index.on.schema), quote(&index.on.name));
        rows.add()
            .set("schemaname", &index.on.schema)
            .set("tablename", &index.on.name)
            .set("indexname", &index.relation.name)
            .set("indexdef", index.definition(&on));
    }
}
