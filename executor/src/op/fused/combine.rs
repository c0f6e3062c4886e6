//! Before a HOP or CUMULATE hands out a copy of each row for each of its windows: rows that will be equal in all of them become
//! one row with the sum of their weights. Two times in one slide are in the same windows, so the start of the slide
//! stands for both. A count over hot keys then costs little more than one over the rows that are left.
//!
//! Only for rows of a few small columns, and only as long as it pays: where most rows stay, it is tried again later.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::DFSchemaRef;
use highwater_planner::stream::plan::{WindowAssign, WindowKind};
use highwater_types::Delta;

use super::window::{slide_starts, times_of};
use crate::ExecError;
use crate::op::keys::KeyCodec;

/// Smaller batches are passed on as they are.
const COMBINED_ROWS_MIN: usize = 64;
/// After a batch of which more than half was left, this many are passed on as they are.
const PAUSE_BATCHES: u32 = 63;

/// Makes rows one that are in the same windows.
#[derive(Debug)]
pub(super) struct Combine {
    assign: WindowAssign,
    codec: KeyCodec,
    schema: SchemaRef,
    /// Batches to be passed on before the next is tried.
    pause: u32,
}

impl Combine {
    /// Before a window step over these columns, of which the steps after it read all but the time.
    /// `None` where that would not pay.
    ///
    /// # Errors
    /// When a column's type cannot be compared.
    pub(super) fn try_new(assign: &WindowAssign, input: &DFSchemaRef) -> Result<Option<Combine>, ExecError> {
        let overlaps = assign.kind != WindowKind::Tumble && assign.size_us > assign.slide_us;
        let types: Vec<DataType> = input.fields().iter().map(|f| f.data_type().clone()).collect();
        if !overlaps || assign.size_us % assign.slide_us != 0 || !KeyCodec::is_fixed(&types) {
            return Ok(None);
        }
        Ok(Some(Combine {
            assign: assign.clone(),
            codec: KeyCodec::try_new(types)?,
            schema: super::nullable(input.as_arrow()),
            pause: 0,
        }))
    }

    /// The same changes to every window, in fewer rows.
    pub(super) fn run(&mut self, delta: &Delta) -> Result<Delta, ExecError> {
        let times = times_of(delta, self.assign.time_column);
        if self.pause > 0 || delta.num_rows() < COMBINED_ROWS_MIN || times.null_count() > 0 {
            self.pause = self.pause.saturating_sub(1);
            return Ok(delta.clone());
        }
        let mut columns: Vec<ArrayRef> = delta.batch().columns().to_vec();
        columns[self.assign.time_column] = self.time_column(&slide_starts(&self.assign, &times));
        let keys = self.codec.encode(&columns, delta.num_rows())?;
        let mut table = self.codec.table();
        let numbers = table.intern_rows(&keys, None);
        let mut weights = vec![0; table.id_bound()];
        match delta.weights() {
            None => numbers.iter().for_each(|number| weights[number as usize] += 1),
            Some(all) => numbers
                .iter()
                .zip(all.values())
                .for_each(|(number, weight)| weights[number as usize] += weight),
        }
        if weights.len() * 2 > delta.num_rows() {
            self.pause = PAUSE_BATCHES;
            return Ok(delta.clone());
        }
        let kept: Vec<u32> = (0..weights.len() as u32)
            .filter(|n| weights[*n as usize] != 0)
            .collect();
        let sums = kept.iter().map(|number| weights[*number as usize]);
        let sums = Int64Array::from_iter_values(sums);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), self.codec.decode(&table, &kept)?)?;
        Ok(Delta::try_new(batch, Some(sums))?)
    }

    fn time_column(&self, micros: &Int64Array) -> ArrayRef {
        let array: TimestampMicrosecondArray = micros.reinterpret_cast();
        let time = self.schema.field(self.assign.time_column).data_type();
        Arc::new(array.with_data_type(time.clone()))
    }
}
