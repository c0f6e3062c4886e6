//! From an optimised logical plan to stream nodes, bottom up: one file a rewrite, [`Translator`] what they share.
//!
//! DataFusion names columns by qualifier and name; a stream plan by names that are unique in it (see
//! [`crate::stream::plan`]). So each logical node's columns are matched by position with the columns of the [`Built`]
//! node for it, and expressions are renamed on the way ([`Translator::resolve`]). A built node may have columns after
//! those of its logical node; nothing names them.

mod aggregate;
mod column;
mod constant;
mod fused;
mod general;
mod hold;
mod input;
mod interval;
mod join;
mod over;
mod session;
mod share;
mod temporal_filter;
mod temporal_join;
mod top_n;
mod union;
mod unnest;
mod window;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, DataFusionError, Result as DfResult};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use highwater_types::RelationId;

use super::derive::Facts;
use super::plan::{Properties, Release, StateBound, StreamNode, StreamOp};
use crate::catalog::{Catalog, EmitMode};
use crate::error::{PlanError, Result};
use crate::now::is_clock;
use crate::session_window::SessionNode;
use crate::window::{ProcTimeNode, WindowNode};

/// Finds out what is known about a materialized view's rows, by its id.
pub(super) type ViewFacts<'a> = &'a dyn Fn(RelationId) -> Result<Option<Facts>>;

/// Translates one view's plan.
pub(super) struct Translator<'a> {
    catalog: &'a Catalog,
    view_facts: ViewFacts<'a>,
    emit: EmitMode,
    /// Whether a day is always 24 hours.
    days_are_fixed: bool,
    names: HashSet<String>,
    families: usize,
    windows: usize,
    relations: BTreeSet<RelationId>,
    /// The relations windowed by a column that no watermark bounds, for the error message.
    unbounded_windows: Vec<RelationId>,
    /// Whether rows without a partner lack a window's end that others have, for the error message.
    outer_windows: bool,
    /// Nodes with state so far, by what they do.
    written: HashMap<String, Arc<StreamNode>>,
}

/// A node, and what is known about its rows beyond what the plan says.
#[derive(Debug, Clone)]
pub(super) struct Built {
    pub(super) node: Arc<StreamNode>,
    pub(super) facts: Facts,
}

impl Built {
    /// A node with these facts.
    pub(super) fn new(op: StreamOp, inputs: Vec<Arc<StreamNode>>, schema: DFSchemaRef, facts: Facts) -> Built {
        debug_assert_eq!(schema.fields().len(), facts.bounds.len(), "one bound a column");
        let properties = Properties {
            key: facts.key.clone(),
            append_only: facts.append_only,
            watermarks: facts.watermarks(),
            state: StateBound::Stateless,
            release: Vec::new(),
        };
        let node = StreamNode {
            op,
            inputs,
            schema,
            properties,
        };
        Built {
            node: Arc::new(node),
            facts,
        }
    }

    /// The same with what bounds its state.
    fn with_state(self, state: StateBound, release: Vec<Release>) -> Built {
        let mut node = Arc::unwrap_or_clone(self.node);
        node.properties.state = state;
        node.properties.release = release;
        Built {
            node: Arc::new(node),
            facts: self.facts,
        }
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.node.schema
    }

    fn width(&self) -> usize {
        self.node.schema.fields().len()
    }

    fn field(&self, column: usize) -> &FieldRef {
        self.node.schema.field(column)
    }

    /// The column as an expression.
    fn column(&self, column: usize) -> Expr {
        Expr::Column(Column::new_unqualified(self.field(column).name().clone()))
    }

    /// Where an expression that is a plain column stands.
    fn position(&self, expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Column(column) => self.node.schema.maybe_index_of_column(column),
            _ => None,
        }
    }
}

