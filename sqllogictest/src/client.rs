//! [`Client`]: a session as sqllogictest wants it, over the simple protocol, so that every value is the text that the
//! server writes. It connects when it has something to say, and again after it was shut down, so that a restart of
//! the server needs a new connection but no new runner.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tokio::task::JoinHandle;
use tokio_postgres::{Config, Error, NoTls, SimpleQueryMessage};

/// The name of our own engine.
pub(crate) const HIGHWATER: &str = "highwater";
/// SQLSTATE of what is not built.
pub(crate) const NOT_SUPPORTED: &str = "0A000";
/// Stands for NULL in results.
const NULL: &str = "NULL";
/// Stands for an empty text in results.
const EMPTY: &str = "(empty)";

/// Where a server is reached now; a restart may change it.
#[derive(Clone)]
pub(crate) struct Address(Arc<Mutex<Config>>);

impl Address {
    pub(crate) fn new(config: Config) -> Address {
        Address(Arc::new(Mutex::new(config)))
    }

    pub(crate) fn set(&self, config: Config) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn config(&self) -> Config {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A session.
pub(crate) struct Client {
    address: Address,
    engine: &'static str,
    open: Option<(tokio_postgres::Client, JoinHandle<()>)>,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The server says so.
    #[error("{state}: {message}")]
    Server {
        state: String,
        message: String,
        hint: Option<String>,
    },
    /// The server refuses something, and does not say what to do instead.
    #[error("no hint with {state}: {message}")]
    NoHint { state: String, message: String },
    /// The driver says so.
    #[error(transparent)]
    Driver(#[from] Error),
}

impl ClientError {
    /// A refusal of Highwater's must come with a hint.
    fn hinted(self, engine: &str) -> ClientError {
        match self {
            ClientError::Server {
                state,
                message,
                hint: None,
            } if engine == HIGHWATER && state == NOT_SUPPORTED => ClientError::NoHint { state, message },
            other => other,
        }
    }

    fn new(error: Error) -> ClientError {
        match error.as_db_error() {
            Some(server) => ClientError::Server {
                state: server.code().code().to_string(),
                message: server.message().to_string(),
                hint: server.hint().map(str::to_string),
            },
            None => ClientError::Driver(error),
        }
    }

    /// The SQLSTATE, when it came from the server.
    pub(crate) fn state(&self) -> Option<&str> {
        match self {
            ClientError::Server { state, .. } => Some(state),
            ClientError::Driver(_) | ClientError::NoHint { .. } => None,
        }
    }
}

impl Client {
    pub(crate) fn new(address: Address, engine: &'static str) -> Client {
        Client {
            address,
            engine,
            open: None,
        }
    }

    async fn connected(&mut self) -> Result<&tokio_postgres::Client, ClientError> {
        if self.open.is_none() {
            let (client, connection) = self.address.config().connect(NoTls).await?;
            let connection = tokio::spawn(async move {
                // The client's own calls say what went wrong.
                let _ = connection.await;
            });
            self.open = Some((client, connection));
        }
        let (client, _) = self.open.as_ref().expect("it was opened just now");
        Ok(client)
    }
}

#[async_trait]
impl AsyncDB for Client {
    type Error = ClientError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, ClientError> {
        let client = self.connected().await?;
        let messages = client.simple_query(sql).await;
        let messages = messages.map_err(|error| ClientError::new(error).hinted(self.engine))?;
        let mut rows = Vec::new();
        let mut columns = None;
        let mut changed = 0;
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(names) => columns = Some(names.len()),
                SimpleQueryMessage::Row(row) => rows.push((0..row.len()).map(|c| cell(row.get(c))).collect()),
                SimpleQueryMessage::CommandComplete(count) => changed = count,
                _ => {}
            }
        }
        Ok(match columns {
            Some(count) => DBOutput::Rows {
                types: vec![DefaultColumnType::Any; count],
                rows,
            },
            None => DBOutput::StatementComplete(changed),
        })
    }

    async fn shutdown(&mut self) {
        if let Some((client, connection)) = self.open.take() {
            drop(client);
            // A connection that ended badly has told its client.
            let _ = connection.await;
        }
    }

    fn engine_name(&self) -> &str {
        self.engine
    }

    async fn sleep(duration: std::time::Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(error: &ClientError) -> Option<String> {
        error.state().map(str::to_string)
    }
}

/// A value as files show it, on one line.
fn cell(value: Option<&str>) -> String {
    match value {
        None => NULL.to_string(),
        Some("") => EMPTY.to_string(),
        Some(text) => text.replace('\n', "\\n"),
    }
}
