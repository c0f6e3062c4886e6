//! Scripts for [`JoinOp`].

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{col, lit};
use highwater_planner::stream::plan::Join;
use highwater_types::RelationId;

use super::*;
use crate::testing::{check_forgetful_op, check_op, schema};

fn sides() -> [SchemaRef; 2] {
    [
        schema(&[("lk", DataType::Int64), ("lv", DataType::Utf8)]),
        schema(&[("rk", DataType::Int64), ("rv", DataType::Utf8)]),
    ]
}

fn join(kind: JoinKind) -> Join {
    Join {
        kind,
        keys: vec![(0, 0)],
        null_equals_null: false,
        filter: None,
        meets_within_epoch: false,
    }
}

fn make(node: Join, inputs: &[SchemaRef], release: Vec<Release>) -> impl Fn(&OpContext) -> Box<dyn Operator> {
    let schemas: Vec<DFSchemaRef> = inputs
        .iter()
        .map(|s| Arc::new(DFSchema::try_from(s.as_ref().clone()).expect("distinct names")))
        .collect();
    let output: Schema = match shows_pairs(node.kind) {
        true => schemas[0].join(&schemas[1]).expect("distinct names").as_arrow().clone(),
        false => schemas[0].as_arrow().clone(),
    };
    let output = Arc::new(DFSchema::try_from(output).expect("distinct names"));
    move |context| Box::new(JoinOp::try_new(&node, &schemas, &output, &release, context).expect("it can be built"))
}

fn check(node: Join, script: &str) {
    check_op(make(node, &sides(), Vec::new()), &sides(), script);
}

#[test]
fn an_inner_join_pairs_rows_and_multiplies_weights() {
    check(
        join(JoinKind::Inner),
        "1 left +2 1 a, +1 2 b, +1 null n        right +1 null n
         2 right +3 1 x, +1 3 y                  out +6 1 a 1 x
         3 left -1 1 a, +1 3 c                   out -3 1 a 1 x, +1 3 c 3 y
         4 left +1 1 d, -1 1 a right -3 1 x, +1 1 z    out -3 1 a 1 x, +1 1 d 1 z
         5 left -1 2 b right -1 3 y, +1 3 y",
    );
}

#[test]
fn a_left_join_shows_rows_without_a_partner() {
    check(
        join(JoinKind::Left),
        "1 left +1 1 a, +2 null n               out +1 1 a null null, +2 null n null null
         2 right +1 1 x                         out -1 1 a null null, +1 1 a 1 x
         3 right +1 1 y, -1 1 x                 out -1 1 a 1 x, +1 1 a 1 y
         4 right -1 1 y    left +1 1 b          out -1 1 a 1 y, +1 1 a null null, +1 1 b null null
         5 left -1 1 a, -1 null n right +2 1 z  out -1 1 a null null, -1 null n null null, -1 1 b null null, +2 1 b 1 z",
    );
}

#[test]
fn right_and_full_joins_show_both_sides() {
    check(
        join(JoinKind::Right),
        "1 left +1 1 a    right +1 2 x          out +1 null null 2 x
         2 left +1 2 b, +1 2 c                  out -1 null null 2 x, +1 2 b 2 x, +1 2 c 2 x
         3 left -1 2 b, -1 2 c                  out -1 2 b 2 x, -1 2 c 2 x, +1 null null 2 x",
    );
    check(
        join(JoinKind::Full),
        "1 left +1 1 a    right +1 2 x, +1 null n    out +1 1 a null null, +1 null null 2 x, +1 null null null n
         2 left +1 2 b    right +1 1 y               out -1 1 a null null, -1 null null 2 x, +1 2 b 2 x, +1 1 a 1 y
         3 left -1 1 a    right -1 2 x               out -1 1 a 1 y, +1 null null 1 y, -1 2 b 2 x, +1 2 b null null",
    );
}

#[test]
fn semi_and_anti_joins_show_left_rows_once() {
    check(
        join(JoinKind::Semi),
        "1 left +2 1 a, +1 null n right +1 null n
         2 right +1 1 x, +2 1 y                 out +2 1 a
         3 right -1 1 x    left +1 1 b          out +1 1 b
         4 right -2 1 y                         out -2 1 a, -1 1 b",
    );
    check(
        join(JoinKind::Anti),
        "1 left +2 1 a, +1 null n               out +2 1 a, +1 null n
         2 right +1 1 x, +2 1 y                 out -2 1 a
         3 right -1 1 x    left +1 1 b
         4 right -2 1 y    left -1 1 a          out +1 1 a, +1 1 b",
    );
}

