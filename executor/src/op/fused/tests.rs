//! Scripts for [`FusedOp`].

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, col, lit};
use highwater_planner::stream::plan::{Step as PlanStep, WindowAssign, WindowKind};

use super::*;
use crate::testing::{check_op, schema};

fn to_df(schema: &SchemaRef) -> DFSchemaRef {
    Arc::new(DFSchema::try_from(schema.as_ref().clone()).expect("distinct names"))
}

fn check(input: &SchemaRef, steps: Vec<PlanStep>, script: &str) {
    let inputs = [to_df(input)];
    let make = |context: &OpContext| -> Box<dyn Operator> {
        Box::new(FusedOp::try_new(&steps, &inputs, &inputs[0], context).expect("it can be built"))
    };
    check_op(make, std::slice::from_ref(input), script);
}

fn project(exprs: Vec<(&str, DataType, Expr)>) -> PlanStep {
    let fields: Vec<Field> = exprs.iter().map(|(n, t, _)| Field::new(*n, t.clone(), true)).collect();
    let schema = DFSchema::try_from(Schema::new(fields)).expect("distinct names");
    PlanStep::Project(exprs.into_iter().map(|(_, _, e)| e).collect(), Arc::new(schema))
}

#[test]
fn rows_keep_their_weights_through_filters_and_projections() {
    let input = schema(&[("k", DataType::Utf8), ("v", DataType::Int64)]);
    check(
        &input,
        vec![
            PlanStep::Filter(col("v").gt(lit(1_i64))),
            project(vec![
                ("w", DataType::Int64, col("v") * lit(2_i64)),
                ("k", DataType::Utf8, col("k")),
            ]),
            PlanStep::Filter(col("w").not_eq(lit(8_i64))),
        ],
        "1 in +2 a 5, +1 b 1, -1 c 3, +1 d null, +1 e 4     out +2 10 a, -1 6 c
         2 in -1 a 5, +1 null 3                             out -1 10 a, +1 6 null",
    );
}

#[test]
fn rows_on_which_an_expression_fails_are_faults_and_the_others_go_on() {
    let input = schema(&[("k", DataType::Utf8), ("v", DataType::Int64)]);
    check(
        &input,
        vec![project(vec![("q", DataType::Int64, lit(10_i64) / col("v"))])],
        "1 in +1 a 5, +2 b 0, +1 c 0, +1 d 1, +1 e null     out +1 2, +1 10, +1 null     fault 22012 +3
         2 in -1 b 0, +1 f 2                                out +1 5                     fault 22012 -1",
    );
}

const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

fn window(kind: WindowKind, size_us: i64, slide_us: i64, offset_us: i64) -> PlanStep {
    PlanStep::Window(WindowAssign {
        kind,
        time_column: 0,
        size_us,
        slide_us,
        offset_us,
    })
}

#[test]
fn a_row_falls_into_one_tumbling_window() {
    let input = schema(&[("t", TIME)]);
    check(
        &input,
        vec![window(WindowKind::Tumble, 10, 10, 3)],
        "1 in +1 3, +2 12, +1 13, +1 2, +1 -8, +1 null
           out +1 3 3 13, +2 12 3 13, +1 13 13 23, +1 2 -7 3, +1 -8 -17 -7, +1 null null null",
    );
}

#[test]
fn a_row_falls_into_each_hopping_window_that_covers_it() {
    let input = schema(&[("t", TIME)]);
    check(
        &input,
        vec![window(WindowKind::Hop, 10, 5, 0)],
        "1 in +1 0, +2 7, +1 null    out +1 0 0 10, +1 0 -5 5, +2 7 5 15, +2 7 0 10",
    );
    check(
        &input,
        vec![window(WindowKind::Hop, 10, 4, 0)],
        "1 in +1 1, +1 3             out +1 1 0 10, +1 1 -4 6, +1 1 -8 2, +1 3 0 10, +1 3 -4 6",
    );
}

#[test]
fn a_time_near_its_end_has_no_window() {
    let input = schema(&[("t", TIME)]);
    check(
        &input,
        vec![window(WindowKind::Tumble, 10, 10, 0)],
        "1 in +1 9223372036854775807, +1 5, +1 -9223372036854775808     out +1 5 0 10     fault 22008 +2",
    );
}

#[test]
fn steps_after_a_window_see_its_bounds() {
    let input = schema(&[("t", TIME)]);
    check(
        &input,
        vec![
            window(WindowKind::Hop, 10, 5, 0),
            project(vec![("window_end", TIME, col("window_end")), ("at", TIME, col("t"))]),
        ],
        "1 in +1 7     out +1 15 7, +1 10 7",
    );
}

#[test]
fn rows_that_fall_into_the_same_windows_are_summed() {
    let input = schema(&[("t", TIME), ("k", DataType::Int64)]);
    let rows: Vec<String> = (0..100).map(|i| format!("+1 {} {}", i % 10, i % 2)).collect();
    let taken: Vec<String> = (0..100).map(|i| format!("-1 {} 0", i % 5)).collect();
    check(
        &input,
        vec![
            window(WindowKind::Hop, 10, 5, 0),
            project(vec![("k", DataType::Int64, col("k")), ("end", TIME, col("window_end"))]),
        ],
        &format!(
            "1 in {}                        out +30 0 5, +50 0 10, +20 0 15, +20 1 5, +50 1 10, +30 1 15
             2 in {}, +100 6 1              out -100 0 10, -100 0 5, +100 1 15, +100 1 10
             3 in +1 null 0, +1 7 null      out +1 null 15, +1 null 10",
            rows.join(", "),
            taken.join(", ")
        ),
    );
}
