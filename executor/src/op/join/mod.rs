//! [`JoinOp`]: joins two changing inputs, of every kind in [`JoinKind`], on equal keys, a condition, or nothing at all.
//!
//! A change of one side meets the rows that the other side has at that moment, and the pairs go out at once; the sum
//! over an epoch does not depend on the order of its changes. For rows that appear without a partner (outer and anti
//! joins) or once for any number of partners (semi joins), each row counts its partners, and what it shows for itself
//! is revised when the count leaves zero or comes back to it. Where the planner says that rows meet within an epoch,
//! those without a partner go out at its end, so that what follows never sees one taken back.
//!
//! # State
//! Each side is a [`RowStore`] under the join key, and the number of partners is a mark on its rows. Rows with a NULL in
//! the key never have a partner and are not kept, unless NULLs are equal.
//!
//! # Cost and bound
//! At most one probe a changed row, and one gathered row a pair. An inner join without retractions does nothing else,
//! and makes the entries of a side only when the other one searches it; a retraction finds its row by the row's hash.
//! State is both inputs, less what watermarks release. An epoch that makes more than [`YIELD_PAIRS`]
//! pairs hands the worker back in between; meanwhile its other changes wait, unread.
//!
//! # Faults
//! A pair on which the condition fails is a fault with the pair's weight, and counts as no partner.

pub(super) mod pairs;

use std::collections::{HashMap, VecDeque};

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchemaRef;
use highwater_planner::stream::plan;
use highwater_planner::stream::plan::{JoinKind, Release};
use highwater_types::{Delta, Tick};

use self::pairs::{Pairs, Residual, pad, to_weights};
use super::expression::nullable;
use super::keys::{ABSENT, KeyCodec, Keys};
use super::rows::RowStore;
use super::{Distribution, InputIndex, OpContext, Operator, Output, Step};
use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// After how many pairs the worker is handed back.
const YIELD_PAIRS: usize = 16 * Output::BATCH_ROWS;
/// The names of the sides' state.
const PARTS: [&str; 2] = ["left", "right"];

/// Joins two changing inputs.
#[derive(Debug)]
pub struct JoinOp {
    node: plan::Join,
    codec: KeyCodec,
    sides: [RowStore; 2],
    residual: Option<Residual>,
    output: SchemaRef,
    /// Changes that have not met the other side yet, oldest first.
    waiting: VecDeque<Waiting>,
    /// What rows show for themselves, where that goes out at the end of the epoch.
    alone: Vec<Delta>,
}

/// A delta on its way through the join.
#[derive(Debug)]
struct Waiting {
    side: usize,
    delta: Delta,
    keys: Keys,
    /// Rows whose key has a NULL.
    unmatchable: Option<Vec<bool>>,
    /// Rows that need not be kept.
    skip: Option<Vec<bool>>,
    /// The rows that may have partners; `None`: all. Known once it begins to meet the other side.
    searched: Option<Vec<u32>>,
    /// Which of these to go on with, and the other side's entry; [`ABSENT`] for its first.
    at: usize,
    entry: u32,
    /// By row: the weight of its partners.
    partners: Vec<i64>,
    /// Entries of the other side that have met rows of this delta, and how many partners they had before.
    met: HashMap<u32, i64>,
}

impl JoinOp {
    /// For this node over its two inputs.
    ///
    /// # Errors
    /// When the keys' types differ, or the condition does not fit.
    pub fn try_new(
        node: &plan::Join,
        inputs: &[DFSchemaRef],
        output: &DFSchemaRef,
        release: &[Release],
        context: &OpContext,
    ) -> Result<JoinOp, ExecError> {
        let codec = key_codec("Join", &node.keys, inputs)?;
        let side = |at: usize| {
            RowStore::try_new(
                nullable(inputs[at].as_arrow()),
                node.keys.iter().map(|(l, r)| if at == 0 { *l } else { *r }).collect(),
                &codec,
                release.iter().filter(|r| r.input == at).cloned().collect(),
                shown_alone(node.kind, at).is_some(),
            )
        };
        let residual = match &node.filter {
            None => None,
            Some(condition) => Some(Residual::try_new(condition, inputs, context)?),
        };
        Ok(JoinOp {
            sides: [side(0)?, side(1)?],
            node: node.clone(),
            codec,
            residual,
            output: nullable(output.as_arrow()),
            waiting: VecDeque::new(),
            alone: Vec::new(),
        })
    }

