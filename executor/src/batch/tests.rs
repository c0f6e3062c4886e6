//! Snapshot queries over collections: scans, look-ups by key, a transaction's own changes, windows.

use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Extension, LogicalPlanBuilder, placeholder};
use datafusion::prelude::{Expr, col, lit};
use futures::TryStreamExt;
use futures::executor::block_on;
use highwater_planner::stream::plan::{WindowAssign, WindowKind};
use highwater_planner::{WINDOW_END, WINDOW_START, WindowNode, session_state};
use highwater_types::script::{format_delta, parse_delta};
use highwater_types::{Delta, Epoch, RelationId};

use super::*;
use crate::Collection;

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
