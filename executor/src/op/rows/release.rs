//! Which rows of a store watermarks have released: entries are listed by the span of time in which they become
//! needless, so that passing a watermark costs what it releases. Four bytes a row.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema, TimeUnit, TimestampMicrosecondType};
use highwater_planner::stream::plan::Release;
use highwater_types::{Tick, Watermark};

use super::RowStore;
use crate::ExecError;
use crate::op::due::Due;
use crate::op::keys::{ABSENT, to_integers};

/// Rows released within this many microseconds of each other are listed, and go, together.
const SPAN_US: i64 = 1_000_000;

/// When the rows of a store are released.
#[derive(Debug)]
pub(super) struct Releaser {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    release: Release,
    by_span: Due,
    /// The watermark at the end of the last epoch.
    mark: Watermark,
}

impl Releaser {
    /// `None` when there is no rule.
    pub(super) fn try_new(release: Vec<Release>, schema: &Schema) -> Result<Option<Releaser>, ExecError> {
        for rule in &release {
            let data_type = schema.field(rule.column).data_type();
            if !matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) {
                return Err(ExecError::Unsupported {
                    operator: "RowStore",
                    construct: format!("release by a column of type {data_type}"),
                });
            }
        }
        let rules: Vec<Rule> = release
            .into_iter()
            .map(|release| Rule {
                release,
                by_span: Due::default(),
                mark: Watermark::NONE,
            })
            .collect();
        Ok((!rules.is_empty()).then_some(Releaser { rules }))
    }

    /// The rules.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Release> {
        self.rules.iter().map(|rule| &rule.release)
    }

    /// The watermarks of the rules at the end of an epoch.
    pub(super) fn marks_after(&self, tick: &Tick) -> Vec<Watermark> {
        self.rules
            .iter()
            .map(|rule| rule.mark(|source| tick.after(source)))
            .collect()
    }

    /// Which rows of a batch the last epoch's watermarks have released; `None` when they have none.
    pub(super) fn released_so_far(&self, batch: &RecordBatch) -> Option<Vec<bool>> {
        let marks: Vec<Watermark> = self.rules.iter().map(|rule| rule.mark).collect();
        self.released_by(&marks, batch)
    }

    fn released_by(&self, marks: &[Watermark], batch: &RecordBatch) -> Option<Vec<bool>> {
        let mut released: Option<Vec<bool>> = None;
        for (rule, mark) in self
            .rules
            .iter()
            .zip(marks)
            .filter(|(_, mark)| **mark != Watermark::NONE)
        {
            let times = to_integers(batch.column(rule.release.column));
            let last = mark.0.saturating_sub(rule.release.after_us);
            // A NULL's place holds any number, so that only where one is low enough rows are looked at.
            let any = times.values().iter().fold(false, |any, time| any | (*time <= last));
            if !any {
                continue;
            }
            let released = released.get_or_insert_with(|| vec![false; batch.num_rows()]);
            for (row, released) in released.iter_mut().enumerate() {
                *released |= times.is_valid(row) && times.value(row) <= last;
            }
        }
        released
    }

    /// Lists new rows.
    pub(super) fn note(&mut self, batch: &RecordBatch, entries: &[u32]) {
        for rule in &mut self.rules {
            let times = to_integers(batch.column(rule.release.column));
            for (row, entry) in entries.iter().enumerate() {
                if *entry != ABSENT && times.is_valid(row) {
                    let at = times.value(row).saturating_add(rule.release.after_us);
                    rule.by_span.add(at.div_euclid(SPAN_US), *entry);
                }
            }
        }
    }
}

impl Rule {
    fn mark(&self, watermark: impl Fn(highwater_types::RelationId) -> Watermark) -> Watermark {
        let marks = self.release.sources.iter().map(|s| watermark(*s));
        marks.min().unwrap_or(Watermark::NONE)
    }
}

impl RowStore {
    /// At the end of an epoch: takes out what the watermarks have released.
    ///
    /// # Errors
    /// When rows cannot be read.
    pub(in crate::op) fn release(&mut self, tick: &Tick) -> Result<(), ExecError> {
        self.release_deferred(tick);
        let Some(releaser) = &mut self.releaser else {
            return Ok(());
        };
        let mut released = Vec::new();
        for rule in &mut releaser.rules {
            let mark = rule.mark(|source| tick.after(source));
            rule.mark = mark;
            if mark == Watermark::NONE {
                continue;
            }
            // Only spans that have passed whole.
            let passed = rule
                .by_span
                .take_before(Some(mark.0.saturating_add(1).div_euclid(SPAN_US)));
            let column = rule.release.column;
            let last = mark.0.saturating_sub(rule.release.after_us);
            released.extend(passed.map(|entry| (entry, column, last)));
        }
        for (entry, column, last) in released {
            let known = self.entries[entry as usize];
            if !known.live {
                continue;
            }
            // The entry may have been given to another row meanwhile.
            let times = self.batches.batch(known.place.batch).column(column);
            let (times, row) = (
                times.as_primitive::<TimestampMicrosecondType>(),
                known.place.row as usize,
            );
            if times.is_valid(row) && times.value(row) <= last {
                self.entries[entry as usize].weight = 0;
                self.list(entry);
                self.drop_if_gone(entry);
            }
        }
        Ok(())
    }

    /// Which rows of a batch were released before the epoch began: they need not be kept. `None` when none was.
    pub(in crate::op) fn released_before(&self, tick: &Tick, batch: &RecordBatch) -> Option<Vec<bool>> {
        let releaser = self.releaser.as_ref()?;
        let marks = releaser
            .rules
            .iter()
            .map(|rule| rule.mark(|source| tick.before(source)));
        releaser.released_by(&marks.collect::<Vec<_>>(), batch)
    }
}
