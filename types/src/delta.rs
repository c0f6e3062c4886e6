//! [`Delta`]: changes of one relation in one epoch, as Arrow rows with a signed weight each (a Z-set, after
//! Budiu et al., *DBSP*, VLDB 2023). `weights: None` means that every weight is +1 and stays `None` through
//! append-only plans, which therefore pay nothing for retraction.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, UInt32Array,
};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use thiserror::Error;

/// Rows and their weights. Within an epoch only the sum of weights per row counts: order and cut do not.
#[derive(Debug, Clone)]
pub struct Delta {
    batch: RecordBatch,
    weights: Option<Int64Array>,
}

/// What can be wrong with a delta's making.
#[derive(Debug, Error)]
pub enum DeltaError {
    /// There must be one weight a row.
    #[error("a delta of {rows} rows was given {weights} weights")]
    WeightCount {
        /// Rows in the batch.
        rows: usize,
        /// Weights given.
        weights: usize,
    },
    /// Arrow refused.
    #[error("{0}")]
    Arrow(#[from] ArrowError),
}

impl Delta {
    /// Every row of the batch, once, inserted.
    pub fn insert(batch: RecordBatch) -> Delta {
        Delta { batch, weights: None }
    }

    /// Every row of the batch, once, retracted.
    pub fn retract(batch: RecordBatch) -> Delta {
        let weights = Int64Array::from_value(-1, batch.num_rows());
        Delta {
            batch,
            weights: Some(weights),
        }
    }

    /// Rows with these weights.
    ///
    /// # Errors
    /// When there is not one weight, not NULL, a row.
    pub fn try_new(batch: RecordBatch, weights: Option<Int64Array>) -> Result<Delta, DeltaError> {
        if let Some(given) = &weights
            && (given.len() != batch.num_rows() || given.null_count() > 0)
        {
            return Err(DeltaError::WeightCount {
                rows: batch.num_rows(),
                weights: given.len() - given.null_count(),
            });
        }
        Ok(Delta { batch, weights })
    }

    /// No rows, of this schema.
    pub fn empty(schema: SchemaRef) -> Delta {
        Delta {
            batch: RecordBatch::new_empty(schema),
            weights: None,
        }
    }

    /// The rows, without their weights.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The weights; `None` means +1 for every row.
    pub fn weights(&self) -> Option<&Int64Array> {
        self.weights.as_ref()
    }

    /// Rows and weights, taken apart.
    pub fn into_parts(self) -> (RecordBatch, Option<Int64Array>) {
        (self.batch, self.weights)
    }

    /// The weight of one row.
    pub fn weight(&self, row: usize) -> i64 {
        self.weights.as_ref().map_or(1, |w| w.value(row))
    }

    /// How many rows the batch has, whatever their weights.
    pub fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.num_rows() == 0
    }

    /// The columns' schema.
    pub fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    /// One column.
    pub fn column(&self, index: usize) -> &ArrayRef {
        self.batch.column(index)
    }

    /// Whether no row is retracted.
    pub fn is_append_only(&self) -> bool {
        self.weights.as_ref().is_none_or(|w| w.values().iter().all(|w| *w > 0))
    }

    /// Other columns for the same rows: the weights stay.
    ///
    /// # Errors
    /// When the number of rows differs.
    pub fn with_batch(&self, batch: RecordBatch) -> Result<Delta, DeltaError> {
        Delta::try_new(batch, self.weights.clone())
    }

    /// The rows at `indices`, in that order, with their weights.
    ///
    /// # Errors
    /// When an index is out of bounds.
    pub fn take(&self, indices: &UInt32Array) -> Result<Delta, DeltaError> {
        let batch = take_record_batch(&self.batch, indices)?;
        let weights = self
            .weights
            .as_ref()
            .map(|w| Int64Array::from_iter_values(indices.values().iter().map(|i| w.value(*i as usize))));
        Ok(Delta { batch, weights })
    }

