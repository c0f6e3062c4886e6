//! [`DirectPlan`]: a plan over so few rows that planning would cost more than computing: the row of one key, or rows
//! that the statement itself gives. Its expressions are compiled once, when the statement is prepared; a run looks
//! the row up in the collection's index and evaluates them, and DataFusion's planner has no part in it.
//!
//! It is a short cut and nothing else. The expressions are those that DataFusion would compile, all filters are
//! applied to what the index finds, and whenever something is unusual (a key of NULL, a parameter of another type,
//! an expression that fails) the answer is [`None`]: then the plan itself is run, and says what there is to say.
//!
//! Parameters stand beside each row as columns of their own.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Expr, FetchType, LogicalPlan, Operator, SkipType, TableScan, Values};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use highwater_planner::{RelationSource, ScanTarget};
use highwater_types::{RelationId, SqlError};

use super::CollectionProvider;
use crate::op::{evaluate_condition, nullable};

/// What qualifies the columns that parameters stand in. No statement can name it: it is not a plain identifier.
const PARAMETERS: &str = "$";
/// Rows that a statement gives are evaluated one by one; from this many on a plan does better.
const MAX_GIVEN_ROWS: usize = 16;

/// A plan that needs no planner when it runs.
#[derive(Debug)]
pub struct DirectPlan {
    base: Base,
    steps: Vec<Step>,
    params: Vec<FieldRef>,
    params_schema: SchemaRef,
    output: SchemaRef,
}

/// Where the rows come from.
#[derive(Debug)]
enum Base {
    /// The row of a key.
    Key(KeyScan),
    /// The statement.
    Given {
        rows: Vec<Vec<Compiled>>,
        schema: SchemaRef,
    },
    /// One row without columns.
    Unit,
}

#[derive(Debug)]
struct KeyScan {
    relation: RelationId,
    /// The value of each key column, in the key's order.
    key: Vec<Compiled>,
    projection: Option<Vec<usize>>,
}

/// What is done to the rows. Schemas are those of the rows with their parameters.
#[derive(Debug)]
enum Step {
    Filter {
        condition: Compiled,
        input: SchemaRef,
    },
    Project {
        expressions: Vec<Compiled>,
        input: SchemaRef,
        output: SchemaRef,
    },
}

type Compiled = Arc<dyn PhysicalExpr>;

impl DirectPlan {
    /// Compiles an optimised plan; `None` when it is not of this kind. `key_of` answers the key columns of a stored
    /// relation, `params` are the types of `$1`, `$2`, ...
    pub fn of(
        plan: &LogicalPlan,
        params: &[DataType],
        key_of: impl Fn(RelationId) -> Option<Vec<usize>>,
        state: &SessionState,
    ) -> Option<DirectPlan> {
        let params: Vec<FieldRef> = params
            .iter()
            .enumerate()
            .map(|(index, data_type)| Arc::new(Field::new(format!("${}", index + 1), data_type.clone(), true)))
            .collect();
        let compiler = Compiler {
            params: &params,
            key_of: &key_of,
            state,
        };
        let mut steps = Vec::new();
        // An expression that does not compile here is one for the planner.
        let base = compiler.collect(plan, &mut steps).ok()??;
        Some(DirectPlan {
            base,
            steps,
            params_schema: Arc::new(Schema::new(params.clone())),
            params,
            output: nullable(plan.schema().as_arrow()),
        })
    }

    /// How many parameters it was compiled for.
    pub fn parameter_count(&self) -> usize {
        self.params.len()
    }

    /// The relation whose row it finds by key, if it does.
    pub fn reads(&self) -> Option<RelationId> {
        match &self.base {
            Base::Key(scan) => Some(scan.relation),
            Base::Given { .. } | Base::Unit => None,
        }
    }

    /// The rows, or `None` when the plan itself must be run. `rows_of` answers what the statement sees of a relation.
    ///
    /// # Errors
    /// When the relation cannot be read.
    pub fn run(
        &self,
        params: &[ScalarValue],
        rows_of: impl FnOnce(RelationId) -> Result<CollectionProvider, SqlError>,
    ) -> Result<Option<RecordBatch>, SqlError> {
        let Some(params) = self.arguments(params) else {
            return Ok(None);
        };
        let rows = match &self.base {
            Base::Unit => Ok(Rows::unit()),
            Base::Given { rows, schema } => params.given(rows, schema),
            Base::Key(scan) => {
                let Some(key) = params.key(scan) else { return Ok(None) };
                match rows_of(scan.relation)?.rows_of_key(&key, scan.projection.as_deref())? {
                    Some(rows) => Rows::of(rows),
                    None => return Ok(None),
                }
            }
        };
        let computed = rows.and_then(|rows| self.compute(rows, &params));
        // What failed fails again in the plan's own way, or was never an error there.
        Ok(computed.ok())
    }

