//! ORDER BY ... LIMIT, and `row_number()`, `rank()`, `dense_rank()` with a filter on their result.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{Sort as SortExpr, WindowFunction};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, Expr, FetchType, Filter, Limit, LogicalPlan, Operator, Projection, SkipType, Sort,
    Window, WindowFunctionDefinition,
};

use super::fused::{Computed, keep_rows};
use super::{Built, Translator, resolve_with, schema_of};
use crate::error::{PlanError, Result};
use crate::stream::completion;
use crate::stream::derive::Facts;
use crate::stream::plan::{RankKind, Release, SortKey, StateBound, StreamNode, StreamOp, TopN};

/// Which numbers a filter on a rank keeps: those greater than `offset`, `limit` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbers {
    offset: u64,
    limit: Option<u64>,
}

impl Translator<'_> {
    pub(super) fn limit(&mut self, limit: &Limit) -> Result<Built> {
        let (SkipType::Literal(offset), FetchType::Literal(count)) = (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Err(PlanError::unsupported(
                "LIMIT or OFFSET that is not a constant in a materialized view",
                "Write a number.",
            ));
        };
        let numbers = Numbers {
            offset: offset as u64,
            limit: count.map(|n| n as u64),
        };
        self.first_rows(&limit.input, numbers)
    }

    pub(super) fn sort_with_fetch(&mut self, sort: &Sort) -> Result<Built> {
        let numbers = Numbers {
            offset: 0,
            limit: sort.fetch.map(|n| n as u64),
        };
        self.ordered(&sort.input, &sort.expr, numbers)
    }

    /// The first rows of a plan in its order, which may lie below a projection.
    fn first_rows(&mut self, plan: &LogicalPlan, numbers: Numbers) -> Result<Built> {
        match plan {
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.ordered(&sort.input, &sort.expr, numbers),
            LogicalPlan::Projection(projection) => {
                let input = self.first_rows(&projection.input, numbers)?;
                self.projection(projection, input)
            }
            LogicalPlan::SubqueryAlias(alias) => self.first_rows(&alias.input, numbers),
            other => self.ordered(other, &[], numbers),
        }
    }

    fn ordered(&mut self, plan: &LogicalPlan, order: &[SortExpr], numbers: Numbers) -> Result<Built> {
        let input = self.node(plan)?;
        if numbers.limit.is_none() && numbers.offset == 0 {
            return Ok(input);
        }
        let width = input.width();
        let exprs = order
            .iter()
            .map(|s| self.resolve(&s.expr, plan.schema(), &input))
            .collect::<Result<Vec<_>>>()?;
        let (input, places) = self.with_columns(input, &exprs)?;
        let top = TopN {
            partition: Vec::new(),
            order: sort_keys(order, &places),
            rank: RankKind::RowNumber,
            offset: numbers.offset,
            limit: numbers.limit,
            emit_rank: false,
        };
        let built = self.top_n(input, top, None)?;
        self.keep_columns(built, &(0..width).collect::<Vec<_>>())
    }

    /// A filter on the result of a ranking function above that function, with projections between at most.
    pub(super) fn filter_on_rank(&mut self, filter: &Filter) -> Result<Option<Built>> {
        let mut between = Vec::new();
        let mut predicate = filter.predicate.clone();
        let mut plan = filter.input.as_ref();
        loop {
            match plan {
                LogicalPlan::Projection(projection) => {
                    predicate = below_projection(predicate, projection)?;
                    between.push(projection);
                    plan = &projection.input;
                }
                LogicalPlan::Window(window) => return self.filter_right_on_rank(window, &predicate, &between),
                _ => return Ok(None),
            }
        }
    }

    fn filter_right_on_rank(
        &mut self,
        window: &Window,
        predicate: &Expr,
        above: &[&Projection],
    ) -> Result<Option<Built>> {
        let Some((function, kind)) = only_ranking(window) else {
            return Ok(None);
        };
        let (qualifier, field) = window.schema.qualified_field(window.schema.fields().len() - 1);
        let rank_column = Column::new(qualifier.cloned(), field.name());
        let (on_rank, others): (Vec<&Expr>, Vec<&Expr>) = split_conjunction(predicate)
            .into_iter()
            .partition(|e| numbers_kept(e, &rank_column).is_some());
        let Some(numbers) = on_rank
            .into_iter()
            .filter_map(|e| numbers_kept(e, &rank_column))
            .reduce(both)
        else {
            return Ok(None);
        };
        let mut built = self.ranked(window, function, kind, numbers)?;
        if let Some(rest) = conjunction(others.into_iter().cloned()) {
            let rest = self.resolve(&rest, &window.schema, &built)?;
            built = keep_rows(built, rest);
        }
        for projection in above.iter().rev() {
            built = self.projection(projection, built)?;
        }
        Ok(Some(built))
    }

    fn ranked(
        &mut self,
        window: &Window,
        function: &WindowFunction,
        kind: RankKind,
        numbers: Numbers,
    ) -> Result<Built> {
        let input = self.node(&window.input)?;
        let below = window.input.schema();
        let width = below.fields().len();
        let params = &function.params;
        let exprs = params
            .partition_by
            .iter()
            .chain(params.order_by.iter().map(|s| &s.expr))
            .map(|e| self.resolve(e, below, &input))
            .collect::<Result<Vec<_>>>()?;
        let (input, places) = self.with_columns(input, &exprs)?;
        let (partition, order) = places.split_at(params.partition_by.len());
        let partition = once_each(partition);
        let mut order = sort_keys(&params.order_by, order);
        order.retain(|key| !partition.contains(&key.column));
        let top = TopN {
            partition,
            order,
            rank: kind,
            offset: numbers.offset,
            limit: numbers.limit,
            emit_rank: true,
        };
        let rank_at = input.width();
        let rank_type = window.schema.field(width).data_type().clone();
        let built = self.top_n(input, top, Some(window.schema.field(width).name()))?;
        let mut columns: Vec<Computed> = (0..width).map(|c| Computed::pass(&built, c)).collect();
        let mut rank = Computed::pass(&built, rank_at);
        if rank_type != DataType::Int64 {
            let field = Arc::new(Field::new(rank.field.name(), rank_type, true));
            rank.expr = Expr::Cast(Cast::new_from_field(Box::new(rank.expr), Arc::clone(&field)));
            rank.field = field;
        }
        columns.push(rank);
        self.project(built, columns)
    }

    /// A [`TopN`] node over `input`.
    fn top_n(&mut self, input: Built, top: TopN, rank_name: Option<&str>) -> Result<Built> {
        let mut facts = input.facts.within_partitions(&top.partition);
        let mut fields = input.schema().fields().to_vec();
        if let Some(name) = rank_name {
            let name = self.fresh_name(function_name(name));
            fields.push(Arc::new(Field::new(name, DataType::Int64, false)));
            facts.bounds.push(None);
        }
        facts.key = key_of(&top, &input.facts);
        let (state, release) = state_of(&top, &input);
        let schema = schema_of(fields)?;
        Ok(Built::new(StreamOp::TopN(top), vec![input.node], schema, facts).with_state(state, release))
    }
}

