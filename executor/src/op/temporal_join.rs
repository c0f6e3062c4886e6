//! [`TemporalJoinOp`]: joins each left row with the right side as it is in the row's own epoch, all changes of that
//! epoch included: so left rows wait until the epoch closes. What was shipped is never revised when the right side
//! changes; a retraction of a left row takes back exactly what was shipped for it.
//!
//! # State
//! The right side's rows by key, in a [`RowStore`]. Where the left side may retract, also each left row with the right
//! rows that it met, under the epoch in which it came. The condition is not stored but evaluated again, so that a
//! fault is taken back as well.
//!
//! # Cost and bound
//! One probe a left row. State is the right side, and the left side with its partners where that may retract. An
//! epoch hands the worker back after [`YIELD_ROWS`] left rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::DFSchemaRef;
use highwater_planner::stream::plan;
use highwater_types::{Delta, Tick};

use super::expression::nullable;
use super::join::pairs::{Pairs, Residual, pad, to_weights};
use super::join::{key_codec, rows_with_null};
use super::keys::KeyCodec;
use super::rows::RowStore;
use super::{Distribution, InputIndex, OpContext, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// After how many left rows the worker is handed back.
const YIELD_ROWS: usize = 4 * Output::BATCH_ROWS;
/// Left rows that are joined together.
const CHUNK_ROWS: usize = Output::BATCH_ROWS / 8;

/// Joins as of arrival.
#[derive(Debug)]
pub struct TemporalJoinOp {
    node: plan::TemporalJoin,
    codec: KeyCodec,
    right: RowStore,
    residual: Option<Residual>,
    output: SchemaRef,
    /// Left rows of the open epoch.
    waiting: Vec<Delta>,
    /// The same, joined into one and cut to pieces, once the epoch closes.
    closing: Option<Vec<Delta>>,
    left_schema: SchemaRef,
    shipped: Option<Shipped>,
}

/// What was shipped for each left row that may be retracted.
#[derive(Debug)]
struct Shipped {
    /// Left columns, right columns, the epoch, and the right row's weight: 0 where there was no partner. A row's own
    /// weight is the left row's.
    rows: RowStore,
    schema: SchemaRef,
    codec: KeyCodec,
}

impl TemporalJoinOp {
    /// For this node over its two inputs.
    ///
    /// # Errors
    /// When the keys' types differ, or the condition does not fit.
    pub fn try_new(
        node: &plan::TemporalJoin,
        inputs: &[DFSchemaRef],
        output: &DFSchemaRef,
        left_append_only: bool,
        context: &OpContext,
    ) -> Result<TemporalJoinOp, ExecError> {
        let codec = key_codec("TemporalJoin", &node.keys, inputs)?;
        let right_schema = nullable(inputs[1].as_arrow());
        let right_keys = node.keys.iter().map(|(_, r)| *r).collect();
        let output = nullable(output.as_arrow());
        let left_schema = nullable(inputs[0].as_arrow());
        let shipped = match left_append_only {
            true => None,
            false => Some(Shipped::try_new(node, &left_schema, &output)?),
        };
        let residual = match &node.filter {
            None => None,
            Some(condition) => Some(Residual::try_new(condition, inputs, context)?),
        };
        let mut right = RowStore::try_new(right_schema, right_keys, &codec, Vec::new(), false)?;
        if shipped.is_some() {
            right = right.keep_distinct()?;
        }
        Ok(TemporalJoinOp {
            right,
            node: node.clone(),
            codec,
            residual,
            output,
            waiting: Vec::new(),
            closing: None,
            left_schema,
            shipped,
        })
    }

    /// Joins new left rows with the right side.
    fn join(&mut self, tick: &Tick, delta: &Delta, out: &mut Output) -> Result<(), ExecError> {
        let columns: Vec<ArrayRef> = self
            .node
            .keys
            .iter()
            .map(|(l, _)| Arc::clone(delta.column(*l)))
            .collect();
        let keys = self.codec.encode(&columns, delta.num_rows())?;
        let unmatchable = rows_with_null(&columns);
        let mut has_partner = vec![false; delta.num_rows()];
        let mut alone = Vec::new();
        let mut pairs = Pairs::new(0);
        for row in 0..delta.num_rows() {
            let weight = delta.weight(row);
            let entries = match &unmatchable {
                Some(unmatchable) if unmatchable[row] => Vec::new(),
                _ => self.right.entries_of(&keys, row),
            };
            if entries.is_empty() {
                alone.push(row as u32);
            }
            for entry in entries {
                pairs.push(row, entry, weight * self.right.weight(entry));
                if pairs.len() == Output::BATCH_ROWS {
                    self.ship_pairs(tick, delta, &mut pairs, &mut has_partner, out)?;
                }
            }
        }
        self.ship_pairs(tick, delta, &mut pairs, &mut has_partner, out)?;
        if let Some(shipped) = &mut self.shipped {
            let alone = delta.take(&UInt32Array::from(alone))?;
            let rows = pad(0, alone.batch(), &self.output)?;
            let weights: Vec<i64> = (0..alone.num_rows()).map(|row| alone.weight(row)).collect();
            shipped.note(tick, rows.columns().to_vec(), vec![0; weights.len()], weights)?;
        }
        if self.node.left_outer {
            let rows = (0..delta.num_rows() as u32).filter(|row| !has_partner[*row as usize]);
            let alone = delta.take(&UInt32Array::from_iter_values(rows))?;
            out.ship(alone.with_batch(pad(0, alone.batch(), &self.output)?)?);
        }
        Ok(())
    }

    fn ship_pairs(
        &mut self,
        tick: &Tick,
        delta: &Delta,
        pairs: &mut Pairs,
        has_partner: &mut [bool],
        out: &mut Output,
    ) -> Result<(), ExecError> {
        let mut pairs = std::mem::replace(pairs, Pairs::new(0));
        if pairs.len() == 0 {
            return Ok(());
        }
        if let Some(shipped) = &mut self.shipped {
            let all = pairs.to_delta(&self.output, delta.batch(), &self.right)?;
            let partners = pairs.entries.iter().map(|e| self.right.weight(*e)).collect();
            let weights = pairs.rows.iter().map(|row| delta.weight(*row as usize)).collect();
            shipped.note(tick, all.batch().columns().to_vec(), partners, weights)?;
        }
        if let Some(residual) = &self.residual {
            pairs.retain(residual, delta.batch(), &self.right, out)?;
        }
        pairs.rows.iter().for_each(|row| has_partner[*row as usize] = true);
        if pairs.len() > 0 {
            out.ship(pairs.to_delta(&self.output, delta.batch(), &self.right)?);
        }
        Ok(())
    }

    /// Takes back what was shipped for retracted left rows.
    fn take_back(&mut self, delta: &Delta, out: &mut Output) -> Result<(), ExecError> {
        let Some(shipped) = &mut self.shipped else {
            return Err(missing_row(delta, 0));
        };
        let taken = shipped.take(delta)?;
        let left_width = delta.batch().num_columns();
        let output_width = self.output.fields().len();
        let rows = RecordBatch::try_new(Arc::clone(&self.output), taken.rows[..output_width].to_vec())?;
        let mut weights: Vec<i64> = taken.weights.iter().zip(&taken.partners).map(|(w, p)| w * p).collect();
        if let Some(residual) = &self.residual {
            let with_partner: Vec<usize> = (0..weights.len()).filter(|at| taken.partners[*at] != 0).collect();
            let picked = UInt32Array::from_iter_values(with_partner.iter().map(|at| *at as u32));
            let batch = arrow::compute::take_record_batch(&rows, &picked)?;
            let candidates: Vec<i64> = with_partner.iter().map(|at| weights[*at]).collect();
            let mask = residual.evaluate_joined(&batch, &candidates, out)?;
            for (at, _) in with_partner
                .iter()
                .zip(mask.iter())
                .filter(|(_, keep)| *keep != Some(true))
            {
                weights[*at] = 0;
            }
        }
        let kept: Vec<u32> = (0..weights.len() as u32)
            .filter(|at| weights[*at as usize] != 0)
            .collect();
        let kept_weights: Vec<i64> = kept.iter().map(|at| weights[*at as usize]).collect();
        let batch = arrow::compute::take_record_batch(&rows, &UInt32Array::from(kept.clone()))?;
        out.ship(Delta::try_new(batch, to_weights(&kept_weights))?);
        if self.node.left_outer {
            // Of each retracted copy, whether any pair was shipped.
            let mut first_of: BTreeMap<usize, (u32, bool)> = BTreeMap::new();
            for (at, copy) in taken.copies.iter().enumerate() {
                let entry = first_of.entry(*copy).or_insert((at as u32, false));
                entry.1 |= weights[at] != 0;
            }
            let alone: Vec<u32> = first_of.values().filter(|(_, any)| !any).map(|(at, _)| *at).collect();
            let alone_weights: Vec<i64> = alone.iter().map(|at| taken.weights[*at as usize]).collect();
            let lefts = arrow::compute::take_record_batch(&rows, &UInt32Array::from(alone))?;
            let left_columns: Vec<usize> = (0..left_width).collect();
            let batch = pad(0, &lefts.project(&left_columns)?, &self.output)?;
            out.ship(Delta::try_new(batch, to_weights(&alone_weights))?);
        }
        Ok(())
    }

    /// The epoch's left rows in pieces, retractions apart from insertions.
    fn cut(&mut self) -> Result<Vec<Delta>, ExecError> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = Delta::concat(&self.left_schema, &waiting)?;
        if self.shipped.is_some() || !all.is_append_only() {
            all = all.consolidate()?;
        }
        let signed = |negative: bool| {
            let rows = (0..all.num_rows()).filter(|row| (all.weight(*row) < 0) == negative);
            all.take(&UInt32Array::from_iter_values(rows.map(|row| row as u32)))
        };
        let mut pieces = Vec::new();
        for part in [signed(true)?, signed(false)?] {
            for start in (0..part.num_rows()).step_by(CHUNK_ROWS) {
                pieces.push(part.slice(start, CHUNK_ROWS.min(part.num_rows() - start)));
            }
        }
        pieces.reverse();
        Ok(pieces)
    }
}

