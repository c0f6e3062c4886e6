//! What a source contributes to epochs: rows from its thread, late ones taken out, and its watermark.
//!
//! A partition's watermark is the largest value that the declared expression has taken; the source's is the
//! smallest over its partitions, those included that have brought nothing yet. A partition idle for longer than the
//! declared time does not hold it back, and when all are idle it follows the wall clock. Rows that wait to be taken are
//! no idleness: it is measured on the reader's clock, up to the newest rows taken. When every partition has ended,
//! nothing can come any more and the watermark is [`Watermark::END`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use highwater_connectors::{Offset, PartitionId, SourceSpec};
use highwater_planner::catalog::Relation;
use highwater_types::{Delta, SourceWatermark, Watermark};

use super::late::{LateRecords, late_rows};
use super::progress::{Progress, SourceProgress};
use super::reader::{Failure, SourceEvent, SourceThread};
use super::source::{RowShape, SourceRows, split_late};
use super::status::{Activity, DeadRow, LateRow, PartitionStatus, SourceState, SourceSummary, push_kept};

/// A source that yields to others rests for so long after it has given some rows.
const YIELD_PAUSE: Duration = Duration::from_millis(400);

/// A source: its thread while it is read, and how far it has come.
pub(crate) struct SourceFeed {
    /// The source.
    pub relation: Arc<Relation>,
    /// How to connect to it.
    pub spec: SourceSpec,
    /// What makes rows of its records.
    pub shape: Arc<RowShape>,
    thread: Option<SourceThread>,
    partitions: BTreeMap<PartitionId, PartitionState>,
    watermark: Watermark,
    /// What has been read before is all taken.
    taken_until: Instant,
    all_idle_since: Option<(Instant, Watermark)>,
    /// Gives no rows before.
    rests_until: Option<Instant>,
    /// Records that came too late: a view made later must not see them either.
    late: LateRecords,
    /// What does not work, by partition; of the source as a whole under `None`.
    failures: BTreeMap<Option<PartitionId>, Failure>,
    row_count: u64,
    late_row_count: u64,
    dead_letter_count: u64,
    /// The newest of them since the last epoch, oldest first.
    new_late_rows: VecDeque<LateRow>,
    new_dead_letters: VecDeque<DeadRow>,
}

#[derive(Debug)]
struct PartitionState {
    next: Offset,
    end: Option<Offset>,
    watermark_us: Option<i64>,
    last_row: Instant,
    ended: bool,
    /// It has brought no row for longer than the declared time.
    is_idle: bool,
    /// Something has changed since it was last shown.
    is_news: bool,
}

impl SourceFeed {
    /// A source that is not read yet.
    pub(crate) fn new(relation: Arc<Relation>, spec: SourceSpec, shape: Arc<RowShape>) -> SourceFeed {
        SourceFeed {
            relation,
            spec,
            shape,
            thread: None,
            partitions: BTreeMap::new(),
            watermark: Watermark::NONE,
            taken_until: Instant::now(),
            all_idle_since: None,
            rests_until: None,
            late: LateRecords::default(),
            failures: BTreeMap::new(),
            row_count: 0,
            late_row_count: 0,
            dead_letter_count: 0,
            new_late_rows: VecDeque::new(),
            new_dead_letters: VecDeque::new(),
        }
    }

    /// Whether it is being read, or has been read to its end.
    pub(crate) fn is_running(&self) -> bool {
        self.thread.is_some()
    }

    /// Goes on with this thread.
    pub(crate) fn attach(&mut self, thread: SourceThread) {
        self.thread = Some(thread);
    }

    /// Stops reading, and forgets how far it has come.
    pub(crate) fn stop(&mut self) {
        *self = SourceFeed::new(Arc::clone(&self.relation), self.spec.clone(), Arc::clone(&self.shape));
    }

    /// Whether rows are waiting that may be taken.
    pub fn has_rows(&self) -> bool {
        self.thread.as_ref().is_some_and(SourceThread::has_events) && !self.rests()
    }

    /// Whether it brings rows as fast as they are taken, and has no pace of its own.
    pub fn is_at_full_speed(&self) -> bool {
        self.thread.as_ref().is_some_and(SourceThread::is_at_full_speed)
    }

    /// Gives no more rows for a while.
    pub fn rest(&mut self) {
        self.rests_until = Some(Instant::now() + YIELD_PAUSE);
    }

    fn rests(&self) -> bool {
        self.rests_until.is_some_and(|until| Instant::now() < until)
    }

    /// Where each partition is: everything before has been applied.
    pub(crate) fn positions(&self) -> BTreeMap<PartitionId, Offset> {
        self.partitions
            .iter()
            .map(|(partition, state)| (partition.clone(), state.next))
            .collect()
    }

    /// The records that came too late.
    pub fn late(&self) -> &LateRecords {
        &self.late
    }

