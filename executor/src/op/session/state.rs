//! What a [`SessionOp`] saves: rows and by how much their weight has changed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use highwater_types::Delta;

use super::SessionOp;
use super::partition::Change;
use crate::ExecError;
use crate::op::keys::to_integers;
use crate::op::row_keys::RowKey;
use crate::state::{StateReader, StateWriter};

/// The name of the state's part.
const PART: &str = "rows";

impl SessionOp {
    pub(super) fn write(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        let changes: Vec<(RowKey, i64)> = match self.unsaved.replace(HashMap::new()) {
            Some(unsaved) => unsaved.into_iter().collect(),
            None => {
                let partitions = self.partitions.iter();
                let rows = partitions.flat_map(|partition| partition.rows());
                rows.map(|(key, weight)| (key.clone(), weight)).collect()
            }
        };
        let columns = self.rows.decode(changes.iter().map(|(key, _)| key))?;
        let mut fields: Vec<Field> = Vec::new();
        let mut picked: Vec<ArrayRef> = Vec::new();
        for column in self.state_order() {
            let name = format!("c{}", fields.len());
            fields.push(self.input.field(column).clone().with_name(name));
            picked.push(Arc::clone(&columns[column]));
        }
        fields.push(Field::new("weight", DataType::Int64, true));
        picked.push(Arc::new(Int64Array::from_iter_values(
            changes.iter().map(|(_, weight)| *weight),
        )));
        state.write(PART, RecordBatch::try_new(Arc::new(Schema::new(fields)), picked)?);
        Ok(())
    }

    pub(super) fn read(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        let order = self.state_order();
        for batch in state.read(PART) {
            let weights = batch.column(order.len()).as_primitive::<Int64Type>().clone();
            let mut columns: Vec<ArrayRef> = Vec::with_capacity(order.len());
            for column in 0..order.len() {
                let at = order.iter().position(|c| *c == column);
                columns.push(Arc::clone(batch.column(at.expect("the order has every column"))));
            }
            let rows = Delta::try_new(RecordBatch::try_new(Arc::clone(&self.input), columns)?, Some(weights))?;
            let times = to_integers(rows.column(self.node.time_column));
            let keys = self.rows.encode(rows.batch())?;
            let partitions = self.partitions_of(rows.batch())?;
            for (row, (key, number)) in keys.into_iter().zip(partitions.iter()).enumerate() {
                let (time, weight) = (times.value(row), rows.weight(row));
                if self.partitions[number as usize].change(Change { time, key, weight }) {
                    self.touched.push(number);
                }
            }
        }
        for number in std::mem::take(&mut self.touched) {
            let ends = self.partitions[number as usize].load(self.node.gap_us);
            self.note(number, &[], &ends);
            self.forget_if_empty(number);
        }
        self.unsaved = Some(HashMap::new());
        Ok(())
    }

    /// The columns in the order of the state: the partition first.
    fn state_order(&self) -> Vec<usize> {
        let others = (0..self.input.fields().len()).filter(|c| !self.node.partition.contains(c));
        self.node.partition.iter().copied().chain(others).collect()
    }
}
