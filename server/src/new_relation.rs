//! [`NewRelation`]: a relation about to exist, with its expressions compiled for the coordinator.

use std::sync::Arc;

use highwater_executor::Projection;
use highwater_planner::catalog::{Relation, RelationKind};
use highwater_planner::{PlanContext, ViewPlan};
use highwater_types::{SqlError, SqlState};

use crate::coordinator::RowShape;

/// A relation about to exist, with what the coordinator needs to know of it.
pub enum NewRelation {
    /// A stored table.
    Table {
        /// The table.
        relation: Arc<Relation>,
        /// What computes its watermark.
        watermark: Option<Projection>,
    },
    /// A source.
    Source {
        /// The source.
        relation: Arc<Relation>,
        /// How to connect to it.
        spec: highwater_connectors::SourceSpec,
        /// What makes rows of its records.
        shape: Arc<RowShape>,
    },
    /// A materialized view.
    View {
        /// The view.
        relation: Arc<Relation>,
        /// What it computes.
        plan: Arc<ViewPlan>,
    },
    /// What has no rows of its own: an inline view, an index.
    Inline {
        /// The relation.
        relation: Arc<Relation>,
    },
}

impl NewRelation {
    /// The relation.
    pub fn relation(&self) -> &Arc<Relation> {
        match self {
            NewRelation::Table { relation, .. }
            | NewRelation::Source { relation, .. }
            | NewRelation::View { relation, .. }
            | NewRelation::Inline { relation } => relation,
        }
    }

    /// A table, with its watermark compiled.
    ///
    /// # Errors
    /// When the watermark's expression cannot be planned.
    pub fn table(context: &PlanContext, relation: &Arc<Relation>) -> Result<NewRelation, SqlError> {
        let watermark = completion(context, relation)?;
        Ok(NewRelation::Table {
            relation: Arc::clone(relation),
            watermark,
        })
    }

    /// A source, with its generated columns and watermark compiled.
    ///
    /// # Errors
    /// When an expression cannot be planned, or the relation is no source.
    pub fn source(context: &PlanContext, relation: &Arc<Relation>) -> Result<NewRelation, SqlError> {
        let RelationKind::Source(config) = &relation.kind else {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a source", relation.display_name()),
            ));
        };
        let spec = crate::stored_catalog::source_spec(relation, config);
        let projection = completion(context, relation)?;
        let time_column = relation.watermark.as_ref().map(|w| w.column);
        let shape = Arc::new(RowShape::new(relation, projection, time_column));
        Ok(NewRelation::Source {
            relation: Arc::clone(relation),
            spec,
            shape,
        })
    }
}

/// What computes generated columns and the watermark of a relation that declares any.
pub(crate) fn completion(context: &PlanContext, relation: &Relation) -> Result<Option<Projection>, SqlError> {
    let plan = highwater_planner::completion_plan(context, relation)?;
    Ok(plan.map(|plan| Projection::try_new(&plan)).transpose()?)
}
