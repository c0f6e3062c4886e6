//! `sum` and `avg` as DataFusion sees them; `sum_state.rs` adds up.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility};
use highwater_types::{QUOTIENT, SqlError, SqlState, SqlType, UNCONSTRAINED_NUMERIC};

use super::adapter::{Distinct, Grouped, Single};
use super::sum_state::Sums;
use crate::functions::cast_number::scale_of;
use crate::functions::function::external;
use crate::functions::numbers::{MAX_PRECISION, decimal_type};

/// `sum` or `avg`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sum {
    name: &'static str,
    signature: Signature,
}

impl Sum {
    pub(super) fn new(name: &'static str) -> Sum {
        Sum {
            name,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn is_average(&self) -> bool {
        self.name == "avg"
    }

    fn result_type(&self, input: &DataType) -> Option<DataType> {
        Some(match (input, self.is_average()) {
            (DataType::Float32 | DataType::Float64, true) => DataType::Float64,
            (DataType::Float32 | DataType::Float64, false) => input.clone(),
            (DataType::Interval(IntervalUnit::MonthDayNano), _) => input.clone(),
            (DataType::Int16 | DataType::Int32 | DataType::Int64, true) => QUOTIENT,
            (DataType::Int16 | DataType::Int32, false) => DataType::Int64,
            (DataType::Int64, false) => DataType::Decimal128(38, 0),
            (DataType::Decimal128(_, _) | DataType::Decimal256(_, _), true) => QUOTIENT,
            (DataType::Decimal128(_, scale), false) => DataType::Decimal128(38, *scale),
            (DataType::Decimal256(_, _), false) if *input == QUOTIENT || *input == UNCONSTRAINED_NUMERIC => {
                input.clone()
            }
            (DataType::Decimal256(_, scale), false) => decimal_type(MAX_PRECISION, i32::from(*scale)),
            _ => return None,
        })
    }

    fn state_of(&self, input: &DataType) -> DfResult<Sums> {
        let output = self.result_type(input).ok_or_else(|| self.undefined(input))?;
        Ok(Sums::new(self.is_average(), input.clone(), output))
    }

    fn undefined(&self, input: &DataType) -> datafusion::common::DataFusionError {
        external(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function {}({}) does not exist", self.name, SqlType::of_arrow(input)),
        ))
    }
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &[]
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        match arg_types {
            [DataType::Null] => Ok(vec![DataType::Float64]),
            [one] if self.result_type(one).is_some() => Ok(arg_types.to_vec()),
            [DataType::Utf8, ..] | [] | [_, _, ..] => Err(self.undefined(&DataType::Utf8)),
            [other] => Err(self.undefined(other)),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> DfResult<DataType> {
        self.result_type(&arg_types[0])
            .ok_or_else(|| self.undefined(&arg_types[0]))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DfResult<Box<dyn Accumulator>> {
        let state = self.state_of(args.expr_fields[0].data_type())?;
        Ok(match args.is_distinct {
            true => Box::new(Distinct::new(state)),
            false => Box::new(Single::new(state)),
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DfResult<Vec<FieldRef>> {
        let input = args.input_fields[0].data_type();
        let field = |name: &str, data_type| Arc::new(Field::new(format_state_name(args.name, name), data_type, true));
        if args.is_distinct {
            let item = Field::new_list_field(input.clone(), true);
            return Ok(vec![field("distinct", DataType::List(Arc::new(item)))]);
        }
        let sum = match input {
            DataType::Float32 | DataType::Float64 => DataType::Binary,
            DataType::Interval(_) => input.clone(),
            other => DataType::Decimal256(76, scale_of(other) as i8),
        };
        Ok(vec![
            field("sum", sum),
            field("count", DataType::Int64),
            field("special", DataType::Binary),
        ])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> DfResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Grouped::new(self.state_of(args.expr_fields[0].data_type())?)))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
