//! [`Server`]: a database with its front door, from the options of `serve` or `demo` to a clean end.
//!
//! What can go wrong at the start is a [`StartError`], which says what failed and what to do about it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use highwater_types::SqlError;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Config, ConfigError};
use crate::database::{DATABASE_NAME, Database, DatabaseConfig, OpenError};
use crate::pg::{Backends, Listener, Notifier};
use crate::session::{Peers, Session, Startup};

/// Whom a client connects as when it does not care.
const USER: &str = "highwater";
/// What a shell sees when an option is wrong; clap answers the same.
const EXIT_USAGE: u8 = 2;
/// What a shell sees when the server could not start or go on.
const EXIT_FAILURE: u8 = 1;

/// Why a server could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An option is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The threads that serve clients could not be started.
    #[error("threads could not be started: {0}")]
    Threads(io::Error),
    /// A folder for the demo could not be made.
    #[error("a folder for the demo cannot be made in {folder:?}: {source}")]
    DemoFolder {
        /// Where it was to be.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The data folder could not be opened, or what is in it not be brought back.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The port could not be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A statement of the demo failed.
    #[error("the demo's statement failed: {error}\n{sql}")]
    Demo {
        /// The statement.
        sql: String,
        /// Why it failed.
        error: Box<SqlError>,
    },
    /// The terminal could not be written to.
    #[error("the terminal cannot be written to: {0}")]
    Terminal(io::Error),
}

impl StartError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            StartError::Config(error) => Some(error.hint()),
            StartError::Open(error) => open_hint(error),
            StartError::Listen { source, .. } => Some(listen_hint(source)),
            StartError::DemoFolder { .. } => Some("Set TMPDIR to a folder that can be written to."),
            StartError::Threads(_) => Some("Raise the limit on threads (ulimit -u)."),
            StartError::Demo { error, .. } => error.hint.as_deref(),
            StartError::Terminal(_) => None,
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Config(_) => EXIT_USAGE,
            StartError::Threads(_)
            | StartError::DemoFolder { .. }
            | StartError::Open(_)
            | StartError::Listen { .. }
            | StartError::Demo { .. }
            | StartError::Terminal(_) => EXIT_FAILURE,
        }
    }
}

fn open_hint(error: &OpenError) -> Option<&str> {
    match error {
        OpenError::Storage(error) => error.hint(),
        OpenError::Rebuild(error) => error.hint.as_deref(),
        OpenError::Executor(_) | OpenError::Thread(_) => None,
    }
}

fn listen_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "Stop the server that has this port, or choose another with --listen.",
        io::ErrorKind::PermissionDenied => "Ports below 1024 are the system's; choose another with --listen.",
        _ => "Choose an address of this machine with --listen, such as 127.0.0.1:7432.",
    }
}

/// A server that has its folder and its port.
pub struct Server {
    database: Arc<Database>,
    listener: Listener,
    address: SocketAddr,
    peers: Peers,
}

impl Server {
    /// Opens the folder, brings back what is in it, and opens the port.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub async fn start(config: &Config) -> Result<Server, StartError> {
        let listen = config.listener()?;
        if listen.users.is_empty() && !config.listen.ip().is_loopback() {
            tracing::warn!(
                "everyone who can reach {} is let in; declare users to change that",
                config.listen
            );
        }
        let database = Database::open(&DatabaseConfig {
            data_dir: config.data_dir.clone(),
            workers: config.workers,
            retention: config.retention,
        })
        .await?;
        let peers = Peers {
            backends: Backends::new(),
            notifier: Notifier::new(),
        };
        let cannot_listen = |source| StartError::Listen {
            address: config.listen,
            source,
        };
        let listener = Listener::bind(
            &listen,
            Arc::clone(&database),
            Arc::clone(&peers.backends),
            Arc::clone(&peers.notifier),
        )
        .await
        .map_err(cannot_listen)?;
        let address = listener.local_address().map_err(cannot_listen)?;
        Ok(Server {
            database,
            listener,
            address,
            peers,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The command that connects to it.
    pub fn psql(&self) -> String {
        let host = match self.address.ip() {
            ip if ip.is_unspecified() => "127.0.0.1".to_string(),
            ip => ip.to_string(),
        };
        format!("psql -h {host} -p {} -U {USER} {DATABASE_NAME}", self.address.port())
    }

    /// A session in this process, which no client sees.
    ///
    /// # Errors
    /// When the server does not take sessions.
    pub fn session(&self) -> Result<Session, SqlError> {
        let startup = Startup {
            user: USER.to_string(),
            database: DATABASE_NAME.to_string(),
            settings: Vec::new(),
            pid: 0,
            peers: self.peers.clone(),
        };
        Session::try_new(Arc::clone(&self.database), startup)
    }

    /// Serves until `stop` is ready. Then clients are told, commits under way finish, and the workers end.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        self.listener.serve(stop).await;
        self.database.coordinator().stop().await;
    }
}

/// `highwater serve`: a server until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub async fn serve(config: Config) -> Result<(), StartError> {
    let server = Server::start(&config).await?;
    let stop = stop_signal();
    tracing::info!(
        address = %server.address(),
        data_dir = %config.data_dir.display(),
        workers = config.workers,
        "serving"
    );
    tracing::info!("connect with: {}", server.psql());
    server.run(stop).await;
    tracing::info!("stopped");
    Ok(())
}

/// Ready at Ctrl-C or SIGTERM. They are watched from the call on, not only once it is waited for: a signal that comes
/// right after the server has said where it listens must find it.
pub fn stop_signal() -> impl Future<Output = ()> {
    let interrupt = watch(SignalKind::interrupt());
    let terminate = watch(SignalKind::terminate());
    async move {
        tokio::select! {
            () = raised(interrupt) => {}
            () = raised(terminate) => {}
        }
    }
}

fn watch(kind: SignalKind) -> Option<Signal> {
    signal(kind)
        .inspect_err(|error| tracing::warn!(%error, ?kind, "a signal cannot be watched; it ends the process at once"))
        .ok()
}

async fn raised(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
