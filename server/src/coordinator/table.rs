//! A stored table as the coordinator sees it: its rows, its key, and its watermark. Writes are applied here in the
//! order of commits, before they are durable; what fails to become durable is taken back.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use highwater_executor::{CheckedDelta, Collection, ExecError, Projection};
use highwater_planner::catalog::{Relation, RelationKind};
use highwater_types::{Delta, Epoch, RowKeys, SqlError, SqlState, Watermark};

use super::progress::SourceProgress;
use super::source::split_late;
use super::status::{SourceState, SourceSummary};

/// A table that takes writes.
pub(crate) struct TableState {
    relation: Arc<Relation>,
    collection: Arc<Collection>,
    watermark: Option<TableWatermark>,
    late_row_count: u64,
    /// The epoch of the newest change, and of the newest one that is durable.
    changed_at: Epoch,
    durable_at: Epoch,
}

struct TableWatermark {
    column: usize,
    /// Positions of the columns that `projection` reads.
    declared: Vec<usize>,
    projection: Projection,
    /// In force for the epoch being put together.
    in_force: Watermark,
    /// In force from the next epoch on.
    next: Watermark,
}

/// A delta that a table accepts.
pub(crate) struct Accepted {
    /// The changes to apply: what was written, without late rows.
    pub delta: Delta,
    checked: CheckedDelta,
    /// Positions of late rows in the delta that was written.
    pub late: Vec<usize>,
}

impl TableState {
    /// A table with these rows. `watermark` computes all columns and then the watermark from declared columns.
    pub(crate) fn new(
        relation: Arc<Relation>,
        collection: Arc<Collection>,
        watermark: Option<Projection>,
    ) -> TableState {
        let watermark = relation
            .watermark
            .as_ref()
            .zip(watermark)
            .map(|(declared, projection)| TableWatermark {
                column: declared.column,
                declared: relation
                    .columns
                    .iter()
                    .enumerate()
                    .filter(|(_, c)| c.generated.is_none())
                    .map(|(index, _)| index)
                    .collect(),
                projection,
                in_force: Watermark::NONE,
                next: Watermark::NONE,
            });
        TableState {
            relation,
            collection,
            watermark,
            late_row_count: 0,
            changed_at: Epoch::ZERO,
            durable_at: Epoch::ZERO,
        }
    }

    /// The same table under another name.
    pub(crate) fn rename(&mut self, relation: Arc<Relation>) {
        self.relation = relation;
    }

    /// The epoch of the newest change, durable or not.
    pub(crate) fn changed_at(&self) -> Epoch {
        self.changed_at
    }

    /// The stored rows.
    pub(crate) fn collection(&self) -> &Arc<Collection> {
        &self.collection
    }

    /// The watermark in force, when one is declared.
    pub(crate) fn watermark(&self) -> Option<Watermark> {
        self.watermark.as_ref().map(|w| w.in_force)
    }

    /// The time column and the watermark that rows are late by.
    pub(crate) fn lateness(&self) -> Option<(usize, Watermark)> {
        self.watermark.as_ref().map(|w| (w.column, w.in_force))
    }

    /// So many more rows have come too late.
    pub fn count_late(&mut self, rows: usize) {
        self.late_row_count += rows as u64;
    }

    /// What can be seen of a table with a watermark.
    pub fn progress(&self) -> Option<SourceProgress> {
        Some(SourceProgress {
            source: self.relation.id,
            summary: SourceSummary {
                state: SourceState::Running,
                late_row_count: self.late_row_count,
                watermark: self.watermark()?,
                ..SourceSummary::default()
            },
            partitions: Vec::new(),
        })
    }

    /// The watermark before and after the epoch that is being cut; the next one starts with the latter.
    pub(crate) fn tick_watermark(&mut self) -> Option<(Watermark, Watermark)> {
        let watermark = self.watermark.as_mut()?;
        let before = std::mem::replace(&mut watermark.in_force, watermark.next);
        Some((before, watermark.next))
    }

    /// Takes back a move of the watermark.
    pub(crate) fn take_back_watermark(&mut self, in_force: Watermark) {
        if let Some(watermark) = &mut self.watermark {
            watermark.in_force = in_force;
            watermark.next = in_force;
        }
    }

