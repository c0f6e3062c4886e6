//! [`TopNOp`]: the first rows of each partition in an order, numbered as row_number(), rank() or dense_rank() do; also
//! plain ORDER BY with LIMIT and OFFSET. Ties are broken by the whole row, so that the answer is determined.
//!
//! # State
//! Per partition a tree of its rows, keyed by bytes that compare as the order does: the order's columns and then the
//! whole row in Arrow's row format, from which the row is read back ([`codec`]). Over an append-only input rows that
//! are too far back to be shown ever again are dropped at once.
//!
//! # Cost and bound
//! A tree insertion a changed row; at an epoch's end each touched partition is walked up to its limit, and only the
//! differences to what it had shown go out. State is the input, or the limit per partition if it is append-only, less
//! what watermarks release: whole partitions, where the released column is one of the partition's.
//!
//! # Saves
//! Part `rows`: the partition's columns, the other columns, and by how much the weight of that row has changed.

mod codec;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchemaRef;
use highwater_planner::stream::plan;
use highwater_planner::stream::plan::{RankKind, Release};
use highwater_types::{Delta, RelationId, Tick, Watermark};

use self::codec::{RowKey, TopNCodec};
use super::expression::nullable;
use super::keys::{KeyCodec, KeyTable, to_integers};
use super::{Distribution, InputIndex, OpContext, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// After how many shown rows a closing epoch hands the worker back.
const YIELD_ROWS: usize = 16 * Output::BATCH_ROWS;

/// With fewer rows a partition is not searched for needless ones before the epoch ends.
const PRUNE_ROWS_MIN: usize = 64;

/// The first rows of each partition.
#[derive(Debug)]
pub struct TopNOp {
    node: plan::TopN,
    append_only_input: bool,
    input: SchemaRef,
    output: SchemaRef,
    codec: TopNCodec,
    partition_codec: KeyCodec,
    keys: KeyTable,
    /// By number of the partition's key.
    partitions: Vec<Partition>,
    touched: Vec<u32>,
    /// Weights at the last save of rows that have changed since; `None` as long as nothing was ever saved.
    saved: Option<HashMap<RowKey, i64>>,
    releases: Vec<PartitionRelease>,
}

#[derive(Debug, Default)]
struct Partition {
    rows: BTreeMap<RowKey, i64>,
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

/// When whole partitions are released.
#[derive(Debug)]
struct PartitionRelease {
    release: Release,
    /// Numbers of partitions, by the column's value.
    by_time: BTreeMap<i64, Vec<u32>>,
}

impl TopNOp {
    /// For this node over its input.
    ///
    /// # Errors
    /// When a column cannot be ordered.
    pub fn try_new(
        node: &plan::TopN,
        inputs: &[DFSchemaRef],
        output: &DFSchemaRef,
        release: &[Release],
        append_only_input: bool,
        _context: &OpContext,
    ) -> Result<TopNOp, ExecError> {
        let input = nullable(inputs[0].as_arrow());
        let types = node
            .partition
            .iter()
            .map(|c| input.field(*c).data_type().clone())
            .collect();
        let partition_codec = KeyCodec::try_new(types)?;
        let by_partition = release.iter().filter(|r| node.partition.contains(&r.column));
        Ok(TopNOp {
            codec: TopNCodec::try_new(&node.order, &input)?,
            keys: partition_codec.table(),
            partition_codec,
            partitions: Vec::new(),
            touched: Vec::new(),
            saved: None,
            releases: by_partition
                .map(|release| PartitionRelease {
                    release: release.clone(),
                    by_time: BTreeMap::new(),
                })
                .collect(),
            append_only_input,
            output: nullable(output.as_arrow()),
            input,
            node: node.clone(),
        })
    }

    /// Puts a change into its partition.
    fn change(&mut self, partition: u32, key: RowKey, weight: i64) {
        let rows = &mut self.partitions[partition as usize].rows;
        let before = rows.get(&key).copied().unwrap_or(0);
        let now = before + weight;
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
        if let Some((key, _)) = self.partitions[at].rows.iter().find(|(_, weight)| **weight < 0) {
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
        if self.partitions[at].rows.is_empty() {
            self.keys.remove(partition);
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

    /// The partition of each row of a batch, made where need be.
    fn partitions_of(&mut self, batch: &RecordBatch) -> Result<Vec<u32>, ExecError> {
        let columns: Vec<ArrayRef> = self
            .node
            .partition
            .iter()
            .map(|c| Arc::clone(batch.column(*c)))
            .collect();
        let keys = self.partition_codec.encode(&columns, batch.num_rows())?;
        let mut partitions = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let (partition, is_new) = self.keys.intern(&keys, row);
            if self.partitions.len() <= partition as usize {
                self.partitions.push(Partition::default());
            }
            if is_new {
                for rule in &mut self.releases {
                    let times = to_integers(batch.column(rule.release.column));
                    if arrow::array::Array::is_valid(&times, row) {
                        rule.by_time.entry(times.value(row)).or_default().push(partition);
                    }
                }
            }
            partitions.push(partition);
        }
        Ok(partitions)
    }

    /// Frees the partitions that watermarks have released.
    fn release(&mut self, tick: &Tick) -> Result<(), ExecError> {
        let mut released = Vec::new();
        for rule in &mut self.releases {
            let mark = smallest(&rule.release.sources, |source| tick.after(source));
            if mark == Watermark::NONE {
                continue;
            }
            let last = mark.0.saturating_sub(rule.release.after_us);
            let kept = match last.checked_add(1) {
                Some(next) => rule.by_time.split_off(&next),
                None => BTreeMap::new(),
            };
            let passed = std::mem::replace(&mut rule.by_time, kept);
            let place = self.node.partition.iter().position(|c| *c == rule.release.column);
            released.extend(passed.into_values().flatten().map(|p| (p, place.unwrap_or(0), last)));
        }
        released.retain(|(partition, _, _)| self.keys.is_live(*partition));
        for (partition, place, last) in released {
            if !self.keys.is_live(partition) {
                continue;
            }
            // The number may have been given to another partition meanwhile.
            let key = self.partition_codec.decode(&self.keys, &[partition])?;
            if to_integers(&key[place]).iter().flatten().any(|time| time <= last) {
                let rows = std::mem::take(&mut self.partitions[partition as usize].rows);
                if let Some(saved) = &mut self.saved {
                    rows.iter().for_each(|(key, weight)| note_saved(saved, key, *weight, 0));
                }
                self.keys.remove(partition);
            }
        }
        Ok(())
    }

    /// Which rows are of partitions that were released before the epoch.
    fn is_released(&self, tick: &Tick, batch: &RecordBatch) -> Vec<bool> {
        let mut released = vec![false; batch.num_rows()];
        for rule in &self.releases {
            let mark = smallest(&rule.release.sources, |source| tick.before(source));
            for (time, released) in to_integers(batch.column(rule.release.column)).iter().zip(&mut released) {
                *released |= time.is_some_and(|t| mark.reached(t.saturating_add(rule.release.after_us)));
            }
        }
        released
    }
}

impl Operator for TopNOp {
    fn distribution(&self, _input: InputIndex) -> Distribution {
        match self.node.partition.is_empty() {
            true => Distribution::Single,
            false => Distribution::Keys(self.node.partition.clone()),
        }
    }

    fn update(&mut self, tick: &Tick, _input: InputIndex, delta: &Delta, _out: &mut Output) -> Result<(), ExecError> {
        let released = self.is_released(tick, delta.batch());
        let delta = match released.contains(&true) {
            false => delta.clone(),
            true => delta.filter(&released.iter().map(|r| Some(!r)).collect())?,
        };
        let keys = self.codec.encode(delta.batch())?;
        let partitions = self.partitions_of(delta.batch())?;
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

    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError> {
        let mut pending = Pending::default();
        let mut looked_at = 0;
        while let Some(partition) = self.touched.pop() {
            looked_at += self.emit(partition, &mut pending)?;
            if pending.keys.len() >= Output::BATCH_ROWS {
                self.ship(&mut pending, out)?;
            }
            if looked_at >= YIELD_ROWS && !self.touched.is_empty() {
                self.ship(&mut pending, out)?;
                return Ok(Step::Yield);
            }
        }
        self.ship(&mut pending, out)?;
        self.release(tick)?;
        Ok(Step::Done)
    }

    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        self.write(state)
    }

    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        self.read(state)
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

fn smallest(sources: &[RelationId], of: impl Fn(RelationId) -> Watermark) -> Watermark {
    sources.iter().map(|s| of(*s)).min().unwrap_or(Watermark::NONE)
}

#[cfg(test)]
mod tests;
