//! [`Coverage`]: what was generated, what of it was accepted, and what was refused in which words.

use std::collections::BTreeMap;
use std::fmt;

use highwater_types::SqlError;

use super::case::View;

/// A statistic of views.
#[derive(Debug, Default)]
pub struct Coverage {
    constructs: BTreeMap<&'static str, Count>,
    refusals: BTreeMap<String, (usize, String)>,
    views: Count,
    /// Views over a view that was refused.
    pub orphaned: usize,
    /// How often a view's rows were compared with its reference.
    pub checks: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    accepted: usize,
    refused: usize,
}

impl Coverage {
    /// A view was made.
    pub fn accepted(&mut self, view: &View) {
        self.views.accepted += 1;
        for construct in view.constructs.iter().copied() {
            self.constructs.entry(construct).or_default().accepted += 1;
        }
    }

    /// A view was refused with `0A000`.
    pub fn refused(&mut self, view: &View, error: &SqlError) {
        self.views.refused += 1;
        for construct in view.constructs.iter().copied() {
            self.constructs.entry(construct).or_default().refused += 1;
        }
        let known = self
            .refusals
            .entry(error.message.clone())
            .or_insert_with(|| (0, view.create_sql()));
        known.0 += 1;
    }

    /// Adds another statistic.
    pub fn add(&mut self, other: Coverage) {
        for (construct, count) in other.constructs {
            self.constructs.entry(construct).or_default().add(count);
        }
        for (message, (count, example)) in other.refusals {
            self.refusals.entry(message).or_insert((0, example)).0 += count;
        }
        self.views.add(other.views);
        self.orphaned += other.orphaned;
        self.checks += other.checks;
    }

    /// How many views with this construct were accepted.
    pub fn accepted_with(&self, construct: &str) -> usize {
        self.constructs.get(construct).map_or(0, |count| count.accepted)
    }

    /// How many views of a hundred were refused.
    pub fn refused_percent(&self) -> usize {
        self.views.refused * 100 / (self.views.accepted + self.views.refused).max(1)
    }
}

impl Count {
    fn add(&mut self, other: Count) {
        self.accepted += other.accepted;
        self.refused += other.refused;
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count { accepted, refused } = self.views;
        writeln!(
            f,
            "{accepted} views, {refused} refused, {} over refused ones; {} comparisons",
            self.orphaned, self.checks
        )?;
        for (construct, count) in &self.constructs {
            writeln!(
                f,
                "{:>8} accepted {:>6} refused  {construct}",
                count.accepted, count.refused
            )?;
        }
        for (message, (count, example)) in &self.refusals {
            writeln!(f, "{count:>8} refused: {message}\n           such as {example}")?;
        }
        Ok(())
    }
}
