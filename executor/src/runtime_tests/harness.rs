//! A runtime under test: plans over relations `(k bigint, v text)`, epochs as text, and waits for reports that end
//! in a panic rather than never.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use crossbeam_channel::Receiver;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarUDF, Volatility, create_udf};
use datafusion::prelude::{col, lit};
use highwater_planner::stream::plan::{Properties, Step, StreamNode, StreamOp, StreamPlan};
use highwater_types::script::{format_delta, parse_delta};
use highwater_types::{Delta, Epoch, RelationId, SqlError, SqlState, Tick};

use crate::{Collection, DataflowSpec, Report, Runtime};

/// How long a report may take, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

type Node = Arc<StreamNode>;

pub(super) fn id(relation: u32) -> RelationId {
    RelationId(relation)
}

fn arrow_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("v", DataType::Utf8, true),
    ]))
}

fn schema() -> DFSchemaRef {
    Arc::new(DFSchema::try_from(arrow_schema().as_ref().clone()).expect("two columns"))
}

fn node(op: StreamOp, inputs: Vec<Node>) -> Node {
    Arc::new(StreamNode {
        op,
        inputs,
        schema: schema(),
        properties: Properties::default(),
    })
}

pub(super) fn input(relation: u32) -> Node {
    node(
        StreamOp::Input {
            relation: id(relation),
            columns: vec![0, 1],
        },
        Vec::new(),
    )
}

pub(super) fn constant(rows: &str) -> Node {
    let rows = parse_delta(&arrow_schema(), rows).expect("well formed").into_parts().0;
    node(StreamOp::Constant(rows), Vec::new())
}

pub(super) fn union(inputs: Vec<Node>) -> Node {
    node(StreamOp::Union, inputs)
}

pub(super) fn view_of(root: Node) -> Node {
    root
}

fn project(of: Node, key: Expr) -> Node {
    node(
        StreamOp::Fused(vec![Step::Project(vec![key.alias("k"), col("v")], schema())]),
        vec![of],
    )
}

pub(super) fn add_one(of: Node) -> Node {
    project(of, col("k") + lit(1_i64))
}

pub(super) fn only_positive(of: Node) -> Node {
    node(StreamOp::Fused(vec![Step::Filter(col("k").gt(lit(0_i64)))]), vec![of])
}

/// 100 divided by the key.
pub(super) fn divide(of: Node) -> Node {
    project(
        of,
        function("hundred_by", |key| match key {
            0 => Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")),
            key => Ok(100 / key),
        }),
    )
}

/// A projection whose function panics at 13.
pub(super) fn panic_at_13(of: Node) -> Node {
    project(
        of,
        function("panic_at_13", |key| {
            assert_ne!(key, 13, "a test panics on purpose");
            Ok(key)
        }),
    )
}

fn function(name: &str, body: fn(i64) -> Result<i64, SqlError>) -> Expr {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    let implementation = move |args: &[ColumnarValue]| {
        let keys = ColumnarValue::values_to_arrays(args)?.remove(0);
        let mapped: Result<Vec<i64>, SqlError> = keys
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .map(|k| body(*k))
            .collect();
        let mapped = mapped.map_err(|e| datafusion::error::DataFusionError::External(Box::new(e)))?;
        Ok(ColumnarValue::Array(Arc::new(Int64Array::from(mapped))))
    };
    let types = vec![DataType::Int64];
    let udf: ScalarUDF = create_udf(
        name,
        types,
        DataType::Int64,
        Volatility::Immutable,
        Arc::new(implementation),
    );
    udf.call(vec![col("k")])
}

/// Rows with these keys.
pub(super) fn rows(keys: Range<i64>) -> Delta {
    let values = StringArray::from_iter_values(keys.clone().map(|_| "v"));
    let columns = vec![Arc::new(Int64Array::from_iter_values(keys)) as _, Arc::new(values) as _];
    Delta::insert(RecordBatch::try_new(arrow_schema(), columns).expect("two columns of a length"))
}

fn inputs_of(node: &Node, found: &mut Vec<RelationId>) {
    if let StreamOp::Input { relation, .. } = &node.op {
        found.push(*relation);
    }
    node.inputs.iter().for_each(|input| inputs_of(input, found));
}

/// A runtime, its views, and what it has said.
pub(super) struct Bench {
    runtime: Option<Runtime>,
    reports: Receiver<Report>,
    workers: usize,
    epoch: u64,
    closed: u64,
    caught_up: HashSet<u32>,
    failed: Vec<u32>,
    views: HashMap<u32, Arc<Collection>>,
}