#[test]
fn rows_that_meet_within_an_epoch_are_never_taken_back() {
    let kinds = [
        (JoinKind::Left, "+1 1 a 1 x, +1 3 c null null"),
        (JoinKind::Right, "+1 1 a 1 x, +1 null null 2 y"),
        (JoinKind::Full, "+1 1 a 1 x, +1 3 c null null, +1 null null 2 y"),
        (JoinKind::Anti, "+1 3 c"),
    ];
    for (kind, shown) in kinds {
        let node = Join {
            meets_within_epoch: true,
            ..join(kind)
        };
        check(
            node.clone(),
            &format!("1 left +1 1 a, +1 3 c    right +1 1 x, +1 2 y    out {shown}"),
        );
        for first in [0, 1] {
            let mut op = make(node.clone(), &sides(), Vec::new())(&crate::testing::context());
            let tick = Tick::new(highwater_types::Epoch(1), 0);
            let mut out = Output::default();
            for side in [first, 1 - first] {
                let text = ["+1 1 a, +1 3 c", "+1 1 x, +1 2 y"][side];
                let delta = highwater_types::script::parse_delta(&sides()[side], text).expect("well formed");
                op.update(&tick, side, &delta, &mut out).expect("an update");
            }
            while op.close(&tick, &mut out).expect("a close") == Step::Yield {}
            let (deltas, _) = out.take();
            let taken_back = |delta: &Delta| (0..delta.num_rows()).any(|row| delta.weight(row) < 0);
            assert!(!deltas.is_empty());
            assert!(!deltas.iter().any(taken_back), "{kind:?}: {deltas:?}");
        }
    }
}

#[test]
fn nulls_may_be_equal() {
    let node = Join {
        null_equals_null: true,
        ..join(JoinKind::Left)
    };
    check(
        node,
        "1 left +1 null a        out +1 null a null null
         2 right +1 null x       out -1 null a null null, +1 null a null x",
    );
}

#[test]
fn a_condition_beyond_the_keys_decides_about_partners() {
    let node = Join {
        filter: Some(col("lv").lt(col("rv"))),
        ..join(JoinKind::Full)
    };
    check(
        node,
        "1 left +1 1 m               right +1 1 a        out +1 1 m null null, +1 null null 1 a
         2 right +1 1 z                                  out -1 1 m null null, +1 1 m 1 z
         3 right -1 1 z, -1 1 a, +1 1 n                  out -1 1 m 1 z, -1 null null 1 a, +1 1 m 1 n",
    );
}

#[test]
fn without_keys_every_row_meets_every_row() {
    let node = Join {
        keys: Vec::new(),
        filter: Some(col("lk").gt(col("rk"))),
        ..join(JoinKind::Left)
    };
    check(
        node,
        "1 left +1 1 a, +1 3 c      right +2 2 x        out +1 1 a null null, +2 3 c 2 x
         2 right +1 0 y             left -1 3 c         out -2 3 c 2 x, -1 1 a null null, +1 1 a 0 y",
    );
}

#[test]
fn a_pair_on_which_the_condition_fails_is_a_fault() {
    let node = Join {
        filter: Some((lit(10_i64) / col("rk")).gt(col("lk"))),
        keys: Vec::new(),
        ..join(JoinKind::Left)
    };
    check(
        node,
        "1 left +2 1 a      right +1 0 zero, +1 5 five      out +2 1 a 5 five      fault 22012 +2
         2 right -1 5 five                                  out -2 1 a 5 five, +2 1 a null null
         3 left -1 1 a                                      out -1 1 a null null   fault 22012 -1",
    );
}

#[test]
fn float_keys_and_text_keys_meet_as_postgresql_compares_them() {
    for data_type in [DataType::Float64, DataType::Utf8] {
        let inputs = [
            schema(&[("lk", data_type.clone()), ("lv", DataType::Int64)]),
            schema(&[("rk", data_type.clone()), ("rv", DataType::Int64)]),
        ];
        let script = match data_type {
            DataType::Float64 => {
                "1 left +1 NaN 1, +1 0 2     right +1 NaN 3      out +1 NaN 1 NaN 3
                 2 left -1 NaN 1                                 out -1 NaN 1 NaN 3"
            }
            _ => {
                "1 left +1 '' 1, +1 b 2      right +1 '' 3       out +1 '' 1 '' 3
                 2 left -1 '' 1                                  out -1 '' 1 '' 3"
            }
        };
        check_op(make(join(JoinKind::Inner), &inputs, Vec::new()), &inputs, script);
    }
}

