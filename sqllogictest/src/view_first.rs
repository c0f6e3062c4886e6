//! [`ViewFirst`]: which queries of a file stand as materialized views, and [`Viewed`], the count of them.
//!
//! A view is declared before the next statement that writes rows, as soon as what it reads exists, so that it follows
//! every change; and it goes when its query has been answered, or when something may be dropped that it reads. A
//! query that could not be declared in time is declared at its place, and then starts from rows that are there.

use std::collections::BTreeMap;

use sqllogictest::{AsyncDB, DefaultColumnType, QueryExpect, Record};

use crate::client::{Client, ClientError, NOT_SUPPORTED};
use crate::sql::Kind;

/// Where the views are: apart from what files list.
const SCHEMA: &str = "view_first";
/// A query with this label runs as it is: `query I rowsort plain`.
const PLAIN_LABEL: &str = "plain";

/// How the queries of a file ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Viewed {
    /// Through a view that was there before the rows.
    pub before_rows: usize,
    /// Through a view that was made at the query's place.
    pub after_rows: usize,
    /// As they are, since a view refuses them with `0A000`.
    pub refused: usize,
    /// As they are, since they are no SELECT, stand in a transaction block, or are expected to be wrong.
    pub no_view: usize,
}

impl Viewed {
    /// How many ran through a view.
    pub fn as_views(self) -> usize {
        self.before_rows + self.after_rows
    }
}

impl std::ops::AddAssign for Viewed {
    fn add_assign(&mut self, other: Viewed) {
        self.before_rows += other.before_rows;
        self.after_rows += other.after_rows;
        self.refused += other.refused;
        self.no_view += other.no_view;
    }
}

/// How a query is to run.
pub(crate) enum Choice {
    /// This statement reads its view.
    View(String),
    /// As it is.
    Plain,
    /// As it is, but when it succeeds this refusal was wrong.
    Wrong(ClientError),
}

/// The views of a file.
pub(crate) struct ViewFirst {
    /// Queries that could be views, by their place in the file: the SQL, and whether its view exists.
    queries: BTreeMap<usize, (String, bool)>,
    /// The views' own session.
    session: Option<Client>,
    pub(crate) viewed: Viewed,
}

impl ViewFirst {
    pub(crate) fn new(records: &[Record<DefaultColumnType>]) -> ViewFirst {
        let queries = records
            .iter()
            .enumerate()
            .filter_map(|(place, record)| Some((place, (declaration(place, record)?, false))))
            .collect();
        ViewFirst {
            queries,
            session: None,
            viewed: Viewed::default(),
        }
    }

    /// The session of the views.
    pub(crate) async fn connect(&mut self, mut session: Client) -> Result<(), ClientError> {
        session.run(&format!("CREATE SCHEMA {SCHEMA}")).await?;
        self.session = Some(session);
        Ok(())
    }

    async fn say(&mut self, sql: &str) -> Result<(), ClientError> {
        match &mut self.session {
            Some(session) => session.run(sql).await.map(drop),
            None => Ok(()),
        }
    }

    /// Rows are about to be written: declares what can be declared by now.
    pub(crate) async fn before_rows(&mut self) {
        let missing: Vec<(usize, String)> = self
            .queries
            .iter()
            .filter(|(_, (_, exists))| !exists)
            .map(|(place, (sql, _))| (*place, sql.clone()))
            .collect();
        for (place, sql) in missing {
            // What it reads may not exist yet; at the query's place an error counts.
            let exists = self.say(&sql).await.is_ok();
            self.queries.insert(place, (sql, exists));
        }
    }

    /// Something may go or change that a view reads: the views go first.
    pub(crate) async fn before_change(&mut self) -> Result<(), ClientError> {
        let standing: Vec<usize> = self
            .queries
            .iter()
            .filter(|(_, (_, exists))| *exists)
            .map(|(place, _)| *place)
            .collect();
        for place in standing {
            self.say(&format!("DROP MATERIALIZED VIEW {}", view(place))).await?;
            if let Some((_, exists)) = self.queries.get_mut(&place) {
                *exists = false;
            }
        }
        Ok(())
    }

    /// Says it in the views' session as well: a setting that changes what queries mean.
    pub(crate) async fn follow(&mut self, sql: &str) -> Result<(), ClientError> {
        self.before_change().await?;
        // When it fails, it fails in the file's own session too, where the file says whether it should.
        let _ = self.say(sql).await;
        Ok(())
    }

    /// How the query at this place is to run. `open` says that a transaction block is open.
    pub(crate) async fn choose(&mut self, place: usize, open: bool) -> Choice {
        let Some((sql, exists)) = self.queries.get(&place).cloned() else {
            self.viewed.no_view += 1;
            return Choice::Plain;
        };
        if open {
            // The view cannot see what the block has not committed.
            self.viewed.no_view += 1;
            return Choice::Plain;
        }
        let read = Choice::View(format!("SELECT * FROM {}", view(place)));
        if exists {
            self.viewed.before_rows += 1;
            return read;
        }
        match self.say(&sql).await {
            Ok(()) => {
                self.viewed.after_rows += 1;
                self.queries.insert(place, (sql, true));
                read
            }
            Err(error) if error.state() == Some(NOT_SUPPORTED) => {
                self.viewed.refused += 1;
                Choice::Plain
            }
            Err(error) => {
                self.viewed.no_view += 1;
                Choice::Wrong(error)
            }
        }
    }

    /// The query at this place has been answered: its view goes.
    pub(crate) async fn answered(&mut self, place: usize) -> Result<(), ClientError> {
        match self.queries.remove(&place) {
            Some((_, true)) => self.say(&format!("DROP MATERIALIZED VIEW {}", view(place))).await,
            Some((_, false)) | None => Ok(()),
        }
    }

    pub(crate) async fn close(&mut self) {
        if let Some(mut session) = self.session.take() {
            session.shutdown().await;
        }
    }
}

fn view(place: usize) -> String {
    format!("{SCHEMA}.q{place}")
}

/// CREATE MATERIALIZED VIEW for a query, with names for its columns when the file says how many it has: they need not
/// differ in a query, in a view they must.
fn declaration(place: usize, record: &Record<DefaultColumnType>) -> Option<String> {
    let Record::Query { sql, expected, .. } = record else {
        return None;
    };
    if Kind::of(sql) != Kind::Select {
        return None;
    }
    let columns = match expected {
        QueryExpect::Results { label: Some(label), .. } if label == PLAIN_LABEL => return None,
        QueryExpect::Results { types, .. } => types.len(),
        QueryExpect::Error(_) => 0,
    };
    let names: Vec<String> = (1..=columns).map(|c| format!("c{c}")).collect();
    let names = if names.is_empty() {
        String::new()
    } else {
        format!(" ({})", names.join(", "))
    };
    let query = sql.trim().trim_end_matches(';');
    Some(format!("CREATE MATERIALIZED VIEW {}{names} AS {query}", view(place)))
}
