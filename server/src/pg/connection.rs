//! [`Connection`]: one client after its login. Reads a message, has it answered, and says ReadyForQuery when the
//! protocol wants it; between messages it sends notifications and minds its idle times.

use futures::FutureExt;
use highwater_types::{SqlError, SqlState};
use pgwire::messages::response::{NotificationResponse, ReadyForQuery, TransactionStatus as WireStatus};
use tokio::time::Duration;

use super::cancel::Registered;
use super::error::{Severity, Stop, broken};
use super::frame::{Frame, Request};
use super::link::Link;
use super::notify::{Ear, Notification};
use super::portal::Portals;
use super::statement::Statements;
use crate::session::{Session, TransactionStatus};

/// How long a client is given to take the last message.
const FAREWELL: Duration = Duration::from_secs(2);
/// PostgreSQL's codes for clients that say nothing for too long.
const IDLE_IN_TRANSACTION_TIMEOUT: SqlState = SqlState("25P03");
const IDLE_SESSION_TIMEOUT: SqlState = SqlState("57P05");

/// LISTEN and NOTIFY, waiting for the transaction to commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mail {
    Listen(String),
    Unlisten(Option<String>),
    Notify { channel: String, payload: String },
}

/// One client.
pub(super) struct Connection {
    pub(super) link: Link,
    pub(super) session: Session,
    pub(super) statements: Statements,
    pub(super) portals: Portals,
    pub(super) ear: Ear,
    pub(super) mail: Vec<Mail>,
    /// Savepoints, and how much mail there was at each.
    pub(super) mail_marks: Vec<(String, usize)>,
    pub(super) registered: Registered,
    /// An extended query failed: nothing is done until the next Sync.
    pub(super) skip_to_sync: bool,
    /// A string of more than one statement is being run.
    pub(super) several: bool,
    /// ReadyForQuery was the last message, and nothing has come since.
    idle: bool,
}

impl Connection {
    pub(super) fn new(link: Link, session: Session, registered: Registered, ear: Ear) -> Connection {
        Connection {
            link,
            session,
            statements: Statements::default(),
            portals: Portals::default(),
            ear,
            mail: Vec::new(),
            mail_marks: Vec::new(),
            registered,
            skip_to_sync: false,
            several: false,
            idle: false,
        }
    }

    /// Serves the client until one of them has had enough.
    pub(super) async fn serve(mut self) {
        let served = std::panic::AssertUnwindSafe(self.answer_all()).catch_unwind().await;
        let stop = served.unwrap_or_else(|_| {
            // The panic's hook has logged it. What it may have left half done ends with this connection.
            Stop::Fatal(SqlError::new(
                SqlState::INTERNAL_ERROR,
                "internal error: the connection's task panicked",
            ))
        });
        let patience = match stop {
            Stop::Fatal(error) | Stop::Error(error) => {
                self.link.writer.put_error(&error, Severity::Fatal);
                FAREWELL
            }
            Stop::Gone => Duration::from_millis(100),
        };
        self.link.writer.close(patience).await;
    }

    async fn answer_all(&mut self) -> Stop {
        if let Err(stop) = self.ready().await {
            return stop;
        }
        loop {
            let answered = match self.next_frame().await {
                Ok(frame) => self.answer(frame).await,
                Err(stop) => Err(stop),
            };
            if let Err(stop) = answered {
                return stop;
            }
        }
    }

