//! [`Progress`]: what an epoch changes of what can be seen of sources and tables. It goes with the epoch, and is shown
//! when that is closed: who reads that a source is done finds all of its rows in the views.

use highwater_connectors::PartitionId;
use highwater_types::RelationId;

use super::status::{DeadRow, LateRow, PartitionStatus, SourceSummary, Status, push_kept};

/// News of one epoch.
#[derive(Debug, Default)]
pub struct Progress {
    /// Of sources, and of tables with a watermark.
    pub sources: Vec<SourceProgress>,
    /// Sources that are not read any more: what was known of them is not true any more.
    pub rested: Vec<RelationId>,
    /// Rows that came too late, oldest first.
    pub late_rows: Vec<LateRow>,
    /// Records that could not be read, oldest first.
    pub dead_letters: Vec<DeadRow>,
}

/// News of a source.
#[derive(Debug)]
pub struct SourceProgress {
    /// Which one.
    pub source: RelationId,
    /// How it is now.
    pub summary: SourceSummary,
    /// The partitions of which something has changed.
    pub partitions: Vec<(PartitionId, PartitionStatus)>,
}

impl Progress {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.rested.is_empty() && self.late_rows.is_empty() && self.dead_letters.is_empty()
    }

    /// Shows them. News of what has been dropped meanwhile is none.
    pub fn apply(self, status: &mut Status) {
        for source in self.rested {
            if let Some(known) = status.sources.get_mut(&source) {
                *known = Default::default();
            }
        }
        for news in self.sources {
            if let Some(known) = status.sources.get_mut(&news.source) {
                known.summary = news.summary;
                known.partitions.extend(news.partitions);
            }
        }
        for row in self.late_rows {
            if let Some(known) = status.sources.get_mut(&row.source) {
                push_kept(&mut known.late_rows, row);
            }
        }
        for row in self.dead_letters {
            if let Some(known) = status.sources.get_mut(&row.source) {
                push_kept(&mut known.dead_letters, row);
            }
        }
    }
}