    /// Ships what rows show for themselves, at once or at the end of the epoch.
    fn show_alone(&mut self, delta: Delta, out: &mut Output) {
        match self.node.meets_within_epoch {
            true => self.alone.push(delta),
            false => out.ship(delta),
        }
    }

    /// Ships what rows have shown for themselves in this epoch and not taken back.
    fn ship_alone(&mut self, out: &mut Output) -> Result<(), ExecError> {
        let alone = std::mem::take(&mut self.alone);
        if alone.iter().all(Delta::is_append_only) {
            alone.into_iter().for_each(|delta| out.ship(delta));
            return Ok(());
        }
        let sum = Delta::concat(&self.output, &alone)?.consolidate()?;
        for start in (0..sum.num_rows()).step_by(Output::BATCH_ROWS) {
            out.ship(sum.slice(start, Output::BATCH_ROWS.min(sum.num_rows() - start)));
        }
        Ok(())
    }

    /// Lets waiting changes meet the other side, until all have or `budget` pairs were made.
    fn advance(&mut self, out: &mut Output, mut budget: usize) -> Result<bool, ExecError> {
        while let Some(mut waiting) = self.waiting.pop_front() {
            if !self.meet(&mut waiting, out, &mut budget)? {
                self.waiting.push_front(waiting);
                return Ok(false);
            }
            self.revise_met(&waiting, out)?;
            self.keep(waiting, out)?;
        }
        Ok(true)
    }

    /// Pairs a delta's rows with the other side; false when the budget ended first.
    fn meet(&mut self, waiting: &mut Waiting, out: &mut Output, budget: &mut usize) -> Result<bool, ExecError> {
        let other = 1 - waiting.side;
        if waiting.at == 0 && waiting.entry == ABSENT {
            self.sides[other].index_for(&waiting.keys)?;
            waiting.searched = self.sides[other].rows_to_search(&waiting.keys);
        }
        let count = waiting.searched.as_ref().map_or(waiting.delta.num_rows(), Vec::len);
        let mut pairs = Pairs::new(waiting.side);
        while waiting.at < count {
            let row = waiting
                .searched
                .as_ref()
                .map_or(waiting.at, |rows| rows[waiting.at] as usize);
            let unmatchable = waiting.unmatchable.as_ref().is_some_and(|u| u[row]);
            if waiting.entry == ABSENT && !unmatchable {
                waiting.entry = self.sides[other].first(&waiting.keys, row);
            }
            let weight = waiting.delta.weight(row);
            while waiting.entry != ABSENT {
                let theirs = self.sides[other].weight(waiting.entry);
                if theirs != 0 {
                    pairs.push(row, waiting.entry, weight * theirs);
                }
                waiting.entry = self.sides[other].next(waiting.entry);
                if pairs.len() == Output::BATCH_ROWS {
                    *budget = budget.saturating_sub(pairs.len());
                    self.finish_pairs(&mut pairs, waiting, out)?;
                    // With ABSENT the row would begin anew.
                    if *budget == 0 && waiting.entry != ABSENT {
                        return Ok(false);
                    }
                }
            }
            waiting.at += 1;
            if *budget == 0 && waiting.at < count {
                self.finish_pairs(&mut pairs, waiting, out)?;
                return Ok(false);
            }
        }
        self.finish_pairs(&mut pairs, waiting, out)?;
        Ok(true)
    }