    /// Takes over rows and progress of the same table under its former definition: a key has been added.
    ///
    /// # Errors
    /// `23502` and `23505` when the rows do not fit the new definition.
    pub(crate) fn take_over(&mut self, former: &TableState) -> Result<(), SqlError> {
        for rows in former.collection.scan(Epoch::MAX, None)? {
            let accepted = self.check(&Delta::insert(rows))?;
            self.apply(Epoch::ZERO.next(), accepted)?;
        }
        self.late_row_count = former.late_row_count;
        self.changed_at = former.changed_at;
        self.durable_at = former.durable_at;
        if let (Some(watermark), Some(former)) = (&mut self.watermark, &former.watermark) {
            watermark.in_force = former.in_force;
            watermark.next = former.next;
        }
        Ok(())
    }

    /// No column may be NULL that the definition says is not: whoever wrote the rows may have known a former one.
    fn check_not_null(&self, delta: &Delta) -> Result<(), SqlError> {
        let mut columns = self.relation.columns.iter().zip(delta.batch().columns());
        let Some((declared, _)) = columns.find(|(c, values)| c.not_null && values.null_count() > 0) else {
            return Ok(());
        };
        let message = format!(
            "column \"{}\" of relation \"{}\" contains null values",
            declared.name, self.relation.name
        );
        Err(SqlError::new(SqlState::NOT_NULL_VIOLATION, message))
    }

    /// Puts the watermark in force that the stored rows stand for: after a restart they were not seen one by one.
    ///
    /// # Errors
    /// When the watermark's expression fails.
    pub fn restore_watermark(&mut self) -> Result<(), SqlError> {
        if self.watermark.is_none() {
            return Ok(());
        }
        for rows in self.collection.rows(Epoch::MAX, None)? {
            self.advance(&Delta::insert(rows))?;
        }
        if let Some(watermark) = &mut self.watermark {
            watermark.in_force = watermark.next;
        }
        Ok(())
    }

    /// Checks a delta against the rows there are, and changes nothing.
    ///
    /// # Errors
    /// `23505` when a key would be there twice. `40001` when a row is to go that is not there: whoever wrote the delta
    /// has read it from a commit that has been taken back since.
    pub(crate) fn check(&self, delta: &Delta) -> Result<Accepted, SqlError> {
        let (delta, late) = self.without_late(delta)?;
        self.check_not_null(&delta)?;
        if let Some(key) = &self.relation.key {
            self.check_unique(key, &delta)?;
        }
        let checked = self.collection.check(0, &delta).map_err(|error| match error {
            ExecError::MissingRow { .. } => SqlError::new(
                SqlState::SERIALIZATION_FAILURE,
                "could not serialize access due to concurrent update",
            )
            .with_hint("Run the transaction again."),
            other => other.into(),
        })?;
        Ok(Accepted { delta, checked, late })
    }

    /// Applies what was accepted, before anything else is; answers the changes.
    ///
    /// # Errors
    /// When rows cannot be copied, which would be an error of ours.
    pub(crate) fn apply(&mut self, epoch: Epoch, accepted: Accepted) -> Result<Delta, ExecError> {
        let Accepted { delta, checked, .. } = accepted;
        if !delta.is_empty() {
            self.collection.apply_checked(0, epoch, checked)?;
            self.changed_at = epoch;
        }
        Ok(delta)
    }

    /// Takes back what [`TableState::apply`] applied.
    ///
    /// # Errors
    /// When the rows are not there, which would be an error of ours.
    pub(crate) fn take_back(&self, epoch: Epoch, delta: &Delta) -> Result<(), ExecError> {
        self.collection.apply(0, epoch, &delta.negate())
    }

    /// All changes that are not durable have been taken back: none has been made since the newest that is.
    pub(crate) fn forget_undurable_change(&mut self) {
        self.changed_at = self.durable_at;
    }

    /// All that was applied up to this epoch is durable.
    pub(crate) fn note_durable(&mut self, epoch: Epoch) {
        self.durable_at = epoch;
    }

