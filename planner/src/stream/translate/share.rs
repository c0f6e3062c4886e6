//! Subplans that a query has twice, as Nexmark's q5 counts the same bids twice, are computed once: the second time a
//! node reads the first one's output. Only what keeps state is worth it.
//!
//! Two nodes do the same when they agree in all but the names of their columns. So a node is written down with columns
//! by position, and found by that text.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchemaRef};
use datafusion::logical_expr::Expr;

use super::fused::fuse;
use super::{Built, Translator};
use crate::error::Result;
use crate::stream::plan::{Step, StreamNode, StreamOp};

impl Translator<'_> {
    /// The node, or one that reads an earlier node that does the same.
    pub(super) fn shared(&mut self, built: Built) -> Result<Built> {
        let mut text = String::new();
        if write_node(&built.node, &mut text).is_none() {
            return Ok(built);
        }
        let Some(earlier) = self.written.get(&text) else {
            self.written.insert(text, Arc::clone(&built.node));
            return Ok(built);
        };
        let schema = Arc::clone(built.schema());
        let columns = earlier.schema.fields().iter();
        let columns = columns.map(|f| Expr::Column(Column::new_unqualified(f.name().clone())));
        let step = Step::Project(columns.collect(), Arc::clone(&schema));
        let facts = built.facts.clone();
        let earlier = Built {
            node: Arc::clone(earlier),
            facts: built.facts,
        };
        Ok(fuse(earlier, step, schema, facts))
    }
}

/// Writes a node and what is below it down; `None` for a node that is not compared.
fn write_node(node: &StreamNode, text: &mut String) -> Option<()> {
    let below: Vec<&DFSchemaRef> = node.inputs.iter().map(|input| &input.schema).collect();
    match &node.op {
        StreamOp::Input { relation, columns } => write!(text, "Input {relation} {columns:?}"),
        StreamOp::Fused(steps) => {
            let mut schema = *below.first()?;
            for step in steps {
                match step {
                    Step::Filter(condition) => write!(text, "Filter {:?} ", by_position(condition, &[schema])?).ok()?,
                    Step::Project(exprs, output) => {
                        for expr in exprs {
                            write!(text, "Project {:?} ", by_position(expr, &[schema])?).ok()?;
                        }
                        schema = output;
                    }
                    // Its columns are named by later steps; those names are the same in every plan.
                    Step::Window(assign) => write!(text, "Window {assign:?} ").ok()?,
                    Step::Unnest(lists, output) => {
                        write!(text, "Unnest {lists:?} ").ok()?;
                        schema = output;
                    }
                }
            }
            Ok(())
        }
        StreamOp::Aggregate(aggregate) => {
            write!(text, "Aggregate {:?} {:?} ", aggregate.group, aggregate.complete).ok()?;
            for call in &aggregate.calls {
                let of = (&call.args, call.distinct, call.filter, call.output.data_type());
                write!(text, "{:?} {of:?} ", call.kind).ok()?;
            }
            write!(text, "{}", aggregate.append_only_input)
        }
        StreamOp::Join(join) => {
            let filter = match &join.filter {
                None => None,
                Some(filter) => Some(by_position(filter, &below)?),
            };
            write!(text, "Join {:?} {:?} {}", join.kind, join.keys, join.null_equals_null).ok()?;
            write!(text, " {filter:?} {}", join.meets_within_epoch)
        }
        StreamOp::Session(session) => write!(text, "{session:?}"),
        StreamOp::Constant(_)
        | StreamOp::TemporalFilter(_)
        | StreamOp::TemporalJoin(_)
        | StreamOp::TopN(_)
        | StreamOp::Union
        | StreamOp::General(_)
        | StreamOp::HoldUntil { .. } => return None,
    }
    .ok()?;
    for field in node.schema.fields() {
        write!(text, " {} {:?}", field.data_type(), field.metadata()).ok()?;
    }
    for input in &node.inputs {
        text.push_str(" (");
        write_node(input, text)?;
        text.push(')');
    }
    Some(())
}

/// An expression with its columns named by their place in these schemas, one after the other. A column that is in none
/// of them, as a window's bound, keeps its name.
fn by_position(expr: &Expr, schemas: &[&DFSchemaRef]) -> Option<Expr> {
    let place = |column: &Column| {
        let names = schemas.iter().flat_map(|schema| schema.fields().iter());
        names.into_iter().position(|field| *field.name() == column.name)
    };
    let renamed = expr.clone().transform_up(|node| {
        Ok(match node {
            Expr::Column(column) => match place(&column) {
                Some(place) => Transformed::yes(Expr::Column(Column::new_unqualified(format!("#{place}")))),
                None => Transformed::no(Expr::Column(column)),
            },
            other => Transformed::no(other),
        })
    });
    Some(renamed.ok()?.data)
}
