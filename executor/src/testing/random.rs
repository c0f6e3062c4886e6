//! Random streams of insertions and retractions: what an operator ships in many small epochs must come to what a new
//! one ships in a single epoch of the rows that are left.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use highwater_types::Delta;
use highwater_types::script::parse_delta;

use super::{Cut, ScriptEpoch, Shipped, fault_sums, load_copies, new_copies};
use crate::op::{OpContext, Operator};
use crate::state::StateWriter;

/// A random stream of changes.
pub(super) struct RandomRun {
    seed: u64,
    state: u64,
    inputs: Vec<SchemaRef>,
    /// By input: the rows that are there, as texts.
    rows: Vec<Vec<String>>,
}

impl RandomRun {
    const EPOCHS: u64 = 40;

    pub(super) fn new(inputs: &[SchemaRef], seed: u64) -> RandomRun {
        RandomRun {
            seed,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            inputs: inputs.to_vec(),
            rows: vec![Vec::new(); inputs.len()],
        }
    }

    /// A number below `bound` (Marsaglia's xorshift).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 33) as usize % bound
    }

    fn row(&mut self, input: usize) -> String {
        use arrow::datatypes::DataType;
        let schema = Arc::clone(&self.inputs[input]);
        let mut values = Vec::new();
        for (at, field) in schema.fields().iter().enumerate() {
            // The first columns are keys: few of them.
            let number = self.below(if at == 0 { 12 } else { 40 });
            let value = match field.data_type() {
                _ if number == 0 => "null".to_string(),
                DataType::Utf8 => format!("t{number}"),
                DataType::Boolean => number.is_multiple_of(2).to_string(),
                DataType::Float64 if number == 1 => "NaN".to_string(),
                DataType::Float64 => format!("{}", number as f64 / 7.0 - 2.0),
                _ => (number as i64 - 5).to_string(),
            };
            values.push(value);
        }
        values.join(" ")
    }

    /// Some changes of one input.
    fn changes(&mut self, input: usize) -> Option<Delta> {
        let count = match self.below(8) {
            0 => 0,
            1 => 400,
            _ => self.below(12),
        };
        let shrinking = self.below(3) == 0;
        let mut texts = Vec::new();
        for _ in 0..count {
            let retract = self.below(10) < if shrinking { 8 } else { 4 };
            if retract && !self.rows[input].is_empty() {
                let at = self.below(self.rows[input].len());
                texts.push(format!("-1 {}", self.rows[input].swap_remove(at)));
            } else {
                let row = self.row(input);
                texts.push(format!("+1 {row}"));
                self.rows[input].push(row);
            }
        }
        let delta = parse_delta(&self.inputs[input], &texts.join(", ")).expect("well-formed changes");
        (!delta.is_empty()).then_some(delta)
    }

    pub(super) fn check(&mut self, make: &dyn Fn(&OpContext) -> Box<dyn Operator>) {
        let mut ops = new_copies(make, 1);
        let mut saves = Vec::new();
        let mut total = Shipped::default();
        for epoch in 1..=RandomRun::EPOCHS {
            let mut changes = Vec::new();
            for input in 0..self.inputs.len() {
                changes.extend(self.changes(input).map(|delta| (input, delta)));
            }
            let shipped = ScriptEpoch::plain(epoch, changes).run(&mut ops, Cut::AsWritten);
            total.deltas.extend(shipped.deltas);
            total.faults.extend(shipped.faults);
            if self.below(4) == 0 {
                let all = (0..self.inputs.len()).map(|input| {
                    let texts: Vec<String> = self.rows[input].iter().map(|row| format!("+1 {row}")).collect();
                    let delta = parse_delta(&self.inputs[input], &texts.join(", "));
                    (input, delta.expect("well-formed changes"))
                });
                let expected = ScriptEpoch::plain(1, all.collect()).run(&mut new_copies(make, 1), Cut::AsWritten);
                let way = format!("epoch {epoch}, seed {}", self.seed);
                assert_eq!(total.text(), expected.text(), "{way}");
                assert_eq!(fault_sums(&total.faults), fault_sums(&expected.faults), "{way}");
            }
            if self.below(4) == 0 {
                let mut writer = StateWriter::default();
                ops[0].save(&mut writer).expect("state can be saved");
                saves.push(writer.into_reader());
                if self.below(2) == 0 {
                    ops = new_copies(make, 1);
                    load_copies(&mut ops, &saves);
                }
            }
        }
    }
}
