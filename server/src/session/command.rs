//! Statements without a plan: each goes to the file that knows its kind.

use std::sync::Arc;

use highwater_parser::{Copy, CopyWhat, Parsed, Statement};
use highwater_types::{SqlError, SqlState};

use super::settings::Scope;
use super::{Outcome, Session, TransactionStatus};

impl Session {
    pub(super) async fn command(&mut self, parsed: &Parsed) -> Result<Outcome, SqlError> {
        if let Some(words) = ddl_words(&parsed.statement) {
            self.transaction().check_writable(words)?;
            return self.define(parsed, words).await;
        }
        let done = |tag: &str| Ok(Outcome::Done { tag: tag.to_string() });
        match &parsed.statement {
            Statement::Truncate(names) => {
                let tables = names
                    .iter()
                    .map(|n| Ok(self.find(n)?.id))
                    .collect::<Result<Vec<_>, SqlError>>()?;
                self.truncate(&tables).await?;
                done("TRUNCATE TABLE")
            }
            Statement::Copy(copy) => self.copy(copy, parsed).await,
            Statement::Set { name, values, local } => {
                self.set(name, values, *local)?;
                done("SET")
            }
            Statement::Reset(name) => {
                match name {
                    Some(name) => self.settings.reset(name)?,
                    None => self.settings.reset_all(),
                }
                done("RESET")
            }
            Statement::Discard(what) => {
                // The rest of it, and where it may stand, is the connection's.
                if what == "ALL" {
                    self.settings.reset_all();
                }
                done(&format!("DISCARD {what}"))
            }
            Statement::Lock(lock) => {
                self.lock_tables(lock).await?;
                done("LOCK TABLE")
            }
            Statement::Nothing(tag) => done(tag),
            _ => Err(wrong_place()),
        }
    }

    /// DDL; `words` are its command tag.
    async fn define(&mut self, parsed: &Parsed, words: &str) -> Result<Outcome, SqlError> {
        let mut tag = words.to_string();
        match &parsed.statement {
            Statement::CreateRelation(create) => self.create_relation(create, &parsed.text).await?,
            Statement::CreateTableAs {
                name,
                if_not_exists,
                query,
            } => {
                if let Some(rows) = self.create_table_as(name, *if_not_exists, query).await? {
                    tag = format!("SELECT {rows}");
                }
            }
            Statement::CreateView(create) => self.create_view(create, &parsed.text).await?,
            Statement::CreateIndex(create) => self.create_index(create, &parsed.text).await?,
            Statement::CreateSchema { name, if_not_exists } => self.create_schema(name, *if_not_exists).await?,
            Statement::Drop(drop) => {
                self.drop_objects(drop).await?;
                tag = super::ddl::drop_tag(drop.object);
            }
            Statement::AlterTable(alter) => self.alter_table(alter).await?,
            Statement::AlterObject(alter) => self.alter_object(alter).await?,
            Statement::Comment { object, name, comment } => self.comment_on(*object, name, comment.clone()).await?,
            _ => return Err(wrong_place()),
        }
        Ok(Outcome::Done { tag })
    }

    async fn copy(&mut self, copy: &Copy, parsed: &Parsed) -> Result<Outcome, SqlError> {
        if copy.from {
            return self.copy_from(copy).await.map(Outcome::CopyIn);
        }
        let query = match &copy.what {
            CopyWhat::Subscribe(subscribe) => {
                let subscription = self.subscribe(subscribe)?;
                return Ok(Outcome::CopyOut {
                    columns: subscription.columns(),
                    stream: subscription.into_stream(),
                    format: copy.format.clone(),
                });
            }
            CopyWhat::Query(query) => query.as_ref().clone(),
            CopyWhat::Table(name, columns) => super::copy::select_of(name, columns)?,
        };
        let plan =
            highwater_planner::plan_query(&self.plan_context(), &query, &[]).map_err(|e| e.in_statement(parsed))?;
        let stream = self.stream(&plan.plan, &Vec::new()).await?;
        Ok(Outcome::CopyOut {
            columns: Arc::from(plan.columns),
            stream,
            format: copy.format.clone(),
        })
    }

    fn set(&mut self, name: &str, values: &[String], local: bool) -> Result<(), SqlError> {
        if local && self.status() != TransactionStatus::Open {
            self.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET LOCAL can only be used in transaction blocks",
            );
        }
        if name == "transaction" {
            return self.set_transaction_modes(values);
        }
        let is_level = name == "transaction_isolation";
        if is_level {
            self.check_level_is_open()?;
        }
        // The level is the transaction's own, and goes with it.
        let scope = if local || is_level {
            Scope::Local
        } else {
            Scope::Session
        };
        self.settings.set(name, values, scope)
    }
}

/// Statements that are planned, shown, or the front end's own never come here.
fn wrong_place() -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, "the statement came to the wrong place")
}

/// The words for a statement that changes which objects there are: a read-only transaction takes none.
fn ddl_words(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::CreateRelation(create) if create.source => Some("CREATE SOURCE"),
        Statement::CreateRelation(_) => Some("CREATE TABLE"),
        Statement::CreateTableAs { .. } => Some("CREATE TABLE AS"),
        Statement::CreateView(create) if create.materialized => Some("CREATE MATERIALIZED VIEW"),
        Statement::CreateView(_) => Some("CREATE VIEW"),
        Statement::CreateIndex(_) => Some("CREATE INDEX"),
        Statement::CreateSchema { .. } => Some("CREATE SCHEMA"),
        Statement::Drop(_) => Some("DROP"),
        Statement::AlterTable(_) => Some("ALTER TABLE"),
        Statement::AlterObject(alter) => Some(super::ddl::alter_words(alter.object)),
        Statement::Comment { .. } => Some("COMMENT"),
        _ => None,
    }
}
