//! Lists made rows: a copy of the row for each element, which stands in the list's place.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Int64Type, SchemaRef};
use highwater_types::Delta;

use crate::ExecError;

/// One step, ready to run.
#[derive(Debug)]
pub(super) struct Unnest {
    /// Where the lists are.
    pub(super) lists: Vec<usize>,
    /// The columns of what comes out.
    pub(super) schema: SchemaRef,
}

impl Unnest {
    /// The rows, with their row's weight. Several lists run side by side: a shorter one goes on with NULL.
    pub(super) fn run(&self, delta: &Delta) -> Result<Delta, ExecError> {
        let lists = self.lists.iter().map(|list| list_of(delta, *list));
        let lists: Vec<&ListArray> = lists.collect::<Result<_, _>>()?;
        let mut rows = Vec::new();
        for row in 0..delta.num_rows() {
            let longest = lists.iter().map(|list| length(list, row)).max().unwrap_or(0);
            rows.extend(std::iter::repeat_n(row as u32, longest));
        }
        let rows = UInt32Array::from(rows);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(delta.batch().num_columns());
        for (at, column) in delta.batch().columns().iter().enumerate() {
            columns.push(match self.lists.iter().position(|list| *list == at) {
                Some(list) => take(lists[list].values(), &elements(lists[list], &rows), None)?,
                None => take(column, &rows, None)?,
            });
        }
        let weights = delta.weights().map(|weights| take(weights, &rows, None)).transpose()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(Delta::try_new(
            batch,
            weights.map(|w| w.as_primitive::<Int64Type>().clone()),
        )?)
    }
}

/// Which of a list's values stands in each copy of a row; copies of a row follow each other.
fn elements(list: &ListArray, rows: &UInt32Array) -> UInt32Array {
    let mut place = 0;
    let mut before = None;
    let of_copy = rows.values().iter().map(|row| {
        place = if before == Some(*row) { place + 1 } else { 0 };
        before = Some(*row);
        let row = *row as usize;
        (place < length(list, row)).then(|| (list.value_offsets()[row] as usize + place) as u32)
    });
    of_copy.collect()
}

fn length(list: &ListArray, row: usize) -> usize {
    match list.is_null(row) {
        true => 0,
        false => list.value_length(row) as usize,
    }
}

fn list_of(delta: &Delta, column: usize) -> Result<&ListArray, ExecError> {
    let column = delta.column(column);
    column.as_list_opt::<i32>().ok_or_else(|| ExecError::Unsupported {
        operator: "Unnest",
        construct: format!("a list of type {}", column.data_type()),
    })
}
