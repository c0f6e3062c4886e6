//! [`Database`]: everything the sessions of one server share. A session reads the [`World`] (catalog and
//! collections, one immutable value), asks the coordinator for what changes it, and waits for epochs to close.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use highwater_executor::{Collection, Runtime};
use highwater_planner::PlanContext;
use highwater_planner::catalog::{Catalog, EmitMode, Relation, RelationKind};
use highwater_storage::Store;
use highwater_types::{Epoch, RelationId, SqlError, SqlState};
use thiserror::Error;
use tokio::sync::OwnedMutexGuard;

use crate::coordinator::{
    Command, Coordinator, Core, CoreSetup, EpochHold, EpochHolds, Follower, Installed, Publish, StatusBoard,
    TableLocks, TransactionIds,
};
pub use crate::new_relation::NewRelation;
use crate::new_relation::completion;
use crate::stored_catalog;
use crate::system::SystemTables;

/// The name of the database that a server has.
pub const DATABASE_NAME: &str = "highwater";

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// The folder that holds catalog and log.
    pub data_dir: PathBuf,
    /// Worker threads.
    pub workers: usize,
    /// For how long epochs can be read after they have closed.
    pub retention: Duration,
}

/// Why a database could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder could not be opened or read.
    #[error("{0}")]
    Storage(#[from] highwater_storage::StorageError),
    /// The workers could not be started.
    #[error("{0}")]
    Executor(#[from] highwater_executor::ExecError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// What the catalog says could not be brought back.
    #[error("{0}")]
    Rebuild(SqlError),
}

/// What exists: the catalog, and the rows of tables and views. One value; a statement sees one world.
#[derive(Debug, Default, Clone)]
pub struct World {
    /// What exists.
    pub catalog: Arc<Catalog>,
    /// The rows of each stored relation.
    pub collections: Arc<HashMap<RelationId, Arc<Collection>>>,
}

/// Views that take the place of others.
pub struct Replacement {
    /// The views, each after those that it reads.
    pub views: Vec<NewRelation>,
    /// What exists then.
    pub catalog: Catalog,
    /// The views that are no more, each before those that it reads.
    pub gone: Vec<RelationId>,
}

/// What all sessions share.
pub struct Database {
    world: ArcSwap<World>,
    coordinator: Coordinator,
    store: Arc<Store>,
    holds: Arc<EpochHolds>,
    status: Arc<StatusBoard>,
    workers: usize,
    system: Arc<SystemTables>,
    /// The newest OID that was given away; never given again.
    newest_id: AtomicU32,
    /// DDL statements run one at a time.
    pub(crate) ddl: Arc<tokio::sync::Mutex<()>>,
    /// Locks of tables being changed.
    pub(crate) locks: Arc<TableLocks>,
    /// Transaction ids.
    pub(crate) transactions: Arc<TransactionIds>,
}

impl World {
    /// This world with another catalog, and with `added` rows, without those of `dropped` relations.
    fn next(
        &self,
        catalog: Catalog,
        added: impl IntoIterator<Item = (RelationId, Arc<Collection>)>,
        dropped: &[RelationId],
    ) -> World {
        let mut collections = self.collections.as_ref().clone();
        collections.extend(added);
        collections.retain(|id, _| !dropped.contains(id));
        World {
            catalog: Arc::new(catalog),
            collections: Arc::new(collections),
        }
    }
}

impl Database {
    /// Opens the folder, brings back the tables' rows from the log, and rebuilds every view.
    ///
    /// # Errors
    /// When the folder is in use or damaged, or threads cannot be started.
    pub async fn open(config: &DatabaseConfig) -> Result<Arc<Database>, OpenError> {
        let store = Arc::new(Store::open(&config.data_dir)?);
        let (catalog, newest_id) = stored_catalog::load(&store)?;
        let mut collections = HashMap::new();
        for relation in catalog
            .relations()
            .filter(|r| matches!(r.kind, RelationKind::Table { .. }))
        {
            collections.insert(relation.id, table_collection(relation));
        }
        let last_epoch = replay(&store, &collections)?;
        let (reports, report_receiver) = crossbeam_channel::unbounded();
        let runtime = Runtime::start(config.workers, reports)?;
        let holds = Arc::new(EpochHolds::default());
        let status = Arc::new(StatusBoard::default());
        let coordinator = Core::start(CoreSetup {
            store: Arc::clone(&store),
            runtime,
            reports: report_receiver,
            last_epoch,
            holds: Arc::clone(&holds),
            status: Arc::clone(&status),
            retention: config.retention,
        })?;
        let database = Arc::new(Database {
            world: ArcSwap::from_pointee(World::default()),
            coordinator,
            store,
            holds,
            status,
            workers: config.workers,
            system: Arc::default(),
            newest_id: AtomicU32::new(newest_id),
            ddl: Arc::default(),
            locks: Arc::default(),
            transactions: Arc::default(),
        });
        database
            .rebuild(catalog, collections)
            .await
            .map_err(OpenError::Rebuild)?;
        Ok(database)
    }

    /// What exists now.
    pub fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// The way to the coordinator.
    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// Progress of sources, views and epochs.
    pub fn status(&self) -> &StatusBoard {
        &self.status
    }

    /// The one database's name.
    pub fn name(&self) -> &str {
        DATABASE_NAME
    }

    /// The system relations.
    pub fn system(&self) -> Arc<SystemTables> {
        Arc::clone(&self.system)
    }

    /// How many workers compute views.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Holds the newest closed epoch for reading.
    pub fn hold_newest(&self) -> EpochHold {
        self.holds.hold(|| self.coordinator.closed())
    }

    /// Holds an epoch for reading that may be let go meanwhile: who reads it finds out.
    pub fn hold_epoch(&self, epoch: Epoch) -> EpochHold {
        self.holds.hold(|| epoch)
    }

    /// Has epochs close also while nothing changes, for as long as the answer lives.
    pub fn follow(&self) -> Follower {
        self.holds.follow()
    }

    /// An OID that nothing has or had.
    pub fn next_id(&self) -> RelationId {
        RelationId(self.newest_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Makes relations exist: known to the coordinator, durable in the catalog, and only then visible. `extra` are
    /// relations without rows that belong to it, such as its key's index. Nothing exists either when the future is
    /// dropped before that, as by a cancel while a view catches up.
    ///
    /// # Errors
    /// When the coordinator refuses it, or it cannot be made durable; then nothing exists.
    pub async fn create(&self, new: NewRelation, extra: Vec<Relation>) -> Result<(), SqlError> {
        if let NewRelation::Source { spec, .. } = &new {
            check_source(spec.clone()).await?;
        }
        let relation = new.relation().clone();
        let mut catalog = self.world().catalog.with_relation(relation.as_ref().clone());
        for index in &extra {
            catalog = catalog.with_relation(index.clone());
        }
        let (collection, installed) = self.install(new).await?;
        let stored: Vec<&Relation> = extra.iter().chain([relation.as_ref()]).collect();
        stored_catalog::put_relations(&self.store, &stored, self.newest_id.load(Ordering::Relaxed))?;
        installed.keep();
        let added = collection.map(|collection| (relation.id, collection));
        self.world.store(Arc::new(self.world().next(catalog, added, &[])));
        Ok(())
    }

    /// Gives a table another definition, which its rows must fit. The coordinator makes it durable and visible when it
    /// has found that they do, between two commits: it has happened or it has not, whoever waits for it. `turn` is what
    /// keeps other DDL away until then.
    ///
    /// # Errors
    /// When the rows do not fit, or it cannot be made durable; then all is as it was.
    pub async fn replace_table(
        self: &Arc<Self>,
        turn: Arc<OwnedMutexGuard<()>>,
        relation: Arc<Relation>,
        extra: Vec<Relation>,
    ) -> Result<(), SqlError> {
        let context = crate::session::context_for(&self.world().catalog, &relation);
        let watermark = completion(&context, &relation)?;
        let collection = table_collection(&relation);
        let (database, keyed, rows) = (Arc::clone(self), Arc::clone(&relation), Arc::clone(&collection));
        let publish: Publish = Box::new(move || {
            let _turn = turn;
            let newest_id = database.newest_id.load(Ordering::Relaxed);
            let stored: Vec<&Relation> = extra.iter().chain([keyed.as_ref()]).collect();
            stored_catalog::put_relations(&database.store, &stored, newest_id)?;
            let world = database.world();
            let catalog = stored
                .into_iter()
                .fold(world.catalog.as_ref().clone(), |c, r| c.with_relation(r.clone()));
            database
                .world
                .store(Arc::new(world.next(catalog, Some((keyed.id, rows)), &[])));
            Ok(())
        });
        self.coordinator
            .request(|done| Command::ReplaceTable {
                relation,
                collection,
                watermark,
                publish,
                done,
            })
            .await
    }

    /// Makes another catalog the current one, for changes that no dataflow has a part in.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn publish(&self, catalog: Catalog) -> Result<(), SqlError> {
        self.put_changes(&self.world().catalog, &catalog)?;
        self.world.store(Arc::new(self.world().next(catalog, None, &[])));
        Ok(())
    }

    /// Makes a catalog the current one in which relations have other names or schemas. They stay what they are to
    /// dataflows, and to whoever reads them.
    ///
    /// # Errors
    /// When it cannot be made durable; then all is as it was.
    pub async fn rename(&self, catalog: Catalog) -> Result<(), SqlError> {
        let before = self.world();
        self.publish(catalog)?;
        let world = self.world();
        let renamed = world
            .catalog
            .relations()
            .filter(|r| before.catalog.relation(r.id) != Some(r));
        let relations = renamed.cloned().collect();
        self.coordinator
            .request(|done| Command::Rename { relations, done })
            .await
    }

    /// Puts views in the place of others, when they have caught up: until then readers see the old ones. Nothing has
    /// changed when the future is dropped before that.
    ///
    /// # Errors
    /// When the coordinator refuses one, or it cannot be made durable; then all is as it was.
    pub async fn replace(&self, replacement: Replacement) -> Result<(), SqlError> {
        let Replacement { views, catalog, gone } = replacement;
        let (mut added, mut guards) = (Vec::new(), Vec::new());
        for view in views {
            let id = view.relation().id;
            let (rows, installed) = self.install(view).await?;
            added.extend(rows.map(|rows| (id, rows)));
            // Should one fail, those that read others go first.
            guards.insert(0, installed);
        }
        self.put_changes(&self.world().catalog, &catalog)?;
        guards.into_iter().for_each(Installed::keep);
        self.world.store(Arc::new(self.world().next(catalog, added, &gone)));
        let relations = gone;
        self.coordinator.request(|done| Command::Drop { relations, done }).await
    }

    /// Makes relations gone: dependents must stand before what they depend on.
    ///
    /// # Errors
    /// When it cannot be made durable; then they stay.
    pub async fn remove(&self, relations: Vec<RelationId>) -> Result<(), SqlError> {
        let world = self.world();
        let mut catalog = world.catalog.as_ref().clone();
        let mut gone = Vec::new();
        for id in &relations {
            gone.extend(world.catalog.indexes_on(*id).map(|index| index.id));
            gone.push(*id);
        }
        for id in &gone {
            catalog = catalog.without_relation(*id);
        }
        self.put_changes(&world.catalog, &catalog)?;
        self.world.store(Arc::new(world.next(catalog, None, &gone)));
        self.coordinator.request(|done| Command::Drop { relations, done }).await
    }

    fn put_changes(&self, from: &Catalog, to: &Catalog) -> Result<(), SqlError> {
        let newest_id = self.newest_id.load(Ordering::Relaxed);
        Ok(stored_catalog::put_changes(&self.store, from, to, newest_id)?)
    }

    /// Tells the coordinator of a relation, and makes room for its rows.
    async fn install(&self, new: NewRelation) -> Result<(Option<Arc<Collection>>, Installed), SqlError> {
        let installed = self.coordinator.installs(new.relation().id);
        let collection = match new {
            NewRelation::Table { relation, watermark } => {
                let collection = table_collection(&relation);
                let rows = Arc::clone(&collection);
                self.coordinator
                    .request(|done| Command::CreateTable {
                        relation,
                        collection: rows,
                        watermark,
                        done,
                    })
                    .await?;
                Some(collection)
            }
            NewRelation::Source { relation, spec, shape } => {
                self.coordinator
                    .request(|done| Command::CreateSource {
                        relation,
                        spec,
                        shape,
                        done,
                    })
                    .await?;
                None
            }
            NewRelation::View { relation, plan } => {
                let collection = Collection::new(relation.arrow_schema(), relation.key.clone(), self.workers);
                let rows = Arc::clone(&collection);
                self.coordinator
                    .request(|done| Command::CreateView {
                        relation,
                        plan,
                        collection: rows,
                        done,
                    })
                    .await?;
                Some(collection)
            }
            NewRelation::Inline { .. } => None,
        };
        Ok((collection, installed))
    }

    /// Brings everything in the catalog back to life, in the order in which it was made.
    async fn rebuild(&self, catalog: Catalog, tables: HashMap<RelationId, Arc<Collection>>) -> Result<(), SqlError> {
        let collections = Arc::new(tables);
        self.world.store(Arc::new(World {
            catalog: Arc::new(catalog.clone()),
            collections,
        }));
        for relation in catalog.relations() {
            let context = crate::session::context_for(&self.world().catalog, relation);
            match &relation.kind {
                RelationKind::Table { .. } => {
                    let collection = Arc::clone(&self.world().collections[&relation.id]);
                    let watermark = completion(&context, relation)?;
                    let relation = Arc::clone(relation);
                    self.coordinator
                        .request(|done| Command::CreateTable {
                            relation,
                            collection,
                            watermark,
                            done,
                        })
                        .await?;
                }
                RelationKind::Source(_) => {
                    let (_, installed) = self.install(NewRelation::source(&context, relation)?).await?;
                    installed.keep();
                }
                RelationKind::MaterializedView { query, emit, .. } => {
                    if let Err(error) = self.rebuild_view(&context, relation, query, *emit).await {
                        tracing::error!(view = relation.display_name(), %error, "a view could not be rebuilt");
                    }
                }
                RelationKind::View { .. } | RelationKind::Index { .. } => {}
            }
        }
        Ok(())
    }

    async fn rebuild_view(
        &self,
        context: &PlanContext,
        relation: &Arc<Relation>,
        query: &str,
        emit: EmitMode,
    ) -> Result<(), SqlError> {
        let query = highwater_parser::parse_query(query)?;
        let names: Vec<String> = relation.columns.iter().map(|c| c.name.clone()).collect();
        let plan = Arc::new(highwater_planner::plan_view(context, &query, &names, emit)?);
        let id = relation.id;
        let (rows, installed) = self
            .install(NewRelation::View {
                relation: Arc::clone(relation),
                plan,
            })
            .await?;
        installed.keep();
        let added = rows.map(|rows| (id, rows));
        let world = self.world();
        self.world
            .store(Arc::new(world.next(world.catalog.as_ref().clone(), added, &[])));
        Ok(())
    }
}

fn table_collection(relation: &Relation) -> Arc<Collection> {
    Collection::new(relation.arrow_schema(), relation.key.clone(), 1)
}

/// Has the connector check a declaration. It may look at files, which takes its time: others are served meanwhile.
async fn check_source(spec: highwater_connectors::SourceSpec) -> Result<(), SqlError> {
    let checked = tokio::task::spawn_blocking(move || highwater_connectors::connect(&spec).map(|_| ())).await;
    checked.map_err(|error| SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()))??;
    Ok(())
}

/// Applies the log to the tables' collections; answers the newest epoch that it has ever had. What it still holds of a
/// table that is gone, which a crash between the two changes leaves, is marked as void.
fn replay(store: &Store, tables: &HashMap<RelationId, Arc<Collection>>) -> Result<Epoch, OpenError> {
    let mut orphans = BTreeSet::new();
    for record in store.wal().replay() {
        let (epoch, entries) = record?;
        for entry in entries {
            match tables.get(&entry.relation) {
                Some(collection) => collection.apply(0, epoch, &entry.delta)?,
                None => {
                    orphans.insert(entry.relation);
                }
            }
        }
    }
    for orphan in orphans {
        if let Err(error) = store.wal().forget(orphan) {
            // They are passed over at every start, and take their room until this succeeds.
            tracing::warn!(%orphan, %error, "the log of a dropped table could not be removed");
        }
    }
    Ok(store.wal().last_epoch())
}
