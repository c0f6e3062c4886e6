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
use tokio::time::Instant;

use super::encode::{Column, Format, RowWriter, columns_of};
use super::error::Stop;
use super::link::Link;
use crate::session::{OutputColumn, SUBSCRIBE_TAG};

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

/// How long rows that are not there yet are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until they come, or there are no more.
    Endless,
    /// Until there is one, and no other at once.
    FirstRow,
    /// Until then.
    Until(Instant),
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

    /// Whether more may come at any time, without an end.
    pub(super) fn follows(&self) -> bool {
        self.tag == SUBSCRIBE_TAG
    }

    /// How long a reader of some rows waits, unless it says so.
    pub(super) fn patience(&self) -> Patience {
        match self.follows() {
            true => Patience::FirstRow,
            false => Patience::Endless,
        }
    }

    /// Whether all have been read.
    pub(super) fn is_over(&self) -> bool {
        self.stream.is_none() && self.next == self.batch_rows
    }

    /// The command tag once this many rows have been read.
    pub(super) fn tag(&self, count: u64) -> String {
        tag_with_count(self.tag, count)
    }

    /// Reads at most `limit` rows; answers how many there were. Fewer than the limit means that there are no more, or
    /// that patience is over.
    pub(super) async fn read(
        &mut self,
        link: &mut Link,
        formats: &[Format],
        settings: &TextSettings,
        limit: u64,
        purpose: Use,
        patience: Patience,
    ) -> Result<u64, Stop> {
        if purpose == Use::Send && formats.len() != self.columns.len() {
            // Only a cursor declared anew since its FETCH was described comes here.
            return Err(Stop::Error(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cached plan must not change result type",
            )));
        }
        let mut count = 0;
        while count < limit {
            let deadline = match patience {
                Patience::FirstRow if count > 0 => Some(Instant::now()),
                Patience::FirstRow | Patience::Endless => None,
                Patience::Until(deadline) => Some(deadline),
            };
            if !self.load(link, deadline).await? {
                break;
            }
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

    /// Has a row to read, waiting for one if need be; false at the end, or when there is none by the deadline.
    pub(super) async fn load(&mut self, link: &mut Link, deadline: Option<Instant>) -> Result<bool, Stop> {
        while self.next == self.batch_rows {
            let Some(stream) = &mut self.stream else {
                return Ok(false);
            };
            let next = async { stream.next().await.transpose().map_err(|e| sql_error(&e)) };
            let next = match deadline {
                None => link.run(next).await?,
                Some(deadline) => match link.run(in_time(next, deadline)).await? {
                    Some(next) => next,
                    None => return Ok(false),
                },
            };
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

/// What `work` answers, or `None` when it does not by the deadline; then nothing of it is lost that is read again.
async fn in_time<T>(work: impl Future<Output = Result<T, SqlError>>, deadline: Instant) -> Result<Option<T>, SqlError> {
    match tokio::time::timeout_at(deadline, work).await {
        Ok(done) => done.map(Some),
        Err(_) => Ok(None),
    }
}

/// The tags that end in a number of rows do so; SHOW and EXPLAIN do not.
pub(super) fn tag_with_count(tag: &str, count: u64) -> String {
    match tag {
        "SELECT" | "INSERT 0" | "UPDATE" | "DELETE" | "MERGE" | SUBSCRIBE_TAG | "FETCH" | "MOVE" | "COPY" => {
            format!("{tag} {count}")
        }
        other => other.to_string(),
    }
}
