//! The history of a new view: the rows its inputs had at the epoch it was created at. It is read on threads of
//! its own, at its own pace; live changes wait in the dataflow's queue meanwhile.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use highwater_connectors::{Connector, Offset, PartitionId, PartitionReader, ReadStep, SourceSpec};
use highwater_executor::{Collection, RuntimeHandle};
use highwater_types::{Delta, Epoch, RelationId, SqlError, SqlState};
use tokio::sync::watch;

use super::holds::EpochHold;
use super::late::LateRecords;
use super::source::RowShape;

/// Rows asked from a partition at a time.
const READ_ROWS: usize = 8192;
/// A partition is not taken apart into stretches of fewer offsets.
const PART_OFFSETS_MIN: u64 = 64 * 1024;
/// How long a partition that has nothing for now is left alone, and for how long in all: what was read once should be
/// there.
const IDLE_WAIT: Duration = Duration::from_millis(5);
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// Everything a view's history is read from.
pub(crate) struct Backfill {
    /// The view.
    pub view: RelationId,
    /// The epoch it was created at, held so that its rows are not merged away before they are read.
    pub at: EpochHold,
    /// Where each input's history comes from.
    pub inputs: Vec<(RelationId, History)>,
}

/// Where one input's history comes from.
pub(crate) enum History {
    /// The stored rows of a table or view at the creation epoch.
    Stored(Arc<Collection>),
    /// A source's records from its start up to where its shared reader was.
    Replayed {
        /// What a second reader connects to.
        spec: SourceSpec,
        /// What makes rows of records.
        shape: Arc<RowShape>,
        /// Up to where, per partition.
        until: BTreeMap<PartitionId, Offset>,
        /// Records that came too late the first time.
        late: LateRecords,
    },
    /// None: the input starts with this view.
    Nothing,
}

impl Backfill {
    /// Reads all history and gives it to the dataflow; `failed` is told when an input cannot be read.
    pub(crate) fn start(
        self,
        runtime: RuntimeHandle,
        closed: watch::Receiver<Epoch>,
        failed: impl FnOnce(SqlError) + Send + 'static,
    ) -> Result<(), std::io::Error> {
        let name = format!("history of {}", self.view);
        std::thread::Builder::new().name(name).spawn(move || {
            if let Err(error) = self.run(&runtime, closed) {
                failed(error);
            }
        })?;
        Ok(())
    }

    fn run(mut self, runtime: &RuntimeHandle, mut closed: watch::Receiver<Epoch>) -> Result<(), SqlError> {
        let at = self.at.epoch();
        // Stored rows come first: once they are read, nothing has to be kept for it.
        self.inputs
            .sort_by_key(|(_, history)| !matches!(history, History::Stored(_)));
        let mut hold = Some(self.at);
        // An error means that the server is stopping, and nobody waits for this view any more.
        if block_on(closed.wait_for(|epoch| *epoch >= at)).is_err() {
            return Ok(());
        }
        for (input, history) in self.inputs {
            match history {
                History::Nothing => {}
                History::Stored(collection) => {
                    for batch in collection.rows(at, None)? {
                        if !runtime.history(self.view, input, Delta::insert(batch)) {
                            return Ok(());
                        }
                    }
                    runtime.history_faults(self.view, input, collection.faults_at(at));
                }
                History::Replayed {
                    spec,
                    shape,
                    until,
                    late,
                } => {
                    hold = None;
                    let replay = Replay {
                        runtime,
                        view: self.view,
                        input,
                        shape: &shape,
                        late: &late,
                    };
                    replay.run(&spec, until)?;
                }
            }
            runtime.history_done(self.view, input);
        }
        drop(hold);
        Ok(())
    }
}

/// The second reading of a source, for one view.
struct Replay<'a> {
    runtime: &'a RuntimeHandle,
    view: RelationId,
    input: RelationId,
    shape: &'a RowShape,
    late: &'a LateRecords,
}

/// A stretch of a partition.
struct Stretch {
    partition: PartitionId,
    from: Offset,
    until: Offset,
}

/// What is still to be read, and where it is opened.
struct Ahead {
    connector: Box<dyn Connector>,
    stretches: std::vec::IntoIter<Stretch>,
}

/// A stretch being read.
struct Opened {
    stretch: Stretch,
    reader: Box<dyn PartitionReader>,
}

impl Ahead {
    fn open_next(&mut self) -> Result<Option<Opened>, SqlError> {
        let Some(stretch) = self.stretches.next() else {
            return Ok(None);
        };
        let reader = self
            .connector
            .open(&stretch.partition, stretch.from, Some(stretch.until))?;
        Ok(Some(Opened { stretch, reader }))
    }
}

