//! Runs a [`Case`] on servers with different numbers of workers side by side. After each step every view of each
//! server must answer as its reference does.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use highwater_types::{SqlError, SqlState};

use super::case::{Case, Change, Reference, Step, View};
use super::coverage::Coverage;
use super::rows::Rows;
use super::server::{Server, is_refusal};

/// The numbers of workers.
const WORKERS: [usize; 3] = [1, 2, 4];
/// A statement that takes longer hangs.
const LONGEST_STATEMENT: Duration = Duration::from_secs(60);

/// A server that takes longer to stop hangs.
const LONGEST_STOP: Duration = Duration::from_secs(5);

/// The servers that cases run on, one after the other.
#[derive(Default)]
pub struct Fleet {
    servers: Vec<Server>,
}

/// Why a case fails.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What is wrong, with whose rows.
    pub message: String,
    /// The view that is wrong, or the statement.
    pub subject: String,
    /// At which step.
    pub step: usize,
}

/// An answer: rows, or the SQLSTATE of an error.
type Answer = Result<Rows, SqlError>;

/// A case under way.
struct Run<'a> {
    fleet: &'a mut Fleet,
    step: usize,
    views: Vec<View>,
    /// What joins as of arrival must answer so far.
    arrived: HashMap<String, Rows>,
    lateness: BTreeMap<String, Lateness>,
}

/// What a table with a watermark must have kept.
#[derive(Debug, Clone, Default)]
struct Lateness {
    trail_s: i64,
    in_force_s: Option<i64>,
    kept: i64,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, {}: {}", self.step, self.subject, self.message)
    }
}

impl Fleet {
    /// Runs a case, and removes what it has made. After a failure the servers are new ones.
    pub async fn run(&mut self, case: &Case, coverage: &mut Coverage) -> Result<(), Failure> {
        for workers in WORKERS.into_iter().skip(self.servers.len()) {
            self.servers.push(Server::start(workers).await);
        }
        let mut run = Run {
            fleet: self,
            step: 0,
            views: Vec::new(),
            arrived: HashMap::new(),
            lateness: BTreeMap::new(),
        };
        let mut result = run.all(case, coverage).await;
        if result.is_ok() {
            result = self.clean(case).await;
        }
        if result.is_err() {
            self.stop().await;
        }
        result
    }

    /// Stops the servers; one that hangs is left behind.
    pub async fn stop(&mut self) {
        let servers = std::mem::take(&mut self.servers).into_iter();
        join_all(servers.map(|server| tokio::time::timeout(LONGEST_STOP, server.stop()))).await;
    }

    async fn clean(&mut self, case: &Case) -> Result<(), Failure> {
        let drops: Vec<String> = case
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Table(table) => Some(format!("DROP TABLE {} CASCADE", table.name)),
                _ => None,
            })
            .collect();
        let script = drops.join("; ");
        for answer in self.on_each(&script).await {
            answer.map_err(|error| Failure {
                message: describe(&error),
                subject: script.clone(),
                step: case.steps.len(),
            })?;
        }
        Ok(())
    }

    /// Runs statements on each server; an answer that does not come is an error.
    async fn on_each(&mut self, sql: &str) -> Vec<Answer> {
        join_all(self.servers.iter_mut().map(|server| in_time(server.run(sql)))).await
    }

    /// The answers of each server to a query.
    async fn ask(&mut self, sql: &str) -> Vec<Answer> {
        join_all(self.servers.iter_mut().map(|server| in_time(server.query(sql)))).await
    }

    /// The first server's answer to a query.
    async fn ask_first(&mut self, sql: &str) -> Answer {
        in_time(self.servers[0].query(sql)).await
    }
}

