//! Scripts for [`AggregateOp`]; those for sums and averages are in `sums.rs`.

mod sums;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::DFSchema;
use highwater_planner::stream::plan::{Aggregate, AggregateCall, AggregateKind, Completion};
use highwater_types::{QUOTIENT, RelationId};

use super::*;
use crate::testing::{check_forgetful_op, check_op, schema};

/// A call, its result's type, and whether it is DISTINCT.
type Call<'a> = (AggregateKind, &'a [usize], DataType);

fn call((kind, args, output): Call<'_>) -> AggregateCall {
    AggregateCall {
        kind,
        args: args.to_vec(),
        distinct: false,
        filter: None,
        output: Arc::new(Field::new(format!("{kind:?}"), output, true)),
    }
}

fn distinct(of: Call<'_>) -> AggregateCall {
    AggregateCall {
        distinct: true,
        ..call(of)
    }
}

fn group_by(group: &[usize], calls: Vec<AggregateCall>) -> Aggregate {
    Aggregate {
        group: group.to_vec(),
        calls,
        complete: None,
        append_only_input: false,
    }
}

fn make(node: Aggregate, input: SchemaRef) -> impl Fn(&OpContext) -> Box<dyn Operator> {
    let fields: Vec<Field> = node
        .group
        .iter()
        .enumerate()
        .map(|(at, g)| input.field(*g).clone().with_name(format!("k{at}")))
        .chain(
            node.calls
                .iter()
                .enumerate()
                .map(|(at, c)| c.output.as_ref().clone().with_name(format!("a{at}"))),
        )
        .collect();
    let output = Arc::new(DFSchema::try_from(Schema::new(fields)).expect("distinct names"));
    let inputs = [Arc::new(
        DFSchema::try_from(input.as_ref().clone()).expect("distinct names"),
    )];
    move |context| Box::new(AggregateOp::try_new(&node, &inputs, &output, context).expect("it can be built"))
}

fn check(node: Aggregate, input: &SchemaRef, script: &str) {
    check_op(make(node, Arc::clone(input)), std::slice::from_ref(input), script);
}

/// Also with the accumulators for inputs that never retract, which must answer the same.
fn check_append_only(node: Aggregate, input: &SchemaRef, script: &str) {
    check(node.clone(), input, script);
    let node = Aggregate {
        append_only_input: true,
        ..node
    };
    check_forgetful_op(make(node, Arc::clone(input)), std::slice::from_ref(input), script);
}

fn text_and_number() -> SchemaRef {
    schema(&[("k", DataType::Utf8), ("v", DataType::Int64)])
}

const SUM: AggregateKind = AggregateKind::Sum;
const BIG: DataType = DataType::Decimal128(38, 0);
const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

#[test]
fn a_sum_is_retracted_and_inserted_once_an_epoch() {
    check(
        group_by(&[0], vec![call((SUM, &[1], BIG))]),
        &text_and_number(),
        "1 in +1 a 5, +1 a 7              out +1 a 12
         2 in -1 a 5                      out -1 a 12, +1 a 7
         3 in +1 a 1, -1 a 1
         4 in -1 a 7                      out -1 a 7
         5 in +2 a 3, +1 b null           out +1 a 6, +1 b null
         6 in -1 a 3, +1 a 3, +3 b 1      out -1 b null, +1 b 3
         7
         8 in -2 a 3, +1 a 4              out -1 a 6, +1 a 4",
    );
}

#[test]
fn a_group_that_comes_and_goes_within_an_epoch_is_never_seen() {
    check(
        group_by(&[0], vec![call((AggregateKind::Count, &[], DataType::Int64))]),
        &text_and_number(),
        "1 in +1 a 5, -1 a 5, +1 null 1, +1 null 2    out +1 null 2
         2 in -2 null 1, +1 null 1                    out -1 null 2, +1 null 1
         3 in -1 null 2, +1 b 1                       out -1 null 1, +1 b 1",
    );
}

