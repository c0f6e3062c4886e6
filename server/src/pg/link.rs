//! [`Link`]: the connection's two ways and its watch. Everything that waits for something other than the next
//! message waits through [`Link::run`] or [`Link::flush`], so that a cancel, a time limit, an order to end or a
//! client that has gone stops it, wherever it is: planning is checked after, execution and rows at every wait. A commit
//! under way is not cancelled, nor given up at its time limit: it would take effect all the same.
//!
//! A query that computes without a pause gives way only when it has used up its task's budget (tokio's cooperative
//! scheduling, which DataFusion's operators take part in). Timers and sockets are polled outside of that budget,
//! because after such a query there is none left for them, ever.

use std::future::Future;
use std::task::Poll;

use highwater_types::SqlError;
use tokio::task::unconstrained;

use super::cancel::Watch;
use super::error::Stop;
use super::frame::Reader;
use super::wire::Writer;
use crate::session::Commitment;

/// A connection's ways in and out, and what may stop it.
pub(super) struct Link {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) watch: Watch,
    /// Whether the session's work can be stopped.
    pub(super) commitment: Commitment,
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
        let commitment = self.commitment.clone();
        let mut held_back: Option<Stop> = None;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done?),
                () = can_stop(&commitment), if held_back.is_some() => return Err(held_back.unwrap_or(Stop::Gone)),
                stop = unconstrained(self.watch.stopped()) => match stop {
                    Stop::Error(_) if commitment.is_made() => held_back = Some(stop),
                    Stop::Error(_) | Stop::Fatal(_) | Stop::Gone => return Err(stop),
                },
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

/// Answers when the work, which is polled before, can be stopped.
async fn can_stop(commitment: &Commitment) {
    std::future::poll_fn(|_| match commitment.is_made() {
        true => Poll::Pending,
        false => Poll::Ready(()),
    })
    .await;
}
