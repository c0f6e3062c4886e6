//! Names of relations as text, both ways: `'public."My T"'::regclass` and back; what the search path makes visible.

use highwater_planner::catalog::Relation;
use std::sync::Arc;

use super::relation::{HIGHWATER_OID, INFORMATION_SCHEMA_OID, PG_CATALOG_OID};
use super::view::SystemView;
use super::{find, find_oid};

/// A relation of the catalog or the system: what its name and OID say of it.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    User(Arc<Relation>),
    System(&'static super::relation::SystemRelation),
}

impl Named {
    pub(crate) fn oid(&self) -> u32 {
        match self {
            Named::User(relation) => relation.id.0,
            Named::System(relation) => relation.oid,
        }
    }

    pub(crate) fn schema(&self) -> &str {
        match self {
            Named::User(relation) => &relation.schema,
            Named::System(relation) => relation.schema_name,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Named::User(relation) => &relation.name,
            Named::System(relation) => relation.name,
        }
    }
}

/// A relation by its OID.
pub(crate) fn by_oid(view: &SystemView, oid: u32) -> Option<Named> {
    let user = view.catalog.relation(highwater_types::RelationId(oid));
    user.map(|r| Named::User(Arc::clone(r)))
        .or_else(|| find_oid(oid).map(Named::System))
}

/// A relation by its schema and name.
pub(crate) fn qualified(view: &SystemView, schema: &str, name: &str) -> Option<Named> {
    let user = view.catalog.find(schema, name);
    user.map(|r| Named::User(Arc::clone(r)))
        .or_else(|| find(schema, name).map(Named::System))
}

/// The schemas in which unqualified names are found, in order: those that exist, `pg_catalog` first if it is not
/// named.
pub(crate) fn search_path(view: &SystemView) -> Vec<String> {
    let mut path = explicit_path(view);
    if !path.iter().any(|s| s == "pg_catalog") {
        path.insert(0, "pg_catalog".to_string());
    }
    path
}

/// The schemas of the search path that exist, without implied ones.
pub(crate) fn explicit_path(view: &SystemView) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    for name in &view.search_path {
        let name = if name == "$user" { &view.user } else { name };
        if schema_oid(view, name).is_some() && !path.contains(name) {
            path.push(name.clone());
        }
    }
    path
}

/// The relation that an unqualified name means.
pub(crate) fn unqualified(view: &SystemView, name: &str) -> Option<Named> {
    search_path(view)
        .iter()
        .find_map(|schema| qualified(view, schema, name))
}

/// The relation that a name as text means: `t`, `s.t`, `"S"."T"`, with the database before it or not.
pub(crate) fn relation(view: &SystemView, text: &str) -> Option<Named> {
    match split(text)?.as_slice() {
        [name] => unqualified(view, name),
        [schema, name] => qualified(view, schema, name),
        [database, schema, name] if *database == view.database => qualified(view, schema, name),
        _ => None,
    }
}

/// Whether an unqualified name finds this relation.
pub(crate) fn is_visible(view: &SystemView, named: &Named) -> bool {
    unqualified(view, named.name()).is_some_and(|found| found.oid() == named.oid())
}

/// A relation's name as `regclass` prints it: with its schema unless that is not needed.
pub(crate) fn regclass_text(view: &SystemView, oid: u32) -> String {
    match by_oid(view, oid) {
        None if oid == 0 => "-".to_string(),
        None => oid.to_string(),
        Some(named) if is_visible(view, &named) => quote(named.name()),
        Some(named) => format!("{}.{}", quote(named.schema()), quote(named.name())),
    }
}

/// The OID of a schema.
pub(crate) fn schema_oid(view: &SystemView, name: &str) -> Option<u32> {
    match name {
        "pg_catalog" => Some(PG_CATALOG_OID),
        "information_schema" => Some(INFORMATION_SCHEMA_OID),
        "highwater" => Some(HIGHWATER_OID),
        other => view.catalog.schema(other).map(|s| s.id.0),
    }
}

/// The name of a schema.
pub(crate) fn schema_name(view: &SystemView, oid: u32) -> Option<String> {
    match oid {
        PG_CATALOG_OID => Some("pg_catalog".to_string()),
        INFORMATION_SCHEMA_OID => Some("information_schema".to_string()),
        HIGHWATER_OID => Some("highwater".to_string()),
        other => view.catalog.schemas().find(|s| s.id.0 == other).map(|s| s.name.clone()),
    }
}

/// A name in quotes if it needs them.
pub(crate) fn quote(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$')
        && !is_keyword(name);
    match plain {
        true => name.to_string(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// Whether a word is one that cannot stand as a name everywhere: any keyword that is not unreserved.
fn is_keyword(word: &str) -> bool {
    super::data::KEYWORDS
        .lines()
        .skip(1)
        .map(|line| line.split('\t'))
        .any(|mut fields| fields.next() == Some(word) && fields.next() != Some("U"))
}

/// The parts of a name in text; `None` when it is no name.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut part = String::new();
            let mut tail = quoted;
            loop {
                let (before, after) = tail.split_once('"')?;
                part.push_str(before);
                match after.strip_prefix('"') {
                    Some(more) => {
                        part.push('"');
                        tail = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
            parts.push(part);
        } else {
            let end = rest.find(['.', '"']).unwrap_or(rest.len());
            let part = rest[..end].trim();
            if part.is_empty() {
                return None;
            }
            parts.push(part.to_lowercase());
            rest = &rest[end..];
        }
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None => return rest.is_empty().then_some(parts),
        }
    }
}
