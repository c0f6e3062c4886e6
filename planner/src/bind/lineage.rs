//! Which stored column a column of a bound plan shows: through inline views, materialized views, filters and joins, down
//! to a table or source. What is computed, or comes out of groups, windows or set operations, shows none.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan};
use highwater_types::RelationId;

use super::Binder;
use crate::catalog::{Relation, RelationKind};
use crate::context::{RelationSource, ScanTarget};
use crate::error::Result;

/// A column of a table or source.
#[derive(Debug, Clone)]
pub(super) struct StoredColumn {
    pub relation: Arc<Relation>,
    /// Its position there.
    pub at: usize,
    /// Whether rows of the relation may be shown several times, beside rows of others.
    pub joined: bool,
}

/// A column of a scan.
struct Scanned {
    id: RelationId,
    at: usize,
    joined: bool,
}

impl Binder<'_> {
    /// The stored column that a column of a plan shows.
    pub(super) fn stored_column(&mut self, plan: &LogicalPlan, column: &Column) -> Result<Option<StoredColumn>> {
        let mut scanned = scanned_column(plan, column);
        let mut joined = false;
        // Each round is one materialized view deeper.
        while let Some(found) = scanned {
            let Some(relation) = self.ctx.catalog.relation(found.id).cloned() else {
                return Ok(None);
            };
            joined |= found.joined;
            let at = found.at;
            let RelationKind::MaterializedView { query, .. } = &relation.kind else {
                return Ok(Some(StoredColumn { relation, at, joined }));
            };
            let view = self.bind_view(&relation, query, None)?;
            scanned = match view.scope.columns.get(at).map(|c| &c.value) {
                Some(Expr::Column(inner)) => scanned_column(&view.plan, inner),
                _ => None,
            };
        }
        Ok(None)
    }
}

/// The column of a scanned relation that a column of a plan shows.
fn scanned_column(plan: &LogicalPlan, column: &Column) -> Option<Scanned> {
    let mut joined = false;
    let mut plan = plan;
    let mut column = column.clone();
    loop {
        plan = match plan {
            LogicalPlan::TableScan(scan) => {
                let source = RelationSource::of(&scan.source)?;
                let ScanTarget::Relation(id) = &source.target else {
                    return None;
                };
                let at = source.schema.index_of(&column.name).ok()?;
                return Some(Scanned { id: *id, at, joined });
            }
            LogicalPlan::Projection(projection) => {
                let at = projection.schema.maybe_index_of_column(&column)?;
                let Expr::Column(inner) = projection.expr[at].clone().unalias() else {
                    return None;
                };
                column = inner;
                &projection.input
            }
            LogicalPlan::Filter(filter) => &filter.input,
            LogicalPlan::Join(join) => {
                joined = true;
                match join.left.schema().has_column(&column) {
                    true => &join.left,
                    false => &join.right,
                }
            }
            _ => return None,
        };
    }
}
