//! BEGIN, COMMIT, ROLLBACK, savepoints: where a session stands between statements, and the transaction that a
//! statement runs in.

use std::sync::Arc;

use highwater_parser::Statement;
use highwater_types::{SqlError, SqlState};

use super::transaction::{Transaction, TransactionKind};
use super::{Outcome, Session, TransactionStatus};

impl Session {
    /// Where the session stands.
    pub fn status(&self) -> TransactionStatus {
        match &self.transaction {
            _ if self.failed => TransactionStatus::Failed,
            Some(open) if open.kind() == TransactionKind::Block => TransactionStatus::Open,
            Some(_) | None => TransactionStatus::Idle,
        }
    }

    /// Starts an implicit transaction, for several statements that stand or fall together.
    pub fn begin_implicit(&mut self) {
        self.settle_settings();
        if self.transaction.is_none() && !self.failed {
            self.begin(TransactionKind::Implicit);
        }
    }

    /// Commits the implicit transaction, if there is one.
    ///
    /// # Errors
    /// When it cannot be committed; then nothing of it is.
    pub async fn end_implicit(&mut self) -> Result<(), SqlError> {
        self.settle_settings();
        match self.transaction.take() {
            Some(open) if open.kind() == TransactionKind::Implicit => self.commit(open).await,
            other => {
                self.transaction = other;
                Ok(())
            }
        }
    }

    /// A statement has failed: an implicit transaction is rolled back, a block can only be rolled back now.
    pub fn fail(&mut self) {
        // What the failed statement has set goes with it.
        self.live.take_changes();
        match self.transaction.take() {
            Some(open) if open.kind() == TransactionKind::Block => {
                self.transaction = Some(open);
                self.failed = true;
            }
            Some(_) => self.settings.rollback(),
            None => {}
        }
    }

    /// BEGIN, COMMIT and their kin; `None` for any other statement.
    pub(super) async fn transaction_command(&mut self, statement: &Statement) -> Result<Option<Outcome>, SqlError> {
        let tag = match statement {
            Statement::Begin { start, modes } => {
                self.begin_block(modes)?;
                if *start { "START TRANSACTION" } else { "BEGIN" }
            }
            Statement::Commit => self.commit_block().await?,
            Statement::Rollback => {
                if self
                    .transaction
                    .as_ref()
                    .is_none_or(|t| t.kind() == TransactionKind::Implicit)
                {
                    self.warn(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "there is no transaction in progress",
                    );
                }
                self.roll_back();
                "ROLLBACK"
            }
            Statement::Savepoint(name) => {
                self.block("SAVEPOINT")?.savepoint(name.clone());
                self.settings.savepoint(name);
                "SAVEPOINT"
            }
            Statement::Release(name) => {
                self.block("RELEASE SAVEPOINT")?.release(name)?;
                self.settings.release(name);
                "RELEASE"
            }
            Statement::RollbackTo(name) => {
                self.block("ROLLBACK TO SAVEPOINT")?.roll_back_to(name)?;
                self.settings.rollback_to(name);
                self.failed = false;
                "ROLLBACK"
            }
            _ => return Ok(None),
        };
        Ok(Some(Outcome::Done { tag: tag.to_string() }))
    }

    fn begin_block(&mut self, modes: &[String]) -> Result<(), SqlError> {
        match &mut self.transaction {
            Some(open) if open.kind() == TransactionKind::Block => {
                self.warn(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "there is already a transaction in progress",
                );
            }
            Some(implicit) => implicit.make_block(),
            None => self.begin(TransactionKind::Block),
        }
        self.set_transaction_modes(modes)
    }

    async fn commit_block(&mut self) -> Result<&'static str, SqlError> {
        if self.failed {
            self.roll_back();
            return Ok("ROLLBACK");
        }
        match self.transaction.take() {
            Some(open) => {
                if open.kind() == TransactionKind::Implicit {
                    self.warn(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "there is no transaction in progress",
                    );
                }
                self.commit(open).await?;
            }
            None => self.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "there is no transaction in progress",
            ),
        }
        Ok("COMMIT")
    }

    pub(super) async fn commit(&mut self, transaction: Transaction) -> Result<(), SqlError> {
        let result = self.commitment.keep(transaction.commit()).await;
        let result = self.told_when_seen(result).await;
        match &result {
            Ok(()) => self.settings.commit(),
            Err(_) => self.settings.rollback(),
        }
        result
    }

    /// An error that rests on others' rows is told when they can be seen: so that the client finds them, and does not
    /// run into the same when it tries again.
    pub(super) async fn told_when_seen<T>(&mut self, result: Result<T, SqlError>) -> Result<T, SqlError> {
        let state = result.as_ref().err().map(|error| error.state);
        if state.is_some_and(|s| [SqlState::UNIQUE_VIOLATION, SqlState::SERIALIZATION_FAILURE].contains(&s)) {
            self.database.coordinator().catch_up().await?;
        }
        result
    }

    fn roll_back(&mut self) {
        if self.transaction.take().is_some() {
            self.settings.rollback();
        }
        self.failed = false;
    }

    pub(super) fn begin(&mut self, kind: TransactionKind) {
        self.settings.begin();
        self.transaction = Some(Transaction::new(Arc::clone(&self.database), kind));
        self.follow_modes();
    }

    /// The open transaction. Statements run in one, always; what runs between statements reads in one of its own.
    pub(super) fn transaction(&mut self) -> &mut Transaction {
        let database = &self.database;
        self.transaction
            .get_or_insert_with(|| Transaction::new(Arc::clone(database), TransactionKind::Implicit))
    }

    pub(super) fn block(&mut self, command: &str) -> Result<&mut Transaction, SqlError> {
        match &mut self.transaction {
            Some(open) if open.kind() == TransactionKind::Block => Ok(open),
            Some(_) | None => Err(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                format!("{command} can only be used in transaction blocks"),
            )),
        }
    }

    pub(super) fn check_not_failed(&self, statement: &Statement) -> Result<(), SqlError> {
        let ends_it = matches!(
            statement,
            Statement::Commit | Statement::Rollback | Statement::RollbackTo(_)
        );
        if self.failed && !ends_it {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }
}
