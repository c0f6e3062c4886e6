//! [`RowKey`]: a row as bytes that compare as some order does, and back.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, RowParser, SortField};
use highwater_planner::stream::plan::SortKey;
use highwater_types::{canonical_floats, canonical_nans};

use crate::ExecError;

/// One row: the columns of the order, then the whole row. The default is less than any.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(super) struct RowKey {
    bytes: Arc<[u8]>,
    /// How many bytes are the order's.
    order_length: u32,
}

impl RowKey {
    /// Whether both rows are peers: equal in the order's columns.
    pub(super) fn has_order_of(&self, other: &RowKey) -> bool {
        self.order() == other.order()
    }

    fn order(&self) -> &[u8] {
        &self.bytes[..self.order_length as usize]
    }
}

impl Ord for RowKey {
    fn cmp(&self, other: &RowKey) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl PartialOrd for RowKey {
    fn partial_cmp(&self, other: &RowKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Makes [`RowKey`]s of rows, and rows of them.
#[derive(Debug)]
pub(super) struct RowKeyCodec {
    order_columns: Vec<usize>,
    /// `None` when there is no order.
    order: Option<RowConverter>,
    row: RowConverter,
    parser: RowParser,
    schema: SchemaRef,
}

impl RowKeyCodec {
    /// For rows of this schema, in this order.
    ///
    /// # Errors
    /// When a column's type has no order.
    pub(super) fn try_new(order: &[SortKey], schema: &SchemaRef) -> Result<RowKeyCodec, ExecError> {
        let order_fields: Vec<SortField> = order
            .iter()
            .map(|key| {
                let options = SortOptions {
                    descending: key.descending,
                    nulls_first: key.nulls_first,
                };
                SortField::new_with_options(schema.field(key.column).data_type().clone(), options)
            })
            .collect();
        let row_fields = schema
            .fields()
            .iter()
            .map(|f| SortField::new(f.data_type().clone()))
            .collect();
        let row = RowConverter::new(row_fields)?;
        Ok(RowKeyCodec {
            order_columns: order.iter().map(|key| key.column).collect(),
            order: match order_fields.is_empty() {
                true => None,
                false => Some(RowConverter::new(order_fields)?),
            },
            parser: row.parser(),
            row,
            schema: Arc::clone(schema),
        })
    }

    /// The keys of a batch's rows.
    pub(super) fn encode(&self, batch: &RecordBatch) -> Result<Vec<RowKey>, ExecError> {
        // -0 is ordered as 0, and yet another value.
        let whole: Vec<ArrayRef> = batch.columns().iter().map(canonical_nans).collect();
        let rows = self.row.convert_columns(&whole)?;
        let orders = match &self.order {
            None => None,
            Some(order) => {
                let columns = self.order_columns.iter().map(|c| canonical_floats(batch.column(*c)));
                let columns: Vec<ArrayRef> = columns.collect();
                Some(order.convert_columns(&columns)?)
            }
        };
        let mut bytes = Vec::new();
        let mut keys = Vec::with_capacity(batch.num_rows());
        for at in 0..batch.num_rows() {
            bytes.clear();
            if let Some(orders) = &orders {
                bytes.extend_from_slice(orders.row(at).data());
            }
            let order_length = bytes.len() as u32;
            bytes.extend_from_slice(rows.row(at).data());
            keys.push(RowKey {
                bytes: Arc::from(bytes.as_slice()),
                order_length,
            });
        }
        Ok(keys)
    }

    /// The columns of rows.
    pub(super) fn decode<'a>(&self, keys: impl IntoIterator<Item = &'a RowKey>) -> Result<Vec<ArrayRef>, ExecError> {
        let rows = keys
            .into_iter()
            .map(|key| self.parser.parse(&key.bytes[key.order_length as usize..]));
        Ok(self.row.convert_rows(rows)?)
    }

    /// A row for a message.
    pub(super) fn to_text(&self, key: &RowKey) -> Result<String, ExecError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), self.decode([key])?)?;
        Ok(highwater_types::script::format_delta(&highwater_types::Delta::insert(
            batch,
        )))
    }
}