impl Operator for TemporalJoinOp {
    fn distribution(&self, input: InputIndex) -> Distribution {
        if self.node.keys.is_empty() {
            return Distribution::Single;
        }
        let keys = self.node.keys.iter();
        Distribution::Keys(keys.map(|(l, r)| if input == 0 { *l } else { *r }).collect())
    }

    fn update(&mut self, _tick: &Tick, input: InputIndex, delta: &Delta, _out: &mut Output) -> Result<(), ExecError> {
        if input == 0 {
            self.waiting.push(delta.clone());
            return Ok(());
        }
        let delta = match self.right.needs_consolidated(delta) {
            true => delta.consolidate()?,
            false => delta.clone(),
        };
        let columns = self.right.key_columns_of(delta.batch());
        let keys = self.codec.encode(&columns, delta.num_rows())?;
        let skip = rows_with_null(&columns);
        self.right.apply(&delta, &keys, skip.as_deref())?;
        Ok(())
    }

    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError> {
        let mut pieces = match self.closing.take() {
            Some(pieces) => pieces,
            None => self.cut()?,
        };
        let mut done = 0;
        while let Some(piece) = pieces.pop() {
            if piece.weight(0) < 0 {
                self.take_back(&piece, out)?;
            } else {
                self.join(tick, &piece, out)?;
            }
            done += piece.num_rows();
            if done >= YIELD_ROWS && !pieces.is_empty() {
                self.closing = Some(pieces);
                return Ok(Step::Yield);
            }
        }
        Ok(Step::Done)
    }

    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        self.right.save("right", state)?;
        if let Some(shipped) = &mut self.shipped {
            shipped.rows.save("shipped", state)?;
        }
        Ok(())
    }

    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        self.right.load("right", &self.codec, state)?;
        if let Some(shipped) = &mut self.shipped {
            shipped.rows.load("shipped", &shipped.codec, state)?;
        }
        Ok(())
    }
}

