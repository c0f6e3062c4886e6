//! [`Trees`]: per partition a tree of its rows, keyed by bytes that compare as the order does: the order's columns and
//! then the whole row in Arrow's row format, from which the row is read back ([`RowKey`]). Over an
//! append-only input rows that are too far back to be shown ever again are dropped at once.
//!
//! Cost: a tree insertion a changed row; at an epoch's end each touched partition is walked up to its limit, and only
//! the differences to what it had shown go out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use highwater_planner::stream::plan;
use highwater_planner::stream::plan::RankKind;
use highwater_types::Delta;

use crate::ExecError;
use crate::op::keys::KeyTable;
use crate::op::row_keys::{RowKey, RowKeyCodec};
use crate::op::{Output, Step};

/// After how many shown rows a closing epoch hands the worker back.
const YIELD_ROWS: usize = 16 * Output::BATCH_ROWS;

/// With fewer rows a partition is not searched for needless ones before the epoch ends.
const PRUNE_ROWS_MIN: usize = 64;

/// Rows of all partitions, in order.
#[derive(Debug)]
pub(super) struct Trees {
    pub(super) node: plan::TopN,
    append_only_input: bool,
    output: SchemaRef,
    pub(super) codec: RowKeyCodec,
    /// By number of the partition's key.
    pub(super) partitions: Vec<Partition>,
    touched: Vec<u32>,
    /// Weights at the last save of rows that have changed since; `None` as long as nothing was ever saved.
    pub(super) saved: Option<HashMap<RowKey, i64>>,
}

/// One partition.
#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) rows: BTreeMap<RowKey, i64>,
    /// How many of them have a negative weight, as they may within an epoch.
    negative_count: usize,
    is_touched: bool,
    /// What was shown before the open epoch.
    shown: Vec<Shown>,
    /// Over an append-only input: how many rows it may have before needless ones are dropped.
    row_count_max: usize,
}

/// A row that is shown, its number, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    key: RowKey,
    rank: i64,
    weight: i64,
}

impl Trees {
    /// Without rows.
    ///
    /// # Errors
    /// When a column cannot be ordered.
    pub(super) fn try_new(
        node: &plan::TopN,
        input: &SchemaRef,
        output: &SchemaRef,
        append_only_input: bool,
    ) -> Result<Trees, ExecError> {
        Ok(Trees {
            codec: RowKeyCodec::try_new(&node.order, input)?,
            partitions: Vec::new(),
            touched: Vec::new(),
            saved: None,
            append_only_input,
            output: Arc::clone(output),
            node: node.clone(),
        })
    }

    /// Makes room for partitions below `bound`.
    pub(super) fn grow(&mut self, bound: usize) {
        if self.partitions.len() < bound {
            self.partitions.resize_with(bound, Partition::default);
        }
    }

    /// Applies changes to these partitions.
    pub(super) fn update(&mut self, delta: &Delta, partitions: impl Iterator<Item = u32>) -> Result<(), ExecError> {
        let keys = self.codec.encode(delta.batch())?;
        for (row, (key, partition)) in keys.into_iter().zip(partitions).enumerate() {
            self.touch(partition);
            self.change(partition, key, delta.weight(row));
            let Partition {
                rows, row_count_max, ..
            } = &self.partitions[partition as usize];
            if self.append_only_input && rows.len() > (*row_count_max).max(PRUNE_ROWS_MIN) {
                self.prune(partition);
            }
        }
        Ok(())
    }

    /// Ships what has changed of what is shown. Partitions without rows leave `keys`.
    pub(super) fn close(&mut self, keys: &mut KeyTable, out: &mut Output) -> Result<Step, ExecError> {
        let mut pending = Pending::default();
        let mut looked_at = 0;
        while let Some(partition) = self.touched.pop() {
            looked_at += self.emit(partition, &mut pending)?;
            if self.partitions[partition as usize].rows.is_empty() {
                keys.remove(partition);
            }
            if pending.keys.len() >= Output::BATCH_ROWS {
                self.ship(&mut pending, out)?;
            }
            if looked_at >= YIELD_ROWS && !self.touched.is_empty() {
                self.ship(&mut pending, out)?;
                return Ok(Step::Yield);
            }
        }
        self.ship(&mut pending, out)?;
        Ok(Step::Done)
    }

