//! What a source contributes to epochs: rows from its thread, late ones taken out, and its watermark.
//!
//! A partition's watermark is the largest value that the declared expression has taken; the source's is the
//! smallest over its partitions. A partition idle for longer than the declared time does not hold it back, and
//! when all are idle it follows the wall clock. When every partition has ended, nothing can come any more and
//! the watermark is [`Watermark::END`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use highwater_connectors::{Offset, PartitionId, SourceSpec};
use highwater_planner::catalog::Relation;
use highwater_types::{Delta, RelationId, SourceWatermark, Watermark};

use super::source::{RowShape, SourceEvent, SourceRows, SourceThread, late_marks, split_late};
use super::status::{DeadRow, LateRow, StatusBoard};
use super::table::TableState;

/// A source: its thread while it is read, and how far it has come.
pub struct SourceFeed {
    /// The source.
    pub relation: Arc<Relation>,
    /// How to connect to it.
    pub spec: SourceSpec,
    /// What makes rows of its records.
    pub shape: Arc<RowShape>,
    thread: Option<SourceThread>,
    partitions: BTreeMap<PartitionId, PartitionState>,
    watermark: Watermark,
    all_idle_since: Option<(Instant, Watermark)>,
    /// Records that came too late: a view made later must not see them either.
    late: HashSet<(PartitionId, Offset)>,
}

#[derive(Debug)]
struct PartitionState {
    next: Offset,
    watermark_us: Option<i64>,
    last_row: Instant,
    ended: bool,
}

impl SourceFeed {
    /// A source that is not read yet.
    pub fn new(relation: Arc<Relation>, spec: SourceSpec, shape: Arc<RowShape>) -> SourceFeed {
        SourceFeed {
            relation,
            spec,
            shape,
            thread: None,
            partitions: BTreeMap::new(),
            watermark: Watermark::NONE,
            all_idle_since: None,
            late: HashSet::new(),
        }
    }

    /// Whether it is being read, or has been read to its end.
    pub fn is_running(&self) -> bool {
        self.thread.is_some()
    }

    /// Goes on with this thread.
    pub fn attach(&mut self, thread: SourceThread) {
        self.thread = Some(thread);
    }

    /// Stops reading, and forgets how far it has come.
    pub fn stop(&mut self) {
        *self = SourceFeed::new(Arc::clone(&self.relation), self.spec.clone(), Arc::clone(&self.shape));
    }

    /// Whether rows are waiting, or the clock has something to say.
    pub fn has_rows(&self) -> bool {
        self.thread.as_ref().is_some_and(SourceThread::has_events)
    }

    /// Where each partition is: everything before has been applied.
    pub fn positions(&self) -> BTreeMap<PartitionId, Offset> {
        self.partitions
            .iter()
            .map(|(partition, state)| (partition.clone(), state.next))
            .collect()
    }

    /// The records that came too late.
    pub fn late(&self) -> &HashSet<(PartitionId, Offset)> {
        &self.late
    }

    /// The watermark in force.
    pub fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// Takes up to `room` rows for an epoch, and says how the watermark moves with it.
    pub fn take_rows(
        &mut self,
        id: RelationId,
        room: &mut usize,
        deltas: &mut Vec<Delta>,
        status: &StatusBoard,
    ) -> SourceWatermark {
        let before = self.watermark;
        let mut changed = false;
        while *room > 0
            && let Some(event) = self.thread.as_ref().and_then(SourceThread::next_event)
        {
            changed = true;
            match event {
                SourceEvent::Rows(rows) => {
                    *room = room.saturating_sub(rows.batch.num_rows().max(1));
                    self.take_batch(id, rows, before, deltas, status);
                }
                SourceEvent::Ended(partition) => self.partition(&partition).ended = true,
                SourceEvent::Failed(error) => {
                    tracing::error!(source = %self.relation.name, %error, "a source has failed");
                    status.update(|s| s.sources.entry(id).or_default().error = Some(error.to_string()));
                }
            }
        }
        self.watermark = before.max(self.next_watermark());
        if changed || self.watermark != before {
            self.show(id, status);
        }
        SourceWatermark {
            relation: id,
            before,
            after: self.watermark,
        }
    }

