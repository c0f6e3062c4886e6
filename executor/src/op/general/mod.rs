//! [`GeneralOp`]: right for whatever a batch plan can compute partition by partition. It keeps its input rows, and the
//! output rows it has shipped, by partition; at the end of an epoch it runs the plan once over all rows of the touched
//! partitions and ships the difference.
//!
//! # Cost and bound
//! An epoch costs the rows of the partitions it touches, however little has changed in them, and about a tenth of a
//! millisecond for the plan itself. State is the input and the output, less what watermarks release: whole partitions,
//! where the released column is one of the partition's.
//!
//! # Order
//! The plan sees a partition's rows sorted by all their columns. Where the query leaves an order open (peers of a
//! window, an array_agg without ORDER BY), the answer so depends on the rows alone.
//!
//! # Faults
//! When the plan fails, it is run partition by partition: one on which it fails has a fault instead of its rows, until
//! it changes and the plan succeeds.

mod plan;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchemaRef;
use highwater_planner::stream::plan as stream_plan;
use highwater_planner::stream::plan::Release;
use highwater_types::{Delta, Fault, RowKeys, Tick};

use self::plan::PartitionPlan;
use super::expression::{nullable, to_fault};
use super::keys::{ABSENT, KeyCodec, KeyTable, Keys};
use super::rows::RowStore;
use super::{Distribution, InputIndex, OpContext, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// The name of the part with the partitions that have a fault.
const FAULTS: &str = "faults";

/// A batch plan over the partitions that change.
#[derive(Debug)]
pub struct GeneralOp {
    partition: Vec<usize>,
    codec: KeyCodec,
    plan: PartitionPlan,
    inputs: Vec<Input>,
    shipped: RowStore,
    touched: KeyTable,
    faults: Faults,
    /// Whether the one partition of a plan without keys is still to be run for the first time.
    owes_first_answer: bool,
}

/// The rows of an input.
#[derive(Debug)]
struct Input {
    rows: RowStore,
    /// Orders them by all their columns.
    order: RowKeys,
    /// The name of the state's part.
    part: String,
}

/// Partitions on which the plan has failed.
#[derive(Debug)]
struct Faults {
    keys: KeyTable,
    /// By number of the key.
    faults: Vec<Option<Fault>>,
    /// Those that were there at the last save.
    saved: KeyTable,
}

impl GeneralOp {
    /// For this node over its inputs.
    ///
    /// # Errors
    /// When the plan is not one over its inputs.
    pub fn try_new(
        node: &stream_plan::General,
        inputs: &[DFSchemaRef],
        output: &DFSchemaRef,
        release: &[Release],
        context: &OpContext,
    ) -> Result<GeneralOp, ExecError> {
        let schemas: Vec<SchemaRef> = inputs.iter().map(|input| nullable(input.as_arrow())).collect();
        let output = nullable(output.as_arrow());
        let types = |schema: &SchemaRef, columns: &[usize]| -> Vec<DataType> {
            columns.iter().map(|c| schema.field(*c).data_type().clone()).collect()
        };
        let (inside, outside) = (
            types(&schemas[0], &node.partition),
            types(&output, &node.output_partition),
        );
        if inside != outside {
            return Err(ExecError::Unsupported {
                operator: "General",
                construct: format!("a partition by {inside:?} that is {outside:?} in the output"),
            });
        }
        let codec = KeyCodec::try_new(inside)?;
        // Only whole partitions may go: of others, rows that stay depend on rows that went.
        let by_partition: Vec<(usize, &Release)> = release
            .iter()
            .filter_map(|r| Some((node.partition.iter().position(|c| *c == r.column)?, r)))
            .collect();
        let of_input: Vec<Release> = by_partition.iter().map(|(_, r)| (*r).clone()).collect();
        let of_output = by_partition.iter().map(|(at, r)| Release {
            column: node.output_partition[*at],
            ..(*r).clone()
        });
        let shipped_keys = node.output_partition.clone();
        let mut inputs = Vec::with_capacity(schemas.len());
        for (at, schema) in schemas.iter().enumerate() {
            let (schema, partition) = (Arc::clone(schema), node.partition.clone());
            inputs.push(Input {
                order: RowKeys::try_new(&schema)?,
                rows: RowStore::try_new(schema, partition, &codec, of_input.clone(), false)?,
                part: format!("input{at}"),
            });
        }
        Ok(GeneralOp {
            partition: node.partition.clone(),
            plan: PartitionPlan::try_new(&node.plan, &schemas, Arc::clone(&output), context)?,
            inputs,
            shipped: RowStore::try_new(output, shipped_keys, &codec, of_output.collect(), false)?,
            touched: codec.table(),
            faults: Faults {
                keys: codec.table(),
                faults: Vec::new(),
                saved: codec.table(),
            },
            owes_first_answer: node.partition.is_empty() && context.owns_global,
            codec,
        })
    }

    /// The plan's answer over some partitions; those on which it fails get their fault.
    fn answer(
        &self,
        keys: &Keys,
        partitions: &[usize],
        faults: &mut Vec<(usize, Fault)>,
    ) -> Result<Vec<RecordBatch>, ExecError> {
        let rows = self.inputs.iter().map(|input| input.rows_of(keys, partitions));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let error = match self.plan.run(&rows) {
            Ok(batches) => return Ok(batches),
            Err(error) => error,
        };
        if let [partition] = partitions {
            faults.push((*partition, to_fault(error)));
            return Ok(Vec::new());
        }
        let (low, high) = partitions.split_at(partitions.len() / 2);
        let mut batches = self.answer(keys, low, faults)?;
        batches.extend(self.answer(keys, high, faults)?);
        Ok(batches)
    }

    /// Runs the plan over the touched partitions and ships what is different.
    fn revise(&mut self, keys: &Keys, partition_count: usize, out: &mut Output) -> Result<(), ExecError> {
        let all: Vec<usize> = (0..partition_count).collect();
        let mut faults = Vec::new();
        let new = self.answer(keys, &all, &mut faults)?;
        self.faults.replace(keys, partition_count, faults, out);
        let entries: Vec<u32> = all.iter().flat_map(|p| self.shipped.entries_of(keys, *p)).collect();
        let weights = entries.iter().map(|e| -self.shipped.weight(*e));
        let old = Delta::try_new(
            self.shipped.gather(&entries)?,
            Some(Int64Array::from_iter_values(weights)),
        )?;
        let mut deltas: Vec<Delta> = new.into_iter().map(Delta::insert).collect();
        deltas.push(old);
        let difference = Delta::concat(self.shipped.schema(), &deltas)?.consolidate()?;
        if difference.is_empty() {
            return Ok(());
        }
        let columns = self.shipped.key_columns_of(difference.batch());
        let shipped_keys = self.codec.encode(&columns, difference.num_rows())?;
        self.shipped.apply(&difference, &shipped_keys, None)?;
        for start in (0..difference.num_rows()).step_by(Output::BATCH_ROWS) {
            let length = Output::BATCH_ROWS.min(difference.num_rows() - start);
            out.ship(difference.slice(start, length));
        }
        Ok(())
    }
}

impl Input {
    /// The rows of some partitions, each as often as it is there, in the order of their columns.
    fn rows_of(&self, keys: &Keys, partitions: &[usize]) -> Result<RecordBatch, ExecError> {
        let entries: Vec<u32> = partitions.iter().flat_map(|p| self.rows.entries_of(keys, *p)).collect();
        let rows = self.rows.gather(&entries)?;
        let encoded = self.order.encode(rows.columns())?;
        let mut order: Vec<u32> = (0..entries.len() as u32).collect();
        order.sort_by(|a, b| encoded.row(*a as usize).cmp(&encoded.row(*b as usize)));
        let mut repeated = Vec::with_capacity(order.len());
        for at in order {
            let weight = self.rows.weight(entries[at as usize]);
            if weight < 0 {
                return Err(ExecError::MissingRow {
                    operator: "General",
                    row: highwater_types::script::format_delta(&Delta::insert(rows.slice(at as usize, 1))),
                });
            }
            repeated.extend(std::iter::repeat_n(at, weight as usize));
        }
        Ok(take_record_batch(&rows, &UInt32Array::from(repeated))?)
    }
}

impl Operator for GeneralOp {
    fn distribution(&self, _input: InputIndex) -> Distribution {
        match self.partition.is_empty() {
            true => Distribution::Single,
            false => Distribution::Keys(self.partition.clone()),
        }
    }

    fn update(&mut self, tick: &Tick, input: InputIndex, delta: &Delta, _out: &mut Output) -> Result<(), ExecError> {
        let rows = &mut self.inputs[input].rows;
        let delta = match rows.needs_consolidated(delta) {
            true => delta.consolidate()?,
            false => delta.clone(),
        };
        let delta = match rows.released_before(tick, delta.batch()) {
            Some(released) if released.contains(&true) => {
                delta.filter(&released.iter().map(|r| Some(!r)).collect::<BooleanArray>())?
            }
            _ => delta,
        };
        let columns = rows.key_columns_of(delta.batch());
        let keys = self.codec.encode(&columns, delta.num_rows())?;
        for row in 0..delta.num_rows() {
            self.touched.intern(&keys, row);
        }
        rows.apply(&delta, &keys, None)?;
        Ok(())
    }

    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError> {
        if std::mem::take(&mut self.owes_first_answer) {
            self.touched.intern(&self.codec.encode(&[], 1)?, 0);
        }
        let ids = self.touched.ids();
        if !ids.is_empty() {
            let columns = self.codec.decode(&self.touched, &ids)?;
            let keys = self.codec.encode(&columns, ids.len())?;
            self.touched = self.codec.table();
            self.revise(&keys, ids.len(), out)?;
        }
        for input in &mut self.inputs {
            input.rows.release(tick)?;
        }
        self.shipped.release(tick)?;
        Ok(Step::Done)
    }

    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        for input in &mut self.inputs {
            input.rows.save(&input.part, state)?;
        }
        self.shipped.save("shipped", state)?;
        self.faults.save(&self.codec, state)
    }

    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        for input in &mut self.inputs {
            input.rows.load(&input.part, &self.codec, state)?;
        }
        self.shipped.load("shipped", &self.codec, state)?;
        let (keys, count) = self.faults.load(&self.codec, state)?;
        // Their faults are found as they were the first time.
        let all: Vec<usize> = (0..count).collect();
        let mut faults = Vec::new();
        for partition in all {
            self.answer(&keys, &[partition], &mut faults)?;
        }
        self.faults.replace(&keys, count, faults, &mut Output::default());
        Ok(())
    }
}

