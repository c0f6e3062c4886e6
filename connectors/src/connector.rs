//! [`Connector`] and [`PartitionReader`]: what every source is read through.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::ConnectorError;

/// A source's connection. Cheap to make: one is made to check a declaration, one for the shared reader, and one
/// for each view that catches up with history.
pub trait Connector: Send {
    /// The partitions there are by now. Called often: it must be cheap, and may only grow.
    ///
    /// # Errors
    /// When the outside world refuses.
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ConnectorError>;

    /// Whether there may be more partitions later.
    fn may_grow(&self) -> bool;

    /// Whether a reader may start at any offset, and not only where another has come to: a long stretch can then be
    /// read in parts, side by side.
    fn starts_anywhere(&self) -> bool {
        false
    }

    /// Reads a partition from an offset on; with `until`, no record at or past that offset, then
    /// [`ReadStep::End`], and as fast as it goes whatever the declared rate.
    ///
    /// # Errors
    /// When there is no such partition, or it cannot be opened.
    fn open(
        &self,
        partition: &PartitionId,
        from: Offset,
        until: Option<Offset>,
    ) -> Result<Box<dyn PartitionReader>, ConnectorError>;
}

/// Reads one partition in order.
pub trait PartitionReader: Send {
    /// The next rows, up to about `max_rows`.
    ///
    /// # Errors
    /// When the partition as a whole cannot be read on. A record that cannot be read is a [`DeadLetter`] instead. No
    /// record is lost by it: if the error [may pass](ConnectorError::may_pass), the same reader can be asked again.
    fn read(&mut self, max_rows: usize) -> Result<ReadStep, ConnectorError>;

    /// Where the partition ends by now, as far as is known: the offset that a reader comes to when it has read all.
    fn end(&self) -> Option<Offset>;
}

/// What a reader has to say.
#[derive(Debug)]
pub enum ReadStep {
    /// Rows or dead letters, or only that the position has moved.
    Rows(SourceBatch),
    /// Nothing now; ask again.
    Idle,
    /// There will be no more.
    End,
}

/// Consecutive records of one partition.
#[derive(Debug)]
pub struct SourceBatch {
    /// The declared columns in order, INCLUDE columns among them.
    pub batch: RecordBatch,
    /// The offset of each row of `batch`.
    pub offsets: Vec<Offset>,
    /// From where to read on.
    pub next: Offset,
    /// The records that are not among the rows because they could not be read.
    pub dead: Vec<DeadLetter>,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it is.
    pub partition: PartitionId,
    /// Where in the partition.
    pub offset: Offset,
    /// What is wrong with it.
    pub reason: String,
    /// The record, as far as it is text; long ones are cut.
    pub payload: String,
}

impl DeadLetter {
    /// Characters of a payload that are kept.
    pub const PAYLOAD_CHARS_MAX: usize = 4096;

    /// A dead letter; a long payload is cut.
    pub fn new(partition: &PartitionId, offset: Offset, reason: String, payload: &str) -> DeadLetter {
        let end = payload.char_indices().nth(Self::PAYLOAD_CHARS_MAX);
        DeadLetter {
            partition: partition.clone(),
            offset,
            reason,
            payload: payload[..end.map_or(payload.len(), |(at, _)| at)].to_string(),
        }
    }
}

/// A partition's name. Cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(Arc<str>);

impl PartitionId {
    /// The partition of this name.
    pub fn new(name: &str) -> PartitionId {
        PartitionId(Arc::from(name))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in a partition, in the connector's own count. Zero is its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
