//! VALUES, and SELECT without FROM: rows that never change.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, new_empty_array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DFSchemaRef, ScalarValue};
use datafusion::logical_expr::{EmptyRelation, Expr, Values};

use super::fused::Computed;
use super::{Built, Translator, schema_of};
use crate::error::Result;
use crate::stream::derive::Facts;
use crate::stream::plan::StreamOp;

impl Translator<'_> {
    pub(super) fn empty_relation(&mut self, empty: &EmptyRelation) -> Result<Built> {
        if empty.produce_one_row {
            return self.one_row();
        }
        if empty.schema.fields().is_empty() {
            let column: ArrayRef = Arc::new(BooleanArray::from(Vec::<bool>::new()));
            return self.constant(
                vec![Arc::new(Field::new("row", DataType::Boolean, false))],
                vec![column],
            );
        }
        let fields = empty.schema.fields().to_vec();
        let columns = fields.iter().map(|f| new_empty_array(f.data_type())).collect();
        self.constant(fields, columns)
    }

    pub(super) fn values(&mut self, values: &Values) -> Result<Built> {
        let constants: Option<Vec<Vec<&ScalarValue>>> = values
            .values
            .iter()
            .map(|row| row.iter().map(literal).collect())
            .collect();
        match constants {
            Some(rows) => self.literal_rows(&values.schema, &rows),
            None => {
                let rows = values
                    .values
                    .iter()
                    .map(|row| self.computed_row(&values.schema, row))
                    .collect::<Result<Vec<_>>>()?;
                self.all_of(rows)
            }
        }
    }

    fn literal_rows(&mut self, schema: &DFSchemaRef, rows: &[Vec<&ScalarValue>]) -> Result<Built> {
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (at, field) in schema.fields().iter().enumerate() {
            let values = rows
                .iter()
                .map(|row| row[at].cast_to(field.data_type()))
                .collect::<datafusion::common::Result<Vec<_>>>()?;
            columns.push(ScalarValue::iter_to_array(values)?);
        }
        self.constant(schema.fields().to_vec(), columns)
    }

    /// A row with values that are known only when they are computed: some may fail.
    fn computed_row(&mut self, schema: &DFSchemaRef, row: &[Expr]) -> Result<Built> {
        let one = self.one_row()?;
        let mut columns = Vec::with_capacity(row.len());
        for (expr, field) in row.iter().zip(schema.fields()) {
            columns.push(Computed {
                expr: self.resolve(expr, schema, &one)?,
                field: Arc::clone(field),
            });
        }
        self.project(one, columns)
    }

    /// One row; its column has no meaning.
    pub(super) fn one_row(&mut self) -> Result<Built> {
        let column: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        self.constant(
            vec![Arc::new(Field::new("row", DataType::Boolean, false))],
            vec![column],
        )
    }

    fn constant(&mut self, fields: Vec<Arc<Field>>, columns: Vec<ArrayRef>) -> Result<Built> {
        let fields: Vec<_> = fields.iter().map(|f| self.fresh_field(f)).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), columns)?;
        let facts = Facts {
            key: (batch.num_rows() <= 1).then(Vec::new),
            append_only: true,
            ..Facts::unknown(fields.len())
        };
        let schema = schema_of(fields)?;
        Ok(Built::new(StreamOp::Constant(batch), Vec::new(), schema, facts))
    }
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => literal(&alias.expr),
        _ => None,
    }
}
