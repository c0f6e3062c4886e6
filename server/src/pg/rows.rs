//! [`Rows`]: a result that is being read. It holds a live stream and at most one batch of it; what a client has
//! not asked for, or not taken, is not computed.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use highwater_executor::sql_error;
use highwater_types::text::TextSettings;
use highwater_types::{SqlError, SqlState};

use super::encode::{Column, Format, RowWriter, columns_of};
use super::error::Stop;
use super::link::Link;
use crate::session::OutputColumn;

/// A cursor WITH HOLD keeps at most this much of its result in memory.
const MAX_HELD_BYTES: usize = 256 * 1024 * 1024;

/// A result, and how far it has been read.
pub(super) struct Rows {
    columns: Arc<[OutputColumn]>,
    tag: &'static str,
    stream: Option<SendableRecordBatchStream>,
    batch: Vec<Column>,
    batch_rows: usize,
    /// The next row of the batch.
    next: usize,
}

/// What becomes of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// They go to the client.
    Send,
    /// They are passed over.
    Skip,
}

impl Rows {
    pub(super) fn new(columns: Arc<[OutputColumn]>, tag: &'static str, stream: SendableRecordBatchStream) -> Rows {
        Rows {
            columns,
            tag,
            stream: Some(stream),
            batch: Vec::new(),
            batch_rows: 0,
            next: 0,
        }
    }

    pub(super) fn columns(&self) -> &Arc<[OutputColumn]> {
        &self.columns
    }

    /// The command tag once this many rows have been read.
    pub(super) fn tag(&self, count: u64) -> String {
        tag_with_count(self.tag, count)
    }

    /// Reads at most `limit` rows; answers how many there were. Fewer than the limit means that there are no more.
    pub(super) async fn read(
        &mut self,
        link: &mut Link,
        formats: &[Format],
        settings: &TextSettings,
        limit: u64,
        purpose: Use,
    ) -> Result<u64, Stop> {
        if purpose == Use::Send && formats.len() != self.columns.len() {
            // Only a cursor declared anew since its FETCH was described comes here.
            return Err(Stop::Error(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cached plan must not change result type",
            )));
        }
        let mut count = 0;
        while count < limit && self.load(link).await? {
            let wanted = limit - count;
            count += match purpose {
                Use::Send => self.encode(link, formats, settings, wanted)?,
                Use::Skip => self.skip(wanted),
            };
            if link.writer.is_full() {
                link.flush().await?;
            }
        }
        Ok(count)
    }

    /// Has a row to read, waiting for one if need be; false at the end.
    pub(super) async fn load(&mut self, link: &mut Link) -> Result<bool, Stop> {
        while self.next == self.batch_rows {
            let Some(stream) = &mut self.stream else {
                return Ok(false);
            };
            let next = link
                .run(async { stream.next().await.transpose().map_err(|e| sql_error(&e)) })
                .await?;
            match next {
                Some(batch) => {
                    self.batch = columns_of(&batch, &self.columns)?;
                    self.batch_rows = batch.num_rows();
                    self.next = 0;
                }
                None => {
                    self.stream = None;
                    self.batch = Vec::new();
                }
            }
        }
        Ok(true)
    }

    /// The loaded batch, its next row, and how many rows it has.
    pub(super) fn loaded(&self) -> (&[Column], usize, usize) {
        (&self.batch, self.next, self.batch_rows)
    }

    /// Rows of the loaded batch up to here have been read.
    pub(super) fn advance_to(&mut self, row: usize) {
        debug_assert!(
            self.next <= row && row <= self.batch_rows,
            "{} .. {row} of {}",
            self.next,
            self.batch_rows
        );
        self.next = row;
    }

    /// Puts rows of the loaded batch until the buffer is full.
    fn encode(
        &mut self,
        link: &mut Link,
        formats: &[Format],
        settings: &TextSettings,
        wanted: u64,
    ) -> Result<u64, Stop> {
        let writer = RowWriter::try_new(&self.batch, formats, settings)?;
        let end = self.end(wanted);
        let room = link.writer.room();
        let out = link.writer.buffer();
        let full = out.len() + room;
        let mut row = self.next;
        while row < end && out.len() < full {
            let start = out.len();
            if let Err(error) = writer.put_data_row(row, out) {
                out.truncate(start);
                return Err(error.into());
            }
            row += 1;
        }
        let count = (row - self.next) as u64;
        self.next = row;
        Ok(count)
    }

    fn skip(&mut self, wanted: u64) -> u64 {
        let end = self.end(wanted);
        let count = (end - self.next) as u64;
        self.next = end;
        count
    }

    fn end(&self, wanted: u64) -> usize {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        self.batch_rows.min(self.next.saturating_add(wanted))
    }

    /// Reads the rest into memory, so that it outlives the transaction.
    pub(super) async fn hold(&mut self, link: &mut Link) -> Result<(), Stop> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let schema = stream.schema();
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut bytes = 0;
        while let Some(batch) = link
            .run(async { stream.next().await.transpose().map_err(|e| sql_error(&e)) })
            .await?
        {
            // A slice of a large buffer would keep all of it.
            let batch = concat_batches(&schema, [&batch])
                .map_err(|error| SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()))?;
            bytes += batch.get_array_memory_size();
            if bytes > MAX_HELD_BYTES {
                return Err(Stop::Error(
                    SqlError::new(
                        SqlState::PROGRAM_LIMIT_EXCEEDED,
                        format!(
                            "the result of a cursor WITH HOLD is larger than {} MB",
                            MAX_HELD_BYTES >> 20
                        ),
                    )
                    .with_hint("Read it in the transaction that declares it."),
                ));
            }
            batches.push(batch);
        }
        let held = futures::stream::iter(batches.into_iter().map(Ok));
        self.stream = Some(Box::pin(RecordBatchStreamAdapter::new(schema, held)));
        Ok(())
    }
}

/// The tags that end in a number of rows do so; SHOW and EXPLAIN do not.
pub(super) fn tag_with_count(tag: &str, count: u64) -> String {
    match tag {
        "SELECT" | "INSERT 0" | "UPDATE" | "DELETE" | "MERGE" | "FETCH" | "MOVE" | "COPY" => format!("{tag} {count}"),
        other => other.to_string(),
    }
}
