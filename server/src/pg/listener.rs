//! [`Listener`]: accepts connections and gives each a task of its own. What happens in one, a panic included, stays
//! there. There is a limit on clients that are in, and a larger one on those at the door; stopping tells all of
//! them, and gives them a moment.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Duration;

use super::cancel::{Backend, Backends};
use super::notify::Notifier;
use super::startup::welcome;
use super::tls::TlsIdentity;
use super::users::Users;
use super::wire::Stream;
use crate::config::DEFAULT_MAX_CONNECTIONS;
use crate::session::Database;
use crate::system::SessionInfo;

/// Clients at the door beyond those that are in.
const LOBBY: usize = 256;
/// After a failure to accept (no file descriptors left, most often) the next try waits.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections have this long to end when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How to listen.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Where.
    pub address: SocketAddr,
    /// How many clients may be in.
    pub max_connections: usize,
    /// The certificate for TLS; without one it is declined.
    pub tls: Option<TlsIdentity>,
    /// Who may come in.
    pub users: Users,
}

impl ListenerConfig {
    /// Listens here, without TLS, and believes everyone.
    pub fn new(address: SocketAddr) -> ListenerConfig {
        ListenerConfig {
            address,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            tls: None,
            users: Users::default(),
        }
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) database: Arc<Database>,
    pub(super) backends: Arc<Backends>,
    pub(super) notifier: Arc<Notifier>,
    pub(super) users: Users,
    pub(super) tls: Option<TlsIdentity>,
    /// One for each client that is in.
    pub(super) slots: Arc<Semaphore>,
    stopping: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        database: Arc<Database>,
        backends: Arc<Backends>,
        notifier: Arc<Notifier>,
        config: &ListenerConfig,
    ) -> Arc<Shared> {
        let connected = Arc::clone(&backends);
        database
            .system()
            .ask_for_sessions(move || connected.list().iter().map(session_info).collect());
        Arc::new(Shared {
            database,
            backends,
            notifier,
            users: config.users.clone(),
            tls: config.tls.clone(),
            slots: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
            stopping: AtomicBool::new(false),
        })
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// A client as `pg_stat_activity` and `highwater.sessions` show it.
fn session_info(backend: &Backend) -> SessionInfo {
    let address: Option<SocketAddr> = backend.client_address.parse().ok();
    SessionInfo {
        pid: backend.pid,
        user: backend.user.clone(),
        database: backend.database.clone(),
        application_name: String::new(),
        client_addr: address.map(|a| a.ip().to_string()),
        client_port: address.map(|a| i32::from(a.port())),
        started_us: backend.started.timestamp_micros(),
        transaction_us: None,
        query_us: (backend.state == "active").then(|| backend.state_changed.timestamp_micros()),
        state: backend.state.to_string(),
        query: backend.query.clone(),
    }
}

/// An open port.
pub struct Listener {
    socket: TcpListener,
    lobby: Arc<Semaphore>,
    shared: Arc<Shared>,
}

impl Listener {
    /// Opens the port.
    ///
    /// # Errors
    /// When it is in use, or not ours to open.
    pub async fn bind(
        config: &ListenerConfig,
        database: Arc<Database>,
        backends: Arc<Backends>,
        notifier: Arc<Notifier>,
    ) -> io::Result<Listener> {
        let socket = TcpListener::bind(config.address).await?;
        Ok(Listener {
            socket,
            lobby: Arc::new(Semaphore::new(
                config.max_connections.saturating_add(LOBBY).min(Semaphore::MAX_PERMITS),
            )),
            shared: Shared::new(database, backends, notifier, config),
        })
    }

    /// Where it listens: the port that was chosen, where none was asked for.
    ///
    /// # Errors
    /// When the socket has gone bad.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop` is ready, and then until every client has been told, or had its time.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((socket, address)) => self.spawn(&mut connections, socket, address),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection's task failed");
                    }
                }
            }
        }
        self.shared.stopping.store(true, Ordering::Relaxed);
        drop(self.socket);
        self.shared.backends.terminate_all();
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_PATIENCE, ended).await.is_err() {
            tracing::warn!(
                count = connections.len(),
                "connections that did not end in time were cut"
            );
        }
        connections.shutdown().await;
    }

    fn spawn(&self, connections: &mut JoinSet<()>, socket: TcpStream, address: SocketAddr) {
        let Ok(place) = Arc::clone(&self.lobby).try_acquire_owned() else {
            tracing::warn!(%address, "turned away at the door: too many connections");
            return;
        };
        // Answers are written whole; waiting for more to send would only delay them.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let shared = Arc::clone(&self.shared);
        connections.spawn(async move {
            let _place = place;
            serve_stream(Box::new(socket), &address.to_string(), &shared).await;
        });
    }
}

/// Serves one client from its first byte to its last.
pub(super) async fn serve_stream(stream: Stream, address: &str, shared: &Arc<Shared>) {
    if let Some(connection) = welcome(stream, address, shared).await {
        connection.serve().await;
    }
}
