//! Pairs of a join: rows of a delta beside entries of the other side's store, the residual condition on them, and the
//! output batches that they become.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use highwater_types::Delta;

use crate::ExecError;
use crate::op::expression::{compile, evaluate_guarded};
use crate::op::rows::RowStore;
use crate::op::{OpContext, Output};

/// A condition over columns of both sides.
#[derive(Debug)]
pub(in crate::op) struct Residual {
    condition: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// Which columns it reads: the side, and the column there.
    columns: Vec<(usize, usize)>,
    left_width: usize,
}

impl Residual {
    /// The condition over the columns of two inputs; only those that it reads will be gathered.
    ///
    /// # Errors
    /// When it does not fit them.
    pub(in crate::op) fn try_new(
        condition: &Expr,
        inputs: &[DFSchemaRef],
        context: &OpContext,
    ) -> Result<Residual, ExecError> {
        let both = inputs[0].join(&inputs[1])?;
        let left_width = inputs[0].fields().len();
        let mut read: Vec<usize> = condition
            .column_refs()
            .into_iter()
            .map(|c| both.index_of_column(c))
            .collect::<Result<_, _>>()?;
        read.sort_unstable();
        read.dedup();
        // A condition over no column still needs one, for the number of rows.
        if read.is_empty() {
            read.push(0);
        }
        let fields = read
            .iter()
            .map(|c| {
                let (qualifier, field) = both.qualified_field(*c);
                (qualifier.cloned(), Arc::new(field.as_ref().clone().with_nullable(true)))
            })
            .collect();
        let schema = DFSchema::new_with_metadata(fields, both.metadata().clone())?;
        Ok(Residual {
            condition: compile(condition, &schema, context)?,
            schema: Arc::clone(schema.inner()),
            left_width,
            columns: read
                .into_iter()
                .map(|c| if c < left_width { (0, c) } else { (1, c - left_width) })
                .collect(),
        })
    }
}

impl Residual {
    /// Where the condition is true, over rows that have both sides' columns already. Where it fails, ships a fault.
    ///
    /// # Errors
    /// When the rows are not of both sides.
    pub(in crate::op) fn evaluate_joined(
        &self,
        rows: &RecordBatch,
        weights: &[i64],
        out: &mut Output,
    ) -> Result<BooleanArray, ExecError> {
        let columns = self
            .columns
            .iter()
            .map(|(side, column)| Arc::clone(rows.column(column + side * self.left_width)))
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        evaluate_guarded(&self.condition, &batch, weights, out)
    }
}

/// Rows of a delta of side `side` (0 is left), each beside an entry of the other side's store.
#[derive(Debug)]
pub(in crate::op) struct Pairs {
    side: usize,
    pub(in crate::op) rows: Vec<u32>,
    pub(in crate::op) entries: Vec<u32>,
    pub(in crate::op) weights: Vec<i64>,
}

impl Pairs {
    /// No pairs yet.
    pub(in crate::op) fn new(side: usize) -> Pairs {
        Pairs {
            side,
            rows: Vec::new(),
            entries: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// How many there are.
    pub(in crate::op) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds one.
    pub(in crate::op) fn push(&mut self, row: usize, entry: u32, weight: i64) {
        self.rows.push(row as u32);
        self.entries.push(entry);
        self.weights.push(weight);
    }

    /// Keeps those for which the condition is true.
    ///
    /// # Errors
    /// When columns cannot be gathered.
    pub(in crate::op) fn retain(
        &mut self,
        residual: &Residual,
        delta: &RecordBatch,
        other: &RowStore,
        out: &mut Output,
    ) -> Result<(), ExecError> {
        let (own, theirs): (Vec<usize>, Vec<usize>) = (
            residual
                .columns
                .iter()
                .filter(|c| c.0 == self.side)
                .map(|c| c.1)
                .collect(),
            residual
                .columns
                .iter()
                .filter(|c| c.0 != self.side)
                .map(|c| c.1)
                .collect(),
        );
        let rows = UInt32Array::from(self.rows.clone());
        let own: Vec<ArrayRef> = own
            .into_iter()
            .map(|c| take(delta.column(c), &rows, None))
            .collect::<Result<_, _>>()?;
        let theirs = other.gather_columns(&self.entries, &theirs)?;
        // Columns are sorted, so the left side's come first.
        let columns = if self.side == 0 { [own, theirs] } else { [theirs, own] }.concat();
        let batch = RecordBatch::try_new(Arc::clone(&residual.schema), columns)?;
        let mask = evaluate_guarded(&residual.condition, &batch, &self.weights, out)?;
        if mask.true_count() == self.len() {
            return Ok(());
        }
        let mut keep = mask.values().iter();
        self.rows.retain(|_| keep.next().unwrap_or(false));
        let mut keep = mask.values().iter();
        self.entries.retain(|_| keep.next().unwrap_or(false));
        let mut keep = mask.values().iter();
        self.weights.retain(|_| keep.next().unwrap_or(false));
        Ok(())
    }

    /// The output rows: the left side's columns, then the right's.
    ///
    /// # Errors
    /// When columns cannot be gathered.
    pub(in crate::op) fn to_delta(
        &self,
        schema: &SchemaRef,
        delta: &RecordBatch,
        other: &RowStore,
    ) -> Result<Delta, ExecError> {
        let rows = UInt32Array::from(self.rows.clone());
        let own: Vec<ArrayRef> = delta
            .columns()
            .iter()
            .map(|c| take(c, &rows, None))
            .collect::<Result<_, _>>()?;
        let theirs = other.gather(&self.entries)?.columns().to_vec();
        let columns = if self.side == 0 { [own, theirs] } else { [theirs, own] }.concat();
        let batch = RecordBatch::try_new(Arc::clone(schema), columns)?;
        Ok(Delta::try_new(batch, to_weights(&self.weights))?)
    }
}

/// `None` when all are 1.
pub(in crate::op) fn to_weights(weights: &[i64]) -> Option<Int64Array> {
    weights
        .iter()
        .any(|w| *w != 1)
        .then(|| Int64Array::from(weights.to_vec()))
}

/// Rows of one side with NULLs in place of the other's columns, or, for an output without those, as they are.
///
/// # Errors
/// When the rows are not of the side.
pub(in crate::op) fn pad(side: usize, rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ExecError> {
    let missing = schema.fields().len() - rows.num_columns();
    let mut columns = rows.columns().to_vec();
    let nulls = |fields: &[arrow::datatypes::FieldRef]| -> Vec<ArrayRef> {
        fields
            .iter()
            .map(|f| new_null_array(f.data_type(), rows.num_rows()))
            .collect()
    };
    if side == 0 {
        columns.extend(nulls(&schema.fields()[rows.num_columns()..]));
    } else {
        columns.splice(0..0, nulls(&schema.fields()[..missing]));
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