    /// The rows where `keep` is true, with their weights.
    ///
    /// # Errors
    /// When `keep` is not as long as the delta.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Delta, DeltaError> {
        let batch = filter_record_batch(&self.batch, keep)?;
        let weights = match &self.weights {
            None => None,
            Some(w) => {
                let kept = (0..keep.len())
                    .filter(|i| keep.is_valid(*i) && keep.value(*i))
                    .map(|i| w.value(i));
                Some(Int64Array::from_iter_values(kept))
            }
        };
        Ok(Delta { batch, weights })
    }

    /// Rows `offset .. offset + length`, without copying.
    pub fn slice(&self, offset: usize, length: usize) -> Delta {
        Delta {
            batch: self.batch.slice(offset, length),
            weights: self.weights.as_ref().map(|w| w.slice(offset, length)),
        }
    }

    /// The same rows with the opposite weights.
    pub fn negate(&self) -> Delta {
        let weights = match &self.weights {
            None => Int64Array::from_value(-1, self.num_rows()),
            Some(w) => Int64Array::from_iter_values(w.values().iter().map(|w| -w)),
        };
        Delta {
            batch: self.batch.clone(),
            weights: Some(weights),
        }
    }

    /// All changes of `deltas`, one after the other. They share `schema`.
    ///
    /// # Errors
    /// When their columns differ.
    pub fn concat(schema: &SchemaRef, deltas: &[Delta]) -> Result<Delta, DeltaError> {
        if let [only] = deltas {
            return Ok(only.clone());
        }
        let batch = concat_batches(schema, deltas.iter().map(|d| &d.batch))?;
        let weights = if deltas.iter().all(|d| d.weights.is_none()) {
            None
        } else {
            Some(Int64Array::from_iter_values(
                deltas.iter().flat_map(|d| (0..d.num_rows()).map(|i| d.weight(i))),
            ))
        };
        Ok(Delta { batch, weights })
    }

    /// Sums the weights of equal rows and drops those that come to zero. The remaining rows keep the order of
    /// their first appearance. NULLs are equal to each other, and so are NaNs; 0 and -0 are not.
    ///
    /// # Errors
    /// When a column's type cannot be compared.
    pub fn consolidate(&self) -> Result<Delta, DeltaError> {
        let rows = RowKeys::try_new(&self.schema())?.encode(self.batch.columns())?;
        let mut sums: Vec<(u32, i64)> = Vec::new();
        let mut seen: HashMap<&[u8], usize, ahash::RandomState> =
            HashMap::with_capacity_and_hasher(self.num_rows(), ahash::RandomState::default());
        for row in 0..self.num_rows() {
            let place = *seen.entry(rows.row(row).data()).or_insert_with(|| {
                sums.push((row as u32, 0));
                sums.len() - 1
            });
            sums[place].1 += self.weight(row);
        }
        sums.retain(|(_, weight)| *weight != 0);
        let batch = if sums.len() == self.num_rows() {
            self.batch.clone()
        } else {
            let indices = UInt32Array::from_iter_values(sums.iter().map(|(row, _)| *row));
            take_record_batch(&self.batch, &indices)?
        };
        let weights = if sums.iter().all(|(_, weight)| *weight == 1) {
            None
        } else {
            Some(Int64Array::from_iter_values(sums.iter().map(|(_, weight)| *weight)))
        };
        Ok(Delta { batch, weights })
    }
}

/// Encodes rows to bytes that are equal when the rows are: NULL equals NULL, and NaN equals NaN. Wraps Arrow's row
/// format.
#[derive(Debug)]
pub struct RowKeys {
    converter: RowConverter,
    canonical: fn(&ArrayRef) -> ArrayRef,
}

impl RowKeys {
    /// For whole rows of this schema. -0 is not 0 here: the two compare as equal, but they are different values, which
    /// a function may tell apart.
    ///
    /// # Errors
    /// When a column's type has no row format.
    pub fn try_new(schema: &SchemaRef) -> Result<RowKeys, DeltaError> {
        RowKeys::with(schema, canonical_nans)
    }

