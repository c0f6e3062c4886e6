//! [`TestServer`]: a whole server in the test's own process, on a free port and a folder that goes with it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use highwater_server::config::DEFAULT_RETENTION;
use highwater_server::database::{Database, DatabaseConfig};
use highwater_server::pg::{Backends, Listener, ListenerConfig, Notifier, Users};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

/// A server under test.
pub struct TestServer {
    running: Running,
    users: Users,
    folder: TempDir,
}

/// What goes with one start of the server.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    database: Arc<Database>,
    _threads: Threads,
}

/// The server's own threads, like those of the binary.
struct Threads(Option<Runtime>);

impl Threads {
    fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let runtime = self.0.as_ref().expect("threads can be started");
        runtime.spawn(task)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Tests are asynchronous, where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}

impl TestServer {
    /// An empty server that believes everyone, with two workers.
    pub async fn start() -> TestServer {
        TestServer::start_with(Users::default(), 2).await
    }

    /// An empty server with these users and this many workers.
    pub async fn start_with(users: Users, workers: usize) -> TestServer {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let running = Running::start(&folder, &users, workers).await;
        TestServer { running, users, folder }
    }

    /// A server over a folder that there is, with two workers.
    pub async fn start_in(folder: TempDir) -> TestServer {
        let users = Users::default();
        let running = Running::start(&folder, &users, 2).await;
        TestServer { running, users, folder }
    }

    /// Stops it as Ctrl-C does; answers its folder.
    pub async fn into_folder(self) -> TempDir {
        self.running.stop().await;
        self.folder
    }

    /// Stops it as Ctrl-C does, and starts it again over the same folder with this many workers. Connections end.
    pub async fn restart(self, workers: usize) -> TestServer {
        self.running.stop().await;
        let running = Running::start(&self.folder, &self.users, workers).await;
        TestServer { running, ..self }
    }

    /// Stops it as Ctrl-C does, and waits until it has.
    pub async fn stop(self) {
        self.running.stop().await;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// What its sessions share.
    pub fn database(&self) -> &Database {
        &self.running.database
    }

    /// How to connect, as `highwater` to the database `highwater`.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host(self.running.address.ip().to_string())
            .port(self.running.address.port())
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
}

impl Running {
    async fn start(folder: &TempDir, users: &Users, workers: usize) -> Running {
        let config = DatabaseConfig {
            data_dir: folder.path().to_path_buf(),
            workers,
            retention: DEFAULT_RETENTION,
        };
        let mut listen = ListenerConfig::new(([127, 0, 0, 1], 0).into());
        listen.users = users.clone();
        let threads = Threads(highwater_server::runtime::build().ok());
        let opening = threads.spawn(async move {
            let database = Database::open(&config).await.expect("a folder of our own opens");
            let listener = Listener::bind(&listen, Arc::clone(&database), Backends::new(), Notifier::new())
                .await
                .expect("some port is free");
            (database, listener)
        });
        let (database, listener) = opening.await.expect("opening does not panic");
        let address = listener.local_address().expect("an open socket has an address");
        let (stop, stopped) = oneshot::channel();
        let serving = threads.spawn(listener.serve(async {
            // A dropped sender stops the server as well.
            let _ = stopped.await;
        }));
        Running {
            address,
            stop,
            serving,
            database,
            _threads: threads,
        }
    }

    async fn stop(self) {
        // A server that has ended by itself is found by the join.
        let _ = self.stop.send(());
        self.serving.await.expect("serving does not panic");
        self.database.coordinator().stop().await;
    }
}

/// Runs statements as text; answers the rows, `|` between columns, or the SQLSTATE alone.
pub async fn run(client: &Client, sql: &str) -> Vec<String> {
    match client.simple_query(sql).await {
        Ok(messages) => messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    let values: Vec<&str> = (0..row.len()).map(|c| row.get(c).unwrap_or("null")).collect();
                    Some(values.join("|"))
                }
                _ => None,
            })
            .collect(),
        Err(error) => vec![
            error
                .code()
                .map_or_else(|| error.to_string(), |code| code.code().to_string()),
        ],
    }
}
