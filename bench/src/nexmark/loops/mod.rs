//! Loops written by hand for one query each: one thread, over the same Arrow columns in the same epochs, putting out
//! the same changelog at the end of each epoch. What a programmer would write who has only this one query to answer:
//! columns are read as slices, groups are in hash tables by one integer, a window's state is dropped when the
//! watermark passes its end, and what is not computed is passed on without a copy. They know nothing of plans, other
//! types, retractions among their input, workers, or faults.

mod q1;
mod q2;
mod q5;
mod q7;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use highwater_types::Delta;

use super::stream::Input;
use crate::Result;

/// Answers a query over the stream with its changelog.
pub(super) type Loop = fn(&[Input]) -> Result<Vec<Delta>>;

/// The columns of bids.
mod bid {
    pub(super) const AUCTION: usize = 0;
    pub(super) const BIDDER: usize = 1;
    pub(super) const PRICE: usize = 2;
    pub(super) const DATE_TIME: usize = 5;
    pub(super) const EXTRA: usize = 6;
}

/// The loop for a query, if there is one.
pub(super) fn of(query: &str) -> Option<Loop> {
    match query {
        "q1" => Some(q1::run),
        "q2" => Some(q2::run),
        "q5" => Some(q5::run),
        "q7" => Some(q7::run),
        _ => None,
    }
}

fn integers(batch: &RecordBatch, column: usize) -> &[i64] {
    batch.column(column).as_primitive::<Int64Type>().values()
}

fn times(batch: &RecordBatch) -> &[i64] {
    batch
        .column(bid::DATE_TIME)
        .as_primitive::<TimestampMicrosecondType>()
        .values()
}