    /// Moves the watermark by rows that are now part of a closed order: takes effect after their epoch.
    ///
    /// # Errors
    /// When the watermark's expression fails.
    pub(crate) fn advance(&mut self, delta: &Delta) -> Result<(), ExecError> {
        let Some(watermark) = &mut self.watermark else {
            return Ok(());
        };
        let declared = delta.batch().project(&watermark.declared)?;
        let computed = watermark.projection.evaluate(&declared)?;
        let values = computed.column(computed.num_columns() - 1);
        let largest = arrow::array::AsArray::as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>(values)
            .and_then(arrow::compute::max);
        if let Some(largest) = largest {
            watermark.next = watermark.next.max(Watermark(largest));
        }
        Ok(())
    }

    /// The delta without late rows. A change that takes rows away is not judged: what it puts in their place may be old.
    fn without_late(&self, delta: &Delta) -> Result<(Delta, Vec<usize>), SqlError> {
        let Some(watermark) = &self.watermark else {
            return Ok((delta.clone(), Vec::new()));
        };
        if watermark.in_force == Watermark::NONE || !delta.is_append_only() {
            return Ok((delta.clone(), Vec::new()));
        }
        let (in_time, late) = split_late(delta.batch(), watermark.column, watermark.in_force.0);
        Ok((delta.filter(&in_time).map_err(ExecError::from)?, late))
    }

    /// No inserted key may be there already, unless the same delta takes it away; nor come twice.
    fn check_unique(&self, key: &[usize], delta: &Delta) -> Result<(), SqlError> {
        let columns: Vec<ArrayRef> = key.iter().map(|c| Arc::clone(delta.column(*c))).collect();
        let keys = delta.batch().project(key).map_err(ExecError::from)?;
        let encoder = RowKeys::of_key(&keys.schema()).map_err(ExecError::from)?;
        let rows = encoder.encode(&columns).map_err(ExecError::from)?;
        let taken: HashSet<&[u8]> = (0..delta.num_rows())
            .filter(|row| delta.weight(*row) < 0)
            .map(|row| rows.row(row).data())
            .collect();
        let mut inserted: HashSet<&[u8]> = HashSet::new();
        let mut to_look_up = Vec::new();
        for row in (0..delta.num_rows()).filter(|row| delta.weight(*row) > 0) {
            let key_bytes = rows.row(row).data();
            if !inserted.insert(key_bytes) || delta.weight(row) > 1 {
                return Err(self.duplicate_key(key, &keys, row));
            }
            if !taken.contains(key_bytes) {
                to_look_up.push(row as u32);
            }
        }
        if to_look_up.is_empty() {
            return Ok(());
        }
        let wanted = UInt32Array::from(to_look_up);
        let probe = arrow::compute::take_record_batch(&keys, &wanted).map_err(ExecError::from)?;
        match self.collection.lookup(Epoch::MAX, probe.columns())? {
            Some(found) if found.num_rows() > 0 => {
                let found_keys = found.project(key).map_err(ExecError::from)?;
                Err(self.duplicate_key(key, &found_keys, 0))
            }
            _ => Ok(()),
        }
    }

    fn duplicate_key(&self, key: &[usize], keys: &RecordBatch, row: usize) -> SqlError {
        let constraint = match &self.relation.kind {
            RelationKind::Table {
                primary_key_name: Some(name),
            } => name.clone(),
            _ => format!("{}_pkey", self.relation.name),
        };
        let names: Vec<&str> = key.iter().map(|c| self.relation.columns[*c].name.as_str()).collect();
        let values: Vec<String> = keys.columns().iter().map(|c| value_text(c, row)).collect();
        SqlError::new(
            SqlState::UNIQUE_VIOLATION,
            format!("duplicate key value violates unique constraint \"{constraint}\""),
        )
        .with_detail(format!(
            "Key ({})=({}) already exists.",
            names.join(", "),
            values.join(", ")
        ))
    }
}

fn value_text(column: &ArrayRef, row: usize) -> String {
    arrow::util::display::array_value_to_string(column, row).unwrap_or_else(|error| error.to_string())
}
