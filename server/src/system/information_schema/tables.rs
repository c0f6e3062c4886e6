//! `tables`, `views`, `schemata` and the few relations that say where one is.

use highwater_planner::catalog::RelationKind;

use super::{INFORMATION_SCHEMA, listed};
use crate::system::pg::view_definition;
use crate::system::rows::{Rows, YesNo};
use crate::system::view::SystemView;
use crate::system::{Table, relations};

pub(super) const TABLES: &[Table] = &[
    Table::of_view(INFORMATION_SCHEMA, "tables", tables),
    Table::of_view(INFORMATION_SCHEMA, "views", views),
    Table::of_view(INFORMATION_SCHEMA, "view_table_usage", view_inputs),
    Table::of_view(INFORMATION_SCHEMA, "schemata", schemata),
    Table::of_view(INFORMATION_SCHEMA, "information_schema_catalog_name", catalog_name),
    Table::of_view(INFORMATION_SCHEMA, "character_sets", character_sets),
];

fn tables(view: &SystemView, rows: &mut Rows<'_>) {
    let system = relations().map(|r| {
        let kind = if r.kind == 'v' { "VIEW" } else { "BASE TABLE" };
        (r.schema_name, r.name, kind, false)
    });
    let users = listed(view).map(|(r, kind)| {
        let writable = matches!(r.kind, RelationKind::Table { .. });
        (r.schema.as_str(), r.name.as_str(), kind, writable)
    });
    for (schema, name, kind, writable) in system.chain(users) {
        rows.add()
            .set("table_catalog", &view.database)
            .set("table_schema", schema)
            .set("table_name", name)
            .set("table_type", kind)
            .set("is_insertable_into", YesNo(writable))
            .set("is_typed", YesNo(false));
    }
}

fn views(view: &SystemView, rows: &mut Rows<'_>) {
    for (relation, _) in listed(view) {
        let query = match &relation.kind {
            RelationKind::View { query, .. } | RelationKind::MaterializedView { query, .. } => query,
            RelationKind::Table { .. } | RelationKind::Source(_) | RelationKind::Index { .. } => continue,
        };
        rows.add()
            .set("table_catalog", &view.database)
            .set("table_schema", &relation.schema)
            .set("table_name", &relation.name)
            .set("view_definition", view_definition(query))
            .set("check_option", "NONE")
            .set("is_updatable", YesNo(false))
            .set("is_insertable_into", YesNo(false))
            .set("is_trigger_updatable", YesNo(false))
            .set("is_trigger_deletable", YesNo(false))
            .set("is_trigger_insertable_into", YesNo(false));
    }
}

fn view_inputs(view: &SystemView, rows: &mut Rows<'_>) {
    for (relation, kind) in listed(view) {
        let inputs = relation.depends_on.iter().filter_map(|id| view.catalog.relation(*id));
        for input in inputs.filter(|_| kind != "BASE TABLE") {
            rows.add()
                .set("view_catalog", &view.database)
                .set("view_schema", &relation.schema)
                .set("view_name", &relation.name)
                .set("table_catalog", &view.database)
                .set("table_schema", &input.schema)
                .set("table_name", &input.name);
        }
    }
}

fn schemata(view: &SystemView, rows: &mut Rows<'_>) {
    let system = ["pg_catalog", "information_schema", "highwater"];
    let users = view.catalog.schemas().map(|s| s.name.as_str());
    for name in system.into_iter().chain(users) {
        rows.add()
            .set("catalog_name", &view.database)
            .set("schema_name", name)
            .set("schema_owner", view.owner());
    }
}

fn catalog_name(view: &SystemView, rows: &mut Rows<'_>) {
    rows.add().set("catalog_name", &view.database);
}

fn character_sets(view: &SystemView, rows: &mut Rows<'_>) {
    rows.add()
        .set("character_set_name", "UTF8")
        .set("character_repertoire", "UCS")
        .set("form_of_use", "UTF8")
        .set("default_collate_catalog", &view.database)
        .set("default_collate_schema", "pg_catalog")
        .set("default_collate_name", "C.UTF-8");
}