/// What is to be taken back, a row a stored row.
struct Taken {
    rows: Vec<ArrayRef>,
    partners: Vec<i64>,
    /// The negative weight of the left row.
    weights: Vec<i64>,
    /// Which rows were shipped for the same left row in the same epoch.
    copies: Vec<usize>,
}

impl Shipped {
    fn try_new(node: &plan::TemporalJoin, left: &SchemaRef, output: &SchemaRef) -> Result<Shipped, ExecError> {
        let mut fields: Vec<Field> = output.fields().iter().map(|f| f.as_ref().clone()).collect();
        for (at, field) in fields.iter_mut().enumerate() {
            field.set_name(format!("c{at}"));
        }
        fields.push(Field::new("epoch", DataType::Int64, true));
        fields.push(Field::new("partners", DataType::Int64, true));
        let schema = Arc::new(Schema::new(fields));
        // The keys by which rows are spread over workers come first.
        let mut key_columns: Vec<usize> = node.keys.iter().map(|(l, _)| *l).collect();
        key_columns.extend((0..left.fields().len()).filter(|c| !node.keys.iter().any(|(l, _)| l == c)));
        let types = key_columns.iter().map(|c| left.field(*c).data_type().clone()).collect();
        let codec = KeyCodec::try_new(types)?;
        Ok(Shipped {
            rows: RowStore::try_new(Arc::clone(&schema), key_columns, &codec, Vec::new(), false)?.keep_distinct()?,
            schema,
            codec,
        })
    }

