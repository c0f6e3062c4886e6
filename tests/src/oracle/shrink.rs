//! Makes a failing case smaller for as long as the same view, or the same statement, still fails.

use super::case::{Case, Change, Step};
use super::coverage::Coverage;
use super::run::{Failure, Fleet};

/// How many smaller cases are tried at most.
const ATTEMPTS: usize = 600;

/// The smallest case found, and how it fails.
pub async fn shrink(fleet: &mut Fleet, case: &Case, failure: &Failure) -> (Case, Failure) {
    let mut best = (case.clone(), failure.clone());
    best.0.steps.truncate(failure.step + 1);
    let mut attempts = 0;
    let mut improved = true;
    while improved {
        improved = false;
        // From the end: what comes later can go without taking anything with it.
        let mut at = candidates(&best.0).len();
        while at > 0 {
            at -= 1;
            let Some(smaller) = candidates(&best.0).into_iter().nth(at) else {
                continue;
            };
            attempts += 1;
            if attempts > ATTEMPTS {
                return best;
            }
            if let Err(found) = fleet.run(&smaller, &mut Coverage::default()).await
                && found.subject == best.1.subject
                && kind(&found) == kind(&best.1)
            {
                best = (smaller, found);
                improved = true;
            }
        }
    }
    best
}

/// What goes before the details: the SQLSTATE of a statement that fails, or how rows differ.
fn kind(failure: &Failure) -> &str {
    failure.message.split(':').next().unwrap_or_default()
}

/// Cases with one thing less.
fn candidates(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let mut with = |at: usize, step: Option<Step>| {
        let mut smaller = case.clone();
        match step {
            Some(step) => smaller.steps[at] = step,
            None => {
                smaller.steps.remove(at);
            }
        }
        found.push(smaller);
    };
    for (at, step) in case.steps.iter().enumerate() {
        match step {
            Step::View(view) => {
                for query in view.query.smaller() {
                    let mut view = view.clone();
                    view.query = query;
                    with(at, Some(Step::View(view)));
                }
            }
            Step::Epoch(number, changes) => {
                for changes in fewer(changes) {
                    with(at, Some(Step::Epoch(*number, changes)));
                }
            }
            Step::Table(_) | Step::Inline(..) | Step::Drop(_) | Step::Restart => {}
        }
    }
    for at in 0..case.steps.len() {
        with(at, None);
    }
    found
}

/// Transactions with a statement less, or with fewer rows in one.
fn fewer(changes: &[Change]) -> Vec<Vec<Change>> {
    let mut found = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        if let Change::Insert { rows, .. } = change
            && rows.len() > 1
        {
            let halves = [(0, rows.len() / 2), (rows.len() / 2, rows.len())];
            let singles = (0..rows.len()).map(|row| (row, row + 1));
            let without = (rows.len() <= 4).then_some(singles).into_iter().flatten();
            for (from, to) in halves {
                let mut smaller = changes.to_vec();
                smaller[at] = part(change, |row| (from..to).contains(&row));
                found.push(smaller);
            }
            for (row, _) in without {
                let mut smaller = changes.to_vec();
                smaller[at] = part(change, |kept| kept != row);
                found.push(smaller);
            }
        }
        if changes.len() > 1 {
            let mut smaller = changes.to_vec();
            smaller.remove(at);
            found.push(smaller);
        }
    }
    found
}

fn part(change: &Change, keep: impl Fn(usize) -> bool) -> Change {
    let mut change = change.clone();
    if let Change::Insert { rows, times_s, .. } = &mut change {
        let mut at = 0..;
        rows.retain(|_| at.next().is_some_and(&keep));
        let mut at = 0..;
        times_s.retain(|_| at.next().is_some_and(&keep));
    }
    change
}
