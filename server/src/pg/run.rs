//! Running statements: [`Connection::start`] makes a statement into [`Work`], [`Connection::advance`] moves it on
//! until it is complete or the client has as many rows as it asked for. What a transaction's end does to the
//! connection (cursors, LISTEN and NOTIFY) is here too.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use highwater_parser::{Parsed, Statement};
use highwater_types::{SqlError, SqlState, SqlType};
use pgwire::messages::extendedquery::PortalSuspended;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::connection::{Connection, Mail};
use super::copy_out::CopyOut;
use super::cursor::Fetch;
use super::encode::Format;
use super::error::Stop;
use super::portal::Portal;
use super::rows::{Patience, Rows, Use};
use super::statement::{Planned, PlannedKind, ends_failed_transaction, is_connections_own};
use crate::session::{CopyIn, Outcome, OutputColumn, Prepared, TransactionStatus};

/// What is left of a statement.
pub(super) enum Work {
    /// It said nothing.
    Empty,
    /// It is done; its tag is to be sent.
    Done(String),
    /// Rows to send.
    Rows(Rows),
    /// Rows of another portal to send.
    Fetch(Fetch),
    /// Rows to receive.
    CopyIn(CopyIn),
    /// Rows to send as COPY data.
    CopyOut(CopyOut),
    /// It is done, and that was sent.
    Over,
}

impl Work {
    /// The columns of the rows it sends, if it sends any.
    pub(super) fn columns(&self) -> Option<&Arc<[OutputColumn]>> {
        match self {
            Work::Rows(rows) => Some(rows.columns()),
            Work::Fetch(fetch) => fetch.columns(),
            Work::Empty | Work::Done(_) | Work::CopyIn(_) | Work::CopyOut(_) | Work::Over => None,
        }
    }
}

/// How far a statement has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The client has as many rows as it asked for.
    Suspended,
    /// It is complete, with this tag.
    Complete(String),
    /// It was empty.
    Empty,
}

impl Connection {
    /// Plans a statement: the session does, or, for those that concern the connection, nobody has to.
    pub(super) fn plan(&mut self, parsed: Parsed, declared: &[Option<SqlType>]) -> Result<Arc<Planned>, Stop> {
        self.refuse_in_failed_transaction(&parsed.statement)?;
        if is_connections_own(&parsed.statement) {
            return Ok(Arc::new(self.plan_command(parsed)?));
        }
        let length = parsed.text.len();
        let prepared = give_way(length, || self.session.prepare(parsed, declared))?;
        // Planning does not wait, so a cancel that came meanwhile is seen now.
        self.link.watch.check()?;
        Ok(Arc::new(Planned::of_session(prepared)))
    }

