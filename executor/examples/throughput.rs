//! How fast the runtime is, by itself: rows a second through Input, Fused, Aggregate and a collection, and one-row
//! epochs a second, lock-step. `cargo run --release -p highwater-executor --example throughput`

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use crossbeam_channel::Receiver;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::prelude::{col, lit};
use highwater_executor::{Collection, DataflowSpec, Report, Runtime};
use highwater_planner::stream::plan::{
    Aggregate, AggregateCall, AggregateKind, Properties, Step, StreamNode, StreamOp, StreamPlan,
};
use highwater_types::{Delta, Epoch, RelationId, Tick};

const TABLE: RelationId = RelationId(1);
const VIEW: RelationId = RelationId(2);
const EPOCHS: u64 = 20;
const ROWS_PER_EPOCH: i64 = 500_000;
const GROUPS: i64 = 100_000;
const SMALL_EPOCHS: u64 = 5_000;

fn columns(names: &[&str]) -> SchemaRef {
    let fields: Vec<Field> = names
        .iter()
        .map(|name| Field::new(*name, DataType::Int64, true))
        .collect();
    Arc::new(Schema::new(fields))
}

fn logical(schema: &SchemaRef) -> DFSchemaRef {
    Arc::new(DFSchema::try_from(schema.as_ref().clone()).expect("distinct names"))
}

fn node(op: StreamOp, inputs: Vec<Arc<StreamNode>>, schema: &SchemaRef) -> Arc<StreamNode> {
    let properties = Properties::default();
    Arc::new(StreamNode {
        op,
        inputs,
        schema: logical(schema),
        properties,
    })
}

/// SELECT k, count(*), max(w) FROM (SELECT k, v + 1 AS w FROM t WHERE v >= 0) GROUP BY k.
fn plan(output: &SchemaRef) -> StreamPlan {
    let table = columns(&["k", "v"]);
    let input = node(
        StreamOp::Input {
            relation: TABLE,
            columns: vec![0, 1],
        },
        Vec::new(),
        &table,
    );
    let computed = columns(&["k", "w"]);
    let steps = vec![
        Step::Filter(col("v").gt_eq(lit(0_i64))),
        Step::Project(vec![col("k"), (col("v") + lit(1_i64)).alias("w")], logical(&computed)),
    ];
    let fused = node(StreamOp::Fused(steps), vec![input], &computed);
    let call = |kind, args, at: usize| AggregateCall {
        kind,
        args,
        distinct: false,
        filter: None,
        output: Arc::clone(&output.fields()[at]),
    };
    let aggregate = Aggregate {
        group: vec![0],
        calls: vec![
            call(AggregateKind::Count, Vec::new(), 1),
            call(AggregateKind::Max, vec![1], 2),
        ],
        complete: None,
        append_only_input: true,
    };
    let root = node(StreamOp::Aggregate(aggregate), vec![fused], output);
    StreamPlan {
        root,
        inputs: vec![TABLE],
    }
}

fn rows(from: i64, count: i64) -> Delta {
    let keys = Int64Array::from_iter_values((from..from + count).map(|i| (i * 7_919) % GROUPS));
    let values = Int64Array::from_iter_values(from..from + count);
    let batch = RecordBatch::try_new(columns(&["k", "v"]), vec![Arc::new(keys), Arc::new(values)]);
    Delta::insert(batch.expect("two columns of a length"))
}

fn wait(reports: &Receiver<Report>, is_it: impl Fn(&Report) -> bool) {
    for report in reports {
        if let Report::ViewFailed { error, .. } = &report {
            panic!("{error}");
        }
        if is_it(&report) {
            return;
        }
    }
}

fn measure(workers: usize) -> String {
    let (sender, reports) = crossbeam_channel::unbounded();
    let runtime = Runtime::start(workers, sender).expect("threads can be started");
    let schema = columns(&["k", "count", "max"]);
    let output = Collection::new(Arc::clone(&schema), Some(vec![0]), workers);
    runtime.create(DataflowSpec {
        view: VIEW,
        plan: plan(&schema),
        output: Arc::clone(&output),
        at: Epoch(0),
        tick: Tick::new(Epoch(0), 0),
        time_zone: "UTC".to_string(),
    });
    runtime.history_done(VIEW, TABLE);
    wait(&reports, |report| matches!(report, Report::CaughtUp(_)));
    let deltas: Vec<Delta> = (0..EPOCHS as i64)
        .map(|n| rows(n * ROWS_PER_EPOCH, ROWS_PER_EPOCH))
        .collect();
    let mut epoch = 0;
    let mut run = |delta: Delta| {
        epoch += 1;
        runtime.tick(Tick::new(Epoch(epoch), 0), vec![(TABLE, vec![delta])]);
        wait(
            &reports,
            |report| matches!(report, Report::Closed(closed) if closed.0 == epoch),
        );
        output.retain_from(Epoch(epoch));
    };
    let start = Instant::now();
    deltas.into_iter().for_each(&mut run);
    let rows_a_second = (EPOCHS as f64 * ROWS_PER_EPOCH as f64) / start.elapsed().as_secs_f64();
    let small: Vec<Delta> = (0..SMALL_EPOCHS as i64).map(|n| rows(n, 1)).collect();
    let start = Instant::now();
    small.into_iter().for_each(&mut run);
    let epochs_a_second = SMALL_EPOCHS as f64 / start.elapsed().as_secs_f64();
    runtime.stop();
    format!("{workers} worker(s): {rows_a_second:.0} rows/s in large epochs, {epochs_a_second:.0} one-row epochs/s")
}

#[allow(clippy::print_stdout, reason = "an example answers on its standard output")]
fn main() {
    for workers in [1, 2] {
        println!("{}", measure(workers));
    }
}
