//! Scans: the changes of a relation.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::TableScan;

use super::{Built, Translator, schema_of};
use crate::catalog::{Relation, RelationKind};
use crate::context::{RelationSource, ScanTarget};
use crate::error::{PlanError, Result};
use crate::stream::derive::{Bound, Facts};
use crate::stream::plan::StreamOp;

impl Translator<'_> {
    /// The filters that the scan was shown are left alone: all of them stand above it too (see
    /// `RelationSource::supports_filters_pushdown`), where a rule may since have found some of them needless, and taken
    /// their columns away.
    pub(super) fn table_scan(&mut self, scan: &TableScan) -> Result<Built> {
        let relation = self.scanned(scan)?;
        if scan.fetch.is_some() {
            return Err(PlanError::internal("a view's scan was given a limit"));
        }
        let mut columns: Vec<usize> = match &scan.projection {
            Some(columns) => columns.clone(),
            None => (0..relation.columns.len()).collect(),
        };
        if columns.is_empty() {
            columns.push(narrowest(&relation));
        }
        let fields = relation.arrow_schema();
        let fields = columns.iter().map(|c| self.fresh_field(&fields.fields()[*c])).collect();
        let facts = self.facts_of(&relation)?;
        let facts = facts.project(&columns.iter().copied().map(Some).collect::<Vec<_>>());
        self.relations.insert(relation.id);
        let op = StreamOp::Input {
            relation: relation.id,
            columns,
        };
        Ok(Built::new(op, Vec::new(), schema_of(fields)?, facts))
    }

    fn scanned(&self, scan: &TableScan) -> Result<Arc<Relation>> {
        match RelationSource::of(&scan.source).map(|source| &source.target) {
            Some(ScanTarget::Relation(id)) => self
                .catalog
                .relation(*id)
                .cloned()
                .ok_or_else(|| PlanError::internal(format!("relation {id} is not in the catalog"))),
            Some(ScanTarget::System { schema, name }) => Err(PlanError::unsupported(
                format!("the system relation \"{schema}.{name}\" in a materialized view"),
                "Query it with SELECT: its rows are made when it is read.",
            )),
            Some(ScanTarget::Placeholder(name)) => Err(PlanError::internal(format!("{name} scanned in a view"))),
            None => Err(PlanError::unsupported(
                format!("the table function {} in a materialized view", scan.table_name.table()),
                "Store its rows in a table and read that.",
            )),
        }
    }

    /// What is known about all columns of a relation.
    fn facts_of(&mut self, relation: &Relation) -> Result<Facts> {
        if matches!(relation.kind, RelationKind::MaterializedView { .. })
            && let Some(facts) = (self.view_facts)(relation.id)?
        {
            return Ok(self.with_own_families(facts));
        }
        let mut facts = Facts {
            key: relation.key.clone(),
            append_only: relation.append_only,
            ..Facts::unknown(relation.columns.len())
        };
        // Rows that can be deleted can be deleted at any time, whatever the watermark says about new ones.
        if let Some(watermark) = &relation.watermark
            && relation.append_only
        {
            let family = self.fresh_family();
            facts.bounds[watermark.column] = Some(Bound::time(relation.id, family));
        }
        Ok(facts)
    }

    /// Families are numbered plan by plan.
    fn with_own_families(&mut self, mut facts: Facts) -> Facts {
        let base = self.families;
        for bound in facts.bounds.iter_mut().flatten() {
            bound.family = bound.family.map(|family| family + base);
            self.families = self.families.max(bound.family.unwrap_or(0));
        }
        facts
    }
}

/// The column that costs least when only the number of rows counts.
fn narrowest(relation: &Relation) -> usize {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(usize::MAX);
    relation
        .arrow_schema()
        .fields()
        .iter()
        .enumerate()
        .min_by_key(|(_, field)| width(field.data_type()))
        .map_or(0, |(at, _)| at)
}
