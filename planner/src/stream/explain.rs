//! A stream plan as text, one line a node: what it does, then what is known of its rows and what bounds its state. A
//! node that several others read is there once, and its inputs are shown once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use datafusion::logical_expr::{Expr, LogicalPlan};
use highwater_types::RelationId;

use super::expression_text::{duration, expression};
use super::plan::{
    Aggregate, AggregateCall, AggregateKind, Join, JoinKind, Limit, Properties, RankKind, Session, SortKey, StateBound,
    Step, StreamNode, StreamOp, StreamPlan, TemporalFilter, TopN, WindowAssign, WindowKind,
};
use crate::catalog::Catalog;

/// The lines of EXPLAIN: children below their node, two spaces further in.
pub fn explain_stream(plan: &StreamPlan, catalog: &Catalog) -> Vec<String> {
    let mut lines = Vec::new();
    let seen = RefCell::default();
    Explain { catalog, seen }.node(&plan.root, 0, &mut lines);
    lines
}

struct Explain<'a> {
    catalog: &'a Catalog,
    /// The nodes shown so far.
    seen: RefCell<HashSet<*const StreamNode>>,
}

impl Explain<'_> {
    fn node(&self, node: &Arc<StreamNode>, depth: usize, lines: &mut Vec<String>) {
        let indent = "  ".repeat(depth);
        let what = self.what(node);
        if !self.seen.borrow_mut().insert(Arc::as_ptr(node)) {
            return lines.push(format!("{indent}{what}  the same as above"));
        }
        let known = self.known(node);
        lines.push(format!("{indent}{what}  {known}"));
        for input in &node.inputs {
            self.node(input, depth + 1, lines);
        }
    }

    fn what(&self, node: &StreamNode) -> String {
        let below = |at: usize| names(&node.inputs[at]);
        match &node.op {
            StreamOp::Input { relation, .. } => {
                format!("Input {} ({})", self.relation(*relation), names(node).join(", "))
            }
            StreamOp::Constant(batch) => format!("Constant ({}) {} rows", names(node).join(", "), batch.num_rows()),
            StreamOp::Fused(steps) => format!("Fused {}", steps_text(steps, &below(0))),
            StreamOp::Aggregate(aggregate) => self.aggregate(aggregate, &below(0)),
            StreamOp::Join(join) => join_text(join, &below(0), &below(1)),
            StreamOp::TemporalJoin(join) => {
                let word = if join.left_outer { "left" } else { "inner" };
                let on = condition(&join.keys, "=", join.filter.as_ref(), &below(0), &below(1));
                format!("TemporalJoin {word} as of arrival on {on}")
            }
            StreamOp::TemporalFilter(filter) => temporal_filter_text(filter, &below(0)),
            StreamOp::TopN(top) => top_n_text(top, &below(0)),
            StreamOp::Session(session) => self.session(session, &below(0)),
            StreamOp::Union => format!("Union all ({})", names(node).join(", ")),
            StreamOp::General(general) => {
                let partition = list(&general.partition, &below(0));
                let functions = match &general.plan {
                    LogicalPlan::RecursiveQuery(recursion) => return format!("General recursion {}", recursion.name),
                    LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.as_slice(),
                    LogicalPlan::Window(window) => window.window_expr.as_slice(),
                    _ => &[],
                };
                let functions: Vec<String> = functions.iter().map(expression).collect();
                format!("General partition by {partition}: {}", functions.join(", "))
            }
            StreamOp::HoldUntil {
                column,
                after_us,
                sources,
            } => {
                format!(
                    "HoldUntil watermark({}) >= {}{}",
                    self.relations(sources),
                    names(node)[*column],
                    after(*after_us)
                )
            }
        }
    }

    fn aggregate(&self, aggregate: &Aggregate, columns: &[String]) -> String {
        let calls: Vec<String> = aggregate.calls.iter().map(|call| call_text(call, columns)).collect();
        let mut text = if calls.is_empty() {
            "Aggregate distinct".to_string()
        } else {
            format!("Aggregate {}", calls.join(", "))
        };
        if !aggregate.group.is_empty() {
            text.push_str(&format!(" group by {}", list(&aggregate.group, columns)));
        }
        if let Some(complete) = &aggregate.complete {
            let column = &columns[aggregate.group[complete.group_column]];
            let after = after(complete.after_us);
            let emit = if complete.emit_on_close { ", emitted then" } else { "" };
            let sources = self.relations(&complete.sources);
            text.push_str(&format!(" complete at watermark({sources}) >= {column}{after}{emit}"));
        }
        text
    }

    fn session(&self, session: &Session, columns: &[String]) -> String {
        let mut text = format!(
            "Session {} gap {}",
            columns[session.time_column],
            duration(session.gap_us)
        );
        if !session.partition.is_empty() {
            text.push_str(&format!(" partition by {}", list(&session.partition, columns)));
        }
        if let Some(complete) = &session.complete {
            let (sources, after) = (self.relations(&complete.sources), after(complete.after_us));
            text.push_str(&format!(" complete at watermark({sources}) >= window_end{after}"));
        }
        text
    }

    /// `key=(..) append-only|changing watermark=(..) state=...`
    fn known(&self, node: &StreamNode) -> String {
        let Properties {
            key,
            append_only,
            watermarks,
            state,
            release: _,
        } = &node.properties;
        let columns = names(node);
        let key = match key {
            None => "key=none".to_string(),
            Some(key) => format!("key={}", list(key, &columns)),
        };
        let changes = if *append_only { "append-only" } else { "changing" };
        let mut parts = vec![key, changes.to_string()];
        let bounded: Vec<String> = watermarks
            .iter()
            .enumerate()
            .filter(|(_, sources)| !sources.is_empty())
            .map(|(at, sources)| format!("{}: {}", columns[at], self.relations(sources)))
            .collect();
        if !bounded.is_empty() {
            parts.push(format!("watermark=({})", bounded.join("; ")));
        }
        parts.push(format!("state={}", self.state(state)));
        parts.join(" ")
    }

    fn state(&self, state: &StateBound) -> String {
        match state {
            StateBound::Stateless => "none".to_string(),
            StateBound::Watermark(sources) => format!("until watermark({})", self.relations(sources)),
            StateBound::Clock => "until its time is over".to_string(),
            StateBound::Rows(1) => "1 row".to_string(),
            StateBound::Rows(rows) => format!("{rows} rows"),
            StateBound::Unbounded(text) => format!("unbounded: {text}"),
        }
    }

    fn relation(&self, id: RelationId) -> String {
        self.catalog
            .relation(id)
            .map_or_else(|| format!("relation {id}"), |r| r.display_name())
    }

    fn relations(&self, ids: &[RelationId]) -> String {
        let names: Vec<String> = ids.iter().map(|id| self.relation(*id)).collect();
        names.join(", ")
    }
}