/// When no expression of the projection above names the rank, it need not be kept current.
pub(super) fn drop_unused_rank(node: Arc<StreamNode>, above: &[Expr]) -> Result<Arc<StreamNode>> {
    let StreamOp::TopN(top) = &node.op else {
        return Ok(node);
    };
    let rank = node.schema.fields().len() - 1;
    let name = node.schema.field(rank).name();
    let named = |expr: &Expr| expr.column_refs().iter().any(|c| c.name == *name);
    if !top.emit_rank || above.iter().any(named) {
        return Ok(node);
    }
    let mut without = node.as_ref().clone();
    without.op = StreamOp::TopN(TopN {
        emit_rank: false,
        ..top.clone()
    });
    without.schema = schema_of(node.schema.fields()[..rank].to_vec())?;
    without.properties.watermarks.truncate(rank);
    without.properties.key = node.properties.key.clone().filter(|key| !key.contains(&rank));
    Ok(Arc::new(without))
}

fn key_of(top: &TopN, input: &Facts) -> Option<Vec<usize>> {
    if top.rank == RankKind::RowNumber && top.limit == Some(1) {
        return Some(top.partition.clone());
    }
    if input.key.is_some() || top.rank != RankKind::RowNumber || !top.emit_rank {
        return input.key.clone();
    }
    let mut key = top.partition.clone();
    key.push(input.bounds.len());
    Some(key)
}

fn state_of(top: &TopN, input: &Built) -> (StateBound, Vec<Release>) {
    if let Some((at, bound)) = input.facts.soonest(&top.partition) {
        let release = completion::release(0, top.partition[at], bound);
        return (StateBound::Watermark(bound.sources.clone()), vec![release]);
    }
    match top.limit {
        Some(limit) if input.facts.append_only && top.rank == RankKind::RowNumber => {
            let rows = top.offset.saturating_add(limit);
            if top.partition.is_empty() {
                return (StateBound::Rows(rows), Vec::new());
            }
            let names: Vec<&str> = top.partition.iter().map(|c| input.field(*c).name().as_str()).collect();
            let text = format!(
                "{rows} rows of each ({}); partitioning by a watermarked window_end would bound it",
                names.join(", ")
            );
            (StateBound::Unbounded(text), Vec::new())
        }
        Some(_) | None => {
            let text = if input.facts.append_only {
                "grows with the rows it reads; an upper limit on row_number() would bound it"
            } else {
                "grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it"
            };
            (StateBound::Unbounded(text.to_string()), Vec::new())
        }
    }
}

