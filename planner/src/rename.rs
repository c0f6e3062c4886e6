//! What the catalog keeps as text, after relations have got other names or schemas: the statements that made them, and
//! the queries of the views that read them.
//!
//! A view's text is bound as it was written, which tells where it names relations; there the new names are put. Where
//! the rest of the text has the old name too (`t.a`), or the new one, it is safe only with an alias: `FROM u AS t`. The
//! new text is bound again, and must name the same relations in the same places; so no renaming changes what a view
//! means.

use std::collections::BTreeSet;
use std::sync::Arc;

use highwater_parser::{CreateView, Parsed, Statement, Wording};
use highwater_types::{RelationId, SqlError};
use sqlparser::ast::{self, Spanned};
use sqlparser::tokenizer::Span;

use crate::catalog::{Catalog, Relation, RelationKind};
use crate::context::PlanContext;
use crate::dml::completion_plan;
use crate::error::{PlanError, Result};
use crate::functions::quote_ident;
use crate::query::{BoundQuery, NamedRelation, bind_query};

/// Other words for places in a text.
type Words = Vec<(Span, String)>;

/// The catalog `after` relations of `ctx` have got other names or schemas, with all texts following them. Where nothing
/// else of a relation has changed it is the same.
///
/// # Errors
/// `0A000` when the text of a relation cannot follow.
pub fn with_texts_following(ctx: &PlanContext, after: Catalog) -> Result<Catalog> {
    let before = &ctx.catalog;
    let moved: BTreeSet<RelationId> = before
        .relations()
        .filter(|r| is_moved(r, &after))
        .map(|r| r.id)
        .collect();
    let after_ctx = PlanContext {
        catalog: Arc::new(after.clone()),
        ..ctx.clone()
    };
    let renaming = Renaming {
        before: ctx,
        after: &after_ctx,
        moved: &moved,
    };
    let mut followed = after;
    for relation in before.relations().filter(|r| renaming.concerns(r)) {
        let Some(new) = followed.relation(relation.id) else {
            continue;
        };
        let new = renaming.follow(relation, new)?;
        followed = followed.with_relation(new);
    }
    Ok(followed)
}

fn is_moved(relation: &Relation, after: &Catalog) -> bool {
    let new = after.relation(relation.id);
    new.is_some_and(|new| (&new.schema, &new.name) != (&relation.schema, &relation.name))
}

struct Renaming<'a> {
    before: &'a PlanContext,
    after: &'a PlanContext,
    moved: &'a BTreeSet<RelationId>,
}