fn names(node: &StreamNode) -> Vec<String> {
    node.schema.fields().iter().map(|f| f.name().clone()).collect()
}

fn list(columns: &[usize], names: &[String]) -> String {
    let named: Vec<&str> = columns.iter().map(|c| names[*c].as_str()).collect();
    format!("({})", named.join(", "))
}

fn steps_text(steps: &[Step], below: &[String]) -> String {
    let mut columns = below.to_vec();
    let mut parts = Vec::with_capacity(steps.len());
    for step in steps {
        match step {
            Step::Filter(expr) => parts.push(format!("where {}", expression(expr))),
            Step::Project(exprs, schema) => {
                let named: Vec<String> = exprs
                    .iter()
                    .zip(schema.fields())
                    .map(|(expr, field)| {
                        let text = expression(expr);
                        if text == *field.name() {
                            text
                        } else {
                            format!("{text} as {}", field.name())
                        }
                    })
                    .collect();
                columns = schema.fields().iter().map(|f| f.name().clone()).collect();
                parts.push(format!("select {}", named.join(", ")));
            }
            Step::Window(assign) => {
                parts.push(window_text(assign, &columns));
                columns.extend(["window_start".to_string(), "window_end".to_string()]);
            }
            Step::Unnest(lists, schema) => {
                let named: Vec<&str> = lists.iter().map(|list| columns[*list].as_str()).collect();
                parts.push(format!("unnest {}", named.join(", ")));
                columns = schema.fields().iter().map(|f| f.name().clone()).collect();
            }
        }
    }
    parts.join(" | ")
}

