//! What a store saves: a part with the key columns, the other columns, the mark where there is one, and by how much the
//! weight of that has changed. The weights of equal rows add up.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use highwater_types::Delta;

use super::RowStore;
use crate::ExecError;
use crate::op::keys::KeyCodec;
use crate::state::{StateReader, StateWriter};

impl RowStore {
    /// Writes what has changed since the last save.
    ///
    /// # Errors
    /// When rows cannot be gathered.
    pub(in crate::op) fn save(&mut self, part: &str, state: &mut StateWriter) -> Result<(), ExecError> {
        self.index_deferred()?;
        let dirty = std::mem::take(&mut self.dirty);
        let (mut entries, mut marks, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for id in &dirty {
            let entry = &mut self.entries[*id as usize];
            entry.listed = false;
            if !entry.live {
                continue;
            }
            let (before, now) = (entry.saved, entry.weight);
            let mark = self.marks.as_ref().map(|m| m[*id as usize]).unwrap_or_default();
            let changes = if mark.saved == mark.now || before == 0 {
                [(mark.now, now - before), (0, 0)]
            } else {
                [(mark.saved, -before), (mark.now, now)]
            };
            for (mark, weight) in changes.into_iter().filter(|(_, weight)| *weight != 0) {
                entries.push(*id);
                marks.push(mark);
                weights.push(weight);
            }
            entry.saved = now;
            if let Some(marks) = &mut self.marks {
                marks[*id as usize].saved = mark.now;
            }
        }
        if !entries.is_empty() {
            let mut columns = self.gather_columns(&entries, &self.state_order())?;
            if self.marks.is_some() {
                columns.push(Arc::new(Int64Array::from(marks)));
            }
            columns.push(Arc::new(Int64Array::from(weights)));
            state.write(part, RecordBatch::try_new(self.state_schema(), columns)?);
        }
        for id in dirty {
            if self.entries[id as usize].live {
                self.drop_if_gone(id);
            }
        }
        Ok(())
    }

    /// Takes in what was saved.
    ///
    /// # Errors
    /// When the state is not this store's.
    pub(in crate::op) fn load(
        &mut self,
        part: &str,
        codec: &KeyCodec,
        state: &mut StateReader,
    ) -> Result<(), ExecError> {
        let batches = state.read(part);
        let Some(first) = batches.first() else {
            return Ok(());
        };
        let all = concat_batches(&first.schema(), &batches)?;
        let last = all.num_columns() - 1;
        let weights = all.column(last).as_primitive::<Int64Type>().clone();
        let indices: Vec<usize> = (0..last).collect();
        let delta = Delta::try_new(all.project(&indices)?, Some(weights))?.consolidate()?;
        let order = self.state_order();
        let column_of = |column: usize| -> ArrayRef {
            let at = order.iter().position(|c| *c == column);
            Arc::clone(delta.column(at.expect("the order has every column")))
        };
        let columns = (0..self.schema().fields().len()).map(column_of).collect();
        let rows = delta.with_batch(RecordBatch::try_new(Arc::clone(self.schema()), columns)?)?;
        let keys = codec.encode(&self.key_columns_of(rows.batch()), rows.num_rows())?;
        let placed = self.apply(&rows, &keys, None)?;
        for (row, id) in placed.into_iter().enumerate() {
            let entry = &mut self.entries[id as usize];
            entry.saved = entry.weight;
            if let Some(marks) = &mut self.marks {
                let mark = delta.column(order.len()).as_primitive::<Int64Type>().value(row);
                marks[id as usize] = super::Mark { now: mark, saved: mark };
            }
        }
        for id in std::mem::take(&mut self.dirty) {
            self.entries[id as usize].listed = false;
        }
        Ok(())
    }

    /// The columns in the order of the state: the key first.
    fn state_order(&self) -> Vec<usize> {
        let others = (0..self.schema().fields().len()).filter(|c| !self.key_columns.contains(c));
        self.key_columns.iter().copied().chain(others).collect()
    }

    fn state_schema(&self) -> SchemaRef {
        let mut fields: Vec<Field> = Vec::new();
        for column in self.state_order() {
            let name = format!("c{}", fields.len());
            fields.push(self.schema().field(column).clone().with_name(name));
        }
        if self.marks.is_some() {
            fields.push(Field::new("mark", DataType::Int64, true));
        }
        fields.push(Field::new("weight", DataType::Int64, true));
        Arc::new(Schema::new(fields))
    }
}