#[test]
fn null_zero_and_the_empty_text_are_different_keys() {
    let input = schema(&[("a", DataType::Int64), ("b", DataType::Int32), ("v", DataType::Int64)]);
    let count = || vec![call((AggregateKind::Count, &[2], DataType::Int64))];
    check(
        group_by(&[0, 1], count()),
        &input,
        "1 in +1 0 null 1, +1 null 0 1, +1 0 0 null, +1 null null 1   out +1 0 null 1, +1 null 0 1, +1 0 0 0, +1 null null 1
         2 in -1 0 null 1, +1 0 0 7                                   out -1 0 null 1, -1 0 0 0, +1 0 0 1",
    );
    let input = schema(&[("a", DataType::Utf8), ("b", DataType::Int32), ("v", DataType::Int64)]);
    check(
        group_by(&[0, 1], count()),
        &input,
        "1 in +1 '' 1 1, +1 null 1 1, +1 '' 1 1      out +1 '' 1 2, +1 null 1 1
         2 in -2 '' 1 1                              out -1 '' 1 2",
    );
}

#[test]
fn distinct_rows_are_groups_without_calls() {
    check(
        group_by(&[0, 1], Vec::new()),
        &text_and_number(),
        "1 in +2 a 1, +1 a 2     out +1 a 1, +1 a 2
         2 in -1 a 1
         3 in -1 a 1, +1 a 2     out -1 a 1",
    );
}

#[test]
fn an_aggregate_without_keys_answers_over_no_input() {
    check(
        group_by(
            &[],
            vec![
                call((AggregateKind::Count, &[], DataType::Int64)),
                call((SUM, &[1], BIG)),
            ],
        ),
        &text_and_number(),
        "1                           out +1 0 null
         2 in +1 a 5                 out -1 0 null, +1 1 5
         3
         4 in -1 a 5                 out -1 1 5, +1 0 null
         5 in +1 a 1, -1 a 1",
    );
    check(
        group_by(&[], vec![call((AggregateKind::Count, &[], DataType::Int64))]),
        &text_and_number(),
        "1 in +1 a 5, +1 b 5         out +1 2",
    );
}

#[test]
fn min_and_max_find_the_next_when_the_first_goes() {
    let input = schema(&[("k", DataType::Int32), ("v", DataType::Int64), ("t", DataType::Utf8)]);
    check(
        group_by(
            &[0],
            vec![
                call((AggregateKind::Min, &[1], DataType::Int64)),
                call((AggregateKind::Max, &[1], DataType::Int64)),
                call((AggregateKind::Max, &[2], DataType::Utf8)),
            ],
        ),
        &input,
        "1 in +1 1 5 b, +1 1 9 a, +2 1 7 c        out +1 1 5 9 c
         2 in -1 1 9 a, -1 1 7 c                  out -1 1 5 9 c, +1 1 5 7 c
         3 in -1 1 7 c, +1 1 null null            out -1 1 5 7 c, +1 1 5 5 b
         4 in -1 1 5 b                            out -1 1 5 5 b, +1 1 null null null",
    );
}

#[test]
fn cheap_and_retractable_accumulators_agree_on_insertions() {
    let input = schema(&[
        ("k", DataType::Int32),
        ("v", DataType::Int64),
        ("d", DataType::Decimal128(10, 2)),
        ("t", DataType::Utf8),
    ]);
    check_append_only(
        group_by(
            &[0],
            vec![
                call((AggregateKind::Min, &[1], DataType::Int64)),
                call((AggregateKind::Max, &[2], DataType::Decimal128(10, 2))),
                call((AggregateKind::Min, &[3], DataType::Utf8)),
            ],
        ),
        &input,
        "1 in +1 1 5 1.50 b, +1 1 9 -2.00 ''     out +1 1 5 1.50 ''
         2 in +1 1 6 1.50 z
         3 in +3 1 2 1.51 null, +1 2 null null null    out -1 1 5 1.50 '', +1 1 2 1.51 '', +1 2 null null null",
    );
}

