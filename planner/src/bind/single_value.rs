//! The aggregate behind scalar subqueries: the one value of its input, NULL over none, an error over more than one.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::cast::as_uint64_array;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use highwater_types::{SqlError, SqlState};

/// The aggregate's name in plans.
pub(crate) const SINGLE_VALUE: &str = "single_value";

/// The aggregate.
pub(crate) fn single_value() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(SingleValue {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleValue {
    signature: Signature,
}

impl AggregateUDFImpl for SingleValue {
    fn name(&self) -> &str {
        SINGLE_VALUE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let field = arg_fields[0].as_ref().clone();
        Ok(Arc::new(field.with_name(SINGLE_VALUE).with_nullable(true)))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneValue {
            value: ScalarValue::try_from(args.return_field.data_type())?,
            row_count: 0,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let value = args
            .return_field
            .as_ref()
            .clone()
            .with_name(format!("{}[value]", args.name));
        let row_count = Field::new(format!("{}[row_count]", args.name), DataType::UInt64, false);
        Ok(vec![Arc::new(value), Arc::new(row_count)])
    }
}

#[derive(Debug)]
struct OneValue {
    value: ScalarValue,
    row_count: u64,
}

impl OneValue {
    fn take_in(&mut self, values: &ArrayRef, row: usize, row_count: u64) -> Result<()> {
        if row_count == 0 {
            return Ok(());
        }
        self.row_count += row_count;
        if self.row_count > 1 {
            return Err(DataFusionError::External(Box::new(SqlError::new(
                SqlState::CARDINALITY_VIOLATION,
                "more than one row returned by a subquery used as an expression",
            ))));
        }
        self.value = ScalarValue::try_from_array(values, row)?;
        Ok(())
    }
}

impl Accumulator for OneValue {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for row in 0..values[0].len() {
            self.take_in(&values[0], row, 1)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        std::mem::size_of_val(self) + self.value.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::UInt64(Some(self.row_count))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let row_counts: &UInt64Array = as_uint64_array(&states[1])?;
        for row in 0..row_counts.len() {
            self.take_in(&states[0], row, row_counts.value(row))?;
        }
        Ok(())
    }
}
