//! `pg_rewrite` and `pg_depend`: which view reads what, in the form in which PostgreSQL keeps it. A view depends on
//! nothing itself; its rewrite rule does.

use highwater_planner::catalog::{Relation, RelationKind};

use super::PG_CATALOG;
use super::index;
use crate::system::Table;
use crate::system::rows::Rows;
use crate::system::view::SystemView;

pub(super) const TABLES: &[Table] = &[
    Table::of_catalog(PG_CATALOG, "pg_rewrite", rules),
    Table::of_catalog(PG_CATALOG, "pg_depend", dependencies),
];

const PG_CLASS: u32 = 1259;
const PG_REWRITE: u32 = 2618;
const PG_CONSTRAINT: u32 = 2606;

/// The views, whose rules have the views' own numbers.
fn views(view: &SystemView) -> impl Iterator<Item = &Relation> {
    view.catalog.relations().map(AsRef::as_ref).filter(|r| match r.kind {
        RelationKind::View { .. } | RelationKind::MaterializedView { .. } => true,
        RelationKind::Table { .. } | RelationKind::Source(_) | RelationKind::Index { .. } => false,
    })
}

fn rules(view: &SystemView, rows: &mut Rows<'_>) {
    for relation in views(view) {
        rows.add()
            .set("oid", relation.id)
            .set("rulename", "_RETURN")
            .set("ev_class", relation.id)
            .set("ev_type", "1")
            .set("ev_enabled", "O")
            .set("is_instead", true);
    }
}

fn dependencies(view: &SystemView, rows: &mut Rows<'_>) {
    let mut add = |class: u32, object: u32, on_class: u32, on: u32, column: usize, kind: &str| {
        rows.add()
            .set("classid", class)
            .set("objid", object)
            .set("refclassid", on_class)
            .set("refobjid", on)
            .set("refobjsubid", column)
            .set("deptype", kind);
    };
    for relation in views(view) {
        add(PG_REWRITE, relation.id.0, PG_CLASS, relation.id.0, 0, "i");
        for input in &relation.depends_on {
            add(PG_REWRITE, relation.id.0, PG_CLASS, input.0, 0, "n");
        }
    }
    for index in index::all(&view.catalog) {
        let (id, on) = (index.relation.id.0, index.on.id.0);
        if index.primary {
            add(PG_CLASS, id, PG_CONSTRAINT, id, 0, "i");
        }
        for column in &index.columns {
            match index.primary {
                true => add(PG_CONSTRAINT, id, PG_CLASS, on, column + 1, "a"),
                false => add(PG_CLASS, id, PG_CLASS, on, column + 1, "a"),
            }
        }
    }
}
