//! What goes on: `pg_stat_activity`, `pg_stat_database`, `pg_stat_user_tables` and their kin.

use highwater_planner::catalog::RelationKind;

use super::PG_CATALOG;
use super::database::DATABASE;
use super::index;
use crate::system::Table;
use crate::system::rows::{Moment, Rows};
use crate::system::view::SystemView;

pub(super) const TABLES: &[Table] = &[
    Table::of_view(PG_CATALOG, "pg_stat_activity", activity),
    Table::of_view(PG_CATALOG, "pg_stat_database", databases),
    Table::of_view(PG_CATALOG, "pg_stat_user_tables", tables),
    Table::of_view(PG_CATALOG, "pg_stat_all_tables", tables),
    Table::of_catalog(PG_CATALOG, "pg_stat_user_indexes", indexes),
    Table::of_catalog(PG_CATALOG, "pg_stat_all_indexes", indexes),
];

fn activity(view: &SystemView, rows: &mut Rows<'_>) {
    for session in &view.live().sessions {
        let role = view.roles.iter().find(|r| r.name == session.user);
        rows.add()
            .set("datid", DATABASE)
            .set("datname", &session.database)
            .set("pid", session.pid)
            .set("usesysid", role.map(|r| r.oid))
            .set("usename", &session.user)
            .set("application_name", &session.application_name)
            .set("client_addr", &session.client_addr)
            .set("client_port", session.client_port)
            .set("backend_start", Moment(session.started_us))
            .set("xact_start", session.transaction_us.map(Moment))
            .set("query_start", session.query_us.map(Moment))
            .set("state", &session.state)
            .set("query", &session.query)
            .set("backend_type", "client backend");
    }
}

fn databases(view: &SystemView, rows: &mut Rows<'_>) {
    rows.add()
        .set("datid", DATABASE)
        .set("datname", &view.database)
        .set("numbackends", view.live().sessions.len())
        .set("xact_commit", view.live().epochs.closed_count);
}

fn tables(view: &SystemView, rows: &mut Rows<'_>) {
    for relation in view.catalog.relations() {
        match relation.kind {
            RelationKind::Table { .. } | RelationKind::MaterializedView { .. } | RelationKind::Source(_) => {}
            RelationKind::View { .. } | RelationKind::Index { .. } => continue,
        }
        let size = view.live().sizes.get(&relation.id);
        rows.add()
            .set("relid", relation.id)
            .set("schemaname", &relation.schema)
            .set("relname", &relation.name)
            .set("n_live_tup", size.map_or(0, |s| s.row_count))
            .set("n_dead_tup", 0);
    }
}

fn indexes(view: &SystemView, rows: &mut Rows<'_>) {
    for index in index::all(&view.catalog) {
        rows.add()
            .set("relid", index.on.id)
            .set("indexrelid", index.relation.id)
            .set("schemaname", &index.on.schema)
            .set("relname", &index.on.name)
            .set("indexrelname", &index.relation.name);
    }
}
