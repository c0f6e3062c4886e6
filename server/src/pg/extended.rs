//! The extended protocol: Parse, Bind, Describe, Execute, Close, Flush and Sync. All up to a Sync is one
//! transaction; after an error nothing is done until the Sync.

use std::sync::Arc;

use highwater_parser::parse;
use highwater_types::{SqlError, SqlState, SqlType};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete,
};

use super::connection::Connection;
use super::decode::{decode_parameters, input_settings};
use super::describe::{put_parameter_description, put_row_description};
use super::encode::Format;
use super::error::{Severity, Stop};
use super::portal::{Portal, no_portal};
use super::run::give_way;
use super::statement::Planned;
use super::types;

impl Connection {
    pub(super) fn parse(&mut self, message: Parse) -> Result<(), Stop> {
        let name = message.name.unwrap_or_default();
        self.begin_step();
        if name.is_empty() {
            self.statements.remove("");
        }
        let mut statements = give_way(message.query.len(), || parse(&message.query)).map_err(SqlError::from)?;
        if statements.len() > 1 {
            return Err(Stop::Error(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "cannot insert multiple commands into a prepared statement",
            )));
        }
        let declared = message
            .type_oids
            .iter()
            .map(|oid| declared_type(*oid))
            .collect::<Result<Vec<_>, _>>()?;
        let planned = match statements.pop() {
            Some(parsed) => self.plan(parsed, &declared)?,
            None => Arc::new(Planned::empty()),
        };
        self.statements.insert(&name, planned)?;
        self.link.writer.put(&ParseComplete::new());
        Ok(())
    }

    pub(super) fn bind(&mut self, message: Bind) -> Result<(), Stop> {
        let statement = message.statement_name.unwrap_or_default();
        let name = message.portal_name.unwrap_or_default();
        self.begin_step();
        let planned = self.statements.find(&statement)?;
        if let Some(says) = planned.statement() {
            self.refuse_in_failed_transaction(says)?;
        }
        let settings = input_settings(&self.session);
        let params = decode_parameters(
            &statement,
            &planned.params,
            &message.parameters,
            &message.parameter_format_codes,
            &settings,
        )?;
        let formats = result_formats(
            planned.columns.as_ref().map(|c| c.len()),
            &message.result_column_format_codes,
        )?;
        self.portals.open(&name, Portal::new(planned, params, formats))?;
        self.link.writer.put(&BindComplete::new());
        Ok(())
    }

    pub(super) fn describe(&mut self, message: &Describe) -> Result<(), Stop> {
        let name = message.name.as_deref().unwrap_or_default();
        self.begin_step();
        match message.target_type {
            b'S' => {
                let planned = self.statements.find(name)?;
                if let Some(says) = planned.statement() {
                    self.refuse_in_failed_transaction(says)?;
                }
                put_parameter_description(&mut self.link.writer, &planned.params);
                put_row_description(&mut self.link.writer, planned.columns.as_deref(), &[])?;
            }
            b'P' => {
                let portal = self.portals.find(name).ok_or_else(|| no_portal(name))?;
                put_row_description(&mut self.link.writer, portal.columns().map(|c| &**c), &portal.formats)?;
            }
            other => return Err(Stop::Error(bad_target("DESCRIBE", other))),
        }
        Ok(())
    }

    pub(super) async fn execute(&mut self, message: &Execute) -> Result<(), Stop> {
        let name = message.name.as_deref().unwrap_or_default();
        self.begin_step();
        let mut portal = self.portals.take(name).ok_or_else(|| no_portal(name))?;
        self.registered.show("active", Some(portal.planned.text()));
        // 0 and below: all rows.
        let limit = u64::try_from(message.max_rows)
            .ok()
            .filter(|rows| *rows > 0)
            .unwrap_or(u64::MAX);
        self.link.watch.start(self.session.settings().statement_timeout());
        let progress = self.run_portal(&mut portal, limit).await?;
        self.link.watch.finish();
        self.portals.put_back(name, portal);
        self.put_progress(progress);
        Ok(())
    }

    pub(super) fn close(&mut self, message: &Close) -> Result<(), Stop> {
        let name = message.name.as_deref().unwrap_or_default();
        match message.target_type {
            b'S' => self.statements.remove(name),
            b'P' => self.portals.close(name),
            other => return Err(Stop::Error(bad_target("CLOSE", other))),
        };
        self.link.writer.put(&CloseComplete::new());
        Ok(())
    }

    pub(super) async fn sync(&mut self) -> Result<(), Stop> {
        self.skip_to_sync = false;
        match self.end_implicit().await {
            Ok(()) => {}
            Err(Stop::Error(error)) => {
                self.fail();
                self.link.writer.put_error(&error, Severity::Error);
            }
            Err(stop) => return Err(stop),
        }
        self.ready().await
    }

    /// Every message but Sync begins a transaction where none is open.
    fn begin_step(&mut self) {
        self.session.begin_implicit();
    }
}

/// The type that Parse declares for a parameter; `None` to infer it.
fn declared_type(oid: u32) -> Result<Option<SqlType>, SqlError> {
    if oid == 0 || oid == types::UNKNOWN_OID {
        return Ok(None);
    }
    match types::from_oid(oid) {
        Some(SqlType::Void) | None => Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("type with OID {oid} does not exist"),
        )),
        known => Ok(known),
    }
}

/// One format a column from the codes of Bind: none, one for all, or one each.
fn result_formats(columns: Option<usize>, codes: &[i16]) -> Result<Vec<Format>, SqlError> {
    let count = columns.unwrap_or(0);
    match codes {
        [] => Ok(vec![Format::Text; count]),
        [one] => Ok(vec![Format::of_code(*one)?; count]),
        many if many.len() == count => many.iter().map(|code| Format::of_code(*code)).collect(),
        _ if columns.is_none() => Ok(Vec::new()),
        many => Err(SqlError::new(
            SqlState::PROTOCOL_VIOLATION,
            format!(
                "bind message has {} result formats but query has {count} columns",
                many.len()
            ),
        )),
    }
}

fn bad_target(message: &str, target: u8) -> SqlError {
    SqlError::new(
        SqlState::PROTOCOL_VIOLATION,
        format!("invalid {message} message subtype {target}"),
    )
}

/// The error for `$n` where there are no parameters.
pub(super) fn no_parameter(number: usize) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_PARAMETER,
        format!("there is no parameter ${number}"),
    )
}
