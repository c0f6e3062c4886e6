//! [`plan_view`]: a query and a catalog to a [`ViewPlan`].

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column as PlanColumn, DFSchema};
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, LogicalPlanBuilder};
use highwater_types::{QUOTIENT, RelationId, SqlType};
use sqlparser::ast;

use super::derive::Facts;
use super::optimize::optimize;
use super::plan::{StateBound, Step, StreamNode, StreamOp, StreamPlan};
use super::rewrite::{refuse, ties};
use super::translate::{Built, Translator};
use crate::catalog::{Column, EmitMode, RelationKind};
use crate::context::PlanContext;
use crate::error::{PlanError, Result};
use crate::functions::stored_quotient;
use crate::now::with_clock;
use crate::query::{OutputColumn, bind_query};
use crate::session_state::session_state;

/// A materialized view, planned.
#[derive(Debug, Clone)]
pub struct ViewPlan {
    /// Its columns.
    pub columns: Vec<Column>,
    /// The query's plan, optimised; ties in its orders are broken as the operators break them. Run as a batch it
    /// answers the view's rows (but for EMIT ON WINDOW CLOSE and joins as of arrival).
    pub logical: LogicalPlan,
    /// What its dataflow computes.
    pub stream: StreamPlan,
    /// Columns by which its rows are unique, when known. An empty list means at most one row.
    pub key: Option<Vec<usize>>,
    /// Whether its rows are never retracted.
    pub append_only: bool,
    /// The relations its query reads directly, sorted.
    pub depends_on: Vec<RelationId>,
    /// What its creator should know: which state nothing bounds.
    pub notices: Vec<String>,
}

/// Plans CREATE MATERIALIZED VIEW.
///
/// # Errors
/// When the query is wrong, or has something that is not maintained (0A000).
pub fn plan_view(ctx: &PlanContext, query: &ast::Query, column_names: &[String], emit: EmitMode) -> Result<ViewPlan> {
    let planned = translate_query(ctx, query, column_names, emit, 0)?;
    let root = &planned.built.node;
    let mut notices = Vec::new();
    collect_notices(root, &mut notices);
    Ok(ViewPlan {
        columns: planned.columns,
        logical: ties::rewrite(planned.logical)?,
        key: root.properties.key.clone(),
        append_only: root.properties.append_only,
        stream: StreamPlan {
            root: Arc::clone(root),
            inputs: planned.inputs,
        },
        depends_on: planned.depends_on,
        notices,
    })
}

struct Planned {
    columns: Vec<Column>,
    logical: LogicalPlan,
    built: Built,
    inputs: Vec<RelationId>,
    depends_on: Vec<RelationId>,
}

/// How many views on views are looked into for what bounds their columns.
const DEEPEST_VIEW: usize = 32;

fn translate_query(
    ctx: &PlanContext,
    query: &ast::Query,
    column_names: &[String],
    emit: EmitMode,
    depth: usize,
) -> Result<Planned> {
    let bound = bind_query(ctx, query)?;
    refuse::check_plan(&bound.plan, &ctx.functions)?;
    let depends_on = bound.depends_on.clone();
    let columns = view_columns(&bound.columns, bound.plan.schema(), column_names)?;
    let plan = with_clock(&with_view_types(bound.plan, &columns)?)?;
    let logical = optimize(plan, &session_state(&ctx.settings.time_zone))?;
    let view_facts = |id: RelationId| facts_of_view(ctx, id, depth);
    let mut translator = Translator::new(
        &ctx.catalog,
        &view_facts,
        emit,
        has_no_summer_time(&ctx.settings.time_zone),
    );
    let built = translator.view(&logical)?;
    let built = with_view_names(built, &columns)?;
    Ok(Planned {
        columns,
        logical,
        built,
        inputs: translator.inputs(),
        depends_on,
    })
}

/// What is known about a materialized view's rows: its query is planned again. `None` when that cannot be done any
/// more, or when views are nested too deep; then only what the catalog says is known.
fn facts_of_view(ctx: &PlanContext, id: RelationId, depth: usize) -> Result<Option<Facts>> {
    let Some(relation) = ctx.catalog.relation(id) else {
        return Ok(None);
    };
    let RelationKind::MaterializedView { query, emit, .. } = &relation.kind else {
        return Ok(None);
    };
    if depth >= DEEPEST_VIEW {
        return Ok(None);
    }
    let Ok(query) = highwater_parser::parse_query(query) else {
        return Ok(None);
    };
    let names: Vec<String> = relation.columns.iter().map(|c| c.name.clone()).collect();
    let planned = translate_query(&ctx.of_view(relation), &query, &names, *emit, depth + 1);
    Ok(planned.ok().map(|p| Facts {
        key: relation.key.clone(),
        ..p.built.facts
    }))
}

