//! Temporal filters: conditions that compare a time with `now()`, which in a view is the epoch's time. A row is there
//! while they hold, and comes and goes by itself.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Filter, lit};

use super::interval::orders;
use super::{Built, Translator};
use crate::error::{PlanError, Result};
use crate::now::is_clock;
use crate::stream::derive::Facts;
use crate::stream::monotone::shifted_by;
use crate::stream::plan::{Limit, StateBound, StreamOp, TemporalFilter, TimeBound};

/// A time of the row's own, and what it limits.
struct RowLimit {
    time: Expr,
    limit: Limit,
    after_us: i64,
}

impl Translator<'_> {
    /// A filter with conditions on the clock; `None` when it has none.
    pub(super) fn filter_on_clock(&mut self, filter: &Filter) -> Result<Option<Built>> {
        let (on_clock, others): (Vec<&Expr>, Vec<&Expr>) = split_conjunction(&filter.predicate)
            .into_iter()
            .partition(|condition| asks_clock(condition));
        if on_clock.is_empty() {
            return Ok(None);
        }
        let (mut limits, mut plain) = (Vec::new(), Vec::new());
        for condition in on_clock {
            let (on_clock, without) = self.row_limits(condition)?;
            limits.extend(on_clock);
            plain.extend(without);
        }
        let input = match others.into_iter().cloned().chain(plain).reduce(Expr::and) {
            None => self.node(&filter.input)?,
            Some(predicate) => self.filter(&Filter::try_new(predicate, filter.input.clone())?)?,
        };
        self.temporal_filter(input, limits, filter.input.schema()).map(Some)
    }

    fn temporal_filter(&mut self, input: Built, limits: Vec<RowLimit>, schema: &DFSchema) -> Result<Built> {
        let width = input.width();
        let mut times = Vec::with_capacity(limits.len());
        for limit in &limits {
            times.push(self.resolve(&limit.time, schema, &input)?);
        }
        let (input, columns) = self.with_columns(input, &times)?;
        let bounds = limits.iter().zip(columns).map(|(limit, column)| TimeBound {
            column,
            limit: limit.limit,
            after_us: limit.after_us,
        });
        let op = TemporalFilter {
            bounds: bounds.collect(),
        };
        let facts = Facts {
            key: input.facts.key.clone(),
            append_only: input.facts.append_only && op.bounds.iter().all(|bound| bound.limit == Limit::Begin),
            // Rows come and go by the clock, whatever a watermark says.
            ..Facts::unknown(input.width())
        };
        let schema = input.schema().clone();
        let built = Built::new(StreamOp::TemporalFilter(op), vec![input.node], schema, facts);
        let built = built.with_state(StateBound::Clock, Vec::new());
        self.keep_columns(built, &(0..width).collect::<Vec<_>>())
    }

    /// What a condition asks of the clock, and what it asks without.
    fn row_limits(&self, condition: &Expr) -> Result<(Vec<RowLimit>, Vec<Expr>)> {
        let orders = orders(condition);
        let (mut limits, mut plain) = (Vec::new(), Vec::new());
        for (low, high, strict) in &orders {
            let later = i64::from(*strict);
            match (self.clock_offset(low), self.clock_offset(high)) {
                // now + c < time: until the time, less c.
                (Some(offset_us), None) if !asks_clock(high) => limits.push(RowLimit {
                    time: (*high).clone(),
                    limit: Limit::End,
                    after_us: (1 - later).saturating_sub(offset_us),
                }),
                (None, Some(offset_us)) if !asks_clock(low) => limits.push(RowLimit {
                    time: (*low).clone(),
                    limit: Limit::Begin,
                    after_us: later.saturating_sub(offset_us),
                }),
                (None, None) if !asks_clock(low) && !asks_clock(high) => plain.push(match strict {
                    true => (*low).clone().lt((*high).clone()),
                    false => (*low).clone().lt_eq((*high).clone()),
                }),
                (Some(low_us), Some(high_us)) => plain.push(lit(low_us.saturating_add(later) <= high_us)),
                _ => return Err(refused()),
            }
        }
        match orders.is_empty() {
            true => Err(refused()),
            false => Ok((limits, plain)),
        }
    }

    /// How many microseconds after the clock an expression is that follows it.
    fn clock_offset(&self, expr: &Expr) -> Option<i64> {
        let (mut expr, mut offset_us) = (expr, 0_i64);
        while let Some((inner, by_us)) = shifted_by(expr, self.days_are_fixed) {
            offset_us = offset_us.checked_add(by_us)?;
            expr = inner;
        }
        is_clock(expr).then_some(offset_us)
    }
}

/// Whether an expression depends on the clock.
pub(super) fn asks_clock(expr: &Expr) -> bool {
    // The closure does not fail.
    expr.exists(|e| Ok(is_clock(e))).unwrap_or(false)
}

/// What is said of `now()` in another place.
pub(super) fn refused() -> PlanError {
    PlanError::unsupported(
        "now() in this place in a materialized view",
        "In WHERE, compare a time with it, plus or minus a length that is always the same: ts > now() - INTERVAL '24 \
         hours' (days are that only in time zones without summer time); or use it in a SELECT over the view.",
    )
}
