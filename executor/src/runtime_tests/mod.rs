//! The runtime end to end, on one, two and three workers: epochs, history, views on views, faults, failures, drops.

mod harness;

use highwater_types::{Fault, SqlState};

use self::harness::{Bench, add_one, constant, divide, input, only_positive, union, view_of};
use crate::Report;

const TABLE: u32 = 1;
const OTHER: u32 = 2;
const VIEW: u32 = 10;
const VIEW_ON_VIEW: u32 = 11;

/// On every number of workers that matters.
fn on_workers(test: impl Fn(Bench)) {
    for workers in [1, 2, 3] {
        test(Bench::start(workers));
    }
}

#[test]
fn a_view_follows_its_table_epoch_by_epoch() {
    on_workers(|mut bench| {
        bench.create_live(VIEW, input(TABLE), &[(TABLE, "")]);
        bench.tick(&[(TABLE, "+1 1 a, +1 2 b, +1 3 c")]);
        bench.tick(&[(TABLE, "-1 2 b, +1 2 d")]);
        bench.tick(&[(TABLE, "-1 1 a, -1 3 c")]);
        assert_eq!(bench.view_at(VIEW, 1), "+1 1 a, +1 2 b, +1 3 c");
        assert_eq!(bench.view_at(VIEW, 2), "+1 1 a, +1 2 d, +1 3 c");
        assert_eq!(bench.view_at(VIEW, 3), "+1 2 d");
        bench.stop();
    });
}

#[test]
fn several_epochs_may_be_in_flight() {
    on_workers(|mut bench| {
        bench.create_live(VIEW, add_one(input(TABLE)), &[(TABLE, "")]);
        for n in 0..100 {
            bench.send_tick(&[(TABLE, &format!("+1 {n} a"))]);
        }
        bench.wait_closed();
        assert_eq!(bench.view_at(VIEW, 40).split(", ").count(), 40);
        assert_eq!(bench.view_at(VIEW, 100).split(", ").count(), 100);
        bench.stop();
    });
}

#[test]
fn without_views_epochs_close_at_once() {
    on_workers(|mut bench| {
        bench.tick(&[(TABLE, "+1 1 a")]);
        bench.tick(&[]);
        bench.stop();
    });
}

#[test]
fn history_comes_first_and_live_epochs_wait_for_it() {
    on_workers(|mut bench| {
        bench.tick(&[(TABLE, "+1 1 a")]);
        bench.create(VIEW, input(TABLE));
        // The view has not caught up, so it holds no epoch up.
        bench.tick(&[(TABLE, "+1 2 b")]);
        bench.tick(&[(TABLE, "-1 1 a")]);
        bench.history(VIEW, TABLE, "+1 1 a");
        bench.history_done(VIEW, TABLE);
        bench.wait_caught_up(VIEW);
        assert_eq!(bench.view_at(VIEW, 1), "+1 1 a");
        assert_eq!(bench.view_at(VIEW, 2), "+1 1 a, +1 2 b");
        assert_eq!(bench.view_at(VIEW, 3), "+1 2 b");
        bench.tick(&[(TABLE, "+1 4 d")]);
        assert_eq!(bench.view_at(VIEW, 4), "+1 2 b, +1 4 d");
        bench.stop();
    });
}

#[test]
fn each_input_gets_its_own_history() {
    on_workers(|mut bench| {
        bench.create(VIEW, union(vec![input(TABLE), add_one(input(OTHER)), input(TABLE)]));
        bench.history(VIEW, TABLE, "+1 1 a");
        bench.history_done(VIEW, TABLE);
        bench.tick(&[(OTHER, "+1 7 x"), (TABLE, "+1 2 b")]);
        bench.history(VIEW, OTHER, "+1 5 y");
        bench.history_done(VIEW, OTHER);
        bench.wait_caught_up(VIEW);
        assert_eq!(bench.view_at(VIEW, 0), "+1 1 a, +1 1 a, +1 6 y");
        assert_eq!(bench.view_at(VIEW, 1), "+1 1 a, +1 1 a, +1 2 b, +1 2 b, +1 6 y, +1 8 x");
        bench.stop();
    });
}

