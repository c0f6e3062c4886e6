//! [`Subscription`]: what SUBSCRIBE answers: the rows of a table or view as they are, then what every epoch changes,
//! for as long as somebody reads. It follows committed rows alone, and belongs to no transaction.
//!
//! Its rows are `(epoch, diff, columns ...)`: so many rows more, or fewer, since that epoch. With PROGRESS they are
//! `(epoch, progressed, diff, columns ...)`, and a row with `progressed` says that everything up to and with that epoch
//! has been sent, also where nothing has changed. Whoever has seen it goes on after a break with
//! `SUBSCRIBE ... WITH (SNAPSHOT false) AS OF` that epoch, if it is still kept. The words are Materialize's
//! (<https://materialize.com/docs/sql/subscribe/>); both AS OF and UP TO are inclusive here, so that what ends at an
//! epoch is continued from it.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use highwater_executor::{Collection, ExecError};
use highwater_parser::Subscribe;
use highwater_planner::OutputColumn;
use highwater_planner::catalog::{Relation, RelationKind};
use highwater_types::{Delta, Epoch, SqlError, SqlState, SqlType};
use tokio::sync::watch;

use super::Session;
use crate::coordinator::{EpochHold, Follower};
use crate::database::Database;

/// The command tag of SUBSCRIBE, without the count.
pub const SUBSCRIBE_TAG: &str = "SUBSCRIBE";

/// A subscription reads this many epochs on at once; they are microseconds. Twice as many the next time, as long as
/// there are few changes in them.
const FIRST_STRIDE: u64 = 1_000_000;
/// With more changes than these the stride is the first again.
const MANY_CHANGES: usize = 64 * 1024;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The rows at the epoch from which it starts, which may not be closed yet.
    Start(Epoch),
    /// The changes after the epoch that is held.
    Changes { stride: u64 },
    /// Nothing.
    Over,
}

/// A table or view that is followed.
pub(super) struct Subscription {
    database: Arc<Database>,
    relation: Arc<Relation>,
    collection: Arc<Collection>,
    columns: Arc<[OutputColumn]>,
    schema: SchemaRef,
    has_snapshot: bool,
    shows_progress: bool,
    up_to: Option<Epoch>,
    /// Everything up to its epoch has been read.
    hold: EpochHold,
    closed: watch::Receiver<Epoch>,
    _follower: Follower,
    phase: Phase,
    /// Read, and to be answered first.
    ready: VecDeque<RecordBatch>,
}

impl Session {
    /// The columns of a subscription's rows.
    pub(super) fn subscription_columns(&self, subscribe: &Subscribe) -> Result<Vec<OutputColumn>, SqlError> {
        let relation = self.find(&subscribe.relation)?;
        check_followable(&relation)?;
        let own = |name: &str, sql_type| OutputColumn {
            name: name.to_string(),
            sql_type,
            origin: None,
        };
        let mut columns = vec![own("epoch", SqlType::Int8)];
        if subscribe.progress {
            columns.push(own("progressed", SqlType::Bool));
        }
        columns.push(own("diff", SqlType::Int8));
        let columns_of = relation.columns.iter();
        columns.extend(columns_of.map(|column| own(&column.name, column.sql_type.clone())));
        Ok(columns)
    }

