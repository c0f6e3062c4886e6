//! Statements without a plan: each goes to the file that knows its kind.

use std::sync::Arc;

use highwater_parser::{Copy, CopyWhat, Parsed, Statement};
use highwater_types::{SqlError, SqlState};

use super::settings::Scope;
use super::{Outcome, Session, TransactionStatus};

impl Session {
    pub(super) async fn command(&mut self, parsed: &Parsed) -> Result<Outcome, SqlError> {
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
            Statement::CreateRelation(create) => {
                self.create_relation(create, &parsed.text).await?;
                done(if create.source { "CREATE SOURCE" } else { "CREATE TABLE" })
            }
            Statement::CreateTableAs {
                name,
                if_not_exists,
                query,
            } => match self.create_table_as(name, *if_not_exists, query).await? {
                Some(rows) => done(&format!("SELECT {rows}")),
                None => done("CREATE TABLE AS"),
            },
            Statement::CreateView(create) => {
                self.create_view(create, &parsed.text).await?;
                done(if create.materialized {
                    "CREATE MATERIALIZED VIEW"
                } else {
                    "CREATE VIEW"
                })
            }
            Statement::CreateIndex(create) => {
                self.create_index(create, &parsed.text).await?;
                done("CREATE INDEX")
            }
            Statement::CreateSchema { name, if_not_exists } => {
                self.create_schema(name, *if_not_exists).await?;
                done("CREATE SCHEMA")
            }
            Statement::Drop(drop) => {
                self.drop_objects(drop).await?;
                Ok(Outcome::Done {
                    tag: super::ddl::drop_tag(drop.object),
                })
            }
            Statement::AlterTable(alter) => {
                self.alter_table(alter).await?;
                done("ALTER TABLE")
            }
            Statement::Comment { object, name, comment } => {
                self.comment_on(*object, name, comment.clone()).await?;
                done("COMMENT")
            }
            Statement::Copy(copy) => self.copy(copy).await,
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
                if self.status() == TransactionStatus::Open && what == "ALL" {
                    let message = "DISCARD ALL cannot run inside a transaction block";
                    return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
                }
                if what == "ALL" {
                    self.settings.reset_all();
                }
                Ok(Outcome::Done {
                    tag: format!("DISCARD {what}"),
                })
            }
            Statement::Nothing(tag) => done(tag),
            // Planned, shown, or the front end's own.
            Statement::Query(_)
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Explain { .. }
            | Statement::ExplainView(_)
            | Statement::ShowSetting(_)
            | Statement::ShowObjects { .. }
            | Statement::ShowCreate(_)
            | Statement::Describe(_)
            | Statement::Begin { .. }
            | Statement::Commit
            | Statement::Rollback
            | Statement::Savepoint(_)
            | Statement::Release(_)
            | Statement::RollbackTo(_)
            | Statement::Prepare { .. }
            | Statement::Execute { .. }
            | Statement::Deallocate(_)
            | Statement::DeclareCursor { .. }
            | Statement::Fetch { .. }
            | Statement::CloseCursor(_)
            | Statement::Listen(_)
            | Statement::Unlisten(_)
            | Statement::Notify { .. } => Err(SqlError::new(
                SqlState::INTERNAL_ERROR,
                "the statement came to the wrong place",
            )),
        }
    }

    async fn copy(&mut self, copy: &Copy) -> Result<Outcome, SqlError> {
        if copy.from {
            return self.copy_from(copy).await.map(Outcome::CopyIn);
        }
        let query = match &copy.what {
            CopyWhat::Query(query) => query.as_ref().clone(),
            CopyWhat::Table(name, columns) => super::copy::select_of(name, columns)?,
        };
        let plan = highwater_planner::plan_query(&self.plan_context(), &query, &[])?;
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
            let read_only = values.iter().any(|mode| mode.eq_ignore_ascii_case("read only"));
            self.transaction().set_read_only(read_only);
            return Ok(());
        }
        self.settings
            .set(name, values, if local { Scope::Local } else { Scope::Session })
    }
}
