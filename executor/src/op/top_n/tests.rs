//! Scripts for [`TopNOp`].

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::common::DFSchema;
use highwater_planner::stream::plan::{RankKind, SortKey, TopN};

use super::*;
use crate::testing::{check_forgetful_op, check_op, schema};

fn input() -> SchemaRef {
    schema(&[("p", DataType::Utf8), ("v", DataType::Int64), ("x", DataType::Float64)])
}

fn top(rank: RankKind, offset: u64, limit: Option<u64>, emit_rank: bool) -> TopN {
    TopN {
        partition: vec![0],
        order: vec![SortKey {
            column: 1,
            descending: true,
            nulls_first: true,
        }],
        rank,
        offset,
        limit,
        emit_rank,
    }
}

fn make(
    node: TopN,
    input: SchemaRef,
    release: Vec<Release>,
    append_only: bool,
) -> impl Fn(&OpContext) -> Box<dyn Operator> {
    let mut fields: Vec<Field> = input.fields().iter().map(|f| f.as_ref().clone()).collect();
    if node.emit_rank {
        fields.push(Field::new("rank", DataType::Int64, true));
    }
    let output = Arc::new(DFSchema::try_from(Schema::new(fields)).expect("distinct names"));
    let inputs = [Arc::new(
        DFSchema::try_from(input.as_ref().clone()).expect("distinct names"),
    )];
    move |context| {
        let op = TopNOp::try_new(&node, &inputs, &output, &release, append_only, context);
        Box::new(op.expect("it can be built"))
    }
}

fn check(node: TopN, script: &str) {
    check_op(make(node, input(), Vec::new(), false), &[input()], script);
}

#[test]
fn only_differences_of_the_first_rows_go_out() {
    check(
        top(RankKind::RowNumber, 0, Some(2), false),
        "1 in +1 a 1 0, +1 a 3 0, +1 a 2 0, +1 b 1 0     out +1 a 3 0, +1 a 2 0, +1 b 1 0
         2 in +1 a 4 0                                   out +1 a 4 0, -1 a 2 0
         3 in +1 a 0 0, +1 null 1 0                      out +1 null 1 0
         4 in -1 a 4 0, -1 b 1 0                         out -1 a 4 0, +1 a 2 0, -1 b 1 0
         5 in -1 a 3 0, +1 a 3 0, +1 a null 0            out +1 a null 0, -1 a 2 0",
    );
}

#[test]
fn row_numbers_shift_and_copies_have_their_own() {
    check(
        top(RankKind::RowNumber, 1, Some(3), true),
        "1 in +2 a 5 0, +1 a 3 0                          out +1 a 5 0 2, +1 a 3 0 3
         2 in +1 a 9 0                                    out +1 a 5 0 3, -1 a 3 0 3, +1 a 3 0 4
         3 in -1 a 5 0                                    out -1 a 5 0 3, -1 a 3 0 4, +1 a 3 0 3",
    );
}

#[test]
fn ties_are_broken_by_the_whole_row() {
    check(
        top(RankKind::RowNumber, 0, Some(2), false),
        "1 in +1 a 5 2, +1 a 5 1, +1 a 5 NaN, +1 a 5 null    out +1 a 5 null, +1 a 5 1
         2 in -1 a 5 null                                    out -1 a 5 null, +1 a 5 2",
    );
}

#[test]
fn rank_leaves_gaps_and_dense_rank_does_not() {
    check(
        top(RankKind::Rank, 0, Some(2), true),
        "1 in +1 a 5 1, +1 a 5 2, +1 a 4 0              out +1 a 5 1 1, +1 a 5 2 1
         2 in -1 a 5 1                                  out -1 a 5 1 1, +1 a 4 0 2
         3 in +2 a 6 0                                  out +2 a 6 0 1, -1 a 5 2 1, -1 a 4 0 2",
    );
    check(
        top(RankKind::DenseRank, 1, Some(1), true),
        "1 in +1 a 5 1, +1 a 5 2, +1 a 4 0, +1 a 3 0    out +1 a 4 0 2
         2 in +1 a 4 1                                  out +1 a 4 1 2
         3 in -1 a 5 1, -1 a 5 2                        out -1 a 4 0 2, -1 a 4 1 2, +1 a 3 0 2",
    );
}

#[test]
fn without_a_partition_there_is_one() {
    let node = TopN {
        partition: Vec::new(),
        ..top(RankKind::RowNumber, 0, Some(1), false)
    };
    check(
        node,
        "1 in +1 a 1 0, +1 b 2 0     out +1 b 2 0
         2 in -1 b 2 0               out -1 b 2 0, +1 a 1 0",
    );
}

#[test]
fn without_a_limit_all_rows_are_numbered() {
    check(
        top(RankKind::RowNumber, 0, None, true),
        "1 in +1 a 1 0, +1 a 3 0     out +1 a 3 0 1, +1 a 1 0 2
         2 in +1 a 2 0               out +1 a 2 0 2, -1 a 1 0 2, +1 a 1 0 3",
    );
}

#[test]
fn over_an_append_only_input_the_answer_is_the_same() {
    for rank in [RankKind::RowNumber, RankKind::Rank, RankKind::DenseRank] {
        check_forgetful_op(
            make(top(rank, 0, Some(2), true), input(), Vec::new(), true),
            &[input()],
            "1 in +1 a 1 0, +1 a 3 0, +1 a 2 0     out +1 a 3 0 1, +1 a 2 0 2
             2 in +1 a 0 0
             3 in +1 a 9 0                         out +1 a 9 0 1, -1 a 3 0 1, +1 a 3 0 2, -1 a 2 0 2",
        );
    }
}

