//! The type that an operand without one takes from the operand on the other side.

use highwater_types::SqlType;

/// The type that a right operand without type takes.
pub(super) fn unknown_right(symbol: &str, left: &SqlType) -> SqlType {
    match (symbol, left) {
        ("+", SqlType::Date) => SqlType::Interval,
        ("+", SqlType::Timestamp | SqlType::Timestamptz | SqlType::Time) => SqlType::Interval,
        ("*" | "/", SqlType::Interval) => SqlType::Float8,
        ("->" | "->>" | "?" | "-", SqlType::Json | SqlType::Jsonb) => SqlType::Text,
        ("#>" | "#>>" | "?|" | "?&" | "#-", _) => SqlType::Array(Box::new(SqlType::Text)),
        ("||", SqlType::Array(_) | SqlType::Jsonb | SqlType::Bytea) => left.clone(),
        ("||" | "~" | "~*" | "!~" | "!~*", _) => SqlType::Text,
        ("<<" | ">>", _) => SqlType::Int4,
        (_, SqlType::Varchar(_)) => SqlType::Text,
        (_, SqlType::Numeric(_)) => SqlType::Numeric(None),
        (_, SqlType::Bpchar(_)) => SqlType::Bpchar(None),
        _ => left.clone(),
    }
}

/// The type that a left operand without type takes.
pub(super) fn unknown_left(symbol: &str, right: &SqlType) -> SqlType {
    match (symbol, right) {
        ("+", SqlType::Interval) => SqlType::Timestamptz,
        ("+", SqlType::Date) => SqlType::Interval,
        ("*", SqlType::Interval) => SqlType::Float8,
        ("||", SqlType::Array(_) | SqlType::Jsonb | SqlType::Bytea) => right.clone(),
        ("||" | "~" | "~*" | "!~" | "!~*", _) => SqlType::Text,
        (_, SqlType::Varchar(_)) => SqlType::Text,
        (_, SqlType::Numeric(_)) => SqlType::Numeric(None),
        (_, SqlType::Bpchar(_)) => SqlType::Bpchar(None),
        _ => right.clone(),
    }
}
