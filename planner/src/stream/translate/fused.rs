//! Projections and filters: steps of one [`StreamOp::Fused`] node.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::{Column, DFSchema, DFSchemaRef, HashMap};
use datafusion::logical_expr::{Expr, Filter, Projection};

use super::top_n::drop_unused_rank;
use super::{Built, Translator, resolve_with, schema_of};
use crate::error::Result;
use crate::stream::derive::{Bound, Facts};
use crate::stream::monotone;
use crate::stream::plan::{Step, StreamNode, StreamOp};

/// One output column of a projection: its expression over the input, and its name, type and metadata.
#[derive(Debug, Clone)]
pub(super) struct Computed {
    pub(super) expr: Expr,
    pub(super) field: FieldRef,
}

impl Computed {
    /// A column of the input as it is.
    pub(super) fn pass(input: &Built, column: usize) -> Computed {
        Computed {
            expr: input.column(column),
            field: Arc::clone(input.field(column)),
        }
    }
}

impl Translator<'_> {
    pub(super) fn projection(&mut self, projection: &Projection, input: Built) -> Result<Built> {
        let below = projection.input.schema();
        let mut columns = Vec::with_capacity(projection.expr.len());
        for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
            let expr = self.resolve(expr, below, &input)?;
            let mut field = Arc::clone(field);
            // A column under its own name keeps the name it has in the plan.
            if let Some(at) = input.position(&expr)
                && at < below.fields().len()
                && below.field(at).name() == field.name()
            {
                field = Arc::new(field.as_ref().clone().with_name(input.field(at).name()));
            }
            columns.push(Computed { expr, field });
        }
        if columns.is_empty() {
            columns.push(Computed::pass(&input, 0));
        }
        self.project(input, columns)
    }

    pub(super) fn filter(&mut self, filter: &Filter) -> Result<Built> {
        if let Some(built) = self.filter_on_clock(filter)? {
            return Ok(built);
        }
        if let Some(built) = self.filter_on_rank(filter)? {
            return Ok(built);
        }
        let input = self.node(&filter.input)?;
        let predicate = self.resolve(&filter.predicate, filter.input.schema(), &input)?;
        Ok(keep_rows(input, predicate))
    }

    /// `input` with these columns instead of its own.
    pub(super) fn project(&mut self, input: Built, columns: Vec<Computed>) -> Result<Built> {
        let sources: Vec<Option<usize>> = columns.iter().map(|c| input.position(&c.expr)).collect();
        if is_identity(&input, &columns, &sources) {
            return Ok(input);
        }
        let mut taken = HashSet::new();
        let mut fields = Vec::with_capacity(columns.len());
        for (column, source) in columns.iter().zip(&sources) {
            let passes = source.is_some_and(|s| input.field(s).name() == column.field.name());
            let field = if passes && taken.insert(column.field.name().clone()) {
                Arc::clone(&column.field)
            } else {
                self.fresh_field(&column.field)
            };
            fields.push(field);
        }
        let mut facts = input.facts.project(&sources);
        for (at, column) in columns.iter().enumerate() {
            if sources[at].is_none() {
                facts.bounds[at] = monotone::bound_of(&column.expr, &|expr| self.bound_at(&input, expr));
            }
        }
        let schema = schema_of(fields)?;
        let exprs = columns.into_iter().map(|c| c.expr).collect();
        let (node, exprs) = over_earlier_columns(input.node, exprs)?;
        let below = Built {
            node: drop_unused_rank(node, &exprs)?,
            facts: input.facts,
        };
        Ok(fuse(below, Step::Project(exprs, Arc::clone(&schema)), schema, facts))
    }

    fn bound_at(&self, input: &Built, expr: &Expr) -> Option<Bound> {
        input.position(expr).and_then(|at| input.facts.bounds[at].clone())
    }
}

/// The rows of `input` where `predicate` is true.
pub(super) fn keep_rows(input: Built, predicate: Expr) -> Built {
    let schema = Arc::clone(input.schema());
    let facts = input.facts.clone();
    fuse(input, Step::Filter(predicate), schema, facts)
}

/// `input` with one step more, in the node that has its other stateless steps.
pub(super) fn fuse(input: Built, step: Step, schema: DFSchemaRef, facts: Facts) -> Built {
    let (mut steps, inputs) = if let StreamOp::Fused(steps) = &input.node.op {
        (steps.clone(), input.node.inputs.clone())
    } else {
        // The node itself, not a copy: others may read it too.
        (Vec::new(), vec![input.node])
    };
    steps.push(step);
    Built::new(StreamOp::Fused(steps), inputs, schema, facts)
}

/// The node without the projections at its end, and the expressions over the columns below those, as long as nothing
/// is computed twice for it. The node's schema is not that of its remaining steps.
fn over_earlier_columns(node: Arc<StreamNode>, exprs: Vec<Expr>) -> Result<(Arc<StreamNode>, Vec<Expr>)> {
    let StreamOp::Fused(steps) = &node.op else {
        return Ok((node, exprs));
    };
    let mut steps = steps.clone();
    let mut exprs = exprs;
    while let Some(Step::Project(earlier, schema)) = steps.last() {
        if computed_twice(&exprs, earlier, schema) {
            break;
        }
        let rename = |column: &Column| Ok(earlier[schema.index_of_column(column)?].clone());
        exprs = exprs.iter().map(|e| resolve_with(e, &rename)).collect::<Result<_>>()?;
        steps.pop();
    }
    if steps.is_empty() {
        return Ok((Arc::clone(&node.inputs[0]), exprs));
    }
    let mut node = Arc::unwrap_or_clone(node);
    node.op = StreamOp::Fused(steps);
    Ok((Arc::new(node), exprs))
}

/// Whether `exprs` use an expression of `earlier`, which is no plain column, more than once.
fn computed_twice(exprs: &[Expr], earlier: &[Expr], schema: &DFSchema) -> bool {
    let mut uses: HashMap<&Column, usize> = HashMap::new();
    for expr in exprs {
        expr.add_column_ref_counts(&mut uses);
    }
    uses.into_iter().any(|(column, count)| {
        let computes = schema
            .maybe_index_of_column(column)
            .is_none_or(|at| !matches!(earlier[at], Expr::Column(_)));
        computes && count > 1
    })
}

/// Whether a projection changes nothing but names.
fn is_identity(input: &Built, columns: &[Computed], sources: &[Option<usize>]) -> bool {
    columns.len() == input.width()
        && sources.iter().enumerate().all(|(at, source)| *source == Some(at))
        && columns
            .iter()
            .enumerate()
            .all(|(at, c)| c.field.metadata() == input.field(at).metadata())
}