impl<'a> Translator<'a> {
    pub(super) fn new(
        catalog: &'a Catalog,
        view_facts: ViewFacts<'a>,
        emit: EmitMode,
        days_are_fixed: bool,
    ) -> Translator<'a> {
        Translator {
            catalog,
            view_facts,
            emit,
            days_are_fixed,
            names: HashSet::new(),
            families: 0,
            windows: 0,
            relations: BTreeSet::new(),
            unbounded_windows: Vec::new(),
            outer_windows: false,
            written: HashMap::new(),
        }
    }

    /// Translates the plan of a whole view.
    ///
    /// # Errors
    /// When it has something that is not maintained, or when rows are to appear on window close and nothing says
    /// when that is.
    pub(super) fn view(&mut self, plan: &LogicalPlan) -> Result<Built> {
        match self.emit {
            EmitMode::Changes => self.node(plan),
            EmitMode::OnWindowClose => self.held(plan),
        }
    }

    /// The relations that were read, sorted.
    pub(super) fn inputs(&self) -> Vec<RelationId> {
        self.relations.iter().copied().collect()
    }

    fn node(&mut self, plan: &LogicalPlan) -> Result<Built> {
        match plan {
            LogicalPlan::TableScan(scan) => self.table_scan(scan),
            LogicalPlan::Projection(projection) => {
                let input = self.node(&projection.input)?;
                self.projection(projection, input)
            }
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::SubqueryAlias(alias) => self.node(&alias.input),
            LogicalPlan::Aggregate(aggregate) => {
                let built = self.aggregate(aggregate)?;
                self.shared(built)
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let built = self.distinct(input)?;
                self.shared(built)
            }
            LogicalPlan::Join(join) => {
                let built = self.join(join)?;
                self.shared(built)
            }
            // A view has no order, and neither has a subquery.
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.node(&sort.input),
            LogicalPlan::Sort(sort) => self.sort_with_fetch(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Window(window) => Ok(self.over(window)?.0),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::RecursiveQuery(_) => self.recursion(plan),
            LogicalPlan::EmptyRelation(empty) => self.empty_relation(empty),
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::Extension(extension) => {
                let node = extension.node.as_any();
                if let Some(window) = node.downcast_ref::<WindowNode>() {
                    self.window_assignment(window)
                } else if let Some(session) = node.downcast_ref::<SessionNode>() {
                    let built = self.session(session)?;
                    self.shared(built)
                } else if node.is::<ProcTimeNode>() {
                    Err(temporal_join::misplaced())
                } else {
                    Err(refused(extension.node.name()))
                }
            }
            LogicalPlan::Subquery(_) => Err(lateral()),
            other => Err(refused(&other.display().to_string())),
        }
    }

    /// An expression over the columns of a logical node, renamed for `input`, the node built for it. Aliases go.
    fn resolve(&self, expr: &Expr, schema: &DFSchema, input: &Built) -> Result<Expr> {
        let rename = |column: &Column| -> DfResult<Expr> { Ok(input.column(schema.index_of_column(column)?)) };
        resolve_with(expr, &rename)
    }

    /// A name like `wanted` that no column of the plan has yet.
    fn fresh_name(&mut self, wanted: &str) -> String {
        let base = short_name(wanted);
        let mut name = base.clone();
        let mut number = 1;
        while !self.names.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        name
    }

    /// A field like this one under a name that no column of the plan has yet.
    fn fresh_field(&mut self, field: &FieldRef) -> FieldRef {
        let name = self.fresh_name(field.name());
        Arc::new(field.as_ref().clone().with_name(name))
    }

    fn fresh_family(&mut self) -> usize {
        self.families += 1;
        self.families
    }
}

/// Renames an expression's columns, takes off aliases, and refuses what can stand in no stream expression.
fn resolve_with(expr: &Expr, rename: &dyn Fn(&Column) -> DfResult<Expr>) -> Result<Expr> {
    let resolved = expr.clone().transform_up(|node| match node {
        Expr::Column(column) => Ok(Transformed::yes(rename(&column)?)),
        Expr::Alias(alias) => Ok(Transformed::yes(*alias.expr)),
        Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => {
            Err(DataFusionError::from(PlanError::unsupported(
                "a subquery in this place in a materialized view",
                "Write it as a join with a subquery in FROM.",
            )))
        }
        other if is_clock(&other) => Err(DataFusionError::from(temporal_filter::refused())),
        Expr::OuterReferenceColumn(_, _) => Err(DataFusionError::from(lateral())),
        Expr::Placeholder(placeholder) => Err(DataFusionError::from(PlanError::UndefinedParameter {
            name: placeholder.id,
        })),
        other => Ok(Transformed::no(other)),
    });
    Ok(resolved?.data)
}

/// The schema of these columns; their names are unique.
fn schema_of(fields: Vec<FieldRef>) -> Result<DFSchemaRef> {
    let schema = DFSchema::from_unqualified_fields(fields.into(), Default::default())?;
    Ok(Arc::new(schema))
}

/// A name for a column that DataFusion named by its expression: that of the function, when it is a call.
fn short_name(name: &str) -> String {
    const LONGEST: usize = 63;
    let is_word = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == '_');
    match name.split_once('(') {
        _ if name.len() <= LONGEST && !name.is_empty() && is_word(name) => name.to_string(),
        Some((function, _)) if !function.is_empty() && is_word(function) && name.ends_with([')', 'W', 'G']) => {
            function.to_string()
        }
        _ => "value".to_string(),
    }
}

fn lateral() -> PlanError {
    PlanError::unsupported(
        "a correlated subquery or LATERAL of this form in a materialized view",
        "Write it as a join on equal columns with a subquery in FROM.",
    )
}

fn refused(construct: &str) -> PlanError {
    PlanError::unsupported(
        format!("{construct} in a materialized view"),
        "Compute it in a SELECT over a view.",
    )
}
