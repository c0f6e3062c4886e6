//! [`BatchStore`]: rows that an operator keeps, in the record batches they came in. Each row has an owner, a number by
//! which the operator knows it; a row that nobody owns any more is dead. Small batches are merged as a counter carries,
//! and a batch that is more than half dead is rewritten, so that there are few and each row is copied a logarithmic
//! number of times. When rows move, their owners are told where to.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{interleave, take_record_batch};
use arrow::datatypes::SchemaRef;

use super::keys::ABSENT;
use crate::ExecError;

/// Batches of fewer rows than this are merged.
pub(super) const MERGE_ROWS: usize = 1 << 13;
/// Batches of fewer rows than this are not rewritten for being half dead.
const REWRITE_ROWS_MIN: usize = 256;

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) batch: u32,
    pub(super) row: u32,
}

impl Place {
    /// No row's.
    pub(super) const NOWHERE: Place = Place {
        batch: ABSENT,
        row: ABSENT,
    };
}

/// A row of this owner is somewhere else now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    pub(super) owner: u32,
    pub(super) place: Place,
}

/// Rows and their owners.
#[derive(Debug)]
pub(super) struct BatchStore {
    schema: SchemaRef,
    batches: Vec<Option<StoredBatch>>,
    free: Vec<u32>,
    /// Batches that may still be merged, oldest first.
    small: Vec<u32>,
}

#[derive(Debug)]
struct StoredBatch {
    batch: RecordBatch,
    /// The owner of each row; [`ABSENT`] once it is dead.
    owners: Vec<u32>,
    live_count: usize,
}

impl BatchStore {
    /// For rows of this schema.
    pub(super) fn new(schema: SchemaRef) -> BatchStore {
        BatchStore {
            schema,
            batches: Vec::new(),
            free: Vec::new(),
            small: Vec::new(),
        }
    }

    /// The rows' schema.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Keeps the rows at `rows` of a batch, or all of it; their owners are to be set. [`ABSENT`] when there is none.
    /// [`BatchStore::settle`] must follow.
    ///
    /// # Errors
    /// When the rows cannot be picked.
    pub(super) fn add(&mut self, batch: &RecordBatch, rows: &[u32]) -> Result<u32, ExecError> {
        if rows.is_empty() {
            return Ok(ABSENT);
        }
        let batch = if rows.len() == batch.num_rows() {
            batch.clone()
        } else {
            take_record_batch(batch, &UInt32Array::from(rows.to_vec()))?
        };
        let stored = StoredBatch {
            owners: vec![ABSENT; batch.num_rows()],
            live_count: batch.num_rows(),
            batch,
        };
        Ok(match self.free.pop() {
            Some(id) => {
                self.batches[id as usize] = Some(stored);
                id
            }
            None => {
                self.batches.push(Some(stored));
                (self.batches.len() - 1) as u32
            }
        })
    }

    /// Keeps the rows of a batch that have an owner. [`ABSENT`] when there is none. [`BatchStore::settle`] must follow.
    ///
    /// # Errors
    /// When the rows cannot be picked.
    pub(super) fn add_owned(&mut self, batch: &RecordBatch, mut owners: Vec<u32>) -> Result<u32, ExecError> {
        let owned: Vec<u32> = (0..owners.len() as u32)
            .filter(|row| owners[*row as usize] != ABSENT)
            .collect();
        // A batch of which little is needed is not kept whole.
        let id = if owned.len() * 2 > owners.len() {
            self.add(batch, &(0..owners.len() as u32).collect::<Vec<_>>())?
        } else {
            owners.retain(|owner| *owner != ABSENT);
            self.add(batch, &owned)?
        };
        if id != ABSENT {
            let stored = self.stored_mut(id);
            stored.live_count = owned.len();
            stored.owners = owners;
        }
        Ok(id)
    }

    /// Merges small batches of like size, once a new one is complete.
    ///
    /// # Errors
    /// When rows cannot be gathered.
    pub(super) fn settle(&mut self, batch: u32) -> Result<Vec<Moved>, ExecError> {
        if batch == ABSENT || self.stored(batch).owners.len() >= MERGE_ROWS {
            return Ok(Vec::new());
        }
        self.small.push(batch);
        let size_of = |store: &BatchStore, batch: u32| store.stored(batch).live_count;
        let mut from = self.small.len() - 1;
        let mut sum = size_of(self, batch);
        while from > 0 && size_of(self, self.small[from - 1]) <= 2 * sum && sum < MERGE_ROWS {
            from -= 1;
            sum += size_of(self, self.small[from]);
        }
        if from + 1 == self.small.len() {
            return Ok(Vec::new());
        }
        let merged = self.small.split_off(from);
        self.rewrite(&merged)
    }

