//! [`SqlType`]: PostgreSQL's types, and the Arrow types that stand for them.
//!
//! Most SQL types own an Arrow type that no other SQL type uses, so that the type survives any expression:
//! `oid` is the only `UInt32`, `uuid` the only `FixedSizeBinary(16)`, `jsonb` the only `LargeUtf8`. Types that
//! share one (`varchar(n)`, `char(n)`, `json` and `name` are text; `regclass` and its kin are oids) carry their
//! name in the field's metadata, under [`SqlType::METADATA_KEY`], which columns and aliases keep.
//!
//! # Numeric
//! A `numeric(p, s)` is a `Decimal128(p, s)`. `numeric` without precision is [`UNCONSTRAINED_NUMERIC`], and what
//! a division or an average yields is [`QUOTIENT`]. Their texts differ: the first two print all of their scale,
//! an unconstrained one drops trailing zeros, a quotient prints PostgreSQL's at least 16 significant digits.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use serde::{Deserialize, Serialize};

/// `numeric` without precision and scale: 56 digits before the point and 20 after it.
pub const UNCONSTRAINED_NUMERIC: DataType = DataType::Decimal256(76, 20);
/// The type of numeric divisions and averages. Told from [`UNCONSTRAINED_NUMERIC`] by its scale.
pub const QUOTIENT: DataType = DataType::Decimal256(76, 24);

/// A type as PostgreSQL names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum SqlType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// Precision and scale, or neither: see the module's header.
    Numeric(Option<(u8, i8)>),
    Text,
    /// The limit in characters, if any.
    Varchar(Option<u32>),
    /// `char(n)`: blank-padded to n characters.
    Bpchar(Option<u32>),
    /// The one-byte `"char"` of the catalogs.
    Char,
    Name,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Json,
    Jsonb,
    Uuid,
    Oid,
    Regclass,
    Regtype,
    Regproc,
    Regnamespace,
    Regrole,
    /// The type of a literal that nothing has given a type yet.
    Unknown,
    /// What functions without a result answer.
    Void,
    /// A composite value; only inside queries and results.
    Record(Vec<(String, SqlType)>),
    /// A one-dimensional array.
    Array(Box<SqlType>),
    /// The catalogs' old-style arrays, which print without braces.
    Int2Vector,
    OidVector,
    /// A parse tree as text, in the catalogs.
    PgNodeTree,
}

/// PostgreSQL's interval: months, days and microseconds, kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IntervalParts {
    /// Whole months.
    pub months: i32,
    /// Whole days.
    pub days: i32,
    /// The rest, in microseconds.
    pub micros: i64,
}

impl From<IntervalMonthDayNano> for IntervalParts {
    fn from(value: IntervalMonthDayNano) -> IntervalParts {
        IntervalParts {
            months: value.months,
            days: value.days,
            micros: value.nanoseconds / 1000,
        }
    }
}

impl SqlType {
    /// The key under which a field's metadata holds the SQL type's name where the Arrow type does not tell it.
    pub const METADATA_KEY: &'static str = "highwater.type";

    /// The Arrow type that stands for this type.
    pub fn to_arrow(&self) -> DataType {
        match self {
            SqlType::Bool => DataType::Boolean,
            SqlType::Int2 => DataType::Int16,
            SqlType::Int4 => DataType::Int32,
            SqlType::Int8 => DataType::Int64,
            SqlType::Float4 => DataType::Float32,
            SqlType::Float8 => DataType::Float64,
            SqlType::Numeric(None) => UNCONSTRAINED_NUMERIC,
            SqlType::Numeric(Some((precision, scale))) if *precision <= 38 => DataType::Decimal128(*precision, *scale),
            SqlType::Numeric(Some((precision, scale))) => DataType::Decimal256(*precision, *scale),
            SqlType::Text
            | SqlType::Varchar(_)
            | SqlType::Bpchar(_)
            | SqlType::Char
            | SqlType::Name
            | SqlType::Json
            | SqlType::Unknown
            | SqlType::Int2Vector
            | SqlType::OidVector
            | SqlType::PgNodeTree => DataType::Utf8,
            SqlType::Jsonb => DataType::LargeUtf8,
            SqlType::Bytea => DataType::Binary,
            SqlType::Date => DataType::Date32,
            SqlType::Time => DataType::Time64(TimeUnit::Microsecond),
            SqlType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            SqlType::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            SqlType::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            SqlType::Uuid => DataType::FixedSizeBinary(16),
            SqlType::Oid
            | SqlType::Regclass
            | SqlType::Regtype
            | SqlType::Regproc
            | SqlType::Regnamespace
            | SqlType::Regrole => DataType::UInt32,
            SqlType::Void => DataType::Null,
            SqlType::Record(fields) => DataType::Struct(fields.iter().map(|(name, t)| t.to_field(name)).collect()),
            SqlType::Array(element) => DataType::List(element.to_field("item")),
        }
    }