    /// Starts a subscription: at the epoch that the transaction reads, if it has read; else at the newest, or as it says.
    ///
    /// # Errors
    /// `42809` for what has no stored rows, `22023` for an end before the start, `40001` when its start is no longer kept.
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe) -> Result<Subscription, SqlError> {
        let columns = self.subscription_columns(subscribe)?;
        let relation = self.find(&subscribe.relation)?;
        let collection = self.collection(&relation)?;
        let database = Arc::clone(&self.database);
        // A relation that is younger than what the transaction reads is followed from the newest epoch on.
        let held = self
            .transaction()
            .held_epoch()
            .filter(|epoch| *epoch >= collection.oldest());
        let newest = database.hold_newest();
        let start = subscribe.as_of.map(Epoch).or(held).unwrap_or(newest.epoch());
        let hold = if start < newest.epoch() {
            database.hold_epoch(start)
        } else {
            newest
        };
        let up_to = subscribe.up_to.map(Epoch);
        if up_to.is_some_and(|up_to| up_to < start) {
            let message = format!("SUBSCRIBE starts at epoch {start}, after the one that it is to end with");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
                .with_hint("Give UP TO an epoch that is not before AS OF."));
        }
        if hold.epoch() < collection.oldest() {
            let (epoch, oldest) = (hold.epoch(), collection.oldest());
            return Err(ExecError::Expired { epoch, oldest }.into());
        }
        Ok(Subscription {
            schema: schema_of(&columns, collection.schema()),
            columns: Arc::from(columns),
            closed: database.coordinator().watch_closed(),
            _follower: database.follow(),
            database,
            relation,
            collection,
            has_snapshot: subscribe.snapshot,
            shows_progress: subscribe.progress,
            up_to,
            hold,
            phase: Phase::Start(start),
            ready: VecDeque::new(),
        })
    }
}

impl Subscription {
    /// The columns of its rows.
    pub(super) fn columns(&self) -> Arc<[OutputColumn]> {
        Arc::clone(&self.columns)
    }

    /// Its rows. Dropped, it lets go of its epoch.
    pub(super) fn into_stream(self) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let rows = futures::stream::try_unfold(self, |mut subscription| async move {
            match subscription.next().await {
                Ok(batch) => Ok(batch.map(|batch| (batch, subscription))),
                Err(error) => Err(DataFusionError::External(Box::new(error))),
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }

    /// The next rows, when there are some; `None` at the end.
    async fn next(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            match self.phase {
                Phase::Start(start) => self.start(start).await?,
                Phase::Changes { stride } => self.read_changes(stride).await?,
                Phase::Over => return Ok(None),
            }
        }
    }

    /// Reads the rows at the epoch from which it starts, once that is closed.
    async fn start(&mut self, start: Epoch) -> Result<(), SqlError> {
        self.wait_for(start).await?;
        self.hold = self.database.hold_epoch(start);
        if self.has_snapshot {
            let collection = Arc::clone(&self.collection);
            for rows in aside(move || collection.scan(start, None)).await? {
                let epochs = vec![start; rows.num_rows()];
                self.put_changes(&epochs, &Delta::insert(rows))?;
            }
        }
        self.reached(start, FIRST_STRIDE)
    }

    /// Reads what has changed since the epoch that is held, once another is closed.
    async fn read_changes(&mut self, stride: u64) -> Result<(), SqlError> {
        let from = self.hold.epoch();
        let newest = self.wait_for(from.next()).await?;
        let to = Epoch(newest.0.min(from.0.saturating_add(stride)));
        let to = self.up_to.map_or(to, |up_to| to.min(up_to));
        if let Some((fault, _)) = self.collection.faults_at(to).into_iter().next() {
            return Err(fault.into());
        }
        let collection = Arc::clone(&self.collection);
        let changes = aside(move || Ok(collection.changes(from, to)?)).await?;
        let (mut epochs, mut deltas) = (Vec::new(), Vec::with_capacity(changes.len()));
        for (epoch, delta) in changes {
            epochs.resize(epochs.len() + delta.num_rows(), epoch);
            deltas.push(delta);
        }
        if !epochs.is_empty() {
            let delta = Delta::concat(self.collection.schema(), &deltas).map_err(ExecError::from)?;
            self.put_changes(&epochs, &delta)?;
        }
        self.hold = self.database.hold_epoch(to);
        let stride = match epochs.len() < MANY_CHANGES {
            true => stride.saturating_mul(2),
            false => FIRST_STRIDE,
        };
        self.reached(to, stride)
    }

    /// Waits until an epoch is closed; answers the newest that is.
    ///
    /// # Errors
    /// When the relation is no longer what it was, or has failed.
    async fn wait_for(&mut self, epoch: Epoch) -> Result<Epoch, SqlError> {
        loop {
            self.check_still_there()?;
            let newest = *self.closed.borrow_and_update();
            if newest >= epoch {
                return Ok(newest);
            }
            self.closed.changed().await.map_err(|_| {
                let message = "terminating connection due to administrator command";
                SqlError::new(SqlState::ADMIN_SHUTDOWN, message)
            })?;
        }
    }

    fn check_still_there(&self) -> Result<(), SqlError> {
        if let Some(failure) = self.database.status().failure(self.relation.id) {
            return Err(failure);
        }
        let world = self.database.world();
        let now = world.collections.get(&self.relation.id);
        if now.is_some_and(|now| Arc::ptr_eq(now, &self.collection)) {
            return Ok(());
        }
        let what = if now.is_some() { "changed" } else { "dropped" };
        let message = format!(
            "\"{}\", which is subscribed to, was {what}",
            self.relation.display_name()
        );
        Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
    }

    /// Everything up to and with an epoch has been read.
    fn reached(&mut self, epoch: Epoch, stride: u64) -> Result<(), SqlError> {
        if self.shows_progress {
            self.put_progress(epoch)?;
        }
        self.phase = match self.up_to {
            Some(up_to) if up_to <= epoch => Phase::Over,
            Some(_) | None => Phase::Changes { stride },
        };
        Ok(())
    }

    fn put_changes(&mut self, epochs: &[Epoch], delta: &Delta) -> Result<(), SqlError> {
        let count = delta.num_rows();
        let mut arrays: Vec<ArrayRef> = vec![epoch_array(epochs)];
        if self.shows_progress {
            arrays.push(Arc::new(BooleanArray::from(vec![false; count])));
        }
        arrays.push(match delta.weights() {
            Some(weights) => Arc::new(weights.clone()),
            None => Arc::new(Int64Array::from_value(1, count)),
        });
        arrays.extend(delta.batch().columns().iter().cloned());
        self.put(arrays)
    }

    fn put_progress(&mut self, epoch: Epoch) -> Result<(), SqlError> {
        let own: [ArrayRef; 2] = [epoch_array(&[epoch]), Arc::new(BooleanArray::from(vec![true]))];
        let rest = self.schema.fields().iter().skip(own.len());
        let nulls = rest.map(|field| new_null_array(field.data_type(), 1));
        self.put(own.iter().cloned().chain(nulls).collect())
    }

    fn put(&mut self, arrays: Vec<ArrayRef>) -> Result<(), SqlError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(ExecError::from)?;
        self.ready.push_back(batch);
        Ok(())
    }
}

