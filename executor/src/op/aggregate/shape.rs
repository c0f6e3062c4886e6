//! What does not change about an aggregate: its plan node, how its keys are made, and the columns it ships.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::DFSchemaRef;
use highwater_planner::stream::plan;
use highwater_planner::stream::plan::AggregateKind;
use highwater_types::Delta;

use super::accumulator::{Accumulator, new_accumulator};
use super::table::CallInput;
use crate::ExecError;
use crate::op::expression::nullable;
use crate::op::keys::{KeyCodec, Keys};

/// Where groups complete by a time that may differ from row to row, the span of one table, in microseconds.
const SPAN_US: i64 = 1_000_000;

/// What all tables of an aggregate share.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) node: plan::Aggregate,
    pub(super) input: Schema,
    /// Of the hashed columns.
    pub(super) codec: KeyCodec,
    pub(super) output: SchemaRef,
    /// Positions in the group key of the columns that tell groups of one table apart.
    pub(super) hashed: Vec<usize>,
    /// The others: within one table they have one value, for it is the table of one window.
    pub(super) fixed: Vec<usize>,
}

/// How many microseconds of completion times share a table.
pub(super) fn span_us(complete: &plan::Completion) -> i64 {
    // Windows are few, but groups may also complete by a row's own time, and times are many.
    if complete.grid_us < SPAN_US { SPAN_US } else { 1 }
}

impl Shape {
    /// Of this node.
    ///
    /// # Errors
    /// When a call has no accumulator.
    pub(super) fn try_new(
        node: &plan::Aggregate,
        input: &DFSchemaRef,
        output: &DFSchemaRef,
    ) -> Result<Shape, ExecError> {
        let input = input.as_arrow().clone();
        let fixed = match &node.complete {
            Some(complete) if span_us(complete) == 1 => complete.window.clone(),
            Some(_) | None => Vec::new(),
        };
        let hashed: Vec<usize> = (0..node.group.len()).filter(|at| !fixed.contains(at)).collect();
        let type_of = |at: &usize| input.field(node.group[*at]).data_type().clone();
        let shape = Shape {
            codec: KeyCodec::try_new(hashed.iter().map(type_of).collect())?,
            output: nullable(output.as_arrow()),
            node: node.clone(),
            input,
            hashed,
            fixed,
        };
        shape.accumulators()?;
        Ok(shape)
    }

    /// The keys of rows with these columns, one for each of the group's.
    pub(super) fn encode(&self, columns: &[ArrayRef], row_count: usize) -> Result<Keys, ExecError> {
        let hashed: Vec<ArrayRef> = self.hashed.iter().map(|at| Arc::clone(&columns[*at])).collect();
        self.codec.encode(&hashed, row_count)
    }

    pub(super) fn is_global(&self) -> bool {
        self.node.group.is_empty()
    }

    pub(super) fn key_count(&self) -> usize {
        self.node.group.len()
    }

    /// Whether a group with this many rows answers a row.
    pub(super) fn is_present(&self, rows: i64) -> bool {
        rows != 0 || self.is_global()
    }

    /// New accumulators, one a call; `None` where the result is the number of rows.
    pub(super) fn accumulators(&self) -> Result<Vec<Option<Box<dyn Accumulator>>>, ExecError> {
        let new = |call: &plan::AggregateCall| {
            let counts_rows = call.kind == AggregateKind::Count && call.args.is_empty() && call.filter.is_none();
            match counts_rows {
                true => Ok(None),
                false => new_accumulator(call, &self.input, self.node.append_only_input).map(Some),
            }
        };
        self.node.calls.iter().map(new).collect()
    }

    /// The arguments of each call, and the rows that take part in it.
    pub(super) fn call_inputs(&self, delta: &Delta) -> Vec<CallInput> {
        let to_input = |call: &plan::AggregateCall| {
            let args: Vec<ArrayRef> = call.args.iter().map(|a| Arc::clone(delta.column(*a))).collect();
            let mut valid: Option<NullBuffer> = None;
            for arg in &args {
                valid = NullBuffer::union(valid.as_ref(), arg.logical_nulls().as_ref());
            }
            if let Some(filter) = call.filter {
                let mask = delta.column(filter).as_boolean();
                let is_true = match mask.nulls() {
                    None => mask.values().clone(),
                    Some(known) => mask.values() & known.inner(),
                };
                valid = NullBuffer::union(valid.as_ref(), Some(&NullBuffer::new(is_true)));
            }
            CallInput {
                args,
                valid: valid.filter(|v| v.null_count() > 0),
            }
        };
        self.node.calls.iter().map(to_input).collect()
    }

    /// Output rows of these columns.
    pub(super) fn batch(&self, columns: Vec<ArrayRef>, row_count: usize) -> Result<RecordBatch, ExecError> {
        let options = RecordBatchOptions::new().with_row_count(Some(row_count));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options)?;
        Ok(batch)
    }

    /// The error that more rows of a group were retracted than there were.
    pub(super) fn missing_row(&self, key: &[ArrayRef]) -> ExecError {
        let values: Vec<String> = key
            .iter()
            .map(|c| arrow::util::display::array_value_to_string(c, 0).unwrap_or_default())
            .collect();
        ExecError::MissingRow {
            operator: "Aggregate",
            row: values.join(" "),
        }
    }
}
