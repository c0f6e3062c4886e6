//! [`Waiting`]: changes that wait for a time, each in the list of its time; summed up when they leave.
//!
//! Cost: changes are sorted into their time's list a batch at a time. A row that comes and goes while it waits is dropped
//! when its list is summed up, which is often enough that a list has at most a few times as many rows as are left.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use highwater_types::Delta;

use super::saved::SavedRows;
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// After how many changes a list is summed up.
const CONSOLIDATE_ROWS: usize = 4096;

/// How long a row waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Not at all: it is none of those that wait.
    No,
    /// Until this time.
    Until(i64),
    /// For ever.
    Forever,
}

/// Changes by time.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The name of the state's part.
    part: &'static str,
    saved: SavedRows,
    schema: SchemaRef,
    /// Under `None` what waits for ever.
    lists: BTreeMap<Option<i64>, List>,
    /// Changes that have been saved and have left since.
    left: Vec<Delta>,
}

/// The changes of one time.
#[derive(Debug, Default)]
struct List {
    saved: Vec<Delta>,
    unsaved: Vec<Delta>,
    unsaved_row_count: usize,
    /// How many rows were left by the last consolidation.
    consolidated_row_count: usize,
}

impl Waiting {
    /// Of rows of this schema that are spread by these columns, saved as the part of this name.
    pub(super) fn new(part: &'static str, schema: SchemaRef, key: &[usize]) -> Waiting {
        Waiting {
            part,
            saved: SavedRows::new(Arc::clone(&schema), key),
            schema,
            lists: BTreeMap::new(),
            left: Vec::new(),
        }
    }

    /// Sorts rows, of which each waits as `waits` says, into the lists of their times.
    ///
    /// # Errors
    /// When rows cannot be gathered.
    pub(super) fn add(&mut self, delta: &Delta, waits: &[Wait]) -> Result<(), ExecError> {
        for (time, part) in by_time(delta, waits)? {
            let list = self.lists.entry(time).or_default();
            list.unsaved_row_count += part.num_rows();
            list.unsaved.push(part);
            if list.unsaved_row_count > CONSOLIDATE_ROWS + 2 * list.consolidated_row_count {
                list.consolidate(&self.schema)?;
            }
        }
        Ok(())
    }

    /// Takes out the list of the earliest time up to this one: the time, and the sum of its changes.
    ///
    /// # Errors
    /// When changes cannot be summed up.
    pub(super) fn take(&mut self, up_to: i64) -> Result<Option<(i64, Delta)>, ExecError> {
        let next = self.lists.range(Some(i64::MIN)..=Some(up_to)).next();
        let Some(time) = next.and_then(|(time, _)| *time) else {
            return Ok(None);
        };
        let list = self.lists.remove(&Some(time)).unwrap_or_default();
        let sum = list.sum(&self.schema)?;
        self.left.extend(list.saved);
        Ok(Some((time, sum)))
    }

    /// Writes what has changed since the last save.
    ///
    /// # Errors
    /// When changes cannot be summed up.
    pub(super) fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        for delta in std::mem::take(&mut self.left) {
            state.write(self.part, self.to_state(&delta.negate())?);
        }
        let mut written = Vec::new();
        for list in self.lists.values_mut() {
            list.consolidate(&self.schema)?;
            let deltas = std::mem::take(&mut list.unsaved);
            (list.unsaved_row_count, list.consolidated_row_count) = (0, 0);
            written.extend(deltas.iter().cloned());
            list.saved.extend(deltas);
            if list.saved.len() > 1 {
                let sum = Delta::concat(&self.schema, &list.saved)?.consolidate()?;
                list.saved = if sum.is_empty() { Vec::new() } else { vec![sum] };
            }
        }
        self.lists.retain(|_, list| !list.saved.is_empty());
        for delta in written {
            state.write(self.part, self.to_state(&delta)?);
        }
        Ok(())
    }

    /// Takes in what was saved; `waits` says how long rows wait.
    ///
    /// # Errors
    /// When the state is not of rows like these.
    pub(super) fn load(
        &mut self,
        state: &mut StateReader,
        waits: impl FnOnce(&Delta) -> Vec<Wait>,
    ) -> Result<(), ExecError> {
        let mut all = Vec::new();
        for batch in state.read(self.part) {
            all.push(self.saved.delta(&batch)?);
        }
        if all.is_empty() {
            return Ok(());
        }
        let sum = Delta::concat(&self.schema, &all)?.consolidate()?;
        for (time, part) in by_time(&sum, &waits(&sum))? {
            self.lists.entry(time).or_default().saved.push(part);
        }
        Ok(())
    }

    fn to_state(&self, delta: &Delta) -> Result<RecordBatch, ExecError> {
        let weights = (0..delta.num_rows()).map(|row| delta.weight(row));
        self.saved
            .batch(delta.batch().columns(), Int64Array::from_iter_values(weights))
    }
}

impl List {
    fn consolidate(&mut self, schema: &SchemaRef) -> Result<(), ExecError> {
        let sum = Delta::concat(schema, &self.unsaved)?.consolidate()?;
        self.unsaved_row_count = sum.num_rows();
        self.consolidated_row_count = sum.num_rows();
        self.unsaved = if sum.is_empty() { Vec::new() } else { vec![sum] };
        Ok(())
    }

    fn sum(&self, schema: &SchemaRef) -> Result<Delta, ExecError> {
        let all: Vec<Delta> = self.saved.iter().chain(&self.unsaved).cloned().collect();
        Ok(Delta::concat(schema, &all)?.consolidate()?)
    }
}

/// The rows that wait, by their time.
fn by_time(delta: &Delta, waits: &[Wait]) -> Result<Vec<(Option<i64>, Delta)>, ExecError> {
    let mut rows_of: BTreeMap<Option<i64>, Vec<u32>> = BTreeMap::new();
    for (row, wait) in waits.iter().enumerate() {
        let time = match wait {
            Wait::No => continue,
            Wait::Until(time) => Some(*time),
            Wait::Forever => None,
        };
        rows_of.entry(time).or_default().push(row as u32);
    }
    let mut parts = Vec::with_capacity(rows_of.len());
    for (time, rows) in rows_of {
        let part = match rows.len() == delta.num_rows() {
            true => delta.clone(),
            false => delta.take(&UInt32Array::from(rows))?,
        };
        parts.push((time, part));
    }
    Ok(parts)
}
