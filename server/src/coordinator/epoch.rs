//! From commits to epochs. A commit joins the epoch that is opening; when the log is free, that epoch is sealed and
//! logged, and the next one opens; when it is durable it is handed to the workers, with what the sources have.
//!
//! ```text
//! Commit ──► opening ──► sealed: being logged ──► durable ──► in flight on the workers ──► closed
//! ```
//!
//! So commits are given their order, and locks go, while the device is busy with those before them. An epoch that
//! cannot be made durable is taken back, and with it the one that opened after it, which may have built on it.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use highwater_storage::WalEntry;
use highwater_types::{Delta, Epoch, RelationId, SourceWatermark, SqlError, SqlState, Tick};
use tokio::sync::oneshot;

use super::core::{Core, View, epoch_us};
use super::late::late_rows;
use super::pace::Shares;
use super::progress::Progress;
use super::table::{Accepted, TableState};
use super::{MAX_IN_FLIGHT, ReadSet, Writes};

/// A source that yields to others gives so many rows, and the next a while later.
const YIELDED_ROWS: usize = 8 * 1024;

/// Whoever waits for an epoch to be closed.
pub(super) type Waiter = oneshot::Sender<Result<Epoch, SqlError>>;

/// Writes that have their place in the order, and more may join them.
#[derive(Default)]
pub(super) struct Opening {
    /// Given with the first commit.
    epoch: Epoch,
    writes: Writes,
    pub(super) waiters: Vec<Waiter>,
}

/// Writes that are on their way into the log.
pub(super) struct Sealed {
    epoch: Epoch,
    writes: Writes,
    waiters: Vec<Waiter>,
    /// The watermarks of tables, moved by the writes.
    marks: Vec<SourceWatermark>,
    is_durable: bool,
}

/// An epoch that the workers are computing.
pub(super) struct InFlight {
    pub(super) epoch: Epoch,
    pub(super) cut_at: Instant,
    pub(super) taken: Taken,
    /// What can be seen of it once it is closed.
    pub(super) progress: Progress,
    pub(super) waiters: Vec<Waiter>,
}

/// What an epoch has taken from the sources.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) rows: usize,
    /// A source had more than its share.
    pub(super) is_full: bool,
}

impl Core {
    /// Whether an epoch can be moved on without waiting for anybody.
    pub(super) fn can_advance(&self) -> bool {
        let has_room = self.in_flight.len() < MAX_IN_FLIGHT;
        match &self.sealed {
            Some(sealed) => sealed.is_durable && has_room,
            None => has_room && (self.has_source_rows() || self.is_clock_due),
        }
    }

    /// Whether all commits so far are in the hands of the workers.
    pub(super) fn is_through(&self) -> bool {
        self.sealed.is_none() && self.opening.waiters.is_empty()
    }

    /// Moves epochs on as far as they go.
    pub(super) fn advance(&mut self) {
        self.seal();
        if self.in_flight.len() < MAX_IN_FLIGHT {
            match self.sealed.take_if(|sealed| sealed.is_durable) {
                Some(sealed) => self.tick(sealed),
                None if self.sealed.is_none() => self.tick_sources(),
                None => {}
            }
        }
        self.seal();
    }

    /// Applies a transaction's writes to its tables, so that the next one sees them, or refuses them. They are all
    /// checked before any is applied: who reads the newest rows never reads what is refused.
    pub(super) fn sequence(&mut self, writes: &Writes, reads: Option<&ReadSet>) -> Result<(), SqlError> {
        if self.opening.waiters.is_empty() {
            self.opening.epoch = self.next_epoch();
        }
        if let Some(reads) = reads {
            self.check_unread(reads)?;
        }
        let mut accepted = Vec::with_capacity(writes.len());
        for (relation, delta) in writes {
            accepted.push((*relation, self.table(*relation)?.check(delta)?));
        }
        let before = self.opening.writes.len();
        let mut pairs = writes.iter().zip(accepted);
        let applied = pairs.try_for_each(|((_, delta), (relation, accepted))| self.apply(relation, delta, accepted));
        if applied.is_err() {
            let refused = self.opening.writes.split_off(before);
            self.undo(self.opening.epoch, &refused);
        }
        applied
    }

    /// Applies accepted changes, and notes which rows of those written came too late.
    fn apply(&mut self, relation: RelationId, written: &Delta, mut accepted: Accepted) -> Result<(), SqlError> {
        let epoch = self.opening.epoch;
        let late = std::mem::take(&mut accepted.late);
        let delta = self.table(relation)?.apply(epoch, accepted)?;
        self.note_late(relation, written, &late);
        if !delta.is_empty() {
            self.opening.writes.push((relation, delta));
        }
        Ok(())
    }

