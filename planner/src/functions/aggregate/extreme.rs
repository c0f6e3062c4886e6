//! `min` and `max`: DataFusion's, but for floats by group, where it answers by the order of the rows when there is NaN
//! among them, and the greatest finite number for an infinity. NaN is greater than all numbers, and -0 is 0.

use std::ops::Add;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{ArrowPrimitiveType, DataType, FieldRef, Float32Type, Float64Type};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

/// `min` and `max`.
pub(super) fn all() -> Vec<Arc<AggregateUDF>> {
    let own = |greatest, theirs| Arc::new(AggregateUDF::new_from_impl(Extreme { greatest, theirs }));
    vec![own(false, min_udaf()), own(true, max_udaf())]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    greatest: bool,
    theirs: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.theirs.name()
    }

    fn signature(&self) -> &Signature {
        self.theirs.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        self.theirs.coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> DfResult<DataType> {
        self.theirs.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DfResult<Box<dyn Accumulator>> {
        Ok(Box::new(WithoutSignOfZero(self.theirs.accumulator(args)?)))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> DfResult<Box<dyn Accumulator>> {
        Ok(Box::new(WithoutSignOfZero(
            self.theirs.create_sliding_accumulator(args)?,
        )))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DfResult<Vec<FieldRef>> {
        self.theirs.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.theirs.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> DfResult<Box<dyn GroupsAccumulator>> {
        match args.return_field.data_type() {
            DataType::Float32 => Ok(by_group::<Float32Type>(self.greatest, f32::NEG_INFINITY, f32::NAN)),
            DataType::Float64 => Ok(by_group::<Float64Type>(self.greatest, f64::NEG_INFINITY, f64::NAN)),
            _ => self.theirs.create_groups_accumulator(args),
        }
    }

    fn is_descending(&self) -> Option<bool> {
        Some(self.greatest)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.theirs.inner().set_monotonicity(data_type)
    }
}

/// An accumulator that answers 0 for -0.
#[derive(Debug)]
struct WithoutSignOfZero(Box<dyn Accumulator>);

impl Accumulator for WithoutSignOfZero {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.0.update_batch(values)
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(match self.0.evaluate()? {
            ScalarValue::Float32(Some(value)) => ScalarValue::Float32(Some(without_sign_of_zero(value))),
            ScalarValue::Float64(Some(value)) => ScalarValue::Float64(Some(without_sign_of_zero(value))),
            other => other,
        })
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        self.0.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.0.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }
}

/// The accumulator of a type of floats, of which these are the least and the greatest.
fn by_group<T>(greatest: bool, lowest: T::Native, highest: T::Native) -> Box<dyn GroupsAccumulator>
where
    T: ArrowPrimitiveType + Send,
    T::Native: PartialOrd + Add<Output = T::Native> + Default,
{
    if greatest {
        let keep = |best: &mut T::Native, new: T::Native| {
            if new > *best || is_nan(new) {
                *best = without_sign_of_zero(new);
            }
        };
        Box::new(PrimitiveGroupsAccumulator::<T, _>::new(&T::DATA_TYPE, keep).with_starting_value(lowest))
    } else {
        let keep = |best: &mut T::Native, new: T::Native| {
            if new < *best || is_nan(*best) {
                *best = without_sign_of_zero(new);
            }
        };
        Box::new(PrimitiveGroupsAccumulator::<T, _>::new(&T::DATA_TYPE, keep).with_starting_value(highest))
    }
}

/// The value, 0 for -0: which of the two came first must not show.
fn without_sign_of_zero<T: Add<Output = T> + Default>(value: T) -> T {
    value + T::default()
}

fn is_nan<T: PartialOrd>(value: T) -> bool {
    value.partial_cmp(&value).is_none()
}
