//! Snapshot queries over collections: scans, look-ups by key, a transaction's own changes, windows.

use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::{Column, JoinType, ScalarValue};
use datafusion::logical_expr::{Extension, LogicalPlanBuilder, placeholder};
use datafusion::prelude::{Expr, col, lit};
use futures::{StreamExt, TryStreamExt};
use highwater_planner::stream::plan::{WindowAssign, WindowKind};
use highwater_planner::{WINDOW_END, WINDOW_START, WindowNode, session_state};
use highwater_types::script::{format_delta, parse_delta};
use highwater_types::{Delta, Epoch, RelationId};

use super::*;
use crate::Collection;

/// Runs to the end, threads that have been started included.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(future)
}

const TABLE: ScanTarget = ScanTarget::Relation(RelationId(1));

struct OneTable {
    rows: Arc<Collection>,
    epoch: u64,
    changes: Option<Delta>,
}

impl Snapshot for OneTable {
    fn table(&self, _target: &ScanTarget) -> Result<Arc<dyn TableProvider>, SqlError> {
        let provider = CollectionProvider::new(Arc::clone(&self.rows), Epoch(self.epoch), self.changes.clone());
        Ok(Arc::new(provider))
    }
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("t", time, true),
    ]))
}

fn delta(text: &str) -> Delta {
    parse_delta(&schema(), text).expect("well formed")
}

fn scan() -> LogicalPlanBuilder {
    scan_with(Vec::new())
}

fn scan_with(filters: Vec<Expr>) -> LogicalPlanBuilder {
    let source = Arc::new(RelationSource::new(TABLE, schema()));
    LogicalPlanBuilder::scan_with_filters("t", source, None, filters).expect("a plan")
}

fn table(changes: Option<&str>) -> OneTable {
    let rows = Collection::new(schema(), Some(vec![0]), 1);
    rows.apply(0, Epoch(1), &delta("+1 1 10, +1 2 20, +1 3 30"))
        .expect("applies");
    rows.apply(0, Epoch(2), &delta("-1 2 20, +1 2 25")).expect("applies");
    OneTable {
        rows,
        epoch: 2,
        changes: changes.map(delta),
    }
}

fn answer(plan: LogicalPlanBuilder, params: Option<ParamValues>, from: &OneTable) -> String {
    let plan = plan.build().expect("a plan");
    let text = block_on(async {
        let stream = run(&plan, params, from, &session_state("UTC")).await.expect("runs");
        let schema = stream.schema();
        let batches: Vec<_> = stream.try_collect().await.expect("answers");
        format_delta(&Delta::insert(concat_batches(&schema, &batches).expect("one schema")))
    });
    text.replace("1970-01-01T00:00:00.0000", "")
}

#[test]
fn a_scan_shows_its_epoch() {
    let mut now = table(None);
    assert_eq!(answer(scan(), None, &now), "+1 1 10, +1 2 25, +1 3 30");
    now.epoch = 1;
    assert_eq!(answer(scan(), None, &now), "+1 1 10, +1 2 20, +1 3 30");
}

#[test]
fn a_transaction_sees_its_own_changes() {
    let own = table(Some("-1 1 10, +1 4 40, +1 5 50, -1 5 50, -1 3 30, +1 3 31"));
    assert_eq!(answer(scan(), None, &own), "+1 2 25, +1 3 31, +1 4 40");
}

#[test]
fn a_filter_on_the_key_finds_its_row() {
    let by_key = |changes, key: Expr| {
        let condition = col("t.k").eq(key);
        let plan = scan_with(vec![condition.clone()]).filter(condition).expect("a plan");
        answer(
            plan,
            Some(ParamValues::from(vec![ScalarValue::from(2_i64)])),
            &table(changes),
        )
    };
    let parameter = || placeholder("$1");
    assert_eq!(by_key(None, lit(3_i64)), "+1 3 30");
    assert_eq!(by_key(None, parameter()), "+1 2 25");
    assert_eq!(by_key(Some("-1 2 25, +1 2 26, +1 9 90"), parameter()), "+1 2 26");
    assert_eq!(by_key(Some("-1 2 25, -1 3 30"), parameter()), "");
}

#[test]
fn a_window_table_can_be_read_at_once() {
    let plan = scan().build().expect("a plan");
    let assign = WindowAssign {
        kind: WindowKind::Hop,
        time_column: 0,
        size_us: 20,
        slide_us: 10,
        offset_us: 0,
    };
    let bounds = [WINDOW_START, WINDOW_END].map(Column::from_name);
    let node = WindowNode::try_new(Arc::new(plan), Column::from_name("t"), assign, bounds).expect("a time column");
    let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
    let plan = LogicalPlanBuilder::from(plan)
        .aggregate(
            vec![col(WINDOW_START)],
            vec![datafusion::functions_aggregate::expr_fn::count(lit(1))],
        )
        .expect("a plan");
    assert_eq!(
        answer(plan, None, &table(None)),
        "+1 1970-01-01T00:00:00 1, +1 10 2, +1 20 2, +1 30 1"
    );
}