impl Run<'_> {
    async fn all(&mut self, case: &Case, coverage: &mut Coverage) -> Result<(), Failure> {
        for (at, step) in case.steps.iter().enumerate() {
            self.step = at;
            match step {
                Step::Table(table) => {
                    self.must(&table.create_sql()).await?;
                    if let Some((_, trail_s)) = table.watermark {
                        let lateness = Lateness {
                            trail_s,
                            ..Lateness::default()
                        };
                        self.lateness.insert(table.name.clone(), lateness);
                    }
                    continue;
                }
                Step::View(view) => self.create(view, coverage).await?,
                Step::Inline(..) => self.inline(step).await?,
                Step::Drop(name) => {
                    // It is not there when it was refused, or when what it reads was.
                    if self.views.iter().any(|v| v.name == *name) {
                        self.must(&step.statements()[0]).await?;
                    }
                    self.views.retain(|v| v.name != *name);
                }
                Step::Epoch(number, changes) => self.epoch(*number, changes).await?,
                Step::Restart => self.restart().await,
            }
            self.check().await?;
            coverage.checks += self.views.len() * WORKERS.len();
        }
        Ok(())
    }

    async fn must(&mut self, sql: &str) -> Result<(), Failure> {
        for answer in self.fleet.on_each(sql).await {
            answer.map_err(|error| self.failure(sql, describe(&error)))?;
        }
        Ok(())
    }

    async fn create(&mut self, view: &View, coverage: &mut Coverage) -> Result<(), Failure> {
        let sql = view.create_sql();
        let answers = self.fleet.on_each(&sql).await;
        let states: Vec<Option<String>> = answers
            .iter()
            .map(|a| a.as_ref().err().map(|e| e.state.to_string()))
            .collect();
        if states.iter().any(|s| *s != states[0]) {
            return Err(self.failure(&sql, format!("servers do not agree whether it can be made: {states:?}")));
        }
        let Some(error) = answers.into_iter().find_map(Result::err) else {
            coverage.accepted(view);
            self.views.push(view.clone());
            if let Reference::Arrival { .. } = view.reference {
                self.arrived.insert(view.name.clone(), Rows::default());
                self.arrive(view, None).await;
            }
            return Ok(());
        };
        if is_refusal(&error) {
            coverage.refused(view, &error);
            return Ok(());
        }
        if error.state == SqlState::UNDEFINED_TABLE {
            // What it reads was refused.
            coverage.orphaned += 1;
            return Ok(());
        }
        Err(self.failure(&sql, describe(&error)))
    }

    async fn inline(&mut self, step: &Step) -> Result<(), Failure> {
        let sql = step.statements().remove(0);
        for answer in self.fleet.on_each(&sql).await {
            match answer {
                Err(error) if error.state != SqlState::UNDEFINED_TABLE => {
                    return Err(self.failure(&sql, describe(&error)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn epoch(&mut self, number: u32, changes: &[Change]) -> Result<(), Failure> {
        let statements: Vec<String> = changes.iter().map(Change::sql).collect();
        let servers = self.fleet.servers.iter_mut();
        let answers = join_all(servers.map(|server| in_time(server.transaction(&statements)))).await;
        let states: Vec<Option<String>> = answers
            .iter()
            .map(|a| a.as_ref().err().map(|e| e.state.to_string()))
            .collect();
        if states.iter().any(|s| *s != states[0]) {
            let answers: Vec<Option<String>> = answers.iter().map(|a| a.as_ref().err().map(describe)).collect();
            return Err(self.failure(&statements.join("; "), format!("servers do not agree: {answers:?}")));
        }
        if let Some(Err(error)) = answers.into_iter().next() {
            // A key that is there already, or a value out of range, takes the transaction back: nothing has happened.
            return match error.state.to_string().as_str() {
                "23505" | "22003" | "22008" => Ok(()),
                _ => Err(self.failure(&statements.join("; "), describe(&error))),
            };
        }
        for (table, lateness) in &mut self.lateness {
            lateness.apply(table, changes);
        }
        for view in self.views.clone() {
            if let Reference::Arrival { .. } = view.reference {
                self.arrive(&view, Some(number)).await;
            }
        }
        self.check_late_rows().await
    }

    async fn restart(&mut self) {
        let servers = std::mem::take(&mut self.fleet.servers);
        let workers: Vec<usize> = servers.iter().map(Server::workers).collect();
        let next = workers.iter().cycle().skip(1);
        let restarts = servers
            .into_iter()
            .zip(next)
            .map(|(server, workers)| server.restart(*workers));
        self.fleet.servers = join_all(restarts).await;
        // Until operators' state survives a restart, a join as of arrival finds all its rows arriving with it.
        for view in self.views.clone() {
            if let Reference::Arrival { .. } = view.reference {
                self.arrived.insert(view.name.clone(), Rows::default());
                self.arrive(&view, None).await;
            }
        }
    }

    /// Adds what a join as of arrival must answer for the rows of one epoch, or of all. One whose right side has a
    /// fault just then is not followed further.
    async fn arrive(&mut self, view: &View, epoch: Option<u32>) {
        match self.fleet.ask_first(&view.reference_sql(epoch)).await {
            Ok(rows) => self.arrived.entry(view.name.clone()).or_default().extend(&rows),
            Err(_) => self.views.retain(|v| v.name != view.name),
        }
    }

    async fn check(&mut self) -> Result<(), Failure> {
        let mut errors: Vec<String> = Vec::new();
        for view in self.views.clone() {
            let expected = match &view.reference {
                Reference::Arrival { .. } => Ok(self.arrived.get(&view.name).cloned().unwrap_or_default()),
                Reference::Batch | Reference::Closed { .. } => self.fleet.ask_first(&view.reference_sql(None)).await,
            };
            let answers = self.fleet.ask(&format!("SELECT * FROM {}", view.name)).await;
            for (at, answer) in answers.into_iter().enumerate() {
                let error = answer.as_ref().err().map(describe);
                // A batch may do without a view that it joins; the view that reads it fails with it.
                if expected.is_ok() && error.as_ref().is_some_and(|error| errors.contains(error)) {
                    continue;
                }
                errors.extend(error);
                if let Some(difference) = differ(&answer, &expected) {
                    let workers = self.fleet.servers[at].workers();
                    let message = format!("at {workers} workers\n{difference}\n{}", view.create_sql());
                    return Err(self.failure(&view.name, message));
                }
            }
        }
        Ok(())
    }

    async fn check_late_rows(&mut self) -> Result<(), Failure> {
        for (table, lateness) in self.lateness.clone() {
            for answer in self.fleet.ask(&format!("SELECT count(*) FROM {table}")).await {
                let kept = answer.ok().and_then(|rows| rows.as_number());
                if kept != Some(lateness.kept) {
                    let message = format!("has {kept:?} rows; {} were in time", lateness.kept);
                    return Err(self.failure(&table, message));
                }
            }
        }
        Ok(())
    }

    fn failure(&self, subject: &str, message: String) -> Failure {
        Failure {
            message,
            subject: subject.to_string(),
            step: self.step,
        }
    }
}

impl Lateness {
    /// Takes in the rows of an epoch.
    fn apply(&mut self, table: &str, changes: &[Change]) {
        let mut newest_s = self.in_force_s;
        for change in changes {
            let Change::Insert {
                table: into, times_s, ..
            } = change
            else {
                continue;
            };
            if into != table {
                continue;
            }
            let in_time = |time: &&Option<i64>| time.zip(self.in_force_s).is_none_or(|(time, mark)| time >= mark);
            self.kept += times_s.iter().filter(in_time).count() as i64;
            let newest = times_s.iter().flatten().max().map(|time| time - self.trail_s);
            newest_s = newest_s.max(newest);
        }
        self.in_force_s = newest_s;
    }
}

fn is_internal(error: &SqlError) -> bool {
    error.state == SqlState::INTERNAL_ERROR
}

/// What a view answers wrongly.
fn differ(view: &Answer, expected: &Answer) -> Option<String> {
    match (view, expected) {
        (Ok(view), Ok(expected)) if view == expected => None,
        // Which of several errors comes first nobody says.
        (Err(view), Err(expected)) if !is_internal(view) && !is_internal(expected) => None,
        (Ok(view), Ok(expected)) => Some(format!(
            "the view has {view}, its batch {expected}\n{}",
            view.difference(expected)
        )),
        (Err(view), Ok(expected)) => Some(format!("the view fails ({}), its batch has {expected}", describe(view))),
        (Ok(view), Err(expected)) => Some(format!("the view has {view}, its batch fails ({})", describe(expected))),
        (Err(view), Err(expected)) => Some(format!(
            "the view fails ({}), its batch otherwise ({})",
            describe(view),
            describe(expected)
        )),
    }
}

fn describe(error: &SqlError) -> String {
    format!("{}: {}", error.state, error.message)
}

async fn in_time<T>(answer: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
    match tokio::time::timeout(LONGEST_STATEMENT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(SqlError::new(
            SqlState::INTERNAL_ERROR,
            format!("no answer within {} s", LONGEST_STATEMENT.as_secs()),
        )),
    }
}
