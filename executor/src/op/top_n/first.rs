//! [`FirstRows`]: the first row of each partition, for an input that never retracts: what keeps the last row of each key,
//! or the highest bid of each auction. A row that is not before its partition's first one is dropped unseen; the others
//! stay in the batches they came in.
//!
//! # State
//! Per partition where its row is and the order's columns of it as bytes that compare as the order does, side by side.
//! Rows that the order leaves equal are told apart by all of their columns, as [`Trees`](super::trees::Trees) does.
//!
//! # Cost and bound
//! A row costs a probe and a comparison of a few bytes; an epoch's end costs the partitions it touched. Bounded by the
//! number of partitions.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DynComparator, Int64Array, RecordBatch, make_comparator, new_empty_array, new_null_array,
};
use arrow::compute::{SortOptions, concat_batches};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, SortField};
use highwater_planner::stream::plan;
use highwater_planner::stream::plan::RankKind;
use highwater_types::{Delta, canonical_floats, canonical_nans};

use crate::ExecError;
use crate::op::batches::{BatchStore, Moved, Place};
use crate::op::keys::{ABSENT, KeyCodec, KeyTable};
use crate::op::{Output, Step};

/// After how many partitions a closing epoch hands the worker back.
const YIELD_PARTITIONS: usize = 16 * Output::BATCH_ROWS;
/// Marks an owner in the store: the row that its partition showed before the open epoch.
const BEFORE: u32 = 1 << 31;
/// Stands for the batch that is being taken in.
const HERE: u32 = ABSENT - 1;

/// The first row of each partition.
#[derive(Debug)]
pub(super) struct FirstRows {
    order: RowConverter,
    order_columns: Vec<usize>,
    /// How many bytes an order takes.
    order_width: usize,
    output: SchemaRef,
    emit_rank: bool,
    store: BatchStore,
    /// By partition: where its row is, that row's order, and where the row that was shown before the open epoch is.
    first: Vec<Place>,
    orders: Vec<u8>,
    before: Vec<Place>,
    is_touched: Vec<bool>,
    touched: Vec<u32>,
    /// By partition that has changed since the last save: the saved row. `None` as long as nothing was ever saved.
    unsaved: Option<HashMap<u32, Option<RecordBatch>>>,
    /// Saved rows of partitions that are gone.
    gone: Vec<RecordBatch>,
}

/// Compares rows of the batch that is being taken in with others, column by column.
struct Ties<'a> {
    columns: &'a [ArrayRef],
    by_batch: HashMap<u32, Vec<DynComparator>>,
}

impl Ties<'_> {
    fn new(columns: &[ArrayRef]) -> Ties<'_> {
        Ties {
            columns,
            by_batch: HashMap::new(),
        }
    }

    fn compare(&mut self, row: usize, other: Place, store: &BatchStore) -> Result<Ordering, ExecError> {
        let comparators = match self.by_batch.entry(other.batch) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let others = match other.batch {
                    HERE => self.columns,
                    batch => store.batch(batch).columns(),
                };
                let made = self.columns.iter().zip(others);
                let made = made.map(|(own, other)| make_comparator(own, other, SortOptions::default()));
                new.insert(made.collect::<Result<_, _>>()?)
            }
        };
        let compared = comparators.iter().map(|compare| compare(row, other.row as usize));
        Ok(compared
            .into_iter()
            .find(|o| *o != Ordering::Equal)
            .unwrap_or(Ordering::Equal))
    }
}

impl FirstRows {
    /// Whether the first rows are all that a node over an append-only input needs.
    pub(super) fn is_enough(node: &plan::TopN, input: &SchemaRef) -> bool {
        let is_first = node.rank == RankKind::RowNumber && node.offset == 0 && node.limit == Some(1);
        let order = node.order.iter().map(|key| input.field(key.column).data_type().clone());
        let is_comparable = |data_type: &DataType| {
            let empty = new_empty_array(data_type);
            make_comparator(empty.as_ref(), empty.as_ref(), SortOptions::default()).is_ok()
        };
        is_first
            && KeyCodec::is_fixed(&order.collect::<Vec<_>>())
            && input.fields().iter().all(|f| is_comparable(f.data_type()))
    }

