//! What a top-N saves: rows and by how much their weight has changed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use highwater_types::Delta;

use super::trees::Trees;
use super::{Kept, TopNOp};
use crate::ExecError;
use crate::op::keys::{ABSENT, KeyCodec, KeyTable};
use crate::op::row_keys::RowKey;
use crate::state::{StateReader, StateWriter};

/// The name of the state's part.
const PART: &str = "rows";

impl TopNOp {
    pub(super) fn write(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        let (columns, weights) = match &mut self.kept {
            Kept::Trees(trees) => trees.changes(&self.partition_codec, &self.keys)?,
            Kept::First(first) => first.changes(&self.keys)?,
        };
        if weights.is_empty() {
            return Ok(());
        }
        let order = self.state_order();
        let mut picked: Vec<ArrayRef> = order.iter().map(|c| Arc::clone(&columns[*c])).collect();
        picked.push(Arc::new(Int64Array::from(weights)));
        let mut fields: Vec<Field> = Vec::new();
        for column in order {
            let name = format!("c{}", fields.len());
            fields.push(self.input.field(column).clone().with_name(name));
        }
        fields.push(Field::new("weight", DataType::Int64, true));
        state.write(PART, RecordBatch::try_new(Arc::new(Schema::new(fields)), picked)?);
        Ok(())
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
        let partitions = self.partitions_of(sum.batch())?;
        match &mut self.kept {
            Kept::Trees(trees) => trees.load(&sum, partitions.iter()),
            Kept::First(first) => first.load(&sum, partitions.iter()),
        }
    }

    /// The columns in the order of the state: the partition first.
    fn state_order(&self) -> Vec<usize> {
        let others = (0..self.input.fields().len()).filter(|c| !self.node.partition.contains(c));
        self.node.partition.iter().copied().chain(others).collect()
    }
}

impl Trees {
    /// Rows whose weight has changed since the last save, and by how much.
    fn changes(&mut self, codec: &KeyCodec, keys: &KeyTable) -> Result<(Vec<ArrayRef>, Vec<i64>), ExecError> {
        let changes: Vec<(RowKey, i64)> = match self.saved.replace(HashMap::new()) {
            None => {
                let partitions = keys.ids();
                let rows = partitions.iter().flat_map(|p| &self.partitions[*p as usize].rows);
                rows.map(|(key, weight)| (key.clone(), *weight)).collect()
            }
            Some(saved) => self.changes_since(saved, codec, keys)?,
        };
        let columns = self.codec.decode(changes.iter().map(|(key, _)| key))?;
        Ok((columns, changes.into_iter().map(|(_, weight)| weight).collect()))
    }

    fn changes_since(
        &self,
        saved: HashMap<RowKey, i64>,
        codec: &KeyCodec,
        known: &KeyTable,
    ) -> Result<Vec<(RowKey, i64)>, ExecError> {
        let mut saved: Vec<(RowKey, i64)> = saved.into_iter().collect();
        saved.sort_unstable();
        if saved.is_empty() {
            return Ok(saved);
        }
        let columns = self.codec.decode(saved.iter().map(|(key, _)| key))?;
        let partition: Vec<ArrayRef> = self.node.partition.iter().map(|c| Arc::clone(&columns[*c])).collect();
        let keys = codec.encode(&partition, saved.len())?;
        for (row, (key, weight)) in saved.iter_mut().enumerate() {
            let now = match known.find(&keys, row) {
                ABSENT => None,
                partition => self.partitions[partition as usize].rows.get(key),
            };
            *weight = now.copied().unwrap_or(0) - *weight;
        }
        Ok(saved)
    }

    fn load(&mut self, sum: &Delta, partitions: impl Iterator<Item = u32>) -> Result<(), ExecError> {
        let keys = self.codec.encode(sum.batch())?;
        for (row, (key, partition)) in keys.into_iter().zip(partitions).enumerate() {
            self.change(partition, key, sum.weight(row));
        }
        self.saved = Some(HashMap::new());
        Ok(())
    }
}
