//! bool_and(x) and bool_or(x), as counts of true and of false: a retraction is a subtraction. Sixteen bytes a group.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::buffer::NullBuffer;
use highwater_types::Fault;

use super::accumulator::{Accumulator, Changes};
use super::count::{pick, restore};
use crate::ExecError;

/// Whether all, or any, of a group's values are true.
#[derive(Debug)]
pub(super) struct BooleanAccumulator {
    all: bool,
    trues: Vec<i64>,
    falses: Vec<i64>,
}

impl BooleanAccumulator {
    /// bool_and: NULL over no value.
    pub(super) fn and() -> BooleanAccumulator {
        BooleanAccumulator {
            all: true,
            trues: Vec::new(),
            falses: Vec::new(),
        }
    }

    /// bool_or: NULL over no value.
    pub(super) fn or() -> BooleanAccumulator {
        BooleanAccumulator {
            all: false,
            ..BooleanAccumulator::and()
        }
    }
}

impl Accumulator for BooleanAccumulator {
    fn grow(&mut self, groups: usize) {
        self.trues.resize(groups, 0);
        self.falses.resize(groups, 0);
    }

    fn update(
        &mut self,
        changes: &Changes<'_>,
        args: &[ArrayRef],
        valid: Option<&NullBuffer>,
    ) -> Result<(), ExecError> {
        let values = args[0].as_boolean().values();
        let (trues, falses) = (&mut self.trues, &mut self.falses);
        changes.for_each(valid, |row, group, weight| match values.value(row) {
            true => trues[group] += weight,
            false => falses[group] += weight,
        });
        Ok(())
    }

    fn evaluate(&self, groups: &[u32], _faults: &mut Vec<(usize, Fault)>) -> Result<ArrayRef, ExecError> {
        let values = groups.iter().map(|g| {
            let (trues, falses) = (self.trues[*g as usize], self.falses[*g as usize]);
            match (trues > 0, falses > 0) {
                (false, false) => None,
                (any, some_false) if self.all => Some(any && !some_false),
                (any, _) => Some(any),
            }
        });
        Ok(Arc::new(values.collect::<BooleanArray>()))
    }

    fn forget(&mut self, groups: &[u32]) {
        for group in groups {
            self.trues[*group as usize] = 0;
            self.falses[*group as usize] = 0;
        }
    }

    fn numbers(&self, groups: &[u32]) -> Vec<ArrayRef> {
        vec![pick(&self.trues, groups), pick(&self.falses, groups)]
    }

    fn load_numbers(&mut self, groups: &[u32], columns: &[ArrayRef]) -> Result<(), ExecError> {
        restore(&mut self.trues, groups, &columns[0]);
        restore(&mut self.falses, groups, &columns[1]);
        Ok(())
    }
}