    /// The watermark in force.
    pub(crate) fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// Takes up to `room` rows for an epoch, and says how the watermark moves with it.
    pub fn take_rows(&mut self, room: &mut usize, deltas: &mut Vec<Delta>, progress: &mut Progress) -> SourceWatermark {
        let before = self.watermark;
        let mut changed = false;
        let rests = self.rests();
        while *room > 0
            && !rests
            && let Some(event) = self.thread.as_ref().and_then(SourceThread::next_event)
        {
            changed = true;
            match event {
                SourceEvent::Found(partitions) => partitions.iter().for_each(|p| {
                    self.partition(p);
                }),
                SourceEvent::Rows(rows) => {
                    *room = room.saturating_sub((rows.batch.num_rows() + rows.dead.len()).max(1));
                    self.take_batch(rows, before, deltas);
                }
                SourceEvent::Ended(partition) => self.partition(&partition).end_here(),
                SourceEvent::Failed(failure) => self.fail(failure),
                SourceEvent::Recovered(partition) => {
                    tracing::info!(source = %self.relation.name, ?partition, "a source works again");
                    self.failures.remove(&partition);
                }
            }
        }
        if !self.thread.as_ref().is_some_and(SourceThread::has_events) {
            self.taken_until = Instant::now();
        }
        changed |= self.note_idle();
        self.watermark = before.max(self.next_watermark());
        if changed || self.watermark != before {
            progress.sources.push(self.news());
            progress.late_rows.extend(self.new_late_rows.drain(..));
            progress.dead_letters.extend(self.new_dead_letters.drain(..));
        }
        SourceWatermark {
            relation: self.relation.id,
            before,
            after: self.watermark,
        }
    }

    fn fail(&mut self, failure: Failure) {
        let source = &self.relation.name;
        match (&failure.partition, failure.is_final) {
            (partition, true) => tracing::error!(%source, ?partition, error = %failure.error, "a source has failed"),
            (partition, false) => {
                tracing::warn!(%source, ?partition, error = %failure.error, "a source fails and is tried again");
            }
        }
        self.failures.insert(failure.partition.clone(), failure);
    }

    fn take_batch(&mut self, rows: SourceRows, before: Watermark, deltas: &mut Vec<Delta>) {
        let state = self.partition(&rows.partition);
        state.next = rows.next;
        state.end = rows.end;
        state.last_row = rows.read_at;
        state.watermark_us = state.watermark_us.max(rows.watermark_us);
        self.taken_until = rows.read_at;
        let source = self.relation.id;
        self.dead_letter_count += rows.dead.len() as u64;
        for letter in &rows.dead {
            let row = DeadRow {
                source,
                partition: letter.partition.to_string(),
                offset: letter.offset.0,
                error: letter.reason.clone(),
                payload: letter.payload.clone(),
            };
            push_kept(&mut self.new_dead_letters, row);
        }
        let has_late = before != Watermark::NONE && rows.earliest_us.is_some_and(|time| !before.admits(time));
        let batch = match self.shape.time_column().filter(|_| has_late) {
            None => rows.batch,
            Some(column) => self.without_late(&rows, column, before),
        };
        self.row_count += batch.num_rows() as u64;
        if batch.num_rows() > 0 {
            deltas.push(Delta::insert(batch));
        }
    }

    fn without_late(&mut self, rows: &SourceRows, column: usize, before: Watermark) -> RecordBatch {
        let (in_time, late) = split_late(&rows.batch, column, before.0);
        self.late
            .add(&rows.partition, late.iter().map(|row| rows.offsets[*row]));
        self.late_row_count += late.len() as u64;
        for row in late_rows(self.relation.id, &rows.batch, &late, column, before) {
            push_kept(&mut self.new_late_rows, row);
        }
        arrow::compute::filter_record_batch(&rows.batch, &in_time).expect("the mask has an entry for each row")
    }

    fn partition(&mut self, partition: &PartitionId) -> &mut PartitionState {
        let state = self
            .partitions
            .entry(partition.clone())
            .or_insert_with(|| PartitionState {
                next: Offset::default(),
                end: None,
                watermark_us: None,
                last_row: Instant::now(),
                ended: false,
                is_idle: false,
                is_news: true,
            });
        state.is_news = true;
        state
    }

    /// Notes which partitions are idle; answers whether they are others than before.
    fn note_idle(&mut self) -> bool {
        let declared = self.relation.watermark.as_ref();
        let Some(timeout_us) = declared.and_then(|watermark| watermark.idle_timeout_us) else {
            return false;
        };
        let timeout = Duration::from_micros(timeout_us.unsigned_abs());
        let mut changed = false;
        for partition in self.partitions.values_mut() {
            let is_idle = self.taken_until.duration_since(partition.last_row) > timeout;
            if is_idle != partition.is_idle {
                partition.is_idle = is_idle;
                partition.is_news = true;
                changed = true;
            }
        }
        changed
    }

