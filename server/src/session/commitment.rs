//! [`Commitment`]: whether a session's statement is past the point up to which it can be stopped. A commit that has
//! been handed to the coordinator takes effect whoever still waits for it, and so does DDL that is in the catalog: to
//! tell the client that it was cancelled would be a lie. So the front end, which stops a statement by dropping its
//! future, asks here first, and lets a cancel or a time limit pass until the answer is there.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One session's, shared with whoever may stop its statements.
#[derive(Debug, Clone, Default)]
pub struct Commitment(Arc<AtomicBool>);

impl Commitment {
    /// Whether what runs now will take effect, and is to be waited for.
    pub fn is_made(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits for work that can no longer be called back.
    pub(crate) async fn keep<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.store(true, Ordering::Relaxed);
        let _kept = Kept(self);
        work.await
    }
}

/// However the work ends, what comes after it can be stopped again.
struct Kept<'a>(&'a Commitment);

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}
