//! The oracle: random schemas, streams and queries; every view must equal its own query run as a batch over the same
//! rows, after every epoch, at any number of workers.
//!
//! | file | what it knows |
//! |---|---|
//! | `dice.rs`, `kind.rs`, `expr.rs` | choices, values and expressions of each type |
//! | `relation.rs`, `changes.rs` | tables, and what happens to their rows |
//! | `query.rs`, `views.rs`, `groups.rs`, `ranks.rs`, `subqueries.rs`, `joins.rs`, `sets.rs`, `windows.rs`, `sessions.rs`, `closed.rs` | queries |
//! | `generator.rs`, `case.rs` | a case: tables, views and epochs in order |
//! | `server.rs`, `rows.rs`, `run.rs` | running a case, and comparing |
//! | `shrink.rs`, `coverage.rs` | a smaller failing case; what was tested |
//!
//! The reference of a view is its query as a SELECT. Two kinds of view are more than their query, and have a reference
//! of their own: with EMIT ON WINDOW CLOSE, the query's rows whose window's end the watermark has reached, computed from
//! the rows that were in time; for a join as of arrival, the sum over epochs of the join of the rows that came in the
//! epoch with the right side as it was then.

pub mod case;
pub mod changes;
pub mod closed;
pub mod coverage;
pub mod dice;
pub mod expr;
pub mod generator;
pub mod groups;
pub mod joins;
pub mod kind;
pub mod query;
pub mod ranks;
pub mod relation;
pub mod rows;
pub mod run;
pub mod server;
pub mod sessions;
pub mod sets;
pub mod shrink;
pub mod subqueries;
pub mod views;
pub mod windows;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::join_all;

use case::Case;
use coverage::Coverage;
use generator::Generator;
use run::{Failure, Fleet};

/// After so many failing cases no more are run.
const MOST_FAILURES: usize = 12;
/// A long run says how far it is each time so many more cases are begun.
const CASES_PER_REPORT: u64 = 500;

/// Cases to run: `cases` of them, whose seeds count up from `seed`.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many.
    pub cases: u64,
    /// The first one's seed.
    pub seed: u64,
    /// How many are run at a time.
    pub lanes: usize,
    /// How many failing cases are made smaller.
    pub shrunk: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// What was tested.
    pub coverage: Coverage,
    /// What failed, as text: the seed, what is wrong, and a script that shows it.
    pub failures: Vec<String>,
}

impl Plan {
    /// Runs the cases.
    pub async fn run(self) -> Report {
        let next = Arc::new(AtomicU64::new(0));
        let failed: Arc<Mutex<Vec<(Case, Failure)>>> = Arc::default();
        let lanes = (0..self.lanes).map(|_| tokio::spawn(self.lane(Arc::clone(&next), Arc::clone(&failed))));
        let mut report = Report::default();
        for coverage in join_all(lanes).await {
            report.coverage.add(coverage.expect("a lane does not panic"));
        }
        let failed = std::mem::take(&mut *failed.lock().expect("no lane panics"));
        let mut fleet = Fleet::default();
        for (at, (case, failure)) in failed.into_iter().enumerate() {
            let (case, failure) = if at < self.shrunk {
                shrink::shrink(&mut fleet, &case, &failure).await
            } else {
                (case, failure)
            };
            let (seed, script) = (case.seed, case.script());
            report.failures.push(format!("seed {seed}, {failure}\n{script}"));
        }
        fleet.stop().await;
        report
    }

    async fn lane(self, next: Arc<AtomicU64>, failed: Arc<Mutex<Vec<(Case, Failure)>>>) -> Coverage {
        let mut fleet = Fleet::default();
        let mut coverage = Coverage::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let failures = failed.lock().expect("no lane panics").len();
            if at >= self.cases || failures >= MOST_FAILURES {
                break;
            }
            if at > 0 && at.is_multiple_of(CASES_PER_REPORT) {
                eprintln!("{at} cases, {failures} failed");
            }
            let case = Generator::case(self.seed.wrapping_add(at));
            if let Err(failure) = fleet.run(&case, &mut coverage).await {
                eprintln!("seed {} fails: {failure}", case.seed);
                failed.lock().expect("no lane panics").push((case, failure));
            }
        }
        fleet.stop().await;
        coverage
    }
}
