//! [`Session`]: prepares and executes statements, in transactions, over one database.
//!
//! Every statement runs in a transaction: that of a BEGIN block, the implicit one of a message up to Sync, or one
//! of its own. Writes are kept in it until it commits; DDL takes effect at once.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use highwater_executor::batch::DirectPlan;
use highwater_parser::{Parsed, Statement};
use highwater_planner::catalog::{Catalog, Relation};
use highwater_planner::functions::scalar_at;
use highwater_planner::{DeletePlan, InsertPlan, OutputColumn, PlanContext, PlanSettings, QueryPlan, UpdatePlan};
use highwater_types::text::TextSettings;
use highwater_types::{SqlError, SqlState, SqlType};
use sqlparser::ast;

use super::commitment::Commitment;
use super::functions::{LiveSettings, session_functions};
use super::settings::Settings;
use super::system::SystemPart;
use super::transaction::{Transaction, TransactionKind};
use super::write::Written;
use super::{CopyIn, Outcome, Startup};
use crate::database::{Database, World};
use crate::system::SystemTables;

/// One client's session.
pub struct Session {
    pub(super) database: Arc<Database>,
    pub(super) system: Arc<SystemTables>,
    pub(super) system_part: SystemPart,
    pub(super) startup: Startup,
    pub(super) settings: Settings,
    pub(super) transaction: Option<Transaction>,
    /// A statement of the block has failed.
    pub(super) failed: bool,
    notices: Vec<SqlError>,
    pub(super) commitment: Commitment,
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
    /// The short cut for what it reads.
    direct: Option<DirectPlan>,
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
            commitment: Commitment::default(),
            live,
        })
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
        let direct = match &plan {
            Planned::Query(plan) => self.direct_plan(plan),
            Planned::Insert(plan) => self.direct_plan(&plan.source),
            Planned::Update(plan) => self.direct_plan(&plan.source),
            Planned::Delete(plan) => self.direct_plan(&plan.source),
            Planned::Rows | Planned::Command => None,
        };
        Ok(Arc::new(Prepared {
            parsed,
            params,
            columns: columns.map(Arc::from),
            declared: declared.to_vec(),
            catalog_version,
            settings,
            plan,
            direct,
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
            self.begin(TransactionKind::Implicit);
        }
        let outcome = self.run_statement(&prepared, params).await;
        let outcome = self.told_when_seen(outcome).await?;
        // What has still to read or to write in its transaction leaves it open: COPY until it has its rows.
        if alone && !matches!(outcome, Outcome::CopyIn(_)) {
            self.end_implicit().await?;
        }
        Ok(outcome)
    }

    /// Adds the rows of a finished COPY FROM STDIN, and commits unless a transaction goes on.
    ///
    /// # Errors
    /// When a row breaks a constraint.
    pub async fn finish_copy(&mut self, copy: CopyIn) -> Result<u64, SqlError> {
        let rows = self.copy_rows(copy).await;
        let rows = self.told_when_seen(rows).await?;
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
            values.push(scalar_at(column, 0).map_err(|error| highwater_executor::sql_error(&error))?);
        }
        Ok(values)
    }

    /// Whether what it runs now can still be stopped.
    pub fn commitment(&self) -> &Commitment {
        &self.commitment
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
        self.follow_modes();
        let columns = || prepared.columns.clone().unwrap_or_else(|| Arc::from([]));
        let direct = prepared.direct.as_ref();
        match &prepared.plan {
            Planned::Query(plan) => {
                let stream = match self.run_direct(direct, &params, &[])? {
                    Some(rows) => one_batch(rows),
                    None => self.stream(&plan.plan, &params).await?,
                };
                Ok(Outcome::Rows {
                    columns: columns(),
                    stream,
                    tag: "SELECT",
                })
            }
            Planned::Insert(plan) => {
                let written = self.insert(plan, direct, &params).await?;
                Ok(dml_outcome(written, "INSERT 0", prepared))
            }
            Planned::Update(plan) => {
                let written = self.update(plan, direct, &params).await?;
                Ok(dml_outcome(written, "UPDATE", prepared))
            }
            Planned::Delete(plan) => {
                let written = self.delete(plan, direct, &params).await?;
                Ok(dml_outcome(written, "DELETE", prepared))
            }
            Planned::Rows => self.shown_rows(&prepared.parsed.statement, columns()).await,
            Planned::Command => self.command(&prepared.parsed).await,
        }
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
    pub(super) fn session_state(&self) -> Arc<SessionState> {
        highwater_planner::shared_session_state(self.settings.value("TimeZone"))
    }

    /// Tells the client something that is no error.
    pub(super) fn notice(&mut self, message: &str) {
        self.notices
            .push(SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message));
    }

    pub(super) fn warn(&mut self, state: SqlState, message: &str) {
        self.notices.push(SqlError::new(state, message));
    }
}

/// What the texts of an existing relation are planned against, at start for one.
pub fn context_for(catalog: &Arc<Catalog>, relation: &Relation) -> PlanContext {
    let context = PlanContext {
        catalog: Arc::clone(catalog),
        system: Arc::new(SystemTables::default()),
        settings: PlanSettings::default(),
        functions: Arc::default(),
        reads: None,
    };
    context.of_view(relation)
}

/// A result that is there already.
fn one_batch(rows: RecordBatch) -> SendableRecordBatchStream {
    let schema = rows.schema();
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(rows)])))
}

fn dml_outcome(written: Written, tag: &'static str, prepared: &Prepared) -> Outcome {
    match (written.returned, &prepared.columns) {
        (Some(rows), Some(columns)) => Outcome::Rows {
            columns: Arc::clone(columns),
            stream: one_batch(rows),
            tag,
        },
        _ => Outcome::Done {
            tag: format!("{tag} {}", written.rows),
        },
    }
}

pub(super) fn unsupported(what: &str, hint: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported yet")).with_hint(hint)
}
