//! What an operator's state is between runs: named Arrow batches. [`StateWriter`] collects what
//! [`Operator::save`](crate::op::Operator::save) writes, [`StateReader`] hands it back to `load`.
//!
//! A save is a change since the last one: rows put, and keys removed. Readers see the sum of all saves, with the
//! rows of other workers' keys taken out, so that state may be restored at any number of workers.

use std::collections::BTreeMap;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;

/// Takes what changed since the last save.
#[derive(Debug, Default, Clone)]
pub struct StateWriter {
    parts: BTreeMap<String, Vec<RecordBatch>>,
}

impl StateWriter {
    /// Adds rows to the part of this name. All batches of a part have one schema.
    pub fn write(&mut self, part: &str, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.parts.entry(part.to_string()).or_default().push(batch);
        }
    }

    /// Everything written, ready to be read back.
    pub fn into_reader(self) -> StateReader {
        StateReader { parts: self.parts }
    }

    /// How many rows were written, over all parts.
    pub fn row_count(&self) -> usize {
        self.parts.values().flatten().map(RecordBatch::num_rows).sum()
    }
}

/// Hands back what was saved.
#[derive(Debug, Default, Clone)]
pub struct StateReader {
    parts: BTreeMap<String, Vec<RecordBatch>>,
}

impl StateReader {
    /// All batches of a part, in the order in which they were saved. A second read finds nothing.
    pub fn read(&mut self, part: &str) -> Vec<RecordBatch> {
        self.parts.remove(part).unwrap_or_default()
    }

    /// Deals the rows out to `workers`: `worker_of` says for each row of a batch whose it is.
    ///
    /// # Errors
    /// When rows cannot be picked from a batch.
    pub fn split(
        self,
        workers: usize,
        worker_of: impl Fn(&RecordBatch) -> Vec<usize>,
    ) -> Result<Vec<StateReader>, ArrowError> {
        let mut readers = vec![StateReader::default(); workers];
        for (part, batches) in self.parts {
            for batch in batches {
                let owners = worker_of(&batch);
                for (worker, reader) in readers.iter_mut().enumerate() {
                    let rows = (0..batch.num_rows()).filter(|row| owners[*row] == worker);
                    let rows = UInt32Array::from_iter_values(rows.map(|row| row as u32));
                    if !rows.is_empty() {
                        let picked = take_record_batch(&batch, &rows)?;
                        reader.parts.entry(part.clone()).or_default().push(picked);
                    }
                }
            }
        }
        Ok(readers)
    }

    /// The sum of several workers' saves, oldest first.
    pub fn merge(readers: impl IntoIterator<Item = StateReader>) -> StateReader {
        let mut merged = StateReader::default();
        for reader in readers {
            for (part, batches) in reader.parts {
                merged.parts.entry(part).or_default().extend(batches);
            }
        }
        merged
    }
}
