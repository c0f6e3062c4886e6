//! `pg_class`: every relation, ours and the system's.

use highwater_planner::catalog::{Relation, RelationKind};

use super::PG_CATALOG;
use crate::system::name::schema_oid;
use crate::system::rows::Rows;
use crate::system::view::{OWNER, SystemView};
use crate::system::{Table, relations};

pub(super) const TABLES: &[Table] = &[Table::of_view(PG_CATALOG, "pg_class", fill)];

/// Access methods, by their OIDs.
const HEAP: u32 = 2;
const BTREE: u32 = 403;

fn fill(view: &SystemView, rows: &mut Rows<'_>) {
    for relation in relations() {
        let stored = relation.kind == 'r';
        rows.add()
            .set("oid", relation.oid)
            .set("relname", relation.name)
            .set("relnamespace", relation.schema_oid())
            .set("relowner", OWNER)
            .set("relam", if stored { HEAP } else { 0 })
            .set("relfilenode", if stored { relation.oid } else { 0 })
            .set("reltuples", -1)
            .set("relpersistence", "p")
            .set("relkind", relation.kind.to_string())
            .set("relnatts", relation.columns.len())
            .set("relhasrules", !stored)
            .set("relispopulated", true)
            .set("relreplident", "n");
    }
    for relation in view.catalog.relations() {
        user_relation(view, relation, rows);
    }
}

fn user_relation(view: &SystemView, relation: &Relation, rows: &mut Rows<'_>) {
    let kind = relkind(&relation.kind);
    let size = view.live().sizes.get(&relation.id);
    let access_method = match kind {
        "r" | "m" => HEAP,
        "i" => BTREE,
        _ => 0,
    };
    let indexed = view.catalog.indexes_on(relation.id).next().is_some();
    rows.add()
        .set("oid", relation.id)
        .set("relname", &relation.name)
        .set("relnamespace", schema_oid(view, &relation.schema).unwrap_or(0))
        .set("relowner", OWNER)
        .set("relam", access_method)
        .set("relfilenode", if access_method == 0 { 0 } else { relation.id.0 })
        // Eight kilobytes a page, as PostgreSQL counts.
        .set(
            "relpages",
            size.map_or(0, |s| i32::try_from(s.bytes.div_ceil(8192)).unwrap_or(i32::MAX)),
        )
        .set("reltuples", size.map_or(-1.0, |s| s.row_count as f64))
        .set("relhasindex", indexed)
        .set("relpersistence", "p")
        .set("relkind", kind)
        .set(
            "relnatts",
            index_columns(&relation.kind).map_or(relation.columns.len(), <[usize]>::len),
        )
        .set("relhasrules", matches!(kind, "v" | "m"))
        .set("relispopulated", true)
        .set("relreplident", if matches!(kind, "r" | "m") { "d" } else { "n" });
}

/// PostgreSQL's letter for a kind of relation. A source is a table to clients: they read and describe it alike.
pub(super) fn relkind(kind: &RelationKind) -> &'static str {
    match kind {
        RelationKind::Table { .. } | RelationKind::Source(_) => "r",
        RelationKind::View { .. } => "v",
        RelationKind::MaterializedView { .. } => "m",
        RelationKind::Index { .. } => "i",
    }
}

/// The indexed columns, of an index.
pub(super) fn index_columns(kind: &RelationKind) -> Option<&[usize]> {
    match kind {
        RelationKind::Index { columns, .. } => Some(columns),
        RelationKind::Table { .. }
        | RelationKind::Source(_)
        | RelationKind::View { .. }
        | RelationKind::MaterializedView { .. } => None,
    }
}
