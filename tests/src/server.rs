//! [`TestServer`]: a whole server in the test's own process, on a free port and a folder that goes with it.

use std::net::SocketAddr;
use std::sync::Arc;

use highwater_server::database::{Database, DatabaseConfig};
use highwater_server::pg::{Backends, Listener, ListenerConfig, Notifier, Users};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, NoTls};

/// A server under test.
pub struct TestServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    database: Arc<Database>,
    _folder: TempDir,
}

impl TestServer {
    /// An empty server that believes everyone.
    pub async fn start() -> TestServer {
        TestServer::start_with(Users::default()).await
    }

    /// An empty server with these users.
    pub async fn start_with(users: Users) -> TestServer {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let config = DatabaseConfig {
            data_dir: folder.path().to_path_buf(),
            workers: 2,
        };
        let database = Database::open(&config).await.expect("an empty folder opens");
        let mut config = ListenerConfig::new(([127, 0, 0, 1], 0).into());
        config.users = users;
        let listener = Listener::bind(&config, Arc::clone(&database), Backends::new(), Notifier::new())
            .await
            .expect("some port is free");
        let address = listener.local_address().expect("an open socket has an address");
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(listener.serve(async {
            // A dropped sender stops the server as well.
            let _ = stopped.await;
        }));
        TestServer {
            address,
            stop: Some(stop),
            serving,
            database,
            _folder: folder,
        }
    }

    /// How to connect, as `highwater` to the database `highwater`.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host(self.address.ip().to_string())
            .port(self.address.port())
            .user("highwater")
            .dbname("highwater");
        config
    }

    /// A connection.
    pub async fn connect(&self) -> Client {
        TestServer::open(&self.config())
            .await
            .expect("the server takes clients")
    }

    /// A connection made this way.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn open(config: &Config) -> Result<Client, Error> {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move {
            // The client's own calls say what went wrong.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// Stops it as Ctrl-C does, and waits until it has.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.serving.await.expect("serving does not panic");
        self.database.coordinator().stop().await;
    }
}
