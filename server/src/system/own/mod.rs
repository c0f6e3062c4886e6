//! The schema `highwater`: sources and how far they are, watermarks, late rows and dead letters, views, state, epochs
//! and sessions. A relation is declared in the file that fills it.

mod progress;
mod rejected;
mod relations;

use std::sync::LazyLock;

use highwater_types::RelationId;

use super::Table;
use super::relation::{OwnRelation, SystemRelation};
use super::view::SystemView;

const HIGHWATER: &str = "highwater";

/// A relation of ours: its columns, and what fills it.
struct Own {
    relation: OwnRelation,
    table: Table,
}

const fn own(name: &'static str, columns: &'static str, fill: fn(&SystemView, &mut super::rows::Rows<'_>)) -> Own {
    Own {
        relation: OwnRelation { name, columns },
        table: Table::of_view(HIGHWATER, name, fill),
    }
}

/// All of them. Their OIDs count from the first: add at the end.
const OWN: &[&[Own]] = &[relations::OWN, progress::OWN, rejected::OWN];

/// Their columns.
pub(super) static RELATIONS: LazyLock<Vec<SystemRelation>> = LazyLock::new(|| {
    OWN.iter()
        .copied()
        .flatten()
        .enumerate()
        .map(|(i, own)| SystemRelation::own(i, &own.relation))
        .collect()
});

/// What fills them.
pub(super) fn tables() -> impl Iterator<Item = &'static Table> {
    OWN.iter().copied().flatten().map(|own| &own.table)
}

/// A relation's name as a user writes it.
fn display_name(view: &SystemView, id: RelationId) -> String {
    view.catalog
        .relation(id)
        .map_or_else(|| id.to_string(), |r| r.display_name())
}
