//! [`Client`]: a session of the demo's own, which asks in SQL and gets text, as psql would.

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use highwater_executor::sql_error;
use highwater_types::SqlError;
use highwater_types::text::{TextSettings, TextWriter};

use crate::serve::StartError;
use crate::session::{Outcome, Session};

/// What a statement answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows, as text; NULL is empty.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A value; empty where there is none.
    pub(super) fn text(&self, row: usize, column: &str) -> &str {
        let column = self.columns.iter().position(|name| name == column);
        column
            .and_then(|column| self.rows.get(row)?.get(column))
            .map_or("", String::as_str)
    }

    /// A value that is a number.
    pub(super) fn number(&self, row: usize, column: &str) -> Option<u64> {
        self.text(row, column).parse().ok()
    }
}

/// Runs statements one at a time.
pub(super) struct Client {
    session: Session,
}

impl Client {
    /// A client with this session.
    pub(super) fn new(session: Session) -> Client {
        Client { session }
    }

    /// Runs one statement; its rows, if it has any.
    ///
    /// # Errors
    /// What the statement fails with.
    pub(super) async fn query(&mut self, sql: &str) -> Result<Table, StartError> {
        self.run(sql).await.map_err(|error| StartError::Demo {
            sql: sql.to_string(),
            error: Box::new(error),
        })
    }

    async fn run(&mut self, sql: &str) -> Result<Table, SqlError> {
        let mut table = Table::default();
        for parsed in highwater_parser::parse(sql)? {
            let prepared = self.session.prepare(parsed, &[])?;
            match self.session.execute(&prepared, Vec::new()).await? {
                Outcome::Rows { columns, stream, .. } => {
                    let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(|error| sql_error(&error))?;
                    table.columns = columns.iter().map(|column| column.name.clone()).collect();
                    for batch in &batches {
                        append(batch, self.session.settings().text_settings(), &mut table.rows)?;
                    }
                }
                Outcome::Done { .. } | Outcome::CopyIn(_) | Outcome::CopyOut { .. } | Outcome::Empty => {}
            }
        }
        Ok(table)
    }
}

/// Appends a batch's rows as text.
fn append(batch: &RecordBatch, settings: &TextSettings, rows: &mut Vec<Vec<String>>) -> Result<(), SqlError> {
    let schema = batch.schema();
    let writers = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| TextWriter::try_new(field, array, settings))
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        let values = batch.columns().iter().zip(&writers).map(|(array, writer)| {
            let mut text = Vec::new();
            if !array.is_null(row) {
                writer.write(row, &mut text);
            }
            String::from_utf8_lossy(&text).into_owned()
        });
        rows.push(values.collect());
    }
    Ok(())
}
