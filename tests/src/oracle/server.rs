//! [`Server`]: a database and a session of it, in the test's own process, without a socket between.

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use highwater_server::database::{Database, DatabaseConfig};
use highwater_server::pg::{Backends, Notifier};
use highwater_server::session::{Outcome, Peers, Session, Startup};
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

    /// Runs statements, each a transaction of its own unless they say otherwise; answers the rows of all of them.
    ///
    /// # Errors
    /// What the first that fails says.
    pub async fn run(&mut self, sql: &str) -> Result<Rows, SqlError> {
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
            return self.run(single).await.map(|_| ());
        }
        self.run("BEGIN").await?;
        for statement in statements {
            if let Err(error) = self.run(statement).await {
                self.run("ROLLBACK").await?;
                return Err(error);
            }
        }
        self.run("COMMIT").await.map(|_| ())
    }

    async fn try_run(&mut self, sql: &str) -> Result<Rows, SqlError> {
        let mut rows = Rows::default();
        for statement in highwater_parser::parse(sql)? {
            let prepared = self.session.prepare(statement, &[])?;
            let Outcome::Rows { mut stream, .. } = self.session.execute(&prepared, Vec::new()).await? else {
                continue;
            };
            while let Some(batch) = stream.try_next().await.map_err(|e| highwater_executor::sql_error(&e))? {
                rows.add(&batch)?;
            }
        }
        Ok(rows)
    }
}

async fn open(folder: &Path, workers: usize) -> Arc<Database> {
    let data_dir = folder.to_path_buf();
    Database::open(&DatabaseConfig { data_dir, workers })
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