#[test]
fn a_view_on_a_view_runs_in_the_same_epoch() {
    on_workers(|mut bench| {
        bench.create_live(VIEW, add_one(input(TABLE)), &[(TABLE, "")]);
        bench.create_live(
            VIEW_ON_VIEW,
            union(vec![input(VIEW), input(OTHER)]),
            &[(VIEW, ""), (OTHER, "")],
        );
        bench.tick(&[(TABLE, "+1 1 a, +1 2 b"), (OTHER, "+1 100 o")]);
        assert_eq!(bench.view_at(VIEW_ON_VIEW, 1), "+1 100 o, +1 2 a, +1 3 b");
        // Only one of its inputs runs.
        bench.tick(&[(OTHER, "-1 100 o")]);
        assert_eq!(bench.view_at(VIEW_ON_VIEW, 2), "+1 2 a, +1 3 b");
        bench.tick(&[(TABLE, "-1 1 a")]);
        assert_eq!(bench.view_at(VIEW_ON_VIEW, 3), "+1 3 b");
        for n in 0..50 {
            bench.send_tick(&[(if n % 3 == 0 { OTHER } else { TABLE }, &format!("+1 {n} z"))]);
        }
        bench.wait_closed();
        assert_eq!(bench.view_at(VIEW_ON_VIEW, 53).split(", ").count(), 51);
        bench.stop();
    });
}

#[test]
fn a_view_on_a_view_starts_from_that_views_rows() {
    on_workers(|mut bench| {
        bench.create_live(VIEW, add_one(input(TABLE)), &[(TABLE, "")]);
        bench.tick(&[(TABLE, "+1 1 a")]);
        bench.create(VIEW_ON_VIEW, add_one(input(VIEW)));
        bench.tick(&[(TABLE, "+1 2 b, -1 1 a")]);
        bench.history(VIEW_ON_VIEW, VIEW, "+1 2 a");
        bench.history_done(VIEW_ON_VIEW, VIEW);
        bench.wait_caught_up(VIEW_ON_VIEW);
        assert_eq!(bench.view_at(VIEW_ON_VIEW, 1), "+1 3 a");
        assert_eq!(bench.view_at(VIEW_ON_VIEW, 2), "+1 4 b");
        bench.stop();
    });
}

#[test]
fn constants_are_there_from_the_first_epoch_on() {
    on_workers(|mut bench| {
        bench.create(VIEW, constant("+1 1 a, +1 2 b"));
        bench.wait_caught_up(VIEW);
        assert_eq!(bench.view_at(VIEW, 0), "+1 1 a, +1 2 b");
        bench.create_live(
            VIEW_ON_VIEW,
            union(vec![input(TABLE), constant("+1 3 c")]),
            &[(TABLE, "")],
        );
        bench.tick(&[(TABLE, "+1 4 d")]);
        assert_eq!(bench.view_at(VIEW_ON_VIEW, 1), "+1 3 c, +1 4 d");
        bench.stop();
    });
}

#[test]
fn a_fault_is_the_answer_until_its_row_is_retracted() {
    on_workers(|mut bench| {
        bench.create_live(VIEW, divide(input(TABLE)), &[(TABLE, "")]);
        bench.create_live(VIEW_ON_VIEW, only_positive(input(VIEW)), &[(VIEW, "")]);
        bench.tick(&[(TABLE, "+1 2 a, +1 0 b")]);
        for view in [VIEW, VIEW_ON_VIEW] {
            let error = bench.read(view, 1).expect_err("a division by zero");
            assert_eq!(error.state, SqlState::DIVISION_BY_ZERO);
        }
        bench.tick(&[(TABLE, "-1 0 b")]);
        assert_eq!(bench.view_at(VIEW, 2), "+1 50 a");
        assert_eq!(bench.view_at(VIEW_ON_VIEW, 2), "+1 50 a");
        bench.stop();
    });
}

#[test]
fn faults_are_part_of_a_views_history() {
    on_workers(|mut bench| {
        bench.create(VIEW, add_one(input(TABLE)));
        let fault = Fault::new(SqlState::DIVISION_BY_ZERO, "division by zero");
        bench
            .runtime()
            .handle()
            .history_faults(harness::id(VIEW), harness::id(TABLE), vec![(fault, 1)]);
        bench.history_done(VIEW, TABLE);
        bench.wait_caught_up(VIEW);
        assert!(bench.read(VIEW, 0).is_err());
        bench.stop();
    });
}