impl Bench {
    pub(super) fn start(workers: usize) -> Bench {
        let (sender, reports) = crossbeam_channel::unbounded();
        let runtime = Runtime::start(workers, sender).expect("threads can be started");
        Bench {
            runtime: Some(runtime),
            reports,
            workers,
            epoch: 0,
            closed: 0,
            caught_up: HashSet::new(),
            failed: Vec::new(),
            views: HashMap::new(),
        }
    }

    pub(super) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("not stopped yet")
    }

    pub(super) fn reports(&self) -> &Receiver<Report> {
        &self.reports
    }

    pub(super) fn create(&mut self, view: u32, root: Node) {
        self.create_at(view, root, self.epoch);
    }

    pub(super) fn create_at(&mut self, view: u32, root: Node, at: u64) {
        let mut inputs = Vec::new();
        inputs_of(&root, &mut inputs);
        inputs.sort_unstable();
        inputs.dedup();
        let output = Collection::new(arrow_schema(), root.properties.key.clone(), self.workers);
        self.views.insert(view, Arc::clone(&output));
        self.runtime().create(DataflowSpec {
            view: id(view),
            plan: StreamPlan { root, inputs },
            output,
            at: Epoch(at),
            tick: Tick::new(Epoch(at), 0),
            time_zone: "UTC".to_string(),
        });
    }

    /// Creates a view with this history and waits until it has caught up.
    pub(super) fn create_live(&mut self, view: u32, root: Node, histories: &[(u32, &str)]) {
        self.create(view, root);
        for (input, history) in histories {
            self.history(view, *input, history);
            self.history_done(view, *input);
        }
        self.wait_caught_up(view);
    }

    pub(super) fn history(&self, view: u32, input: u32, text: &str) {
        self.runtime().history(
            id(view),
            id(input),
            parse_delta(&arrow_schema(), text).expect("well formed"),
        );
    }

    pub(super) fn history_done(&self, view: u32, input: u32) {
        self.runtime().history_done(id(view), id(input));
    }

    pub(super) fn drop_view(&mut self, view: u32) {
        self.runtime().drop_dataflow(id(view));
        self.views.remove(&view);
    }

    /// Runs an epoch and waits until it is closed.
    pub(super) fn tick(&mut self, changes: &[(u32, &str)]) {
        self.send_tick(changes);
        self.wait_closed();
    }

    pub(super) fn send_tick(&mut self, changes: &[(u32, &str)]) {
        self.epoch += 1;
        let inputs = changes.iter().map(|(relation, text)| {
            // Every row on its own, so that all workers get some.
            let delta = parse_delta(&arrow_schema(), text).expect("well formed");
            (
                id(*relation),
                (0..delta.num_rows()).map(|row| delta.slice(row, 1)).collect(),
            )
        });
        self.runtime().tick(Tick::new(Epoch(self.epoch), 0), inputs.collect());
    }

    pub(super) fn wait_closed(&mut self) {
        while self.closed < self.epoch {
            self.take_report();
        }
    }

    pub(super) fn wait_caught_up(&mut self, view: u32) {
        while !self.caught_up.remove(&view) {
            self.take_report();
        }
    }

    pub(super) fn wait_failed(&mut self) -> u32 {
        while self.failed.is_empty() {
            self.take_report();
        }
        self.failed.remove(0)
    }

    fn take_report(&mut self) {
        match self.reports.recv_timeout(PATIENCE).expect("a report comes in time") {
            Report::Closed(epoch) => {
                assert!(
                    epoch.0 > self.closed && epoch.0 <= self.epoch,
                    "{epoch} closes after {}",
                    self.closed
                );
                self.closed = epoch.0;
            }
            Report::CaughtUp(view) => assert!(self.caught_up.insert(view.0), "{view} catches up once"),
            Report::ViewFailed { view, .. } => self.failed.push(view.0),
        }
    }

    pub(super) fn read(&self, view: u32, epoch: u64) -> Result<String, SqlError> {
        let batches = self.views[&view].scan(Epoch(epoch), None)?;
        let rows = concat_batches(&arrow_schema(), &batches).expect("one schema");
        Ok(format_delta(&Delta::insert(rows)))
    }

    pub(super) fn view_at(&self, view: u32, epoch: u64) -> String {
        self.read(view, epoch).expect("no fault")
    }

    pub(super) fn newest(&self, view: u32) -> String {
        self.view_at(view, self.epoch)
    }

    pub(super) fn row_count(&self, view: u32, epoch: u64) -> u64 {
        self.views[&view].row_count(Epoch(epoch))
    }

    /// Stops the workers; nothing may have failed that was not asked about.
    pub(super) fn stop(mut self) {
        assert_eq!(self.failed, Vec::<u32>::new());
        if let Some(runtime) = self.runtime.take() {
            runtime.stop();
        }
    }
}
