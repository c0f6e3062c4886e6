//! CREATE: the words up to the kind of object.

use crate::reader::{Read, Reader};
use crate::statement::Statement;

use super::{index, object, relation, view};

/// What CREATE can be followed by and is not built.
const NOT_BUILT: &[&str] = &[
    "ACCESS METHOD",
    "AGGREGATE",
    "CAST",
    "COLLATION",
    "CONVERSION",
    "DATABASE",
    "DOMAIN",
    "EVENT TRIGGER",
    "EXTENSION",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "FUNCTION",
    "GROUP",
    "LANGUAGE",
    "OPERATOR",
    "POLICY",
    "PROCEDURE",
    "PUBLICATION",
    "RECURSIVE VIEW",
    "ROLE",
    "RULE",
    "SEQUENCE",
    "SERVER",
    "SINK",
    "STATISTICS",
    "SUBSCRIPTION",
    "TABLESPACE",
    "TEXT SEARCH",
    "TRIGGER",
    "TYPE",
    "USER",
];

const HINT: &str = "CREATE makes a TABLE, SOURCE, VIEW, MATERIALIZED VIEW, INDEX or SCHEMA.";

/// What stands between CREATE and the kind of object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix {
    pub(super) or_replace: bool,
    pub(super) temporary: bool,
}

/// CREATE.
pub(super) fn create(r: &mut Reader<'_>) -> Read<Statement> {
    let mark = r.mark();
    r.expect("CREATE")?;
    let or_replace = r.eat("OR REPLACE");
    let scoped = r.eat_any(&["GLOBAL", "LOCAL"]).is_some();
    let temporary = r.eat_any(&["TEMPORARY", "TEMP"]).is_some();
    if scoped && !temporary {
        return r.unexpected();
    }
    if !temporary {
        r.eat("UNLOGGED");
    }
    let prefix = Prefix { or_replace, temporary };
    if r.eat("MATERIALIZED VIEW") {
        return view::create(r, prefix, true);
    }
    if r.eat("VIEW") {
        return view::create(r, prefix, false);
    }
    if !or_replace {
        if r.eat("TABLE") {
            return relation::create(r, prefix, false);
        }
        if r.eat("SOURCE") {
            return relation::create(r, prefix, true);
        }
        if r.eat("UNIQUE INDEX") {
            return index::create(r, true);
        }
        if r.eat("INDEX") {
            return index::create(r, false);
        }
        if r.eat("SCHEMA") {
            return object::create_schema(r);
        }
    }
    match r.eat_any(NOT_BUILT) {
        Some(kind) => r.unsupported(mark, format!("CREATE {kind}"), HINT),
        None => r.unexpected(),
    }
}