#[test]
fn nan_is_the_greatest_number_and_goes_as_it_came() {
    let input = schema(&[("k", DataType::Int32), ("v", DataType::Float64)]);
    check(
        group_by(
            &[0],
            vec![
                call((AggregateKind::Max, &[1], DataType::Float64)),
                call((AggregateKind::Min, &[1], DataType::Float64)),
                call((SUM, &[1], DataType::Float64)),
                call((AggregateKind::Avg, &[1], DataType::Float64)),
            ],
        ),
        &input,
        "1 in +1 1 0.1, +1 1 NaN, +1 1 -3          out +1 1 NaN -3 NaN NaN
         2 in -1 1 NaN, +1 1 inf                   out -1 1 NaN -3 NaN NaN, +1 1 inf -3 inf inf
         3 in -1 1 inf, -1 1 -3, +1 1 0.2          out -1 1 inf -3 inf inf, +1 1 0.2 0.1 0.30000000000000004 0.15000000000000002
         4 in +1 1 1e300, +1 1 -1e300, -1 1 0.2    out -1 1 0.2 0.1 0.30000000000000004 0.15000000000000002, +1 1 1e300 -1e300 0.1 0.03333333333333333",
    );
}

#[test]
fn distinct_counts_a_value_once() {
    let calls = || {
        vec![
            distinct((AggregateKind::Count, &[1], DataType::Int64)),
            distinct((SUM, &[1], BIG)),
            call((AggregateKind::Count, &[1], DataType::Int64)),
        ]
    };
    check(
        group_by(&[0], calls()),
        &text_and_number(),
        "1 in +2 a 5, +1 a 7, +1 b 5, +1 b null     out +1 a 2 12 3, +1 b 1 5 1
         2 in -1 a 5                                out -1 a 2 12 3, +1 a 2 12 2
         3 in -1 a 5, -1 b 5                        out -1 a 2 12 2, +1 a 1 7 1, -1 b 1 5 1, +1 b 0 null 0
         4 in -1 a 7, +1 a 8, +1 a 8                out -1 a 1 7 1, +1 a 1 8 2",
    );
    check(
        group_by(&[], calls()),
        &text_and_number(),
        "1 in +2 a 5            out +1 1 5 2
         2 in -2 a 5            out -1 1 5 2, +1 0 null 0
         3 in +1 a 5            out -1 0 null 0, +1 1 5 1",
    );
}

#[test]
fn a_filter_says_which_rows_take_part() {
    let input = schema(&[("k", DataType::Int32), ("v", DataType::Int32), ("f", DataType::Boolean)]);
    let filtered = |of| AggregateCall {
        filter: Some(2),
        ..call(of)
    };
    check_append_only(
        group_by(
            &[0],
            vec![
                filtered((AggregateKind::Count, &[], DataType::Int64)),
                filtered((SUM, &[1], DataType::Int64)),
                filtered((AggregateKind::Max, &[1], DataType::Int32)),
                call((AggregateKind::Count, &[], DataType::Int64)),
            ],
        ),
        &input,
        "1 in +1 1 5 true, +1 1 9 false, +1 1 7 null     out +1 1 1 5 5 3
         2 in +1 2 1 false                               out +1 2 0 null null 1",
    );
}

#[test]
fn booleans_are_all_true_or_any_true() {
    let input = schema(&[("k", DataType::Int32), ("v", DataType::Boolean)]);
    check(
        group_by(
            &[0],
            vec![
                call((AggregateKind::BoolAnd, &[1], DataType::Boolean)),
                call((AggregateKind::BoolOr, &[1], DataType::Boolean)),
            ],
        ),
        &input,
        "1 in +1 1 true, +1 1 false, +1 2 null, +1 3 true     out +1 1 false true, +1 2 null null, +1 3 true true
         2 in -1 1 true, +1 2 false                           out -1 1 false true, +1 1 false false, -1 2 null null, +1 2 false false",
    );
}

#[test]
fn many_values_of_one_group_are_kept_in_order() {
    let changes = |weight: i64, range: std::ops::Range<i64>| -> String {
        let changes: Vec<String> = range.map(|v| format!("{weight:+} a {}", (v * 37) % 101)).collect();
        changes.join(", ")
    };
    check(
        group_by(&[0], vec![call((AggregateKind::Max, &[1], DataType::Int64))]),
        &text_and_number(),
        &format!(
            "1 in {}     out +1 a 100
             2 in {}     out -1 a 100, +1 a 37",
            changes(1, 0..101),
            changes(-1, 2..101)
        ),
    );
}

