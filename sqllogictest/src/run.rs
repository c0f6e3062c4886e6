//! [`run_file`]: one file, in one mode, on one server.

use std::path::{Path, PathBuf};

use sqllogictest::{
    Connection, DefaultColumnType, MakeConnection, Normalizer, ParseError, QueryExpect, Record, Runner,
    StatementExpect, TestError,
};

use crate::client::{Address, Client, ClientError};
use crate::mode::Mode;
use crate::sql::Kind;
use crate::target::Target;
use crate::view_first::{Choice, ViewFirst, Viewed};

/// Why a file failed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is no sqllogictest file.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A record's answer is not the one in the file.
    #[error("{0}")]
    Record(TestError),
    /// A view refuses what a query answers, and not because it is not built yet.
    #[error("a view refuses what a query answers: {refusal}\n[SQL] {sql}\nat {location}")]
    View {
        /// The query.
        sql: String,
        /// What CREATE says.
        refusal: String,
        /// Where it stands.
        location: String,
    },
    /// The runner's own statements failed.
    #[error("{0}")]
    Runner(String),
}

impl From<ClientError> for FileError {
    fn from(error: ClientError) -> FileError {
        FileError::Runner(error.to_string())
    }
}

/// Runs a file; answers how its queries ran.
///
/// # Errors
/// The first record that is answered otherwise than the file says.
pub async fn run_file(path: &Path, mode: Mode, target: &mut Target) -> Result<Viewed, FileError> {
    let records = sqllogictest::parse_file(path)?;
    let mut views = ViewFirst::new(&records);
    if mode == Mode::ViewFirst {
        views.connect(target.client()).await?;
    }
    let mut run = FileRun {
        mode,
        runner: runner(target, mode),
        target,
        views,
        said_in_session: Vec::new(),
        open_blocks: Vec::new(),
        said_since_restart: false,
    };
    let mut result = Ok(());
    for (place, record) in records.into_iter().enumerate() {
        result = run.record(place, record).await;
        if result.is_err() {
            break;
        }
    }
    let viewed = run.views.viewed;
    run.views.close().await;
    run.runner.shutdown_async().await;
    result.map(|()| viewed)
}

/// Makes connections to one address.
pub(crate) struct Connector {
    address: Address,
    engine: &'static str,
}

impl MakeConnection for Connector {
    type Conn = Client;
    type MakeFuture = std::future::Ready<Result<Client, ClientError>>;

    fn make(&mut self) -> Self::MakeFuture {
        std::future::ready(Ok(Client::new(self.address.clone(), self.engine)))
    }
}

/// A runner that compares rows as they are written.
pub(crate) fn runner(target: &Target, mode: Mode) -> Runner<Client, Connector> {
    let mut runner = Runner::new(Connector {
        address: target.address(),
        engine: target.engine(),
    });
    runner.add_label(mode.word());
    runner.with_validator(same_rows);
    runner.with_column_validator(|actual, expected| actual.len() == expected.len());
    runner
}

/// Rows in the order of the file. Between columns stands one space; space at a line's end does not count.
pub(crate) fn same_rows(_: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    lines(actual).eq(expected.iter().map(|line| line.trim_end().to_string()))
}

/// The same rows in any order: a view has none.
fn same_bag(_: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    let mut actual: Vec<String> = lines(actual).collect();
    let mut expected: Vec<String> = expected.iter().map(|line| line.trim_end().to_string()).collect();
    actual.sort();
    expected.sort();
    actual == expected
}

fn lines(rows: &[Vec<String>]) -> impl Iterator<Item = String> {
    rows.iter().map(|row| row.join(" ").trim_end().to_string())
}

/// A file on its way.
struct FileRun<'a> {
    mode: Mode,
    runner: Runner<Client, Connector>,
    target: &'a mut Target,
    views: ViewFirst,
    /// What the file said that lives in a session; said again after a restart.
    said_in_session: Vec<Record<DefaultColumnType>>,
    /// Connections with an open transaction block.
    open_blocks: Vec<Connection>,
    said_since_restart: bool,
}