    /// A nullable field of this type, with the metadata that [`SqlType::of_field`] reads.
    pub fn to_field(&self, name: &str) -> FieldRef {
        let field = Field::new(name, self.to_arrow(), true);
        match self.metadata() {
            None => Arc::new(field),
            Some(text) => Arc::new(field.with_metadata(HashMap::from([(SqlType::METADATA_KEY.to_string(), text)]))),
        }
    }

    /// The SQL type that a field stands for. Arrow types that no SQL type owns are answered by the nearest:
    /// an unsigned 64-bit integer, for one, is a `numeric(20, 0)`.
    pub fn of_field(field: &Field) -> SqlType {
        let named = field
            .metadata()
            .get(SqlType::METADATA_KEY)
            .and_then(|text| SqlType::from_metadata(text));
        match named {
            Some(sql_type) if sql_type.to_arrow() == *field.data_type() => sql_type,
            _ => SqlType::of_arrow(field.data_type()),
        }
    }

    /// The SQL type that owns an Arrow type.
    pub fn of_arrow(data_type: &DataType) -> SqlType {
        match data_type {
            DataType::Boolean => SqlType::Bool,
            DataType::Int8 | DataType::UInt8 | DataType::Int16 => SqlType::Int2,
            DataType::UInt16 | DataType::Int32 => SqlType::Int4,
            DataType::UInt32 => SqlType::Oid,
            DataType::Int64 => SqlType::Int8,
            DataType::UInt64 => SqlType::Numeric(Some((20, 0))),
            DataType::Float16 | DataType::Float32 => SqlType::Float4,
            DataType::Float64 => SqlType::Float8,
            DataType::Decimal256(_, _) if *data_type == UNCONSTRAINED_NUMERIC || *data_type == QUOTIENT => {
                SqlType::Numeric(None)
            }
            DataType::Decimal32(p, s)
            | DataType::Decimal64(p, s)
            | DataType::Decimal128(p, s)
            | DataType::Decimal256(p, s) => SqlType::Numeric(Some((*p, *s))),
            DataType::Utf8 | DataType::Utf8View => SqlType::Text,
            DataType::LargeUtf8 => SqlType::Jsonb,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => SqlType::Bytea,
            DataType::FixedSizeBinary(_) => SqlType::Uuid,
            DataType::Date32 | DataType::Date64 => SqlType::Date,
            DataType::Time32(_) | DataType::Time64(_) => SqlType::Time,
            DataType::Timestamp(_, None) => SqlType::Timestamp,
            DataType::Timestamp(_, Some(_)) => SqlType::Timestamptz,
            DataType::Interval(_) | DataType::Duration(_) => SqlType::Interval,
            DataType::Null => SqlType::Text,
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => SqlType::Array(Box::new(SqlType::of_field(item))),
            DataType::Struct(fields) => SqlType::Record(
                fields
                    .iter()
                    .map(|f| (f.name().clone(), SqlType::of_field(f)))
                    .collect(),
            ),
            DataType::Dictionary(_, value) => SqlType::of_arrow(value),
            DataType::RunEndEncoded(_, value) => SqlType::of_field(value),
            DataType::Union(_, _) | DataType::Map(_, _) => SqlType::Text,
        }
    }

    /// What the field's metadata says, for types that share their Arrow type with another.
    fn metadata(&self) -> Option<String> {
        let text = match self {
            SqlType::Varchar(Some(limit)) => format!("varchar({limit})"),
            SqlType::Varchar(None) => "varchar".to_string(),
            SqlType::Bpchar(Some(limit)) => format!("bpchar({limit})"),
            SqlType::Bpchar(None) => "bpchar".to_string(),
            SqlType::Char => "char".to_string(),
            SqlType::Name => "name".to_string(),
            SqlType::Json => "json".to_string(),
            SqlType::Unknown => "unknown".to_string(),
            SqlType::Int2Vector => "int2vector".to_string(),
            SqlType::OidVector => "oidvector".to_string(),
            SqlType::PgNodeTree => "pg_node_tree".to_string(),
            SqlType::Regclass => "regclass".to_string(),
            SqlType::Regtype => "regtype".to_string(),
            SqlType::Regproc => "regproc".to_string(),
            SqlType::Regnamespace => "regnamespace".to_string(),
            SqlType::Regrole => "regrole".to_string(),
            SqlType::Void => "void".to_string(),
            _ => return None,
        };
        Some(text)
    }

