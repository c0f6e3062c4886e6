//! `columns`.

use highwater_planner::catalog::{Column, RelationKind};
use highwater_types::SqlType;

use super::{INFORMATION_SCHEMA, listed};
use crate::system::pg::default_text;
use crate::system::rows::{Row, Rows, YesNo};
use crate::system::view::SystemView;
use crate::system::{Table, relations, types};

pub(super) const TABLES: &[Table] = &[Table::of_view(INFORMATION_SCHEMA, "columns", columns)];

/// The most bytes that a text may take, as PostgreSQL counts them.
const MAX_OCTETS: i32 = 1 << 30;

fn columns(view: &SystemView, rows: &mut Rows<'_>) {
    for relation in relations() {
        for (i, column) in relation.columns.iter().enumerate() {
            let mut row = rows.add();
            place(&mut row, view, relation.schema_name, relation.name, column.name, i + 1);
            row.set("is_nullable", YesNo(!column.not_null));
            typed(&mut row, view, &column.sql_type);
            row.set("is_generated", "NEVER").set("is_updatable", YesNo(false));
        }
    }
    for (relation, kind) in listed(view) {
        let declared = kind == "BASE TABLE";
        let writable = matches!(relation.kind, RelationKind::Table { .. });
        for (i, column) in relation.columns.iter().enumerate() {
            let mut row = rows.add();
            place(&mut row, view, &relation.schema, &relation.name, &column.name, i + 1);
            row.set("column_default", plain_default(column).filter(|_| declared));
            row.set("is_nullable", YesNo(!(declared && column.not_null)));
            typed(&mut row, view, &column.sql_type);
            let generated = declared && column.generated.is_some();
            row.set("is_generated", if generated { "ALWAYS" } else { "NEVER" })
                .set("generation_expression", default_text(column).filter(|_| generated))
                .set("is_updatable", YesNo(writable));
        }
    }
}

/// The default, unless the column is generated.
fn plain_default(column: &Column) -> Option<String> {
    match column.generated {
        Some(_) => None,
        None => default_text(column),
    }
}

fn place(row: &mut Row<'_, '_>, view: &SystemView, schema: &str, table: &str, column: &str, number: usize) {
    row.set("table_catalog", &view.database)
        .set("table_schema", schema)
        .set("table_name", table)
        .set("column_name", column)
        .set("ordinal_position", number);
}

/// What follows from the column's type.
fn typed(row: &mut Row<'_, '_>, view: &SystemView, sql_type: &SqlType) {
    let pg_type = types::of(sql_type);
    let name = match sql_type {
        SqlType::Array(_) => "ARRAY".to_string(),
        SqlType::Bpchar(_) => "character".to_string(),
        _ => types::format_type(pg_type.oid, None),
    };
    let limit = match sql_type {
        SqlType::Varchar(limit) | SqlType::Bpchar(limit) => limit.and_then(|n| i32::try_from(n).ok()),
        _ => None,
    };
    let octets = match sql_type {
        SqlType::Varchar(_) | SqlType::Bpchar(_) => Some(limit.map_or(MAX_OCTETS, |n| n.saturating_mul(4))),
        SqlType::Text => Some(MAX_OCTETS),
        _ => None,
    };
    let (precision, radix, scale) = match sql_type {
        SqlType::Int2 => (Some(16), Some(2), Some(0)),
        SqlType::Int4 => (Some(32), Some(2), Some(0)),
        SqlType::Int8 => (Some(64), Some(2), Some(0)),
        SqlType::Float4 => (Some(24), Some(2), None),
        SqlType::Float8 => (Some(53), Some(2), None),
        SqlType::Numeric(None) => (None, Some(10), None),
        SqlType::Numeric(Some((precision, scale))) => (Some(i32::from(*precision)), Some(10), Some(i32::from(*scale))),
        _ => (None, None, None),
    };
    let moments = match sql_type {
        SqlType::Date => Some(0),
        SqlType::Time | SqlType::Timestamp | SqlType::Timestamptz | SqlType::Interval => Some(6),
        _ => None,
    };
    row.set("data_type", name)
        .set("character_maximum_length", limit)
        .set("character_octet_length", octets)
        .set("numeric_precision", precision)
        .set("numeric_precision_radix", radix)
        .set("numeric_scale", scale)
        .set("datetime_precision", moments)
        .set("udt_catalog", &view.database)
        .set("udt_schema", "pg_catalog")
        .set("udt_name", pg_type.name)
        .set("is_self_referencing", YesNo(false))
        .set("is_identity", YesNo(false))
        .set("identity_cycle", YesNo(false));
    let number = row.get("ordinal_position");
    row.set("dtd_identifier", number);
}
