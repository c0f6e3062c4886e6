//! [`Server`]: a database and a session of it, in the test's own process, without a socket between.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use highwater_server::config::DEFAULT_RETENTION;
use highwater_server::database::{Database, DatabaseConfig};
use highwater_server::pg::{Backends, Notifier};
use highwater_server::session::{Outcome, Peers, Prepared, Session, Startup};
use highwater_types::{SqlError, SqlState};
use tempfile::TempDir;

use super::rows::Rows;

/// Memory is faster than a disk, where there is such a folder; what survives a crash is tested elsewhere.
const MEMORY_FOLDER: &str = "/dev/shm";

/// A database under test.
pub struct Server {
    folder: TempDir,
    workers: usize,
    database: Arc<Database>,
    session: Session,
    /// Queries that were run since the catalog changed last: planning them is most of their cost.
    prepared: HashMap<String, Arc<Prepared>>,
}

impl Server {
    /// An empty database.
    pub async fn start(workers: usize) -> Server {
        let folder = match Path::new(MEMORY_FOLDER).is_dir() {
            true => tempfile::tempdir_in(MEMORY_FOLDER),
            false => tempfile::tempdir(),
        };
        let folder = folder.expect("there is room for a folder");
        let database = open(folder.path(), workers).await;
        let session = session_of(&database);
        Server {
            folder,
            workers,
            database,
            session,
            prepared: HashMap::new(),
        }
    }

    /// Stops it and opens the same folder again.
    pub async fn restart(self, workers: usize) -> Server {
        drop(self.session);
        self.database.coordinator().stop().await;
        drop(self.database);
        let database = open(self.folder.path(), workers).await;
        let session = session_of(&database);
        Server {
            folder: self.folder,
            workers,
            database,
            session,
            prepared: HashMap::new(),
        }
    }

    /// Stops it for good.
    pub async fn stop(self) {
        self.database.coordinator().stop().await;
    }

    /// How many workers it has.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Runs a query, planned but once for as long as nothing else than queries is run.
    ///
    /// # Errors
    /// When it fails.
    pub async fn query(&mut self, sql: &str) -> Result<Rows, SqlError> {
        let prepared = match self.prepared.get(sql) {
            Some(prepared) => Arc::clone(prepared),
            None => {
                let statement = highwater_parser::parse(sql)?.remove(0);
                let prepared = self.session.prepare(statement, &[])?;
                self.prepared.insert(sql.to_string(), Arc::clone(&prepared));
                prepared
            }
        };
        let mut rows = Rows::default();
        let answer = self.execute(&prepared, &mut rows).await;
        if answer.is_err() {
            self.session.fail();
        }
        answer.map(|()| rows)
    }

    /// Changes rows; the catalog stays as it is.
    async fn change(&mut self, sql: &str) -> Result<(), SqlError> {
        let answer = self.try_run(sql).await;
        if answer.is_err() {
            self.session.fail();
        }
        answer.map(|_| ())
    }

    /// Runs statements, each a transaction of its own unless they say otherwise; answers the rows of all of them.
    ///
    /// # Errors
    /// What the first that fails says.
    pub async fn run(&mut self, sql: &str) -> Result<Rows, SqlError> {
        self.prepared.clear();
        let answer = self.try_run(sql).await;
        if answer.is_err() {
            self.session.fail();
        }
        answer
    }

    /// Runs statements in one transaction.
    ///
    /// # Errors
    /// What the first that fails says; then nothing has happened.
    pub async fn transaction(&mut self, statements: &[String]) -> Result<(), SqlError> {
        if let [single] = statements {
            return self.change(single).await;
        }
        self.change("BEGIN").await?;
        for statement in statements {
            if let Err(error) = self.change(statement).await {
                self.change("ROLLBACK").await?;
                return Err(error);
            }
        }
        self.change("COMMIT").await
    }

    async fn try_run(&mut self, sql: &str) -> Result<Rows, SqlError> {
        let mut rows = Rows::default();
        for statement in highwater_parser::parse(sql)? {
            let prepared = self.session.prepare(statement, &[])?;
            self.execute(&prepared, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn execute(&mut self, prepared: &Arc<Prepared>, rows: &mut Rows) -> Result<(), SqlError> {
        if let Outcome::Rows { mut stream, .. } = self.session.execute(prepared, Vec::new()).await? {
            while let Some(batch) = stream.try_next().await.map_err(|e| highwater_executor::sql_error(&e))? {
                rows.add(&batch)?;
            }
        }
        Ok(())
    }
}

async fn open(folder: &Path, workers: usize) -> Arc<Database> {
    let data_dir = folder.to_path_buf();
    let retention = DEFAULT_RETENTION;
    Database::open(&DatabaseConfig {
        data_dir,
        workers,
        retention,
    })
    .await
    .expect("a folder of our own opens")
}

fn session_of(database: &Arc<Database>) -> Session {
    let startup = Startup {
        user: "highwater".to_string(),
        database: database.name().to_string(),
        settings: vec![("TimeZone".to_string(), "UTC".to_string())],
        pid: 1,
        peers: Peers {
            backends: Backends::new(),
            notifier: Notifier::new(),
        },
    };
    Session::try_new(Arc::clone(database), startup).expect("a session of the only database")
}

/// Whether a statement was refused because it is not built yet.
pub fn is_refusal(error: &SqlError) -> bool {
    error.state == SqlState::FEATURE_NOT_SUPPORTED
}
