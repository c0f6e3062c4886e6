//! Aggregates that keep all their rows and make one value of them at the end: `string_agg`, `array_agg`, `json_agg` and
//! their kin. They sort the rows themselves, by ORDER BY or, for DISTINCT, by the arguments, as PostgreSQL does;
//! where neither is said the order is the input's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, concat, filter, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use highwater_types::{SqlError, SqlState, SqlType};

use super::pick;
use crate::functions::function::{external, internal};
use crate::functions::json_build as json;

/// Makes the result of the sorted arguments.
type Finish = fn(&[ArrayRef], &DataType) -> std::result::Result<ScalarValue, SqlError>;

/// One aggregate.
#[derive(Debug, Clone)]
struct Collect {
    name: &'static str,
    arity: usize,
    /// The result's type, of the arguments' types; `None` when it does not take these.
    gives: fn(&[DataType]) -> Option<DataType>,
    finish: Finish,
    /// Whether rows whose first argument is NULL are left out.
    skips_nulls: bool,
    signature: Signature,
}

/// All of them.
pub(super) fn all() -> Vec<Arc<AggregateUDF>> {
    let one = |name, arity, gives, finish, skips_nulls| {
        Arc::new(AggregateUDF::new_from_impl(Collect {
            name,
            arity,
            gives,
            finish,
            skips_nulls,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    };
    let by_other = |name, other: &'static str, finish| {
        let aggregate: Arc<AggregateUDF> = one(name, 2, pick::type_of_value_by, finish, false);
        Arc::new(aggregate.as_ref().clone().with_aliases([other]))
    };
    let json = |_: &[DataType]| Some(DataType::Utf8);
    let jsonb = |_: &[DataType]| Some(DataType::LargeUtf8);
    vec![
        one("string_agg", 2, string_type, join, true),
        one("array_agg", 1, array_type, to_array, false),
        one("json_agg", 1, json, |a, t| json::collect_array(&a[0], t), false),
        one("jsonb_agg", 1, jsonb, |a, t| json::collect_array(&a[0], t), false),
        one("first_value", 1, pick::type_of_value, pick::first, false),
        one("last_value", 1, pick::type_of_value, pick::last, false),
        one("any_value", 1, pick::type_of_value, pick::first, true),
        by_other("min_by", "arg_min", pick::min_by),
        by_other("max_by", "arg_max", pick::max_by),
        one("median", 1, pick::type_of_median, pick::median, true),
        one(
            "approx_percentile",
            2,
            pick::type_of_value,
            pick::approx_percentile,
            true,
        ),
        one("mode", 1, |t| Some(t.first()?.clone()), mode, true),
        one("percentile_disc", 2, |t| Some(t.first()?.clone()), percentile, true),
        one(
            "json_object_agg",
            2,
            json,
            |a, t| json::collect_object(&a[0], &a[1], t),
            false,
        ),
        one(
            "jsonb_object_agg",
            2,
            jsonb,
            |a, t| json::collect_object(&a[0], &a[1], t),
            false,
        ),
    ]
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Null)
}

fn string_type(types: &[DataType]) -> Option<DataType> {
    match types {
        [value, separator] if is_text(value) && is_text(separator) => Some(DataType::Utf8),
        [DataType::Binary, DataType::Binary | DataType::Null] => Some(DataType::Binary),
        _ => None,
    }
}

fn array_type(types: &[DataType]) -> Option<DataType> {
    let [element] = types else { return None };
    let element = if *element == DataType::Null {
        &DataType::Utf8
    } else {
        element
    };
    Some(DataType::List(Arc::new(Field::new_list_field(element.clone(), true))))
}

/// Values joined by separators; the first separator is not used.
fn join(args: &[ArrayRef], data_type: &DataType) -> std::result::Result<ScalarValue, SqlError> {
    let (values, separators) = (&args[0], &args[1]);
    let mut joined: Option<Vec<u8>> = None;
    for row in (0..values.len()).filter(|r| values.is_valid(*r)) {
        let joined = match &mut joined {
            None => joined.insert(Vec::new()),
            Some(joined) => {
                if separators.is_valid(row) {
                    joined.extend_from_slice(bytes(separators, row));
                }
                joined
            }
        };
        joined.extend_from_slice(bytes(values, row));
    }
    Ok(match data_type {
        DataType::Binary => ScalarValue::Binary(joined),
        _ => ScalarValue::Utf8(joined.map(|j| String::from_utf8_lossy(&j).into_owned())),
    })
}

/// The bytes of a text or binary value.
fn bytes(array: &ArrayRef, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
        DataType::Binary => array.as_binary::<i32>().value(row),
        _ => &[],
    }
}

