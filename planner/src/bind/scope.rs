//! [`Scope`]: what names mean at a place in a query. A scope is made by FROM; subqueries look through to the scopes
//! around them. Every column has a unique internal name ([`Names`]), so that plans never depend on users' aliases.

use std::collections::HashSet;

use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::Expr;
use highwater_types::{RelationId, SqlType};
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use crate::error::{PlanError, Result};

/// A table and a column's number in it, from 1.
pub(crate) type Origin = Option<(RelationId, i16)>;

/// A name in sight, and what it stands for.
#[derive(Debug, Clone)]
pub(crate) struct ScopeColumn {
    /// As users write it.
    pub name: String,
    /// Its value, over the plan that the scope belongs to. A plain column but for merged columns of FULL JOIN USING.
    pub value: Expr,
    pub sql_type: SqlType,
    pub origin: Origin,
}

/// An entry of FROM.
#[derive(Debug, Clone)]
pub(crate) struct ScopeTable {
    pub alias: String,
    /// The schema, for a relation without alias: `schema.table.column` works then.
    pub schema: Option<String>,
    pub columns: Vec<ScopeColumn>,
    /// The schema and name of the relation itself, when it is one.
    pub relation: Option<(String, String)>,
}

/// The entries of FROM, and what unqualified names and `*` see of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub tables: Vec<ScopeTable>,
    pub columns: Vec<ScopeColumn>,
}

/// What a name was found to be.
#[derive(Debug)]
pub(crate) enum Found<'s> {
    Column(&'s ScopeColumn),
    /// A whole row.
    Row(&'s ScopeTable),
}

impl Scope {
    /// A scope of one table.
    pub(crate) fn of_table(table: ScopeTable) -> Scope {
        Scope {
            columns: table.columns.clone(),
            tables: vec![table],
        }
    }

    /// Both scopes, as a comma in FROM or CROSS JOIN makes it.
    pub(crate) fn beside(mut self, right: Scope) -> Result<Scope> {
        self.check_aliases(&right)?;
        self.tables.extend(right.tables);
        self.columns.extend(right.columns);
        Ok(self)
    }

    /// That no alias stands on both sides.
    pub(crate) fn check_aliases(&self, right: &Scope) -> Result<()> {
        for table in right.tables.iter().filter(|t| !t.alias.is_empty()) {
            let twice = |other: &&ScopeTable| {
                other.alias == table.alias
                    && (other.schema.is_none() || table.schema.is_none() || other.schema == table.schema)
            };
            if self.tables.iter().any(|other| twice(&other)) {
                return Err(PlanError::DuplicateAlias {
                    name: table.alias.clone(),
                });
            }
        }
        Ok(())
    }

    /// Looks up an unqualified name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Found<'_>>> {
        let mut matches = self.columns.iter().filter(|c| c.name == name);
        match (matches.next(), matches.next()) {
            (Some(column), None) => Ok(Some(Found::Column(column))),
            (Some(_), Some(_)) => Err(PlanError::AmbiguousColumn { name: name.to_string() }),
            (None, _) => Ok(self.table(None, name).map(Found::Row)),
        }
    }

    /// Looks up a column of a table. `None`: there is no such table here.
    pub(crate) fn find_in(&self, schema: Option<&str>, table: &str, name: &str) -> Result<Option<&ScopeColumn>> {
        let Some(entry) = self.table(schema, table) else {
            return Ok(None);
        };
        let mut matches = entry.columns.iter().filter(|c| c.name == name);
        match (matches.next(), matches.next()) {
            (Some(column), None) => Ok(Some(column)),
            (Some(_), Some(_)) => Err(PlanError::AmbiguousColumn { name: name.to_string() }),
            (None, _) => Err(PlanError::UndefinedColumn {
                qualifier: Some(table.to_string()),
                name: name.to_string(),
                near: self.near(name),
            }),
        }
    }

    /// The entry of FROM that a qualifier names.
    pub(crate) fn table(&self, schema: Option<&str>, name: &str) -> Option<&ScopeTable> {
        self.tables
            .iter()
            .find(|t| t.alias == name && schema.is_none_or(|s| t.schema.as_deref() == Some(s)))
    }

    /// The alias that hides a relation's own name.
    pub(crate) fn hidden_by(&self, name: &str) -> Option<String> {
        let hides = |t: &&ScopeTable| t.alias != name && t.relation.as_ref().is_some_and(|(_, own)| own == name);
        self.tables.iter().find(hides).map(|t| t.alias.clone())
    }

    /// A column of a similar name, qualified, for a hint.
    pub(crate) fn near(&self, name: &str) -> Option<String> {
        let mut best: Option<(usize, String)> = None;
        for table in &self.tables {
            for column in &table.columns {
                let distance = edit_distance(&column.name, name);
                if distance <= name.len() / 2 && distance < 4 && best.as_ref().is_none_or(|(d, _)| distance < *d) {
                    best = Some((distance, format!("{}.{}", table.alias, column.name)));
                }
            }
        }
        best.map(|(_, text)| text)
    }

    /// Where a plain column comes from.
    pub(crate) fn origin_of(&self, expr: &Expr) -> Origin {
        let of = |columns: &[ScopeColumn]| columns.iter().find(|c| c.value == *expr).and_then(|c| c.origin);
        match expr {
            Expr::Column(_) => of(&self.columns).or_else(|| self.tables.iter().find_map(|t| of(&t.columns))),
            _ => None,
        }
    }

    /// How a column is written in messages: with its table.
    pub(crate) fn written(&self, column: &Column) -> String {
        let value = Expr::Column(column.clone());
        for table in &self.tables {
            if let Some(found) = table.columns.iter().find(|c| c.value == value) {
                return format!("{}.{}", table.alias, found.name);
            }
        }
        column.name.clone()
    }
}

/// A name as the catalog has it: folded to lower case unless it is quoted.
pub(crate) fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// The parts of a dotted name, folded.
pub(crate) fn fold_name(name: &ObjectName) -> Vec<String> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => fold(ident),
            ObjectNamePart::Function(function) => fold(&function.name),
        })
        .collect()
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// Hands out internal qualifiers: each is used for one node of a statement's plan.
#[derive(Debug, Default)]
pub(crate) struct Names {
    used: HashSet<String>,
}

impl Names {
    /// `hint` itself when it is free, else with a number.
    pub(crate) fn fresh(&mut self, hint: &str) -> TableReference {
        let mut name = hint.to_string();
        let mut number = 1;
        while !self.used.insert(name.clone()) {
            name = format!("{hint}_{number}");
            number += 1;
        }
        TableReference::bare(name)
    }
}

/// Names for the columns of one node: `hints`, made unique by numbers.
pub(crate) fn unique_names<'h>(hints: impl IntoIterator<Item = &'h str>) -> Vec<String> {
    let mut used = HashSet::new();
    let mut names = Vec::new();
    for hint in hints {
        let mut name = hint.to_string();
        let mut number = 1;
        while !used.insert(name.clone()) {
            name = format!("{hint}_{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_handed_out_once() {
        let mut names = Names::default();
        assert_eq!(names.fresh("t"), TableReference::bare("t"));
        assert_eq!(names.fresh("t"), TableReference::bare("t_1"));
        assert_eq!(unique_names(["a", "b", "a"]), ["a", "b", "a_1"]);
    }

    #[test]
    fn a_misspelt_name_is_near() {
        assert_eq!(edit_distance("price", "prcie"), 2);
        assert_eq!(edit_distance("a", ""), 1);
    }
}