    /// In a transaction block that has failed only its end is heard.
    pub(super) fn refuse_in_failed_transaction(&self, statement: &Statement) -> Result<(), SqlError> {
        if self.session.status() == TransactionStatus::Failed && !ends_failed_transaction(statement) {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// Runs a statement up to its first row.
    pub(super) async fn start(&mut self, planned: &Planned, params: Vec<ScalarValue>) -> Result<Work, Stop> {
        if let Some(statement) = planned.statement() {
            self.refuse_in_failed_transaction(statement)?;
        }
        match &planned.kind {
            PlannedKind::Empty => Ok(Work::Empty),
            PlannedKind::Session(prepared) => self.start_in_session(prepared, params).await,
            PlannedKind::Connection(parsed) => self.start_command(parsed).await,
            PlannedKind::Cursor(parsed, query) => self.declare(&parsed.statement, query, params).await,
        }
    }

    /// Has the session run a statement.
    pub(super) async fn start_in_session(
        &mut self,
        prepared: &Arc<Prepared>,
        params: Vec<ScalarValue>,
    ) -> Result<Work, Stop> {
        let statement = &prepared.parsed.statement;
        let before = self.session.status();
        if before == TransactionStatus::Open && *statement == Statement::Commit {
            self.portals.hold(&mut self.link).await?;
        }
        let outcome = self.link.run(self.session.execute(prepared, params)).await?;
        self.send_notices();
        self.follow_transaction(statement, before);
        Ok(match outcome {
            Outcome::Rows { columns, stream, tag } => {
                check_same_result(prepared.columns.as_deref(), &columns)?;
                Work::Rows(Rows::new(columns, tag, stream))
            }
            Outcome::Done { tag } => Work::Done(tag),
            Outcome::CopyIn(copy) => Work::CopyIn(copy),
            Outcome::CopyOut {
                columns,
                stream,
                format,
            } => Work::CopyOut(CopyOut::new(Rows::new(columns, "COPY", stream), format)),
            Outcome::Empty => Work::Empty,
        })
    }

    /// Moves work on by at most `limit` rows.
    pub(super) async fn advance(&mut self, work: &mut Work, formats: &[Format], limit: u64) -> Result<Progress, Stop> {
        // What is read in parts is put back; all else is over once it has been run.
        match std::mem::replace(work, Work::Over) {
            Work::Empty => {
                *work = Work::Empty;
                Ok(Progress::Empty)
            }
            Work::Done(tag) => Ok(Progress::Complete(tag)),
            Work::Rows(mut rows) => {
                let settings = self.session.text_settings();
                // Whoever asks for all of what has no end gets it as it comes.
                let patience = match limit {
                    u64::MAX => Patience::Endless,
                    _ => rows.patience(),
                };
                let count = rows
                    .read(&mut self.link, formats, &settings, limit, Use::Send, patience)
                    .await?;
                let progress = if count == limit || !rows.is_over() {
                    Progress::Suspended
                } else {
                    Progress::Complete(rows.tag(count))
                };
                *work = Work::Rows(rows);
                Ok(progress)
            }
            Work::Fetch(mut fetch) => {
                let progress = self.fetch(&mut fetch, formats, limit).await?;
                *work = Work::Fetch(fetch);
                Ok(progress)
            }
            Work::CopyOut(copy) => {
                let settings = self.session.text_settings();
                Ok(Progress::Complete(copy.send(&mut self.link, &settings).await?))
            }
            Work::CopyIn(copy) => Ok(Progress::Complete(self.copy_in(copy).await?)),
            Work::Over => Err(Stop::Error(SqlError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "portal cannot be run any more",
            ))),
        }
    }

    /// Runs a portal, from its start if it has not been run, by at most `limit` rows.
    pub(super) async fn run_portal(&mut self, portal: &mut Portal, limit: u64) -> Result<Progress, Stop> {
        let mut work = match portal.work.take() {
            Some(work) => work,
            None => {
                let params = std::mem::take(&mut portal.params);
                self.start(&Arc::clone(&portal.planned), params).await?
            }
        };
        let progress = self.advance(&mut work, &portal.formats, limit).await;
        portal.work = Some(work);
        progress
    }

    /// Tells the client how far a statement has come.
    pub(super) fn put_progress(&mut self, progress: Progress) {
        match progress {
            Progress::Suspended => self.link.writer.put(&PortalSuspended::new()),
            Progress::Complete(tag) => self.link.writer.put(&CommandComplete::new(tag)),
            Progress::Empty => self.link.writer.put(&EmptyQueryResponse::new()),
        }
    }

    /// Ends the implicit transaction, unless a transaction block is open.
    pub(super) async fn end_implicit(&mut self) -> Result<(), Stop> {
        if self.session.status() != TransactionStatus::Idle {
            return Ok(());
        }
        self.portals.hold(&mut self.link).await?;
        self.link.run(self.session.end_implicit()).await?;
        self.send_notices();
        self.transaction_ended(true);
        Ok(())
    }

    /// A statement failed: so has its transaction.
    pub(super) fn fail(&mut self) {
        self.link.watch.finish();
        self.session.fail();
        if self.session.status() == TransactionStatus::Idle {
            self.transaction_ended(false);
        }
    }

    /// Does to the connection what a statement has done to the transaction.
    fn follow_transaction(&mut self, statement: &Statement, before: TransactionStatus) {
        let after = self.session.status();
        if before != TransactionStatus::Idle && after == TransactionStatus::Idle {
            let committed = *statement == Statement::Commit && before == TransactionStatus::Open;
            self.transaction_ended(committed);
            return;
        }
        match statement {
            Statement::Savepoint(name) => {
                self.portals.savepoint(name);
                self.mail_marks.push((name.clone(), self.mail.len()));
            }
            Statement::RollbackTo(name) => {
                self.portals.rollback_to(name);
                if let Some(at) = self.mail_marks.iter().rposition(|(mark, _)| mark == name) {
                    self.mail.truncate(self.mail_marks[at].1);
                    self.mail_marks.truncate(at + 1);
                }
            }
            Statement::Release(name) => {
                self.portals.release(name);
                if let Some(at) = self.mail_marks.iter().rposition(|(mark, _)| mark == name) {
                    self.mail_marks.truncate(at);
                }
            }
            _ => {}
        }
    }

    /// The transaction has ended: its portals go, and its LISTEN and NOTIFY take effect, or do not.
    pub(super) fn transaction_ended(&mut self, committed: bool) {
        self.portals.end_transaction(committed);
        self.mail_marks.clear();
        for mail in std::mem::take(&mut self.mail) {
            if !committed {
                continue;
            }
            match mail {
                Mail::Listen(channel) => self.ear.listen(&channel),
                Mail::Unlisten(channel) => self.ear.unlisten(channel.as_deref()),
                Mail::Notify { channel, payload } => self.ear.notify(channel, payload),
            }
        }
    }

    /// Sends the session's notices, as far as the client wants them.
    pub(super) fn send_notices(&mut self) {
        let notices = self.session.take_notices();
        if notices.is_empty() {
            return;
        }
        let wanted = super::connection::least_severity(self.session.settings().value("client_min_messages"));
        for notice in notices {
            if super::error::Severity::of_notice(notice.state) >= wanted {
                self.link.writer.put_notice(&notice);
            }
        }
    }
}

/// Statements longer than this are parsed and planned aside: their planning may take long, and cannot be interrupted.
const LONG_STATEMENT_BYTES: usize = 512;

/// Does work on a statement of this length without holding up the connections that share the thread.
pub(super) fn give_way<T>(length: usize, work: impl FnOnce() -> T) -> T {
    let shared_thread = Handle::try_current().is_ok_and(|h| h.runtime_flavor() == RuntimeFlavor::MultiThread);
    if length > LONG_STATEMENT_BYTES && shared_thread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// A statement planned before a change of the catalog must not answer other columns than it was described with.
fn check_same_result(described: Option<&[OutputColumn]>, now: &[OutputColumn]) -> Result<(), SqlError> {
    let same = described.is_none_or(|described| {
        described.len() == now.len() && described.iter().zip(now).all(|(a, b)| a.sql_type == b.sql_type)
    });
    if same {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "cached plan must not change result type",
    ))
}