    fn next_watermark(&mut self) -> Watermark {
        if self.relation.watermark.is_none() || self.partitions.is_empty() {
            return Watermark::NONE;
        }
        if self.has_ended() {
            return Watermark::END;
        }
        let now = Instant::now();
        let active: Vec<&PartitionState> = self.partitions.values().filter(|p| !p.ended && !p.is_idle).collect();
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

    /// Whether there can be no more rows. A source is told its partitions before their rows, so none is missing.
    fn has_ended(&self) -> bool {
        !self.partitions.is_empty() && self.partitions.values().all(|p| p.ended) && self.failures.is_empty()
    }

    fn state(&self) -> SourceState {
        if self.thread.is_none() {
            return SourceState::Unread;
        }
        match self.failures.values().map(|failure| failure.is_final).max() {
            Some(true) => SourceState::Failed,
            Some(false) => SourceState::Retrying,
            None if self.has_ended() => SourceState::Done,
            None => SourceState::Running,
        }
    }

    /// What has changed since it was last asked.
    fn news(&mut self) -> SourceProgress {
        let changed = self.partitions.iter_mut().filter(|(_, state)| state.is_news);
        let partitions = changed.map(|(partition, state)| {
            state.is_news = false;
            (partition.clone(), state.status())
        });
        let partitions = partitions.collect();
        let errors = self.failures.values();
        SourceProgress {
            source: self.relation.id,
            summary: SourceSummary {
                state: self.state(),
                row_count: self.row_count,
                late_row_count: self.late_row_count,
                dead_letter_count: self.dead_letter_count,
                watermark: self.watermark,
                error: errors.max_by_key(|f| f.is_final).map(|f| f.error.message.clone()),
            },
            partitions,
        }
    }
}

impl PartitionState {
    fn end_here(&mut self) {
        self.ended = true;
        self.end = Some(self.next);
    }

    fn status(&self) -> PartitionStatus {
        PartitionStatus {
            position: self.next.0,
            end: self.end.map(|end| end.0.max(self.next.0)),
            watermark: self.watermark_us.map_or(Watermark::NONE, Watermark),
            activity: match (self.ended, self.is_idle) {
                (true, _) => Activity::Ended,
                (false, true) => Activity::Idle,
                (false, false) => Activity::Active,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use highwater_planner::catalog::{RelationKind, WatermarkDecl};
    use highwater_types::RelationId;

    use super::*;

    /// Its partitions count as idle at once.
    fn feed(events: Vec<SourceEvent>) -> SourceFeed {
        let relation = Arc::new(Relation {
            id: RelationId(1),
            schema: "public".to_string(),
            name: "s".to_string(),
            kind: RelationKind::Table { primary_key_name: None },
            columns: Vec::new(),
            key: None,
            watermark: Some(WatermarkDecl {
                column: 0,
                expression: "at".to_string(),
                idle_timeout_us: Some(1),
            }),
            append_only: true,
            depends_on: Vec::new(),
            definition: String::new(),
            comment: None,
        });
        let shape = Arc::new(RowShape::new(&relation, None, None));
        let mut feed = SourceFeed::new(relation, SourceSpec::default(), shape);
        feed.attach(SourceThread::with_events(events));
        feed
    }

    fn rows(partition: &str, watermark_us: i64, read_at: Instant) -> SourceEvent {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        SourceEvent::Rows(SourceRows {
            partition: PartitionId::new(partition),
            batch: RecordBatch::try_from_iter([("a", values)]).expect("one column"),
            offsets: vec![Offset(0)],
            next: Offset(1),
            end: None,
            watermark_us: Some(watermark_us),
            earliest_us: None,
            read_at,
            dead: Vec::new(),
        })
    }

    #[test]
    fn a_partition_whose_rows_wait_is_not_idle() {
        let read_at = Instant::now();
        let found = ["a", "b"].map(PartitionId::new).to_vec();
        let mut feed = feed(vec![
            SourceEvent::Found(found),
            rows("a", 100, read_at),
            rows("b", 10, read_at),
            rows("a", 200, read_at),
            rows("b", 20, read_at),
            rows("b", 30, read_at),
        ]);
        let mut take = || {
            let mark = feed.take_rows(&mut 1, &mut Vec::new(), &mut Progress::default());
            mark.after
        };
        assert_eq!(take(), Watermark::NONE, "nothing has come of b");
        assert_eq!(take(), Watermark(10));
        assert_eq!(take(), Watermark(10));
        assert_eq!(take(), Watermark(20));
    }

    #[test]
    fn a_feed_that_rests_is_not_idle() {
        let read_at = Instant::now();
        let mut feed = feed(vec![
            rows("a", 10, read_at),
            rows("b", 20, read_at),
            rows("a", 30, read_at),
        ]);
        let take = |feed: &mut SourceFeed| {
            let mark = feed.take_rows(&mut 2, &mut Vec::new(), &mut Progress::default());
            mark.after
        };
        assert_eq!(take(&mut feed), Watermark(10));
        feed.rest();
        assert_eq!(take(&mut feed), Watermark(10));
    }
}
