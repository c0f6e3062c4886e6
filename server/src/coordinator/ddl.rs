//! What changes which relations exist: tables that take writes, sources that are read while a view reads them,
//! views and their history.

use std::collections::HashMap;
use std::sync::Arc;

use highwater_executor::{Collection, DataflowSpec};
use highwater_planner::ViewPlan;
use highwater_planner::catalog::Relation;
use highwater_types::{RelationId, SourceWatermark, SqlError, SqlState, Tick, Watermark};
use tokio::sync::oneshot;

use super::backfill::{Backfill, History};
use super::core::{Core, View, epoch_us};
use super::feed::SourceFeed;
use super::reader::SourceThread;
use super::status::{ViewState, ViewStatus};
use super::table::TableState;
use super::{Command, Coordinator, Publish};

type Reply = oneshot::Sender<Result<(), SqlError>>;

impl Core {
    /// Does what a command other than a commit says.
    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Commit { .. } | Command::SourceReady => {}
            Command::CreateTable {
                relation,
                collection,
                watermark,
                done,
            } => {
                let id = relation.id;
                let mut table = TableState::new(relation, collection, watermark);
                let made = table.restore_watermark();
                if made.is_ok() {
                    self.add_table(id, table);
                }
                done.send(made).ok();
            }
            Command::ReplaceTable {
                relation,
                collection,
                watermark,
                publish,
                done,
            } => {
                let id = relation.id;
                let table = TableState::new(relation, collection, watermark);
                done.send(self.replace_table(id, table, publish)).ok();
            }
            Command::CreateSource {
                relation,
                spec,
                shape,
                done,
            } => {
                self.status.update(|s| {
                    s.sources.insert(relation.id, Default::default());
                });
                self.sources.insert(relation.id, SourceFeed::new(relation, spec, shape));
                done.send(Ok(())).ok();
            }
            Command::CreateView {
                relation,
                plan,
                collection,
                done,
            } => {
                self.create_view(&relation, &plan, collection, done);
            }
            Command::Rename { relations, done } => {
                relations.into_iter().for_each(|relation| self.rename(relation));
                done.send(Ok(())).ok();
            }
            Command::Drop { relations, done } => {
                relations.into_iter().for_each(|id| self.drop_relation(id));
                done.send(Ok(())).ok();
            }
            Command::ViewFailed { view, error } => self.finish_view(view, ViewState::Failed(error)),
            Command::Stop { done } => self.begin_stop(done),
        }
    }

    fn add_table(&mut self, id: RelationId, table: TableState) {
        self.progress.sources.extend(table.progress());
        self.status.update(|s| {
            s.sources.entry(id).or_default();
        });
        self.tables.insert(id, table);
    }

    fn replace_table(&mut self, id: RelationId, mut table: TableState, publish: Publish) -> Result<(), SqlError> {
        table.take_over(self.table(id)?)?;
        publish()?;
        self.add_table(id, table);
        Ok(())
    }

    fn rename(&mut self, relation: Arc<Relation>) {
        if let Some(table) = self.tables.get_mut(&relation.id) {
            table.rename(relation);
        } else if let Some(feed) = self.sources.get_mut(&relation.id) {
            feed.relation = relation;
        }
    }

    fn create_view(&mut self, relation: &Arc<Relation>, plan: &ViewPlan, collection: Arc<Collection>, done: Reply) {
        let view = relation.id;
        let inputs = match self.histories(&plan.stream.inputs) {
            Ok(inputs) => inputs,
            Err(error) => {
                // Nothing has been made but readers of sources; a session that is gone needs no answer.
                self.rest_unread_sources(&plan.stream.inputs);
                done.send(Err(error)).ok();
                return;
            }
        };
        let at = self.last_cut;
        // It begins here: who reads at an older epoch must not take it for empty.
        collection.retain_from(at);
        self.runtime.create(DataflowSpec {
            view,
            plan: plan.stream.clone(),
            output: Arc::clone(&collection),
            at,
            tick: Tick::new(at, epoch_us(at)).with_watermarks(self.watermarks_so_far()),
            time_zone: relation.settings().time_zone,
        });
        self.status.update(|s| {
            s.views.insert(
                view,
                ViewStatus {
                    state: ViewState::CatchingUp,
                },
            );
        });
        self.views.insert(
            view,
            View {
                collection,
                inputs: plan.stream.inputs.clone(),
                follows_clock: plan.stream.follows_clock(),
                waiting: Some(done),
            },
        );
        let wake = self.wake.clone();
        let backfill = Backfill {
            view,
            at: self.holds.hold(|| at),
            inputs,
        };
        let started = backfill.start(self.runtime.handle(), self.watch_closed(), move |error| {
            // A coordinator that is gone has no view to fail.
            wake.send(Command::ViewFailed { view, error }).ok();
        });
        if let Err(error) = started {
            self.finish_view(view, ViewState::Failed(io_error(&error)));
        }
    }

    /// Where the history of each input comes from; starts the sources among them that nobody has read so far.
    fn histories(&mut self, inputs: &[RelationId]) -> Result<Vec<(RelationId, History)>, SqlError> {
        let mut histories = Vec::with_capacity(inputs.len());
        for id in inputs {
            histories.push((*id, self.history(*id)?));
        }
        Ok(histories)
    }

    fn history(&mut self, id: RelationId) -> Result<History, SqlError> {
        if let Some(table) = self.tables.get(&id) {
            return Ok(History::Stored(Arc::clone(table.collection())));
        }
        if let Some(view) = self.views.get(&id) {
            return Ok(History::Stored(Arc::clone(&view.collection)));
        }
        let Some(feed) = self.sources.get_mut(&id) else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("the relation with OID {id} was dropped meanwhile"),
            ));
        };
        if feed.is_running() {
            return Ok(History::Replayed {
                spec: feed.spec.clone(),
                shape: Arc::clone(&feed.shape),
                until: feed.positions(),
                late: feed.late().clone(),
            });
        }
        let wake = self.wake.clone();
        let ready = move || {
            // A coordinator that is gone needs no waking.
            wake.send(Command::SourceReady).ok();
        };
        let thread = SourceThread::start(
            &feed.relation.name,
            feed.spec.clone(),
            Arc::clone(&feed.shape),
            feed.positions(),
            ready,
        )
        .map_err(|error| io_error(&error))?;
        feed.attach(thread);
        Ok(History::Nothing)
    }

    /// The watermarks that hold at the last cut epoch, for a dataflow that has seen nothing yet.
    fn watermarks_so_far(&self) -> Vec<SourceWatermark> {
        let sources = self.sources.iter().map(|(id, feed)| (*id, feed.watermark()));
        let tables = self
            .tables
            .iter()
            .filter_map(|(id, table)| Some((*id, table.watermark()?)));
        sources
            .chain(tables)
            .map(|(relation, after)| SourceWatermark {
                relation,
                before: Watermark::NONE,
                after,
            })
            .collect()
    }

    fn drop_relation(&mut self, id: RelationId) {
        if let Some(view) = self.views.remove(&id) {
            self.runtime.drop_dataflow(id);
            self.rest_unread_sources(&view.inputs);
        }
        if self.tables.remove(&id).is_some()
            && let Err(error) = self.store.wal().forget(id)
        {
            tracing::error!(%id, %error, "the log of a dropped table could not be removed");
        }
        self.sources.remove(&id);
        self.status.update(|s| {
            s.sources.remove(&id);
            s.views.remove(&id);
        });
    }

    /// A source that no view reads any more is not read either.
    fn rest_unread_sources(&mut self, candidates: &[RelationId]) {
        let mut readers: HashMap<RelationId, usize> = HashMap::new();
        for input in self.views.values().flat_map(|view| &view.inputs) {
            *readers.entry(*input).or_default() += 1;
        }
        for id in candidates.iter().filter(|id| !readers.contains_key(id)) {
            if let Some(feed) = self.sources.get_mut(id) {
                feed.stop();
                self.progress.rested.push(*id);
            }
        }
    }
}

impl Coordinator {
    /// Whether the coordinator's thread is still there.
    pub fn is_running(&self) -> bool {
        self.watch_closed().has_changed().is_ok()
    }
}

fn io_error(error: &std::io::Error) -> SqlError {
    SqlError::new(SqlState::IO_ERROR, format!("a thread could not be started: {error}"))
}
