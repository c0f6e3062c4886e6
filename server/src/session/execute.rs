//! [`Session`]: prepares and executes statements, in transactions, over one database.
//!
//! Every statement runs in a transaction: that of a BEGIN block, the implicit one of a message up to Sync, or one
//! of its own. Writes are kept in it until it commits; DDL takes effect at once.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::execution::SessionState;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use highwater_parser::{Copy, CopyWhat, Parsed, Statement};
use highwater_planner::catalog::{Catalog, DEFAULT_SCHEMA};
use highwater_planner::{DeletePlan, InsertPlan, OutputColumn, PlanContext, PlanSettings, QueryPlan, UpdatePlan};
use highwater_types::text::TextSettings;
use highwater_types::{SqlError, SqlState, SqlType};
use sqlparser::ast;

use super::functions::{LiveSettings, session_functions};
use super::settings::{Scope, Settings};
use super::system::SystemPart;
use super::transaction::{Transaction, TransactionKind};
use super::write::Written;
use super::{CopyIn, Outcome, Startup, TransactionStatus};
use crate::database::{Database, World};
use crate::system::SystemTables;

/// One client's session.
pub struct Session {
    pub(super) database: Arc<Database>,
    pub(super) system: Arc<SystemTables>,
    pub(super) system_part: SystemPart,
    pub(super) startup: Startup,
    pub(super) settings: Settings,
    transaction: Option<Transaction>,
    failed: bool,
    notices: Vec<SqlError>,
    /// The settings as queries see them, and what they have set.
    pub(super) live: Arc<LiveSettings>,
}

/// A statement, planned. Planned again when the catalog has changed since.
#[derive(Debug)]
pub struct Prepared {
    /// What was said.
    pub parsed: Parsed,
    /// The types of its parameters.
    pub params: Vec<SqlType>,
    /// The columns of its result; `None` when it has none.
    pub columns: Option<Arc<[OutputColumn]>>,
    declared: Vec<Option<SqlType>>,
    catalog_version: u64,
    settings: PlanSettings,
    plan: Planned,
}

/// What planning made of a statement.
#[derive(Debug)]
enum Planned {
    Query(Box<QueryPlan>),
    Insert(Box<InsertPlan>),
    Update(Box<UpdatePlan>),
    Delete(Box<DeletePlan>),
    /// Rows that are there already: SHOW, EXPLAIN, DESCRIBE.
    Rows,
    /// Nothing to plan.
    Command,
}

