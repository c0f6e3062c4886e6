//! The history of a new view: the rows its inputs had at the epoch it was created at. It is read on a thread of
//! its own, at its own pace; live changes wait in the dataflow's queue meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use highwater_connectors::{Offset, PartitionId, ReadStep, SourceSpec};
use highwater_executor::{Collection, RuntimeHandle};
use highwater_types::{Delta, Epoch, RelationId, SqlError, SqlState};
use tokio::sync::watch;

use super::holds::EpochHold;
use super::late::LateRecords;
use super::source::RowShape;

/// Rows asked from a partition at a time.
const READ_ROWS: usize = 8192;
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

impl Replay<'_> {
    /// Reads every partition up to where the shared reader was.
    fn run(&self, spec: &SourceSpec, until: BTreeMap<PartitionId, Offset>) -> Result<(), SqlError> {
        let connector = highwater_connectors::connect(spec)?;
        for (partition, until) in until.into_iter().filter(|(_, until)| *until > Offset::default()) {
            let mut reader = connector.open(&partition, Offset::default(), Some(until))?;
            let mut idle_since = Instant::now();
            loop {
                let read = match reader.read(READ_ROWS)? {
                    ReadStep::End => break,
                    ReadStep::Idle if !self.runtime.takes_history(self.view) => return Ok(()),
                    ReadStep::Idle if idle_since.elapsed() > IDLE_LIMIT => return Err(cut_short(&partition, until)),
                    ReadStep::Idle => {
                        std::thread::sleep(IDLE_WAIT);
                        continue;
                    }
                    ReadStep::Rows(read) => read,
                };
                idle_since = Instant::now();
                let rows = self.shape.shape(&partition, read, None)?;
                let mut delta = Delta::insert(rows.batch);
                if let Some(in_time) = self.late.in_time(&partition, &rows.offsets) {
                    delta = delta.filter(&in_time).map_err(highwater_executor::ExecError::from)?;
                }
                if !self.runtime.history(self.view, self.input, delta) {
                    // The view is gone; nobody waits for the rest.
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A partition does not reach any more to where it has been read before.
fn cut_short(partition: &PartitionId, until: Offset) -> SqlError {
    let message = format!("partition \"{partition}\" does not reach offset {} any more", until.0);
    SqlError::new(SqlState::IO_ERROR, message).with_hint("What has been read from a source must stay there.")
}
