//! UNION ALL.

use datafusion::logical_expr::{LogicalPlan, Union, lit};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use super::fused::Computed;
use super::{Built, Translator, schema_of};
use crate::error::Result;
use crate::stream::derive::{Bound, Facts};
use crate::stream::plan::{StateBound, StreamOp};

impl Translator<'_> {
    pub(super) fn union(&mut self, union: &Union) -> Result<Built> {
        let inputs = union
            .inputs
            .iter()
            .map(|plan| self.union_input(plan))
            .collect::<Result<Vec<_>>>()?;
        self.all_of(inputs)
    }

    fn union_input(&mut self, plan: &LogicalPlan) -> Result<Built> {
        let built = self.node(plan)?;
        let width = plan.schema().fields().len();
        if width > 0 {
            return self.keep_columns(built, &(0..width).collect::<Vec<_>>());
        }
        let row = Computed {
            expr: lit(true),
            field: Arc::new(Field::new("row", DataType::Boolean, false)),
        };
        self.project(built, vec![row])
    }

    /// All rows of inputs with the same columns.
    pub(super) fn all_of(&mut self, inputs: Vec<Built>) -> Result<Built> {
        let width = inputs[0].width();
        let mut fields = Vec::with_capacity(width);
        for column in 0..width {
            let nullable = inputs.iter().any(|i| i.field(column).is_nullable());
            let field = inputs[0].field(column).as_ref().clone().with_nullable(nullable);
            fields.push(self.fresh_field(&Arc::new(field)));
        }
        let facts = facts_of(&inputs, width);
        let nodes = inputs.into_iter().map(|i| i.node).collect();
        Ok(Built::new(StreamOp::Union, nodes, schema_of(fields)?, facts).with_state(StateBound::Stateless, Vec::new()))
    }
}

fn facts_of(inputs: &[Built], width: usize) -> Facts {
    let mut facts = Facts::unknown(width);
    facts.append_only = inputs.iter().all(|i| i.facts.append_only);
    facts.settled = inputs.iter().all(|i| i.facts.settled);
    for column in 0..width {
        let bounds: Option<Vec<&Bound>> = inputs.iter().map(|i| i.facts.bounds[column].as_ref()).collect();
        let Some((first, others)) = bounds.as_ref().and_then(|b| b.split_first()) else {
            continue;
        };
        let same_moment = others
            .iter()
            .all(|b| b.sources == first.sources && b.after_us == first.after_us);
        let mut bound = others.iter().fold((*first).clone(), |a, b| a.both(b));
        bound.family = None;
        facts.bounds[column] = Some(bound);
        if same_moment && inputs.iter().all(|i| i.facts.closed.contains(&column)) {
            facts.closed.push(column);
        }
    }
    facts
}