    /// Gives a row to an owner.
    pub(super) fn set_owner(&mut self, place: Place, owner: u32) {
        self.stored_mut(place.batch).owners[place.row as usize] = owner;
    }

    /// A batch, its dead rows included.
    pub(super) fn batch(&self, batch: u32) -> &RecordBatch {
        &self.stored(batch).batch
    }

    /// The owners of a batch's rows.
    pub(super) fn owners(&self, batch: u32) -> &[u32] {
        &self.stored(batch).owners
    }

    /// Rows die.
    ///
    /// # Errors
    /// When the others of their batches cannot be gathered.
    pub(super) fn forget(&mut self, places: &[Place]) -> Result<Vec<Moved>, ExecError> {
        let mut touched: Vec<u32> = Vec::new();
        for Place { batch, row } in places {
            let stored = self.stored_mut(*batch);
            stored.owners[*row as usize] = ABSENT;
            stored.live_count -= 1;
            if touched.last() != Some(batch) {
                touched.push(*batch);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let mut moved = Vec::new();
        for batch in touched {
            let stored = self.stored(batch);
            let (live, all) = (stored.live_count, stored.owners.len());
            if live == 0 {
                self.free_batch(batch);
            } else if all >= REWRITE_ROWS_MIN && live * 2 < all {
                moved.extend(self.rewrite(&[batch])?);
            }
        }
        Ok(moved)
    }

    /// The rows at these places, in order.
    ///
    /// # Errors
    /// When the rows cannot be gathered.
    pub(super) fn gather(&self, places: impl Iterator<Item = Place>) -> Result<RecordBatch, ExecError> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let places: Vec<Place> = places.collect();
        let row_count = places.len();
        let columns = self.gather_columns(places.into_iter(), &all)?;
        let options = RecordBatchOptions::new().with_row_count(Some(row_count));
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            columns,
            &options,
        )?)
    }

    /// Some columns of the rows at these places, in order.
    ///
    /// # Errors
    /// When the rows cannot be gathered.
    pub(super) fn gather_columns(
        &self,
        places: impl Iterator<Item = Place>,
        columns: &[usize],
    ) -> Result<Vec<ArrayRef>, ExecError> {
        let mut used: Vec<&RecordBatch> = Vec::new();
        let mut numbers: HashMap<u32, usize> = HashMap::new();
        let mut last = (ABSENT, 0);
        let mut at: Vec<(usize, usize)> = Vec::with_capacity(places.size_hint().0);
        for Place { batch, row } in places {
            if last.0 != batch {
                let number = *numbers.entry(batch).or_insert_with(|| {
                    used.push(self.batch(batch));
                    used.len() - 1
                });
                last = (batch, number);
            }
            at.push((last.1, row as usize));
        }
        let gather = |column: &usize| -> Result<ArrayRef, ExecError> {
            let arrays: Vec<&dyn Array> = used.iter().map(|b| b.column(*column).as_ref()).collect();
            if arrays.is_empty() {
                return Ok(arrow::array::new_empty_array(self.schema.field(*column).data_type()));
            }
            Ok(interleave(&arrays, &at)?)
        };
        columns.iter().map(gather).collect()
    }

    /// Copies the live rows of some batches into a new one.
    fn rewrite(&mut self, batches: &[u32]) -> Result<Vec<Moved>, ExecError> {
        let mut owners = Vec::new();
        let mut places = Vec::new();
        for batch in batches {
            for (row, owner) in self.owners(*batch).iter().enumerate() {
                if *owner != ABSENT {
                    owners.push(*owner);
                    places.push(Place {
                        batch: *batch,
                        row: row as u32,
                    });
                }
            }
        }
        let batch = self.gather(places.into_iter())?;
        batches.iter().for_each(|b| self.free_batch(*b));
        let all: Vec<u32> = (0..owners.len() as u32).collect();
        let id = self.add(&batch, &all)?;
        if id == ABSENT {
            return Ok(Vec::new());
        }
        let moved = owners.iter().zip(0..).map(|(owner, row)| Moved {
            owner: *owner,
            place: Place { batch: id, row },
        });
        let moved = moved.collect();
        if owners.len() < MERGE_ROWS {
            self.small.push(id);
        }
        self.stored_mut(id).owners = owners;
        Ok(moved)
    }

    fn free_batch(&mut self, batch: u32) {
        self.batches[batch as usize] = None;
        self.free.push(batch);
        self.small.retain(|b| *b != batch);
    }

    fn stored(&self, batch: u32) -> &StoredBatch {
        self.batches[batch as usize]
            .as_ref()
            .expect("the batch of a live row is kept")
    }

    fn stored_mut(&mut self, batch: u32) -> &mut StoredBatch {
        self.batches[batch as usize]
            .as_mut()
            .expect("the batch of a live row is kept")
    }
}
