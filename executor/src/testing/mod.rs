//! The operators' test bench: [`check_op`] runs a script of deltas through an operator in every way in which a server
//! may run it, and all must give the same answers.
//!
//! A script is a line an epoch, in order:
//!
//! ```text
//! 1 in +1 a 5, +1 a 7     out +1 a 12
//! 2 in -1 a 5             out -1 a 12, +1 a 7     wm 5:100
//! 3 left +1 a 0           fault 22012 +1
//! ```
//!
//! After the epoch's number come, each as often as needed: `in`, `in0` or `left`, and `in1` or `right`, changes of an
//! input; `out`, the changes that are expected, in any order; `fault`, a SQLSTATE and a weight; `wm`, a source's
//! watermark from the end of this epoch on. A line that does not begin with a number goes on with the line before.
//!
//! The script runs as written; with each change alone and in opposite order; with the state saved after each epoch and
//! loaded into a new operator; on two and on four copies, rows spread as the operator asks for; and with the number of
//! copies changing after each epoch. At last everything is taken back at once, and what has been shipped must come to
//! what an operator ships that has seen nothing, and state likewise.

mod random;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, UInt32Array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use highwater_types::script::{format_delta, parse_delta};
use highwater_types::{Delta, Epoch, Fault, RelationId, RowKeys, SourceWatermark, Tick, Watermark};

use self::random::RandomRun;
use crate::op::{Distribution, OpContext, Operator, Output, Step};
use crate::state::{StateReader, StateWriter};

/// How often an operator may hand the worker back within one epoch.
const YIELD_COUNT_MAX: usize = 1_000_000;

/// Runs a script in every way, and at last takes everything back.
///
/// # Panics
/// When an answer is not the expected one, with the epoch and the way in which it was run.
pub fn check_op(make: impl Fn(&OpContext) -> Box<dyn Operator>, inputs: &[SchemaRef], script: &str) {
    let script = Script::parse(inputs, script);
    script.check(&make);
    script.check_undo(&make);
}

/// As [`check_op`], for an operator that forgets or never revises: nothing is taken back at the end.
///
/// # Panics
/// When an answer is not the expected one.
pub fn check_forgetful_op(make: impl Fn(&OpContext) -> Box<dyn Operator>, inputs: &[SchemaRef], script: &str) {
    Script::parse(inputs, script).check(&make);
}

/// Feeds random insertions and retractions, in epochs from one row to several hundred, and checks after some of them
/// that what was shipped so far comes to what a new operator ships that gets all rows there are in one epoch. The
/// state is saved and loaded now and then. Columns may be of type `int8`, `text`, `float8`, `boolean` and `int4`.
///
/// # Panics
/// When the two do not agree, with the seed and the epoch.
pub fn check_small_steps_agree(make: impl Fn(&OpContext) -> Box<dyn Operator>, inputs: &[SchemaRef], seed: u64) {
    RandomRun::new(inputs, seed).check(&make);
}

/// The context of a lone worker.
pub fn context() -> OpContext {
    OpContext {
        session: highwater_planner::shared_session_state("UTC"),
        owns_global: true,
    }
}

/// A schema of nullable columns with these names and types.
pub fn schema(columns: &[(&str, arrow::datatypes::DataType)]) -> SchemaRef {
    let fields: Vec<Field> = columns.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect();
    Arc::new(Schema::new(fields))
}

struct Script {
    epochs: Vec<ScriptEpoch>,
}

struct ScriptEpoch {
    tick: Tick,
    changes: Vec<(usize, Delta)>,
    expected: String,
    faults: BTreeMap<String, i64>,
}

/// What one epoch has shipped.
#[derive(Default)]
struct Shipped {
    deltas: Vec<Delta>,
    faults: Vec<(Fault, i64)>,
}

/// In which way a script is run.
#[derive(Debug, Clone, Copy)]
enum Cut {
    AsWritten,
    SingleChangesBackwards,
}

