//! count(x): how many rows have a value. Eight bytes a group.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int64Type;
use highwater_types::Fault;

use super::accumulator::{Accumulator, Changes};
use crate::ExecError;

/// Counts valid rows.
#[derive(Debug, Default)]
pub(super) struct CountAccumulator {
    counts: Vec<i64>,
}

impl Accumulator for CountAccumulator {
    fn grow(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
    }

    fn update(
        &mut self,
        changes: &Changes<'_>,
        _args: &[ArrayRef],
        valid: Option<&NullBuffer>,
    ) -> Result<(), ExecError> {
        let counts = &mut self.counts;
        changes.for_each(valid, |_, group, weight| counts[group] += weight);
        Ok(())
    }

    fn evaluate(&self, groups: &[u32], _faults: &mut Vec<(usize, Fault)>) -> Result<ArrayRef, ExecError> {
        Ok(pick(&self.counts, groups))
    }

    fn forget(&mut self, groups: &[u32]) {
        groups.iter().for_each(|g| self.counts[*g as usize] = 0);
    }

    fn numbers(&self, groups: &[u32]) -> Vec<ArrayRef> {
        vec![pick(&self.counts, groups)]
    }

    fn load_numbers(&mut self, groups: &[u32], columns: &[ArrayRef]) -> Result<(), ExecError> {
        restore(&mut self.counts, groups, &columns[0]);
        Ok(())
    }
}

/// The counts of these groups, as a column.
pub(super) fn pick(counts: &[i64], groups: &[u32]) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(groups.iter().map(|g| counts[*g as usize])))
}

/// The mirror of [`pick`].
pub(super) fn restore(counts: &mut [i64], groups: &[u32], column: &ArrayRef) {
    for (group, count) in groups.iter().zip(column.as_primitive::<Int64Type>().values()) {
        counts[*group as usize] = *count;
    }
}
