//! The types that a statement names, and what PostgreSQL knows about each: its category, and which casts are
//! made without being asked for.

use highwater_types::SqlType;
use sqlparser::ast::{self, ArrayElemTypeDef, CharacterLength, ExactNumberInfo, ObjectNamePart, TimezoneInfo};

use crate::error::{PlanError, Result};

/// PostgreSQL's type categories, as far as they decide about casts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Array,
    Boolean,
    Composite,
    DateTime,
    Numeric,
    String,
    Timespan,
    User,
    Unknown,
}

/// The category of a type.
pub(crate) fn category(sql_type: &SqlType) -> Category {
    match sql_type {
        SqlType::Bool => Category::Boolean,
        SqlType::Int2
        | SqlType::Int4
        | SqlType::Int8
        | SqlType::Float4
        | SqlType::Float8
        | SqlType::Numeric(_)
        | SqlType::Oid
        | SqlType::Regclass
        | SqlType::Regtype
        | SqlType::Regproc
        | SqlType::Regnamespace
        | SqlType::Regrole => Category::Numeric,
        SqlType::Text | SqlType::Varchar(_) | SqlType::Bpchar(_) | SqlType::Name | SqlType::Char => Category::String,
        SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::Timestamptz => Category::DateTime,
        SqlType::Interval => Category::Timespan,
        SqlType::Bytea | SqlType::Json | SqlType::Jsonb | SqlType::Uuid | SqlType::PgNodeTree | SqlType::Void => {
            Category::User
        }
        SqlType::Array(_) | SqlType::Int2Vector | SqlType::OidVector => Category::Array,
        SqlType::Record(_) => Category::Composite,
        SqlType::Unknown => Category::Unknown,
    }
}

/// Whether a type is one of the oid aliases, which share their values.
pub(crate) fn is_oid_like(sql_type: &SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Oid
            | SqlType::Regclass
            | SqlType::Regtype
            | SqlType::Regproc
            | SqlType::Regnamespace
            | SqlType::Regrole
    )
}

/// Whether a value of type `from` becomes one of type `to` without being asked for, in any expression.
pub(crate) fn casts_implicitly(from: &SqlType, to: &SqlType) -> bool {
    use SqlType::{
        Bpchar, Char, Date, Float4, Float8, Int2, Int4, Int8, Name, Numeric, Text, Time, Timestamp, Timestamptz,
        Varchar,
    };
    if from == to || matches!(from, SqlType::Unknown) {
        return true;
    }
    if is_oid_like(to) {
        return matches!(from, Int2 | Int4 | Int8) || is_oid_like(from);
    }
    match (from, to) {
        (Int2, Int4 | Int8 | Numeric(_) | Float4 | Float8) => true,
        (Int4, Int8 | Numeric(_) | Float4 | Float8) => true,
        (Int8, Numeric(_) | Float4 | Float8) => true,
        (Numeric(_), Numeric(_) | Float4 | Float8) => true,
        (Float4, Float8) => true,
        (Text | Varchar(_) | Bpchar(_) | Name | Char, Text | Varchar(_)) => true,
        (Text | Varchar(_) | Bpchar(_), Bpchar(_)) => true,
        (Text | Varchar(_) | Bpchar(_), Name) => true,
        (Date, Timestamp | Timestamptz) | (Timestamp, Timestamptz) => true,
        (Time, SqlType::Interval) => true,
        (SqlType::PgNodeTree, Text) => true,
        (SqlType::Array(from), SqlType::Array(to)) => casts_implicitly(from, to),
        (SqlType::Int2Vector, SqlType::Array(to)) => **to == Int2,
        (SqlType::OidVector, SqlType::Array(to)) => **to == SqlType::Oid,
        _ => false,
    }
}

/// Whether a value of type `from` may be stored in a column of type `to`.
pub(crate) fn casts_in_assignment(from: &SqlType, to: &SqlType) -> bool {
    if casts_implicitly(from, to) {
        return true;
    }
    let numbers = |t: &SqlType| category(t) == Category::Numeric;
    match (from, to) {
        (from, to) if numbers(from) && numbers(to) => true,
        (_, SqlType::Text | SqlType::Varchar(_) | SqlType::Bpchar(_) | SqlType::Name | SqlType::Char) => true,
        (SqlType::Timestamp | SqlType::Timestamptz, SqlType::Date | SqlType::Time | SqlType::Timestamp) => true,
        (SqlType::Interval, SqlType::Time) => true,
        (SqlType::Json, SqlType::Jsonb) | (SqlType::Jsonb, SqlType::Json) => true,
        (SqlType::Array(from), SqlType::Array(to)) => casts_in_assignment(from, to),
        _ => false,
    }
}