    /// Without rows.
    ///
    /// # Errors
    /// When a column cannot be ordered.
    pub(super) fn try_new(node: &plan::TopN, input: &SchemaRef, output: &SchemaRef) -> Result<FirstRows, ExecError> {
        let fields = node.order.iter().map(|key| {
            let options = SortOptions {
                descending: key.descending,
                nulls_first: key.nulls_first,
            };
            SortField::new_with_options(input.field(key.column).data_type().clone(), options)
        });
        let order = RowConverter::new(fields.collect())?;
        let order_columns: Vec<usize> = node.order.iter().map(|key| key.column).collect();
        let nulls = order_columns
            .iter()
            .map(|c| new_null_array(input.field(*c).data_type(), 1));
        let order_width = match order_columns.is_empty() {
            true => 0,
            false => order.convert_columns(&nulls.collect::<Vec<_>>())?.row(0).data().len(),
        };
        Ok(FirstRows {
            order,
            order_columns,
            order_width,
            output: Arc::clone(output),
            emit_rank: node.emit_rank,
            store: BatchStore::new(Arc::clone(input)),
            first: Vec::new(),
            orders: Vec::new(),
            before: Vec::new(),
            is_touched: Vec::new(),
            touched: Vec::new(),
            unsaved: None,
            gone: Vec::new(),
        })
    }

    /// Makes room for partitions below `bound`.
    pub(super) fn grow(&mut self, bound: usize) {
        if bound > self.first.len() {
            assert!(bound < BEFORE as usize, "a top-N holds at most 2^31 - 1 partitions");
            self.first.resize(bound, Place::NOWHERE);
            self.orders.resize(bound * self.order_width, 0);
            self.before.resize(bound, Place::NOWHERE);
            self.is_touched.resize(bound, false);
        }
    }

    /// Takes in rows of these partitions.
    pub(super) fn update(&mut self, delta: &Delta, partitions: impl Iterator<Item = u32>) -> Result<(), ExecError> {
        debug_assert!(delta.is_append_only(), "the planner promised that nothing is retracted");
        self.take_in(delta.batch(), partitions, true)
    }

    /// Ships what has changed of what is shown.
    pub(super) fn close(&mut self, out: &mut Output) -> Result<Step, ExecError> {
        let mut budget = YIELD_PARTITIONS;
        while !self.touched.is_empty() {
            if budget == 0 {
                return Ok(Step::Yield);
            }
            let length = self.touched.len().min(Output::BATCH_ROWS / 2).min(budget);
            budget -= length;
            let partitions = self.touched.split_off(self.touched.len() - length);
            self.emit(&partitions, out)?;
        }
        Ok(Step::Done)
    }

    /// Forgets a partition. None is touched.
    pub(super) fn forget(&mut self, partition: u32) -> Result<(), ExecError> {
        let place = std::mem::replace(&mut self.first[partition as usize], Place::NOWHERE);
        if let Some(unsaved) = &mut self.unsaved {
            match unsaved.remove(&partition) {
                Some(saved) => self.gone.extend(saved),
                None => self.gone.push(self.store.gather(std::iter::once(place))?),
            }
        }
        self.let_go(&[place])
    }

    /// Rows whose weight has changed since the last save, and by how much.
    pub(super) fn changes(&mut self, keys: &KeyTable) -> Result<(Vec<ArrayRef>, Vec<i64>), ExecError> {
        let mut taken_back = std::mem::take(&mut self.gone);
        let partitions = match self.unsaved.replace(HashMap::new()) {
            None => keys.ids(),
            Some(unsaved) => {
                let mut unsaved: Vec<(u32, Option<RecordBatch>)> = unsaved.into_iter().collect();
                unsaved.sort_unstable_by_key(|(partition, _)| *partition);
                let partitions = unsaved.iter().map(|(partition, _)| *partition).collect();
                taken_back.extend(unsaved.into_iter().filter_map(|(_, saved)| saved));
                partitions
            }
        };
        let now = self.store.gather(partitions.iter().map(|p| self.first[*p as usize]))?;
        let before = concat_batches(self.store.schema(), &taken_back)?;
        let rows = concat_batches(self.store.schema(), [&before, &now])?;
        let weights = std::iter::repeat_n(-1, before.num_rows()).chain(std::iter::repeat_n(1, now.num_rows()));
        Ok((rows.columns().to_vec(), weights.collect()))
    }

    /// Takes in what was saved.
    pub(super) fn load(&mut self, sum: &Delta, partitions: impl Iterator<Item = u32>) -> Result<(), ExecError> {
        self.take_in(sum.batch(), partitions, false)?;
        self.unsaved = Some(HashMap::new());
        Ok(())
    }

