//! [`SavedRows`]: rows with weights as operators save them: the columns of the key first, as
//! [`Operator::save`](super::Operator::save) asks, then the others, then by how much the weight has changed.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use highwater_types::Delta;

use crate::ExecError;

/// The layout of a part of some operator's state.
#[derive(Debug)]
pub(super) struct SavedRows {
    rows: SchemaRef,
    /// The columns in the order in which they are saved.
    order: Vec<usize>,
    saved: SchemaRef,
}

impl SavedRows {
    /// For rows of this schema, spread by these columns.
    pub(super) fn new(rows: SchemaRef, key: &[usize]) -> SavedRows {
        let others = (0..rows.fields().len()).filter(|column| !key.contains(column));
        let order: Vec<usize> = key.iter().copied().chain(others).collect();
        let named = order.iter().enumerate();
        let mut fields: Vec<Field> = named
            .map(|(at, column)| rows.field(*column).clone().with_name(format!("c{at}")))
            .collect();
        fields.push(Field::new("weight", DataType::Int64, true));
        SavedRows {
            rows,
            order,
            saved: Arc::new(Schema::new(fields)),
        }
    }

    /// What is saved of these rows, given by column, with the changes of their weights.
    ///
    /// # Errors
    /// When they are not of the schema.
    pub(super) fn batch(&self, columns: &[ArrayRef], weights: Int64Array) -> Result<RecordBatch, ExecError> {
        let mut saved: Vec<ArrayRef> = self.order.iter().map(|column| Arc::clone(&columns[*column])).collect();
        saved.push(Arc::new(weights));
        Ok(RecordBatch::try_new(Arc::clone(&self.saved), saved)?)
    }

    /// The rows that were saved.
    ///
    /// # Errors
    /// When they are not of the schema.
    pub(super) fn delta(&self, saved: &RecordBatch) -> Result<Delta, ExecError> {
        let mut columns: Vec<(usize, ArrayRef)> = self
            .order
            .iter()
            .copied()
            .zip(saved.columns().iter().cloned())
            .collect();
        columns.sort_unstable_by_key(|(column, _)| *column);
        let columns = columns.into_iter().map(|(_, values)| values).collect();
        let rows = RecordBatch::try_new(Arc::clone(&self.rows), columns)?;
        let weights = saved.column(self.order.len()).as_primitive::<Int64Type>().clone();
        Ok(Delta::try_new(rows, Some(weights))?)
    }
}