/// A condition on a projection's output, on its input.
fn below_projection(predicate: Expr, projection: &Projection) -> Result<Expr> {
    let rename = |column: &Column| {
        let at = projection.schema.index_of_column(column)?;
        Ok(projection.expr[at].clone().unalias())
    };
    resolve_with(&predicate, &rename)
}

/// The columns, without those that are there already.
fn once_each(columns: &[usize]) -> Vec<usize> {
    let mut once: Vec<usize> = Vec::with_capacity(columns.len());
    for column in columns {
        if !once.contains(column) {
            once.push(*column);
        }
    }
    once
}

fn sort_keys(order: &[SortExpr], places: &[usize]) -> Vec<SortKey> {
    order
        .iter()
        .zip(places)
        .map(|(sort, column)| SortKey {
            column: *column,
            descending: !sort.asc,
            nulls_first: sort.nulls_first,
        })
        .collect()
}

/// The window function of a node that has only one, when that numbers rows.
fn only_ranking(window: &Window) -> Option<(&WindowFunction, RankKind)> {
    let [expr] = window.window_expr.as_slice() else {
        return None;
    };
    let mut expr = expr;
    while let Expr::Alias(alias) = expr {
        expr = &alias.expr;
    }
    let Expr::WindowFunction(function) = expr else {
        return None;
    };
    let WindowFunctionDefinition::WindowUDF(udf) = &function.fun else {
        return None;
    };
    let kind = match udf.name() {
        "row_number" => RankKind::RowNumber,
        "rank" => RankKind::Rank,
        "dense_rank" => RankKind::DenseRank,
        _ => return None,
    };
    Some((function, kind))
}

/// The numbers that a condition on the rank alone keeps; `None` when it is not one of the forms understood.
fn numbers_kept(condition: &Expr, rank: &Column) -> Option<Numbers> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if is_rank(left, rank) {
                compared(*op, integer(right)?)
            } else if is_rank(right, rank) {
                compared(op.swap()?, integer(left)?)
            } else {
                None
            }
        }
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) if is_rank(expr, rank) => Some(both(
            compared(Operator::GtEq, integer(low)?)?,
            compared(Operator::LtEq, integer(high)?)?,
        )),
        _ => None,
    }
}

fn compared(op: Operator, value: i128) -> Option<Numbers> {
    let clamp = |v: i128| u64::try_from(v.max(0)).unwrap_or(u64::MAX);
    let numbers = |offset, limit| Some(Numbers { offset, limit });
    match op {
        Operator::LtEq => numbers(0, Some(clamp(value))),
        Operator::Lt => numbers(0, Some(clamp(value - 1))),
        Operator::Eq if value < 1 => numbers(0, Some(0)),
        Operator::Eq => numbers(clamp(value - 1), Some(1)),
        Operator::Gt => numbers(clamp(value), None),
        Operator::GtEq => numbers(clamp(value - 1), None),
        _ => None,
    }
}

/// The numbers kept by two conditions.
fn both(a: Numbers, b: Numbers) -> Numbers {
    let last = |n: Numbers| n.limit.map(|limit| n.offset.saturating_add(limit));
    let offset = a.offset.max(b.offset);
    let last = match (last(a), last(b)) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    };
    Numbers {
        offset,
        limit: last.map(|last| last.saturating_sub(offset)),
    }
}

fn is_rank(expr: &Expr, rank: &Column) -> bool {
    match expr {
        Expr::Column(column) => column == rank,
        Expr::Cast(Cast { expr, field }) if field.data_type().is_integer() => is_rank(expr, rank),
        _ => false,
    }
}

fn integer(expr: &Expr) -> Option<i128> {
    match expr {
        Expr::Literal(value, _) => match value {
            ScalarValue::Int16(Some(v)) => Some(i128::from(*v)),
            ScalarValue::Int32(Some(v)) => Some(i128::from(*v)),
            ScalarValue::Int64(Some(v)) => Some(i128::from(*v)),
            ScalarValue::UInt32(Some(v)) => Some(i128::from(*v)),
            ScalarValue::UInt64(Some(v)) => Some(i128::from(*v)),
            _ => None,
        },
        _ => None,
    }
}

/// The function's name, of the long name that DataFusion gives its column.
fn function_name(column: &str) -> &str {
    column.split(['(', ' ']).next().unwrap_or(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_on_a_rank_add_up() {
        let kept = |op, value| compared(op, value).expect("understood");
        assert_eq!(
            kept(Operator::Eq, 3),
            Numbers {
                offset: 2,
                limit: Some(1)
            }
        );
        assert_eq!(
            both(kept(Operator::Gt, 2), kept(Operator::Lt, 6)),
            Numbers {
                offset: 2,
                limit: Some(3)
            }
        );
        assert_eq!(both(kept(Operator::Gt, 9), kept(Operator::Lt, 6)).limit, Some(0));
        assert_eq!(kept(Operator::LtEq, -1).limit, Some(0));
    }
}