/// Whether a day has 24 hours all the year round.
fn has_no_summer_time(time_zone: &str) -> bool {
    let is_utc = ["UTC", "GMT", "Etc/UTC", "Etc/GMT"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(time_zone));
    is_utc || time_zone.starts_with(['+', '-'])
}

fn view_columns(output: &[OutputColumn], schema: &DFSchema, names: &[String]) -> Result<Vec<Column>> {
    if names.len() > output.len() {
        return Err(PlanError::syntax(
            "CREATE MATERIALIZED VIEW specifies more column names than columns",
        ));
    }
    let mut taken = HashSet::new();
    let mut columns = Vec::with_capacity(output.len());
    for (at, out) in output.iter().enumerate() {
        let name = names.get(at).unwrap_or(&out.name).clone();
        if !taken.insert(name.clone()) {
            return Err(PlanError::DuplicateColumn { name });
        }
        columns.push(Column {
            name,
            sql_type: stored_type(&out.sql_type, schema.field(at).data_type()),
            not_null: false,
            default: None,
            generated: None,
            include: None,
            comment: None,
        });
    }
    Ok(columns)
}

/// The type a view's column is kept in. A quotient keeps its digits.
fn stored_type(sql_type: &SqlType, arrow_type: &DataType) -> SqlType {
    match sql_type {
        SqlType::Unknown | SqlType::Void => SqlType::Text,
        SqlType::Numeric(None) if *arrow_type == QUOTIENT => stored_quotient(),
        other => other.clone(),
    }
}

/// The plan with the Arrow types that the view's columns have.
fn with_view_types(plan: LogicalPlan, columns: &[Column]) -> Result<LogicalPlan> {
    let same = |(at, column): (usize, &Column)| *plan.schema().field(at).data_type() == column.sql_type.to_arrow();
    if columns.iter().enumerate().all(same) {
        return Ok(plan);
    }
    let exprs: Vec<Expr> = plan
        .schema()
        .iter()
        .zip(columns)
        .map(|((qualifier, field), column)| {
            let plain = Expr::Column(PlanColumn::new(qualifier.cloned(), field.name()));
            let wanted = column.sql_type.to_field(field.name());
            if field.data_type() == wanted.data_type() {
                plain
            } else {
                Expr::Cast(Cast::new_from_field(Box::new(plain), wanted))
                    .alias_qualified(qualifier.cloned(), field.name())
            }
        })
        .collect();
    Ok(LogicalPlanBuilder::from(plan).project(exprs)?.build()?)
}

/// The root with the view's columns, under the view's names.
fn with_view_names(built: Built, columns: &[Column]) -> Result<Built> {
    let fields: Vec<_> = columns
        .iter()
        .zip(built.node.schema.fields())
        .map(|(column, field)| {
            let wanted = column.sql_type.to_field(&column.name);
            Arc::new(wanted.as_ref().clone().with_nullable(field.is_nullable()))
        })
        .collect();
    let schema = Arc::new(DFSchema::from_unqualified_fields(fields.into(), Default::default())?);
    let mut node: StreamNode = built.node.as_ref().clone();
    if let StreamOp::Fused(steps) = &mut node.op {
        match steps.last_mut() {
            Some(Step::Project(_, names)) => *names = Arc::clone(&schema),
            _ if node
                .schema
                .fields()
                .iter()
                .zip(schema.fields())
                .all(|(a, b)| a.name() == b.name()) => {}
            _ => {
                let exprs = node.schema.fields().iter();
                let exprs = exprs
                    .map(|f| Expr::Column(PlanColumn::new_unqualified(f.name().clone())))
                    .collect();
                steps.push(Step::Project(exprs, Arc::clone(&schema)));
            }
        }
    }
    node.schema = schema;
    Ok(Built {
        node: Arc::new(node),
        facts: built.facts,
    })
}

fn collect_notices(node: &StreamNode, notices: &mut Vec<String>) {
    if let StateBound::Unbounded(text) = &node.properties.state {
        let word = node.op.name();
        let notice = format!("state of {word} is unbounded: {text}");
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    for input in &node.inputs {
        collect_notices(input, notices);
    }
}
