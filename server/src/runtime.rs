//! Where the server's threads come from. Statements are parsed, planned and computed by recursion, as deep as the
//! parser's limits let them be nested; every thread that may do so has the stack for it.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Runtime};

/// The stack of a thread. Only what is used of it takes memory.
pub const STACK_BYTES: usize = highwater_executor::STACK_BYTES;

/// Threads for long queries, which are as many as run at a time: a query whose client does not read keeps its own. There
/// may be more of them than connections with the default limit; none is started before it is needed.
const MAX_LONG_QUERIES: usize = 16_384;

/// The threads that serve sessions.
///
/// # Errors
/// When threads cannot be started.
pub fn build() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(MAX_LONG_QUERIES)
        .build()
}

/// Runs the server's main task on this thread, and what it starts on threads of its own.
///
/// # Errors
/// When threads cannot be started.
pub fn block_on<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let runtime = build()?;
    Ok(stacker::grow(STACK_BYTES, || runtime.block_on(task)))
}