#[test]
fn needless_rows_are_dropped_within_an_epoch_too() {
    let make = make(top(RankKind::RowNumber, 0, Some(2), false), input(), Vec::new(), true);
    let changes: Vec<String> = (0..300).map(|v| format!("+1 a {} 0", (v * 37) % 300)).collect();
    let script = format!("1 in {}     out +1 a 299 0, +1 a 298 0", changes.join(", "));
    check_forgetful_op(&make, &[input()], &script);
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
    check_forgetful_op(
        make(
            top(RankKind::RowNumber, 0, Some(1), false),
            Arc::clone(&input),
            vec![release],
            false,
        ),
        &[input],
        "1 in +1 10 1, +1 20 1       out +1 10 1, +1 20 1      wm 5:10
         2 in +1 10 5, +1 20 3       out -1 20 1, +1 20 3
         3 in -1 20 3, -1 10 5       out -1 20 3, +1 20 1      wm 5:30
         4 in +1 20 9",
    );
}

#[test]
fn small_steps_and_one_big_step_agree() {
    for (seed, rank) in [RankKind::RowNumber, RankKind::Rank, RankKind::DenseRank]
        .into_iter()
        .enumerate()
    {
        for limit in [Some(3), None] {
            let make = make(top(rank, 1, limit, true), input(), Vec::new(), false);
            crate::testing::check_small_steps_agree(make, &[input()], seed as u64 + 1);
        }
    }
}

fn append_only(node: TopN, script: &str) {
    check_forgetful_op(make(node, input(), Vec::new(), true), &[input()], script);
}

#[test]
fn over_an_append_only_input_the_first_row_is_revised_when_a_better_one_comes() {
    append_only(
        top(RankKind::RowNumber, 0, Some(1), false),
        "1 in +1 a 1 0, +1 b 1 0, +1 a 3 0, +2 a 2 0     out +1 a 3 0, +1 b 1 0
         2 in +1 a 2 5, +1 c null 1                      out +1 c null 1
         3 in +1 a 4 1, +1 a 5 1, +1 b 1 7               out -1 a 3 0, +1 a 5 1
         4 in +1 b 9 9, +1 c 9 9                         out -1 b 1 0, +1 b 9 9",
    );
    append_only(
        top(RankKind::RowNumber, 0, Some(1), true),
        "1 in +1 a 1 0, +1 null 2 0     out +1 a 1 0 1, +1 null 2 0 1
         2 in +1 a 2 0                  out -1 a 1 0 1, +1 a 2 0 1",
    );
}

#[test]
fn among_equal_rows_the_least_is_first() {
    append_only(
        top(RankKind::RowNumber, 0, Some(1), false),
        "1 in +1 a 5 2, +1 a 5 1, +1 a 5 NaN     out +1 a 5 1
         2 in +1 a 5 0, +1 a 5 3                 out -1 a 5 1, +1 a 5 0
         3 in +1 a 5 null, +1 a 5 0              out -1 a 5 0, +1 a 5 null",
    );
    let unordered = TopN {
        order: Vec::new(),
        ..top(RankKind::RowNumber, 0, Some(1), false)
    };
    append_only(
        unordered,
        "1 in +1 a 5 2, +1 a 4 9     out +1 a 4 9
         2 in +1 a 4 8, +1 a 5 0     out -1 a 4 9, +1 a 4 8",
    );
}

#[test]
fn first_rows_are_found_again_after_their_batches_were_rewritten() {
    let rows = |from: usize, to: usize, v: usize| {
        let rows: Vec<String> = (from..to).map(|p| format!("+1 p{p} {v} {p}")).collect();
        rows.join(", ")
    };
    let replaced: Vec<String> = (0..400).map(|p| format!("-1 p{p} 1 {p}, +1 p{p} 2 {p}")).collect();
    append_only(
        top(RankKind::RowNumber, 0, Some(1), false),
        &format!(
            "1 in {}      out {}
             2 in {}      out {}
             3 in +1 p450 3 0, +1 p10 3 0     out -1 p450 1 450, +1 p450 3 0, -1 p10 2 10, +1 p10 3 0",
            rows(0, 600, 1),
            rows(0, 600, 1),
            rows(0, 400, 2),
            replaced.join(", ")
        ),
    );
}

#[test]
fn complete_partitions_of_first_rows_are_released() {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let input = schema(&[("w", time), ("v", DataType::Int64)]);
    let release = Release {
        input: 0,
        column: 0,
        after_us: 0,
        sources: vec![RelationId(5)],
    };
    check_forgetful_op(
        make(
            top(RankKind::RowNumber, 0, Some(1), false),
            Arc::clone(&input),
            vec![release],
            true,
        ),
        &[input],
        "1 in +1 10 1, +1 20 1       out +1 10 1, +1 20 1      wm 5:10
         2 in +1 10 5, +1 20 3       out -1 20 1, +1 20 3
         3 in +1 30 1                out +1 30 1               wm 5:25
         4 in +1 20 9, +1 30 2       out -1 30 1, +1 30 2",
    );
}
