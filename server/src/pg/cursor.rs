//! SQL cursors: DECLARE, FETCH, MOVE and CLOSE, over the same portals that the protocol binds.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use highwater_parser::{FetchCount, Statement};
use highwater_types::{SqlError, SqlState};
use tokio::time::{Duration, Instant};

use super::connection::Connection;
use super::encode::Format;
use super::error::Stop;
use super::portal::{Portal, no_cursor};
use super::rows::{Patience, Use, tag_with_count};
use super::run::{Progress, Work};
use super::statement::{Planned, PlannedKind};
use crate::session::{OutputColumn, Prepared, TransactionStatus};

/// FETCH or MOVE, and how much of it is left.
pub(super) struct Fetch {
    cursor: String,
    /// Rows still wanted; `u64::MAX` for all.
    left: u64,
    /// Rows fetched so far.
    done: u64,
    purpose: Use,
    /// When it ends, whatever it has.
    deadline: Option<Instant>,
    columns: Option<Arc<[OutputColumn]>>,
}

impl Fetch {
    /// The columns of the rows it sends; MOVE sends none.
    pub(super) fn columns(&self) -> Option<&Arc<[OutputColumn]>> {
        self.columns.as_ref()
    }
}

impl Connection {
    /// DECLARE: the query runs up to its first row, which fixes the epoch that it reads.
    pub(super) async fn declare(
        &mut self,
        statement: &Statement,
        query: &Arc<Prepared>,
        params: Vec<ScalarValue>,
    ) -> Result<Work, Stop> {
        let Statement::DeclareCursor { name, hold, .. } = statement else {
            return Err(Stop::Error(SqlError::new(SqlState::INTERNAL_ERROR, "not a DECLARE")));
        };
        if !hold && !self.in_transaction_block() {
            return Err(Stop::Error(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "DECLARE CURSOR can only be used in transaction blocks",
            )));
        }
        if self.portals.find(name).is_some() {
            let message = format!("cursor \"{name}\" already exists");
            return Err(Stop::Error(SqlError::new(SqlState::DUPLICATE_CURSOR, message)));
        }
        let work = self.start_in_session(query, params).await?;
        let Work::Rows(rows) = &work else {
            let message = format!("cursor \"{name}\" is for a statement without rows");
            return Err(Stop::Error(SqlError::new(SqlState::INVALID_CURSOR_STATE, message)));
        };
        if *hold && rows.follows() {
            let message = format!("cursor \"{name}\" WITH HOLD is for SUBSCRIBE, which has no end");
            return Err(Stop::Error(
                SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                    .with_hint("Declare it without HOLD, and fetch from it in the same transaction."),
            ));
        }
        let columns = Arc::clone(rows.columns());
        let planned = Planned {
            kind: PlannedKind::Session(Arc::clone(query)),
            params: Vec::new(),
            columns: Some(Arc::clone(&columns)),
        };
        let mut portal = Portal::new(Arc::new(planned), Vec::new(), vec![Format::Text; columns.len()]);
        portal.hold = *hold;
        portal.work = Some(work);
        self.portals.open(name, portal)?;
        Ok(Work::Done("DECLARE CURSOR".to_string()))
    }

    /// FETCH and MOVE, before the first row.
    pub(super) fn start_fetch(
        &self,
        skip: bool,
        count: FetchCount,
        cursor: &str,
        timeout: Option<Duration>,
    ) -> Result<Work, SqlError> {
        let portal = self.portals.find(cursor).ok_or_else(|| no_cursor(cursor))?;
        let left = match count {
            FetchCount::Forward(rows) => rows,
            FetchCount::All => u64::MAX,
            FetchCount::Backward => {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "moving a cursor backwards is not supported",
                )
                .with_hint("Read forward only, or declare the cursor again."));
            }
        };
        let purpose = if skip { Use::Skip } else { Use::Send };
        let columns = if skip { None } else { portal.columns().cloned() };
        Ok(Work::Fetch(Fetch {
            cursor: cursor.to_string(),
            left,
            done: 0,
            purpose,
            deadline: timeout.map(|timeout| Instant::now() + timeout),
            columns,
        }))
    }

    /// Moves FETCH on by at most `limit` rows.
    pub(super) async fn fetch(&mut self, fetch: &mut Fetch, formats: &[Format], limit: u64) -> Result<Progress, Stop> {
        let mut portal = self
            .portals
            .take(&fetch.cursor)
            .ok_or_else(|| no_cursor(&fetch.cursor))?;
        if portal.work.is_none() {
            // A portal of the protocol that was bound and is read for the first time by SQL.
            let params = std::mem::take(&mut portal.params);
            portal.work = Some(self.start(&Arc::clone(&portal.planned), params).await?);
        }
        let Some(Work::Rows(rows)) = &mut portal.work else {
            let message = format!("portal \"{}\" does not hold rows", fetch.cursor);
            return Err(Stop::Error(SqlError::new(SqlState::INVALID_CURSOR_STATE, message)));
        };
        let settings = self.session.text_settings();
        let wanted = fetch.left.min(limit);
        let patience = match fetch.deadline {
            Some(deadline) => Patience::Until(deadline),
            None => rows.patience(),
        };
        let count = rows
            .read(&mut self.link, formats, &settings, wanted, fetch.purpose, patience)
            .await?;
        self.portals.put_back(&fetch.cursor, portal);
        fetch.done += count;
        if fetch.left != u64::MAX {
            fetch.left -= count;
        }
        if count == limit {
            return Ok(Progress::Suspended);
        }
        let word = match fetch.purpose {
            Use::Send => "FETCH",
            Use::Skip => "MOVE",
        };
        Ok(Progress::Complete(tag_with_count(word, fetch.done)))
    }

    /// CLOSE.
    pub(super) fn close_cursor(&mut self, name: Option<&str>) -> Result<Work, SqlError> {
        let tag = match name {
            Some(name) if self.portals.close(name) => "CLOSE CURSOR",
            Some(name) => return Err(no_cursor(name)),
            None => {
                self.portals.close_all();
                "CLOSE CURSOR ALL"
            }
        };
        Ok(Work::Done(tag.to_string()))
    }

    /// Whether what is done now is done in a transaction of more than one statement.
    pub(super) fn in_transaction_block(&self) -> bool {
        self.several || self.session.status() != TransactionStatus::Idle
    }
}