/// Whether `CAST` leads from one type to the other.
pub(crate) fn casts_explicitly(from: &SqlType, to: &SqlType) -> bool {
    if casts_in_assignment(from, to) || category(from) == Category::String {
        return true;
    }
    match (from, to) {
        (SqlType::Bool, SqlType::Int4) | (SqlType::Int4, SqlType::Bool) => true,
        (SqlType::Array(from), SqlType::Array(to)) => casts_explicitly(from, to),
        (SqlType::Jsonb, SqlType::Bool) => true,
        (SqlType::Jsonb, to) if category(to) == Category::Numeric => !is_oid_like(to),
        _ => false,
    }
}

/// The type that a function of this name casts to: `int4(x)`, `date(x)`.
pub(crate) fn cast_function(name: &str) -> Option<SqlType> {
    match name {
        "bool" | "int2" | "int4" | "int8" | "float4" | "float8" | "numeric" | "text" | "varchar" | "bpchar"
        | "name" | "bytea" | "date" | "time" | "timestamp" | "timestamptz" | "interval" | "json" | "jsonb" | "uuid"
        | "oid" | "regclass" | "regtype" => named(name, &[], false),
        _ => None,
    }
}

/// Whether `min` and `max` take values of a type.
pub(crate) fn has_extremes(sql_type: &SqlType) -> bool {
    !matches!(
        sql_type,
        SqlType::Bool | SqlType::Bytea | SqlType::Json | SqlType::Jsonb | SqlType::Uuid | SqlType::Record(_)
    )
}

/// The type that a syntax tree names.
pub fn sql_type(data_type: &ast::DataType) -> Result<SqlType> {
    use ast::DataType as D;
    Ok(match data_type {
        D::Bool | D::Boolean => SqlType::Bool,
        D::SmallInt(_) | D::Int2(_) => SqlType::Int2,
        D::Int(_) | D::Integer(_) | D::Int4(_) => SqlType::Int4,
        D::BigInt(_) | D::Int8(_) => SqlType::Int8,
        D::Real | D::Float4 => SqlType::Float4,
        D::Float8 | D::DoublePrecision | D::Double(ExactNumberInfo::None) => SqlType::Float8,
        D::Float(ExactNumberInfo::None) => SqlType::Float8,
        D::Float(ExactNumberInfo::Precision(bits)) => float(*bits)?,
        D::Numeric(info) | D::Decimal(info) | D::Dec(info) => numeric(info)?,
        D::Text => SqlType::Text,
        D::Varchar(length) | D::CharacterVarying(length) | D::CharVarying(length) => SqlType::Varchar(limit(length)?),
        D::Char(length) | D::Character(length) => SqlType::Bpchar(Some(limit(length)?.unwrap_or(1))),
        D::Bytea => SqlType::Bytea,
        D::Date => SqlType::Date,
        D::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => SqlType::Time,
        D::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => SqlType::Timestamp,
        D::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => SqlType::Timestamptz,
        D::Interval { .. } => SqlType::Interval,
        D::JSON => SqlType::Json,
        D::JSONB => SqlType::Jsonb,
        D::Uuid => SqlType::Uuid,
        D::Regclass => SqlType::Regclass,
        D::Custom(name, modifiers) => custom(name, modifiers)?,
        D::Array(ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::AngleBracket(element)) => {
            match sql_type(element)? {
                // Arrays of any number of dimensions have one type.
                array @ SqlType::Array(_) => array,
                element => SqlType::Array(Box::new(element)),
            }
        }
        other => {
            return Err(PlanError::UndefinedType {
                name: other.to_string().to_lowercase(),
            });
        }
    })
}

/// A type whose name sqlparser does not know.
fn custom(name: &ast::ObjectName, modifiers: &[String]) -> Result<SqlType> {
    let parts: Vec<&ast::Ident> = name
        .0
        .iter()
        .filter_map(|part| match part {
            ObjectNamePart::Identifier(ident) => Some(ident),
            ObjectNamePart::Function(_) => None,
        })
        .collect();
    let undefined = || PlanError::UndefinedType { name: name.to_string() };
    let (last, quoted) = match parts.last() {
        Some(ident) if ident.quote_style.is_some() => (ident.value.clone(), true),
        Some(ident) => (ident.value.to_lowercase(), false),
        None => return Err(undefined()),
    };
    let in_catalog = parts.len() > 1;
    if in_catalog && !parts[parts.len() - 2].value.eq_ignore_ascii_case("pg_catalog") {
        return information_schema_type(&parts[parts.len() - 2].value, &last).ok_or_else(undefined);
    }
    if let Some(element) = last.strip_prefix('_')
        && let Some(element) = named(element, modifiers, true)
    {
        return Ok(SqlType::Array(Box::new(element)));
    }
    named(&last, modifiers, quoted || in_catalog).ok_or_else(undefined)
}