    /// Forgets a partition's rows.
    pub(super) fn forget(&mut self, partition: u32) {
        let partition = &mut self.partitions[partition as usize];
        partition.negative_count = 0;
        let rows = std::mem::take(&mut partition.rows);
        if let Some(saved) = &mut self.saved {
            rows.iter().for_each(|(key, weight)| note_saved(saved, key, *weight, 0));
        }
    }

    /// Puts a change into its partition.
    pub(super) fn change(&mut self, partition: u32, key: RowKey, weight: i64) {
        let Partition {
            rows, negative_count, ..
        } = &mut self.partitions[partition as usize];
        let before = rows.get(&key).copied().unwrap_or(0);
        let now = before + weight;
        *negative_count = *negative_count + usize::from(now < 0) - usize::from(before < 0);
        if let Some(saved) = &mut self.saved {
            note_saved(saved, &key, before, now);
        }
        if now == 0 {
            rows.remove(&key);
        } else {
            rows.insert(key, now);
        }
    }

    /// Lists a partition that changes, with what it has shown.
    fn touch(&mut self, partition: u32) {
        let at = partition as usize;
        if self.partitions[at].is_touched {
            return;
        }
        let shown = self.shown(&self.partitions[at].rows);
        self.partitions[at].shown = shown;
        self.partitions[at].is_touched = true;
        self.touched.push(partition);
    }

    /// What is to be shown of a partition, in order.
    fn shown(&self, rows: &BTreeMap<RowKey, i64>) -> Vec<Shown> {
        let mut shown = Vec::new();
        let mut numbering = Numbering::new(&self.node);
        for (key, weight) in rows {
            if *weight > 0 && !numbering.number(key, *weight, &mut shown) {
                break;
            }
        }
        shown
    }

    /// Over an append-only input: drops rows that others will always stand before.
    fn prune(&mut self, partition: u32) {
        let Partition {
            rows, row_count_max, ..
        } = &mut self.partitions[partition as usize];
        let mut numbering = Numbering::new(&self.node);
        let mut discarded = Vec::new();
        let Some(first) = rows
            .iter()
            .find(|(key, weight)| !numbering.number(key, **weight, &mut discarded))
        else {
            *row_count_max = PRUNE_ROWS_MIN.max(2 * rows.len());
            return;
        };
        let needless = first.0.clone();
        let dropped = rows.split_off(&needless);
        *row_count_max = PRUNE_ROWS_MIN.max(2 * rows.len());
        if let Some(saved) = &mut self.saved {
            for (key, weight) in dropped {
                note_saved(saved, &key, weight, 0);
            }
        }
    }

    /// Ships the differences of a partition; answers how many rows were looked at.
    fn emit(&mut self, partition: u32, pending: &mut Pending) -> Result<usize, ExecError> {
        let at = partition as usize;
        let Partition {
            rows, negative_count, ..
        } = &self.partitions[at];
        if *negative_count > 0
            && let Some((key, _)) = rows.iter().find(|(_, weight)| **weight < 0)
        {
            return Err(ExecError::MissingRow {
                operator: "TopN",
                row: self.codec.to_text(key)?,
            });
        }
        let new = self.shown(&self.partitions[at].rows);
        let old = std::mem::take(&mut self.partitions[at].shown);
        self.partitions[at].is_touched = false;
        let looked_at = old.len() + new.len();
        pending.add_differences(old, new);
        if self.append_only_input {
            self.prune(partition);
        }
        Ok(looked_at)
    }