fn window_text(assign: &WindowAssign, columns: &[String]) -> String {
    let WindowAssign {
        kind,
        time_column,
        size_us,
        slide_us,
        offset_us,
    } = assign;
    let time = &columns[*time_column];
    let mut text = match kind {
        WindowKind::Tumble => format!("tumble {time} by {}", duration(*size_us)),
        WindowKind::Hop => format!("hop {time} every {} by {}", duration(*slide_us), duration(*size_us)),
        WindowKind::Cumulate => format!("cumulate {time} by {} to {}", duration(*slide_us), duration(*size_us)),
    };
    if *offset_us != 0 {
        text.push_str(&format!(" from {}", duration(*offset_us)));
    }
    text
}

fn call_text(call: &AggregateCall, columns: &[String]) -> String {
    let word = match call.kind {
        AggregateKind::Count => "count",
        AggregateKind::Sum => "sum",
        AggregateKind::Avg => "avg",
        AggregateKind::Min => "min",
        AggregateKind::Max => "max",
        AggregateKind::BoolAnd => "bool_and",
        AggregateKind::BoolOr => "bool_or",
    };
    let args: Vec<&str> = call.args.iter().map(|a| columns[*a].as_str()).collect();
    let args = if args.is_empty() {
        "*".to_string()
    } else {
        args.join(", ")
    };
    let distinct = if call.distinct { "distinct " } else { "" };
    let filter = match call.filter {
        None => String::new(),
        Some(column) => format!(" filter (where {})", columns[column]),
    };
    format!("{word}({distinct}{args}){filter}")
}

fn join_text(join: &Join, left: &[String], right: &[String]) -> String {
    let word = match join.kind {
        JoinKind::Inner => "inner",
        JoinKind::Left => "left",
        JoinKind::Right => "right",
        JoinKind::Full => "full",
        JoinKind::Semi => "semi",
        JoinKind::Anti => "anti",
    };
    let equal = if join.null_equals_null {
        "is not distinct from"
    } else {
        "="
    };
    format!(
        "Join {word} on {}",
        condition(&join.keys, equal, join.filter.as_ref(), left, right)
    )
}

fn condition(keys: &[(usize, usize)], equal: &str, filter: Option<&Expr>, left: &[String], right: &[String]) -> String {
    let mut parts: Vec<String> = keys
        .iter()
        .map(|(l, r)| format!("{} {equal} {}", left[*l], right[*r]))
        .collect();
    parts.extend(filter.map(expression));
    if parts.is_empty() {
        "true".to_string()
    } else {
        parts.join(" and ")
    }
}

fn temporal_filter_text(filter: &TemporalFilter, columns: &[String]) -> String {
    let bounds = filter.bounds.iter().map(|bound| {
        let word = match bound.limit {
            Limit::Begin => ">=",
            Limit::End => "<",
        };
        format!("now() {word} {}{}", columns[bound.column], after(bound.after_us))
    });
    format!("TemporalFilter {}", bounds.collect::<Vec<_>>().join(" and "))
}

fn top_n_text(top: &TopN, columns: &[String]) -> String {
    let mut text = "TopN".to_string();
    match top.rank {
        RankKind::RowNumber => {}
        RankKind::Rank => text.push_str(" by rank"),
        RankKind::DenseRank => text.push_str(" by dense rank"),
    }
    if let Some(limit) = top.limit {
        text.push_str(&format!(" first {limit}"));
    }
    if top.offset > 0 {
        text.push_str(&format!(" after {}", top.offset));
    }
    if !top.partition.is_empty() {
        text.push_str(&format!(" of each {}", list(&top.partition, columns)));
    }
    let order: Vec<String> = top.order.iter().map(|key| sort_key(key, columns)).collect();
    if !order.is_empty() {
        text.push_str(&format!(" order by {}", order.join(", ")));
    }
    if top.emit_rank {
        text.push_str(" with number");
    }
    text
}

/// How long after a column's value something happens, to stand behind the column.
fn after(us: i64) -> String {
    match us {
        0 => String::new(),
        us if us < 0 => format!(" - {}", duration(-us)),
        us => format!(" + {}", duration(us)),
    }
}

fn sort_key(key: &SortKey, columns: &[String]) -> String {
    let direction = if key.descending { " desc" } else { "" };
    // PostgreSQL's default: NULLs are greater than everything.
    let nulls = match (key.descending, key.nulls_first) {
        (true, true) | (false, false) => "",
        (true, false) => " nulls last",
        (false, true) => " nulls first",
    };
    format!("{}{direction}{nulls}", columns[key.column])
}
