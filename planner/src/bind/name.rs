//! The names that PostgreSQL gives to columns without alias: of a function its name, of a cast its type, of most
//! other expressions `?column?`.

use highwater_types::SqlType;
use sqlparser::ast::{self, AccessExpr, Expr, ObjectNamePart, SelectItem, SetExpr};

use super::scope::fold;
use super::sql_type;

/// What a column is called when nothing gives it a name.
pub(crate) const NAMELESS: &str = "?column?";

/// The name of a column made by an expression.
pub(crate) fn output_name(expr: &Expr) -> String {
    name_of(expr).map_or_else(|| NAMELESS.to_string(), |(name, _)| name)
}

/// A name, and whether it is a good one: a cast's type does not beat the name of what is cast.
fn name_of(expr: &Expr) -> Option<(String, bool)> {
    let good = |name: &str| Some((name.to_string(), true));
    match expr {
        Expr::Identifier(ident) => Some((fold(ident), true)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| (fold(ident), true)),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(ident))) => Some((fold(ident), true)),
            _ => name_of(root),
        },
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => name_of(inner),
        Expr::Function(function) => function.name.0.last().map(|part| (part_name(part), true)),
        Expr::Cast { expr, data_type, .. } => match name_of(expr) {
            Some((name, true)) => Some((name, true)),
            _ => Some((type_name(data_type), false)),
        },
        Expr::TypedString(typed) => Some((type_name(&typed.data_type), false)),
        Expr::Interval(_) => Some(("interval".to_string(), false)),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(name_of) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_string(), false)),
        },
        Expr::Exists { .. } => good("exists"),
        Expr::Array(_) => good("array"),
        Expr::Tuple(_) => good("row"),
        Expr::Extract { .. } => good("extract"),
        Expr::Ceil { .. } => good("ceil"),
        Expr::Floor { .. } => good("floor"),
        Expr::Position { .. } => good("position"),
        Expr::Substring { shorthand, .. } => good(if *shorthand { "substr" } else { "substring" }),
        Expr::Trim { trim_where, .. } => good(match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            Some(ast::TrimWhereField::Both) | None => "btrim",
        }),
        Expr::Overlay { .. } => good("overlay"),
        Expr::AtTimeZone { .. } => good("timezone"),
        Expr::BinaryOp {
            op: ast::BinaryOperator::Overlaps,
            ..
        } => good("overlaps"),
        Expr::Subquery(query) => subquery_name(&query.body),
        _ => None,
    }
}

/// The name of a scalar subquery is its column's.
fn subquery_name(body: &SetExpr) -> Option<(String, bool)> {
    match body {
        SetExpr::Select(select) => match select.projection.first()? {
            SelectItem::UnnamedExpr(expr) => name_of(expr),
            SelectItem::ExprWithAlias { alias, .. } => Some((fold(alias), true)),
            SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => None,
        },
        SetExpr::Query(query) => subquery_name(&query.body),
        SetExpr::SetOperation { left, .. } => subquery_name(left),
        SetExpr::Values(_) => Some(("column1".to_string(), true)),
        _ => None,
    }
}

/// A function's name as a column's: keywords that are functions keep their own.
fn part_name(part: &ObjectNamePart) -> String {
    match part {
        ObjectNamePart::Identifier(ident) => fold(ident),
        ObjectNamePart::Function(function) => fold(&function.name),
    }
}

/// A type's name in `pg_type`: `int4` for `integer`.
fn type_name(data_type: &ast::DataType) -> String {
    match sql_type(data_type) {
        Ok(sql_type) => pg_type_name(&sql_type),
        Err(_) => NAMELESS.to_string(),
    }
}

/// The name of a type's row in `pg_type`.
pub(crate) fn pg_type_name(sql_type: &SqlType) -> String {
    let name = match sql_type {
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
        SqlType::Array(element) => return pg_type_name(element),
        SqlType::Int2Vector => "int2vector",
        SqlType::OidVector => "oidvector",
        SqlType::PgNodeTree => "pg_node_tree",
    };
    name.to_string()
}
