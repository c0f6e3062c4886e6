//! [`Statements`]: prepared statements by name, those of Parse and those of PREPARE alike, and the unnamed one.

use std::collections::HashMap;
use std::sync::Arc;

use highwater_parser::{Parsed, Statement};
use highwater_types::{SqlError, SqlState, SqlType};

use crate::session::{OutputColumn, Prepared};

/// A session may prepare this many statements.
const MAX_STATEMENTS: usize = 10_000;

/// A statement that can be run.
pub(super) struct Planned {
    /// What runs it.
    pub(super) kind: PlannedKind,
    /// Its parameters' types.
    pub(super) params: Vec<SqlType>,
    /// Its result's columns, when it has a result.
    pub(super) columns: Option<Arc<[OutputColumn]>>,
}

/// Who runs a statement.
pub(super) enum PlannedKind {
    /// It says nothing.
    Empty,
    /// The session.
    Session(Arc<Prepared>),
    /// The connection: `command.rs` and `cursor.rs`.
    Connection(Box<Parsed>),
    /// The connection, as a cursor for what the session has planned.
    Cursor(Box<Parsed>, Arc<Prepared>),
}

impl Planned {
    /// The statement that says nothing.
    pub(super) fn empty() -> Planned {
        Planned {
            kind: PlannedKind::Empty,
            params: Vec::new(),
            columns: None,
        }
    }

    /// A statement that the session has planned.
    pub(super) fn of_session(prepared: Arc<Prepared>) -> Planned {
        Planned {
            params: prepared.params.clone(),
            columns: prepared.columns.clone(),
            kind: PlannedKind::Session(prepared),
        }
    }

    /// What it says, unless it says nothing.
    pub(super) fn statement(&self) -> Option<&Statement> {
        match &self.kind {
            PlannedKind::Empty => None,
            PlannedKind::Session(prepared) => Some(&prepared.parsed.statement),
            PlannedKind::Connection(parsed) | PlannedKind::Cursor(parsed, _) => Some(&parsed.statement),
        }
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        match &self.kind {
            PlannedKind::Empty => "",
            PlannedKind::Session(prepared) => &prepared.parsed.text,
            PlannedKind::Connection(parsed) | PlannedKind::Cursor(parsed, _) => &parsed.text,
        }
    }
}

/// Whether the connection runs the statement, not the session.
pub(super) fn is_connections_own(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Prepare { .. }
            | Statement::Execute { .. }
            | Statement::Deallocate(_)
            | Statement::DeclareCursor { .. }
            | Statement::Fetch { .. }
            | Statement::CloseCursor(_)
            | Statement::Discard(_)
            | Statement::Listen(_)
            | Statement::Unlisten(_)
            | Statement::Notify { .. }
    )
}

/// Whether the statement may run in a transaction block that has failed.
pub(super) fn ends_failed_transaction(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Commit | Statement::Rollback | Statement::RollbackTo(_)
    )
}

/// The prepared statements of a connection.
#[derive(Default)]
pub(super) struct Statements {
    named: HashMap<String, Arc<Planned>>,
    unnamed: Option<Arc<Planned>>,
}

impl Statements {
    /// Keeps a statement; the unnamed one (of the empty name) takes the place of the last.
    ///
    /// # Errors
    /// 42P05 when the name is taken, 54000 when there are too many.
    pub(super) fn insert(&mut self, name: &str, planned: Arc<Planned>) -> Result<(), SqlError> {
        if name.is_empty() {
            self.unnamed = Some(planned);
            return Ok(());
        }
        if self.named.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        if self.named.len() >= MAX_STATEMENTS {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a session may prepare {MAX_STATEMENTS} statements"),
            )
            .with_hint("Close or DEALLOCATE those that are not used."));
        }
        self.named.insert(name.to_string(), planned);
        Ok(())
    }

    /// The statement of this name.
    ///
    /// # Errors
    /// 26000 when there is none.
    pub(super) fn find(&self, name: &str) -> Result<Arc<Planned>, SqlError> {
        let found = if name.is_empty() {
            self.unnamed.as_ref()
        } else {
            self.named.get(name)
        };
        found.cloned().ok_or_else(|| {
            let message = if name.is_empty() {
                "unnamed prepared statement does not exist".to_string()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    /// Forgets a statement; false when there is none.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        if name.is_empty() {
            self.unnamed.take().is_some()
        } else {
            self.named.remove(name).is_some()
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.named.clear();
        self.unnamed = None;
    }
}