    fn from_metadata(text: &str) -> Option<SqlType> {
        let (name, limit) = match text.split_once('(') {
            Some((name, rest)) => (name, rest.trim_end_matches(')').parse::<u32>().ok()),
            None => (text, None),
        };
        Some(match name {
            "varchar" => SqlType::Varchar(limit),
            "bpchar" => SqlType::Bpchar(limit),
            "char" => SqlType::Char,
            "name" => SqlType::Name,
            "json" => SqlType::Json,
            "unknown" => SqlType::Unknown,
            "int2vector" => SqlType::Int2Vector,
            "oidvector" => SqlType::OidVector,
            "pg_node_tree" => SqlType::PgNodeTree,
            "regclass" => SqlType::Regclass,
            "regtype" => SqlType::Regtype,
            "regproc" => SqlType::Regproc,
            "regnamespace" => SqlType::Regnamespace,
            "regrole" => SqlType::Regrole,
            "void" => SqlType::Void,
            _ => return None,
        })
    }
}

/// The name as PostgreSQL's `format_type` gives it: `bigint`, `character varying(20)`, `numeric(10,2)`.
impl std::fmt::Display for SqlType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SqlType::Bool => f.write_str("boolean"),
            SqlType::Int2 => f.write_str("smallint"),
            SqlType::Int4 => f.write_str("integer"),
            SqlType::Int8 => f.write_str("bigint"),
            SqlType::Float4 => f.write_str("real"),
            SqlType::Float8 => f.write_str("double precision"),
            SqlType::Numeric(None) => f.write_str("numeric"),
            SqlType::Numeric(Some((precision, scale))) => write!(f, "numeric({precision},{scale})"),
            SqlType::Text => f.write_str("text"),
            SqlType::Varchar(None) => f.write_str("character varying"),
            SqlType::Varchar(Some(limit)) => write!(f, "character varying({limit})"),
            SqlType::Bpchar(None) => f.write_str("bpchar"),
            SqlType::Bpchar(Some(limit)) => write!(f, "character({limit})"),
            SqlType::Char => f.write_str("\"char\""),
            SqlType::Name => f.write_str("name"),
            SqlType::Bytea => f.write_str("bytea"),
            SqlType::Date => f.write_str("date"),
            SqlType::Time => f.write_str("time without time zone"),
            SqlType::Timestamp => f.write_str("timestamp without time zone"),
            SqlType::Timestamptz => f.write_str("timestamp with time zone"),
            SqlType::Interval => f.write_str("interval"),
            SqlType::Json => f.write_str("json"),
            SqlType::Jsonb => f.write_str("jsonb"),
            SqlType::Uuid => f.write_str("uuid"),
            SqlType::Oid => f.write_str("oid"),
            SqlType::Regclass => f.write_str("regclass"),
            SqlType::Regtype => f.write_str("regtype"),
            SqlType::Regproc => f.write_str("regproc"),
            SqlType::Regnamespace => f.write_str("regnamespace"),
            SqlType::Regrole => f.write_str("regrole"),
            SqlType::Unknown => f.write_str("unknown"),
            SqlType::Void => f.write_str("void"),
            SqlType::Record(_) => f.write_str("record"),
            SqlType::Array(element) => write!(f, "{element}[]"),
            SqlType::Int2Vector => f.write_str("int2vector"),
            SqlType::OidVector => f.write_str("oidvector"),
            SqlType::PgNodeTree => f.write_str("pg_node_tree"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_the_way_through_an_arrow_field() {
        let types = [
            SqlType::Bool,
            SqlType::Int2,
            SqlType::Numeric(Some((10, 2))),
            SqlType::Numeric(None),
            SqlType::Varchar(Some(20)),
            SqlType::Bpchar(Some(4)),
            SqlType::Name,
            SqlType::Json,
            SqlType::Jsonb,
            SqlType::Uuid,
            SqlType::Regclass,
            SqlType::Timestamptz,
            SqlType::Interval,
            SqlType::Array(Box::new(SqlType::Varchar(Some(3)))),
        ];
        for sql_type in types {
            assert_eq!(SqlType::of_field(&sql_type.to_field("c")), sql_type);
        }
    }
}
