//! q7: for each window the greatest price and the bids that have it; at the end of an epoch what that changes of what
//! was shown. The query's BETWEEN takes in the window's end, so a bid that came at just that time is shown with the
//! window before its own, too, if its price is that one's greatest.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use highwater_types::{Delta, Watermark};

use super::{bid, integers, times};
use crate::Result;
use crate::nexmark::stream::Input;

const SIZE_US: i64 = 10_000_000;
/// The view's columns, in its order.
const SHOWN: [usize; 5] = [bid::AUCTION, bid::BIDDER, bid::PRICE, bid::DATE_TIME, bid::EXTRA];

/// A bid: its batch and row.
type Bid = (usize, usize);

#[derive(Default)]
struct Window {
    greatest: Option<i64>,
    bids: Vec<Bid>,
    /// Bids at the window's end, and their prices.
    at_end: Vec<(i64, Bid)>,
    is_touched: bool,
    shown: Vec<Bid>,
}

pub(super) fn run(inputs: &[Input]) -> Result<Vec<Delta>> {
    let batches: Vec<RecordBatch> = inputs[0]
        .epochs
        .iter()
        .flatten()
        .map(|batch| batch.project(&SHOWN))
        .collect::<std::result::Result<_, _>>()?;
    let schema = batches
        .first()
        .map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    let mut windows: BTreeMap<i64, Window> = BTreeMap::new();
    let mut changelog = Vec::new();
    let mut number = 0;
    for (epoch, watermark) in inputs[0].epochs.iter().zip(&inputs[0].watermarks) {
        for batch in epoch {
            take_in(number, integers(batch, bid::PRICE), times(batch), &mut windows);
            number += 1;
        }
        changelog.push(close(&mut windows, *watermark, &batches, &schema)?);
    }
    Ok(changelog)
}

/// Finds the highest bids of a batch.
fn take_in(number: usize, prices: &[i64], times: &[i64], windows: &mut BTreeMap<i64, Window>) {
    let mut row = 0;
    while row < prices.len() {
        let start = times[row] - times[row].rem_euclid(SIZE_US);
        let is_in = |time: &&i64| (start..start + SIZE_US).contains(*time);
        let end = row + times[row..].iter().take_while(is_in).count();
        for row in (row..end).filter(|row| times[*row] == start) {
            let before = windows.entry(start - SIZE_US).or_default();
            before.is_touched = true;
            before.at_end.push((prices[row], (number, row)));
        }
        let window = windows.entry(start).or_default();
        window.is_touched = true;
        for (row, price) in (row..end).zip(&prices[row..end]) {
            if window.greatest.is_none_or(|greatest| *price > greatest) {
                window.greatest = Some(*price);
                window.bids.clear();
            }
            if window.greatest == Some(*price) {
                window.bids.push((number, row));
            }
        }
        row = end;
    }
}

/// What the epoch has changed of what is shown; windows that the watermark has passed go.
fn close(
    windows: &mut BTreeMap<i64, Window>,
    watermark: Watermark,
    batches: &[RecordBatch],
    schema: &SchemaRef,
) -> Result<Delta> {
    let (mut bids, mut weights) = (Vec::new(), Vec::new());
    for window in windows.values_mut().filter(|window| window.is_touched) {
        window.is_touched = false;
        let at_end = window
            .at_end
            .iter()
            .filter(|(price, _)| Some(*price) == window.greatest);
        let highest: Vec<Bid> = window.bids.iter().copied().chain(at_end.map(|(_, bid)| *bid)).collect();
        for bid in window.shown.iter().filter(|bid| !highest.contains(bid)) {
            bids.push(*bid);
            weights.push(-1);
        }
        for bid in highest.iter().filter(|bid| !window.shown.contains(bid)) {
            bids.push(*bid);
            weights.push(1);
        }
        window.shown = highest;
    }
    windows.retain(|start, _| !watermark.reached(start + SIZE_US));
    let rows = gather(batches, &bids, schema)?;
    Ok(Delta::try_new(rows, Some(Int64Array::from(weights)))?)
}

fn gather(batches: &[RecordBatch], bids: &[Bid], schema: &SchemaRef) -> Result<RecordBatch> {
    let mut used: Vec<usize> = bids.iter().map(|(batch, _)| *batch).collect();
    used.sort_unstable();
    used.dedup();
    let from: Vec<&RecordBatch> = used.iter().map(|batch| &batches[*batch]).collect();
    let places: Vec<(usize, usize)> = bids
        .iter()
        .map(|(batch, row)| (used.partition_point(|other| other < batch), *row))
        .collect();
    if places.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    Ok(interleave_record_batch(&from, &places)?)
}
