//! Primary keys: `table_constraints`, `key_column_usage`, `constraint_column_usage`, `constraint_table_usage`.

use super::INFORMATION_SCHEMA;
use crate::system::Table;
use crate::system::pg::index::{self, Index};
use crate::system::rows::{Row, Rows, YesNo};
use crate::system::view::SystemView;

pub(super) const TABLES: &[Table] = &[
    Table::of_view(INFORMATION_SCHEMA, "table_constraints", constraints),
    Table::of_view(INFORMATION_SCHEMA, "key_column_usage", keys),
    Table::of_view(INFORMATION_SCHEMA, "constraint_column_usage", columns),
    Table::of_view(INFORMATION_SCHEMA, "constraint_table_usage", tables),
];

fn primary_keys(view: &SystemView) -> impl Iterator<Item = Index> {
    index::all(&view.catalog).filter(|i| i.primary)
}

fn name(row: &mut Row<'_, '_>, view: &SystemView, key: &Index) {
    row.set("constraint_catalog", &view.database)
        .set("constraint_schema", &key.on.schema)
        .set("constraint_name", key.constraint_name())
        .set("table_catalog", &view.database)
        .set("table_schema", &key.on.schema)
        .set("table_name", &key.on.name);
}

fn constraints(view: &SystemView, rows: &mut Rows<'_>) {
    for key in primary_keys(view) {
        let mut row = rows.add();
        name(&mut row, view, &key);
        row.set("constraint_type", "PRIMARY KEY")
            .set("is_deferrable", YesNo(false))
            .set("initially_deferred", YesNo(false))
            .set("enforced", YesNo(true));
    }
}

fn keys(view: &SystemView, rows: &mut Rows<'_>) {
    for key in primary_keys(view) {
        for (i, column) in key.columns.iter().enumerate() {
            let mut row = rows.add();
            name(&mut row, view, &key);
            row.set("column_name", key.on.columns.get(*column).map(|c| c.name.clone()))
                .set("ordinal_position", i + 1);
        }
    }
}

fn columns(view: &SystemView, rows: &mut Rows<'_>) {
    for key in primary_keys(view) {
        for column in &key.columns {
            let mut row = rows.add();
            name(&mut row, view, &key);
            row.set("column_name", key.on.columns.get(*column).map(|c| c.name.clone()));
        }
    }
}

fn tables(view: &SystemView, rows: &mut Rows<'_>) {
    for key in primary_keys(view) {
        name(&mut rows.add(), view, &key);
    }
}
