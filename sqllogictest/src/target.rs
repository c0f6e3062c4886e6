//! [`Target`]: the server a file runs on, with a database of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use highwater_tests::TestServer;
use tokio_postgres::{Config, NoTls};

use crate::client::{Address, Client, HIGHWATER};

/// How many workers compute views after a restart.
const WORKERS: usize = 2;

/// A server for one file.
pub struct Target {
    engine: Engine,
    address: Address,
}

enum Engine {
    /// Highwater, in this process, on a folder that goes with it. No server while it is between stop and start.
    Highwater { server: Option<Box<TestServer>> },
    /// A database on a PostgreSQL that runs already, dropped when the file is done.
    Postgres { admin: Box<Config>, database: String },
}

impl Target {
    /// A fresh server on an empty folder.
    pub async fn highwater() -> Target {
        let server = TestServer::start().await;
        Target {
            address: Address::new(server.config()),
            engine: Engine::Highwater {
                server: Some(Box::new(server)),
            },
        }
    }

    /// A fresh database on a PostgreSQL that is reached this way.
    ///
    /// # Errors
    /// When it cannot be reached, or the user must not create databases.
    pub async fn postgres(admin: &Config) -> Result<Target, tokio_postgres::Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let database = format!("slt_{}_{number}", std::process::id());
        let create = format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
        say(admin, &create).await?;
        let mut config = admin.clone();
        // Settings of this server's own may differ; those that files begin with are the same everywhere.
        config.dbname(&database).options("-c TimeZone=UTC");
        Ok(Target {
            address: Address::new(config),
            engine: Engine::Postgres {
                admin: Box::new(admin.clone()),
                database,
            },
        })
    }

    /// The engine's name, for `skipif` and `onlyif` in files.
    pub(crate) fn engine(&self) -> &'static str {
        match self.engine {
            Engine::Highwater { .. } => HIGHWATER,
            Engine::Postgres { .. } => "postgresql",
        }
    }

    /// How its sessions find it.
    pub(crate) fn address(&self) -> Address {
        self.address.clone()
    }

    /// A session.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address(), self.engine())
    }

    /// Stops the server and starts it again; a PostgreSQL goes on as it is. All sessions must be shut down.
    pub(crate) async fn restart(&mut self) {
        if let Engine::Highwater { server } = &mut self.engine
            && let Some(running) = server.take()
        {
            let started = running.restart(WORKERS).await;
            self.address.set(started.config());
            *server = Some(Box::new(started));
        }
    }

    /// Ends it, and what it kept. All sessions must be shut down.
    ///
    /// # Errors
    /// When a PostgreSQL keeps its database.
    pub async fn close(self) -> Result<(), tokio_postgres::Error> {
        match self.engine {
            Engine::Highwater { server } => {
                if let Some(server) = server {
                    server.stop().await;
                }
                Ok(())
            }
            Engine::Postgres { admin, database } => {
                say(&admin, &format!("DROP DATABASE {database} WITH (FORCE)")).await
            }
        }
    }
}

async fn say(admin: &Config, sql: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = admin.connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    let said = client.batch_execute(sql).await;
    drop(client);
    // The statement's own answer says what went wrong.
    let _ = connection.await;
    said
}