#[test]
fn an_exploding_epoch_hands_the_worker_back_and_loses_nothing() {
    let node = Join {
        keys: Vec::new(),
        ..join(JoinKind::Inner)
    };
    let mut op = make(node, &sides(), Vec::new())(&crate::testing::context());
    let tick = Tick::new(highwater_types::Epoch(1), 0);
    let mut out = Output::default();
    let rows = |from: usize, weight: i64| {
        let text: Vec<String> = (from..from + 600).map(|k| format!("{weight:+} {k} v")).collect();
        text.join(", ")
    };
    let delta = |text: &str| highwater_types::script::parse_delta(&sides()[0], text).expect("well formed");
    op.update(&tick, 0, &delta(&rows(0, 1)), &mut out).expect("an update");
    op.update(&tick, 1, &delta(&rows(0, 1)), &mut out).expect("an update");
    op.update(&tick, 0, &delta(&rows(300, -1)), &mut out)
        .expect("an update");
    let mut yields = 0;
    while op.close(&tick, &mut out).expect("a close") == Step::Yield {
        yields += 1;
    }
    assert!(yields > 1, "{yields} yields for 720,000 pairs");
    let (deltas, _) = out.take();
    assert!(deltas.iter().all(|d| d.num_rows() <= Output::BATCH_ROWS));
    let total: i64 = deltas.iter().flat_map(|d| (0..d.num_rows()).map(|r| d.weight(r))).sum();
    assert_eq!(total, 0);
}

#[test]
fn watermarks_release_rows_and_what_they_led_to_stays() {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let inputs = [
        schema(&[("lw", time.clone()), ("lv", DataType::Int64)]),
        schema(&[("rw", time), ("rv", DataType::Int64)]),
    ];
    let release = |input| Release {
        input,
        column: 0,
        after_us: 0,
        sources: vec![RelationId(5)],
    };
    check_forgetful_op(
        make(join(JoinKind::Left), &inputs, vec![release(0), release(1)]),
        &inputs,
        "1 left +1 10000000 1, +1 20000000 2     right +1 10000000 3
           out +1 10000000 1 10000000 3, +1 20000000 2 null null
         2                                       wm 5:15000000
         3 right +1 10000000 4, +1 20000000 5    out -1 20000000 2 null null, +1 20000000 2 20000000 5
         4 right +1 20000000 6                   out +1 20000000 2 20000000 6",
    );
}

#[test]
fn rows_that_nobody_searched_for_are_found_when_somebody_does() {
    let lefts = |from: i64, to: i64| {
        let rows: Vec<String> = (from..to).map(|k| format!("+1 {k} a")).collect();
        rows.join(", ")
    };
    let rights = |keys: &[i64], weight: &str| {
        let rows: Vec<String> = keys.iter().map(|k| format!("{weight}1 {k} x")).collect();
        rows.join(", ")
    };
    let pairs = |keys: &[i64], weight: &str| {
        let rows: Vec<String> = keys.iter().map(|k| format!("{weight}1 {k} a {k} x")).collect();
        rows.join(", ")
    };
    let many: Vec<i64> = (100..200).collect();
    check(
        join(JoinKind::Inner),
        &format!(
            "1 left {}
             2 left {}     right {}     out {}
             3             right +1 260 y, +1 270 y     out +1 260 a 260 y, +1 270 a 270 y
             4             right {}     out {}
             5             right {}     out {}
             6 left -1 20 a             out -1 20 a 20 x",
            lefts(0, 50),
            lefts(50, 300),
            rights(&[20, 260, 999], "+"),
            pairs(&[20, 260], "+"),
            rights(&many, "+"),
            pairs(&many, "+"),
            rights(&[260], "-"),
            pairs(&[260], "-"),
        ),
    );
}

#[test]
fn watermarks_release_rows_that_nobody_searched_for() {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let inputs = [
        schema(&[("lk", DataType::Int64), ("lt", time)]),
        schema(&[("rk", DataType::Int64), ("rv", DataType::Int64)]),
    ];
    let release = Release {
        input: 0,
        column: 1,
        after_us: 0,
        sources: vec![RelationId(5)],
    };
    check_forgetful_op(
        make(join(JoinKind::Inner), &inputs, vec![release]),
        &inputs,
        "1 left +1 1 10000000, +1 2 10000000
         2 left +1 1 20000000, +1 3 null           wm 5:15000000
         3 right +1 1 7, +1 2 8, +1 3 9            out +1 1 20000000 1 7, +1 3 null 3 9",
    );
}

#[test]
fn small_steps_and_one_big_step_agree() {
    let kinds = [
        JoinKind::Inner,
        JoinKind::Left,
        JoinKind::Right,
        JoinKind::Full,
        JoinKind::Semi,
        JoinKind::Anti,
    ];
    for (seed, kind) in kinds.into_iter().enumerate() {
        for filter in [None, Some(col("lv").lt(col("rv")))] {
            let node = Join { filter, ..join(kind) };
            crate::testing::check_small_steps_agree(make(node, &sides(), Vec::new()), &sides(), seed as u64 + 1);
        }
    }
}
