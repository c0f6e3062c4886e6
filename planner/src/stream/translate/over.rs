//! OVER windows in an order of time: from when on they say of a row what they will always say.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, WindowFrameBound, WindowFrameUnits};

use super::Built;
use crate::stream::derive::Bound;

/// The column in whose order all of these window functions see their partitions, where a watermark bounds it and none
/// of them looks further ahead than a fixed time; and when a row with a value in it changes no more.
pub(super) fn settled(functions: &[Expr], input: &Built, days_are_fixed: bool) -> Option<(usize, Bound)> {
    let mut time = None;
    let mut ahead_us = 0;
    for function in functions {
        let Expr::WindowFunction(function) = function.clone().unalias() else {
            return None;
        };
        let first = function.params.order_by.first()?;
        let column = input.position(&first.expr)?;
        // Rows without a time may come at any time: they must not stand before others.
        let comes_in_order = first.asc && (!first.nulls_first || !input.field(column).is_nullable());
        if !comes_in_order || *time.get_or_insert(column) != column {
            return None;
        }
        ahead_us = ahead_us.max(ahead(&function, days_are_fixed)?);
    }
    let column = time?;
    let bound = input.facts.bounds[column].clone().filter(|bound| !bound.missing)?;
    let after_us = bound.after_us.checked_add(ahead_us)?;
    Some((column, Bound { after_us, ..bound }))
}

/// How far ahead of a row a function looks, in microseconds; `None` when that is no fixed time.
fn ahead(function: &WindowFunction, days_are_fixed: bool) -> Option<i64> {
    match function.fun.name() {
        "row_number" | "rank" | "dense_rank" => return Some(0),
        "lag" => {
            // Less than no row back is ahead.
            let back = match function.params.args.get(1) {
                None => true,
                Some(Expr::Literal(offset, _)) => {
                    matches!(offset.cast_to(&DataType::Int64), Ok(ScalarValue::Int64(Some(0..))))
                }
                Some(_) => false,
            };
            return back.then_some(0);
        }
        "lead" | "ntile" | "percent_rank" | "cume_dist" => return None,
        _ => {}
    }
    let frame = &function.params.window_frame;
    match (&frame.end_bound, frame.units) {
        (WindowFrameBound::CurrentRow | WindowFrameBound::Preceding(_), _) => Some(0),
        (WindowFrameBound::Following(distance), WindowFrameUnits::Range) => fixed_us(distance, days_are_fixed),
        (WindowFrameBound::Following(_), WindowFrameUnits::Rows | WindowFrameUnits::Groups) => None,
    }
}

/// An interval in microseconds, where it is always as long.
fn fixed_us(interval: &ScalarValue, days_are_fixed: bool) -> Option<i64> {
    let ScalarValue::IntervalMonthDayNano(Some(interval)) = interval else {
        return None;
    };
    let is_fixed = interval.months == 0 && (interval.days == 0 || days_are_fixed);
    let day_us = 24 * 3600 * 1_000_000i64;
    let us = i64::from(interval.days)
        .checked_mul(day_us)?
        .checked_add(interval.nanoseconds / 1000)?;
    (is_fixed && us >= 0).then_some(us)
}
