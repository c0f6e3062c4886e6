//! Roles and what they may do: everyone may do everything.

use super::{INFORMATION_SCHEMA, listed};
use crate::system::Table;
use crate::system::rows::{Rows, YesNo};
use crate::system::view::SystemView;

pub(super) const TABLES: &[Table] = &[
    Table::of_view(INFORMATION_SCHEMA, "enabled_roles", enabled_roles),
    Table::of_view(INFORMATION_SCHEMA, "table_privileges", table_privileges),
    Table::of_view(INFORMATION_SCHEMA, "role_table_grants", table_privileges),
];

fn enabled_roles(view: &SystemView, rows: &mut Rows<'_>) {
    for role in &view.roles {
        rows.add().set("role_name", &role.name);
    }
}

fn table_privileges(view: &SystemView, rows: &mut Rows<'_>) {
    let privileges = [
        "INSERT",
        "SELECT",
        "UPDATE",
        "DELETE",
        "TRUNCATE",
        "REFERENCES",
        "TRIGGER",
    ];
    for (relation, _) in listed(view) {
        for role in &view.roles {
            for privilege in privileges {
                rows.add()
                    .set("grantor", view.owner())
                    .set("grantee", &role.name)
                    .set("table_catalog", &view.database)
                    .set("table_schema", &relation.schema)
                    .set("table_name", &relation.name)
                    .set("privilege_type", privilege)
                    .set("is_grantable", YesNo(role.superuser))
                    .set("with_hierarchy", YesNo(privilege == "SELECT"));
            }
        }
    }
}