#[test]
fn a_view_whose_operator_fails_fails_alone_with_the_views_over_it() {
    on_workers(|mut bench| {
        bench.create_live(VIEW, input(TABLE), &[(TABLE, "")]);
        bench.create_live(VIEW_ON_VIEW, add_one(input(VIEW)), &[(VIEW, "")]);
        bench.create_live(12, add_one(input(TABLE)), &[(TABLE, "")]);
        // The view is asked to retract a row that it does not have.
        bench.send_tick(&[(TABLE, "-1 9 z, +1 9 y")]);
        bench.wait_closed();
        let mut failed: Vec<u32> = vec![bench.wait_failed(), bench.wait_failed(), bench.wait_failed()];
        failed.sort_unstable();
        assert_eq!(failed, vec![VIEW, VIEW_ON_VIEW, 12]);
        bench.create_live(13, input(OTHER), &[(OTHER, "")]);
        bench.tick(&[(OTHER, "+1 1 a"), (TABLE, "+1 1 a")]);
        assert_eq!(bench.view_at(13, 2), "+1 1 a");
        bench.stop();
    });
}

#[test]
fn a_panic_fails_its_view_and_nothing_else() {
    on_workers(|mut bench| {
        bench.create_live(VIEW, input(TABLE), &[(TABLE, "")]);
        bench.create_live(VIEW_ON_VIEW, harness::panic_at_13(input(TABLE)), &[(TABLE, "")]);
        bench.tick(&[(TABLE, "+1 12 a")]);
        bench.send_tick(&[(TABLE, "+1 13 a, +1 14 b")]);
        assert_eq!(bench.wait_failed(), VIEW_ON_VIEW);
        bench.wait_closed();
        bench.tick(&[(TABLE, "+1 15 a")]);
        assert_eq!(bench.view_at(VIEW, 3), "+1 12 a, +1 13 a, +1 14 b, +1 15 a");
        bench.stop();
    });
}

#[test]
fn views_come_and_go_while_data_flows() {
    on_workers(|mut bench| {
        bench.create_live(VIEW, input(TABLE), &[(TABLE, "")]);
        for round in 0..60_u32 {
            let id = 100 + round;
            bench.create(id, add_one(input(if round % 2 == 0 { TABLE } else { VIEW })));
            let from = if round % 2 == 0 { TABLE } else { VIEW };
            bench.send_tick(&[(TABLE, &format!("+1 {round} a"))]);
            if round % 3 != 0 {
                bench.history(id, from, "+1 1000 h");
                bench.history_done(id, from);
                bench.wait_caught_up(id);
            }
            bench.send_tick(&[(TABLE, &format!("-1 {round} a"))]);
            bench.drop_view(id);
            bench.wait_closed();
        }
        bench.tick(&[(TABLE, "+1 7 z")]);
        assert_eq!(bench.newest(VIEW), "+1 7 z");
        bench.stop();
    });
}

#[test]
fn an_input_that_is_too_far_ahead_is_refused() {
    let mut bench = Bench::start(2);
    bench.tick(&[(TABLE, "+1 1 a")]);
    bench.create_at(VIEW, input(TABLE), 0);
    assert_eq!(bench.wait_failed(), VIEW);
    bench.tick(&[(TABLE, "+1 2 a")]);
    bench.stop();
}

#[test]
fn a_reader_of_history_waits_for_room_and_is_let_go_when_the_view_is_dropped() {
    let mut bench = Bench::start(1);
    bench.create(VIEW, view_of(union(vec![input(TABLE), input(OTHER)])));
    let handle = bench.runtime().handle();
    let big = harness::rows(0..200_000);
    let feeder = std::thread::spawn(move || {
        for _ in 0..20 {
            handle.history(harness::id(VIEW), harness::id(TABLE), big.clone());
        }
    });
    bench.drop_view(VIEW);
    feeder.join().expect("the feeder is not left waiting");
    assert!(bench.reports().try_iter().all(|r| matches!(r, Report::Closed(_))));
    bench.stop();
}

#[test]
fn great_history_is_taken_in_whole() {
    for workers in [1, 2] {
        let mut bench = Bench::start(workers);
        bench.create(VIEW, add_one(input(TABLE)));
        let handle = bench.runtime().handle();
        for _ in 0..10 {
            handle.history(harness::id(VIEW), harness::id(TABLE), harness::rows(0..150_000));
        }
        bench.history_done(VIEW, TABLE);
        bench.wait_caught_up(VIEW);
        assert_eq!(bench.row_count(VIEW, 0), 1_500_000);
        bench.stop();
    }
}