    fn ship(&self, pending: &mut Pending, out: &mut Output) -> Result<(), ExecError> {
        let Pending { keys, ranks, weights } = std::mem::take(pending);
        let mut columns = self.codec.decode(&keys)?;
        if self.node.emit_rank {
            columns.push(Arc::new(Int64Array::from(ranks)) as ArrayRef);
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.output), columns)?;
        let weights = weights
            .iter()
            .any(|w| *w != 1)
            .then(|| Int64Array::from(weights.clone()));
        out.ship(Delta::try_new(batch, weights)?);
        Ok(())
    }
}

/// Gives rows of a partition their numbers, in order.
struct Numbering<'a> {
    node: &'a plan::TopN,
    /// Rows before this one.
    row_count: i64,
    /// Distinct orders up to this row.
    distinct_count: i64,
    rank: i64,
    last: Option<RowKey>,
}

impl<'a> Numbering<'a> {
    fn new(node: &'a plan::TopN) -> Numbering<'a> {
        Numbering {
            node,
            row_count: 0,
            distinct_count: 0,
            rank: 0,
            last: None,
        }
    }

    /// Numbers the next row and adds it if it is shown; false when no row from here on is.
    fn number(&mut self, key: &RowKey, weight: i64, shown: &mut Vec<Shown>) -> bool {
        if !self.last.as_ref().is_some_and(|last| last.has_order_of(key)) {
            self.distinct_count += 1;
            self.rank = self.row_count + 1;
            self.last = Some(key.clone());
        }
        let offset = i64::try_from(self.node.offset).unwrap_or(i64::MAX);
        let end = match self.node.limit {
            None => i64::MAX,
            Some(limit) => offset.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX)),
        };
        let before = self.row_count;
        self.row_count += weight;
        let rank = match self.node.rank {
            RankKind::Rank => self.rank,
            RankKind::DenseRank => self.distinct_count,
            RankKind::RowNumber => {
                // Its copies have the numbers from `before + 1` on.
                let (first, last) = (before.max(offset), self.row_count.min(end));
                if self.node.emit_rank {
                    shown.extend((first..last).map(|number| Shown::new(key, number + 1, 1)));
                } else if first < last {
                    shown.push(Shown::new(key, 0, last - first));
                }
                return before < end;
            }
        };
        if rank > offset && rank <= end {
            let number = if self.node.emit_rank { rank } else { 0 };
            shown.push(Shown::new(key, number, weight));
        }
        rank <= end
    }
}

impl Shown {
    fn new(key: &RowKey, rank: i64, weight: i64) -> Shown {
        Shown {
            key: key.clone(),
            rank,
            weight,
        }
    }
}

/// Differences on their way out.
#[derive(Debug, Default)]
struct Pending {
    keys: Vec<RowKey>,
    ranks: Vec<i64>,
    weights: Vec<i64>,
}

impl Pending {
    /// Both are in order.
    fn add_differences(&mut self, old: Vec<Shown>, new: Vec<Shown>) {
        let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(old), Some(new)) => (&old.key, old.rank).cmp(&(&new.key, new.rank)),
            };
            match order {
                std::cmp::Ordering::Less => old.next().into_iter().for_each(|s| self.add(s.key, s.rank, -s.weight)),
                std::cmp::Ordering::Greater => new.next().into_iter().for_each(|s| self.add(s.key, s.rank, s.weight)),
                std::cmp::Ordering::Equal => {
                    if let (Some(old), Some(new)) = (old.next(), new.next())
                        && old.weight != new.weight
                    {
                        self.add(new.key, new.rank, new.weight - old.weight);
                    }
                }
            }
        }
    }

    fn add(&mut self, key: RowKey, rank: i64, weight: i64) {
        self.keys.push(key);
        self.ranks.push(rank);
        self.weights.push(weight);
    }
}

/// Remembers the saved weight of a row that changes from `before` to `now`, as long as they differ.
fn note_saved(saved: &mut HashMap<RowKey, i64>, key: &RowKey, before: i64, now: i64) {
    let weight = *saved.entry(key.clone()).or_insert(before);
    if weight == now {
        saved.remove(key);
    }
}