    /// Ships pairs, or counts them, or both.
    fn finish_pairs(&mut self, pairs: &mut Pairs, waiting: &mut Waiting, out: &mut Output) -> Result<(), ExecError> {
        let mut pairs = std::mem::replace(pairs, Pairs::new(waiting.side));
        if pairs.len() == 0 {
            return Ok(());
        }
        let other = 1 - waiting.side;
        if let Some(residual) = &self.residual {
            pairs.retain(residual, waiting.delta.batch(), &self.sides[other], out)?;
        }
        if shown_alone(self.node.kind, waiting.side).is_some() {
            for (row, entry) in pairs.rows.iter().zip(&pairs.entries) {
                waiting.partners[*row as usize] += self.sides[other].weight(*entry);
            }
        }
        if shown_alone(self.node.kind, other).is_some() {
            for (row, entry) in pairs.rows.iter().zip(&pairs.entries) {
                let count = self.sides[other].mark(*entry);
                waiting.met.entry(*entry).or_insert(count);
                let weight = waiting.delta.weight(*row as usize);
                self.sides[other].set_mark(*entry, count + weight);
            }
        }
        if shows_pairs(self.node.kind) && pairs.len() > 0 {
            out.ship(pairs.to_delta(&self.output, waiting.delta.batch(), &self.sides[other])?);
        }
        Ok(())
    }

    /// Revises what rows of the other side show for themselves, where their first partner has come or their last gone.
    fn revise_met(&mut self, waiting: &Waiting, out: &mut Output) -> Result<(), ExecError> {
        let other = 1 - waiting.side;
        let Some(when_matched) = shown_alone(self.node.kind, other) else {
            return Ok(());
        };
        let store = &self.sides[other];
        let (mut entries, mut weights) = (Vec::new(), Vec::new());
        let mut met: Vec<(&u32, &i64)> = waiting.met.iter().collect();
        met.sort_unstable();
        for (entry, before) in met {
            let matched = store.mark(*entry) > 0;
            if matched != (*before > 0) {
                let weight = store.weight(*entry);
                entries.push(*entry);
                weights.push(if matched == when_matched { weight } else { -weight });
            }
        }
        for (entries, weights) in entries
            .chunks(Output::BATCH_ROWS)
            .zip(weights.chunks(Output::BATCH_ROWS))
        {
            let batch = pad(other, &self.sides[other].gather(entries)?, &self.output)?;
            self.show_alone(Delta::try_new(batch, to_weights(weights))?, out);
        }
        Ok(())
    }

    /// Puts a delta into its side's store, and ships what its rows show for themselves.
    fn keep(&mut self, waiting: Waiting, out: &mut Output) -> Result<(), ExecError> {
        let Waiting {
            side,
            delta,
            keys,
            partners,
            ..
        } = waiting;
        let skip = match (waiting.skip, waiting.unmatchable) {
            (Some(mut skip), Some(unmatchable)) => {
                skip.iter_mut().zip(unmatchable).for_each(|(s, u)| *s |= u);
                Some(skip)
            }
            (skip, unmatchable) => skip.or(unmatchable),
        };
        let Some(when_matched) = shown_alone(self.node.kind, side) else {
            return self.sides[side].put(delta, keys, skip.as_deref());
        };
        let placed = self.sides[side].apply(&delta, &keys, skip.as_deref())?;
        // Also for a row that was there: while it was gone and waited for a save, no partner was counted for it.
        for (row, entry) in placed.into_iter().enumerate() {
            if entry != ABSENT {
                self.sides[side].set_mark(entry, partners[row]);
            }
        }
        let shown: arrow::array::BooleanArray = partners
            .iter()
            .map(|partners| Some((*partners > 0) == when_matched))
            .collect();
        let shown = delta.filter(&shown)?;
        if !shown.is_empty() {
            let batch = pad(side, shown.batch(), &self.output)?;
            self.show_alone(shown.with_batch(batch)?, out);
        }
        Ok(())
    }
}

