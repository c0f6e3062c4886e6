//! The simple protocol: one string, any number of statements, one ReadyForQuery. The whole string is parsed first;
//! then each statement is planned and run, in one transaction unless it says otherwise; the first error ends it.

use highwater_parser::{Parsed, parse};
use highwater_types::SqlError;
use pgwire::messages::response::EmptyQueryResponse;

use super::connection::Connection;
use super::describe::put_row_description;
use super::encode::Format;
use super::error::{Severity, Stop};
use super::run::give_way;

impl Connection {
    /// Answers a Query message.
    pub(super) async fn simple_query(&mut self, sql: &str) -> Result<(), Stop> {
        self.statements.remove("");
        self.portals.close("");
        self.registered.show("active", Some(sql));
        match self.run_string(sql).await {
            Ok(()) => {}
            Err(Stop::Error(error)) => {
                self.fail();
                self.link.writer.put_error(&error, Severity::Error);
            }
            Err(stop) => return Err(stop),
        }
        self.several = false;
        self.ready().await
    }

    async fn run_string(&mut self, sql: &str) -> Result<(), Stop> {
        let statements = give_way(sql.len(), || parse(sql)).map_err(SqlError::from)?;
        if statements.is_empty() {
            self.link.writer.put(&EmptyQueryResponse::new());
            return Ok(());
        }
        self.several = statements.len() > 1;
        let last = statements.len() - 1;
        for (index, parsed) in statements.into_iter().enumerate() {
            self.run_statement(parsed, index == last).await?;
        }
        Ok(())
    }

    async fn run_statement(&mut self, parsed: Parsed, last: bool) -> Result<(), Stop> {
        self.session.begin_implicit();
        self.link.watch.start(self.session.settings().statement_timeout());
        let planned = self.plan(parsed, &[])?;
        if !planned.params.is_empty() {
            return Err(Stop::Error(super::extended::no_parameter(1)));
        }
        let mut work = self.start(&planned, Vec::new()).await?;
        let columns = work.columns().cloned();
        let formats = vec![Format::Text; columns.as_ref().map_or(0, |c| c.len())];
        if let Some(columns) = columns {
            put_row_description(&mut self.link.writer, Some(&columns), &formats)?;
        }
        let progress = self.advance(&mut work, &formats, u64::MAX).await?;
        drop(work);
        // The client may take the last tag as a promise, so the transaction is committed before it is sent.
        if last {
            self.end_implicit().await?;
        }
        self.link.watch.finish();
        self.put_progress(progress);
        Ok(())
    }
}
