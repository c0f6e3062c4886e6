//! Hashes of rows, a column at a time. Floats are hashed as PostgreSQL compares them: every NaN is the same NaN,
//! and -0 is 0.
//!
//! Who routes rows between workers must not use the bits that hash tables pick their buckets by: within one worker
//! some bits would then be constant and tables degrade (ENGINE: 5 times slower). So each purpose has its own seed.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::hash_utils::{RandomState, create_hashes};

use crate::ExecError;

/// What a hash is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Which worker a row belongs to.
    Exchange,
    /// Where a row stands in an index.
    Index,
}

impl Purpose {
    fn seed(self) -> u64 {
        match self {
            Purpose::Exchange => 0x9e37_79b9_7f4a_7c15,
            Purpose::Index => 0x2545_f491_4f6c_dd1d,
        }
    }
}

/// Hashes `row_count` rows of `columns` into `hashes`, which is cleared first. Without columns all rows are equal.
///
/// # Errors
/// When a column's type cannot be hashed.
pub(crate) fn hash_rows(
    columns: &[ArrayRef],
    row_count: usize,
    purpose: Purpose,
    hashes: &mut Vec<u64>,
) -> Result<(), ExecError> {
    hashes.clear();
    hashes.resize(row_count, 0);
    let state = RandomState::with_seed(purpose.seed());
    if columns.iter().any(|c| c.data_type().is_floating()) {
        let canonical: Vec<ArrayRef> = columns.iter().map(canonical_floats).collect();
        create_hashes(&canonical, &state, hashes)?;
    } else {
        create_hashes(columns, &state, hashes)?;
    }
    Ok(())
}

/// Makes every NaN the same NaN; -0 and 0 already have one hash.
fn canonical_floats(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            let fixed: Float64Array = values.unary(|v: f64| if v.is_nan() { f64::NAN } else { v });
            Arc::new(fixed)
        }
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>();
            let fixed: Float32Array = values.unary(|v: f32| if v.is_nan() { f32::NAN } else { v });
            Arc::new(fixed)
        }
        _ => Arc::clone(column),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_floats_have_equal_hashes_whatever_their_bits() {
        let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        let column: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, other_nan, 1.0]));
        let mut hashes = Vec::new();
        hash_rows(&[column], 5, Purpose::Exchange, &mut hashes).expect("floats can be hashed");
        assert_eq!(hashes[0], hashes[1]);
        assert_eq!(hashes[2], hashes[3]);
        assert_ne!(hashes[0], hashes[4]);
    }
}