impl Session {
    /// A session of `startup.user`.
    ///
    /// # Errors
    /// `3D000` for an unknown database, `42704` or `22023` for a bad setting.
    pub fn try_new(database: Arc<Database>, startup: Startup) -> Result<Session, SqlError> {
        if startup.database != database.name() {
            let message = format!("database \"{}\" does not exist", startup.database);
            return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, message)
                .with_hint(format!("This server has one database, \"{}\".", database.name())));
        }
        let settings = Settings::try_new(&startup.user, &startup.settings)?;
        let live = LiveSettings::new(&settings);
        let functions = session_functions(&live, startup.pid, &startup.peers);
        Ok(Session {
            system: database.system(),
            system_part: SystemPart::new(&database, &startup, &settings, &functions),
            database,
            startup,
            settings,
            transaction: None,
            failed: false,
            notices: Vec::new(),
            live,
        })
    }

    /// Where the session stands.
    pub fn status(&self) -> TransactionStatus {
        match &self.transaction {
            _ if self.failed => TransactionStatus::Failed,
            Some(open) if open.kind() == TransactionKind::Block => TransactionStatus::Open,
            Some(_) | None => TransactionStatus::Idle,
        }
    }

    /// Plans a statement. `declared` are the parameter types that the client gives.
    ///
    /// # Errors
    /// What is wrong with the statement; `25P02` in a failed transaction for all but its end.
    pub fn prepare(&mut self, parsed: Parsed, declared: &[Option<SqlType>]) -> Result<Arc<Prepared>, SqlError> {
        self.settle_settings();
        self.check_not_failed(&parsed.statement)?;
        let context = self.plan_context();
        let catalog_version = context.catalog.version();
        let settings = context.settings.clone();
        let (plan, params, columns) = match &parsed.statement {
            Statement::Query(query) => {
                let plan =
                    highwater_planner::plan_query(&context, query, declared).map_err(|e| e.in_statement(&parsed))?;
                let (params, columns) = (plan.params.clone(), plan.columns.clone());
                (Planned::Query(Box::new(plan)), params, Some(columns))
            }
            Statement::Insert(insert) => {
                let plan =
                    highwater_planner::plan_insert(&context, insert, declared).map_err(|e| e.in_statement(&parsed))?;
                let columns = plan.returning.as_ref().map(|r| r.columns.clone());
                (Planned::Insert(Box::new(plan.clone())), plan.source.params, columns)
            }
            Statement::Update(update) => {
                let plan =
                    highwater_planner::plan_update(&context, update, declared).map_err(|e| e.in_statement(&parsed))?;
                let columns = plan.returning.as_ref().map(|r| r.columns.clone());
                (Planned::Update(Box::new(plan.clone())), plan.source.params, columns)
            }
            Statement::Delete(delete) => {
                let plan =
                    highwater_planner::plan_delete(&context, delete, declared).map_err(|e| e.in_statement(&parsed))?;
                let columns = plan.returning.as_ref().map(|r| r.columns.clone());
                (Planned::Delete(Box::new(plan.clone())), plan.source.params, columns)
            }
            other => match self.shown_columns(other)? {
                Some(columns) => (Planned::Rows, Vec::new(), Some(columns)),
                None => (Planned::Command, Vec::new(), None),
            },
        };
        Ok(Arc::new(Prepared {
            parsed,
            params,
            columns: columns.map(Arc::from),
            declared: declared.to_vec(),
            catalog_version,
            settings,
            plan,
        }))
    }

    /// Runs a statement. Outside of any transaction it is one of its own, committed when this returns.
    ///
    /// # Errors
    /// What failed. The caller tells the session with [`Session::fail`].
    pub async fn execute(&mut self, prepared: &Arc<Prepared>, params: Vec<ScalarValue>) -> Result<Outcome, SqlError> {
        self.check_not_failed(&prepared.parsed.statement)?;
        let prepared = self.current(prepared)?;
        if let Some(outcome) = self.transaction_command(&prepared.parsed.statement).await? {
            return Ok(outcome);
        }
        let alone = self.transaction.is_none();
        if alone {
            self.begin(TransactionKind::Implicit, false);
        }
        let outcome = self.run_statement(&prepared, params).await?;
        // What has still to read or to write in its transaction leaves it open: COPY until it has its rows.
        if alone && !matches!(outcome, Outcome::CopyIn(_)) {
            self.end_implicit().await?;
        }
        Ok(outcome)
    }

    /// Starts an implicit transaction, for several statements that stand or fall together.
    pub fn begin_implicit(&mut self) {
        self.settle_settings();
        if self.transaction.is_none() && !self.failed {
            self.begin(TransactionKind::Implicit, false);
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

    /// Adds the rows of a finished COPY FROM STDIN, and commits unless a transaction goes on.
    ///
    /// # Errors
    /// When a row breaks a constraint.
    pub async fn finish_copy(&mut self, copy: CopyIn) -> Result<u64, SqlError> {
        let rows = self.copy_rows(copy).await?;
        self.end_implicit().await?;
        Ok(rows)
    }

    /// The types that PREPARE gives its parameters.
    ///
    /// # Errors
    /// `42704` for a type that there is not.
    pub fn declared_types(&self, types: &[ast::DataType]) -> Result<Vec<Option<SqlType>>, SqlError> {
        types
            .iter()
            .map(|t| Ok(Some(highwater_planner::sql_type(t)?)))
            .collect()
    }

    /// The arguments of EXECUTE, as values of these types.
    ///
    /// # Errors
    /// When there are too few or too many, or one is not of its type.
    pub async fn evaluate(&mut self, arguments: &[ast::Expr], types: &[SqlType]) -> Result<Vec<ScalarValue>, SqlError> {
        if arguments.len() != types.len() {
            let message = format!(
                "wrong number of parameters: {} given, {} expected",
                arguments.len(),
                types.len()
            );
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let typed: Vec<String> = arguments
            .iter()
            .zip(types)
            .map(|(a, t)| format!("CAST({a} AS {t})"))
            .collect();
        let query = highwater_parser::parse_query(&format!("SELECT {}", typed.join(", ")))?;
        let plan = highwater_planner::plan_query(&self.plan_context(), &query, &[])?;
        let row = self.collect(&plan.plan, &Vec::new(), &[]).await?;
        let mut values = Vec::with_capacity(types.len());
        for column in row.columns() {
            values.push(ScalarValue::try_from_array(column, 0).map_err(|error| highwater_executor::sql_error(&error))?);
        }
        Ok(values)
    }

    /// Settings to report to the client, changed since the last call.
    pub fn take_reports(&mut self) -> Vec<(&'static str, String)> {
        self.settle_settings();
        self.settings.take_reports()
    }

    /// Notices since the last call.
    pub fn take_notices(&mut self) -> Vec<SqlError> {
        std::mem::take(&mut self.notices)
    }

    /// How values are written as text.
    pub fn text_settings(&self) -> TextSettings {
        self.settings.text_settings().clone()
    }

    /// The session's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    async fn run_statement(&mut self, prepared: &Prepared, params: Vec<ScalarValue>) -> Result<Outcome, SqlError> {
        let columns = || prepared.columns.clone().unwrap_or_else(|| Arc::from([]));
        match &prepared.plan {
            Planned::Query(plan) => {
                let stream = self.stream(&plan.plan, &params).await?;
                Ok(Outcome::Rows {
                    columns: columns(),
                    stream,
                    tag: "SELECT",
                })
            }
            Planned::Insert(plan) => {
                let written = self.insert(plan, &params).await?;
                Ok(dml_outcome(written, "INSERT 0", prepared))
            }
            Planned::Update(plan) => {
                let written = self.update(plan, &params).await?;
                Ok(dml_outcome(written, "UPDATE", prepared))
            }
            Planned::Delete(plan) => {
                let written = self.delete(plan, &params).await?;
                Ok(dml_outcome(written, "DELETE", prepared))
            }
            Planned::Rows => self.shown_rows(&prepared.parsed.statement, columns()).await,
            Planned::Command => self.command(&prepared.parsed).await,
        }
    }

    async fn command(&mut self, parsed: &Parsed) -> Result<Outcome, SqlError> {
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
            Statement::CreateTableAs { .. } => Err(unsupported("CREATE TABLE AS", "Create the table, then INSERT.")),
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
                    tag: super::define::drop_tag(drop.object),
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

    /// The plan for the catalog as it is now.
    fn current(&mut self, prepared: &Arc<Prepared>) -> Result<Arc<Prepared>, SqlError> {
        let world = self.world();
        let planned = !matches!(prepared.plan, Planned::Command | Planned::Rows);
        if !planned
            || (prepared.catalog_version == world.catalog.version() && prepared.settings == self.plan_settings())
        {
            return Ok(Arc::clone(prepared));
        }
        let again = self.prepare(prepared.parsed.clone(), &prepared.declared)?;
        let shape = |p: &Prepared| {
            p.columns.as_ref().map(|c| {
                c.iter()
                    .map(|c| (c.name.clone(), c.sql_type.clone()))
                    .collect::<Vec<_>>()
            })
        };
        if shape(&again) != shape(prepared) || again.params != prepared.params {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cached plan must not change result type",
            ));
        }
        Ok(again)
    }

    /// BEGIN, COMMIT and their kin; `None` for any other statement.
    async fn transaction_command(&mut self, statement: &Statement) -> Result<Option<Outcome>, SqlError> {
        let tag = match statement {
            Statement::Begin { start, modes } => {
                self.begin_block(modes);
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

    fn begin_block(&mut self, modes: &[String]) {
        let read_only = modes.iter().any(|mode| mode == "READ ONLY")
            || (self.settings.is_on("default_transaction_read_only") && !modes.iter().any(|m| m == "READ WRITE"));
        match &mut self.transaction {
            Some(open) if open.kind() == TransactionKind::Block => {
                self.warn(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "there is already a transaction in progress",
                );
            }
            Some(implicit) => implicit.make_block(read_only),
            None => self.begin(TransactionKind::Block, read_only),
        }
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

    async fn commit(&mut self, transaction: Transaction) -> Result<(), SqlError> {
        let result = transaction.commit().await;
        match &result {
            Ok(()) => self.settings.commit(),
            Err(_) => self.settings.rollback(),
        }
        result
    }

    fn roll_back(&mut self) {
        if self.transaction.take().is_some() {
            self.settings.rollback();
        }
        self.failed = false;
    }

    fn begin(&mut self, kind: TransactionKind, read_only: bool) {
        self.settings.begin();
        self.transaction = Some(Transaction::new(Arc::clone(&self.database), kind, read_only));
    }

    /// The open transaction. Statements run in one, always; what runs between statements reads in one of its own.
    pub(super) fn transaction(&mut self) -> &mut Transaction {
        let database = &self.database;
        self.transaction
            .get_or_insert_with(|| Transaction::new(Arc::clone(database), TransactionKind::Implicit, false))
    }

    fn block(&mut self, command: &str) -> Result<&mut Transaction, SqlError> {
        match &mut self.transaction {
            Some(open) if open.kind() == TransactionKind::Block => Ok(open),
            Some(_) | None => Err(SqlError::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                format!("{command} can only be used in transaction blocks"),
            )),
        }
    }

    fn check_not_failed(&self, statement: &Statement) -> Result<(), SqlError> {
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

    /// What exists now.
    pub(super) fn world(&self) -> Arc<World> {
        self.database.world()
    }

    /// Settings that change what names and values mean.
    pub(super) fn plan_settings(&self) -> PlanSettings {
        PlanSettings {
            search_path: self.settings.search_path(),
            time_zone: self.settings.value("TimeZone").to_string(),
            user: self.startup.user.clone(),
            database: self.startup.database.clone(),
        }
    }

    /// DataFusion's state for the session's time zone.
    pub(super) fn session_state(&self) -> SessionState {
        highwater_planner::session_state(self.settings.value("TimeZone"))
    }

    /// Tells the client something that is no error.
    pub(super) fn notice(&mut self, message: &str) {
        self.notices
            .push(SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message));
    }

    fn warn(&mut self, state: SqlState, message: &str) {
        self.notices.push(SqlError::new(state, message));
    }
}

/// What statements of the server's own are planned against: those of the catalog, at start.
pub fn context_for(catalog: &Arc<Catalog>, schema: &str) -> PlanContext {
    let mut search_path = vec![schema.to_string()];
    if schema != DEFAULT_SCHEMA {
        search_path.push(DEFAULT_SCHEMA.to_string());
    }
    PlanContext {
        catalog: Arc::clone(catalog),
        system: Arc::new(SystemTables::default()),
        settings: PlanSettings {
            search_path,
            ..PlanSettings::default()
        },
        functions: Arc::default(),
    }
}

fn dml_outcome(written: Written, tag: &'static str, prepared: &Prepared) -> Outcome {
    match (written.returned, &prepared.columns) {
        (Some(rows), Some(columns)) => {
            let schema = rows.schema();
            let stream = Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(rows)])));
            Outcome::Rows {
                columns: Arc::clone(columns),
                stream,
                tag,
            }
        }
        _ => Outcome::Done {
            tag: format!("{tag} {}", written.rows),
        },
    }
}

pub(super) fn unsupported(what: &str, hint: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported yet")).with_hint(hint)
}
