//! Windows in FROM, and joins as of a time.

use super::*;

#[test]
fn both_spellings_of_a_window_are_one() {
    let tumble = "Tumble of clicks by [] on ts with INTERVAL '1' MINUTE";
    assert_eq!(window("select * from tumble(clicks, ts, interval '1' minute)"), tumble);
    assert_eq!(
        window("select * from TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) as t"),
        tumble
    );
    assert_eq!(
        window(
            "select * from TABLE(TUMBLE(DATA => TABLE clicks, TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '1' MINUTE))"
        ),
        tumble
    );
}

#[test]
fn windows_read_subqueries_aliases_and_partitions() {
    assert_eq!(
        window("select * from HOP((select * from a where x in (1, 2)) as b, b.ts, interval '1 s', interval '5 s')"),
        "Hop of (SELECT * FROM a WHERE x IN (1, 2)) as b by [] on b.ts with INTERVAL '1 s', INTERVAL '5 s'"
    );
    assert_eq!(
        window("select * from HOP((select * from a), ts, interval '1 s', interval '5 s', interval '2 s') w"),
        "Hop of (SELECT * FROM a) by [] on ts with INTERVAL '1 s', INTERVAL '5 s', INTERVAL '2 s'"
    );
    assert_eq!(
        window("select * from SESSION(s.clicks c PARTITION BY uid, url, ts, interval '10 minutes')"),
        "Session of s.clicks as c by [uid, url] on ts with INTERVAL '10 minutes'"
    );
    assert_eq!(
        window("select * from TABLE(SESSION(TABLE clicks PARTITION BY uid, DESCRIPTOR(ts), interval '10 minutes'))"),
        "Session of clicks by [uid] on ts with INTERVAL '10 minutes'"
    );
    assert_eq!(
        window("select * from tumble(tumble_source, ts, interval '1 minute', interval '5 s')"),
        "Tumble of tumble_source by [] on ts with INTERVAL '1 minute', INTERVAL '5 s'"
    );
}

#[test]
fn a_window_with_wrong_arguments_says_how_it_is_called() {
    let wrong = factor("select * from hop(clicks, ts, interval '1 s')");
    let error = window_call(&wrong).expect("is a window").expect_err("one is missing");
    assert_eq!(error.to_string(), "wrong arguments for HOP");
    assert!(window_call(&factor("select * from generate_series(1, 2)")).is_none());
    assert!(window_call(&factor("select * from hop")).is_none());
}

#[test]
fn joins_as_of_a_time_are_told_apart() {
    let sql = "select * from orders o left join users for system_time as of proctime() as u on o.uid = u.id";
    assert!(format!("{:?}", one(sql)).contains("ForSystemTimeAsOf"));
    let sql = "select * from t asof left join q on t.sym = q.sym and t.ts >= q.ts where t.x = 1";
    let Statement::Query(query) = one(sql) else { panic!() };
    let SetExpr::Select(select) = *query.body else { panic!() };
    let join = &select.from[0].joins[0];
    let sqlparser::ast::JoinOperator::Left(constraint) = &join.join_operator else {
        panic!("{:?}", join.join_operator)
    };
    let condition = asof_condition(constraint).expect("is an ASOF join");
    assert_eq!(condition.to_string(), "t.sym = q.sym AND t.ts >= q.ts");
}
