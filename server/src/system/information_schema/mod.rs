//! `information_schema`, a file for each group of relations.

mod columns;
mod constraint;
mod privilege;
mod tables;

use highwater_planner::catalog::{Relation, RelationKind};

use super::Table;
use super::view::SystemView;

/// The relations that have rows.
pub(super) const TABLES: &[&[Table]] = &[columns::TABLES, constraint::TABLES, privilege::TABLES, tables::TABLES];

const INFORMATION_SCHEMA: &str = "information_schema";

/// The relations that are listed, with their `table_type`.
fn listed(view: &SystemView) -> impl Iterator<Item = (&Relation, &'static str)> {
    let with_views = view.lists_views();
    view.catalog.relations().filter_map(move |relation| {
        let kind = match relation.kind {
            RelationKind::Table { .. } | RelationKind::Source(_) => "BASE TABLE",
            RelationKind::View { .. } => "VIEW",
            RelationKind::MaterializedView { .. } if with_views => "MATERIALIZED VIEW",
            RelationKind::MaterializedView { .. } | RelationKind::Index { .. } => return None,
        };
        Some((relation.as_ref(), kind))
    })
}
