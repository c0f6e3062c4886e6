//! [`Link`]: the connection's two ways and its watch. Everything that waits for something other than the next
//! message waits through [`Link::run`] or [`Link::flush`], so that a cancel, a time limit, an order to end or a
//! client that has gone stops it, wherever it is: planning is checked after, execution and rows at every wait.
//!
//! A query that computes without a pause gives way only when it has used up its task's budget (tokio's cooperative
//! scheduling, which DataFusion's operators take part in). Timers and sockets are polled outside of that budget,
//! because after such a query there is none left for them, ever.

use std::future::Future;

use highwater_types::SqlError;
use tokio::task::unconstrained;

use super::cancel::Watch;
use super::error::Stop;
use super::frame::Reader;
use super::wire::Writer;

/// A connection's ways in and out, and what may stop it.
pub(super) struct Link {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) watch: Watch,
}

impl Link {
    /// Waits for `work`. What is in the buffer meanwhile reaches the client after a moment; a client that goes
    /// away is noticed. `work` is dropped when there is a reason to stop.
    pub(super) async fn run<T>(&mut self, work: impl Future<Output = Result<T, SqlError>>) -> Result<T, Stop> {
        self.watch.check()?;
        if self.writer.is_due() {
            self.flush().await?;
        }
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done?),
                stop = unconstrained(self.watch.stopped()) => return Err(stop),
                () = unconstrained(self.reader.until_gone()) => return Err(Stop::Gone),
                flushed = unconstrained(self.writer.flush_soon()) => flushed?,
            }
        }
    }

    /// Writes what is in the buffer, as fast as the client takes it.
    pub(super) async fn flush(&mut self) -> Result<(), Stop> {
        tokio::select! {
            biased;
            flushed = self.writer.flush() => Ok(flushed?),
            stop = unconstrained(self.watch.stopped()) => Err(stop),
            () = unconstrained(self.reader.until_gone()) => Err(Stop::Gone),
        }
    }

    /// Writes what is in the buffer between statements: only an order to end stops that.
    pub(super) async fn flush_fully(&mut self) -> Result<(), Stop> {
        tokio::select! {
            biased;
            flushed = self.writer.flush() => Ok(flushed?),
            stop = self.watch.terminated() => Err(stop),
        }
    }
}
