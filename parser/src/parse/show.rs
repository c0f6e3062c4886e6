//! SHOW and DESCRIBE.

use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader};
use crate::statement::{ObjectKind, Statement};

/// The plurals that SHOW lists.
const LISTS: &[(&str, ObjectKind)] = &[
    ("TABLES", ObjectKind::Table),
    ("SOURCES", ObjectKind::Source),
    ("SINKS", ObjectKind::Sink),
    ("VIEWS", ObjectKind::View),
    ("MATERIALIZED VIEWS", ObjectKind::MaterializedView),
    ("INDEXES", ObjectKind::Index),
    ("SCHEMAS", ObjectKind::Schema),
    ("DATABASES", ObjectKind::Database),
    ("FUNCTIONS", ObjectKind::Function),
];

/// Settings that have a name of several words.
const WORDED: &[(&str, &str)] = &[
    ("TRANSACTION ISOLATION LEVEL", "transaction_isolation"),
    ("TIME ZONE", "timezone"),
    ("SESSION AUTHORIZATION", "session_authorization"),
];

/// SHOW.
pub(super) fn show(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("SHOW")?;
    if let Some((_, object)) = LISTS.iter().find(|(words, _)| r.eat(words)) {
        let schema = if r.eat_any(&["FROM", "IN"]).is_some() {
            Some(r.ident()?)
        } else {
            None
        };
        let like = if r.eat("LIKE") { Some(r.string()?) } else { None };
        return Ok(Statement::ShowObjects {
            object: *object,
            schema,
            like,
        });
    }
    if r.eat("COLUMNS FROM") || r.eat("COLUMNS IN") {
        return Ok(Statement::Describe(r.name()?));
    }
    if r.eat("CREATE") {
        r.eat_any(&["TABLE", "SOURCE", "MATERIALIZED VIEW", "VIEW", "INDEX", "SINK"]);
        return Ok(Statement::ShowCreate(r.name()?));
    }
    if let Some((_, setting)) = WORDED.iter().find(|(words, _)| r.eat(words)) {
        return Ok(Statement::ShowSetting((*setting).to_string()));
    }
    if r.eat("ALL") {
        return Ok(Statement::ShowSetting("all".to_string()));
    }
    Ok(Statement::ShowSetting(super::settings::setting_name(r)?))
}

/// DESCRIBE [TABLE] name.
pub(super) fn describe(r: &mut Reader<'_>) -> Read<Statement> {
    r.parser.advance_token();
    let kind_follows = matches!(r.peek_nth(1), Token::Word(_));
    if kind_follows {
        r.eat_any(&["TABLE", "SOURCE", "VIEW", "INDEX"]);
        r.eat("MATERIALIZED VIEW");
    }
    Ok(Statement::Describe(r.name()?))
}
