//! Statements that concern the connection alone: PREPARE, EXECUTE, DEALLOCATE, DISCARD, LISTEN, UNLISTEN, NOTIFY,
//! and the way to those of `cursor.rs`.

use std::sync::Arc;

use highwater_parser::{Parsed, Statement};
use highwater_types::{SqlError, SqlState};

use super::connection::{Connection, Mail};
use super::error::Stop;
use super::run::Work;
use super::statement::{Planned, PlannedKind};
use crate::session::settings::time_limit;

/// PostgreSQL's limit on what NOTIFY carries.
const MAX_PAYLOAD_BYTES: usize = 8000;

impl Connection {
    /// Plans one of these statements: what it answers, as far as that can be known now.
    pub(super) fn plan_command(&mut self, parsed: Parsed) -> Result<Planned, Stop> {
        if let Statement::DeclareCursor { query, .. } = &parsed.statement {
            let query = self.session.prepare(query.as_ref().clone(), &[])?;
            self.link.watch.check()?;
            let params = query.params.clone();
            let kind = PlannedKind::Cursor(Box::new(parsed), query);
            return Ok(Planned {
                kind,
                params,
                columns: None,
            });
        }
        let columns = match &parsed.statement {
            Statement::Fetch {
                r#move: false, cursor, ..
            } => self.portals.find(cursor).and_then(|portal| portal.columns().cloned()),
            Statement::Execute { name, .. } => match self.statements.find(name) {
                Ok(planned) => planned.columns.clone(),
                Err(_) => None,
            },
            _ => None,
        };
        Ok(Planned {
            kind: PlannedKind::Connection(Box::new(parsed)),
            params: Vec::new(),
            columns,
        })
    }

    /// Runs one of these statements, up to its first row.
    pub(super) async fn start_command(&mut self, parsed: &Parsed) -> Result<Work, Stop> {
        let done = |tag: &str| Ok(Work::Done(tag.to_string()));
        match &parsed.statement {
            Statement::Prepare { name, types, statement } => {
                let declared = self.session.declared_types(types)?;
                let prepared = self.session.prepare(statement.as_ref().clone(), &declared)?;
                self.link.watch.check()?;
                self.statements.insert(name, Arc::new(Planned::of_session(prepared)))?;
                done("PREPARE")
            }
            Statement::Execute { .. } => self.execute_prepared(&parsed.statement).await,
            Statement::Deallocate(Some(name)) => {
                if !self.statements.remove(name) {
                    let message = format!("prepared statement \"{name}\" does not exist");
                    return Err(Stop::Error(SqlError::new(
                        SqlState::INVALID_SQL_STATEMENT_NAME,
                        message,
                    )));
                }
                done("DEALLOCATE")
            }
            Statement::Deallocate(None) => {
                self.statements.clear();
                done("DEALLOCATE ALL")
            }
            Statement::Fetch {
                r#move,
                count,
                cursor,
                timeout,
            } => {
                let timeout = timeout.as_deref().map(|text| time_limit("timeout", text)).transpose()?;
                Ok(self.start_fetch(*r#move, *count, cursor, timeout)?)
            }
            Statement::CloseCursor(name) => Ok(self.close_cursor(name.as_deref())?),
            Statement::Discard(what) => self.discard(what, parsed).await,
            Statement::Listen(channel) => {
                self.mail.push(Mail::Listen(channel.clone()));
                done("LISTEN")
            }
            Statement::Unlisten(channel) => {
                self.mail.push(Mail::Unlisten(channel.clone()));
                done("UNLISTEN")
            }
            Statement::Notify { channel, payload } => {
                self.notify(channel, payload)?;
                done("NOTIFY")
            }
            _ => Err(Stop::Error(SqlError::new(
                SqlState::INTERNAL_ERROR,
                "a statement of the session's reached the connection",
            ))),
        }
    }

    /// EXECUTE: its arguments are expressions, which the session computes.
    async fn execute_prepared(&mut self, statement: &Statement) -> Result<Work, Stop> {
        let Statement::Execute { name, params } = statement else {
            return Err(Stop::Error(SqlError::new(SqlState::INTERNAL_ERROR, "not an EXECUTE")));
        };
        let planned = self.statements.find(name)?;
        if params.len() != planned.params.len() {
            return Err(Stop::Error(
                SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("wrong number of parameters for prepared statement \"{name}\""),
                )
                .with_detail(format!(
                    "Expected {} parameters but got {}.",
                    planned.params.len(),
                    params.len()
                )),
            ));
        }
        match &planned.kind {
            PlannedKind::Empty => Ok(Work::Empty),
            PlannedKind::Session(prepared) => {
                let values = self.link.run(self.session.evaluate(params, &planned.params)).await?;
                self.start_in_session(prepared, values).await
            }
            PlannedKind::Connection(_) | PlannedKind::Cursor(..) => Err(Stop::Error(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("EXECUTE of \"{name}\", which is not a query or a change of rows, is not supported"),
            ))),
        }
    }

    /// DISCARD: the session forgets its settings, the connection the rest.
    async fn discard(&mut self, what: &str, parsed: &Parsed) -> Result<Work, Stop> {
        if what == "ALL" {
            if self.in_transaction_block() {
                return Err(Stop::Error(SqlError::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "DISCARD ALL cannot run inside a transaction block",
                )));
            }
            self.portals.close_all();
            self.statements.clear();
            self.mail.clear();
            self.ear.unlisten(None);
        }
        let prepared = self.session.prepare(parsed.clone(), &[])?;
        self.start_in_session(&prepared, Vec::new()).await
    }

    /// NOTIFY takes effect when the transaction commits; the same one twice in a transaction is one.
    fn notify(&mut self, channel: &str, payload: &str) -> Result<(), SqlError> {
        let refuse = |what: &str| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, what));
        if channel.is_empty() {
            return refuse("channel name cannot be empty");
        }
        if payload.len() >= MAX_PAYLOAD_BYTES {
            return refuse("payload string too long");
        }
        let mail = Mail::Notify {
            channel: channel.to_string(),
            payload: payload.to_string(),
        };
        if !self.mail.contains(&mail) {
            self.mail.push(mail);
        }
        Ok(())
    }
}
