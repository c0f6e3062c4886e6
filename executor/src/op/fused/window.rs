//! Window assignment: appends `window_start` and `window_end` to each row, a copy of the row for each window it
//! falls into.
//!
//! The copies are made column-wise: a batch goes out once for each place that a row can have in its windows, and
//! all of them share the input's columns, so that a HOP of five windows costs five times two new columns and not
//! five copies of the batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{DFSchema, DFSchemaRef};
use highwater_planner::stream::plan::{WindowAssign, WindowKind};
use highwater_types::{Delta, SqlError, SqlState};

use super::super::expression::nullable;
use crate::ExecError;

/// One window step, ready to run.
#[derive(Debug)]
pub(super) struct Window {
    assign: WindowAssign,
    schema: SchemaRef,
    /// The type of the time column and of the bounds.
    time: DataType,
}

impl Window {
    /// The step, and the schema after it.
    pub(super) fn try_new(assign: &WindowAssign, input: &DFSchemaRef) -> Result<(Window, DFSchemaRef), ExecError> {
        let time = input.field(assign.time_column).data_type().clone();
        if !matches!(time, DataType::Timestamp(TimeUnit::Microsecond, _)) {
            return Err(ExecError::Unsupported {
                operator: "Window",
                construct: format!("a time column of type {time}"),
            });
        }
        let mut fields: Vec<_> = input.iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
        for name in ["window_start", "window_end"] {
            fields.push((None, Arc::new(Field::new(name, time.clone(), true))));
        }
        let to = DFSchema::new_with_metadata(fields, input.metadata().clone())?;
        let window = Window {
            assign: assign.clone(),
            schema: nullable(to.as_arrow()),
            time,
        };
        Ok((window, Arc::new(to)))
    }

    /// One delta for each place that a row can have in its windows.
    pub(super) fn run(&self, delta: &Delta) -> Result<Vec<Delta>, ExecError> {
        let times = self.times(delta);
        self.check_range(&times)?;
        match self.assign.kind {
            WindowKind::Tumble => Ok(vec![self.append_bounds(delta, &self.starts(&times, 0))?]),
            WindowKind::Hop => self.hop(delta, &times),
        }
    }

    fn hop(&self, delta: &Delta, times: &Int64Array) -> Result<Vec<Delta>, ExecError> {
        if times.null_count() > 0 {
            let known = BooleanArray::from_iter((0..times.len()).map(|i| Some(times.is_valid(i))));
            let delta = delta.filter(&known)?;
            return self.hop(&delta, &self.times(&delta));
        }
        let WindowAssign { size_us, slide_us, .. } = self.assign;
        let places = size_us.div_euclid(slide_us) + i64::from(size_us.rem_euclid(slide_us) != 0);
        let mut copies = Vec::with_capacity(places as usize);
        for place in 0..places {
            let starts = self.starts(times, place);
            let copy = self.append_bounds(delta, &starts)?;
            // Where size is no multiple of slide, the row may have left the last of its windows.
            let inside = BooleanArray::from_unary(&subtract(times, &starts)?, |age: i64| age < size_us);
            copies.push(match inside.true_count() {
                all if all == copy.num_rows() => copy,
                _ => copy.filter(&inside)?,
            });
        }
        Ok(copies)
    }

    fn times(&self, delta: &Delta) -> Int64Array {
        delta
            .column(self.assign.time_column)
            .as_primitive::<TimestampMicrosecondType>()
            .reinterpret_cast::<Int64Type>()
    }

    /// Starts of the windows that lie `place` slides before the newest one of each row.
    fn starts(&self, times: &Int64Array, place: i64) -> Int64Array {
        let WindowAssign {
            slide_us, offset_us, ..
        } = self.assign;
        let shift = place * slide_us;
        times.unary(|t: i64| {
            t.wrapping_sub((t.wrapping_sub(offset_us)).rem_euclid(slide_us))
                .wrapping_sub(shift)
        })
    }

    fn append_bounds(&self, delta: &Delta, starts: &Int64Array) -> Result<Delta, ExecError> {
        let size = self.assign.size_us;
        let ends: Int64Array = starts.unary(|s: i64| s.wrapping_add(size));
        let mut columns = delta.batch().columns().to_vec();
        columns.push(self.bound(starts));
        columns.push(self.bound(&ends));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(delta.with_batch(batch)?)
    }

    fn bound(&self, micros: &Int64Array) -> ArrayRef {
        let array: TimestampMicrosecondArray = micros.reinterpret_cast();
        Arc::new(array.with_data_type(self.time.clone()))
    }

    /// Window bounds near the ends of time have no representation.
    fn check_range(&self, times: &Int64Array) -> Result<(), ExecError> {
        let margin = self
            .assign
            .size_us
            .saturating_add(self.assign.slide_us)
            .saturating_add(self.assign.offset_us.saturating_abs());
        let (low, high) = (i64::MIN.saturating_add(margin), i64::MAX.saturating_sub(margin));
        if times.iter().flatten().all(|t| t > low && t < high) {
            return Ok(());
        }
        let error = SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range");
        Err(ExecError::DataFusion(datafusion::error::DataFusionError::External(
            Box::new(error),
        )))
    }
}

fn subtract(left: &Int64Array, right: &Int64Array) -> Result<Int64Array, ExecError> {
    Ok(arrow::compute::binary(left, right, |l: i64, r: i64| l.wrapping_sub(r))?)
}