/// Computes on a thread where it holds nobody up.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, SqlError> + Send + 'static) -> Result<T, SqlError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(SqlError::new(SqlState::INTERNAL_ERROR, error.to_string())),
    }
}

/// Only what has stored rows can be followed.
fn check_followable(relation: &Relation) -> Result<(), SqlError> {
    if relation.is_stored() {
        return Ok(());
    }
    let what = match relation.kind {
        RelationKind::Source(_) => "a source",
        RelationKind::View { .. } => "a view",
        _ => "no table",
    };
    let message = format!("cannot subscribe to \"{}\": it is {what}", relation.display_name());
    Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
        .with_hint("Create a materialized view over it, and subscribe to that."))
}

/// The fields of a subscription's rows: its own columns, then those of the rows that it follows.
fn schema_of(columns: &[OutputColumn], followed: &SchemaRef) -> SchemaRef {
    let own = columns.len() - followed.fields().len();
    let own = columns[..own]
        .iter()
        .map(|column| column.sql_type.to_field(&column.name));
    let nullable = |field: &FieldRef| Arc::new(field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(
        own.chain(followed.fields().iter().map(nullable)).collect::<Vec<_>>(),
    ))
}

fn epoch_array(epochs: &[Epoch]) -> ArrayRef {
    let numbers = epochs.iter().map(|epoch| i64::try_from(epoch.0).unwrap_or(i64::MAX));
    Arc::new(Int64Array::from_iter_values(numbers))
}
