//! q1: one column is computed, the others are passed on.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use highwater_types::Delta;

use super::{bid, integers};
use crate::Result;
use crate::nexmark::stream::Input;

/// 0.908, with three digits after the point.
const RATE: i128 = 908;
/// The view's type of the product.
const PRODUCT: DataType = DataType::Decimal128(22, 3);

pub(super) fn run(inputs: &[Input]) -> Result<Vec<Delta>> {
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let schema = Arc::new(Schema::new(vec![
        number("auction"),
        number("bidder"),
        Field::new("price", PRODUCT, true),
        Field::new("date_time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("extra", DataType::Utf8, true),
    ]));
    let mut changelog = Vec::new();
    for batch in inputs[0].epochs.iter().flatten() {
        let prices: Vec<i128> = integers(batch, bid::PRICE)
            .iter()
            .map(|price| i128::from(*price) * RATE)
            .collect();
        let prices = Decimal128Array::from(prices).with_data_type(PRODUCT);
        let columns: Vec<ArrayRef> = vec![
            Arc::clone(batch.column(bid::AUCTION)),
            Arc::clone(batch.column(bid::BIDDER)),
            Arc::new(prices),
            Arc::clone(batch.column(bid::DATE_TIME)),
            Arc::clone(batch.column(bid::EXTRA)),
        ];
        changelog.push(Delta::insert(RecordBatch::try_new(Arc::clone(&schema), columns)?));
    }
    Ok(changelog)
}
