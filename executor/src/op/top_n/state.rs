//! What a top-N saves: rows and by how much their weight has changed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use highwater_types::Delta;

use super::TopNOp;
use super::codec::RowKey;
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// The name of the state's part.
const PART: &str = "rows";

impl TopNOp {
    pub(super) fn write(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        let changes: Vec<(RowKey, i64)> = match self.saved.replace(HashMap::new()) {
            None => {
                let partitions = self.keys.ids();
                let rows = partitions.iter().flat_map(|p| &self.partitions[*p as usize].rows);
                rows.map(|(key, weight)| (key.clone(), *weight)).collect()
            }
            Some(saved) => self.changes_since(saved)?,
        };
        if changes.is_empty() {
            return Ok(());
        }
        let columns = self.codec.decode(changes.iter().map(|(key, _)| key))?;
        let order = self.state_order();
        let mut picked: Vec<ArrayRef> = order.iter().map(|c| Arc::clone(&columns[*c])).collect();
        picked.push(Arc::new(Int64Array::from_iter_values(changes.iter().map(|(_, w)| *w))));
        let mut fields: Vec<Field> = Vec::new();
        for column in order {
            let name = format!("c{}", fields.len());
            fields.push(self.input.field(column).clone().with_name(name));
        }
        fields.push(Field::new("weight", DataType::Int64, true));
        state.write(PART, RecordBatch::try_new(Arc::new(Schema::new(fields)), picked)?);
        Ok(())
    }

    fn changes_since(&self, saved: HashMap<RowKey, i64>) -> Result<Vec<(RowKey, i64)>, ExecError> {
        let mut saved: Vec<(RowKey, i64)> = saved.into_iter().collect();
        saved.sort_unstable();
        if saved.is_empty() {
            return Ok(saved);
        }
        let columns = self.codec.decode(saved.iter().map(|(key, _)| key))?;
        let partition: Vec<ArrayRef> = self.node.partition.iter().map(|c| Arc::clone(&columns[*c])).collect();
        let keys = self.partition_codec.encode(&partition, saved.len())?;
        for (row, (key, weight)) in saved.iter_mut().enumerate() {
            let now = match self.keys.find(&keys, row) {
                crate::op::keys::ABSENT => None,
                partition => self.partitions[partition as usize].rows.get(key),
            };
            *weight = now.copied().unwrap_or(0) - *weight;
        }
        Ok(saved)
    }

    pub(super) fn read(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        let order = self.state_order();
        let mut all = Vec::new();
        for batch in state.read(PART) {
            let last = batch.num_columns() - 1;
            let column_of = |column: usize| -> ArrayRef {
                let at = order.iter().position(|c| *c == column);
                Arc::clone(batch.column(at.expect("the order has every column")))
            };
            let columns = (0..last.min(self.input.fields().len())).map(column_of).collect();
            let rows = RecordBatch::try_new(Arc::clone(&self.input), columns)?;
            let weights = batch.column(last).as_primitive::<Int64Type>().clone();
            all.push(Delta::try_new(rows, Some(weights))?);
        }
        if all.is_empty() {
            return Ok(());
        }
        let sum = Delta::concat(&self.input, &all)?.consolidate()?;
        let keys = self.codec.encode(sum.batch())?;
        let partitions = self.partitions_of(sum.batch())?;
        for (row, (key, partition)) in keys.into_iter().zip(partitions).enumerate() {
            self.change(partition, key, sum.weight(row));
        }
        self.saved = Some(HashMap::new());
        Ok(())
    }

    /// The columns in the order of the state: the partition first.
    fn state_order(&self) -> Vec<usize> {
        let others = (0..self.input.fields().len()).filter(|c| !self.node.partition.contains(c));
        self.node.partition.iter().copied().chain(others).collect()
    }
}
