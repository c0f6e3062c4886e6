//! GROUP BY and DISTINCT.

use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{self as logical, Expr, LogicalPlan};

use super::fused::Computed;
use super::{Built, Translator, schema_of};
use crate::error::Result;
use crate::stream::completion;
use crate::stream::derive::Facts;
use crate::stream::plan::{Aggregate, AggregateCall, AggregateKind, Completion, StateBound, StreamOp};

/// What a call needs of the operator's input: positions in the list of needed expressions.
struct Needed {
    kind: AggregateKind,
    args: Vec<usize>,
    filter: Option<usize>,
    distinct: bool,
}

impl Translator<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &logical::Aggregate) -> Result<Built> {
        let input = self.node(&aggregate.input)?;
        let below = aggregate.input.schema();
        let mut exprs = aggregate
            .group_expr
            .iter()
            .map(|e| self.resolve(e, below, &input))
            .collect::<Result<Vec<_>>>()?;
        let group_count = exprs.len();
        let calls = aggregate
            .aggr_expr
            .iter()
            .map(|e| self.resolve(e, below, &input))
            .collect::<Result<Vec<_>>>()?;
        let needed: Option<Vec<Needed>> = calls.iter().map(|call| native_call(call, &mut exprs)).collect();
        let Some(needed) = needed else {
            exprs.truncate(group_count);
            return self.general_aggregate(aggregate, input, exprs, calls);
        };
        let (input, places) = self.only_columns(input, &exprs)?;
        let (group, _) = places.split_at(group_count);
        let mut fields = Vec::with_capacity(aggregate.schema.fields().len());
        for (at, column) in group.iter().enumerate() {
            let field = input.field(*column);
            fields.push(if group[..at].contains(column) {
                self.fresh_field(&field.clone())
            } else {
                field.clone()
            });
        }
        let mut native = Vec::with_capacity(needed.len());
        for (call, field) in needed.into_iter().zip(&aggregate.schema.fields()[group_count..]) {
            let output = self.fresh_field(field);
            fields.push(output.clone());
            native.push(AggregateCall {
                kind: call.kind,
                args: call.args.iter().map(|a| places[*a]).collect(),
                distinct: call.distinct,
                filter: call.filter.map(|f| places[f]),
                output,
            });
        }
        self.grouped(input, group.to_vec(), native, schema_of(fields)?)
    }

    /// DISTINCT over all columns of a plan.
    pub(super) fn distinct(&mut self, plan: &LogicalPlan) -> Result<Built> {
        let input = self.node(plan)?;
        let width = plan.schema().fields().len().max(1);
        let input = self.keep_columns(input, &(0..width).collect::<Vec<_>>())?;
        let schema = input.schema().clone();
        self.grouped(input, (0..width).collect(), Vec::new(), schema)
    }

    fn grouped(
        &mut self,
        input: Built,
        group: Vec<usize>,
        calls: Vec<AggregateCall>,
        schema: datafusion::common::DFSchemaRef,
    ) -> Result<Built> {
        let complete = completion::of_groups(&input.facts, &group, self.emit);
        let facts = grouped_facts(&input.facts, &group, schema.fields().len(), complete.as_ref());
        let state = state_of(&input, &group, &calls, complete.as_ref());
        let op = StreamOp::Aggregate(Aggregate {
            group,
            calls,
            complete,
            append_only_input: input.facts.append_only,
        });
        Ok(Built::new(op, vec![input.node], schema, facts).with_state(state, Vec::new()))
    }

    /// `input` with just these expressions as columns where any has to be computed; as it is otherwise.
    fn only_columns(&mut self, input: Built, exprs: &[Expr]) -> Result<(Built, Vec<usize>)> {
        if let Some(places) = exprs.iter().map(|e| input.position(e)).collect::<Option<Vec<_>>>() {
            return Ok((input, places));
        }
        let (wide, places) = self.with_columns(input, exprs)?;
        let mut kept: Vec<usize> = places.clone();
        kept.sort_unstable();
        kept.dedup();
        let columns = kept.iter().map(|c| Computed::pass(&wide, *c)).collect();
        let places = places
            .iter()
            .map(|p| kept.iter().position(|k| k == p).expect("kept holds every place"))
            .collect();
        Ok((self.project(wide, columns)?, places))
    }
}

/// What is known about one row a group: the group's columns, then `width - group.len()` others.
pub(super) fn grouped_facts(input: &Facts, group: &[usize], width: usize, complete: Option<&Completion>) -> Facts {
    let mut bounds: Vec<_> = group.iter().map(|c| input.bounds[*c].clone()).collect();
    bounds.resize(width, None);
    let facts = Facts {
        key: Some((0..group.len()).collect()),
        bounds,
        ..Facts::default()
    };
    match complete.filter(|c| c.emit_on_close) {
        Some(complete) => facts.closed_by(complete.group_column),
        None => facts,
    }
}

/// The call as an operator of its own does it, its needs added to `exprs`; `None` when the general operator must.
fn native_call(call: &Expr, exprs: &mut Vec<Expr>) -> Option<Needed> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = call else {
        return None;
    };
    let kind = match func.name() {
        "count" => AggregateKind::Count,
        "sum" => AggregateKind::Sum,
        "avg" => AggregateKind::Avg,
        "min" => AggregateKind::Min,
        "max" => AggregateKind::Max,
        "bool_and" | "every" => AggregateKind::BoolAnd,
        "bool_or" => AggregateKind::BoolOr,
        _ => return None,
    };
    if params.args.len() > 1 || params.null_treatment.is_some() {
        return None;
    }
    let mut add = |expr: &Expr| match exprs.iter().position(|e| e == expr) {
        Some(at) => at,
        None => {
            exprs.push(expr.clone());
            exprs.len() - 1
        }
    };
    let counts_rows = kind == AggregateKind::Count && !params.distinct && params.args.iter().all(is_never_null);
    let args = if counts_rows {
        Vec::new()
    } else {
        params.args.iter().map(&mut add).collect()
    };
    Some(Needed {
        kind,
        args,
        filter: params.filter.as_deref().map(add),
        distinct: params.distinct,
    })
}

fn is_never_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if !value.is_null())
}

fn state_of(input: &Built, group: &[usize], calls: &[AggregateCall], complete: Option<&Completion>) -> StateBound {
    if let Some(complete) = complete {
        return StateBound::Watermark(complete.sources.clone());
    }
    let keeps_values = calls.iter().any(|call| {
        let ordered = matches!(call.kind, AggregateKind::Min | AggregateKind::Max);
        call.distinct || (ordered && !input.facts.append_only)
    });
    if group.is_empty() {
        return if keeps_values {
            StateBound::Unbounded("grows with the distinct values aggregated".to_string())
        } else {
            StateBound::Rows(1)
        };
    }
    let names: Vec<&str> = group.iter().map(|c| input.field(*c).name().as_str()).collect();
    StateBound::Unbounded(format!(
        "grows with the distinct ({}); grouping by a watermarked window_end would bound it",
        names.join(", ")
    ))
}
