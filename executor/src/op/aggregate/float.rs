//! sum(x) and avg(x) of floating-point numbers, over an [`ExactFloatSum`] a group: the answer is the true sum, rounded
//! once. So it does not depend on the order of the rows, and a retraction leaves exactly what was there before. NaN
//! and the infinities are counted, so that they go as they came. Forty bytes a group, or more when numbers of very
//! different size meet.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float32Array, Float64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use highwater_types::{ExactFloatSum, Fault, SqlState};

use super::accumulator::{Accumulator, Changes};
use super::count::{pick, restore};
use super::sum::Finish;
use crate::ExecError;

/// Sums or averages of floats.
#[derive(Debug)]
pub(super) struct FloatAccumulator {
    finish: Finish,
    output: DataType,
    counts: Vec<i64>,
    sums: Vec<ExactFloatSum>,
}

impl FloatAccumulator {
    /// With results of type `real` or `double precision`.
    pub(super) fn new(finish: Finish, output: DataType) -> FloatAccumulator {
        FloatAccumulator {
            finish,
            output,
            counts: Vec::new(),
            sums: Vec::new(),
        }
    }

    fn result(&self, group: usize) -> Option<f64> {
        let sum = self.sums[group].value()?;
        let result = match self.finish {
            Finish::Sum => sum,
            Finish::Average => sum / self.counts[group] as f64,
        };
        let lost = self.output == DataType::Float32 && result.is_finite() && !(result as f32).is_finite();
        (!lost).then_some(result)
    }
}

impl Accumulator for FloatAccumulator {
    fn grow(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        self.sums.resize(groups, ExactFloatSum::default());
    }

    fn update(
        &mut self,
        changes: &Changes<'_>,
        args: &[ArrayRef],
        valid: Option<&NullBuffer>,
    ) -> Result<(), ExecError> {
        let (counts, sums) = (&mut self.counts, &mut self.sums);
        let mut add = |group: usize, value: f64, weight: i64| {
            counts[group] += weight;
            sums[group].add(value, weight);
        };
        if args[0].data_type() == &DataType::Float32 {
            let values = args[0].as_primitive::<Float32Type>().values();
            changes.for_each(valid, |row, group, weight| add(group, f64::from(values[row]), weight));
        } else {
            let values = args[0].as_primitive::<Float64Type>().values();
            changes.for_each(valid, |row, group, weight| add(group, values[row], weight));
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32], faults: &mut Vec<(usize, Fault)>) -> Result<ArrayRef, ExecError> {
        let mut results = Vec::with_capacity(groups.len());
        for (at, group) in groups.iter().enumerate() {
            let group = *group as usize;
            if self.counts[group] == 0 {
                results.push(None);
                continue;
            }
            let result = self.result(group);
            if result.is_none() {
                let message = "value out of range: overflow";
                faults.push((at, Fault::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)));
            }
            results.push(result);
        }
        Ok(match self.output {
            DataType::Float32 => Arc::new(results.iter().map(|r| r.map(|v| v as f32)).collect::<Float32Array>()),
            _ => Arc::new(Float64Array::from(results)),
        })
    }

    fn forget(&mut self, groups: &[u32]) {
        for group in groups {
            self.counts[*group as usize] = 0;
            self.sums[*group as usize] = ExactFloatSum::default();
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
            let sum = bytes.and_then(ExactFloatSum::from_bytes);
            self.sums[*group as usize] = sum.ok_or_else(|| ExecError::State {
                operator: "Aggregate",
                reason: "a sum of floats is malformed".to_string(),
            })?;
        }
        Ok(())
    }
}