#[test]
fn a_join_that_finds_nothing_holds_nobody_up_and_ends_when_nobody_waits() {
    let many = Int64Array::from_iter_values(0..300_000);
    let times = TimestampMicrosecondArray::from_value(0, many.len());
    let rows = RecordBatch::try_new(schema(), vec![Arc::new(many), Arc::new(times)]).expect("a batch");
    let from = table(None);
    from.rows.apply(0, Epoch(3), &Delta::insert(rows)).expect("applies");
    let others = scan().alias("u").expect("a plan").build().expect("a plan");
    let condition = (col("t.k") + col("u.k")).lt(lit(0_i64));
    let plan = scan().join_on(others, JoinType::Inner, [condition]).expect("a plan");
    let plan = plan.build().expect("a plan");
    let from = OneTable { epoch: 3, ..from };
    // It would take minutes; the runtime ends once all its threads have.
    block_on(async {
        let mut stream = run(&plan, None, &from, &session_state("UTC")).await.expect("runs");
        let first = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
        assert!(first.is_err(), "there is no such row");
    });
}

/// What the short cut answers, and what the plan does.
fn both_ways(plan: LogicalPlanBuilder, params: &[ScalarValue], from: &OneTable) -> (Option<String>, String) {
    let state = session_state("UTC");
    let plan = state.optimize(&plan.build().expect("a plan")).expect("optimises");
    let types: Vec<DataType> = params.iter().map(ScalarValue::data_type).collect();
    let direct = DirectPlan::of(&plan, &types, |_| from.rows.key().map(<[usize]>::to_vec), &state);
    let rows = direct.and_then(|direct| {
        let provider = |_| {
            Ok(CollectionProvider::new(
                Arc::clone(&from.rows),
                Epoch(from.epoch),
                from.changes.clone(),
            ))
        };
        direct.run(params, provider).expect("reads")
    });
    let text = rows.map(|rows| format_delta(&Delta::insert(rows)));
    let values = (!params.is_empty()).then(|| ParamValues::from(params.to_vec()));
    let by_plan = answer(LogicalPlanBuilder::from(plan), values, from);
    (text.map(|t| t.replace("1970-01-01T00:00:00.0000", "")), by_plan)
}

fn typed_placeholder(id: &str) -> Expr {
    let field = Arc::new(Field::new(id, DataType::Int64, true));
    Expr::Placeholder(datafusion::logical_expr::expr::Placeholder::new_with_field(
        id.to_string(),
        Some(field),
    ))
}

fn where_key(condition: Expr) -> LogicalPlanBuilder {
    scan().filter(condition).expect("a plan")
}

#[test]
fn the_row_of_a_key_needs_no_planner_and_is_the_same() {
    let key = || col("t.k").eq(typed_placeholder("$1"));
    let two = [ScalarValue::from(2_i64)];
    for from in [
        table(None),
        table(Some("-1 2 25, +1 2 26, +1 9 90")),
        table(Some("-1 2 25")),
    ] {
        let other_column = key().and(col("t.t").is_not_null());
        let plans = [
            where_key(key()),
            where_key(other_column),
            where_key(key().and(lit(false).or(col("t.k").gt(lit(2_i64))))),
            where_key(key())
                .project(vec![(col("t.k") + typed_placeholder("$1")).alias("sum")])
                .expect("a plan"),
            where_key(key()).limit(0, Some(1)).expect("a plan"),
        ];
        for plan in plans {
            let (direct, by_plan) = both_ways(plan, &two, &from);
            assert_eq!(direct.as_deref(), Some(by_plan.as_str()));
        }
    }
}

#[test]
fn rows_that_the_statement_gives_need_no_planner() {
    let given = LogicalPlanBuilder::values(vec![
        vec![typed_placeholder("$1"), lit(1_i64)],
        vec![lit(5_i64), typed_placeholder("$1") + lit(1_i64)],
    ])
    .expect("a plan");
    let (direct, by_plan) = both_ways(given, &[ScalarValue::from(2_i64)], &table(None));
    assert_eq!(direct.as_deref(), Some("+1 2 1, +1 5 3"));
    assert_eq!(by_plan, "+1 2 1, +1 5 3");
}

#[test]
fn what_is_unusual_goes_the_long_way() {
    let from = table(None);
    let key = || where_key(col("t.k").eq(typed_placeholder("$1")));
    let nothing = ScalarValue::Int64(None);
    assert_eq!(both_ways(key(), &[nothing], &from), (None, String::new()));
    let no_key = where_key(col("t.t").is_not_null());
    assert_eq!(both_ways(no_key, &[], &from).0, None);
    let range = where_key(col("t.k").gt(typed_placeholder("$1")));
    assert_eq!(both_ways(range, &[ScalarValue::from(2_i64)], &from).0, None);
    let fails = key()
        .project(vec![(lit(1_i64) / (typed_placeholder("$1") - lit(2_i64))).alias("x")])
        .expect("a plan")
        .build()
        .expect("a plan");
    let state = session_state("UTC");
    let direct = DirectPlan::of(&fails, &[DataType::Int64], |_| Some(vec![0]), &state);
    let rows = Arc::clone(&from.rows);
    let ran = direct.map(|d| {
        d.run(&[ScalarValue::from(2_i64)], |_| {
            Ok(CollectionProvider::new(rows, Epoch(2), None))
        })
    });
    assert!(matches!(ran, None | Some(Ok(None))), "{ran:?}");
}
