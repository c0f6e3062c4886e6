//! `pg_namespace`.

use super::PG_CATALOG;
use crate::system::Table;
use crate::system::relation::{HIGHWATER_OID, INFORMATION_SCHEMA_OID, PG_CATALOG_OID};
use crate::system::rows::Rows;
use crate::system::view::{OWNER, SystemView};

pub(super) const TABLES: &[Table] = &[Table::of_catalog(PG_CATALOG, "pg_namespace", fill)];

fn fill(view: &SystemView, rows: &mut Rows<'_>) {
    let system = [
        (PG_CATALOG_OID, "pg_catalog"),
        (INFORMATION_SCHEMA_OID, "information_schema"),
        (HIGHWATER_OID, "highwater"),
    ];
    let users = view.catalog.schemas().map(|s| (s.id.0, s.name.as_str()));
    for (oid, name) in system.into_iter().chain(users) {
        rows.add().set("oid", oid).set("nspname", name).set("nspowner", OWNER);
    }
}
