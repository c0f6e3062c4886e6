//! What no operator of its own maintains: the general operator, with a batch plan over whole partitions.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{self as logical, Expr, LogicalPlan, LogicalPlanBuilder, Window};

use super::aggregate::grouped_facts;
use super::{Built, Translator, over, schema_of, temporal_filter};
use crate::context::{RelationSource, ScanTarget};
use crate::error::{PlanError, Result};
use crate::stream::completion;
use crate::stream::derive::Facts;
use crate::stream::plan::{General, Release, StateBound, StreamOp};

impl Translator<'_> {
    /// Aggregates, at least one of which has no accumulator of its own. `group` and `calls` are over `input`.
    pub(super) fn general_aggregate(
        &mut self,
        aggregate: &logical::Aggregate,
        input: Built,
        group: Vec<Expr>,
        calls: Vec<Expr>,
    ) -> Result<Built> {
        let group_count = group.len();
        let (input, partition) = self.with_columns(input, &group)?;
        if (1..partition.len()).any(|at| partition[..at].contains(&partition[at])) {
            return Err(PlanError::internal("a column is grouped by twice"));
        }
        let group = partition.iter().map(|c| input.column(*c)).collect();
        let plan = logical::Aggregate::try_new(Arc::new(scan_of(&input, 0)?), group, calls)?;
        let mut fields: Vec<_> = partition.iter().map(|c| input.field(*c).clone()).collect();
        for field in &aggregate.schema.fields()[group_count..] {
            fields.push(self.fresh_field(field));
        }
        let mut facts = grouped_facts(&input.facts, &partition, fields.len(), None);
        if input.facts.append_only
            && let Some(closed) = partition.iter().position(|c| input.facts.closed.contains(c))
        {
            facts.append_only = true;
            facts.settled = true;
            facts.closed = facts.family_of(closed);
        }
        let general = General {
            output_partition: (0..group_count).collect(),
            partition,
            plan: LogicalPlan::Aggregate(plan),
        };
        self.general(input, general, schema_of(fields)?, facts)
    }

    /// OVER windows, and the column of time in whose order they are, where they are settled as time passes.
    pub(super) fn over(&mut self, window: &Window) -> Result<(Built, Option<usize>)> {
        let input = self.node(&window.input)?;
        let below = window.input.schema();
        let width = below.fields().len();
        let exprs = window
            .window_expr
            .iter()
            .map(|e| self.resolve(e, below, &input))
            .collect::<Result<Vec<_>>>()?;
        let (input, partition) = self.with_columns(input, &common_partition(&exprs))?;
        let settled = over::settled(&exprs, &input, self.days_are_fixed);
        let plan = Window::try_new(exprs, Arc::new(scan_of(&input, 0)?))?;
        let mut fields = input.schema().fields().to_vec();
        for field in &window.schema.fields()[width..] {
            fields.push(self.fresh_field(field));
        }
        let mut facts = input.facts.within_partitions(&partition);
        facts.bounds.resize(fields.len(), None);
        let time = settled
            .as_ref()
            .map(|(column, _)| *column)
            .filter(|column| *column < width);
        if let Some((column, bound)) = settled {
            facts.bounds[column].get_or_insert(bound);
        }
        let input_width = input.width();
        let general = General {
            output_partition: partition.clone(),
            partition,
            plan: LogicalPlan::Window(plan),
        };
        let built = self.general(input, general, schema_of(fields)?, facts)?;
        let mut columns: Vec<usize> = (0..width).collect();
        columns.extend(input_width..built.width());
        Ok((self.keep_columns(built, &columns)?, time))
    }

    /// A recursion: computed whole whenever a relation that it reads changes.
    pub(super) fn recursion(&mut self, recursion: &LogicalPlan) -> Result<Built> {
        let mut inputs = Vec::new();
        let plan = recursion.clone().transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) if RelationSource::of(&scan.source).is_some() => {
                let built = self.table_scan(&scan)?;
                let scanned = scan_of(&built, inputs.len())?;
                let named = scanned.schema().columns().into_iter().zip(scan.projected_schema.iter());
                let named = named.map(|(column, (qualifier, field))| {
                    Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
                });
                let named = LogicalPlanBuilder::from(scanned)
                    .project(named.collect::<Vec<_>>())?
                    .build()?;
                inputs.push(built.node);
                Ok(Transformed::yes(named))
            }
            LogicalPlan::Extension(extension) => Err(DataFusionError::from(PlanError::unsupported(
                format!(
                    "{} inside of WITH RECURSIVE in a materialized view",
                    extension.node.name()
                ),
                "Compute it in a view of its own, and read that in the recursion.",
            ))),
            other if asks_clock_itself(&other)? => Err(DataFusionError::from(temporal_filter::refused())),
            other => Ok(Transformed::no(other)),
        })?;
        if inputs.is_empty() {
            inputs.push(self.one_row()?.node);
        }
        let fields = plan.data.schema().fields().iter().map(|field| self.fresh_field(field));
        let schema = schema_of(fields.collect())?;
        let facts = Facts::unknown(schema.fields().len());
        let general = General {
            partition: Vec::new(),
            plan: plan.data,
            output_partition: Vec::new(),
        };
        let state = "keeps all rows that WITH RECURSIVE reads, and computes it whole when they change";
        let built = Built::new(StreamOp::General(general), inputs, schema, facts);
        Ok(built.with_state(StateBound::Unbounded(state.to_string()), Vec::new()))
    }

    fn general(
        &mut self,
        input: Built,
        general: General,
        schema: datafusion::common::DFSchemaRef,
        facts: Facts,
    ) -> Result<Built> {
        let (state, release) = state_of(&input, &general.partition);
        Ok(Built::new(StreamOp::General(general), vec![input.node], schema, facts).with_state(state, release))
    }
}

/// Whether an expression of a node depends on the clock.
fn asks_clock_itself(node: &LogicalPlan) -> DfResult<bool> {
    let mut asks = false;
    node.apply_expressions(|expr| {
        asks |= temporal_filter::asks_clock(expr);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(asks)
}

fn state_of(input: &Built, partition: &[usize]) -> (StateBound, Vec<Release>) {
    if let Some((at, bound)) = input.facts.soonest(partition) {
        let release = completion::release(0, partition[at], bound);
        return (StateBound::Watermark(bound.sources.clone()), vec![release]);
    }
    let text = if partition.is_empty() {
        "keeps all rows it reads, in one partition; PARTITION BY or GROUP BY window_end would bound it"
    } else {
        "keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it"
    };
    (StateBound::Unbounded(text.to_string()), Vec::new())
}

/// The plan that stands for the rows of the partitions in hand.
fn scan_of(built: &Built, input: usize) -> Result<LogicalPlan> {
    let schema = Arc::clone(built.schema().inner());
    let source = RelationSource::new(ScanTarget::Placeholder("an input"), schema);
    Ok(LogicalPlanBuilder::scan(General::input_name(input), Arc::new(source), None)?.build()?)
}

/// The expressions that every one of these window functions partitions by.
fn common_partition(functions: &[Expr]) -> Vec<Expr> {
    let partitions: Vec<&[Expr]> = functions
        .iter()
        .map(|expr| match expr {
            Expr::WindowFunction(function) => function.params.partition_by.as_slice(),
            _ => &[],
        })
        .collect();
    let Some((first, others)) = partitions.split_first() else {
        return Vec::new();
    };
    let mut common: Vec<Expr> = Vec::new();
    for expr in *first {
        if others.iter().all(|o| o.contains(expr)) && !common.contains(expr) {
            common.push(expr.clone());
        }
    }
    common
}
