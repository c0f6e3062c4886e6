//! [`SystemRelation`]: the name, OID and columns of each system relation. PostgreSQL's come from a file made from
//! a real one, so that they are complete and in order; ours are declared where their rows are made.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{Schema, SchemaRef};
use highwater_types::SqlType;

use super::types;

/// The OIDs of the schemas that are always there.
pub(crate) const PG_CATALOG_OID: u32 = 11;
pub(crate) const INFORMATION_SCHEMA_OID: u32 = 13_000;
pub(crate) const HIGHWATER_OID: u32 = 13_001;
/// The OID of the first relation of the schema `highwater`; the others follow it.
const FIRST_OWN_OID: u32 = 13_010;

/// A system relation.
#[derive(Debug)]
pub(crate) struct SystemRelation {
    pub(crate) oid: u32,
    pub(crate) schema_name: &'static str,
    pub(crate) name: &'static str,
    /// PostgreSQL's relkind: `r` or `v`.
    pub(crate) kind: char,
    pub(crate) columns: Vec<SystemColumn>,
    pub(crate) schema: SchemaRef,
}

/// A column of a system relation.
#[derive(Debug)]
pub(crate) struct SystemColumn {
    pub(crate) name: &'static str,
    /// The type in which rows have it.
    pub(crate) sql_type: SqlType,
    /// The type that PostgreSQL's own catalog gives it.
    pub(crate) type_oid: u32,
    pub(crate) not_null: bool,
}

/// The columns of a relation of the schema `highwater`: `name type, ...`, types by `pg_type`'s names.
pub(crate) struct OwnRelation {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static str,
}

/// All of PostgreSQL's catalog relations, by schema and name.
pub(crate) static POSTGRES: LazyLock<Vec<SystemRelation>> = LazyLock::new(|| {
    let file = include_str!("data/relations.tsv");
    file.lines().skip(1).map(postgres_relation).collect()
});

fn postgres_relation(line: &'static str) -> SystemRelation {
    let mut fields = line.split('\t');
    let mut field = || fields.next().expect("relations.tsv has five fields in every line");
    let oid = field().parse().expect("the first field is an OID");
    let (schema_name, name) = (field(), field());
    let kind = field().chars().next().unwrap_or('r');
    let columns = field().split(' ').map(postgres_column).collect();
    SystemRelation::new(oid, schema_name, name, kind, columns)
}

fn postgres_column(text: &'static str) -> SystemColumn {
    let (name, type_name) = text.split_once(':').expect("a column is name:type");
    let not_null = type_name.ends_with('!');
    column(name, type_name.trim_end_matches('!'), not_null)
}

fn column(name: &'static str, type_name: &str, not_null: bool) -> SystemColumn {
    SystemColumn {
        name,
        sql_type: row_type(type_name),
        type_oid: types::by_name(base_type(type_name)).map_or(types::TEXT, |t| t.oid),
        not_null,
    }
}

impl SystemRelation {
    fn new(
        oid: u32,
        schema_name: &'static str,
        name: &'static str,
        kind: char,
        columns: Vec<SystemColumn>,
    ) -> SystemRelation {
        let fields: Vec<_> = columns.iter().map(|c| c.sql_type.to_field(c.name)).collect();
        SystemRelation {
            oid,
            schema_name,
            name,
            kind,
            columns,
            schema: Arc::new(Schema::new(fields)),
        }
    }

    /// A relation of the schema `highwater`, the `index`th.
    pub(crate) fn own(index: usize, own: &OwnRelation) -> SystemRelation {
        let columns = own
            .columns
            .split(", ")
            .map(|text| {
                let (name, type_name) = text.split_once(' ').expect("a column is `name type`");
                column(name, type_name, false)
            })
            .collect();
        let oid = FIRST_OWN_OID + u32::try_from(index).expect("there are a few relations");
        SystemRelation::new(oid, "highwater", own.name, 'v', columns)
    }

    /// The OID of its schema.
    pub(crate) fn schema_oid(&self) -> u32 {
        match self.schema_name {
            "pg_catalog" => PG_CATALOG_OID,
            "information_schema" => INFORMATION_SCHEMA_OID,
            _ => HIGHWATER_OID,
        }
    }
}

/// The base types of `information_schema`'s domains.
fn base_type(name: &str) -> &str {
    match name {
        "sql_identifier" => "name",
        "character_data" | "yes_or_no" => "varchar",
        "cardinal_number" => "int4",
        "time_stamp" => "timestamptz",
        other => other,
    }
}

/// The type in which rows have a column. What exists only in catalogs is text.
fn row_type(name: &str) -> SqlType {
    if let Some(element) = name.strip_prefix('_') {
        return SqlType::Array(Box::new(row_type(element)));
    }
    match name {
        "yes_or_no" => SqlType::Varchar(Some(3)),
        "xid" | "cid" => SqlType::Oid,
        other => types::by_name(base_type(other))
            .and_then(|t| t.sql_type.clone())
            .unwrap_or(SqlType::Text),
    }
}