impl Replay<'_> {
    /// Reads every partition up to where the shared reader was, on as many threads as the machine runs at a time: the
    /// workers wait for rows meanwhile.
    fn run(&self, spec: &SourceSpec, until: BTreeMap<PartitionId, Offset>) -> Result<(), SqlError> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let connector = highwater_connectors::connect(spec)?;
        let parts = if connector.starts_anywhere() { threads as u64 } else { 1 };
        let stretches: Vec<Stretch> = until
            .iter()
            .flat_map(|(partition, until)| stretches_of(partition, *until, parts))
            .collect();
        let threads = threads.min(stretches.len());
        let ahead = Mutex::new(Ahead {
            connector,
            stretches: stretches.into_iter(),
        });
        let has_failed = AtomicBool::new(false);
        let read = || {
            let done = self.read_from(&ahead, &has_failed);
            has_failed.fetch_or(done.is_err(), Ordering::Relaxed);
            done
        };
        std::thread::scope(|scope| {
            let readers: Vec<_> = (1..threads).map(|_| scope.spawn(read)).collect();
            // A panic is told as any failure is; it has been reported.
            let own = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(reader_panicked()));
            readers.into_iter().fold(own, |done, reader| {
                let other = reader.join().unwrap_or_else(|_| Err(reader_panicked()));
                done.and(other)
            })
        })
    }

    /// Reads one stretch after the other, until there is none or nobody waits for them.
    fn read_from(&self, ahead: &Mutex<Ahead>, has_failed: &AtomicBool) -> Result<(), SqlError> {
        while !has_failed.load(Ordering::Relaxed) && self.runtime.takes_history(self.view) {
            let next = ahead.lock().unwrap_or_else(PoisonError::into_inner).open_next()?;
            let Some(opened) = next else { break };
            self.read(opened, has_failed)?;
        }
        Ok(())
    }

    fn read(&self, opened: Opened, has_failed: &AtomicBool) -> Result<(), SqlError> {
        let Opened { stretch, mut reader } = opened;
        let partition = &stretch.partition;
        let mut idle_since = Instant::now();
        while !has_failed.load(Ordering::Relaxed) {
            let read = match reader.read(READ_ROWS)? {
                ReadStep::End => return Ok(()),
                ReadStep::Idle if !self.runtime.takes_history(self.view) => return Ok(()),
                ReadStep::Idle if idle_since.elapsed() > IDLE_LIMIT => return Err(cut_short(partition, stretch.until)),
                ReadStep::Idle => {
                    std::thread::sleep(IDLE_WAIT);
                    continue;
                }
                ReadStep::Rows(read) => read,
            };
            idle_since = Instant::now();
            let rows = self.shape.shape(partition, read, None)?;
            let mut delta = Delta::insert(rows.batch);
            if let Some(in_time) = self.late.in_time(partition, &rows.offsets) {
                delta = delta.filter(&in_time).map_err(highwater_executor::ExecError::from)?;
            }
            if !self.runtime.history(self.view, self.input, delta) {
                // The view is gone; nobody waits for the rest.
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What is before an offset of a partition, in about so many parts.
fn stretches_of(partition: &PartitionId, until: Offset, parts: u64) -> Vec<Stretch> {
    let parts = parts.min(until.0 / PART_OFFSETS_MIN).max(1);
    let place = |part: u64| Offset((u128::from(until.0) * u128::from(part) / u128::from(parts)) as u64);
    let stretches = (0..parts).map(|part| Stretch {
        partition: partition.clone(),
        from: place(part),
        until: place(part + 1),
    });
    stretches.filter(|stretch| stretch.from < stretch.until).collect()
}

/// The panic itself has been reported.
fn reader_panicked() -> SqlError {
    SqlError::new(
        SqlState::INTERNAL_ERROR,
        "a reader of the source's history has panicked",
    )
}

/// A partition does not reach any more to where it has been read before.
fn cut_short(partition: &PartitionId, until: Offset) -> SqlError {
    let message = format!("partition \"{partition}\" does not reach offset {} any more", until.0);
    SqlError::new(SqlState::IO_ERROR, message).with_hint("What has been read from a source must stay there.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_follow_each_other_up_to_the_end() {
        let partition = PartitionId::new("p");
        for (until, parts, count) in [(0, 4, 0), (1, 4, 1), (PART_OFFSETS_MIN * 3 - 1, 4, 2), (u64::MAX, 3, 3)] {
            let stretches = stretches_of(&partition, Offset(until), parts);
            assert_eq!(stretches.len(), count, "{until} in {parts}");
            let mut next = Offset::default();
            for stretch in &stretches {
                assert_eq!(stretch.from, next);
                next = stretch.until;
            }
            assert_eq!(next, Offset(until));
        }
    }
}
