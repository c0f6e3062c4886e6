//! What a top-N saves: rows and by how much their weight has changed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use highwater_types::Delta;

use super::trees::Trees;
use super::{Kept, TopNOp};
use crate::ExecError;
use crate::op::keys::{ABSENT, KeyCodec, KeyTable};
use crate::op::row_keys::RowKey;
use crate::op::saved::SavedRows;
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
        state.write(PART, self.saved_rows().batch(&columns, Int64Array::from(weights))?);
        Ok(())
    }

    pub(super) fn read(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        let (saved, mut all) = (self.saved_rows(), Vec::new());
        for batch in state.read(PART) {
            all.push(saved.delta(&batch)?);
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

    fn saved_rows(&self) -> SavedRows {
        SavedRows::new(Arc::clone(&self.input), &self.node.partition)
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
