//! [`Accumulator`]: one aggregate call over all groups of a table, as vectors indexed by group. Each kind is one
//! file beside this one; this file holds what they share and picks the right one.

use std::fmt::Debug;

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, IntervalUnit, Schema};
use highwater_planner::stream::plan::{AggregateCall, AggregateKind};
use highwater_types::Fault;

use super::boolean::BooleanAccumulator;
use super::count::CountAccumulator;
use super::distinct::DistinctAccumulator;
use super::extreme::new_extreme;
use super::float::FloatAccumulator;
use super::interval::IntervalAccumulator;
use super::sum::{Finish, SumAccumulator};
use crate::ExecError;
use crate::op::keys::Numbers;

/// Changes of one batch to the groups of one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changes<'a> {
    /// The group of each change.
    pub groups: &'a Numbers,
    /// The batch's row of each change; `None`: the first change is row 0, and so on.
    pub rows: Option<&'a [u32]>,
    /// The weight of each change; `None`: 1.
    pub weights: Option<&'a [i64]>,
}

impl Changes<'_> {
    /// Calls `apply` with row, group and weight of each change whose row is valid.
    #[inline]
    pub(super) fn for_each(&self, valid: Option<&NullBuffer>, mut apply: impl FnMut(usize, usize, i64)) {
        let groups = match self.groups {
            Numbers::Each(groups) => groups,
            Numbers::One(group, count) => {
                let group = *group as usize;
                return self.for_each_of(*count, valid, |row, _, weight| apply(row, group, weight));
            }
        };
        self.for_each_of(groups.len(), valid, |row, at, weight| {
            apply(row, groups[at] as usize, weight)
        });
    }

    /// Calls `apply` with row, place and weight of each change whose row is valid.
    #[inline]
    fn for_each_of(&self, count: usize, valid: Option<&NullBuffer>, mut apply: impl FnMut(usize, usize, i64)) {
        if let (None, None, None) = (self.rows, self.weights, valid) {
            return (0..count).for_each(|row| apply(row, row, 1));
        }
        for at in 0..count {
            let row = self.rows.map_or(at, |rows| rows[at] as usize);
            if valid.is_none_or(|v| v.is_valid(row)) {
                apply(row, at, self.weights.map_or(1, |w| w[at]));
            }
        }
    }
}

/// Values with weights, by group: what an accumulator that keeps values writes to be loaded again.
#[derive(Debug)]
pub(super) struct ValueChanges {
    /// The group of each value.
    pub groups: Vec<u32>,
    /// The values, as the call's arguments were.
    pub columns: Vec<ArrayRef>,
    /// By how much the number of times that the group has the value has changed since it was last written.
    pub weights: Vec<i64>,
}

/// One aggregate call over many groups.
///
/// What it knows of a group is either a few numbers ([`Accumulator::numbers`]) or values with counts
/// ([`Accumulator::value_changes`]), never both.
pub(super) trait Accumulator: Debug {
    /// Makes room for groups below `groups`. A new group is over no value.
    fn grow(&mut self, groups: usize);

    /// Applies changes. `valid` says which rows take part; `args` are the call's, and not NULL in those rows.
    fn update(&mut self, changes: &Changes<'_>, args: &[ArrayRef], valid: Option<&NullBuffer>)
    -> Result<(), ExecError>;

    /// The results for these groups. A group without one is listed in `faults`, by its position.
    fn evaluate(&self, groups: &[u32], faults: &mut Vec<(usize, Fault)>) -> Result<ArrayRef, ExecError>;

    /// Makes these groups new again.
    fn forget(&mut self, groups: &[u32]);

    /// The state of these groups, a row each.
    fn numbers(&self, _groups: &[u32]) -> Vec<ArrayRef> {
        Vec::new()
    }

    /// The mirror of [`Accumulator::numbers`].
    fn load_numbers(&mut self, _groups: &[u32], _columns: &[ArrayRef]) -> Result<(), ExecError> {
        Ok(())
    }

    /// What has changed in these groups' values since this was last called. If they are `gone`, all their values
    /// are taken back. The values are read again by [`Accumulator::update`], then [`Accumulator::mark_saved`].
    fn value_changes(&mut self, _groups: &[u32], _gone: bool) -> Result<Option<ValueChanges>, ExecError> {
        Ok(None)
    }

    /// All values are as they were saved.
    fn mark_saved(&mut self) {}
}

/// The accumulator of a call over these columns.
///
/// # Errors
/// When there is none for the arguments' type.
pub(super) fn new_accumulator(
    call: &AggregateCall,
    input: &Schema,
    append_only: bool,
) -> Result<Box<dyn Accumulator>, ExecError> {
    let args: Vec<DataType> = call.args.iter().map(|a| input.field(*a).data_type().clone()).collect();
    let plain = new_plain(call, &args, append_only)?;
    // For these kinds it does not matter how often a value is there.
    let idempotent = match call.kind {
        AggregateKind::Min | AggregateKind::Max | AggregateKind::BoolAnd | AggregateKind::BoolOr => true,
        AggregateKind::Count | AggregateKind::Sum | AggregateKind::Avg => false,
    };
    if call.distinct && !idempotent && !args.is_empty() {
        return Ok(Box::new(DistinctAccumulator::try_new(args, plain)?));
    }
    Ok(plain)
}

fn new_plain(call: &AggregateCall, args: &[DataType], append_only: bool) -> Result<Box<dyn Accumulator>, ExecError> {
    let output = call.output.data_type();
    let finish = match call.kind {
        AggregateKind::Count => return Ok(Box::new(CountAccumulator::default())),
        AggregateKind::BoolAnd => return Ok(Box::new(BooleanAccumulator::and())),
        AggregateKind::BoolOr => return Ok(Box::new(BooleanAccumulator::or())),
        AggregateKind::Min => return new_extreme(&args[0], false, append_only),
        AggregateKind::Max => return new_extreme(&args[0], true, append_only),
        AggregateKind::Sum => Finish::Sum,
        AggregateKind::Avg => Finish::Average,
    };
    match (&args[0], output) {
        (DataType::Interval(IntervalUnit::MonthDayNano), DataType::Interval(IntervalUnit::MonthDayNano)) => {
            Ok(Box::new(IntervalAccumulator::new(finish)))
        }
        (DataType::Float32 | DataType::Float64, DataType::Float32 | DataType::Float64) => {
            Ok(Box::new(FloatAccumulator::new(finish, output.clone())))
        }
        (
            DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Decimal128(_, _)
            | DataType::Decimal256(_, _),
            DataType::Int64 | DataType::Decimal128(_, _) | DataType::Decimal256(_, _),
        ) => Ok(Box::new(SumAccumulator::new(finish, &args[0], output.clone()))),
        (from, to) => Err(ExecError::Unsupported {
            operator: "Aggregate",
            construct: format!("{:?} of {from} as {to}", call.kind),
        }),
    }
}
