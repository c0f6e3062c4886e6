//! Reads one partition of a Nexmark table. State: a position.

use std::ops::Range;
use std::sync::Arc;

use nexmark::EventGenerator;

use super::events::{Columns, Stream};
use crate::columns::ColumnPlan;
use crate::pace::Pace;
use crate::{ConnectorError, Offset, PartitionId, PartitionReader, ReadStep, SourceBatch};

/// Positions looked at in one read for each row asked for: reading people passes over the bids between them.
const POSITIONS_PER_ROW: u64 = 64;

pub(super) struct NexmarkReader {
    stream: Arc<Stream>,
    columns: Arc<ColumnPlan>,
    pace: Pace,
    partition: PartitionId,
    /// Of the rounds, those that leave this remainder when divided by the number of partitions.
    remainder: u64,
    partitions: u64,
    /// Positions still to be read.
    positions: Range<u64>,
    /// There is always one, but while it is moved to another offset.
    generator: Option<EventGenerator>,
}

impl NexmarkReader {
    pub(super) fn new(
        stream: Arc<Stream>,
        columns: Arc<ColumnPlan>,
        pace: Pace,
        (partition, remainder, partitions): (PartitionId, u64, u64),
        positions: Range<u64>,
    ) -> NexmarkReader {
        let end = positions.end.min(stream.count.unwrap_or(u64::MAX));
        NexmarkReader {
            generator: Some(stream.generator()),
            stream,
            columns,
            pace,
            partition,
            remainder,
            partitions,
            positions: positions.start..end,
        }
    }

    /// The first position from `position` on that is this partition's.
    fn own(&self, position: u64) -> u64 {
        let round = position / self.stream.round;
        let ahead = (self.remainder + self.partitions - round % self.partitions) % self.partitions;
        if ahead == 0 {
            position
        } else {
            (round + ahead) * self.stream.round
        }
    }

    /// Adds the event of this number, which is the table's `index`-th.
    fn push(&mut self, columns: &mut Columns, number: u64, index: u64) {
        // Moving the generator copies its whole configuration, so it is done only on a jump.
        if self.generator.as_ref().is_some_and(|g| g.offset() != index) {
            self.generator = self.generator.take().map(|g| g.with_offset(index));
        }
        let event = self.generator.as_mut().and_then(Iterator::next);
        columns.push(
            &self.stream,
            number,
            &event.expect("there is a generator, and it never ends"),
        );
    }
}

impl PartitionReader for NexmarkReader {
    fn read(&mut self, max_rows: usize) -> Result<ReadStep, ConnectorError> {
        let start = self.own(self.positions.start);
        let look = (max_rows as u64)
            .saturating_mul(POSITIONS_PER_ROW)
            .max(self.stream.round);
        let end = self.positions.end.min(self.pace.due());
        let most = max_rows.min(usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX));
        let mut columns = Columns::new(self.stream.table, most);
        let mut offsets = Vec::with_capacity(most);
        let mut position = start;
        let mut looked = 0;
        while position < end && offsets.len() < max_rows && looked < look {
            let number = self.stream.number_at(position);
            if let Some(index) = self.stream.index_in_table(number) {
                self.push(&mut columns, number, index);
                offsets.push(Offset(position));
            }
            looked += 1;
            position = self.own(position + 1);
        }
        self.positions.start = position;
        if !offsets.is_empty() {
            let batch = self.columns.batch(&columns.finish(), &self.partition, &offsets)?;
            let next = Offset(position.min(self.positions.end));
            return Ok(ReadStep::Rows(SourceBatch {
                batch,
                offsets,
                next,
                dead: Vec::new(),
            }));
        }
        if position >= self.positions.end {
            Ok(ReadStep::End)
        } else {
            Ok(ReadStep::Idle)
        }
    }

    fn end(&self) -> Option<Offset> {
        let end = self.positions.end.min(self.pace.due());
        (end != u64::MAX).then_some(Offset(end))
    }
}
