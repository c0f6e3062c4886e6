//! What the coordinator lets others see of itself: sources, views, epochs, late rows and dead letters, as they
//! were at the last closed epoch. Sessions read it for the relations of the schema `highwater`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use highwater_connectors::PartitionId;
use highwater_types::{Epoch, RelationId, SqlError, Watermark};

/// How many late rows, and how many dead letters, are kept of a source: the newest.
pub const KEPT_ROWS: usize = 1000;

/// All that can be seen, guarded by a lock that is held for copying only.
#[derive(Debug, Default)]
pub struct StatusBoard {
    status: Mutex<Status>,
}

/// The coordinator's state, for people.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The newest closed epoch.
    pub closed: Epoch,
    /// The newest cut epoch.
    pub cut: Epoch,
    /// Epochs closed since the start.
    pub closed_count: u64,
    /// Per source, and per table with a watermark.
    pub sources: BTreeMap<RelationId, SourceStatus>,
    /// Per materialized view.
    pub views: BTreeMap<RelationId, ViewStatus>,
}

/// One source's progress.
#[derive(Debug, Clone, Default)]
pub struct SourceStatus {
    /// How it is.
    pub summary: SourceSummary,
    /// How far each partition is.
    pub partitions: BTreeMap<PartitionId, PartitionStatus>,
    /// The newest late rows, oldest first.
    pub late_rows: VecDeque<LateRow>,
    /// The newest dead letters, oldest first.
    pub dead_letters: VecDeque<DeadRow>,
}

/// How a source is.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSummary {
    /// Where it is in its life.
    pub state: SourceState,
    /// Rows applied.
    pub row_count: u64,
    /// Rows that came after their watermark.
    pub late_row_count: u64,
    /// Records that could not be read.
    pub dead_letter_count: u64,
    /// The watermark in force.
    pub watermark: Watermark,
    /// What does not work.
    pub error: Option<String>,
}

impl Default for SourceSummary {
    fn default() -> SourceSummary {
        SourceSummary {
            state: SourceState::Unread,
            row_count: 0,
            late_row_count: 0,
            dead_letter_count: 0,
            watermark: Watermark::NONE,
            error: None,
        }
    }
}

/// Where a source is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// No view reads it.
    Unread,
    /// It is being read.
    Running,
    /// A part of it fails, and is tried again.
    Retrying,
    /// A part of it has failed for good; the rest goes on.
    Failed,
    /// It has been read to its end.
    Done,
}

/// How far a partition is; positions are offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Everything before has been applied.
    pub position: u64,
    /// Where the partition ends by now, as far as is known.
    pub end: Option<u64>,
    /// The greatest value of the declared watermark over its rows.
    pub watermark: Watermark,
    /// What it does to the source's watermark.
    pub activity: Activity,
}

/// What a partition does to its source's watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It holds it to its own.
    Active,
    /// Nothing, for it has brought no row for a while.
    Idle,
    /// Nothing, for it has ended.
    Ended,
}

/// One view's progress.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewStatus {
    /// Where it is in its life.
    pub state: ViewState,
}

/// Where a view is in its life.
#[derive(Debug, Clone, PartialEq)]
pub enum ViewState {
    /// It is being given its inputs' history.
    CatchingUp,
    /// It is current at every closed epoch.
    Live,
    /// Its dataflow has stopped; reads answer with this.
    Failed(SqlError),
}

/// A row that came after its watermark.
#[derive(Debug, Clone, PartialEq)]
pub struct LateRow {
    /// Its source.
    pub source: RelationId,
    /// The row, as a JSON object.
    pub row: String,
    /// Its event time, in microseconds since 1970.
    pub time_us: i64,
    /// The watermark in force when it came.
    pub watermark: Watermark,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadRow {
    /// Its source.
    pub source: RelationId,
    /// Where it was.
    pub partition: String,
    /// Where in the partition.
    pub offset: u64,
    /// What was wrong with it.
    pub error: String,
    /// Its bytes, as text.
    pub payload: String,
}

impl StatusBoard {
    /// A copy of everything.
    pub fn snapshot(&self) -> Status {
        self.lock().clone()
    }

    /// Why a view cannot be read, when its dataflow has failed.
    pub fn failure(&self, view: RelationId) -> Option<SqlError> {
        match self.lock().views.get(&view).map(|v| &v.state) {
            Some(ViewState::Failed(error)) => Some(error.clone()),
            Some(ViewState::CatchingUp | ViewState::Live) | None => None,
        }
    }

    /// Changes the status in place.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().expect("no code panics while it holds the status")
    }
}

/// Adds a row, and forgets the oldest beyond the limit.
pub fn push_kept<T>(rows: &mut VecDeque<T>, row: T) {
    if rows.len() == KEPT_ROWS {
        rows.pop_front();
    }
    rows.push_back(row);
}
