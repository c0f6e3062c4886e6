//! [`CollectionProvider`]: a collection at an epoch, as a table that DataFusion can scan. Filters that say which key
//! is wanted find their rows by the collection's index; all other filters are applied above the scan.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_plan::ExecutionPlan;
use highwater_types::{Delta, Epoch, RowKeys, SqlError};

use crate::collection::additions;
use crate::{Collection, ExecError};

/// A collection at an epoch, with changes that only the reading transaction sees.
#[derive(Debug)]
pub struct CollectionProvider {
    collection: Arc<Collection>,
    epoch: Epoch,
    changes: Option<Delta>,
}

impl CollectionProvider {
    /// The rows as of `epoch`, with `changes` applied.
    pub fn new(collection: Arc<Collection>, epoch: Epoch, changes: Option<Delta>) -> CollectionProvider {
        CollectionProvider {
            collection,
            epoch,
            changes,
        }
    }

    /// At least the rows with this key, found by the index; `None` when it is no key to look up by.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn rows_of_key(
        &self,
        key: &[ArrayRef],
        projection: Option<&[usize]>,
    ) -> Result<Option<Vec<RecordBatch>>, SqlError> {
        let Some(found) = self.collection.lookup(self.epoch, key)? else {
            return Ok(None);
        };
        let rows = match &self.changes {
            None => vec![found],
            Some(changes) => with_changes(vec![found], changes)?,
        };
        Ok(Some(project(rows, projection)?))
    }

    /// At least the rows that pass the filters.
    fn batches(&self, projection: Option<&[usize]>, filters: &[Expr]) -> Result<Vec<RecordBatch>, SqlError> {
        if let Some(key) = self.wanted_keys(filters)
            && let Some(rows) = self.rows_of_key(&key, projection)?
        {
            return Ok(rows);
        }
        match &self.changes {
            None => self.collection.scan(self.epoch, projection),
            Some(changes) => {
                let rows = with_changes(self.collection.scan(self.epoch, None)?, changes)?;
                Ok(project(rows, projection)?)
            }
        }
    }

    /// The one key that all rows which pass the filters have, when they say so.
    fn wanted_keys(&self, filters: &[Expr]) -> Option<Vec<ArrayRef>> {
        let key = self.collection.key()?;
        let wanted: HashMap<&str, &ScalarValue> = filters.iter().flat_map(equalities).collect();
        let value_of = |column: &usize| {
            let field = self.collection.schema().field(*column);
            let value = *wanted.get(field.name().as_str())?;
            is_value_of(value, field.data_type()).then(|| value.to_array().ok())?
        };
        key.iter().map(value_of).collect()
    }
}

/// The columns that a condition says to be equal to a value.
fn equalities(filter: &Expr) -> Vec<(&str, &ScalarValue)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else {
        return Vec::new();
    };
    match (left.as_ref(), op, right.as_ref()) {
        (_, Operator::And, _) => [equalities(left), equalities(right)].concat(),
        (Expr::Column(column), Operator::Eq, Expr::Literal(value, _))
        | (Expr::Literal(value, _), Operator::Eq, Expr::Column(column)) => vec![(column.name.as_str(), value)],
        _ => Vec::new(),
    }
}

fn is_value_of(value: &ScalarValue, column_type: &DataType) -> bool {
    !value.is_null() && value.data_type() == *column_type
}

fn project(rows: Vec<RecordBatch>, projection: Option<&[usize]>) -> Result<Vec<RecordBatch>, ExecError> {
    match projection {
        None => Ok(rows),
        Some(columns) => Ok(rows
            .iter()
            .map(|batch| batch.project(columns))
            .collect::<Result<_, _>>()?),
    }
}

/// The rows with changes applied. A row that is retracted but not there is one that was not asked for.
fn with_changes(rows: Vec<RecordBatch>, changes: &Delta) -> Result<Vec<RecordBatch>, ExecError> {
    let net = changes.consolidate()?;
    let mut batches = match net.is_append_only() {
        true => rows,
        false => without(rows, &net)?,
    };
    batches.push(additions(&net)?);
    Ok(batches)
}

/// The rows without those that `changes` retracts.
fn without(rows: Vec<RecordBatch>, changes: &Delta) -> Result<Vec<RecordBatch>, ExecError> {
    let encoder = RowKeys::try_new(&changes.schema())?;
    let encoded = encoder.encode(changes.batch().columns())?;
    let mut retracted: HashMap<&[u8], i64> = HashMap::new();
    for row in (0..changes.num_rows()).filter(|row| changes.weight(*row) < 0) {
        *retracted.entry(encoded.row(row).data()).or_default() -= changes.weight(row);
    }
    let mut kept = Vec::with_capacity(rows.len());
    for batch in rows {
        let encoded = encoder.encode(batch.columns())?;
        let stays = |row: usize| match retracted.get_mut(encoded.row(row).data()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            Some(_) | None => true,
        };
        let mask = BooleanArray::from((0..batch.num_rows()).map(stays).collect::<Vec<bool>>());
        kept.push(filter_record_batch(&batch, &mask)?);
    }
    Ok(kept)
}

/// The rows under the collection's own schema: a transaction's changes come with every column nullable.
fn retype(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let retyped = RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &rows)?;
    Ok(retyped)
}

#[async_trait]
impl TableProvider for CollectionProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.collection.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let batches = self
            .batches(projection.map(Vec::as_slice), filters)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let schema = match projection {
            Some(columns) => Arc::new(self.schema().project(columns)?),
            None => self.schema(),
        };
        let batches: Vec<RecordBatch> = batches
            .into_iter()
            .map(|batch| retype(&batch, &schema))
            .collect::<Result<_, _>>()?;
        // Filters are applied above, so that only without them the first rows are enough.
        let limit = limit.filter(|_| filters.is_empty());
        let source = MemorySourceConfig::try_new(&[batches], schema, None)?.with_limit(limit);
        Ok(DataSourceExec::from_data_source(source))
    }
}
