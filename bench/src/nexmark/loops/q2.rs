//! q2: a filter on one column.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use highwater_types::Delta;

use super::{bid, integers};
use crate::Result;
use crate::nexmark::stream::Input;

pub(super) fn run(inputs: &[Input]) -> Result<Vec<Delta>> {
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let schema = Arc::new(Schema::new(vec![number("auction"), number("price")]));
    let mut changelog = Vec::new();
    for epoch in &inputs[0].epochs {
        let (mut auctions, mut prices) = (Vec::new(), Vec::new());
        for batch in epoch {
            let bids = integers(batch, bid::AUCTION).iter().zip(integers(batch, bid::PRICE));
            for (auction, price) in bids.filter(|(auction, _)| **auction % 123 == 0) {
                auctions.push(*auction);
                prices.push(*price);
            }
        }
        let columns = vec![
            Arc::new(Int64Array::from(auctions)) as _,
            Arc::new(Int64Array::from(prices)) as _,
        ];
        changelog.push(Delta::insert(RecordBatch::try_new(Arc::clone(&schema), columns)?));
    }
    Ok(changelog)
}
