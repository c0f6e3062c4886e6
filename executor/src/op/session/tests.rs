//! Scripts for [`SessionOp`].

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::DFSchema;
use highwater_planner::stream::plan::SessionCompletion;
use highwater_types::RelationId;

use super::*;
use crate::op::OpContext;
use crate::testing::{check_forgetful_op, check_op, check_small_steps_agree, schema};

const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

fn input() -> SchemaRef {
    schema(&[("p", DataType::Utf8), ("t", TIME), ("v", DataType::Int64)])
}

/// Sessions with a gap of 10, complete by the watermark of source 5 where they are.
fn make(partition: &[usize], is_complete: bool) -> impl Fn(&OpContext) -> Box<dyn Operator> {
    let mut fields: Vec<Field> = input().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.extend(["window_start", "window_end"].map(|name| Field::new(name, TIME, true)));
    let output = Arc::new(Schema::new(fields));
    let inputs = [Arc::new(
        DFSchema::try_from(input().as_ref().clone()).expect("distinct names"),
    )];
    let node = plan::Session {
        partition: partition.to_vec(),
        time_column: 1,
        gap_us: 10,
        complete: is_complete.then(|| SessionCompletion {
            after_us: 0,
            sources: vec![RelationId(5)],
        }),
    };
    move |_| Box::new(SessionOp::try_new(&node, &inputs, &output).expect("it can be built"))
}

#[test]
fn rows_less_than_a_gap_apart_are_in_one_session() {
    check_op(
        make(&[0], false),
        &[input()],
        "1 in +1 a 0 1, +1 a 9 2, +1 a 19 3, +1 b 5 4      out +1 a 0 1 0 19, +1 a 9 2 0 19, +1 a 19 3 19 29, +1 b 5 4 5 15
         2 in +1 a 18 5      out -1 a 0 1 0 19, -1 a 9 2 0 19, -1 a 19 3 19 29, +1 a 0 1 0 29, +1 a 9 2 0 29, +1 a 18 5 0 29, +1 a 19 3 0 29
         3 in +1 a 9 6       out +1 a 9 6 0 29
         4 in +1 null 0 7, +1 c null 8    out +1 null 0 7 0 10",
    );
}

#[test]
fn a_row_that_goes_parts_a_session() {
    check_op(
        make(&[0], false),
        &[input()],
        "1 in +2 a 0 1, +1 a 9 2, +1 a 18 3       out +2 a 0 1 0 28, +1 a 9 2 0 28, +1 a 18 3 0 28
         2 in -1 a 0 1                            out -1 a 0 1 0 28
         3 in -1 a 9 2                            out -1 a 0 1 0 28, -1 a 9 2 0 28, -1 a 18 3 0 28, +1 a 0 1 0 10, +1 a 18 3 18 28
         4 in -1 a 18 3, +1 a 17 3                out -1 a 18 3 18 28, +1 a 17 3 17 27
         5 in -1 a 0 1, -1 a 17 3                 out -1 a 0 1 0 10, -1 a 17 3 17 27",
    );
}

#[test]
fn without_a_partition_there_is_one() {
    check_op(
        make(&[], false),
        &[input()],
        "1 in +1 a 0 1, +1 b 9 2      out +1 a 0 1 0 19, +1 b 9 2 0 19
         2 in -1 b 9 2                out -1 b 9 2 0 19, -1 a 0 1 0 19, +1 a 0 1 0 10",
    );
}

#[test]
fn a_time_without_an_end_is_a_fault() {
    check_op(
        make(&[0], false),
        &[input()],
        "1 in +1 a 9223372036854775807 1, +1 a 0 1     out +1 a 0 1 0 10     fault 22008 +1
         2 in -1 a 9223372036854775807 1               fault 22008 -1",
    );
}

#[test]
fn times_may_lie_as_far_apart_as_there_are() {
    check_op(
        make(&[0], false),
        &[input()],
        "1 in +1 a -9223372036854775807 1, +1 a 9223372036854775796 2
         out +1 a -9223372036854775807 1 -9223372036854775807 -9223372036854775797,
             +1 a 9223372036854775796 2 9223372036854775796 9223372036854775806",
    );
}

#[test]
fn complete_sessions_are_forgotten() {
    check_forgetful_op(
        make(&[0], true),
        &[input()],
        "1 in +1 a 0 1, +1 a 30 2      out +1 a 0 1 0 10, +1 a 30 2 30 40      wm 5:9
         2 in +1 a 9 3                 out -1 a 0 1 0 10, +1 a 0 1 0 19, +1 a 9 3 0 19     wm 5:18
         3 in +1 a 18 4                out -1 a 0 1 0 19, -1 a 9 3 0 19, +1 a 0 1 0 28, +1 a 9 3 0 28, +1 a 18 4 0 28   wm 5:28
         4 in +1 a 28 5                out -1 a 30 2 30 40, +1 a 28 5 28 40, +1 a 30 2 28 40     wm 5:100
         5 in +1 a 100 5               out +1 a 100 5 100 110",
    );
}

#[test]
fn steps_of_any_size_agree() {
    for seed in 0..20 {
        check_small_steps_agree(make(&[0], false), &[input()], seed);
    }
}
