//! One state of many groups as both of DataFusion's accumulators: for one group ([`Single`]) and for all ([`Grouped`]).

use std::fmt::Debug;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use highwater_types::SqlError;

use crate::functions::function::external;

/// The state of an aggregate for groups `0 .. n`.
pub(super) trait GroupState: Debug + Send + Sync + Sized + 'static {
    /// A state like this one, without groups.
    fn fresh(&self) -> Self;
    /// Makes room for so many groups.
    fn resize(&mut self, groups: usize);
    /// Takes rows in (`weight` 1) or out again (-1); `keep` says which rows take part, if not all.
    fn update(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        keep: Option<&BooleanArray>,
        weight: i64,
    ) -> Result<(), SqlError>;
    /// The results of these groups.
    fn evaluate(&self, groups: Range<usize>) -> Result<ArrayRef, SqlError>;
    /// The state of these groups as columns.
    fn state(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>, SqlError>;
    /// Takes in states that [`GroupState::state`] made.
    fn merge(&mut self, states: &[ArrayRef], groups: &[usize]) -> Result<(), SqlError>;
    /// Forgets the first groups; the others move down.
    fn drop_first(&mut self, groups: usize);
    /// Bytes held.
    fn size(&self) -> usize;
}

/// Whether a row takes part.
pub(super) fn kept(keep: Option<&BooleanArray>, row: usize) -> bool {
    keep.is_none_or(|k| k.is_valid(row) && k.value(row))
}

/// One group.
#[derive(Debug)]
pub(super) struct Single<S>(S);

impl<S: GroupState> Single<S> {
    pub(super) fn new(mut state: S) -> Single<S> {
        state.resize(1);
        Single(state)
    }
}

impl<S: GroupState> Accumulator for Single<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; values[0].len()];
        self.0.update(values, &groups, None, 1).map_err(external)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.0.evaluate(0..1).map_err(external)?, 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let columns = self.0.state(0..1).map_err(external)?;
        columns.iter().map(|c| ScalarValue::try_from_array(c, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; states[0].len()];
        self.0.merge(states, &groups).map_err(external)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; values[0].len()];
        self.0.update(values, &groups, None, -1).map_err(external)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}

/// Many groups.
#[derive(Debug)]
pub(super) struct Grouped<S> {
    state: S,
    groups: usize,
}

impl<S: GroupState> Grouped<S> {
    pub(super) fn new(state: S) -> Grouped<S> {
        Grouped { state, groups: 0 }
    }

    fn grow(&mut self, groups: usize) {
        if groups > self.groups {
            self.state.resize(groups);
            self.groups = groups;
        }
    }

    fn emitted(&self, emit_to: EmitTo) -> usize {
        match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(n) => n,
        }
    }

    fn forget(&mut self, groups: usize) {
        self.state.drop_first(groups);
        self.groups -= groups;
    }
}

impl<S: GroupState> GroupsAccumulator for Grouped<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        self.state
            .update(values, group_indices, opt_filter, 1)
            .map_err(external)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.emitted(emit_to);
        let results = self.state.evaluate(0..groups).map_err(external)?;
        self.forget(groups);
        Ok(results)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.emitted(emit_to);
        let columns = self.state.state(0..groups).map_err(external)?;
        self.forget(groups);
        Ok(columns)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.grow(total_num_groups);
        self.state.merge(values, group_indices).map_err(external)
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values[0].len();
        let mut state = self.state.fresh();
        state.resize(rows);
        let groups: Vec<usize> = (0..rows).collect();
        state.update(values, &groups, opt_filter, 1).map_err(external)?;
        state.state(0..rows).map_err(external)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.state.size()
    }
}

/// An aggregate of the distinct values only: keeps them, and aggregates them at the end.
#[derive(Debug)]
pub(super) struct Distinct<S> {
    values: std::collections::HashSet<ScalarValue>,
    state: S,
}

impl<S: GroupState> Distinct<S> {
    pub(super) fn new(state: S) -> Distinct<S> {
        Distinct {
            values: std::collections::HashSet::new(),
            state,
        }
    }

    fn insert(&mut self, array: &ArrayRef) -> Result<()> {
        for row in 0..array.len() {
            if array.is_valid(row) {
                self.values.insert(ScalarValue::try_from_array(array, row)?);
            }
        }
        Ok(())
    }
}

impl<S: GroupState> Accumulator for Distinct<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.insert(&values[0])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut state = self.state.fresh();
        state.resize(1);
        if !self.values.is_empty() {
            let values = ScalarValue::iter_to_array(self.values.iter().cloned())?;
            let groups = vec![0; values.len()];
            state.update(&[values], &groups, None, 1).map_err(external)?;
        }
        ScalarValue::try_from_array(&state.evaluate(0..1).map_err(external)?, 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.values.len() * 2 * size_of::<ScalarValue>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<ScalarValue> = self.values.iter().cloned().collect();
        let data_type = values
            .first()
            .map_or(arrow::datatypes::DataType::Null, ScalarValue::data_type);
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(
            &values, &data_type,
        ))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        for row in 0..lists.len() {
            if lists.is_valid(row) {
                self.insert(&lists.value(row))?;
            }
        }
        Ok(())
    }
}