fn windowed(emit_on_close: bool, after_us: i64, grid_us: i64) -> (Aggregate, SchemaRef) {
    let input = schema(&[("w", TIME), ("k", DataType::Utf8), ("v", DataType::Int64)]);
    let node = Aggregate {
        group: vec![0, 1],
        calls: vec![
            call((AggregateKind::Count, &[], DataType::Int64)),
            call((AggregateKind::Max, &[2], DataType::Int64)),
            distinct((AggregateKind::Count, &[2], DataType::Int64)),
        ],
        complete: Some(Completion {
            group_column: 0,
            after_us,
            grid_us,
            sources: vec![RelationId(5), RelationId(6)],
            window: vec![0],
            emit_on_close,
        }),
        append_only_input: false,
    };
    (node, input)
}

#[test]
fn complete_groups_are_released_and_their_rows_stay() {
    let (node, input) = windowed(false, 0, 1_000_000);
    check_forgetful_op(
        make(node, Arc::clone(&input)),
        &[input],
        "1 in +1 10 a 1, +1 20 a 2       out +1 10 a 1 1 1, +1 20 a 1 2 1
         2                                                                    wm 5:10 wm 6:9
         3 in +1 10 a 5                  out -1 10 a 1 1 1, +1 10 a 2 5 2     wm 6:15
         4 in +1 10 a 7, +1 20 a 1       out -1 20 a 1 2 1, +1 20 a 2 2 2
         5 in -1 10 a 7, -1 20 a 1       out -1 20 a 2 2 2, +1 20 a 1 2 1
         6 in +1 20 b 1, +1 null b 1     out +1 20 b 1 1 1, +1 null b 1 1 1   wm 5:30 wm 6:20
         7 in +1 20 b 2, +1 null b 2     out -1 null b 1 1 1, +1 null b 2 2 2",
    );
}

#[test]
fn groups_emitted_on_close_appear_once() {
    // A table for each window, and for all times of a second.
    for (after_us, grid_us) in [(0, 1_000_000), (0, 1), (1, 1)] {
        let (node, input) = windowed(true, after_us, grid_us);
        check_forgetful_op(
            make(node, Arc::clone(&input)),
            &[input],
            "1 in +1 10 a 1, +1 20 a 2, +1 10 b 1
             2 in +1 10 a 3, -1 10 b 1                              wm 5:11 wm 6:10
             3 in +1 30 a 1                                         wm 6:11
             4 in +1 20 a 2, +1 30 b 1                              wm 5:21
             5                                                      wm 5:100 wm 6:29
             6 in +1 30 a 7, +1 40 a 7                              wm 6:31
             7 in -1 40 a 7                                         wm 6:90"
                .lines()
                .zip([
                    "",
                    if after_us == 0 { "out +1 10 a 2 3 2" } else { "" },
                    if after_us == 1 { "out +1 10 a 2 3 2" } else { "" },
                    "",
                    "out +1 20 a 2 2 1",
                    "out +1 30 a 2 7 2, +1 30 b 1 1 1",
                    "",
                ])
                .map(|(line, out)| format!("{line} {out}\n"))
                .collect::<String>()
                .as_str(),
        );
    }
}

#[test]
fn small_steps_and_one_big_step_agree() {
    let input = schema(&[
        ("k", DataType::Utf8),
        ("i", DataType::Int64),
        ("f", DataType::Float64),
        ("t", DataType::Utf8),
        ("b", DataType::Boolean),
    ]);
    let calls = || {
        vec![
            call((AggregateKind::Count, &[], DataType::Int64)),
            call((SUM, &[1], BIG)),
            call((SUM, &[2], DataType::Float64)),
            call((AggregateKind::Avg, &[1], QUOTIENT)),
            call((AggregateKind::Min, &[2], DataType::Float64)),
            call((AggregateKind::Max, &[3], DataType::Utf8)),
            call((AggregateKind::BoolAnd, &[4], DataType::Boolean)),
            distinct((AggregateKind::Count, &[3], DataType::Int64)),
            AggregateCall {
                filter: Some(4),
                ..distinct((SUM, &[1], BIG))
            },
        ]
    };
    for (seed, group) in [vec![0], vec![1], vec![0, 1], vec![]]
        .into_iter()
        .cycle()
        .take(40)
        .enumerate()
    {
        let make = make(group_by(&group, calls()), Arc::clone(&input));
        crate::testing::check_small_steps_agree(make, std::slice::from_ref(&input), seed as u64 + 1);
    }
}
