//! `pg_tables`, `pg_views` and `pg_matviews`: relations by kind, with names in place of OIDs.

use highwater_planner::catalog::RelationKind;

use super::PG_CATALOG;
use crate::system::rows::Rows;
use crate::system::view::SystemView;
use crate::system::{Table, relations};

pub(super) const TABLES: &[Table] = &[
    Table::of_view(PG_CATALOG, "pg_tables", tables),
    Table::of_view(PG_CATALOG, "pg_views", views),
    Table::of_view(PG_CATALOG, "pg_matviews", materialized_views),
];

fn tables(view: &SystemView, rows: &mut Rows<'_>) {
    let owner = view.owner();
    for relation in relations().filter(|r| r.kind == 'r') {
        rows.add()
            .set("schemaname", relation.schema_name)
            .set("tablename", relation.name)
            .set("tableowner", owner)
            .set("hasindexes", false)
            .set("hasrules", false)
            .set("hastriggers", false)
            .set("rowsecurity", false);
    }
    for relation in view.catalog.relations() {
        match relation.kind {
            RelationKind::Table { .. } | RelationKind::Source(_) => {}
            RelationKind::View { .. } | RelationKind::MaterializedView { .. } | RelationKind::Index { .. } => continue,
        }
        rows.add()
            .set("schemaname", &relation.schema)
            .set("tablename", &relation.name)
            .set("tableowner", owner)
            .set("hasindexes", view.catalog.indexes_on(relation.id).next().is_some())
            .set("hasrules", false)
            .set("hastriggers", false)
            .set("rowsecurity", false);
    }
}

fn views(view: &SystemView, rows: &mut Rows<'_>) {
    for relation in relations().filter(|r| r.kind == 'v') {
        rows.add()
            .set("schemaname", relation.schema_name)
            .set("viewname", relation.name)
            .set("viewowner", view.owner());
    }
    for relation in view.catalog.relations() {
        if let RelationKind::View { query, .. } = &relation.kind {
            rows.add()
                .set("schemaname", &relation.schema)
                .set("viewname", &relation.name)
                .set("viewowner", view.owner())
                .set("definition", definition(query));
        }
    }
}

fn materialized_views(view: &SystemView, rows: &mut Rows<'_>) {
    for relation in view.catalog.relations() {
        if let RelationKind::MaterializedView { query, .. } = &relation.kind {
            rows.add()
                .set("schemaname", &relation.schema)
                .set("matviewname", &relation.name)
                .set("matviewowner", view.owner())
                .set("hasindexes", view.catalog.indexes_on(relation.id).next().is_some())
                .set("ispopulated", true)
                .set("definition", definition(query));
        }
    }
}

/// A view's query as `pg_get_viewdef` writes it.
pub(crate) fn definition(query: &str) -> String {
    format!(" {};", query.trim().trim_end_matches(';'))
}