impl Renaming<'_> {
    /// Whether a relation's text may have to follow: one that reads what has moved, or that has the old name as a text.
    fn concerns(&self, relation: &Relation) -> bool {
        let has_word = |query: &str| {
            let names = self.moved.iter().filter_map(|id| self.before.catalog.relation(*id));
            names
                .into_iter()
                .any(|moved| query.to_lowercase().contains(&moved.name.to_lowercase()))
        };
        let speaks = match &relation.kind {
            RelationKind::View { query, .. } | RelationKind::MaterializedView { query, .. } => has_word(query),
            RelationKind::Table { .. } | RelationKind::Source(_) | RelationKind::Index { .. } => false,
        };
        speaks || self.moved.contains(&relation.id) || relation.depends_on.iter().any(|id| self.moved.contains(id))
    }

    /// A relation with its text.
    fn follow(&self, old: &Relation, new: &Relation) -> Result<Relation> {
        let mut new = new.clone();
        if old.definition.is_empty() {
            return Ok(new);
        }
        let parsed = parsed(&old.definition)?;
        match &parsed.statement {
            Statement::CreateView(create) => self.follow_view(old, &mut new, create)?,
            Statement::CreateRelation(create) => {
                new.definition = reworded(&old.definition, own_name(old, &new, &create.name))?;
                completion_plan(&self.after.of_view(&new), &new).map_err(|_| cannot_follow(old))?;
            }
            Statement::CreateIndex(create) => {
                let mut words = self.words_for(&create.on, indexed(old));
                if let (Some(name), true) = (&create.name, old.name != new.name) {
                    words.push((name.span, quote_ident(&new.name)));
                }
                new.definition = reworded(&old.definition, words)?;
            }
            _ => {}
        }
        Ok(new)
    }

    fn follow_view(&self, old: &Relation, new: &mut Relation, create: &CreateView) -> Result<()> {
        let bound = bind_query(&self.before.of_view(old), &create.query)?;
        for full in [false, true] {
            let mut words = self.words_of_query(old, &bound.names, full)?;
            words.extend(own_name(old, new, &create.name));
            let definition = reworded(&old.definition, words)?;
            let Ok(Parsed {
                statement: Statement::CreateView(again),
                ..
            }) = parsed(&definition)
            else {
                continue;
            };
            let rebound = bind_query(&self.after.of_view(new), &again.query);
            if rebound.is_ok_and(|rebound| mean_the_same(&bound, &rebound)) {
                if let RelationKind::View { query, .. } | RelationKind::MaterializedView { query, .. } = &mut new.kind {
                    query.clone_from(&again.query_text);
                }
                new.definition = definition;
                return Ok(());
            }
        }
        Err(cannot_follow(old))
    }

    /// What a view's query gets for the names in it. `full` gives all of them their schemas, and aliases.
    fn words_of_query(&self, view: &Relation, names: &[NamedRelation], full: bool) -> Result<Words> {
        let text = &view.definition;
        let wording = Wording::try_new(text).map_err(SqlError::from)?;
        let mut seen = BTreeSet::new();
        let mut names: Vec<&NamedRelation> = names
            .iter()
            .filter(|n| full || self.moved.contains(&n.relation))
            .collect();
        names.retain(|n| seen.insert(n.name.span().start));
        let places: Vec<Span> = names.iter().map(|n| n.name.span()).collect();
        if places.contains(&Span::empty()) {
            return Err(cannot_follow(view));
        }
        let besides = wording.words_besides(&places);
        let mut words = Words::new();
        for named in names {
            let catalogs = [&self.before.catalog, &self.after.catalog];
            let [Some(old), Some(new)] = catalogs.map(|catalog| catalog.relation(named.relation)) else {
                continue;
            };
            let is_taken = besides.contains(&new.name);
            let is_spoken = is_taken || besides.contains(&old.name);
            if full || (is_taken && old.name != new.name) {
                words.push((named.name.span(), full_name(new)));
            } else {
                words.extend(self.words_for(&named.name, Some(new.id)));
            }
            let alias = wording.alias_place(named.name.span());
            if (full || (is_spoken && old.name != new.name))
                && !named.aliased
                && let Some(place) = alias
            {
                words.push((place, format!(" AS {}", quote_ident(&old.name))));
            }
        }
        Ok(words)
    }

    /// The new name of a relation for a place that names it; nothing when it has not moved.
    fn words_for(&self, name: &ast::ObjectName, relation: Option<RelationId>) -> Words {
        let catalogs = [&self.before.catalog, &self.after.catalog];
        match catalogs.map(|catalog| relation.and_then(|id| catalog.relation(id))) {
            [Some(old), Some(new)] => own_name(old, new, name),
            _ => Words::new(),
        }
    }
}

/// What a relation's name becomes where it stands. It gets its schema where that is another one.
fn own_name(old: &Relation, new: &Relation, name: &ast::ObjectName) -> Words {
    if old.schema != new.schema {
        return vec![(name.span(), full_name(new))];
    }
    let last = name.0.last().filter(|_| old.name != new.name);
    last.map(|part| (part.span(), quote_ident(&new.name)))
        .into_iter()
        .collect()
}

/// What an index is on.
fn indexed(index: &Relation) -> Option<RelationId> {
    match index.kind {
        RelationKind::Index { on, .. } => Some(on),
        RelationKind::Table { .. }
        | RelationKind::Source(_)
        | RelationKind::View { .. }
        | RelationKind::MaterializedView { .. } => None,
    }
}

fn full_name(relation: &Relation) -> String {
    format!("{}.{}", quote_ident(&relation.schema), quote_ident(&relation.name))
}

fn parsed(text: &str) -> Result<Parsed> {
    let statement = highwater_parser::parse(text)
        .map_err(SqlError::from)?
        .into_iter()
        .next();
    statement.ok_or_else(|| PlanError::internal("a relation without a statement that made it"))
}

fn reworded(text: &str, words: Words) -> Result<String> {
    Ok(Wording::try_new(text).map_err(SqlError::from)?.with(words))
}

/// Whether two wordings of a query name the same relations in the same places, and yield the same columns.
fn mean_the_same(old: &BoundQuery, new: &BoundQuery) -> bool {
    let relations = |query: &BoundQuery| -> Vec<RelationId> { query.names.iter().map(|n| n.relation).collect() };
    let columns = |query: &BoundQuery| -> Vec<_> {
        let columns = query.columns.iter();
        columns
            .map(|c| (c.name.clone(), c.sql_type.clone(), c.origin))
            .collect()
    };
    relations(old) == relations(new) && columns(old) == columns(new)
}

fn cannot_follow(relation: &Relation) -> PlanError {
    PlanError::unsupported(
        format!("a new name for what the text of \"{}\" names", relation.display_name()),
        "Drop it, give the name, and create it again.",
    )
}