    /// Puts rows that come before their partition's first one in its place.
    fn take_in(
        &mut self,
        batch: &RecordBatch,
        partitions: impl Iterator<Item = u32>,
        are_shown: bool,
    ) -> Result<(), ExecError> {
        let columns: Vec<ArrayRef> = batch.columns().iter().map(canonical_nans).collect();
        let orders = match self.order_width {
            0 => None,
            _ => {
                let columns = self.order_columns.iter().map(|c| canonical_floats(batch.column(*c)));
                let columns: Vec<ArrayRef> = columns.collect();
                Some(self.order.convert_columns(&columns)?)
            }
        };
        // Of this batch: the partition that each row is first in.
        let mut owners = vec![ABSENT; batch.num_rows()];
        let mut let_go = Vec::new();
        let mut ties = Ties::new(&columns);
        let width = self.order_width;
        for (row, partition) in partitions.enumerate() {
            let at = partition as usize;
            let new = orders.as_ref().map_or(&[][..], |orders| orders.row(row).data());
            let known = &mut self.orders[at * width..(at + 1) * width];
            let old = self.first[at];
            if old != Place::NOWHERE {
                let order = match new.cmp(known) {
                    Ordering::Equal => ties.compare(row, old, &self.store)?,
                    different => different,
                };
                if order != Ordering::Less {
                    continue;
                }
            }
            known.copy_from_slice(new);
            owners[row] = partition;
            self.first[at] = Place {
                batch: HERE,
                row: row as u32,
            };
            if old.batch == HERE {
                owners[old.row as usize] = ABSENT;
            } else if are_shown && !self.is_touched[at] {
                self.is_touched[at] = true;
                self.touched.push(partition);
                self.before[at] = old;
                if old != Place::NOWHERE {
                    self.store.set_owner(old, partition | BEFORE);
                }
            } else if old != Place::NOWHERE {
                let_go.push(old);
            }
        }
        let batch = RecordBatch::try_new(Arc::clone(self.store.schema()), columns)?;
        let id = self.store.add_owned(&batch, owners)?;
        if id != ABSENT {
            for (row, partition) in self.store.owners(id).iter().enumerate().filter(|(_, p)| **p != ABSENT) {
                self.first[*partition as usize] = Place {
                    batch: id,
                    row: row as u32,
                };
            }
        }
        self.let_go(&let_go)?;
        let moved = self.store.settle(id)?;
        self.note_moved(&moved);
        Ok(())
    }

    /// Ships the changes of partitions, which are touched no more.
    fn emit(&mut self, partitions: &[u32], out: &mut Output) -> Result<(), ExecError> {
        let changed: Vec<u32> = partitions
            .iter()
            .copied()
            .filter(|p| self.before[*p as usize] != Place::NOWHERE)
            .collect();
        let before = self.store.gather(changed.iter().map(|p| self.before[*p as usize]))?;
        let now = self.store.gather(partitions.iter().map(|p| self.first[*p as usize]))?;
        if let Some(unsaved) = &mut self.unsaved {
            for (row, partition) in changed.iter().enumerate() {
                unsaved.entry(*partition).or_insert_with(|| Some(before.slice(row, 1)));
            }
            for partition in partitions {
                unsaved.entry(*partition).or_insert(None);
            }
        }
        self.ship(before, -1, out)?;
        self.ship(now, 1, out)?;
        let mut let_go = Vec::with_capacity(changed.len());
        for partition in partitions {
            self.is_touched[*partition as usize] = false;
            let old = std::mem::replace(&mut self.before[*partition as usize], Place::NOWHERE);
            if old != Place::NOWHERE {
                let_go.push(old);
            }
        }
        self.let_go(&let_go)
    }

    fn let_go(&mut self, places: &[Place]) -> Result<(), ExecError> {
        let moved = self.store.forget(places)?;
        self.note_moved(&moved);
        Ok(())
    }

    fn note_moved(&mut self, moved: &[Moved]) {
        for Moved { owner, place } in moved {
            match owner & BEFORE {
                0 => self.first[*owner as usize] = *place,
                _ => self.before[(owner & !BEFORE) as usize] = *place,
            }
        }
    }

    fn ship(&self, rows: RecordBatch, weight: i64, out: &mut Output) -> Result<(), ExecError> {
        let row_count = rows.num_rows();
        let mut columns = rows.columns().to_vec();
        if self.emit_rank {
            columns.push(Arc::new(Int64Array::from_value(1, row_count)));
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.output), columns)?;
        let weights = (weight != 1).then(|| Int64Array::from_value(weight, row_count));
        out.ship(Delta::try_new(batch, weights)?);
        Ok(())
    }
}