impl Script {
    fn parse(inputs: &[SchemaRef], text: &str) -> Script {
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
            match lines.last_mut() {
                Some(last) if !line.starts_with(|c: char| c.is_ascii_digit()) => {
                    last.push(' ');
                    last.push_str(line);
                }
                _ => lines.push(line.to_string()),
            }
        }
        let mut marks: BTreeMap<RelationId, Watermark> = BTreeMap::new();
        let epochs = lines
            .iter()
            .map(|line| ScriptEpoch::parse(inputs, line, &mut marks))
            .collect();
        Script { epochs }
    }

    fn check(&self, make: &dyn Fn(&OpContext) -> Box<dyn Operator>) {
        for cut in [Cut::AsWritten, Cut::SingleChangesBackwards] {
            self.run(make, cut, &[1], false);
            self.run(make, cut, &[1], true);
            self.run(make, cut, &[2], false);
            self.run(make, cut, &[4], true);
            self.run(make, cut, &[1, 3, 2, 4], true);
        }
    }

    /// Runs the script on as many copies as `copies` says for each epoch in turn; with `restart`, the state is saved
    /// and loaded between epochs.
    fn run(&self, make: &dyn Fn(&OpContext) -> Box<dyn Operator>, cut: Cut, copies: &[usize], restart: bool) {
        let way = format!("{cut:?}, on {copies:?} copies, restarted: {restart}");
        let mut ops = new_copies(make, copies[0]);
        let mut saves: Vec<StateReader> = Vec::new();
        for (at, epoch) in self.epochs.iter().enumerate() {
            if at > 0 && restart {
                for op in &mut ops {
                    let mut writer = StateWriter::default();
                    op.save(&mut writer).expect("state can be saved");
                    saves.push(writer.into_reader());
                }
                ops = new_copies(make, copies[at % copies.len()]);
                load_copies(&mut ops, &saves);
            }
            let shipped = epoch.run(&mut ops, cut);
            epoch.check(&shipped, &way);
        }
    }

    /// Everything, and then its opposite, must come to nothing.
    fn check_undo(&self, make: &dyn Fn(&OpContext) -> Box<dyn Operator>) {
        let mut untouched = new_copies(make, 1);
        let last = self.epochs.last().map_or(Epoch(1), |e| e.tick.epoch.next());
        let nothing = ScriptEpoch::plain(last.0, Vec::new());
        let mut expected = nothing.run(&mut untouched, Cut::AsWritten);
        let mut ops = new_copies(make, 1);
        let mut total = Shipped::default();
        let mut opposite = Vec::new();
        for epoch in &self.epochs {
            let shipped = epoch.run(&mut ops, Cut::AsWritten);
            total.deltas.extend(shipped.deltas);
            total.faults.extend(shipped.faults);
            opposite.extend(epoch.changes.iter().map(|(input, delta)| (*input, delta.negate())));
        }
        let undo = ScriptEpoch {
            changes: opposite,
            ..nothing
        };
        let shipped = undo.run(&mut ops, Cut::AsWritten);
        total.deltas.extend(shipped.deltas);
        total.faults.extend(shipped.faults);
        assert_eq!(
            total.text(),
            expected.text(),
            "what remains after everything was taken back"
        );
        assert_eq!(
            fault_sums(&total.faults),
            fault_sums(&expected.faults),
            "faults that remain after everything was taken back"
        );
        expected.deltas.clear();
        let row_count = |ops: &mut Vec<Box<dyn Operator>>| {
            let mut writer = StateWriter::default();
            ops[0].save(&mut writer).expect("state can be saved");
            writer.row_count()
        };
        let (left, least) = (row_count(&mut ops), row_count(&mut untouched));
        assert_eq!(left, least, "rows of state after everything was taken back");
    }
}

impl ScriptEpoch {
    /// An epoch without watermarks and expectations.
    fn plain(number: u64, changes: Vec<(usize, Delta)>) -> ScriptEpoch {
        ScriptEpoch {
            tick: Tick::new(Epoch(number), number as i64 * 1000),
            changes,
            expected: String::new(),
            faults: BTreeMap::new(),
        }
    }