impl Operator for JoinOp {
    fn distribution(&self, input: InputIndex) -> Distribution {
        if self.node.keys.is_empty() {
            return Distribution::Single;
        }
        let keys = self.node.keys.iter();
        Distribution::Keys(keys.map(|(l, r)| if input == 0 { *l } else { *r }).collect())
    }

    fn update(&mut self, tick: &Tick, input: InputIndex, delta: &Delta, out: &mut Output) -> Result<(), ExecError> {
        let store = &self.sides[input];
        // A delta that waits may bring the index that this one will be looked up in.
        let delta = match store.needs_consolidated(delta) || !self.waiting.is_empty() {
            true => delta.consolidate()?,
            false => delta.clone(),
        };
        if delta.is_empty() {
            return Ok(());
        }
        let columns = store.key_columns_of(delta.batch());
        let keys = self.codec.encode(&columns, delta.num_rows())?;
        let unmatchable = match self.node.null_equals_null {
            true => None,
            false => rows_with_null(&columns),
        };
        let counts = shown_alone(self.node.kind, input).is_some();
        self.waiting.push_back(Waiting {
            side: input,
            skip: store.released_before(tick, delta.batch()),
            partners: vec![0; if counts { delta.num_rows() } else { 0 }],
            delta,
            keys,
            unmatchable,
            searched: None,
            at: 0,
            entry: ABSENT,
            met: HashMap::new(),
        });
        if self.waiting.len() == 1 {
            self.advance(out, YIELD_PAIRS)?;
        }
        Ok(())
    }

    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError> {
        if !self.advance(out, YIELD_PAIRS)? {
            return Ok(Step::Yield);
        }
        self.ship_alone(out)?;
        for side in &mut self.sides {
            side.release(tick)?;
        }
        Ok(Step::Done)
    }

    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError> {
        for (side, part) in self.sides.iter_mut().zip(PARTS) {
            side.save(part, state)?;
        }
        Ok(())
    }

    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError> {
        for (side, part) in self.sides.iter_mut().zip(PARTS) {
            side.load(part, &self.codec, state)?;
        }
        Ok(())
    }
}

/// Whether rows of a side appear by themselves, and if so, whether when they have a partner or when they have none.
fn shown_alone(kind: JoinKind, side: usize) -> Option<bool> {
    match (kind, side) {
        (JoinKind::Left | JoinKind::Full | JoinKind::Anti, 0) => Some(false),
        (JoinKind::Semi, 0) => Some(true),
        (JoinKind::Right | JoinKind::Full, 1) => Some(false),
        (JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full | JoinKind::Semi | JoinKind::Anti, _) => {
            None
        }
    }
}

fn shows_pairs(kind: JoinKind) -> bool {
    match kind {
        JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full => true,
        JoinKind::Semi | JoinKind::Anti => false,
    }
}

/// The codec for both sides' keys.
pub(super) fn key_codec(
    operator: &'static str,
    keys: &[(usize, usize)],
    inputs: &[DFSchemaRef],
) -> Result<KeyCodec, ExecError> {
    let mut types = Vec::with_capacity(keys.len());
    for (left, right) in keys {
        let (left, right) = (inputs[0].field(*left).data_type(), inputs[1].field(*right).data_type());
        if left != right {
            return Err(ExecError::Unsupported {
                operator,
                construct: format!("a key of {left} and {right}"),
            });
        }
        types.push(left.clone());
    }
    KeyCodec::try_new(types)
}

/// Which rows have a NULL in any of these columns; `None` when there is none.
pub(super) fn rows_with_null(columns: &[ArrayRef]) -> Option<Vec<bool>> {
    let mut known: Option<NullBuffer> = None;
    for column in columns {
        known = NullBuffer::union(known.as_ref(), column.logical_nulls().as_ref());
    }
    let known = known.filter(|k| k.null_count() > 0)?;
    Some((0..known.len()).map(|row| known.is_null(row)).collect())
}

#[cfg(test)]
mod tests;
