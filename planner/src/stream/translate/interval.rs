//! Joins of times a bounded distance apart: `b.ts BETWEEN a.ts AND a.ts + INTERVAL '5 minutes'`. A row of one side can
//! go as soon as the other side's watermark is past every time that it could meet.

use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use super::Built;
use crate::stream::monotone::shifted;
use crate::stream::plan::Release;

/// A column, and by how many microseconds a value is later than it.
#[derive(Debug, Clone, Copy)]
struct Time {
    side: usize,
    column: usize,
    later_us: i64,
}

/// When rows of an inner join can be dropped, by the conditions of its filter: at most one release for each input. A
/// retraction of a row that has been dropped still meets the other side's rows that it had met: those go only when no
/// change on this side can meet them any more. (Outer joins would have to know how many it had met.)
pub(super) fn releases(left: &Built, right: &Built, filter: Option<&Expr>) -> Vec<Release> {
    let mut found: Vec<Release> = Vec::new();
    let conditions = filter.map(split_conjunction).unwrap_or_default();
    for (low, high, strict) in conditions.into_iter().flat_map(orders) {
        let sides = [left, right];
        let (Some(low), Some(high)) = (time(low, &sides), time(high, &sides)) else {
            continue;
        };
        if low.side == high.side {
            continue;
        }
        // low + l < high + h: a row of the higher side meets no lower one later than itself by more than h - l.
        let Some(bound) = &sides[low.side].facts.bounds[low.column] else {
            continue;
        };
        let distance_us = high.later_us - low.later_us - i64::from(strict);
        let release = Release {
            input: high.side,
            column: high.column,
            after_us: bound.after_us + distance_us,
            sources: bound.sources.clone(),
        };
        match found.iter_mut().find(|r| r.input == release.input) {
            Some(known) if known.after_us <= release.after_us => {}
            Some(known) => *known = release,
            None => found.push(release),
        }
    }
    found.sort_by_key(|r| r.input);
    found
}

/// The orders that a condition asks for: what is lower, what is higher, and whether they may not be equal.
pub(super) fn orders(condition: &Expr) -> Vec<(&Expr, &Expr, bool)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Lt => vec![(left, right, true)],
            Operator::LtEq => vec![(left, right, false)],
            Operator::Gt => vec![(right, left, true)],
            Operator::GtEq => vec![(right, left, false)],
            _ => Vec::new(),
        },
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) => vec![(low, expr, false), (expr, high, false)],
        _ => Vec::new(),
    }
}

fn time(expr: &Expr, sides: &[&Built; 2]) -> Option<Time> {
    let mut expr = expr;
    let mut later_us = 0_i64;
    while let Some((inner, by_us)) = shifted(expr) {
        later_us = later_us.checked_add(by_us)?;
        expr = inner;
    }
    (0..2).find_map(|side| {
        let column = sides[side].position(expr)?;
        Some(Time { side, column, later_us })
    })
}
