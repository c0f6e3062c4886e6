//! CREATE OR REPLACE of views. A materialized view is computed anew beside the old one, and so are the materialized views
//! that read it; when they have all caught up they take the old ones' places, in one step.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_planner::catalog::{Catalog, Relation, RelationKind};
use highwater_planner::plan_view;
use highwater_types::{RelationId, SqlError, SqlState};

use super::drop::{dependents_error, with_dependents};
use super::name::kind_word;
use crate::database::{NewRelation, Replacement};
use crate::session::{Session, context_for};

impl Session {
    /// OR REPLACE of an inline view: same columns, perhaps more at the end.
    pub(super) fn replace_inline_view(&self, old: &Relation, new: &Relation) -> Result<(), SqlError> {
        if !matches!(old.kind, RelationKind::View { .. }) {
            return Err(not_a("view", old));
        }
        let catalog = Arc::clone(&self.world().catalog);
        check_columns_kept(old, new)?;
        check_reads_not_itself(&catalog, old, new)?;
        if catalog.dependents(old.id).any(|d| d.is_stored()) {
            return Err(dependents_error(old, &catalog));
        }
        let replaced = Relation {
            id: old.id,
            comment: old.comment.clone(),
            ..new.clone()
        };
        self.database.publish(catalog.with_relation(replaced))
    }

    /// OR REPLACE of a materialized view. What reads it must find its columns as they were.
    pub(super) async fn replace_materialized_view(&self, old: &Relation, new: NewRelation) -> Result<(), SqlError> {
        if !matches!(old.kind, RelationKind::MaterializedView { .. }) {
            return Err(not_a("materialized view", old));
        }
        let catalog = Arc::clone(&self.world().catalog);
        check_reads_not_itself(&catalog, old, new.relation())?;
        if catalog.dependents(old.id).next().is_some() {
            check_columns_kept(old, new.relation())?;
        }
        let replacement = self.replacement(&catalog, old, new)?;
        self.database.replace(replacement).await
    }

    /// The new view and all that reads it.
    fn replacement(&self, catalog: &Catalog, old: &Relation, new: NewRelation) -> Result<Replacement, SqlError> {
        let mut successors = BTreeMap::from([(old.id, new.relation().id)]);
        let mut next = catalog.without_relation(old.id).with_relation(Relation {
            comment: old.comment.clone(),
            ..new.relation().as_ref().clone()
        });
        let mut views = vec![new];
        // What is read stands before what reads it, the replaced view first.
        for id in with_dependents(catalog, &[old.id]).into_iter().rev().skip(1) {
            let Some(reader) = catalog.relation(id) else { continue };
            let mut follower = reader.as_ref().clone();
            for read in &mut follower.depends_on {
                *read = *successors.get(read).unwrap_or(read);
            }
            follower.depends_on.sort_unstable();
            let RelationKind::MaterializedView { query, emit, .. } = &reader.kind else {
                next = next.with_relation(follower);
                continue;
            };
            follower.id = self.database.next_id();
            let query = highwater_parser::parse_query(query)?;
            let names: Vec<String> = follower.columns.iter().map(|c| c.name.clone()).collect();
            let context = context_for(&Arc::new(next.clone()), &follower);
            let plan = Arc::new(plan_view(&context, &query, &names, *emit)?);
            follower.key.clone_from(&plan.key);
            follower.append_only = plan.append_only;
            successors.insert(id, follower.id);
            next = next.without_relation(id).with_relation(follower.clone());
            views.push(NewRelation::View {
                relation: Arc::new(follower),
                plan,
            });
        }
        for (from, to) in &successors {
            next = with_indexes_moved(next, catalog, *from, *to);
        }
        Ok(Replacement {
            views,
            catalog: next,
            gone: with_dependents(catalog, &[old.id])
                .into_iter()
                .filter(|id| successors.contains_key(id))
                .collect(),
        })
    }
}

/// The indexes of a view are its successor's, where that has their columns.
fn with_indexes_moved(mut next: Catalog, before: &Catalog, from: RelationId, to: RelationId) -> Catalog {
    let (Some(old), Some(new)) = (before.relation(from), next.relation(to).cloned()) else {
        return next;
    };
    for index in before.indexes_on(from) {
        let RelationKind::Index { columns, unique, .. } = &index.kind else {
            continue;
        };
        let found = columns.iter().map(|c| new.column_index(&old.columns[*c].name));
        next = match found.collect::<Option<Vec<usize>>>() {
            None => next.without_relation(index.id),
            Some(columns) => next.with_relation(Relation {
                columns: columns.iter().map(|c| new.columns[*c].clone()).collect(),
                depends_on: vec![to],
                kind: RelationKind::Index {
                    on: to,
                    columns,
                    unique: *unique,
                    primary: false,
                },
                ..index.as_ref().clone()
            }),
        };
    }
    next
}

/// That whoever reads the columns of a view finds them: PostgreSQL's rule.
fn check_columns_kept(old: &Relation, new: &Relation) -> Result<(), SqlError> {
    let changed = |message: String| SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message);
    if new.columns.len() < old.columns.len() {
        return Err(changed("cannot drop columns from view".to_string()));
    }
    for (was, is) in old.columns.iter().zip(&new.columns) {
        if was.name != is.name {
            let message = format!("cannot change name of view column \"{}\" to \"{}\"", was.name, is.name);
            return Err(changed(message)
                .with_hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
        }
        if was.sql_type != is.sql_type {
            return Err(changed(format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                was.name, was.sql_type, is.sql_type
            )));
        }
    }
    Ok(())
}

fn check_reads_not_itself(catalog: &Catalog, old: &Relation, new: &Relation) -> Result<(), SqlError> {
    let readers = with_dependents(catalog, &[old.id]);
    if !readers.iter().any(|id| new.depends_on.contains(id)) {
        return Ok(());
    }
    let message = format!("{} \"{}\" would read itself", kind_word(old), old.display_name());
    Err(SqlError::new(SqlState("42P17"), message))
}

fn not_a(word: &str, relation: &Relation) -> SqlError {
    let message = format!("\"{}\" is not a {word}", relation.display_name());
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
}
