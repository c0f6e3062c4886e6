//! PostgreSQL's types by OID and by name, from a real `pg_type`; and how they are named in DDL (`format_type`).

use std::collections::HashMap;
use std::sync::LazyLock;

use highwater_types::SqlType;

/// The OID of `text`.
pub(crate) const TEXT: u32 = 25;
const BPCHAR: u32 = 1042;

/// A row of `pg_type`.
#[derive(Debug, Clone)]
pub(crate) struct PgType {
    pub(crate) oid: u32,
    pub(crate) name: &'static str,
    pub(crate) length: i16,
    pub(crate) by_value: bool,
    pub(crate) alignment: &'static str,
    pub(crate) storage: &'static str,
    pub(crate) collation: u32,
    /// The element type of an array.
    pub(crate) element: u32,
    /// The array type over it.
    pub(crate) array: u32,
    /// Ours, where there is one.
    pub(crate) sql_type: Option<SqlType>,
}

struct PgTypes {
    rows: Vec<PgType>,
    by_oid: HashMap<u32, usize>,
    by_name: HashMap<&'static str, usize>,
}

static TYPES: LazyLock<PgTypes> = LazyLock::new(|| {
    let file = include_str!("data/pg_type.tsv");
    let mut lines = file.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let index = |name: &str| {
        header
            .iter()
            .position(|h| *h == name)
            .expect("pg_type.tsv has the column")
    };
    let [
        oid,
        name,
        length,
        by_value,
        alignment,
        storage,
        collation,
        element,
        array,
    ] = [
        "oid",
        "typname",
        "typlen",
        "typbyval",
        "typalign",
        "typstorage",
        "typcollation",
        "typelem",
        "typarray",
    ]
    .map(index);
    let mut rows: Vec<PgType> = lines
        .map(|line| {
            let fields: Vec<&'static str> = line.split('\t').collect();
            let number = |i: usize| fields[i].parse::<u32>().unwrap_or(0);
            PgType {
                oid: number(oid),
                name: fields[name],
                length: fields[length].parse().unwrap_or(-1),
                by_value: fields[by_value] == "t",
                alignment: fields[alignment],
                storage: fields[storage],
                collation: number(collation),
                element: number(element),
                array: number(array),
                sql_type: plain_type(fields[name]),
            }
        })
        .collect();
    let elements: HashMap<u32, SqlType> = rows
        .iter()
        .filter_map(|t| Some((t.array, t.sql_type.clone()?)))
        .collect();
    for row in &mut rows {
        if let Some(element) = elements.get(&row.oid) {
            row.sql_type = Some(SqlType::Array(Box::new(element.clone())));
        }
    }
    PgTypes {
        by_oid: rows.iter().enumerate().map(|(i, t)| (t.oid, i)).collect(),
        by_name: rows.iter().enumerate().map(|(i, t)| (t.name, i)).collect(),
        rows,
    }
});

/// A type by its OID.
pub(crate) fn by_oid(oid: u32) -> Option<&'static PgType> {
    TYPES.by_oid.get(&oid).map(|i| &TYPES.rows[*i])
}

/// A type by its name in `pg_type`.
pub(crate) fn by_name(name: &str) -> Option<&'static PgType> {
    TYPES.by_name.get(name).map(|i| &TYPES.rows[*i])
}

/// Our type of this name in `pg_type`, when it is not an array.
fn plain_type(name: &str) -> Option<SqlType> {
    Some(match name {
        "bool" => SqlType::Bool,
        "int2" => SqlType::Int2,
        "int4" => SqlType::Int4,
        "int8" => SqlType::Int8,
        "float4" => SqlType::Float4,
        "float8" => SqlType::Float8,
        "numeric" => SqlType::Numeric(None),
        "text" => SqlType::Text,
        "varchar" => SqlType::Varchar(None),
        "bpchar" => SqlType::Bpchar(None),
        "char" => SqlType::Char,
        "name" => SqlType::Name,
        "bytea" => SqlType::Bytea,
        "date" => SqlType::Date,
        "time" => SqlType::Time,
        "timestamp" => SqlType::Timestamp,
        "timestamptz" => SqlType::Timestamptz,
        "interval" => SqlType::Interval,
        "json" => SqlType::Json,
        "jsonb" => SqlType::Jsonb,
        "uuid" => SqlType::Uuid,
        "oid" => SqlType::Oid,
        "regclass" => SqlType::Regclass,
        "regtype" => SqlType::Regtype,
        "regproc" => SqlType::Regproc,
        "regnamespace" => SqlType::Regnamespace,
        "regrole" => SqlType::Regrole,
        "unknown" => SqlType::Unknown,
        "void" => SqlType::Void,
        "int2vector" => SqlType::Int2Vector,
        "oidvector" => SqlType::OidVector,
        "pg_node_tree" => SqlType::PgNodeTree,
        _ => return None,
    })
}

