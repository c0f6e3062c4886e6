//! [`Portals`]: what has been bound or declared and may still be read: the protocol's portals and SQL's cursors, in
//! one namespace, because clients bind the one and read it as the other.
//!
//! A portal lives to the end of its transaction, or of the savepoint that is rolled back to; one WITH HOLD is read
//! into memory when its transaction commits, and lives on.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use highwater_types::{SqlError, SqlState};

use super::encode::Format;
use super::error::Stop;
use super::link::Link;
use super::run::Work;
use super::statement::Planned;
use crate::session::OutputColumn;

/// A session may keep this many portals open.
const MAX_PORTALS: usize = 10_000;

/// A statement with its parameters, and what is left of its result.
pub(super) struct Portal {
    pub(super) planned: Arc<Planned>,
    pub(super) params: Vec<ScalarValue>,
    /// One a column of the result.
    pub(super) formats: Vec<Format>,
    /// `None` until it is first read.
    pub(super) work: Option<Work>,
    /// Declared WITH HOLD.
    pub(super) hold: bool,
    /// Held: no transaction's end concerns it any more.
    kept: bool,
    /// Its place in the order in which portals and savepoints were made.
    made: u64,
}

impl Portal {
    pub(super) fn new(planned: Arc<Planned>, params: Vec<ScalarValue>, formats: Vec<Format>) -> Portal {
        Portal {
            planned,
            params,
            formats,
            work: None,
            hold: false,
            kept: false,
            made: 0,
        }
    }

    /// Its result's columns, when it has a result.
    pub(super) fn columns(&self) -> Option<&Arc<[OutputColumn]>> {
        self.planned.columns.as_ref()
    }
}

/// The portals of a connection.
#[derive(Default)]
pub(super) struct Portals {
    open: HashMap<String, Portal>,
    /// Savepoints, by name and by when they were made.
    savepoints: Vec<(String, u64)>,
    made: u64,
}

impl Portals {
    /// Opens a portal; the unnamed one (of the empty name) takes the place of the last.
    ///
    /// # Errors
    /// 42P03 when the name is taken, 54000 when there are too many.
    pub(super) fn open(&mut self, name: &str, mut portal: Portal) -> Result<(), SqlError> {
        if !name.is_empty() && self.open.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        if self.open.len() >= MAX_PORTALS {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a session may keep {MAX_PORTALS} portals open"),
            ));
        }
        self.made += 1;
        portal.made = self.made;
        self.open.insert(name.to_string(), portal);
        Ok(())
    }

    /// The portal of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Portal> {
        self.open.get(name)
    }

    /// Takes a portal out, to be read and put back. One that fails is not put back.
    pub(super) fn take(&mut self, name: &str) -> Option<Portal> {
        self.open.remove(name)
    }

    /// Puts back a portal that was taken.
    pub(super) fn put_back(&mut self, name: &str, portal: Portal) {
        self.open.insert(name.to_string(), portal);
    }

    /// Closes a portal; false when there is none.
    pub(super) fn close(&mut self, name: &str) -> bool {
        self.open.remove(name).is_some()
    }

    /// Closes all, also those that are held.
    pub(super) fn close_all(&mut self) {
        self.open.clear();
    }

    /// Reads what is to outlive the transaction, before it commits.
    pub(super) async fn hold(&mut self, link: &mut Link) -> Result<(), Stop> {
        for portal in self.open.values_mut().filter(|p| p.hold && !p.kept) {
            if let Some(Work::Rows(rows)) = &mut portal.work {
                rows.hold(link).await?;
            }
        }
        Ok(())
    }

    /// The transaction has ended, and with it its portals.
    pub(super) fn end_transaction(&mut self, committed: bool) {
        self.savepoints.clear();
        self.open.retain(|_, portal| portal.kept || (committed && portal.hold));
        for portal in self.open.values_mut() {
            portal.kept = true;
        }
    }

    /// SAVEPOINT.
    pub(super) fn savepoint(&mut self, name: &str) {
        self.made += 1;
        self.savepoints.push((name.to_string(), self.made));
    }

    /// ROLLBACK TO: portals made since then are closed.
    pub(super) fn rollback_to(&mut self, name: &str) {
        if let Some(at) = self.find_savepoint(name) {
            let made = self.savepoints[at].1;
            self.savepoints.truncate(at + 1);
            self.open.retain(|_, portal| portal.kept || portal.made < made);
        }
    }

    /// RELEASE.
    pub(super) fn release(&mut self, name: &str) {
        if let Some(at) = self.find_savepoint(name) {
            self.savepoints.truncate(at);
        }
    }

    fn find_savepoint(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().rposition(|(savepoint, _)| savepoint == name)
    }
}

/// The error for a portal that does not exist.
pub(super) fn no_portal(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_CURSOR_NAME,
        format!("portal \"{name}\" does not exist"),
    )
}

/// The error for a cursor that does not exist.
pub(super) fn no_cursor(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_CURSOR_NAME,
        format!("cursor \"{name}\" does not exist"),
    )
}