    /// Remembers rows that were shipped.
    fn note(
        &mut self,
        tick: &Tick,
        mut columns: Vec<ArrayRef>,
        partners: Vec<i64>,
        weights: Vec<i64>,
    ) -> Result<(), ExecError> {
        columns.push(Arc::new(Int64Array::from_value(tick.epoch.0 as i64, weights.len())));
        columns.push(Arc::new(Int64Array::from(partners)));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.apply(Delta::try_new(batch, to_weights(&weights))?)
    }

    fn apply(&mut self, delta: Delta) -> Result<(), ExecError> {
        let delta = delta.consolidate()?;
        let columns = self.rows.key_columns_of(delta.batch());
        let keys = self.codec.encode(&columns, delta.num_rows())?;
        self.rows.apply(&delta, &keys, None)?;
        Ok(())
    }

    /// Takes out what was shipped for these left rows, the latest first.
    fn take(&mut self, delta: &Delta) -> Result<Taken, ExecError> {
        let columns = self.rows.key_columns_of(delta.batch());
        let keys = self.codec.encode(&columns, delta.num_rows())?;
        let width = self.schema.fields().len();
        let (mut entries, mut weights, mut copies) = (Vec::new(), Vec::new(), Vec::new());
        let mut copy = 0;
        for row in 0..delta.num_rows() {
            let mut owed = -delta.weight(row);
            let found = self.rows.entries_of(&keys, row);
            let epochs = &self.rows.gather_columns(&found, &[width - 2])?[0];
            let mut by_epoch: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
            for (entry, epoch) in found.iter().zip(epochs.as_primitive::<Int64Type>().values()) {
                by_epoch.entry(*epoch).or_default().push(*entry);
            }
            for of_epoch in by_epoch.into_values().rev() {
                let taken = owed.min(self.rows.weight(of_epoch[0]));
                if taken == 0 {
                    break;
                }
                owed -= taken;
                for entry in of_epoch {
                    entries.push(entry);
                    weights.push(-taken);
                    copies.push(copy);
                }
                copy += 1;
            }
            if owed != 0 {
                return Err(missing_row(delta, row));
            }
        }
        let rows = self.rows.gather(&entries)?;
        let partners = rows.column(width - 1).as_primitive::<Int64Type>().values().to_vec();
        let columns = rows.columns().to_vec();
        self.apply(Delta::try_new(rows, Some(Int64Array::from(weights.clone())))?)?;
        Ok(Taken {
            rows: columns,
            partners,
            weights,
            copies,
        })
    }
}