    /// The parameters, if they have the types that the expressions were compiled for.
    fn arguments<'a>(&self, values: &'a [ScalarValue]) -> Option<Arguments<'a>> {
        let fits = values.len() == self.params.len()
            && values
                .iter()
                .zip(&self.params)
                .all(|(value, field)| value.data_type() == *field.data_type());
        fits.then(|| Arguments {
            values,
            schema: Arc::clone(&self.params_schema),
        })
    }

    fn compute(&self, mut rows: Rows, params: &Arguments<'_>) -> Result<RecordBatch, DataFusionError> {
        for step in &self.steps {
            if rows.count == 0 {
                break;
            }
            rows = match step {
                Step::Filter { condition, input } => {
                    let batch = params.beside(&rows, input)?;
                    let kept = filter_record_batch(&batch, &evaluate_condition(condition, &batch)?)?;
                    Rows {
                        columns: kept.columns()[..rows.columns.len()].to_vec(),
                        count: kept.num_rows(),
                    }
                }
                Step::Project {
                    expressions,
                    input,
                    output,
                } => {
                    let batch = params.beside(&rows, input)?;
                    let columns = evaluate(expressions, &batch)?;
                    batch_of(output, columns, rows.count).map(|batch| Rows {
                        columns: batch.columns().to_vec(),
                        count: batch.num_rows(),
                    })?
                }
            };
        }
        if rows.count == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.output)));
        }
        batch_of(&self.output, rows.columns, rows.count)
    }
}

/// Rows on their way through the steps.
struct Rows {
    columns: Vec<ArrayRef>,
    count: usize,
}

impl Rows {
    fn unit() -> Rows {
        Rows {
            columns: Vec::new(),
            count: 1,
        }
    }

    fn of(batches: Vec<RecordBatch>) -> Result<Rows, DataFusionError> {
        let batch = match batches.as_slice() {
            [batch] => batch.clone(),
            [first, ..] => concat_batches(&nullable(&first.schema()), &batches)?,
            [] => {
                return Err(DataFusionError::Internal(
                    "a look-up answers at least one batch".to_string(),
                ));
            }
        };
        Ok(Rows {
            columns: batch.columns().to_vec(),
            count: batch.num_rows(),
        })
    }
}

/// The values of the parameters.
struct Arguments<'a> {
    values: &'a [ScalarValue],
    schema: SchemaRef,
}

impl Arguments<'_> {
    /// The rows with the parameters beside them.
    fn beside(&self, rows: &Rows, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
        let mut columns = rows.columns.clone();
        for value in self.values {
            columns.push(value.to_array_of_size(rows.count)?);
        }
        batch_of(schema, columns, rows.count)
    }

    fn alone(&self) -> Result<RecordBatch, DataFusionError> {
        self.beside(&Rows::unit(), &self.schema)
    }

    /// The wanted key; `None` when a part of it is NULL, or fails.
    fn key(&self, scan: &KeyScan) -> Option<Vec<ArrayRef>> {
        let key = evaluate(&scan.key, &self.alone().ok()?).ok()?;
        key.iter().all(|part| part.null_count() == 0).then_some(key)
    }

    fn given(&self, rows: &[Vec<Compiled>], schema: &SchemaRef) -> Result<Rows, DataFusionError> {
        let unit = self.alone()?;
        let batches = rows
            .iter()
            .map(|row| batch_of(schema, evaluate(row, &unit)?, 1))
            .collect::<Result<Vec<_>, _>>()?;
        Rows::of(batches)
    }
}

fn evaluate(expressions: &[Compiled], batch: &RecordBatch) -> Result<Vec<ArrayRef>, DataFusionError> {
    let rows = batch.num_rows();
    expressions
        .iter()
        .map(|expression| expression.evaluate(batch)?.into_array(rows))
        .collect()
}

fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, DataFusionError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

/// Makes steps of plan nodes.
struct Compiler<'a> {
    params: &'a [FieldRef],
    key_of: &'a dyn Fn(RelationId) -> Option<Vec<usize>>,
    state: &'a SessionState,
}