    /// The next message. While there is none, notifications are passed on.
    async fn next_frame(&mut self) -> Result<Frame, Stop> {
        loop {
            if let Some(frame) = self.link.reader.buffered_frame()? {
                return Ok(frame);
            }
            let status = self.session.status();
            let outside = self.idle && status == TransactionStatus::Idle;
            let (patience, overdue) = match status {
                TransactionStatus::Idle => (self.session.settings().idle_session_timeout(), idle_for_too_long()),
                TransactionStatus::Open | TransactionStatus::Failed => (
                    self.session.settings().idle_in_transaction_timeout(),
                    open_for_too_long(),
                ),
            };
            let patience = patience.filter(|_| self.idle);
            let too_long = async {
                match patience {
                    Some(patience) => tokio::time::sleep(patience).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                stop = self.link.watch.terminated() => return Err(stop),
                frame = self.link.reader.frame() => return frame?.ok_or(Stop::Gone),
                notification = self.ear.next(), if outside => {
                    self.put_notification(notification);
                    self.link.flush_fully().await?;
                }
                () = too_long => return Err(Stop::Fatal(overdue)),
            }
        }
    }

    async fn answer(&mut self, frame: Frame) -> Result<(), Stop> {
        if self.skip_to_sync && !matches!(frame.tag, b'S' | b'X') {
            return Ok(());
        }
        if self.idle {
            self.link.watch.forget_cancels();
            self.idle = false;
        }
        let extended = matches!(frame.tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H');
        let answered = match frame.decode()? {
            Ok(request) => self.answer_request(request).await,
            Err(error) => Err(Stop::Error(error)),
        };
        match answered {
            Err(Stop::Error(error)) => {
                self.fail();
                self.link.writer.put_error(&error, Severity::Error);
                if extended {
                    self.skip_to_sync = true;
                    Ok(())
                } else {
                    self.ready().await
                }
            }
            other => other,
        }
    }

    async fn answer_request(&mut self, request: Request) -> Result<(), Stop> {
        match request {
            Request::Query(sql) => self.simple_query(&sql).await,
            Request::Parse(message) => self.parse(message),
            Request::Bind(message) => self.bind(message),
            Request::Describe(message) => self.describe(&message),
            Request::Execute(message) => self.execute(&message).await,
            Request::Close(message) => self.close(&message),
            Request::Flush => self.link.flush_fully().await,
            Request::Sync => self.sync().await,
            Request::FunctionCall => Err(Stop::Error(
                SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "fastpath function calls are not supported",
                )
                .with_hint("Call the function with SELECT."),
            )),
            // What a client sends after its COPY has failed.
            Request::CopyData(_) | Request::CopyDone | Request::CopyFail(_) => Ok(()),
            Request::Terminate => Err(Stop::Gone),
        }
    }

    /// ReadyForQuery, and before it all that the client must know by then.
    pub(super) async fn ready(&mut self) -> Result<(), Stop> {
        self.link.watch.finish();
        self.send_notices();
        for (name, value) in self.session.take_reports() {
            self.link.writer.put_parameter(name, value);
        }
        let (status, shown) = match self.session.status() {
            TransactionStatus::Idle => (WireStatus::Idle, "idle"),
            TransactionStatus::Open => (WireStatus::Transaction, "idle in transaction"),
            TransactionStatus::Failed => (WireStatus::Error, "idle in transaction (aborted)"),
        };
        if status == WireStatus::Idle {
            while let Some(notification) = self.ear.try_next() {
                self.put_notification(notification);
                if self.link.writer.is_full() {
                    self.link.flush_fully().await?;
                }
            }
        }
        self.link.writer.put(&ReadyForQuery::new(status));
        self.registered.show(shown, None);
        self.idle = true;
        self.link.flush_fully().await
    }

    fn put_notification(&mut self, notification: Notification) {
        let Notification { pid, channel, payload } = notification;
        self.link.writer.put(&NotificationResponse::new(pid, channel, payload));
    }

    /// The next message while COPY data is awaited, unless there is a reason to stop.
    pub(super) async fn next_copy_frame(&mut self) -> Result<Frame, Stop> {
        self.link.watch.check()?;
        let Link { reader, watch, .. } = &mut self.link;
        tokio::select! {
            biased;
            frame = reader.frame() => match frame? {
                Some(frame) => Ok(frame),
                None => Err(Stop::Gone),
            },
            stop = watch.stopped() => Err(stop),
        }
    }
}

/// The least severity of notices that the client wants.
pub(super) fn least_severity(client_min_messages: &str) -> Severity {
    match client_min_messages {
        "warning" => Severity::Warning,
        "error" => Severity::Error,
        "fatal" | "panic" => Severity::Fatal,
        _ => Severity::Notice,
    }
}

fn idle_for_too_long() -> SqlError {
    SqlError::new(
        IDLE_SESSION_TIMEOUT,
        "terminating connection due to idle-session timeout",
    )
}

fn open_for_too_long() -> SqlError {
    SqlError::new(
        IDLE_IN_TRANSACTION_TIMEOUT,
        "terminating connection due to idle-in-transaction timeout",
    )
}

/// The error for a message that has no place where it came.
pub(super) fn out_of_place(tag: u8) -> Stop {
    broken(format!("unexpected message type {tag}"))
}