/// The domains of `information_schema`, as the types under them.
fn information_schema_type(schema: &str, name: &str) -> Option<SqlType> {
    if !schema.eq_ignore_ascii_case("information_schema") {
        return None;
    }
    match name {
        "sql_identifier" => Some(SqlType::Name),
        "cardinal_number" => Some(SqlType::Int4),
        "character_data" | "yes_or_no" => Some(SqlType::Varchar(None)),
        "time_stamp" => Some(SqlType::Timestamptz),
        _ => None,
    }
}

/// A type by its name in `pg_type`. `char` is the one-byte type when it is quoted or qualified.
fn named(name: &str, modifiers: &[String], own_char: bool) -> Option<SqlType> {
    let number = |i: usize| modifiers.get(i).and_then(|m| m.trim().parse::<u32>().ok());
    Some(match name {
        "bool" | "boolean" => SqlType::Bool,
        "int2" | "smallint" => SqlType::Int2,
        "int4" | "int" | "integer" => SqlType::Int4,
        "int8" | "bigint" => SqlType::Int8,
        "float4" | "real" => SqlType::Float4,
        "float8" => SqlType::Float8,
        "numeric" | "decimal" => match (number(0), number(1)) {
            (Some(precision), scale) => SqlType::Numeric(Some((
                u8::try_from(precision).ok()?,
                i8::try_from(scale.unwrap_or(0)).ok()?,
            ))),
            (None, _) => SqlType::Numeric(None),
        },
        "text" | "citext" => SqlType::Text,
        "varchar" => SqlType::Varchar(number(0)),
        "char" if own_char => SqlType::Char,
        "char" => SqlType::Bpchar(Some(number(0).unwrap_or(1))),
        "bpchar" => SqlType::Bpchar(number(0)),
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
        "oid" | "xid" | "cid" => SqlType::Oid,
        "regclass" => SqlType::Regclass,
        "regtype" => SqlType::Regtype,
        "regproc" | "regprocedure" => SqlType::Regproc,
        "regnamespace" => SqlType::Regnamespace,
        "regrole" => SqlType::Regrole,
        "int2vector" => SqlType::Int2Vector,
        "oidvector" => SqlType::OidVector,
        "pg_node_tree" => SqlType::PgNodeTree,
        "unknown" => SqlType::Unknown,
        "void" => SqlType::Void,
        "aclitem" | "cstring" | "refcursor" => SqlType::Text,
        _ => return None,
    })
}

/// The type of a name, for tests that read types from text.
#[cfg(test)]
pub(crate) fn by_name(name: &str) -> Option<SqlType> {
    named(name, &[], false)
}

fn float(bits: u64) -> Result<SqlType> {
    match bits {
        1..=24 => Ok(SqlType::Float4),
        25..=53 => Ok(SqlType::Float8),
        0 => Err(PlanError::InvalidParameter {
            message: "precision for type float must be at least 1 bit".to_string(),
            hint: None,
        }),
        _ => Err(PlanError::InvalidParameter {
            message: "precision for type float must be less than 54 bits".to_string(),
            hint: None,
        }),
    }
}

fn numeric(info: &ExactNumberInfo) -> Result<SqlType> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(SqlType::Numeric(None)),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    let invalid = |message: String| PlanError::InvalidParameter { message, hint: None };
    if !(1..=1000).contains(&precision) {
        return Err(invalid(format!(
            "NUMERIC precision {precision} must be between 1 and 1000"
        )));
    }
    if !(-1000..=1000).contains(&scale) {
        return Err(invalid(format!("NUMERIC scale {scale} must be between -1000 and 1000")));
    }
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=76), Ok(scale)) if scale >= 0 && i64::from(precision) >= i64::from(scale) => {
            Ok(SqlType::Numeric(Some((precision, scale))))
        }
        _ => Err(PlanError::unsupported(
            format!("numeric({precision},{scale})"),
            "Use a precision of at most 76, and a scale between 0 and the precision.",
        )),
    }
}

fn limit(length: &Option<CharacterLength>) -> Result<Option<u32>> {
    let invalid = |message: &str| PlanError::InvalidParameter {
        message: message.to_string(),
        hint: None,
    };
    match length {
        None | Some(CharacterLength::Max) => Ok(None),
        Some(CharacterLength::IntegerLength { length: 0, .. }) => {
            Err(invalid("length for type varchar must be at least 1"))
        }
        Some(CharacterLength::IntegerLength { length, .. }) => match u32::try_from(*length) {
            Ok(length) if length <= 10_485_760 => Ok(Some(length)),
            _ => Err(invalid("length for type varchar cannot exceed 10485760")),
        },
    }
}
