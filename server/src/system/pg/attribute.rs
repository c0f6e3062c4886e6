//! `pg_attribute` and `pg_attrdef`: columns, and their defaults and generating expressions.

use highwater_planner::catalog::{Column, Relation, RelationKind};
use highwater_types::SqlType;

use super::PG_CATALOG;
use super::class::index_columns;
use crate::system::rows::Rows;
use crate::system::view::SystemView;
use crate::system::{Table, relations, types};

pub(super) const TABLES: &[Table] = &[
    Table::of_catalog(PG_CATALOG, "pg_attribute", attributes),
    Table::of_catalog(PG_CATALOG, "pg_attrdef", defaults),
];

/// What `pg_attribute` says of one column.
struct Attribute<'a> {
    relation: u32,
    number: usize,
    name: &'a str,
    type_oid: u32,
    typmod: i32,
    dimensions: i16,
    not_null: bool,
    has_default: bool,
    generated: bool,
}

fn attributes(view: &SystemView, rows: &mut Rows<'_>) {
    for relation in relations() {
        for (i, column) in relation.columns.iter().enumerate() {
            let attribute = Attribute {
                relation: relation.oid,
                number: i + 1,
                name: column.name,
                type_oid: column.type_oid,
                typmod: -1,
                dimensions: i16::from(matches!(column.sql_type, SqlType::Array(_))),
                not_null: column.not_null,
                has_default: false,
                generated: false,
            };
            add(&attribute, rows);
        }
    }
    for relation in view.catalog.relations() {
        for (number, column) in columns_of(view, relation) {
            let declared = matches!(relation.kind, RelationKind::Table { .. } | RelationKind::Source(_));
            let attribute = Attribute {
                relation: relation.id.0,
                number,
                name: &column.name,
                type_oid: types::of(&column.sql_type).oid,
                typmod: types::typmod(&column.sql_type),
                dimensions: i16::from(matches!(column.sql_type, SqlType::Array(_))),
                not_null: declared && column.not_null,
                has_default: declared && default_text(column).is_some(),
                generated: declared && column.generated.is_some(),
            };
            add(&attribute, rows);
        }
    }
}

/// The columns with their numbers from 1; of an index, those it indexes.
fn columns_of<'a>(view: &'a SystemView, relation: &'a Relation) -> Vec<(usize, &'a Column)> {
    let indexed = match &relation.kind {
        RelationKind::Index { on, .. } => view.catalog.relation(*on).zip(index_columns(&relation.kind)),
        RelationKind::Table { .. }
        | RelationKind::Source(_)
        | RelationKind::View { .. }
        | RelationKind::MaterializedView { .. } => None,
    };
    match indexed {
        Some((table, columns)) => columns
            .iter()
            .enumerate()
            .filter_map(|(i, c)| Some((i + 1, table.columns.get(*c)?)))
            .collect(),
        None => relation.columns.iter().enumerate().map(|(i, c)| (i + 1, c)).collect(),
    }
}

fn add(attribute: &Attribute<'_>, rows: &mut Rows<'_>) {
    let pg_type = types::by_oid(attribute.type_oid);
    rows.add()
        .set("attrelid", attribute.relation)
        .set("attname", attribute.name)
        .set("atttypid", attribute.type_oid)
        .set("attstattarget", -1)
        .set("attlen", pg_type.map_or(-1, |t| t.length))
        .set("attnum", attribute.number)
        .set("attndims", attribute.dimensions)
        .set("attcacheoff", -1)
        .set("atttypmod", attribute.typmod)
        .set("attbyval", pg_type.is_some_and(|t| t.by_value))
        .set("attalign", pg_type.map_or("i", |t| t.alignment))
        .set("attstorage", pg_type.map_or("x", |t| t.storage))
        .set("attnotnull", attribute.not_null)
        .set("atthasdef", attribute.has_default)
        .set("attgenerated", if attribute.generated { "s" } else { "" })
        .set("attislocal", true)
        .set("attcollation", pg_type.map_or(0, |t| t.collation));
}

fn defaults(view: &SystemView, rows: &mut Rows<'_>) {
    for relation in view.catalog.relations() {
        let declared = matches!(relation.kind, RelationKind::Table { .. } | RelationKind::Source(_));
        for (i, column) in relation.columns.iter().enumerate().filter(|_| declared) {
            if let Some(text) = default_text(column) {
                // A relation has fewer than 1,600 columns, so no two share a number.
                let oid = relation.id.0.wrapping_mul(1600).wrapping_add(i as u32 + 1);
                rows.add()
                    .set("oid", oid)
                    .set("adrelid", relation.id)
                    .set("adnum", i + 1)
                    .set("adbin", text);
            }
        }
    }
}

/// A column's default or generating expression as `pg_get_expr` writes it: a string literal carries its type.
pub(crate) fn default_text(column: &Column) -> Option<String> {
    let text = column.generated.as_ref().or(column.default.as_ref())?;
    let body = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
    if body.is_some_and(|b| !b.replace("''", "").contains('\'')) {
        let pg_type = types::of(&column.sql_type);
        return Some(format!("{text}::{}", types::format_type(pg_type.oid, Some(-1))));
    }
    Some(text.clone())
}