    fn take_batch(
        &mut self,
        id: RelationId,
        rows: SourceRows,
        before: Watermark,
        deltas: &mut Vec<Delta>,
        status: &StatusBoard,
    ) {
        let state = self.partition(&rows.partition);
        state.next = rows.next;
        state.last_row = Instant::now();
        state.watermark_us = state.watermark_us.max(rows.watermark_us);
        if !rows.dead.is_empty() {
            let dead = rows.dead.iter().map(|letter| DeadRow {
                source: id,
                partition: letter.partition.to_string(),
                offset: letter.offset.0,
                error: letter.reason.clone(),
                payload: letter.payload.clone(),
            });
            status.update(|s| {
                s.sources.entry(id).or_default().dead_letter_count += rows.dead.len() as u64;
                dead.for_each(|row| s.push_dead(row));
            });
        }
        let has_late = before != Watermark::NONE && rows.earliest_us.is_some_and(|time| !before.admits(time));
        let batch = match self.shape.time_column().filter(|_| has_late) {
            None => rows.batch,
            Some(column) => self.without_late(id, &rows, column, before, status),
        };
        let applied = batch.num_rows() as u64;
        status.update(|s| s.sources.entry(id).or_default().row_count += applied);
        if applied > 0 {
            deltas.push(Delta::insert(batch));
        }
    }

    fn without_late(
        &mut self,
        id: RelationId,
        rows: &SourceRows,
        column: usize,
        before: Watermark,
        status: &StatusBoard,
    ) -> RecordBatch {
        let (in_time, late) = split_late(&rows.batch, column, before.0)
            .expect("a time column was checked to be one when the source was made");
        self.late
            .extend(late.iter().map(|row| (rows.partition.clone(), rows.offsets[*row])));
        push_late(status, id, &rows.batch, &late, column, before);
        in_time
    }

    fn partition(&mut self, partition: &PartitionId) -> &mut PartitionState {
        self.partitions
            .entry(partition.clone())
            .or_insert_with(|| PartitionState {
                next: Offset::default(),
                watermark_us: None,
                last_row: Instant::now(),
                ended: false,
            })
    }

    fn next_watermark(&mut self) -> Watermark {
        let Some(declared) = &self.relation.watermark else {
            return Watermark::NONE;
        };
        if self.partitions.is_empty() {
            return Watermark::NONE;
        }
        if self.partitions.values().all(|p| p.ended) {
            return Watermark::END;
        }
        let timeout = declared
            .idle_timeout_us
            .map(|us| Duration::from_micros(us.unsigned_abs()));
        let now = Instant::now();
        let is_idle = |p: &PartitionState| timeout.is_some_and(|t| now.duration_since(p.last_row) > t);
        let active: Vec<&PartitionState> = self.partitions.values().filter(|p| !p.ended && !is_idle(p)).collect();
        if active.is_empty() {
            let (since, stood) = *self.all_idle_since.get_or_insert((now, self.watermark));
            if stood == Watermark::NONE {
                return Watermark::NONE;
            }
            let passed = i64::try_from(now.duration_since(since).as_micros()).unwrap_or(i64::MAX);
            return Watermark(stood.0.saturating_add(passed));
        }
        self.all_idle_since = None;
        let smallest = active.iter().map(|p| p.watermark_us).min().flatten();
        smallest.map_or(Watermark::NONE, Watermark)
    }

    fn show(&self, id: RelationId, status: &StatusBoard) {
        let positions: BTreeMap<String, u64> = self
            .partitions
            .iter()
            .map(|(partition, state)| (partition.to_string(), state.next.0))
            .collect();
        let watermark = self.watermark;
        let running = self.thread.is_some();
        status.update(|s| {
            let entry = s.sources.entry(id).or_default();
            entry.positions = positions;
            entry.watermark = watermark;
            entry.running = running;
        });
    }
}

/// Counts and keeps late rows of a table.
pub fn record_late(status: &StatusBoard, id: RelationId, batch: &RecordBatch, late: &[usize], table: &TableState) {
    if let Some((column, before)) = table.lateness() {
        push_late(status, id, batch, late, column, before);
    }
}

fn push_late(
    status: &StatusBoard,
    id: RelationId,
    batch: &RecordBatch,
    late: &[usize],
    column: usize,
    watermark: Watermark,
) {
    let marks = late_marks(id, batch, late, column);
    status.update(|s| {
        s.sources.entry(id).or_default().late_row_count += late.len() as u64;
        for (row, time_us) in marks {
            s.push_late(LateRow {
                source: id,
                row,
                time_us,
                watermark,
            });
        }
    });
}
