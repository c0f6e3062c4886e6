//! [`Case`]: tables, views and changes, in the order in which they come; and the script that repeats it by hand.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::query::Query;
use super::relation::Relation;

/// Stands, in a query, for the left side of a join as of arrival.
pub const LEFT: &str = "@LEFT@";
/// Stands, in a query, for `FOR SYSTEM_TIME AS OF PROCTIME()`.
pub const AS_OF: &str = "@ASOF@";

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it was made from.
    pub seed: u64,
    /// What happens.
    pub steps: Vec<Step>,
}

/// What happens at a time.
#[derive(Debug, Clone)]
pub enum Step {
    /// A table comes to be.
    Table(Relation),
    /// A view comes to be, over whatever rows there are.
    View(View),
    /// An inline view: its name and its query.
    Inline(String, Query),
    /// A view goes.
    Drop(String),
    /// A transaction.
    Epoch(u32, Vec<Change>),
    /// The server stops and comes back with another number of workers.
    Restart,
}

/// A statement of a transaction.
#[derive(Debug, Clone)]
pub enum Change {
    /// Rows for all columns of a table.
    Insert {
        /// Which table.
        table: String,
        /// The rows, as SQL writes them.
        rows: Vec<String>,
        /// The time of each row in seconds from the start of the stream, where it has one.
        times_s: Vec<Option<i64>>,
        /// ON CONFLICT, or nothing.
        conflict: &'static str,
    },
    /// Any other statement.
    Statement(String),
}

/// A materialized view, and what it must answer.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Its query.
    pub query: Query,
    /// What it must answer.
    pub reference: Reference,
    /// What it is made of, for the statistic.
    pub constructs: BTreeSet<&'static str>,
}

/// What a view must answer.
#[derive(Debug, Clone)]
pub enum Reference {
    /// Its query's answer.
    Batch,
    /// Its query's answer, rows of closed windows only.
    Closed {
        /// The column that is the window's end.
        end: String,
        /// The tables whose watermarks must all have reached it, and by how many seconds each trails.
        sources: Vec<(String, i64)>,
    },
    /// For each row of this table, the answer of the epoch in which it came.
    Arrival {
        /// The table on the left.
        left: String,
    },
}

impl View {
    /// The statement that makes the view.
    pub fn create_sql(&self) -> String {
        let mut sql = format!("CREATE MATERIALIZED VIEW {} AS {}", self.name, self.query.sql());
        match &self.reference {
            Reference::Batch => {}
            Reference::Closed { .. } => sql.push_str(" EMIT ON WINDOW CLOSE"),
            Reference::Arrival { left } => {
                sql = sql
                    .replace(LEFT, left)
                    .replace(AS_OF, "FOR SYSTEM_TIME AS OF PROCTIME()");
            }
        }
        sql
    }

    /// The query that answers what the view must; for a join as of arrival, the rows of one epoch, or of all.
    pub fn reference_sql(&self, epoch: Option<u32>) -> String {
        let query = self.query.defined_sql();
        match &self.reference {
            Reference::Batch => query,
            Reference::Closed { end, sources } => {
                let closed: Vec<String> = sources
                    .iter()
                    .map(|(table, s)| format!("{end} <= (SELECT max(ts) - interval '{s} seconds' FROM {table})"))
                    .collect();
                format!("SELECT * FROM ({query}) AS closed WHERE {}", closed.join(" AND "))
            }
            Reference::Arrival { left } => {
                let rows = match epoch {
                    None => left.clone(),
                    Some(epoch) => format!("(SELECT * FROM {left} WHERE ep = {epoch})"),
                };
                query.replace(LEFT, &rows).replace(AS_OF, "")
            }
        }
    }
}

impl Change {
    /// As SQL.
    pub fn sql(&self) -> String {
        match self {
            Change::Insert {
                table, rows, conflict, ..
            } => format!("INSERT INTO {table} VALUES {}{conflict}", rows.join(", ")),
            Change::Statement(sql) => sql.clone(),
        }
    }
}

impl Step {
    /// The statements, one transaction.
    pub fn statements(&self) -> Vec<String> {
        match self {
            Step::Table(table) => vec![table.create_sql()],
            Step::View(view) => vec![view.create_sql()],
            Step::Inline(name, query) => vec![format!("CREATE VIEW {name} AS {}", query.sql())],
            Step::Drop(name) => vec![format!("DROP MATERIALIZED VIEW {name}")],
            Step::Epoch(_, changes) => changes.iter().map(Change::sql).collect(),
            Step::Restart => Vec::new(),
        }
    }
}

impl Case {
    /// A script for psql.
    pub fn script(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let statements = step.statements();
            let block = statements.len() > 1;
            if matches!(step, Step::Restart) {
                text.push_str("-- restart with another number of workers\n");
            }
            if block {
                text.push_str("BEGIN;\n");
            }
            for statement in statements {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{statement};");
            }
            if block {
                text.push_str("COMMIT;\n");
            }
        }
        text
    }
}
