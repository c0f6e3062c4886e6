//! Scripts for sums and averages.

use super::*;

#[test]
fn sums_and_averages_have_the_types_of_postgresql() {
    let input = schema(&[
        ("k", DataType::Int32),
        ("i", DataType::Int32),
        ("b", DataType::Int64),
        ("n", DataType::Decimal128(10, 2)),
    ]);
    check_append_only(
        group_by(
            &[0],
            vec![
                call((SUM, &[1], DataType::Int64)),
                call((SUM, &[2], BIG)),
                call((SUM, &[3], DataType::Decimal128(38, 2))),
                call((AggregateKind::Avg, &[1], QUOTIENT)),
                call((AggregateKind::Avg, &[3], QUOTIENT)),
            ],
        ),
        &input,
        "1 in +1 1 1 9223372036854775807 0.01, +2 1 2 9223372036854775807 0.02
           out +1 1 5 27670116110564327421 0.05 1.666666666666666700000000 0.016666666666666666670000
         2 in +1 1 -9 1 null
           out -1 1 5 27670116110564327421 0.05 1.666666666666666700000000 0.016666666666666666670000,
               +1 1 -4 27670116110564327422 0.05 -1.000000000000000000000000 0.016666666666666666670000",
    );
}

#[test]
fn averages_are_rounded_half_away_from_zero() {
    let input = schema(&[("k", DataType::Int32), ("v", DataType::Int64)]);
    let output = DataType::Decimal128(10, 0);
    check(
        group_by(&[0], vec![call((AggregateKind::Avg, &[1], output))]),
        &input,
        "1 in +1 1 1, +1 1 2, +1 2 -1, +1 2 -2, +1 3 1, +1 3 1, +1 3 2     out +1 1 2, +1 2 -2, +1 3 1",
    );
}

#[test]
fn a_sum_out_of_range_is_a_fault_until_it_is_in_range() {
    let input = schema(&[("k", DataType::Int32), ("v", DataType::Int64)]);
    check(
        group_by(&[0], vec![call((SUM, &[1], DataType::Int64))]),
        &input,
        "1 in +1 1 9223372036854775807, +1 2 1     out +1 1 9223372036854775807, +1 2 1
         2 in +1 1 1                               out -1 1 9223372036854775807        fault 22003 +1
         3 in +1 1 2, +1 2 1                       out -1 2 1, +1 2 2
         4 in -1 1 9223372036854775807             out +1 1 3                           fault 22003 -1
         5 in +1 3 9223372036854775807, +1 3 9223372036854775807                        fault 22003 +1
         6 in -2 3 9223372036854775807                                                  fault 22003 -1",
    );
    let input = schema(&[("k", DataType::Int32), ("v", DataType::Decimal128(38, 0))]);
    check(
        group_by(&[0], vec![call((SUM, &[1], BIG))]),
        &input,
        "1 in +3 1 99999999999999999999999999999999999999                              fault 22003 +1
         2 in -2 1 99999999999999999999999999999999999999
              out +1 1 99999999999999999999999999999999999999                          fault 22003 -1",
    );
}

#[test]
fn intervals_are_added_by_their_parts_and_divided_as_postgresql_does() {
    use arrow::array::{Array, AsArray, IntervalMonthDayNanoArray};
    use arrow::datatypes::{IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};

    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    let input = schema(&[("v", interval.clone())]);
    let calls = [SUM, AggregateKind::Avg, AggregateKind::Max].map(|kind| call((kind, &[0], interval.clone())));
    let node = group_by(&[], calls.to_vec());
    let mut op = make(node, Arc::clone(&input))(&crate::testing::context());
    let values = IntervalMonthDayNanoArray::from(vec![
        Some(IntervalMonthDayNano::new(1, 1, 1_000_000_000)),
        None,
        Some(IntervalMonthDayNano::new(2, 4, 0)),
    ]);
    let batch = RecordBatch::try_new(input, vec![Arc::new(values)]).expect("one column");
    let mut out = Output::default();
    let tick = Tick::new(highwater_types::Epoch(1), 0);
    op.update(&tick, 0, &Delta::insert(batch), &mut out).expect("an update");
    assert_eq!(op.close(&tick, &mut out).expect("a close"), Step::Done);
    let (deltas, _) = out.take();
    let result = |column: usize| {
        let column = deltas[0].column(column);
        assert_eq!(column.len(), 1);
        column.as_primitive::<IntervalMonthDayNanoType>().value(0)
    };
    assert_eq!(result(0), IntervalMonthDayNano::new(3, 5, 1_000_000_000));
    assert_eq!(result(2), IntervalMonthDayNano::new(2, 4, 0));
    // PostgreSQL: '3 mons 5 days 00:00:01' / 2 is '1 mon 17 days 12:00:00.5'.
    assert_eq!(result(1), IntervalMonthDayNano::new(1, 17, 43_200_500_000_000));
}

#[test]
fn numerics_that_are_no_numbers_are_summed_and_go_again() {
    for number in [DataType::Decimal128(10, 2), DataType::Decimal256(70, 2)] {
        let input = schema(&[("k", DataType::Int32), ("n", number.clone())]);
        let calls = vec![call((SUM, &[1], number)), call((AggregateKind::Avg, &[1], QUOTIENT))];
        check(
            group_by(&[0], calls),
            &input,
            "1 in +1 1 1.50, +1 1 NaN, +2 2 0.25          out +1 1 NaN NaN, +1 2 0.50 0.250000000000000000000000
             2 in +1 2 Infinity                           out -1 2 0.50 0.250000000000000000000000, +1 2 Infinity Infinity
             3 in +1 2 -Infinity                          out -1 2 Infinity Infinity, +1 2 NaN NaN
             4 in -1 2 Infinity, -1 1 NaN
               out -1 2 NaN NaN, +1 2 -Infinity -Infinity, -1 1 NaN NaN, +1 1 1.50 1.500000000000000000000000
             5 in -1 2 -Infinity                          out -1 2 -Infinity -Infinity, +1 2 0.50 0.250000000000000000000000",
        );
    }
}