    fn parse(inputs: &[SchemaRef], line: &str, marks: &mut BTreeMap<RelationId, Watermark>) -> ScriptEpoch {
        const WORDS: [&str; 8] = ["in", "in0", "in1", "left", "right", "out", "fault", "wm"];
        let (number, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = number
            .parse()
            .unwrap_or_else(|_| panic!("{line:?} begins with no epoch"));
        let mut sections: Vec<(&str, String)> = Vec::new();
        for word in rest.split_whitespace() {
            match (WORDS.iter().find(|w| **w == word), sections.last_mut()) {
                (Some(word), _) => sections.push((word, String::new())),
                (None, Some((_, text))) => {
                    text.push_str(word);
                    text.push(' ');
                }
                (None, None) => panic!("{word:?} in {line:?} is in no section"),
            }
        }
        let before = marks.clone();
        let (mut changes, mut faults, mut expected) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (word, text) in sections {
            let delta = |input: usize| parse_delta(&inputs[input], &text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
            match word {
                "in" | "in0" | "left" => changes.push((0, delta(0))),
                "in1" | "right" => changes.push((1, delta(1))),
                "out" => expected.push(text.trim().to_string()),
                "fault" => {
                    let (state, weight) = text.trim().split_once(' ').expect("a fault has a state and a weight");
                    *faults.entry(state.to_string()).or_insert(0) += weight.parse::<i64>().expect("a weight");
                }
                _ => {
                    let (source, mark) = text
                        .trim()
                        .split_once(':')
                        .expect("a watermark has a source and a time");
                    let source = RelationId(source.parse().expect("a relation's number"));
                    marks.insert(source, Watermark(mark.parse().expect("a time in microseconds")));
                }
            }
        }
        let watermarks = marks.iter().map(|(relation, after)| SourceWatermark {
            relation: *relation,
            before: before.get(relation).copied().unwrap_or(Watermark::NONE),
            after: *after,
        });
        ScriptEpoch {
            tick: Tick::new(Epoch(number), number as i64 * 1000).with_watermarks(watermarks.collect()),
            changes,
            expected: expected.join(", "),
            faults,
        }
    }

    fn run(&self, ops: &mut [Box<dyn Operator>], cut: Cut) -> Shipped {
        let mut out = Output::default();
        for (input, delta) in self.cut(cut) {
            let owners = spread(&delta, &ops[0].distribution(input), ops.len());
            for (copy, op) in ops.iter_mut().enumerate() {
                let rows = (0..delta.num_rows()).filter(|row| owners[*row] == copy);
                let rows = UInt32Array::from_iter_values(rows.map(|row| row as u32));
                let part = if rows.len() == delta.num_rows() {
                    delta.clone()
                } else {
                    delta.take(&rows).expect("rows of the delta")
                };
                if !part.is_empty() {
                    op.update(&self.tick, input, &part, &mut out)
                        .expect("the update is right");
                }
            }
        }
        for op in ops {
            let mut yields = 0;
            while op.close(&self.tick, &mut out).expect("the close is right") == Step::Yield {
                yields += 1;
                assert!(yields < YIELD_COUNT_MAX, "an epoch is never through");
            }
        }
        let (deltas, faults) = out.take();
        Shipped { deltas, faults }
    }

    fn cut(&self, cut: Cut) -> Vec<(usize, Delta)> {
        match cut {
            Cut::AsWritten => self.changes.clone(),
            Cut::SingleChangesBackwards => {
                let mut single = Vec::new();
                for (input, delta) in &self.changes {
                    for row in 0..delta.num_rows() {
                        let (batch, _) = delta.slice(row, 1).into_parts();
                        let weight = delta.weight(row);
                        for _ in 0..weight.abs() {
                            let weights = (weight < 0).then(|| Int64Array::from(vec![-1]));
                            let change = Delta::try_new(batch.clone(), weights).expect("one weight for one row");
                            single.push((*input, change));
                        }
                    }
                }
                single.reverse();
                single
            }
        }
    }

    fn check(&self, shipped: &Shipped, way: &str) {
        let expected = match shipped.deltas.first() {
            None => self.expected.clone(),
            Some(first) => {
                let delta = parse_delta(&first.schema(), &self.expected)
                    .unwrap_or_else(|e| panic!("expected {:?}: {e}", self.expected));
                format_delta(&delta.consolidate().expect("comparable"))
            }
        };
        let epoch = self.tick.epoch;
        assert_eq!(shipped.text(), expected, "output of epoch {epoch} ({way})");
        assert_eq!(
            fault_sums(&shipped.faults),
            self.faults,
            "faults of epoch {epoch} ({way})"
        );
    }
}

impl Shipped {
    /// The sum of what was shipped.
    fn text(&self) -> String {
        let Some(first) = self.deltas.first() else {
            return String::new();
        };
        let all = Delta::concat(&first.schema(), &self.deltas).expect("deltas of one schema");
        format_delta(&all.consolidate().expect("comparable"))
    }
}

fn fault_sums(faults: &[(Fault, i64)]) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for (fault, weight) in faults {
        *sums.entry(fault.state.to_string()).or_insert(0) += weight;
    }
    sums.retain(|_, weight| *weight != 0);
    sums
}

fn new_copies(make: &dyn Fn(&OpContext) -> Box<dyn Operator>, count: usize) -> Vec<Box<dyn Operator>> {
    let context_of = |copy| OpContext {
        owns_global: copy == 0,
        ..context()
    };
    (0..count).map(|copy| make(&context_of(copy))).collect()
}

fn load_copies(ops: &mut [Box<dyn Operator>], saves: &[StateReader]) {
    let distribution = match ops[0].distribution(0) {
        Distribution::Keys(keys) => Distribution::Keys((0..keys.len()).collect()),
        other => other,
    };
    let count = ops.len();
    let readers = StateReader::merge(saves.iter().cloned())
        .split(count, |batch| {
            spread(&Delta::insert(batch.clone()), &distribution, count)
        })
        .expect("rows of the state");
    for (op, mut reader) in ops.iter_mut().zip(readers) {
        op.load(&mut reader).expect("its own state");
    }
}

/// The copy that each row of a delta goes to.
fn spread(delta: &Delta, distribution: &Distribution, copies: usize) -> Vec<usize> {
    let by_columns = |columns: Vec<ArrayRef>| -> Vec<usize> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|c| Field::new("k", c.data_type().clone(), true))
            .collect();
        let keys = RowKeys::of_key(&Arc::new(Schema::new(fields))).expect("key columns have a row format");
        let rows = keys.encode(&columns).expect("columns of the schema");
        let copy_of = |row: usize| {
            let mut hasher = DefaultHasher::new();
            rows.row(row).data().hash(&mut hasher);
            (hasher.finish() % copies as u64) as usize
        };
        (0..rows.num_rows()).map(copy_of).collect()
    };
    match distribution {
        Distribution::Single => vec![0; delta.num_rows()],
        Distribution::Keys(keys) => by_columns(keys.iter().map(|k| Arc::clone(delta.column(*k))).collect()),
        // A row and its retraction must still meet; but a weight, in a saved batch, is no part of a row.
        Distribution::Any => by_columns(vec![Arc::clone(delta.column(0))]),
    }
}
