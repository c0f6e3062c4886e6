//! What changes in a collection from one epoch to another: for whoever follows it. Costs what has changed, not what
//! is there: segments are looked at from the newest on, and rows that went stand in the index's log.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use highwater_types::{Delta, Epoch};

use super::Collection;
use super::segment::Segment;
use super::shard::Shard;
use crate::ExecError;

/// Deltas by epoch.
type Changes = BTreeMap<u64, Vec<Delta>>;

impl Collection {
    /// What each epoch after `from`, up to and with `to`, has changed, without those that have changed nothing. `to` is
    /// closed, and `from` held.
    ///
    /// # Errors
    /// When `from` is no longer kept.
    pub fn changes(&self, from: Epoch, to: Epoch) -> Result<Vec<(Epoch, Delta)>, ExecError> {
        let from = self.readable(from)?;
        let mut changes = Changes::new();
        for shard in &self.shards {
            collect_changes(shard, from, to.0, &mut changes)?;
        }
        let mut consolidated = Vec::with_capacity(changes.len());
        for (epoch, mut deltas) in changes {
            // What goes comes first, for those who keep rows by a key.
            deltas.sort_by_key(Delta::is_append_only);
            let delta = Delta::concat(self.schema(), &deltas)?.consolidate()?;
            if !delta.is_empty() {
                consolidated.push((Epoch(epoch), delta));
            }
        }
        Ok(consolidated)
    }
}

fn collect_changes(shard: &Shard, from: u64, to: u64, changes: &mut Changes) -> Result<(), ExecError> {
    // The list must not be of an earlier time than the log.
    let (gone, list) = (gone_within(shard, from, to), shard.segments());
    // Epochs never decrease from one segment to the next.
    for segment in list.iter().rev().take_while(|segment| segment.last_birth() > from) {
        collect_arrivals(segment, from, to, changes)?;
    }
    for went in gone.chunk_by(|a, b| a.0 == b.0) {
        let epoch = went[0].0;
        let mut ordinals: Vec<u64> = went.iter().map(|(_, ordinal)| *ordinal).collect();
        ordinals.sort_unstable();
        let mut rest = &ordinals[..];
        while let Some(first) = rest.first() {
            let Some((segment, _)) = list.locate(*first) else {
                rest = &rest[1..];
                continue;
            };
            let in_segment = rest.iter().map_while(|ordinal| segment.row_of(*ordinal));
            let rows: Vec<usize> = in_segment.collect();
            rest = &rest[rows.len()..];
            // What comes and goes in one epoch has never been there.
            let seen = rows.iter().filter(|row| segment.birth(**row) < epoch);
            let seen: UInt32Array = seen.map(|row| *row as u32).collect();
            let batch = take_record_batch(segment.batch(), &seen)?;
            changes.entry(epoch).or_default().push(Delta::retract(batch));
        }
    }
    Ok(())
}

/// The rows that went after `from` and at `to` at the latest, oldest first: when, and which.
fn gone_within(shard: &Shard, from: u64, to: u64) -> Vec<(u64, u64)> {
    let index = shard.index();
    // Rows go only where there is an index.
    index.as_ref().map_or_else(Vec::new, |index| {
        let within = index.gone_after(from).take_while(|gone| gone.epoch <= to);
        within.map(|gone| (gone.epoch, gone.ordinal)).collect()
    })
}

fn collect_arrivals(segment: &Arc<Segment>, from: u64, to: u64, changes: &mut Changes) -> Result<(), ExecError> {
    for (epoch, rows) in segment.births_within(from, to) {
        let mut batch = segment.batch().slice(rows.start, rows.len());
        if segment.has_deaths() {
            let stays: BooleanArray = rows.map(|row| Some(segment.death(row) > epoch)).collect();
            batch = filter_record_batch(&batch, &stays)?;
        }
        changes.entry(epoch).or_default().push(Delta::insert(batch));
    }
    Ok(())
}
