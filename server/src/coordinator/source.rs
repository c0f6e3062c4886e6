//! A source being read: a thread that asks the connector for rows, computes generated columns and watermarks, and
//! puts finished batches into a bounded queue. When the queue is full the thread waits, which is all the
//! back-pressure there is: nothing is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use crossbeam_channel::{Receiver, SendTimeoutError, Sender};
use highwater_connectors::{Connector, DeadLetter, Offset, PartitionId, PartitionReader, ReadStep, SourceBatch};
use highwater_executor::{ExecError, Projection};
use highwater_types::{RelationId, SqlError};

/// How many finished batches wait for the coordinator at most.
const QUEUE_BATCHES: usize = 64;
/// Rows asked from a partition at a time.
const READ_ROWS: usize = 8192;
/// How long a thread without rows waits before it asks again.
const IDLE_WAIT: Duration = Duration::from_millis(5);
/// How long a full queue is waited for before the stop signal is looked at.
const FULL_WAIT: Duration = Duration::from_millis(50);

/// What a source's thread reports.
#[derive(Debug)]
pub enum SourceEvent {
    /// Rows, ready to be applied.
    Rows(SourceRows),
    /// The partition will have no more rows.
    Ended(PartitionId),
    /// The connector failed; the thread has stopped.
    Failed(SqlError),
}

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
    /// The largest value of the watermark expression.
    pub watermark_us: Option<i64>,
    /// The smallest value of the time column.
    pub earliest_us: Option<i64>,
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
}

/// A running source.
pub struct SourceThread {
    events: Receiver<SourceEvent>,
    stop: Arc<AtomicBool>,
}

impl RowShape {
    /// For rows of `schema`; `time_column` is given when `projection` ends in a watermark column.
    pub fn new(schema: SchemaRef, projection: Option<Projection>, time_column: Option<usize>) -> RowShape {
        RowShape {
            projection,
            time_column,
            schema,
        }
    }

    /// Position of the time column that lateness is judged by.
    pub fn time_column(&self) -> Option<usize> {
        self.time_column
    }

    /// The rows of the relation, and the largest watermark among them. Records on which a generated column or the
    /// watermark fails become dead letters.
    ///
    /// # Errors
    /// When the connector's columns are not the declared ones.
    pub fn shape(&self, partition: &PartitionId, read: SourceBatch) -> Result<SourceRows, ExecError> {
        let SourceBatch {
            batch,
            offsets,
            next,
            mut dead,
        } = read;
        let mut offsets = offsets;
        let computed = match &self.projection {
            None => batch,
            Some(projection) => match projection.evaluate(&batch) {
                Ok(computed) => computed,
                Err(_) => self.rows_that_compute(projection, partition, &batch, &mut offsets, &mut dead)?,
            },
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
            watermark_us,
            earliest_us,
            dead,
        })
    }

    /// The slow way, for a batch with a row that fails: each row on its own.
    fn rows_that_compute(
        &self,
        projection: &Projection,
        partition: &PartitionId,
        batch: &RecordBatch,
        offsets: &mut Vec<Offset>,
        dead: &mut Vec<DeadLetter>,
    ) -> Result<RecordBatch, ExecError> {
        let mut good = Vec::new();
        for row in 0..batch.num_rows() {
            match projection.evaluate(&batch.slice(row, 1)) {
                Ok(_) => good.push(row as u32),
                Err(error) => dead.push(DeadLetter {
                    partition: partition.clone(),
                    offset: offsets[row],
                    reason: SqlError::from(error).message,
                    payload: row_json(batch, row),
                }),
            }
        }
        *offsets = good.iter().map(|row| offsets[*row as usize]).collect();
        projection.evaluate(&take_record_batch(batch, &UInt32Array::from(good))?)
    }
}

impl SourceThread {
    /// Starts reading every partition of `connector` from `positions` on (from its start where none is given).
    /// `ready` is called whenever there may be something in the queue.
    pub fn start(
        name: &str,
        connector: Box<dyn Connector>,
        shape: Arc<RowShape>,
        positions: BTreeMap<PartitionId, Offset>,
        ready: impl Fn() + Send + 'static,
    ) -> Result<SourceThread, std::io::Error> {
        let (sender, events) = crossbeam_channel::bounded(QUEUE_BATCHES);
        let stop = Arc::new(AtomicBool::new(false));
        let reader = ReadLoop {
            connector,
            shape,
            positions,
            sender,
            stop: Arc::clone(&stop),
            ready,
            open: Vec::new(),
        };
        std::thread::Builder::new()
            .name(format!("source {name}"))
            .spawn(move || reader.run())?;
        Ok(SourceThread { events, stop })
    }

    /// The next event, when there is one.
    pub fn next_event(&self) -> Option<SourceEvent> {
        self.events.try_recv().ok()
    }