    /// Has somebody told when all commits that have their place in the order are closed, or have been taken back.
    pub(super) fn wait_for_commits(&mut self, waiter: Waiter) {
        match (&mut self.sealed, self.in_flight.back_mut()) {
            _ if !self.opening.waiters.is_empty() => self.opening.waiters.push(waiter),
            (Some(sealed), _) => sealed.waiters.push(waiter),
            (None, Some(newest)) => newest.waiters.push(waiter),
            // Who asked may be gone.
            (None, None) => drop(waiter.send(Ok(self.last_cut))),
        }
    }

    /// What a serializable transaction has read must not have changed since.
    fn check_unread(&self, reads: &ReadSet) -> Result<(), SqlError> {
        let has_changed = |id: &RelationId| self.tables.get(id).is_some_and(|table| table.changed_at() > reads.at);
        if reads.tables.iter().any(has_changed) {
            return Err(SqlError::new(
                SqlState::SERIALIZATION_FAILURE,
                "could not serialize access due to read/write dependencies among transactions",
            )
            .with_hint("The transaction might succeed if retried."));
        }
        Ok(())
    }

    /// What became of the sealed epoch's writes in the log.
    pub(super) fn on_logged(&mut self, logged: Result<(), SqlError>) {
        match (logged, &mut self.sealed) {
            (Ok(()), Some(sealed)) => {
                sealed.is_durable = true;
                for (relation, _) in &sealed.writes {
                    if let Some(table) = self.tables.get_mut(relation) {
                        table.note_durable(sealed.epoch);
                    }
                }
            }
            (Err(error), _) => self.take_back(&error),
            (Ok(()), None) => debug_assert!(false, "only a sealed epoch is logged"),
        }
    }

    /// Hands the opening epoch to the log, if the one before is through.
    fn seal(&mut self) {
        if self.sealed.is_some() || self.opening.waiters.is_empty() {
            return;
        }
        let Opening { epoch, writes, waiters } = std::mem::take(&mut self.opening);
        for (relation, delta) in &writes {
            self.advance_table(*relation, delta);
        }
        let entries: Vec<WalEntry> = writes
            .iter()
            .map(|(relation, delta)| WalEntry {
                relation: *relation,
                delta: delta.clone(),
            })
            .collect();
        let is_durable = entries.is_empty();
        if !is_durable {
            self.log.append(epoch, entries);
        }
        self.sealed = Some(Sealed {
            epoch,
            writes,
            waiters,
            marks: self.table_marks(),
            is_durable,
        });
    }

    /// Hands a durable epoch to the workers.
    fn tick(&mut self, sealed: Sealed) {
        let mut inputs: BTreeMap<RelationId, Vec<Delta>> = BTreeMap::new();
        for (relation, delta) in sealed.writes {
            inputs.entry(relation).or_default().push(delta);
        }
        let mut marks = sealed.marks;
        let taken = self.take_source_rows(&mut inputs, &mut marks);
        self.start_epoch(sealed.epoch, inputs, marks, taken, sealed.waiters);
    }

    /// Hands what the sources have to the workers, if they have anything.
    fn tick_sources(&mut self) {
        let mut inputs = BTreeMap::new();
        let mut marks = Vec::new();
        let taken = self.take_source_rows(&mut inputs, &mut marks);
        let has_moved = marks.iter().any(|mark| mark.before != mark.after);
        let is_clock_due = std::mem::take(&mut self.is_clock_due);
        if taken.rows > 0 || has_moved || is_clock_due || !self.progress.is_empty() {
            marks.extend(self.table_marks());
            let epoch = self.next_epoch();
            self.start_epoch(epoch, inputs, marks, taken, Vec::new());
        }
    }

    fn start_epoch(
        &mut self,
        epoch: Epoch,
        inputs: BTreeMap<RelationId, Vec<Delta>>,
        marks: Vec<SourceWatermark>,
        taken: Taken,
        waiters: Vec<Waiter>,
    ) {
        let tick = Tick::new(epoch, epoch_us(epoch)).with_watermarks(marks);
        self.last_cut = epoch;
        self.status.update(|s| s.cut = epoch);
        self.in_flight.push_back(InFlight {
            epoch,
            cut_at: Instant::now(),
            taken,
            progress: std::mem::take(&mut self.progress),
            waiters,
        });
        self.runtime.tick(tick, inputs.into_iter().collect());
    }