impl Faults {
    /// Sets the faults of some partitions, and ships the differences.
    fn replace(&mut self, keys: &Keys, partition_count: usize, new: Vec<(usize, Fault)>, out: &mut Output) {
        if new.is_empty() && self.keys.len() == 0 {
            return;
        }
        let mut by_partition: Vec<Option<Fault>> = vec![None; partition_count];
        for (partition, fault) in new {
            by_partition[partition] = Some(fault);
        }
        for (partition, fault) in by_partition.into_iter().enumerate() {
            let id = self.keys.find(keys, partition);
            let old = match id {
                ABSENT => None,
                id => self.faults[id as usize].take(),
            };
            if old != fault {
                old.into_iter().for_each(|f| out.fault(f, -1));
                fault.iter().for_each(|f| out.fault(f.clone(), 1));
            }
            match (id, fault) {
                (ABSENT, None) => {}
                (id, None) => self.keys.remove(id),
                (_, Some(fault)) => {
                    let (id, _) = self.keys.intern(keys, partition);
                    self.faults.resize(self.keys.id_bound(), None);
                    self.faults[id as usize] = Some(fault);
                }
            }
        }
    }

    /// Writes which partitions have come to have a fault, and which have one no more.
    fn save(&mut self, codec: &KeyCodec, state: &mut StateWriter) -> Result<(), ExecError> {
        let (now, before) = (self.keys.ids(), self.saved.ids());
        if now.is_empty() && before.is_empty() {
            return Ok(());
        }
        let now_columns = codec.decode(&self.keys, &now)?;
        let now_keys = codec.encode(&now_columns, now.len())?;
        let before_columns = codec.decode(&self.saved, &before)?;
        let before_keys = codec.encode(&before_columns, before.len())?;
        let new = (0..now.len()).filter(|row| self.saved.find(&now_keys, *row) == ABSENT);
        let new: Vec<u64> = new.map(|row| row as u64).collect();
        let gone = (0..before.len()).filter(|row| self.keys.find(&before_keys, *row) == ABSENT);
        let gone: Vec<u64> = gone.map(|row| row as u64).collect();
        for (columns, rows, is_there) in [(before_columns, gone, false), (now_columns, new, true)] {
            let mut picked: Vec<ArrayRef> = Vec::new();
            let count = rows.len();
            let rows = UInt64Array::from(rows);
            for column in columns {
                picked.push(arrow::compute::take(&column, &rows, None)?);
            }
            picked.push(Arc::new(BooleanArray::from(vec![is_there; count])));
            let fields: Vec<Field> = picked
                .iter()
                .enumerate()
                .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true))
                .collect();
            state.write(FAULTS, RecordBatch::try_new(Arc::new(Schema::new(fields)), picked)?);
        }
        self.saved = codec.table();
        for row in 0..now.len() {
            self.saved.intern(&now_keys, row);
        }
        Ok(())
    }

    /// The keys of the partitions that had a fault.
    fn load(&mut self, codec: &KeyCodec, state: &mut StateReader) -> Result<(Keys, usize), ExecError> {
        for batch in state.read(FAULTS) {
            let last = batch.num_columns() - 1;
            let keys = codec.encode(&batch.columns()[..last], batch.num_rows())?;
            let is_there = arrow::array::AsArray::as_boolean(batch.column(last).as_ref());
            for row in 0..batch.num_rows() {
                match (self.saved.find(&keys, row), is_there.value(row)) {
                    (ABSENT, true) => {
                        self.saved.intern(&keys, row);
                    }
                    (ABSENT, false) => {}
                    (_, true) => {}
                    (id, false) => self.saved.remove(id),
                }
            }
        }
        let ids = self.saved.ids();
        let columns = codec.decode(&self.saved, &ids)?;
        Ok((codec.encode(&columns, ids.len())?, ids.len()))
    }
}

#[cfg(test)]
mod tests;
