//! What a [`SessionOp`] saves: rows and by how much their weight has changed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::Int64Array;

use super::SessionOp;
use super::partition::Change;
use crate::ExecError;
use crate::op::keys::to_integers;
use crate::op::row_keys::RowKey;
use crate::op::saved::SavedRows;
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
        let weights = Int64Array::from_iter_values(changes.iter().map(|(_, weight)| *weight));
        state.write(PART, self.saved_rows().batch(&columns, weights)?);
        Ok(())
    }

    pub(super) fn read(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        let saved = self.saved_rows();
        for batch in state.read(PART) {
            let rows = saved.delta(&batch)?;
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
            // They have been shown before.
            self.close_partition(number, &mut Vec::new())?;
        }
        self.unsaved = Some(HashMap::new());
        Ok(())
    }

    fn saved_rows(&self) -> SavedRows {
        SavedRows::new(Arc::clone(&self.input), &self.node.partition)
    }
}