    /// Adds the sources' rows and watermarks.
    fn take_source_rows(
        &mut self,
        inputs: &mut BTreeMap<RelationId, Vec<Delta>>,
        marks: &mut Vec<SourceWatermark>,
    ) -> Taken {
        let busy = self.sources.values().filter(|feed| feed.has_rows()).count();
        let mut shares = Shares::new(self.pace.rows(), busy);
        let mut taken = Taken::default();
        for (id, feed) in &mut self.sources {
            let mut deltas = Vec::new();
            let share = shares.next(feed.has_rows());
            // Views made one after the other on a source at full speed would each have twice as much to catch up with;
            // and what comes meanwhile waits in memory.
            let yields = feed.is_at_full_speed() && is_awaited(&self.views, *id);
            let share = match yields {
                true => {
                    self.pace.begin_again();
                    YIELDED_ROWS
                }
                false => share,
            };
            let mut left = share;
            let mark = feed.take_rows(&mut left, &mut deltas, &mut self.progress);
            match (yields, left) {
                (true, 0) => feed.rest(),
                (false, 0) => taken.is_full = true,
                (_, _) => {}
            }
            shares.use_up(share - left);
            taken.rows += deltas.iter().map(Delta::num_rows).sum::<usize>();
            marks.push(mark);
            if !deltas.is_empty() {
                inputs.entry(*id).or_default().extend(deltas);
            }
        }
        taken
    }

    /// A table that takes writes.
    pub(super) fn table(&mut self, relation: RelationId) -> Result<&mut TableState, SqlError> {
        self.tables.get_mut(&relation).ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("the table with OID {relation} was dropped meanwhile"),
            )
        })
    }

    /// Counts and keeps the late rows of a write.
    fn note_late(&mut self, relation: RelationId, delta: &Delta, rows: &[usize]) {
        if rows.is_empty() {
            return;
        }
        let Some(table) = self.tables.get_mut(&relation) else {
            return;
        };
        if let Some((column, watermark)) = table.lateness() {
            table.count_late(rows.len());
            self.progress.sources.extend(table.progress());
            self.progress
                .late_rows
                .extend(late_rows(relation, delta.batch(), rows, column, watermark));
        }
    }

    fn undo(&self, epoch: Epoch, applied: &Writes) {
        for (relation, delta) in applied.iter().rev() {
            if let Some(table) = self.tables.get(relation)
                && let Err(error) = table.take_back(epoch, delta)
            {
                tracing::error!(%relation, %error, "a write that is not durable could not be taken back");
            }
        }
    }

    /// The log could not be written: nothing that has been sequenced and is not durable has happened.
    fn take_back(&mut self, error: &SqlError) {
        tracing::error!(%error, "the log could not be written; the writes that waited for it are refused");
        let opening = std::mem::take(&mut self.opening);
        // Epochs never decrease within a table: all is taken back at the newest, before anybody could read any of it.
        self.undo(self.newest, &opening.writes);
        let mut waiters = opening.waiters;
        if let Some(sealed) = self.sealed.take() {
            self.undo(self.newest, &sealed.writes);
            for mark in sealed.marks {
                if let Some(table) = self.tables.get_mut(&mark.relation) {
                    table.take_back_watermark(mark.before);
                }
            }
            waiters.extend(sealed.waiters);
        }
        self.tables.values_mut().for_each(TableState::forget_undurable_change);
        for waiter in waiters {
            waiter.send(Err(error.clone())).ok();
        }
    }

    fn advance_table(&mut self, relation: RelationId, delta: &Delta) {
        if let Some(table) = self.tables.get_mut(&relation)
            && let Err(error) = table.advance(delta)
        {
            tracing::warn!(%relation, %error, "the watermark could not be computed");
        }
    }

    /// The watermarks of tables, in force from now on.
    fn table_marks(&mut self) -> Vec<SourceWatermark> {
        let marks = self.tables.iter_mut().filter_map(|(id, table)| {
            let (before, after) = table.tick_watermark()?;
            if before != after {
                self.progress.sources.extend(table.progress());
            }
            Some(SourceWatermark {
                relation: *id,
                before,
                after,
            })
        });
        marks.collect()
    }
}

/// Whether a view is catching up with a relation.
fn is_awaited(views: &HashMap<RelationId, View>, input: RelationId) -> bool {
    views
        .values()
        .any(|view| view.waiting.is_some() && view.inputs.contains(&input))
}
