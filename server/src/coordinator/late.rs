//! Rows that came after their watermark: which records they were, and how they are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use highwater_connectors::{Offset, PartitionId};
use highwater_planner::functions::row_as_json;
use highwater_types::{RelationId, Watermark};

use super::status::{KEPT_ROWS, LateRow};

/// The records of a source that came too late, by offset. Whether a record is late depends on the moment at which it
/// was first read, so it has to be remembered: eight bytes a record, for as long as the source is read.
#[derive(Debug, Clone, Default)]
pub struct LateRecords {
    /// In rising order.
    offsets: BTreeMap<PartitionId, Arc<Vec<Offset>>>,
}

impl LateRecords {
    /// Adds records that come after all that were added before.
    pub fn add(&mut self, partition: &PartitionId, offsets: impl Iterator<Item = Offset>) {
        let known = self.offsets.entry(partition.clone()).or_default();
        Arc::make_mut(known).extend(offsets);
        debug_assert!(known.is_sorted(), "a partition is read in order");
    }

    /// Which of these records came in time; `None` when all did.
    pub fn in_time(&self, partition: &PartitionId, offsets: &[Offset]) -> Option<BooleanArray> {
        let late = self.offsets.get(partition)?;
        let (first, last) = (offsets.first()?, offsets.last()?);
        let near = &late[late.partition_point(|o| o < first)..late.partition_point(|o| o <= last)];
        if near.is_empty() {
            return None;
        }
        let in_time = |offset: &Offset| Some(near.binary_search(offset).is_err());
        Some(offsets.iter().map(in_time).collect())
    }
}

/// Late rows as they are shown: the last of them, as many as are kept.
pub fn late_rows(
    source: RelationId,
    batch: &RecordBatch,
    rows: &[usize],
    time_column: usize,
    watermark: Watermark,
) -> Vec<LateRow> {
    let times = batch.column(time_column).as_primitive::<TimestampMicrosecondType>();
    let newest = &rows[rows.len().saturating_sub(KEPT_ROWS)..];
    let shown = newest.iter().map(|row| LateRow {
        source,
        row: row_as_json(batch, *row),
        time_us: times.value(*row),
        watermark,
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(numbers: &[u64]) -> Vec<Offset> {
        numbers.iter().copied().map(Offset).collect()
    }

    #[test]
    fn late_records_are_told_from_their_neighbours() {
        let (a, b) = (PartitionId::new("a"), PartitionId::new("b"));
        let mut late = LateRecords::default();
        late.add(&a, offsets(&[3, 9]).into_iter());
        late.add(&a, offsets(&[40]).into_iter());
        let in_time = |partition: &PartitionId, numbers: &[u64]| {
            let mask = late.in_time(partition, &offsets(numbers))?;
            Some(mask.iter().flatten().collect::<Vec<bool>>())
        };
        assert_eq!(in_time(&a, &[1, 3, 7, 9]), Some(vec![true, false, true, false]));
        assert_eq!(in_time(&a, &[10, 39]), None);
        assert_eq!(in_time(&a, &[40]), Some(vec![false]));
        assert_eq!(in_time(&b, &[3]), None);
        assert_eq!(in_time(&a, &[]), None);
    }
}
