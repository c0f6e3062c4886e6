//! Relations by their names: the catalog's, found through the search path, and the system's.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use highwater_types::SqlError;
use highwater_types::SqlState;
use sqlparser::ast::{ObjectName, Spanned};

use super::Binder;
use super::scope::fold_name;
use crate::catalog::Relation;
use crate::error::{PlanError, Result};
use crate::query::NamedRelation;

/// The schemas of system relations, in the order in which unqualified names find them.
const PG_CATALOG: &str = "pg_catalog";

/// What a relation's name leads to.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    Relation(Arc<Relation>),
    System {
        schema: String,
        name: String,
        columns: SchemaRef,
    },
}

impl Binder<'_> {
    /// Looks up a relation; an error at its place in the statement when there is none.
    pub(crate) fn find_relation(&mut self, name: &ObjectName) -> Result<Named> {
        self.find_relation_as(name, false)
    }

    /// Looks up a relation that an alias may hide.
    pub(crate) fn find_relation_as(&mut self, name: &ObjectName, aliased: bool) -> Result<Named> {
        let parts = fold_name(name);
        let found = self.find_named(&parts).and_then(|found| {
            found.ok_or_else(|| PlanError::UndefinedTable {
                name: parts[parts.len().saturating_sub(2)..].join("."),
            })
        });
        let found = found.map_err(|error| error.at(name.span()))?;
        if let Named::Relation(relation) = &found
            && self.view_depth == 0
        {
            self.named.push(NamedRelation {
                relation: relation.id,
                name: name.clone(),
                aliased,
            });
        }
        Ok(found)
    }

    /// Looks up a relation by the parts of its name.
    fn find_named(&self, parts: &[String]) -> Result<Option<Named>> {
        match parts {
            [name] => Ok(self.find_unqualified(name)),
            [schema, name] => Ok(self.find_qualified(schema, name)),
            [database, schema, name] if *database == self.ctx.settings.database => {
                Ok(self.find_qualified(schema, name))
            }
            [_, _, _] => Err(PlanError::CrossDatabase { name: parts.join(".") }),
            _ => Err(PlanError::syntax(format!(
                "improper qualified name (too many dotted names): {}",
                parts.join(".")
            ))),
        }
    }

    /// `pg_catalog` comes first unless the search path names it elsewhere.
    fn find_unqualified(&self, name: &str) -> Option<Named> {
        let path = &self.written.search_path;
        if !path.iter().any(|schema| schema == PG_CATALOG)
            && let Some(found) = self.find_qualified(PG_CATALOG, name)
        {
            return Some(found);
        }
        if let Some(schema) = path.iter().find(|schema| self.was_read(schema, name)) {
            return self.find_qualified(schema, name);
        }
        path.iter().find_map(|schema| self.find_qualified(schema, name))
    }

    /// Whether this is a relation that the view being bound is known to read.
    fn was_read(&self, schema: &str, name: &str) -> bool {
        let found = self.ctx.catalog.find(schema, name);
        let reads = self.written.reads.as_ref();
        found.zip(reads).is_some_and(|(found, reads)| reads.contains(&found.id))
    }

    fn find_qualified(&self, schema: &str, name: &str) -> Option<Named> {
        if let Some(relation) = self.ctx.catalog.find(schema, name) {
            return Some(Named::Relation(Arc::clone(relation)));
        }
        let columns = self.ctx.system.schema_of(schema, name)?;
        Some(Named::System {
            schema: schema.to_string(),
            name: name.to_string(),
            columns,
        })
    }
}

/// The parts of a name in text, as in `'"My Schema".t'::regclass`.
pub(crate) fn split_name(text: &str) -> Result<Vec<String>> {
    let invalid = || PlanError::from(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax"));
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut part = String::new();
            let mut characters = quoted.char_indices().peekable();
            let end = loop {
                match characters.next() {
                    Some((_, '"')) if characters.peek().is_some_and(|(_, c)| *c == '"') => {
                        characters.next();
                        part.push('"');
                    }
                    Some((i, '"')) => break i + 1,
                    Some((_, c)) => part.push(c),
                    None => return Err(invalid()),
                }
            };
            parts.push(part);
            rest = quoted[end..].trim_start();
        } else {
            let end = rest.find(['.', '"']).unwrap_or(rest.len());
            let part = rest[..end].trim();
            if part.is_empty() {
                return Err(invalid());
            }
            parts.push(part.to_lowercase());
            rest = rest[end..].trim_start();
        }
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => return Ok(parts),
            None => return Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_text_fold_and_unquote_as_in_statements() {
        assert_eq!(split_name("Public.T").expect("a name"), ["public", "t"]);
        assert_eq!(split_name("\"A b\".\"c\"\"d\"").expect("a name"), ["A b", "c\"d"]);
        assert!(split_name("a.").is_err());
    }
}
