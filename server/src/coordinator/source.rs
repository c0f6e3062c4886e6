//! What a connector has read, as rows of the source: [`RowShape`] computes generated columns and the watermark, and
//! [`split_late`] takes out what came too late.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use highwater_connectors::{DeadLetter, Offset, PartitionId, SourceBatch};
use highwater_executor::{ExecError, Projection};
use highwater_planner::catalog::Relation;
use highwater_planner::functions::row_as_json;
use highwater_types::SqlError;

/// Rows of one partition, with all of the relation's columns.
#[derive(Debug)]
pub struct SourceRows {
    /// Where they came from.
    pub partition: PartitionId,
    /// The rows.
    pub batch: RecordBatch,
    /// The offset of each row.
    pub offsets: Vec<Offset>,
    /// The offset after the last record read, dead ones included.
    pub next: Offset,
    /// Where the partition ends by now, as far as is known.
    pub end: Option<Offset>,
    /// The largest value of the watermark expression.
    pub watermark_us: Option<i64>,
    /// The smallest value of the time column.
    pub earliest_us: Option<i64>,
    /// When they were read.
    pub read_at: Instant,
    /// Records that could not be read.
    pub dead: Vec<DeadLetter>,
}

/// Turns what a connector reads into rows of the relation.
#[derive(Debug)]
pub struct RowShape {
    /// Computes generated columns and, in one column more, the watermark.
    projection: Option<Projection>,
    /// Position of the time column, when there is a watermark.
    time_column: Option<usize>,
    schema: SchemaRef,
    /// Columns that take no NULL.
    not_null: Vec<usize>,
}

impl RowShape {
    /// For rows of `source`; `time_column` is given when `projection` ends in a watermark column.
    pub fn new(source: &Relation, projection: Option<Projection>, time_column: Option<usize>) -> RowShape {
        let columns = source.columns.iter().enumerate();
        RowShape {
            projection,
            time_column,
            schema: source.arrow_schema(),
            not_null: columns.filter(|(_, c)| c.not_null).map(|(i, _)| i).collect(),
        }
    }

    /// Position of the time column that lateness is judged by.
    pub fn time_column(&self) -> Option<usize> {
        self.time_column
    }

    /// The rows of the relation, and the largest watermark among them. Records on which a generated column or the
    /// watermark fails, or that lack a value that must be there, become dead letters.
    ///
    /// # Errors
    /// When the connector's columns are not the declared ones.
    pub fn shape(
        &self,
        partition: &PartitionId,
        read: SourceBatch,
        end: Option<Offset>,
    ) -> Result<SourceRows, ExecError> {
        let SourceBatch {
            batch,
            mut offsets,
            next,
            mut dead,
        } = read;
        let computed = match self.compute(&batch) {
            Ok(computed) => computed,
            Err(_) => {
                let good = self.bury_bad_rows(partition, &batch, &offsets, &mut dead);
                offsets = good.iter().map(|row| offsets[*row as usize]).collect();
                let rest = take_record_batch(&batch, &UInt32Array::from(good))?;
                self.compute(&rest).map_err(|refused| match refused {
                    Refused::Failed(error) => error,
                    Refused::Null(column) => unreachable!("rows without a value of column {column} were taken out"),
                })?
            }
        };
        let watermark_us = self
            .time_column
            .and_then(|_| largest(computed.columns().last()?.as_ref()));
        let columns = computed.columns()[..self.schema.fields().len()].to_vec();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let earliest_us = self.time_column.and_then(|c| smallest(batch.column(c).as_ref()));
        Ok(SourceRows {
            partition: partition.clone(),
            batch,
            offsets,
            next,
            end,
            watermark_us,
            earliest_us,
            read_at: Instant::now(),
            dead,
        })
    }

    /// Adds the computed columns.
    fn compute(&self, batch: &RecordBatch) -> Result<RecordBatch, Refused> {
        let computed = match &self.projection {
            None => batch.clone(),
            Some(projection) => projection.evaluate(batch).map_err(Refused::Failed)?,
        };
        let is_missing = |column: &&usize| computed.column(**column).null_count() > 0;
        match self.not_null.iter().find(is_missing) {
            None => Ok(computed),
            Some(column) => Err(Refused::Null(*column)),
        }
    }

    /// The slow way, for a batch with a row that is refused: each row on its own. Answers the others.
    fn bury_bad_rows(
        &self,
        partition: &PartitionId,
        batch: &RecordBatch,
        offsets: &[Offset],
        dead: &mut Vec<DeadLetter>,
    ) -> Vec<u32> {
        let mut good = Vec::new();
        for (row, offset) in offsets.iter().enumerate() {
            let reason = match self.compute(&batch.slice(row, 1)) {
                Ok(_) => {
                    good.push(row as u32);
                    continue;
                }
                Err(Refused::Failed(error)) => SqlError::from(error).message,
                Err(Refused::Null(column)) => {
                    let name = self.schema.field(column).name();
                    format!("null value in column \"{name}\" violates not-null constraint")
                }
            };
            dead.push(DeadLetter::new(partition, *offset, reason, &row_as_json(batch, row)));
        }
        dead.sort_by_key(|letter| letter.offset);
        good
    }
}

/// Why a row is none.
enum Refused {
    /// An expression fails on it.
    Failed(ExecError),
    /// It has no value of this column, and must have one.
    Null(usize),
}

/// Which rows are in time, and the positions of those whose time is below the watermark.
pub(crate) fn split_late(batch: &RecordBatch, time_column: usize, watermark_us: i64) -> (BooleanArray, Vec<usize>) {
    let times = batch.column(time_column).as_primitive::<TimestampMicrosecondType>();
    let in_time = BooleanArray::from_unary(times, |time| time >= watermark_us);
    let late = (0..batch.num_rows())
        .filter(|row| times.is_valid(*row) && times.value(*row) < watermark_us)
        .collect();
    // A row without a time is never late.
    (BooleanArray::new(in_time.values() | &!&validity(times), None), late)
}

fn validity(array: &dyn Array) -> arrow::buffer::BooleanBuffer {
    match array.nulls() {
        Some(nulls) => nulls.inner().clone(),
        None => arrow::buffer::BooleanBuffer::new_set(array.len()),
    }
}

fn largest(column: &dyn Array) -> Option<i64> {
    arrow::compute::max(column.as_primitive_opt::<TimestampMicrosecondType>()?)
}

fn smallest(column: &dyn Array) -> Option<i64> {
    arrow::compute::min(column.as_primitive_opt::<TimestampMicrosecondType>()?)
}
