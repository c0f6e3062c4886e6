//! Computed columns that a watermark bounds because they follow a bounded column: a time plus or minus a fixed
//! length, and a time cut to a unit by `date_trunc`.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::derive::Bound;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// What bounds an expression, given what bounds the columns it is made of.
pub(super) fn bound_of(expr: &Expr, column: &dyn Fn(&Expr) -> Option<Bound>) -> Option<Bound> {
    match expr {
        Expr::Column(_) => column(expr),
        Expr::Alias(alias) => bound_of(&alias.expr, column),
        _ => {
            if let Some((inner, by_us)) = shifted(expr) {
                return Some(bound_of(inner, column)?.earlier(-by_us));
            }
            let Expr::ScalarFunction(function) = expr else {
                return None;
            };
            match (function.name(), function.args.as_slice()) {
                ("date_trunc", [Expr::Literal(unit, _), inner, ..]) => {
                    let longest_us = longest_unit_us(unit.try_as_str()??)?;
                    Some(Bound {
                        grid_us: 1,
                        grid_offset_us: 0,
                        family: None,
                        ..bound_of(inner, column)?.earlier(longest_us - 1)
                    })
                }
                _ => None,
            }
        }
    }
}

/// The expression that this one is a fixed number of microseconds later than, wherever clocks are changed.
pub(super) fn shifted(expr: &Expr) -> Option<(&Expr, i64)> {
    shifted_by(expr, false)
}

/// The same; `days_are_fixed` says that a day is always 24 hours.
pub(super) fn shifted_by(expr: &Expr, days_are_fixed: bool) -> Option<(&Expr, i64)> {
    // PostgreSQL's arithmetic on times is a function named like the operator.
    let (minus, left, right) = match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Plus => (false, left.as_ref(), right.as_ref()),
            Operator::Minus => (true, left.as_ref(), right.as_ref()),
            _ => return None,
        },
        Expr::ScalarFunction(function) => match (function.name(), function.args.as_slice()) {
            ("+", [left, right]) => (false, left, right),
            ("-", [left, right]) => (true, left, right),
            _ => return None,
        },
        _ => return None,
    };
    let length = |expr| fixed_length_us(expr, days_are_fixed);
    match (length(left), length(right)) {
        (None, Some(us)) => Some((left, if minus { us.checked_neg()? } else { us })),
        (Some(us), None) if !minus => Some((right, us)),
        _ => None,
    }
}

/// The length of an interval that is the same wherever it is added. Days are not, where clocks are changed.
fn fixed_length_us(expr: &Expr, days_are_fixed: bool) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(value)), _) => {
            let IntervalMonthDayNano {
                months,
                days,
                nanoseconds,
            } = *value;
            let is_fixed = months == 0 && (days == 0 || days_are_fixed);
            let days_us = i64::from(days).checked_mul(DAY_US)?;
            is_fixed.then(|| days_us.checked_add(nanoseconds / 1000))?
        }
        _ => None,
    }
}

/// The longest that a unit of `date_trunc` can be; a day may have an hour more than 24.
fn longest_unit_us(unit: &str) -> Option<i64> {
    Some(match unit.to_lowercase().as_str() {
        "microsecond" | "microseconds" => 1,
        "millisecond" | "milliseconds" => 1000,
        "second" => SECOND_US,
        "minute" => 60 * SECOND_US,
        "hour" => 3600 * SECOND_US,
        "day" => DAY_US + 3600 * SECOND_US,
        "week" => 7 * DAY_US + 3600 * SECOND_US,
        "month" => 31 * DAY_US + 3600 * SECOND_US,
        "quarter" => 92 * DAY_US + 3600 * SECOND_US,
        "year" => 366 * DAY_US + 3600 * SECOND_US,
        _ => return None,
    })
}