    /// For the columns of a key, by which rows meet that compare as equal: -0 is 0.
    ///
    /// # Errors
    /// When a column's type has no row format.
    pub fn of_key(schema: &SchemaRef) -> Result<RowKeys, DeltaError> {
        RowKeys::with(schema, canonical_floats)
    }

    fn with(schema: &SchemaRef, canonical: fn(&ArrayRef) -> ArrayRef) -> Result<RowKeys, DeltaError> {
        let fields = schema
            .fields()
            .iter()
            .map(|f| SortField::new(f.data_type().clone()))
            .collect();
        Ok(RowKeys {
            converter: RowConverter::new(fields)?,
            canonical,
        })
    }

    /// The encoded rows of these columns.
    ///
    /// # Errors
    /// When the columns are not of the schema given at the start.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Rows, DeltaError> {
        let columns: Vec<ArrayRef> = columns.iter().map(self.canonical).collect();
        Ok(self.converter.convert_columns(&columns)?)
    }
}

/// Makes every NaN the same NaN and -0 into 0, as PostgreSQL compares them; other columns are passed on.
pub fn canonical_floats(column: &ArrayRef) -> ArrayRef {
    map_floats(
        column,
        |v| if v.is_nan() { f32::NAN } else { v + 0.0 },
        |v| if v.is_nan() { f64::NAN } else { v + 0.0 },
    )
}

/// Makes every NaN the same NaN; other columns are passed on.
pub fn canonical_nans(column: &ArrayRef) -> ArrayRef {
    map_floats(
        column,
        |v| if v.is_nan() { f32::NAN } else { v },
        |v| if v.is_nan() { f64::NAN } else { v },
    )
}

fn map_floats(column: &ArrayRef, single: impl Fn(f32) -> f32, double: impl Fn(f64) -> f64) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            let fixed: Float64Array = column.as_primitive::<Float64Type>().unary(double);
            Arc::new(fixed)
        }
        DataType::Float32 => {
            let fixed: Float32Array = column.as_primitive::<Float32Type>().unary(single);
            Arc::new(fixed)
        }
        _ => Arc::clone(column),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::script::{format_delta, parse_delta};

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("k", DataType::Utf8, true),
            Field::new("v", DataType::Int64, true),
        ]))
    }

    #[test]
    fn consolidating_sums_equal_rows_and_drops_zeros() {
        let delta = parse_delta(&schema(), "+1 a 5, +2 b 1, -1 a 5, +1 b 1, +1 null 3").expect("well formed");
        let sum = delta.consolidate().expect("comparable");
        assert_eq!(format_delta(&sum), "+3 b 1, +1 null 3");
    }

    #[test]
    fn zeros_of_either_sign_are_different_rows_and_the_same_key() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("x", DataType::Float64, true)]));
        let values: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![values]).expect("one column");
        let delta = Delta::try_new(batch, Some(Int64Array::from(vec![1, -1, 1]))).expect("a weight a row");
        let sum = delta.consolidate().expect("comparable");
        assert_eq!(
            (0..sum.num_rows()).map(|row| sum.weight(row)).collect::<Vec<_>>(),
            [1, -1, 1]
        );
        let keys = RowKeys::of_key(&schema).and_then(|k| k.encode(delta.batch().columns()));
        let keys = keys.expect("comparable");
        assert_eq!(keys.row(0), keys.row(1));
        assert_ne!(keys.row(0), keys.row(2));
    }

    #[test]
    fn insertions_alone_carry_no_weights() {
        let delta = parse_delta(&schema(), "+1 a 5, +1 b 1").expect("well formed");
        assert!(delta.consolidate().expect("comparable").weights().is_none());
    }

    #[test]
    fn weights_must_be_one_a_row() {
        let batch = parse_delta(&schema(), "+1 a 5").expect("well formed").into_parts().0;
        assert!(Delta::try_new(batch, Some(Int64Array::from(vec![1, 2]))).is_err());
    }
}