/// The name in `pg_type` of a type that is not an array.
fn plain_name(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Bool => "bool",
        SqlType::Int2 => "int2",
        SqlType::Int4 => "int4",
        SqlType::Int8 => "int8",
        SqlType::Float4 => "float4",
        SqlType::Float8 => "float8",
        SqlType::Numeric(_) => "numeric",
        SqlType::Text => "text",
        SqlType::Varchar(_) => "varchar",
        SqlType::Bpchar(_) => "bpchar",
        SqlType::Char => "char",
        SqlType::Name => "name",
        SqlType::Bytea => "bytea",
        SqlType::Date => "date",
        SqlType::Time => "time",
        SqlType::Timestamp => "timestamp",
        SqlType::Timestamptz => "timestamptz",
        SqlType::Interval => "interval",
        SqlType::Json => "json",
        SqlType::Jsonb => "jsonb",
        SqlType::Uuid => "uuid",
        SqlType::Oid => "oid",
        SqlType::Regclass => "regclass",
        SqlType::Regtype => "regtype",
        SqlType::Regproc => "regproc",
        SqlType::Regnamespace => "regnamespace",
        SqlType::Regrole => "regrole",
        SqlType::Unknown => "unknown",
        SqlType::Void => "void",
        SqlType::Record(_) => "record",
        SqlType::Int2Vector => "int2vector",
        SqlType::OidVector => "oidvector",
        SqlType::PgNodeTree => "pg_node_tree",
        SqlType::Array(_) => "_text",
    }
}

/// The row of `pg_type` for one of our types.
pub(crate) fn of(sql_type: &SqlType) -> &'static PgType {
    let found = match sql_type {
        SqlType::Array(element) => {
            // Arrays of any number of dimensions have one type.
            let element = of(element);
            if element.name.starts_with('_') {
                Some(element)
            } else {
                by_oid(element.array)
            }
        }
        plain => by_name(plain_name(plain)),
    };
    found.or_else(|| by_oid(TEXT)).expect("pg_type.tsv has text")
}

/// PostgreSQL's type modifier: a length or a precision, or -1.
pub(crate) fn typmod(sql_type: &SqlType) -> i32 {
    match sql_type {
        SqlType::Varchar(Some(limit)) | SqlType::Bpchar(Some(limit)) => i32::try_from(*limit).map_or(-1, |n| n + 4),
        SqlType::Numeric(Some((precision, scale))) => ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + 4,
        SqlType::Array(element) => typmod(element),
        _ => -1,
    }
}

/// The name of a type as DDL writes it. `typmod` is `None` when none was given, which is not the same as -1.
pub(crate) fn format_type(oid: u32, typmod: Option<i32>) -> String {
    let Some(found) = by_oid(oid) else {
        return if oid == 0 { "-".to_string() } else { "???".to_string() };
    };
    if found.element != 0 && found.name.starts_with('_') {
        return format!("{}[]", format_type(found.element, typmod));
    }
    let limit = typmod.filter(|t| *t >= 4).map(|t| t - 4);
    let limited = |name: &str| match limit {
        Some(limit) => format!("{name}({limit})"),
        None => name.to_string(),
    };
    match found.name {
        "bool" => "boolean".to_string(),
        "int2" => "smallint".to_string(),
        "int4" => "integer".to_string(),
        "int8" => "bigint".to_string(),
        "float4" => "real".to_string(),
        "float8" => "double precision".to_string(),
        "char" => "\"char\"".to_string(),
        "varchar" => limited("character varying"),
        "bpchar" if found.oid == BPCHAR && limit.is_none() && typmod.is_some() => "bpchar".to_string(),
        "bpchar" => limited("character"),
        "bit" => "bit".to_string(),
        "varbit" => "bit varying".to_string(),
        "numeric" => match limit {
            Some(limit) => {
                // The scale is eleven bits with a sign.
                let scale = ((limit & 0x7ff) ^ 1024) - 1024;
                format!("numeric({},{scale})", (limit >> 16) & 0xffff)
            }
            None => "numeric".to_string(),
        },
        "time" => "time without time zone".to_string(),
        "timetz" => "time with time zone".to_string(),
        "timestamp" => "timestamp without time zone".to_string(),
        "timestamptz" => "timestamp with time zone".to_string(),
        other => other.to_string(),
    }
}

/// The OID of a type by any of its names: `int4`, `integer`, `character varying(10)`, `text[]`, `pg_catalog.oid`.
pub(crate) fn oid_of_name(text: &str) -> Option<u32> {
    let text = text.trim();
    if let Some(element) = text.strip_suffix("[]") {
        return oid_of_name(element)
            .and_then(by_oid)
            .map(|t| t.array)
            .filter(|oid| *oid != 0);
    }
    let plain = text.strip_prefix("pg_catalog.").unwrap_or(text);
    if let Some(quoted) = plain.strip_prefix('"') {
        return by_name(quoted.strip_suffix('"')?).map(|t| t.oid);
    }
    let lower = plain.split('(').next().unwrap_or_default().trim().to_lowercase();
    let tail = plain
        .rsplit_once(')')
        .map_or("", |(_, tail)| tail)
        .trim()
        .to_lowercase();
    let name = if tail.is_empty() {
        lower
    } else {
        format!("{lower} {tail}")
    };
    let name = match name.as_str() {
        "boolean" => "bool",
        "smallint" => "int2",
        "integer" | "int" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" | "float" => "float8",
        "decimal" | "dec" => "numeric",
        "character varying" => "varchar",
        "character" | "char" => "bpchar",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "bit varying" => "varbit",
        other => other,
    };
    by_name(name).map(|t| t.oid)
}
