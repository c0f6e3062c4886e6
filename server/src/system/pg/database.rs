//! What all databases share: `pg_database`, and the roles in their four forms.

use super::PG_CATALOG;
use crate::system::Table;
use crate::system::rows::Rows;
use crate::system::view::{OWNER, SystemView};

pub(super) const TABLES: &[Table] = &[
    Table::of_view(PG_CATALOG, "pg_database", databases),
    Table::of_view(PG_CATALOG, "pg_authid", authids),
    Table::of_view(PG_CATALOG, "pg_roles", roles),
    Table::of_view(PG_CATALOG, "pg_user", users),
    Table::of_view(PG_CATALOG, "pg_shadow", shadows),
];

/// The OID of the one database; PostgreSQL gives it to `postgres`.
pub(crate) const DATABASE: u32 = 5;
const DEFAULT_TABLESPACE: u32 = 1663;
const UTF8: i32 = 6;

fn databases(view: &SystemView, rows: &mut Rows<'_>) {
    rows.add()
        .set("oid", DATABASE)
        .set("datname", &view.database)
        .set("datdba", OWNER)
        .set("encoding", UTF8)
        .set("datlocprovider", "c")
        .set("datallowconn", true)
        .set("datconnlimit", -1)
        .set("dattablespace", DEFAULT_TABLESPACE)
        .set("datcollate", "C.UTF-8")
        .set("datctype", "C.UTF-8");
}

fn authids(view: &SystemView, rows: &mut Rows<'_>) {
    for role in &view.roles {
        rows.add()
            .set("oid", role.oid)
            .set("rolname", &role.name)
            .set("rolsuper", role.superuser)
            .set("rolinherit", true)
            .set("rolcreaterole", role.superuser)
            .set("rolcreatedb", role.superuser)
            .set("rolcanlogin", true)
            .set("rolreplication", role.superuser)
            .set("rolbypassrls", role.superuser)
            .set("rolconnlimit", -1);
    }
}

fn roles(view: &SystemView, rows: &mut Rows<'_>) {
    for role in &view.roles {
        rows.add()
            .set("rolname", &role.name)
            .set("rolsuper", role.superuser)
            .set("rolinherit", true)
            .set("rolcreaterole", role.superuser)
            .set("rolcreatedb", role.superuser)
            .set("rolcanlogin", true)
            .set("rolreplication", role.superuser)
            .set("rolconnlimit", -1)
            .set("rolpassword", "********")
            .set("rolbypassrls", role.superuser)
            .set("oid", role.oid);
    }
}

fn users(view: &SystemView, rows: &mut Rows<'_>) {
    user_rows(view, rows, Some("********".to_string()));
}

fn shadows(view: &SystemView, rows: &mut Rows<'_>) {
    user_rows(view, rows, None);
}

fn user_rows(view: &SystemView, rows: &mut Rows<'_>, password: Option<String>) {
    for role in &view.roles {
        rows.add()
            .set("usename", &role.name)
            .set("usesysid", role.oid)
            .set("usecreatedb", role.superuser)
            .set("usesuper", role.superuser)
            .set("userepl", role.superuser)
            .set("usebypassrls", role.superuser)
            .set("passwd", &password);
    }
}
