//! sum(x) and avg(x) of intervals: months, days and time are added apart, exactly. An average is what PostgreSQL's
//! division makes of the sum: a fraction of a month goes to the days (thirty to a month), one of a day to the time.
//! Forty-eight bytes a group.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, IntervalMonthDayNanoArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType};
use highwater_types::{Fault, SqlState};

use super::accumulator::{Accumulator, Changes};
use super::count::{pick, restore};
use super::sum::Finish;
use crate::ExecError;

const DAYS_PER_MONTH: f64 = 30.0;
const MICROS_PER_DAY: f64 = 86_400_000_000.0;

/// Sums or averages of intervals.
#[derive(Debug)]
pub(super) struct IntervalAccumulator {
    finish: Finish,
    counts: Vec<i64>,
    sums: Vec<Sum>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    months: i64,
    days: i64,
    micros: i128,
}

impl IntervalAccumulator {
    /// Sums or averages.
    pub(super) fn new(finish: Finish) -> IntervalAccumulator {
        IntervalAccumulator {
            finish,
            counts: Vec::new(),
            sums: Vec::new(),
        }
    }
}

impl Sum {
    fn to_interval(self) -> Option<IntervalMonthDayNano> {
        let nanos = self.micros.checked_mul(1000).and_then(|n| i64::try_from(n).ok())?;
        let (months, days) = (i32::try_from(self.months).ok()?, i32::try_from(self.days).ok()?);
        Some(IntervalMonthDayNano::new(months, days, nanos))
    }

    /// As PostgreSQL's `interval_div`, with its roundings.
    fn divide(self, count: i64) -> Sum {
        let to_micros = |seconds: f64| (seconds * 1e6).round_ties_even() / 1e6;
        let count = count as f64;
        let (months, days) = (self.months as f64 / count, self.days as f64 / count);
        let spilled_days = to_micros((months - months.trunc()) * DAYS_PER_MONTH);
        let day_fraction = days - days.trunc() + (spilled_days - spilled_days.trunc());
        let mut seconds = to_micros(day_fraction * MICROS_PER_DAY / 1e6);
        let whole_days = (seconds * 1e6 / MICROS_PER_DAY).trunc();
        seconds -= whole_days * MICROS_PER_DAY / 1e6;
        Sum {
            months: months.trunc() as i64,
            days: days.trunc() as i64 + spilled_days.trunc() as i64 + whole_days as i64,
            micros: (self.micros as f64 / count + seconds * 1e6).round_ties_even() as i128,
        }
    }

    fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.months.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.days.to_le_bytes());
        bytes[16..].copy_from_slice(&self.micros.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Sum> {
        Some(Sum {
            months: i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?),
            days: i64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?),
            micros: i128::from_le_bytes(bytes.get(16..)?.try_into().ok()?),
        })
    }
}

impl Accumulator for IntervalAccumulator {
    fn grow(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        self.sums.resize(groups, Sum::default());
    }

    fn update(
        &mut self,
        changes: &Changes<'_>,
        args: &[ArrayRef],
        valid: Option<&NullBuffer>,
    ) -> Result<(), ExecError> {
        let values = args[0].as_primitive::<IntervalMonthDayNanoType>().values();
        let (counts, sums) = (&mut self.counts, &mut self.sums);
        changes.for_each(valid, |row, group, weight| {
            let (value, sum) = (values[row], &mut sums[group]);
            counts[group] += weight;
            // With wrapping, a sum that has left its range comes back when retractions bring it back.
            sum.months = sum.months.wrapping_add(i64::from(value.months).wrapping_mul(weight));
            sum.days = sum.days.wrapping_add(i64::from(value.days).wrapping_mul(weight));
            sum.micros += i128::from(value.nanoseconds / 1000) * i128::from(weight);
        });
        Ok(())
    }

    fn evaluate(&self, groups: &[u32], faults: &mut Vec<(usize, Fault)>) -> Result<ArrayRef, ExecError> {
        let mut results = Vec::with_capacity(groups.len());
        for (at, group) in groups.iter().enumerate() {
            let (count, sum) = (self.counts[*group as usize], self.sums[*group as usize]);
            if count == 0 {
                results.push(None);
                continue;
            }
            let result = match self.finish {
                Finish::Sum => sum.to_interval(),
                Finish::Average => sum.divide(count).to_interval(),
            };
            if result.is_none() {
                let fault = Fault::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range");
                faults.push((at, fault));
            }
            results.push(result);
        }
        Ok(Arc::new(IntervalMonthDayNanoArray::from(results)))
    }

    fn forget(&mut self, groups: &[u32]) {
        for group in groups {
            self.counts[*group as usize] = 0;
            self.sums[*group as usize] = Sum::default();
        }
    }

    fn numbers(&self, groups: &[u32]) -> Vec<ArrayRef> {
        let sums = groups.iter().map(|g| self.sums[*g as usize].to_bytes());
        vec![
            pick(&self.counts, groups),
            Arc::new(BinaryArray::from_iter_values(sums)),
        ]
    }

    fn load_numbers(&mut self, groups: &[u32], columns: &[ArrayRef]) -> Result<(), ExecError> {
        restore(&mut self.counts, groups, &columns[0]);
        for (group, bytes) in groups.iter().zip(columns[1].as_binary::<i32>().iter()) {
            self.sums[*group as usize] = bytes.and_then(Sum::from_bytes).ok_or_else(|| ExecError::State {
                operator: "Aggregate",
                reason: "a sum of intervals is malformed".to_string(),
            })?;
        }
        Ok(())
    }
}
