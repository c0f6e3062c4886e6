//! [`SessionOp`]: SESSION windows. Rows of a partition whose times lie less than a gap apart belong to one session, which
//! begins with its first row and ends a gap after its last. Rows come out with the bounds of their session, and again
//! when those change: a row joins two sessions, and one that goes may part them. A row without a time is in none.
//!
//! # State
//! Per partition its rows by time, and the sessions that they make. An epoch looks at the sessions that its changes
//! touch, and at no others.
//!
//! # Bound
//! State is the rows of the sessions that are not complete.
//!
//! # Saves
//! Part `rows`: the partition's columns, the other columns, and by how much the weight of that row has changed.

mod partition;
mod state;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::DFSchemaRef;
use highwater_planner::stream::plan;
use highwater_types::{Delta, Fault, SqlState, Tick, Watermark};

use self::partition::{Change, Partition, Shown};
use super::due::Due;
use super::expression::nullable;
use super::keys::{KeyCodec, KeyTable, Numbers, to_integers};
use super::row_keys::{RowKey, RowKeyCodec};
use super::{Distribution, InputIndex, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// Gathers rows into sessions.
#[derive(Debug)]
pub struct SessionOp {
    node: plan::Session,
    input: SchemaRef,
    output: SchemaRef,
    rows: RowKeyCodec,
    partition_codec: KeyCodec,
    keys: KeyTable,
    /// By number of the partition's key.
    partitions: Vec<Partition>,
    /// Partitions with changes of the open epoch.
    touched: Vec<u32>,
    /// Partitions by the end of a session.
    by_end: Due,
    /// By how much weights of rows have changed since the last save; `None` as long as nothing was ever saved.
    unsaved: Option<HashMap<RowKey, i64>>,
}

impl SessionOp {
    /// For this node over its input.
    ///
    /// # Errors
    /// When the time column is no timestamp, or a column cannot be a key.
    pub fn try_new(node: &plan::Session, inputs: &[DFSchemaRef], output: &SchemaRef) -> Result<SessionOp, ExecError> {
        let input = nullable(inputs[0].as_arrow());
        let time = input.field(node.time_column).data_type();
        if !matches!(time, DataType::Timestamp(TimeUnit::Microsecond, _)) {
            return Err(ExecError::Unsupported {
                operator: "Session",
                construct: format!("a time column of type {time}"),
            });
        }
        let types = node.partition.iter().map(|c| input.field(*c).data_type().clone());
        let partition_codec = KeyCodec::try_new(types.collect())?;
        Ok(SessionOp {
            rows: RowKeyCodec::try_new(&[], &input)?,
            keys: partition_codec.table(),
            partition_codec,
            partitions: Vec::new(),
            touched: Vec::new(),
            by_end: Due::default(),
            unsaved: None,
            input,
            output: nullable(output),
            node: node.clone(),
        })
    }

    /// The partition of each row of a batch, made where need be.
    fn partitions_of(&mut self, batch: &RecordBatch) -> Result<Numbers, ExecError> {
        let columns = self.node.partition.iter().map(|c| Arc::clone(batch.column(*c)));
        let keys = self
            .partition_codec
            .encode(&columns.collect::<Vec<_>>(), batch.num_rows())?;
        let partitions = self.keys.intern_rows(&keys, None);
        self.partitions.resize_with(self.keys.id_bound(), Partition::default);
        Ok(partitions)
    }

    /// The watermark that completes sessions.
    fn mark(&self, of: impl Fn(highwater_types::RelationId) -> Watermark) -> Watermark {
        let sources = self.node.complete.iter().flat_map(|complete| &complete.sources);
        sources.map(|source| of(*source)).min().unwrap_or(Watermark::NONE)
    }

    /// From when on a session with this end is complete.
    fn complete_at(&self, end: i64) -> i64 {
        end.saturating_add(self.node.complete.as_ref().map_or(0, |complete| complete.after_us))
    }

    /// Whether a row of this time is of a session that was complete before: it can be known only by its retraction.
    fn is_over(&self, time: i64, before: Watermark) -> bool {
        before != Watermark::NONE && before.reached(self.complete_at(time.saturating_add(self.node.gap_us)))
    }

    /// Applies a partition's changes; lists the sessions that they make, and what the next save will have to write.
    fn close_partition(&mut self, number: u32, shown: &mut Vec<Shown>) -> Result<(), ExecError> {
        let closed = self.partitions[number as usize].close(self.node.gap_us, shown);
        let (changes, ends) = match closed {
            Ok(closed) => closed,
            Err(missing) => {
                return Err(ExecError::MissingRow {
                    operator: "Session",
                    row: self.rows.to_text(&missing)?,
                });
            }
        };
        for end in ends.iter().filter(|_| self.node.complete.is_some()) {
            self.by_end.add(self.complete_at(*end), number);
        }
        for change in changes {
            self.note_unsaved(&change.key, change.weight);
        }
        self.forget_if_empty(number);
        Ok(())
    }

    fn note_unsaved(&mut self, key: &RowKey, weight: i64) {
        let Some(unsaved) = &mut self.unsaved else { return };
        let sum = unsaved.entry(key.clone()).or_insert(0);
        *sum += weight;
        if *sum == 0 {
            unsaved.remove(key);
        }
    }

    /// Frees the sessions that watermarks have completed.
    fn release(&mut self, tick: &Tick) {
        let mark = self.mark(|source| tick.after(source));
        if mark == Watermark::NONE {
            return;
        }
        let last = mark
            .0
            .saturating_sub(self.node.complete.as_ref().map_or(0, |c| c.after_us));
        let passed: Vec<u32> = self.by_end.take_before(mark.0.checked_add(1)).collect();
        for number in passed
            .into_iter()
            .filter(|number| self.keys.is_live(*number))
            .collect::<Vec<_>>()
        {
            let dropped = self.partitions[number as usize].drop_ended(last, self.node.gap_us);
            for (key, weight) in dropped {
                self.note_unsaved(&key, -weight);
            }
            self.forget_if_empty(number);
        }
    }

    fn forget_if_empty(&mut self, number: u32) {
        if self.keys.is_live(number) && self.partitions[number as usize].is_empty() {
            self.keys.remove(number);
        }
    }

    fn ship(&self, shown: &mut Vec<Shown>, out: &mut Output) -> Result<(), ExecError> {
        let shown = std::mem::take(shown);
        let mut columns = self.rows.decode(shown.iter().map(|row| &row.key))?;
        let bound = |of: fn(&Shown) -> i64| -> ArrayRef {
            let times = TimestampMicrosecondArray::from_iter_values(shown.iter().map(of));
            let time = self.input.field(self.node.time_column).data_type().clone();
            Arc::new(times.with_data_type(time))
        };
        columns.extend([bound(|row| row.start), bound(|row| row.end)]);
        let batch = RecordBatch::try_new(Arc::clone(&self.output), columns)?;
        let weights = Int64Array::from_iter_values(shown.iter().map(|row| row.weight));
        out.ship(Delta::try_new(batch, Some(weights))?);
        Ok(())
    }
}

impl Operator for SessionOp {
    fn distribution(&self, _input: InputIndex) -> Distribution {
        match self.node.partition.is_empty() {
            true => Distribution::Single,
            false => Distribution::Keys(self.node.partition.clone()),
        }
    }

    fn update(&mut self, tick: &Tick, _input: InputIndex, delta: &Delta, out: &mut Output) -> Result<(), ExecError> {
        let before = self.mark(|source| tick.before(source));
        let times = to_integers(delta.column(self.node.time_column));
        let keys = self.rows.encode(delta.batch())?;
        let partitions = self.partitions_of(delta.batch())?;
        for (row, (key, number)) in keys.into_iter().zip(partitions.iter()).enumerate() {
            let weight = delta.weight(row);
            if times.is_null(row) || self.is_over(times.value(row), before) {
                continue;
            }
            let time = times.value(row);
            if time == i64::MIN || time.checked_add(self.node.gap_us).is_none_or(|end| end == i64::MAX) {
                let fault = Fault::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range");
                out.fault(fault, weight);
                continue;
            }
            if self.partitions[number as usize].change(Change { time, key, weight }) {
                self.touched.push(number);
            }
        }
        // What was only skipped has no partition.
        partitions.iter().for_each(|number| self.forget_if_empty(number));
        Ok(())
    }

    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError> {
        let mut shown = Vec::new();
        while let Some(number) = self.touched.pop() {
            self.close_partition(number, &mut shown)?;
            if shown.len() >= Output::BATCH_ROWS {
                self.ship(&mut shown, out)?;
                return Ok(Step::Yield);
            }
        }
        self.ship(&mut shown, out)?;
        self.release(tick);
        Ok(Step::Done)
    }

    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        self.write(state)
    }

    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        self.read(state)
    }
}

#[cfg(test)]
mod tests;