    /// Whether an event is waiting.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }
}

impl Drop for SourceThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct ReadLoop<R> {
    connector: Box<dyn Connector>,
    shape: Arc<RowShape>,
    positions: BTreeMap<PartitionId, Offset>,
    sender: Sender<SourceEvent>,
    stop: Arc<AtomicBool>,
    ready: R,
    open: Vec<(PartitionId, Option<Box<dyn PartitionReader>>)>,
}

impl<R: Fn()> ReadLoop<R> {
    fn run(mut self) {
        let failed = self.read_all().err();
        if let Some(error) = failed {
            self.send(SourceEvent::Failed(error));
        }
    }

    fn read_all(&mut self) -> Result<(), SqlError> {
        while !self.stop.load(Ordering::Relaxed) {
            self.open_new_partitions()?;
            let mut had_rows = false;
            for index in 0..self.open.len() {
                had_rows |= self.read_one(index)?;
            }
            if !had_rows {
                std::thread::park_timeout(IDLE_WAIT);
            }
        }
        Ok(())
    }

    fn open_new_partitions(&mut self) -> Result<(), SqlError> {
        for partition in self.connector.partitions()? {
            if self.open.iter().any(|(known, _)| *known == partition) {
                continue;
            }
            let from = self.positions.get(&partition).copied().unwrap_or_default();
            let reader = self.connector.open(&partition, from, None)?;
            self.open.push((partition, Some(reader)));
        }
        Ok(())
    }

    /// Reads once from a partition; answers whether there was anything.
    fn read_one(&mut self, index: usize) -> Result<bool, SqlError> {
        let (partition, reader) = &mut self.open[index];
        let Some(open) = reader else { return Ok(false) };
        let event = match open.read(READ_ROWS)? {
            ReadStep::Idle => return Ok(false),
            ReadStep::End => {
                *reader = None;
                SourceEvent::Ended(partition.clone())
            }
            ReadStep::Rows(rows) => SourceEvent::Rows(self.shape.shape(partition, rows)?),
        };
        self.send(event);
        Ok(true)
    }

    /// Waits for a place in the queue, unless the source is stopped.
    fn send(&self, event: SourceEvent) {
        let mut event = event;
        while !self.stop.load(Ordering::Relaxed) {
            match self.sender.send_timeout(event, FULL_WAIT) {
                Ok(()) => return (self.ready)(),
                Err(SendTimeoutError::Timeout(back)) => event = back,
                Err(SendTimeoutError::Disconnected(_)) => return,
            }
        }
    }
}

/// Splits off the rows whose time is below the watermark: the rows in time, and the positions of the late ones.
pub fn split_late(
    batch: &RecordBatch,
    time_column: usize,
    watermark_us: i64,
) -> Result<(RecordBatch, Vec<usize>), ExecError> {
    let times = batch.column(time_column).as_primitive::<TimestampMicrosecondType>();
    let in_time = BooleanArray::from_unary(times, |time| time >= watermark_us);
    let late = (0..batch.num_rows())
        .filter(|row| times.is_valid(*row) && times.value(*row) < watermark_us)
        .collect();
    // A row without a time is never late.
    let keep = BooleanArray::new(in_time.values() | &!&validity(times), None);
    Ok((arrow::compute::filter_record_batch(batch, &keep)?, late))
}

fn validity(array: &dyn Array) -> arrow::buffer::BooleanBuffer {
    match array.nulls() {
        Some(nulls) => nulls.inner().clone(),
        None => arrow::buffer::BooleanBuffer::new_set(array.len()),
    }
}

/// A row as a JSON object, for people.
pub fn row_json(batch: &RecordBatch, row: usize) -> String {
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    let written = writer.write(&batch.slice(row, 1)).and_then(|()| writer.finish());
    match written {
        Ok(()) => {
            let text = String::from_utf8_lossy(&writer.into_inner()).into_owned();
            text.trim_start_matches('[').trim_end_matches(']').to_string()
        }
        Err(error) => format!("{{\"error\": \"{error}\"}}"),
    }
}

/// Rows of a source that came too late for it.
pub fn late_marks(source: RelationId, batch: &RecordBatch, rows: &[usize], time_column: usize) -> Vec<(String, i64)> {
    let times = batch.column(time_column).as_primitive::<TimestampMicrosecondType>();
    tracing::debug!(%source, rows = rows.len(), "late rows");
    rows.iter()
        .map(|row| (row_json(batch, *row), times.value(*row)))
        .collect()
}

fn largest(column: &dyn Array) -> Option<i64> {
    arrow::compute::max(column.as_primitive_opt::<TimestampMicrosecondType>()?)
}

fn smallest(column: &dyn Array) -> Option<i64> {
    arrow::compute::min(column.as_primitive_opt::<TimestampMicrosecondType>()?)
}
