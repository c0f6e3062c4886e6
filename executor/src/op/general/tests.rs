//! Scripts for [`GeneralOp`].

use arrow::datatypes::TimeUnit;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::common::DFSchema;
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use highwater_planner::stream::plan::General;
use highwater_types::RelationId;

use super::*;
use crate::testing::{check_forgetful_op, check_op, schema};

fn input() -> SchemaRef {
    schema(&[("p", DataType::Utf8), ("v", DataType::Int64)])
}

/// The plan of a query over the tables `highwater_general_input_0` and so on.
fn plan(inputs: &[SchemaRef], sql: &str) -> LogicalPlan {
    // A catalog of its own: the shared state's is shared by all tests.
    let state = SessionStateBuilder::new_from_existing(highwater_planner::session_state("UTC"))
        .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
        .build();
    let context = SessionContext::new_with_state(state);
    let catalog = MemoryCatalogProvider::new();
    catalog
        .register_schema("public", Arc::new(MemorySchemaProvider::new()))
        .expect("an empty catalog");
    context.register_catalog("datafusion", Arc::new(catalog));
    for (at, input) in inputs.iter().enumerate() {
        let table = MemTable::try_new(Arc::clone(input), vec![vec![]]).expect("an empty table");
        context
            .register_table(General::input_name(at), Arc::new(table))
            .expect("no other table of the name");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let plan = runtime
        .block_on(context.state().create_logical_plan(sql))
        .expect("a right query");
    context.state().optimize(&plan).expect("a plan that can be optimised")
}

fn make(
    inputs: &[SchemaRef],
    sql: &str,
    partition: &[usize],
    release: Vec<Release>,
) -> impl Fn(&OpContext) -> Box<dyn Operator> {
    let plan = plan(inputs, sql);
    let output: Arc<DFSchema> = Arc::clone(plan.schema());
    let node = General {
        partition: partition.to_vec(),
        plan,
        output_partition: partition.to_vec(),
    };
    let inputs = inputs.iter().map(|input| DFSchema::try_from(input.as_ref().clone()));
    let inputs: Vec<DFSchemaRef> = inputs.map(|input| Arc::new(input.expect("distinct names"))).collect();
    move |context| Box::new(GeneralOp::try_new(&node, &inputs, &output, &release, context).expect("it can be built"))
}

fn check(sql: &str, partition: &[usize], script: &str) {
    check_op(make(&[input()], sql, partition, Vec::new()), &[input()], script);
}

#[test]
fn only_touched_partitions_are_revised() {
    check(
        "SELECT p, v, lag(v) OVER (PARTITION BY p ORDER BY v) AS before FROM highwater_general_input_0",
        &[0],
        "1 in +1 a 1, +1 a 3, +1 b 1, +1 null 7       out +1 a 1 null, +1 a 3 1, +1 b 1 null, +1 null 7 null
         2 in +1 a 2                                  out -1 a 3 1, +1 a 2 1, +1 a 3 2
         3 in -1 a 1, +1 c 1, -1 c 1                  out -1 a 1 null, -1 a 2 1, +1 a 2 null
         4 in +1 b 1                                  out +1 b 1 1
         5 in -2 b 1, -1 null 7                       out -1 b 1 1, -1 b 1 null, -1 null 7 null",
    );
}

#[test]
fn a_plan_without_partitions_answers_over_no_input() {
    check(
        "SELECT count(*) AS n, max(v) AS m FROM highwater_general_input_0",
        &[],
        "1                      out +1 0 null
         2 in +2 a 5            out -1 0 null, +1 2 5
         3 in -2 a 5            out -1 2 5, +1 0 null",
    );
}

#[test]
fn peers_are_numbered_by_their_columns() {
    check(
        "SELECT p, v, row_number() OVER (PARTITION BY p) AS n FROM highwater_general_input_0",
        &[0],
        "1 in +1 a 3, +1 a 1            out +1 a 1 1, +1 a 3 2
         2 in +1 a 2                    out -1 a 3 2, +1 a 2 2, +1 a 3 3",
    );
}

#[test]
fn a_partition_on_which_the_plan_fails_has_a_fault_instead_of_rows() {
    check(
        "SELECT p, sum(10 / v) AS s FROM highwater_general_input_0 GROUP BY p",
        &[0],
        "1 in +1 a 5, +1 b 2             out +1 a 2, +1 b 5
         2 in +1 a 0, +1 c 0             out -1 a 2              fault 22012 +2
         3 in +1 a 1, +1 b 1             out -1 b 5, +1 b 15
         4 in -1 a 0                     out +1 a 12             fault 22012 -1
         5 in -1 c 0, +1 d 0
         6 in -1 d 0                                             fault 22012 -1",
    );
}

#[test]
fn complete_partitions_are_released_and_their_rows_stay() {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let input = schema(&[("w", time), ("v", DataType::Int64)]);
    let release = Release {
        input: 0,
        column: 0,
        after_us: 0,
        sources: vec![RelationId(5)],
    };
    let sql = "SELECT w, v, lag(v) OVER (PARTITION BY w ORDER BY v) AS before FROM highwater_general_input_0";
    check_forgetful_op(
        make(std::slice::from_ref(&input), sql, &[0], vec![release]),
        std::slice::from_ref(&input),
        "1 in +1 1000000 1, +1 9000000 1     out +1 1000000 1 null, +1 9000000 1 null      wm 5:5000000
         2 in +1 1000000 2, +1 9000000 2     out +1 9000000 2 1",
    );
}

#[test]
fn small_steps_and_one_big_step_agree() {
    let sql = "SELECT p, v, rank() OVER (PARTITION BY p ORDER BY v DESC) AS r, sum(100 / v) OVER (PARTITION BY p) AS s
        FROM highwater_general_input_0";
    crate::testing::check_small_steps_agree(make(&[input()], sql, &[0], Vec::new()), &[input()], 1);
}

#[test]
fn several_inputs_are_read_as_of_one_epoch() {
    let inputs = [input(), schema(&[("q", DataType::Utf8), ("w", DataType::Int64)])];
    let sql = "SELECT p, v, w FROM highwater_general_input_0 FULL JOIN highwater_general_input_1 ON p = q";
    check_op(
        make(&inputs, sql, &[], Vec::new()),
        &inputs,
        "1 left +1 a 1, +1 b 2     right +1 a 7     out +1 a 1 7, +1 b 2 null
         2 left -1 a 1             right +1 a 8     out -1 a 1 7, +1 null null 7, +1 null null 8
         3 right -1 a 7, +1 b 9                     out -1 null null 7, -1 b 2 null, +1 b 2 9",
    );
}

#[test]
fn a_recursion_that_does_not_end_is_a_fault_until_it_does() {
    let sql = "WITH RECURSIVE r(n) AS (SELECT v FROM highwater_general_input_0 UNION ALL \
               SELECT n + v FROM r, highwater_general_input_0 WHERE n BETWEEN 1 AND 5) SELECT n FROM r";
    check(
        sql,
        &[],
        "1 in +1 a 2      out +1 2, +1 4, +1 6
         2 in -1 a 2, +1 a 0, +1 b 1      out -1 2, -1 4, -1 6      fault 54000 +1
         3 in -1 a 0, -1 b 1, +1 a 5      out +1 5, +1 10           fault 54000 -1",
    );
}