fn to_array(args: &[ArrayRef], data_type: &DataType) -> std::result::Result<ScalarValue, SqlError> {
    if args[0].is_empty() {
        return ScalarValue::try_from(data_type).map_err(internal);
    }
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([args[0].len()]);
    let item = Arc::new(Field::new_list_field(args[0].data_type().clone(), true));
    let list = arrow::array::ListArray::new(item, offsets, Arc::clone(&args[0]), None);
    Ok(ScalarValue::List(Arc::new(list)))
}

/// The value that comes most often; of several, the first in order.
fn mode(args: &[ArrayRef], data_type: &DataType) -> std::result::Result<ScalarValue, SqlError> {
    let values = &args[0];
    let keys = row_keys(values)?;
    let (mut best, mut start) = (0..0, 0);
    for at in 1..=keys.len() {
        if at == keys.len() || keys[at] != keys[start] {
            if at - start > best.len() {
                best = start..at;
            }
            start = at;
        }
    }
    match best.is_empty() {
        true => ScalarValue::try_from(data_type),
        false => ScalarValue::try_from_array(values, best.start),
    }
    .map_err(internal)
}

fn row_keys(values: &ArrayRef) -> std::result::Result<Vec<Vec<u8>>, SqlError> {
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())]).map_err(internal)?;
    let rows = converter
        .convert_columns(std::slice::from_ref(values))
        .map_err(internal)?;
    Ok(rows.iter().map(|row| row.data().to_vec()).collect())
}

/// The first value whose place in the order reaches a fraction of all.
pub(super) fn percentile(args: &[ArrayRef], data_type: &DataType) -> std::result::Result<ScalarValue, SqlError> {
    let values = &args[0];
    let fraction = arrow::compute::cast(&args[1], &DataType::Float64).map_err(internal)?;
    let fraction = fraction.as_primitive::<arrow::datatypes::Float64Type>();
    if values.is_empty() || fraction.is_null(0) {
        return ScalarValue::try_from(data_type).map_err(internal);
    }
    let fraction = fraction.value(0);
    if !(0.0..=1.0).contains(&fraction) {
        return Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("percentile value {fraction} is not between 0 and 1"),
        ));
    }
    let place = (fraction * values.len() as f64).ceil() as usize;
    ScalarValue::try_from_array(values, place.max(1) - 1).map_err(internal)
}

impl PartialEq for Collect {
    fn eq(&self, other: &Collect) -> bool {
        self.name == other.name
    }
}

impl Eq for Collect {}

