//! The results as a table, ready to be put into `RESULTS.md`.

use std::process::Command;

use super::child::Outcome;
use super::stream::Shape;
use crate::measure::{Used, machine};

/// The table, with what it was measured on.
pub(super) fn markdown(shape: Shape, made: Used, outcomes: &[Outcome]) -> String {
    let millions = shape.events as f64 / 1e6;
    let mut lines = vec![
        format!(
            "{millions} million events in epochs of {}, commit {}, {}.",
            shape.epoch_events,
            commit(),
            machine()
        ),
        format!(
            "The stream was made and written in {:.1} s ({:.1} CPU s), which is in none of the figures below; nor is \
             reading the columns that a query needs into memory.",
            made.wall_s, made.cpu_s
        ),
        String::new(),
        "| query | workers | events/s | CPU s per million events | loop's CPU s per million | ratio | memory: stream, \
         peak (MB) | read in (s) | rows |"
            .to_string(),
        "|---|---|---|---|---|---|---|---|---|".to_string(),
    ];
    for outcome in outcomes {
        let (by_hand, ratio) = match outcome.by_hand {
            None => (String::new(), String::new()),
            Some(used) => (
                format!("{:.4}", used.cpu_s / millions),
                format!("{:.1}", outcome.used.cpu_s / used.cpu_s),
            ),
        };
        lines.push(format!(
            "| {} | {} | {:.0} | {:.4} | {by_hand} | {ratio} | {}, {} | {:.1} | {} |",
            outcome.query,
            outcome.workers,
            shape.events as f64 / outcome.used.wall_s,
            outcome.used.cpu_s / millions,
            outcome.stream_mb,
            outcome.peak_mb,
            outcome.load.wall_s,
            outcome.answer.row_count
        ));
    }
    lines.join("\n")
}

/// What was built, as git knows it.
fn commit() -> String {
    let described = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    described.map_or_else(
        |_| "unknown".to_string(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_string(),
    )
}
