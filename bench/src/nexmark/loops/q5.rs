//! q5: a hash table of counts for each window; at the end of an epoch the greatest count of each window that has
//! changed, and what that changes of what was shown. A bid is counted in each of its five windows; bids come nearly in
//! the order of time, so that a run of them goes into the same five tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use hashbrown::HashMap;
use highwater_types::{Delta, Watermark};

use super::{bid, integers, times};
use crate::Result;
use crate::nexmark::stream::Input;

const SLIDE_US: i64 = 2_000_000;
const SIZE_US: i64 = 10_000_000;

#[derive(Default)]
struct Window {
    counts: HashMap<i64, i64, ahash::RandomState>,
    is_touched: bool,
    /// Auctions shown, and their common count.
    shown: Vec<i64>,
    shown_count: i64,
}

#[derive(Default)]
struct Changes {
    auctions: Vec<i64>,
    counts: Vec<i64>,
    weights: Vec<i64>,
}

pub(super) fn run(inputs: &[Input]) -> Result<Vec<Delta>> {
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let schema = Arc::new(Schema::new(vec![number("auction"), number("num")]));
    let mut windows: BTreeMap<i64, Window> = BTreeMap::new();
    let mut changelog = Vec::new();
    for (epoch, watermark) in inputs[0].epochs.iter().zip(&inputs[0].watermarks) {
        for batch in epoch {
            count(integers(batch, bid::AUCTION), times(batch), &mut windows);
        }
        changelog.push(close(&mut windows, *watermark, &schema)?);
    }
    Ok(changelog)
}

/// Counts bids into their windows.
fn count(auctions: &[i64], times: &[i64], windows: &mut BTreeMap<i64, Window>) {
    let mut row = 0;
    while row < auctions.len() {
        let newest = times[row] - times[row].rem_euclid(SLIDE_US);
        let is_in = |time: &&i64| (newest..newest + SLIDE_US).contains(*time);
        let end = row + times[row..].iter().take_while(is_in).count();
        for start in (newest - SIZE_US + SLIDE_US..=newest).step_by(SLIDE_US as usize) {
            let window = windows.entry(start).or_default();
            window.is_touched = true;
            for auction in &auctions[row..end] {
                *window.counts.entry(*auction).or_insert(0) += 1;
            }
        }
        row = end;
    }
}

/// What the epoch has changed of what is shown; windows that the watermark has passed go.
fn close(windows: &mut BTreeMap<i64, Window>, watermark: Watermark, schema: &SchemaRef) -> Result<Delta> {
    let mut changes = Changes::default();
    for window in windows.values_mut().filter(|window| window.is_touched) {
        window.is_touched = false;
        let greatest = window.counts.values().copied().max().unwrap_or(0);
        let hottest = window.counts.iter().filter(|(_, count)| **count == greatest);
        let hottest: Vec<i64> = hottest.map(|(auction, _)| *auction).collect();
        let same = window.shown_count == greatest;
        for auction in window.shown.iter().filter(|a| !(same && hottest.contains(a))) {
            changes.push(*auction, window.shown_count, -1);
        }
        for auction in hottest.iter().filter(|a| !(same && window.shown.contains(a))) {
            changes.push(*auction, greatest, 1);
        }
        (window.shown, window.shown_count) = (hottest, greatest);
    }
    windows.retain(|start, _| !watermark.reached(start + SIZE_US));
    let columns = vec![
        Arc::new(Int64Array::from(changes.auctions)) as _,
        Arc::new(Int64Array::from(changes.counts)) as _,
    ];
    let rows = RecordBatch::try_new(Arc::clone(schema), columns)?;
    Ok(Delta::try_new(rows, Some(Int64Array::from(changes.weights)))?)
}

impl Changes {
    fn push(&mut self, auction: i64, count: i64, weight: i64) {
        self.auctions.push(auction);
        self.counts.push(count);
        self.weights.push(weight);
    }
}
