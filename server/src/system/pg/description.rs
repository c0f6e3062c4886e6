//! `pg_description`: what COMMENT ON said.

use super::PG_CATALOG;
use crate::system::Table;
use crate::system::rows::Rows;
use crate::system::view::SystemView;

pub(super) const TABLES: &[Table] = &[Table::of_catalog(PG_CATALOG, "pg_description", fill)];

/// The OIDs of the catalogs that comments belong to.
const PG_CLASS: u32 = 1259;
const PG_NAMESPACE: u32 = 2615;

fn fill(view: &SystemView, rows: &mut Rows<'_>) {
    let mut add = |object: u32, class: u32, column: usize, comment: &Option<String>| {
        if let Some(comment) = comment {
            rows.add()
                .set("objoid", object)
                .set("classoid", class)
                .set("objsubid", column)
                .set("description", comment);
        }
    };
    for schema in view.catalog.schemas() {
        let public = Some("standard public schema".to_string());
        let standard = schema.name == "public" && schema.comment.is_none();
        add(
            schema.id.0,
            PG_NAMESPACE,
            0,
            if standard { &public } else { &schema.comment },
        );
    }
    for relation in view.catalog.relations() {
        add(relation.id.0, PG_CLASS, 0, &relation.comment);
        for (i, column) in relation.columns.iter().enumerate() {
            add(relation.id.0, PG_CLASS, i + 1, &column.comment);
        }
    }
}
