//! [`TopNOp`]: the first rows of each partition in an order, numbered as row_number(), rank() or dense_rank() do; also
//! plain ORDER BY with LIMIT and OFFSET. Ties are broken by the whole row, so that the answer is determined.
//!
//! # State
//! In general a tree of rows a partition ([`trees`]); where only the first row is shown and none is ever retracted, just
//! that row ([`first`]). That is a matter of the plan node: it is the same operator.
//!
//! # Bound
//! State is the input, or the limit per partition if it is append-only, less what watermarks release: whole partitions,
//! where the released column is one of the partition's.
//!
//! # Saves
//! Part `rows`: the partition's columns, the other columns, and by how much the weight of that row has changed.

mod first;
mod state;
mod trees;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchemaRef;
use highwater_planner::stream::plan;
use highwater_planner::stream::plan::Release;
use highwater_types::{Delta, RelationId, Tick, Watermark};

use self::first::FirstRows;
use self::trees::Trees;
use super::due::Due;
use super::expression::nullable;
use super::keys::{KeyCodec, KeyTable, Keys, Numbers, to_integers};
use super::{Distribution, InputIndex, OpContext, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// The first rows of each partition.
#[derive(Debug)]
pub struct TopNOp {
    node: plan::TopN,
    input: SchemaRef,
    partition_codec: KeyCodec,
    keys: KeyTable,
    /// By number of the partition's key.
    kept: Kept,
    releases: Vec<PartitionRelease>,
}

/// What is kept of the partitions.
#[derive(Debug)]
enum Kept {
    Trees(Trees),
    First(FirstRows),
}

/// When whole partitions are released.
#[derive(Debug)]
struct PartitionRelease {
    release: Release,
    /// Numbers of partitions, by the column's value.
    by_time: Due,
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
        let output = nullable(output.as_arrow());
        let types = node
            .partition
            .iter()
            .map(|c| input.field(*c).data_type().clone())
            .collect();
        let partition_codec = KeyCodec::try_new(types)?;
        let by_partition = release.iter().filter(|r| node.partition.contains(&r.column));
        let kept = match append_only_input && FirstRows::is_enough(node, &input) {
            true => Kept::First(FirstRows::try_new(node, &input, &output)?),
            false => Kept::Trees(Trees::try_new(node, &input, &output, append_only_input)?),
        };
        Ok(TopNOp {
            keys: partition_codec.table(),
            partition_codec,
            kept,
            releases: by_partition
                .map(|release| PartitionRelease {
                    release: release.clone(),
                    by_time: Due::default(),
                })
                .collect(),
            input,
            node: node.clone(),
        })
    }

    /// The partition of each row of a batch, made where need be.
    fn partitions_of(&mut self, batch: &RecordBatch) -> Result<Numbers, ExecError> {
        let columns: Vec<ArrayRef> = self
            .node
            .partition
            .iter()
            .map(|c| Arc::clone(batch.column(*c)))
            .collect();
        let keys = self.partition_codec.encode(&columns, batch.num_rows())?;
        let partitions = match self.releases.is_empty() {
            true => self.keys.intern_rows(&keys, None),
            false => Numbers::Each(
                (0..batch.num_rows())
                    .map(|row| self.intern(&keys, batch, row))
                    .collect(),
            ),
        };
        match &mut self.kept {
            Kept::Trees(trees) => trees.grow(self.keys.id_bound()),
            Kept::First(first) => first.grow(self.keys.id_bound()),
        }
        Ok(partitions)
    }

    /// The partition of one row; a new one is listed to be released.
    fn intern(&mut self, keys: &Keys, batch: &RecordBatch, row: usize) -> u32 {
        let (partition, is_new) = self.keys.intern(keys, row);
        if is_new {
            for rule in &mut self.releases {
                let times = to_integers(batch.column(rule.release.column));
                if times.is_valid(row) {
                    rule.by_time.add(times.value(row), partition);
                }
            }
        }
        partition
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
            let passed = rule.by_time.take_before(last.checked_add(1));
            let place = self.node.partition.iter().position(|c| *c == rule.release.column);
            released.extend(passed.map(|p| (p, place.unwrap_or(0), last)));
        }
        released.retain(|(partition, _, _)| self.keys.is_live(*partition));
        for (partition, place, last) in released {
            if !self.keys.is_live(partition) {
                continue;
            }
            // The number may have been given to another partition meanwhile.
            let key = self.partition_codec.decode(&self.keys, &[partition])?;
            if to_integers(&key[place]).iter().flatten().any(|time| time <= last) {
                match &mut self.kept {
                    Kept::Trees(trees) => trees.forget(partition),
                    Kept::First(first) => first.forget(partition)?,
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
        let partitions = self.partitions_of(delta.batch())?;
        match &mut self.kept {
            Kept::Trees(trees) => trees.update(&delta, partitions.iter()),
            Kept::First(first) => first.update(&delta, partitions.iter()),
        }
    }

    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError> {
        let step = match &mut self.kept {
            Kept::Trees(trees) => trees.close(&mut self.keys, out)?,
            Kept::First(first) => first.close(out)?,
        };
        if step == Step::Done {
            self.release(tick)?;
        }
        Ok(step)
    }

    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        self.write(state)
    }

    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        self.read(state)
    }
}

fn smallest(sources: &[RelationId], of: impl Fn(RelationId) -> Watermark) -> Watermark {
    sources.iter().map(|s| of(*s)).min().unwrap_or(Watermark::NONE)
}

#[cfg(test)]
mod tests;