impl Compiler<'_> {
    /// Adds the steps of a plan, and answers where its rows come from; `None` for a plan of another kind.
    fn collect(&self, plan: &LogicalPlan, steps: &mut Vec<Step>) -> Result<Option<Base>, DataFusionError> {
        match plan {
            LogicalPlan::Projection(projection) => {
                let Some(base) = self.collect(&projection.input, steps)? else {
                    return Ok(None);
                };
                let input = self.with_params(projection.input.schema())?;
                steps.push(Step::Project {
                    expressions: self.compile_all(&projection.expr, &input)?,
                    input: nullable(input.as_arrow()),
                    output: nullable(projection.schema.as_arrow()),
                });
                Ok(Some(base))
            }
            LogicalPlan::Filter(filter) => {
                let Some(base) = self.collect(&filter.input, steps)? else {
                    return Ok(None);
                };
                let input = self.with_params(filter.input.schema())?;
                steps.push(Step::Filter {
                    condition: self.compile(&filter.predicate, &input)?,
                    input: nullable(input.as_arrow()),
                });
                Ok(Some(base))
            }
            LogicalPlan::SubqueryAlias(alias) => self.collect(&alias.input, steps),
            // The order of one row, and the first of one row.
            LogicalPlan::Sort(sort) if sort.fetch != Some(0) => self.one_row(&sort.input, steps),
            LogicalPlan::Limit(limit) => {
                let starts_at_first = matches!(limit.get_skip_type()?, SkipType::Literal(0));
                match limit.get_fetch_type()? {
                    FetchType::Literal(fetch) if starts_at_first && fetch != Some(0) => {
                        self.one_row(&limit.input, steps)
                    }
                    FetchType::Literal(_) | FetchType::UnsupportedExpr => Ok(None),
                }
            }
            LogicalPlan::TableScan(scan) => self.key_scan(scan),
            LogicalPlan::Values(values) => self.given(values),
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => Ok(Some(Base::Unit)),
            _ => Ok(None),
        }
    }

    fn one_row(&self, plan: &LogicalPlan, steps: &mut Vec<Step>) -> Result<Option<Base>, DataFusionError> {
        let base = self.collect(plan, steps)?;
        Ok(base.filter(|base| matches!(base, Base::Key(_) | Base::Unit)))
    }

    fn key_scan(&self, scan: &TableScan) -> Result<Option<Base>, DataFusionError> {
        let Some(source) = RelationSource::of(&scan.source) else {
            return Ok(None);
        };
        let (ScanTarget::Relation(relation), true) = (&source.target, scan.fetch != Some(0)) else {
            return Ok(None);
        };
        let Some(key) = (self.key_of)(*relation).filter(|key| !key.is_empty()) else {
            return Ok(None);
        };
        let wanted: HashMap<&str, &Expr> = scan.filters.iter().flat_map(equalities).collect();
        let alone = self.with_params(&DFSchema::empty())?;
        let mut compiled = Vec::with_capacity(key.len());
        for column in key {
            let field = source.schema.field(column);
            let Some(value) = wanted.get(field.name().as_str()) else {
                return Ok(None);
            };
            let value = self.compile(value, &alone)?;
            if value.data_type(alone.as_arrow())? != *field.data_type() {
                return Ok(None);
            }
            compiled.push(value);
        }
        Ok(Some(Base::Key(KeyScan {
            relation: *relation,
            key: compiled,
            projection: scan.projection.clone(),
        })))
    }

    fn given(&self, values: &Values) -> Result<Option<Base>, DataFusionError> {
        if values.values.is_empty() || values.values.len() > MAX_GIVEN_ROWS {
            return Ok(None);
        }
        let alone = self.with_params(&DFSchema::empty())?;
        let rows = values.values.iter().map(|row| self.compile_all(row, &alone));
        Ok(Some(Base::Given {
            rows: rows.collect::<Result<_, _>>()?,
            schema: nullable(values.schema.as_arrow()),
        }))
    }

    fn compile_all(&self, expressions: &[Expr], input: &DFSchema) -> Result<Vec<Compiled>, DataFusionError> {
        expressions.iter().map(|e| self.compile(e, input)).collect()
    }

    fn compile(&self, expression: &Expr, input: &DFSchema) -> Result<Compiled, DataFusionError> {
        let with_columns = expression.clone().transform(|e| match e {
            Expr::Placeholder(placeholder) => Ok(Transformed::yes(Expr::Column(Column::new(
                Some(TableReference::bare(PARAMETERS)),
                placeholder.id,
            )))),
            other => Ok(Transformed::no(other)),
        })?;
        let mut props = self.state.execution_props().clone();
        props.config_options = Some(Arc::clone(self.state.config_options()));
        create_physical_expr(&with_columns.data, input, &props, &PhysicalPlanningContext::default())
    }

    /// The columns of rows with the parameters beside them.
    fn with_params(&self, rows: &DFSchema) -> Result<DFSchema, DataFusionError> {
        let qualifier = Some(TableReference::bare(PARAMETERS));
        let params = self.params.iter().map(|field| (qualifier.clone(), Arc::clone(field)));
        let fields = rows
            .iter()
            .map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)))
            .chain(params)
            .collect();
        DFSchema::new_with_metadata(fields, HashMap::new())
    }
}

/// The columns that a condition says to be equal to something that no row has a part in.
fn equalities(filter: &Expr) -> Vec<(&str, &Expr)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else {
        return Vec::new();
    };
    match (left.as_ref(), op, right.as_ref()) {
        (_, Operator::And, _) => [equalities(left), equalities(right)].concat(),
        (Expr::Column(column), Operator::Eq, value) | (value, Operator::Eq, Expr::Column(column))
            if !value.any_column_refs() && !value.is_volatile() =>
        {
            vec![(column.name.as_str(), value)]
        }
        _ => Vec::new(),
    }
}