fn missing_row(delta: &Delta, row: usize) -> ExecError {
    ExecError::MissingRow {
        operator: "TemporalJoin",
        row: highwater_types::script::format_delta(&delta.slice(row, 1)),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::DFSchema;
    use datafusion::logical_expr::{col, lit};

    use super::*;
    use crate::testing::{check_forgetful_op, check_op, schema};

    fn sides() -> [SchemaRef; 2] {
        [
            schema(&[("lk", DataType::Int64), ("lv", DataType::Utf8)]),
            schema(&[("rk", DataType::Int64), ("rv", DataType::Int64)]),
        ]
    }

    fn node(left_outer: bool) -> plan::TemporalJoin {
        plan::TemporalJoin {
            left_outer,
            keys: vec![(0, 0)],
            filter: None,
        }
    }

    fn make(node: plan::TemporalJoin, left_append_only: bool) -> impl Fn(&OpContext) -> Box<dyn Operator> {
        let schemas: Vec<DFSchemaRef> = sides()
            .iter()
            .map(|s| Arc::new(DFSchema::try_from(s.as_ref().clone()).expect("distinct names")))
            .collect();
        let output = Arc::new(schemas[0].join(&schemas[1]).expect("distinct names"));
        move |context| {
            let op = TemporalJoinOp::try_new(&node, &schemas, &output, left_append_only, context);
            Box::new(op.expect("it can be built"))
        }
    }

    #[test]
    fn a_left_row_meets_the_right_side_of_its_own_epoch() {
        let script = "1 left +1 1 a    right +1 1 10                 out +1 1 a 1 10
             2 right -1 1 10, +1 1 20, +1 null 5
             3 left +1 1 b, +1 2 c, +2 null d                out +1 1 b 1 20
             4 left +1 1 e    right -1 1 20";
        check_forgetful_op(make(node(false), true), &sides(), script);
        check_forgetful_op(make(node(false), false), &sides(), script);
        let outer = "1 left +1 1 a                                out +1 1 a null null
             2 left +1 1 b, +1 null c  right +2 1 20         out +2 1 b 1 20, +1 null c null null";
        check_forgetful_op(make(node(true), true), &sides(), outer);
    }

    #[test]
    fn a_retraction_takes_back_what_was_shipped_for_its_row() {
        check_op(
            make(node(true), false),
            &sides(),
            "1 left +2 1 a, +1 2 x    right +1 1 10              out +2 1 a 1 10, +1 2 x null null
             2 right -1 1 10, +1 1 20, +3 1 30, +1 2 5
             3 left +1 1 a                                       out +1 1 a 1 20, +3 1 a 1 30
             4 left -2 1 a, -1 2 x                               out -1 1 a 1 20, -3 1 a 1 30, -1 1 a 1 10, -1 2 x null null
             5 left -1 1 a, +1 1 b    right -3 1 30              out -1 1 a 1 10, +1 1 b 1 20
             6 left -1 1 b, +1 1 b    right +1 1 7",
        );
    }

    #[test]
    fn a_condition_that_fails_is_a_fault_until_its_row_goes() {
        let node = |left_outer| plan::TemporalJoin {
            filter: Some((lit(100_i64) / col("rv")).gt(lit(9_i64))),
            ..node(left_outer)
        };
        check_op(
            make(node(true), false),
            &sides(),
            "1 left +1 1 a, +1 2 b    right +1 1 0, +1 1 10, +1 2 50     out +1 1 a 1 10, +1 2 b null null   fault 22012 +1
             2 right -1 1 0, -1 2 50, +1 2 1
             3 left +1 1 c                                               out +1 1 c 1 10
             4 left -1 1 a, -1 2 b                                       out -1 1 a 1 10, -1 2 b null null   fault 22012 -1",
        );
    }
}
