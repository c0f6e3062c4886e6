//! CREATE SCHEMA, DROP and COMMENT ON.

use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader};
use crate::statement::{DropObjects, ObjectKind, Statement};

/// The words for the kinds of objects that have a place in the catalog.
const KINDS: &[(&str, ObjectKind)] = &[
    ("TABLE", ObjectKind::Table),
    ("SOURCE", ObjectKind::Source),
    ("SINK", ObjectKind::Sink),
    ("VIEW", ObjectKind::View),
    ("MATERIALIZED VIEW", ObjectKind::MaterializedView),
    ("INDEX", ObjectKind::Index),
    ("SCHEMA", ObjectKind::Schema),
    ("COLUMN", ObjectKind::Column),
    ("DATABASE", ObjectKind::Database),
    ("FUNCTION", ObjectKind::Function),
];

/// Kinds of PostgreSQL's that do not exist here.
const NOT_BUILT: &[&str] = &[
    "ACCESS METHOD",
    "AGGREGATE",
    "CAST",
    "COLLATION",
    "CONSTRAINT",
    "CONVERSION",
    "DEFAULT PRIVILEGES",
    "DOMAIN",
    "EVENT TRIGGER",
    "EXTENSION",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "GROUP",
    "LANGUAGE",
    "LARGE OBJECT",
    "OPERATOR",
    "OWNED BY",
    "POLICY",
    "PROCEDURE",
    "PUBLICATION",
    "ROLE",
    "ROUTINE",
    "RULE",
    "SEQUENCE",
    "SERVER",
    "STATISTICS",
    "SUBSCRIPTION",
    "SYSTEM",
    "TABLESPACE",
    "TEXT SEARCH",
    "TRIGGER",
    "TYPE",
    "USER",
    "USER MAPPING",
];

/// The kind of object after DROP, ALTER or COMMENT ON.
pub(super) fn kind(r: &mut Reader<'_>, mark: usize, statement: &str) -> Read<ObjectKind> {
    if let Some((_, kind)) = KINDS.iter().find(|(words, _)| r.eat(words)) {
        return Ok(*kind);
    }
    match r.eat_any(NOT_BUILT) {
        Some(words) => r.unsupported(mark, format!("{statement} {words}"), "There are no such objects here."),
        None => r.unexpected(),
    }
}

/// CREATE SCHEMA, from after these words.
pub(super) fn create_schema(r: &mut Reader<'_>) -> Read<Statement> {
    let if_not_exists = r.eat("IF NOT EXISTS");
    let name = if r.eat("AUTHORIZATION") {
        r.ident()?
    } else {
        let name = r.ident()?;
        if r.eat("AUTHORIZATION") {
            r.label()?;
        }
        name
    };
    Ok(Statement::CreateSchema { name, if_not_exists })
}

/// DROP.
pub(super) fn drop(r: &mut Reader<'_>) -> Read<Statement> {
    let mark = r.mark();
    r.expect("DROP")?;
    let object = kind(r, mark, "DROP")?;
    if object == ObjectKind::Column {
        return r.unexpected();
    }
    if object == ObjectKind::Index {
        r.eat("CONCURRENTLY");
    }
    let if_exists = r.eat("IF EXISTS");
    let names = r.list(|r| {
        let name = r.name()?;
        arguments(r)?;
        Ok(name)
    })?;
    let cascade = r.eat_any(&["CASCADE", "RESTRICT"]) == Some("CASCADE");
    Ok(Statement::Drop(DropObjects {
        object,
        names,
        if_exists,
        cascade,
    }))
}

/// The types in parentheses after a function's name.
fn arguments(r: &mut Reader<'_>) -> Read<()> {
    if r.eat_token(&Token::LParen) && !r.eat_token(&Token::RParen) {
        r.list(Reader::data_type)?;
        r.expect_token(&Token::RParen)?;
    }
    Ok(())
}

/// COMMENT ON.
pub(super) fn comment(r: &mut Reader<'_>) -> Read<Statement> {
    let mark = r.mark();
    r.expect("COMMENT ON")?;
    let object = kind(r, mark, "COMMENT ON")?;
    let name = r.name()?;
    if object == ObjectKind::Function {
        arguments(r)?;
    }
    r.expect("IS")?;
    let comment = if r.eat("NULL") { None } else { Some(r.string()?) };
    Ok(Statement::Comment { object, name, comment })
}
