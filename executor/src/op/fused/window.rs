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
        let times = times_of(delta, self.assign.time_column);
        self.check_range(&times)?;
        match self.assign.kind {
            WindowKind::Tumble => {
                let starts = slide_starts(&self.assign, &times);
                Ok(vec![self.append_bounds(delta, &starts, &self.after(&starts))?])
            }
            WindowKind::Hop | WindowKind::Cumulate if times.null_count() > 0 => {
                let known = BooleanArray::from_iter((0..times.len()).map(|i| Some(times.is_valid(i))));
                self.run(&delta.filter(&known)?)
            }
            WindowKind::Hop => self.hop(delta, &times),
            WindowKind::Cumulate => self.cumulate(delta, &times),
        }
    }

    fn hop(&self, delta: &Delta, times: &Int64Array) -> Result<Vec<Delta>, ExecError> {
        let WindowAssign { size_us, slide_us, .. } = self.assign;
        let places = size_us.div_euclid(slide_us) + i64::from(size_us.rem_euclid(slide_us) != 0);
        let newest = slide_starts(&self.assign, times);
        let mut copies = Vec::with_capacity(places as usize);
        for place in 0..places {
            let starts: Int64Array = newest.unary(|start: i64| start.wrapping_sub(place * slide_us));
            let copy = self.append_bounds(delta, &starts, &self.after(&starts))?;
            // Where size is no multiple of slide, the row may have left the last of its windows.
            let inside = BooleanArray::from_unary(&subtract(times, &starts)?, |age: i64| age < size_us);
            copies.push(match inside.true_count() {
                all if all == copy.num_rows() => copy,
                _ => copy.filter(&inside)?,
            });
        }
        Ok(copies)
    }

    fn cumulate(&self, delta: &Delta, times: &Int64Array) -> Result<Vec<Delta>, ExecError> {
        let WindowAssign { size_us, slide_us, .. } = self.assign;
        let whole = WindowAssign {
            slide_us: size_us,
            ..self.assign.clone()
        };
        let starts = slide_starts(&whole, times);
        let ages: Int64Array = subtract(times, &starts)?;
        let mut copies = Vec::new();
        for length in (slide_us..=size_us).step_by(slide_us as usize) {
            let inside = BooleanArray::from_unary(&ages, |age: i64| age < length);
            let ends: Int64Array = starts.unary(|start: i64| start.wrapping_add(length));
            if inside.true_count() > 0 {
                copies.push(self.append_bounds(delta, &starts, &ends)?.filter(&inside)?);
            }
        }
        Ok(copies)
    }

    /// The end of a window of the whole size.
    fn after(&self, starts: &Int64Array) -> Int64Array {
        starts.unary(|start: i64| start.wrapping_add(self.assign.size_us))
    }

    fn append_bounds(&self, delta: &Delta, starts: &Int64Array, ends: &Int64Array) -> Result<Delta, ExecError> {
        let mut columns = delta.batch().columns().to_vec();
        columns.push(self.bound(starts));
        columns.push(self.bound(ends));
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
        // A NULL's place holds any number, so that only values out of range are looked at again.
        let outside = |t: i64| t <= low || t >= high;
        let any = times.values().iter().fold(false, |any, t| any | outside(*t));
        if !any || !times.iter().flatten().any(outside) {
            return Ok(());
        }
        let error = SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range");
        Err(ExecError::DataFusion(datafusion::error::DataFusionError::External(
            Box::new(error),
        )))
    }
}

/// A time column in microseconds.
pub(super) fn times_of(delta: &Delta, column: usize) -> Int64Array {
    delta
        .column(column)
        .as_primitive::<TimestampMicrosecondType>()
        .reinterpret_cast::<Int64Type>()
}

/// The start of the newest window of each time. Times mostly come in order, so that the window of the one before is
/// tried first: a comparison costs a tenth of a division.
pub(super) fn slide_starts(assign: &WindowAssign, times: &Int64Array) -> Int64Array {
    let (slide_us, offset_us) = (assign.slide_us, assign.offset_us);
    let start_of = |t: i64| t.wrapping_sub(t.wrapping_sub(offset_us).rem_euclid(slide_us));
    let mut start = times.values().first().map_or(0, |t| start_of(*t));
    let starts: Vec<i64> = times
        .values()
        .iter()
        .map(|t| {
            if t.wrapping_sub(start) as u64 >= slide_us as u64 {
                start = start_of(*t);
            }
            start
        })
        .collect();
    Int64Array::new(starts.into(), times.nulls().cloned())
}

fn subtract(left: &Int64Array, right: &Int64Array) -> Result<Int64Array, ExecError> {
    Ok(arrow::compute::binary(left, right, |l: i64, r: i64| l.wrapping_sub(r))?)
}