impl std::hash::Hash for Collect {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Collect {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if arg_types.len() != self.arity || (self.gives)(arg_types).is_none() {
            let types: Vec<String> = arg_types.iter().map(|t| SqlType::of_arrow(t).to_string()).collect();
            return Err(external(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {}({}) does not exist", self.name, types.join(", ")),
            )));
        }
        let settled = |t: &DataType| {
            if *t == DataType::Null {
                DataType::Utf8
            } else {
                t.clone()
            }
        };
        Ok(arg_types.iter().map(settled).collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        (self.gives)(arg_types).ok_or_else(|| external(SqlError::new(SqlState::UNDEFINED_FUNCTION, self.name)))
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let types: Vec<DataType> = arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let data_type = self.return_type(&types)?;
        Ok(match self.name {
            "json_agg" | "json_object_agg" => SqlType::Json.to_field(self.name),
            _ => Arc::new(Field::new(self.name, data_type, true)),
        })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let fields = args.expr_fields.iter().take(self.arity).map(|f| f.data_type().clone());
        let mut types: Vec<DataType> = fields.collect();
        for order in args.order_bys {
            types.push(order.expr.data_type(args.schema)?);
        }
        Ok(Box::new(Collected {
            arity: self.arity,
            types,
            orders: args.order_bys.iter().map(|o| o.options).collect(),
            is_distinct: args.is_distinct,
            skips_nulls: self.skips_nulls,
            output: args.return_type().clone(),
            finish: self.finish,
            batches: Vec::new(),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = |name: String, data_type: &DataType| {
            let item = Arc::new(Field::new_list_field(data_type.clone(), true));
            Arc::new(Field::new(name, DataType::List(item), true))
        };
        let values = args.input_fields.iter().take(self.arity).chain(args.ordering_fields);
        Ok(values
            .enumerate()
            .map(|(at, f)| list(format_state_name(args.name, &format!("column{at}")), f.data_type()))
            .collect())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::SoftRequirement
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        _beneficial_ordering: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        // It sorts by itself, whether or not the input is sorted.
        Ok(Some(Arc::new(self.as_ref().clone())))
    }
}

/// The rows of one group.
#[derive(Debug)]
struct Collected {
    arity: usize,
    /// The arguments' types, then the sort keys'.
    types: Vec<DataType>,
    orders: Vec<SortOptions>,
    is_distinct: bool,
    skips_nulls: bool,
    output: DataType,
    finish: Finish,
    batches: Vec<Vec<ArrayRef>>,
}

impl Collected {
    /// All rows so far, column by column.
    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let column = |at: usize| -> Result<ArrayRef> {
            let parts: Vec<&dyn Array> = self.batches.iter().map(|b| b[at].as_ref()).collect();
            Ok(match parts.as_slice() {
                [] => arrow::array::new_empty_array(&self.types[at]),
                parts => concat(parts)?,
            })
        };
        (0..self.types.len()).map(column).collect()
    }

    /// The rows in order, each once if they are to be distinct.
    fn sorted(&self) -> Result<Vec<ArrayRef>> {
        let mut columns = self.columns()?;
        if self.skips_nulls {
            let present: BooleanArray = (0..columns[0].len()).map(|r| Some(columns[0].is_valid(r))).collect();
            columns = columns
                .iter()
                .map(|c| filter(c, &present))
                .collect::<std::result::Result<_, _>>()?;
        }
        if self.is_distinct {
            columns = distinct(&columns, self.arity)?;
        }
        let by_arguments = self.is_distinct && self.orders.is_empty();
        let keys: Vec<(ArrayRef, SortOptions)> = match by_arguments {
            true => columns[..self.arity]
                .iter()
                .map(|c| (Arc::clone(c), ASCENDING))
                .collect(),
            false => columns[self.arity..]
                .iter()
                .cloned()
                .zip(self.orders.iter().copied())
                .collect(),
        };
        if keys.is_empty() || columns[0].len() < 2 {
            return Ok(columns);
        }
        let mut keys: Vec<SortColumn> = keys
            .into_iter()
            .map(|(values, options)| SortColumn {
                values,
                options: Some(options),
            })
            .collect();
        // Ties stay in the order of the input.
        keys.push(SortColumn {
            values: Arc::new(UInt32Array::from_iter_values(0..columns[0].len() as u32)),
            options: None,
        });
        let order = lexsort_to_indices(&keys, None)?;
        Ok(columns
            .iter()
            .map(|c| take(c, &order, None))
            .collect::<std::result::Result<_, _>>()?)
    }
}

const ASCENDING: SortOptions = SortOptions {
    descending: false,
    nulls_first: false,
};

/// The first row of each set of equal arguments.
fn distinct(columns: &[ArrayRef], arity: usize) -> Result<Vec<ArrayRef>> {
    let fields = columns[..arity].iter().map(|c| SortField::new(c.data_type().clone()));
    let rows = RowConverter::new(fields.collect())?.convert_columns(&columns[..arity])?;
    let mut seen = std::collections::HashSet::new();
    let first: BooleanArray = rows.iter().map(|row| Some(seen.insert(row))).collect();
    Ok(columns
        .iter()
        .map(|c| filter(c, &first))
        .collect::<std::result::Result<_, _>>()?)
}

impl Accumulator for Collected {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if !values[0].is_empty() {
            self.batches.push(values.to_vec());
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let columns = self.sorted()?;
        if columns[0].is_empty() {
            return ScalarValue::try_from(&self.output);
        }
        (self.finish)(&columns[..self.arity], &self.output).map_err(external)
    }

    fn size(&self) -> usize {
        let arrays = self.batches.iter().flatten().map(|a| a.get_array_memory_size());
        size_of::<Self>() + arrays.sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = |column: ArrayRef| {
            let offsets = arrow::buffer::OffsetBuffer::from_lengths([column.len()]);
            let item = Arc::new(Field::new_list_field(column.data_type().clone(), true));
            ScalarValue::List(Arc::new(arrow::array::ListArray::new(item, offsets, column, None)))
        };
        Ok(self.columns()?.into_iter().map(list).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states[0].len() {
            let batch: Vec<ArrayRef> = states.iter().map(|s| s.as_list::<i32>().value(row)).collect();
            if !batch[0].is_empty() {
                self.batches.push(batch);
            }
        }
        Ok(())
    }
}