impl FileRun<'_> {
    async fn record(&mut self, place: usize, record: Record<DefaultColumnType>) -> Result<(), FileError> {
        match &record {
            Record::Statement { sql, connection, .. } => {
                let (kind, sql, connection) = (Kind::of(sql), sql.clone(), connection.clone());
                self.before(kind, &sql, &connection, &record).await?;
                self.apply(record).await?;
                self.said_since_restart = true;
                Ok(())
            }
            Record::Query { sql, connection, .. } => {
                let (kind, sql, connection) = (Kind::of(sql), sql.clone(), connection.clone());
                if kind != Kind::Select {
                    self.before(kind, &sql, &connection, &record).await?;
                }
                self.query(place, record).await?;
                self.said_since_restart |= kind != Kind::Select;
                Ok(())
            }
            _ => self.apply(record).await,
        }
    }

    /// What the modes keep, before a statement is said.
    async fn before(
        &mut self,
        kind: Kind,
        sql: &str,
        connection: &Connection,
        record: &Record<DefaultColumnType>,
    ) -> Result<(), FileError> {
        let views = self.mode == Mode::ViewFirst;
        match kind {
            Kind::Begin => {
                self.open_blocks.push(connection.clone());
                if views {
                    self.views.before_rows().await;
                }
            }
            Kind::End => self.open_blocks.retain(|open| open != connection),
            Kind::Write if views => self.views.before_rows().await,
            Kind::Change if views => self.views.before_change().await?,
            Kind::Session => {
                if views {
                    self.views.follow(sql).await?;
                }
                // What a block sets may be rolled back with it.
                if let Record::Statement {
                    expected: StatementExpect::Ok,
                    ..
                } = record
                    && !self.open_blocks.contains(connection)
                {
                    self.said_in_session.push(record.clone());
                }
            }
            Kind::Write | Kind::Change | Kind::Select | Kind::Other => {}
        }
        Ok(())
    }

    async fn query(&mut self, place: usize, record: Record<DefaultColumnType>) -> Result<(), FileError> {
        match self.mode {
            Mode::Plain => self.apply(record).await,
            Mode::Restarts => {
                if self.said_since_restart && self.open_blocks.is_empty() {
                    self.restart().await?;
                }
                self.apply(record).await
            }
            Mode::ViewFirst => {
                let open = !self.open_blocks.is_empty();
                let choice = self.views.choose(place, open).await;
                let result = self.as_chosen(choice, record).await;
                self.views.answered(place).await?;
                result
            }
        }
    }

    async fn as_chosen(&mut self, choice: Choice, mut record: Record<DefaultColumnType>) -> Result<(), FileError> {
        match choice {
            Choice::Plain => self.apply(record).await,
            Choice::View(read) => {
                if let Record::Query { sql, .. } = &mut record {
                    *sql = read;
                }
                self.runner.with_validator(same_bag);
                let result = self.apply(record).await;
                self.runner.with_validator(same_rows);
                result
            }
            Choice::Wrong(refusal) => {
                self.apply(record.clone()).await?;
                match record {
                    Record::Query {
                        expected: QueryExpect::Results { .. },
                        sql,
                        loc,
                        ..
                    } => Err(FileError::View {
                        sql,
                        refusal: refusal.to_string(),
                        location: loc.to_string(),
                    }),
                    _ => Ok(()),
                }
            }
        }
    }

    async fn restart(&mut self) -> Result<(), FileError> {
        self.runner.shutdown_async().await;
        self.target.restart().await;
        for record in &self.said_in_session {
            self.runner.run_async(record.clone()).await.map_err(FileError::Record)?;
        }
        self.said_since_restart = false;
        Ok(())
    }

    async fn apply(&mut self, record: Record<DefaultColumnType>) -> Result<(), FileError> {
        self.runner.run_async(record).await.map(drop).map_err(FileError::Record)
    }
}

/// Where a file stands, from the folder of suites.
pub(crate) fn short_name(path: &Path) -> PathBuf {
    let folder = crate::suite::suites_folder();
    path.strip_prefix(folder).unwrap_or(path).to_path_buf()
}
