//! Views over a whole server, through a real driver: current when a write commits, right after a restart, and followed
//! by subscribers.

mod subscribe;

use highwater_server::pg::Users;
use highwater_tests::{TestServer, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_current_when_a_write_commits_and_after_a_restart() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    run(
        &client,
        "CREATE TABLE t (id bigint PRIMARY KEY, k text NOT NULL, v bigint)",
    )
    .await;
    run(&client, "INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20)").await;
    run(
        &client,
        "CREATE MATERIALIZED VIEW c AS SELECT k, count(*) AS n, sum(v) AS s FROM t GROUP BY k",
    )
    .await;
    run(&client, "CREATE MATERIALIZED VIEW top AS SELECT k FROM c WHERE n > 1").await;
    assert_eq!(run(&client, "SELECT * FROM c ORDER BY k").await, ["a|1|10", "b|1|20"]);
    run(&client, "INSERT INTO t VALUES (3, 'b', 5)").await;
    assert_eq!(run(&client, "SELECT * FROM c ORDER BY k").await, ["a|1|10", "b|2|25"]);
    assert_eq!(run(&client, "SELECT * FROM top").await, ["b"]);
    run(&client, "UPDATE t SET k = 'a' WHERE id = 2; DELETE FROM t WHERE id = 3").await;
    assert_eq!(run(&client, "SELECT * FROM c ORDER BY k").await, ["a|2|30"]);
    assert_eq!(run(&client, "SELECT * FROM top").await, ["a"]);
    drop(client);
    let server = server.restart(1).await;
    let client = server.connect().await;
    assert_eq!(run(&client, "SELECT * FROM c ORDER BY k").await, ["a|2|30"]);
    assert_eq!(run(&client, "SELECT * FROM top").await, ["a"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_and_rolled_back_writes_leave_no_trace() {
    let server = TestServer::start_with(Users::default(), 1).await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (id bigint PRIMARY KEY, v text NOT NULL)").await;
    run(&client, "INSERT INTO t VALUES (1, 'a')").await;
    assert_eq!(run(&client, "INSERT INTO t VALUES (2, 'b'), (1, 'c')").await, ["23505"]);
    assert_eq!(run(&client, "INSERT INTO t VALUES (3, NULL)").await, ["23502"]);
    run(&client, "BEGIN").await;
    run(&client, "INSERT INTO t VALUES (4, 'd')").await;
    assert_eq!(run(&client, "SELECT id FROM t ORDER BY id").await, ["1", "4"]);
    run(&client, "ROLLBACK").await;
    assert_eq!(run(&client, "SELECT id FROM t ORDER BY id").await, ["1"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_over_a_view_with_a_fault_answers_with_it_until_the_row_is_gone() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (id bigint PRIMARY KEY, d bigint)").await;
    run(&client, "INSERT INTO t VALUES (1, 2), (2, 0)").await;
    run(&client, "CREATE MATERIALIZED VIEW q AS SELECT id, 10 / d AS x FROM t").await;
    run(&client, "CREATE MATERIALIZED VIEW w AS SELECT id, x + 1 AS y FROM q").await;
    assert_eq!(run(&client, "SELECT * FROM q").await, ["22012"]);
    assert_eq!(run(&client, "SELECT * FROM w").await, ["22012"]);
    run(&client, "DELETE FROM t WHERE id = 2").await;
    assert_eq!(run(&client, "SELECT * FROM q").await, ["1|5"]);
    assert_eq!(run(&client, "SELECT * FROM w").await, ["1|6"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_added_later_keeps_the_rows_or_refuses_them() {
    let server = TestServer::start_with(Users::default(), 1).await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (id bigint, v text)").await;
    run(&client, "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (1, 'c')").await;
    assert_eq!(run(&client, "ALTER TABLE t ADD PRIMARY KEY (id)").await, ["23505"]);
    assert_eq!(run(&client, "SELECT count(*) FROM t").await, ["3"]);
    run(&client, "DELETE FROM t WHERE v = 'c'").await;
    run(&client, "ALTER TABLE t ADD PRIMARY KEY (id)").await;
    assert_eq!(run(&client, "SELECT id, v FROM t ORDER BY id").await, ["1|a", "2|b"]);
    assert_eq!(run(&client, "INSERT INTO t VALUES (2, 'd')").await, ["23505"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_closed_windows_closed() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    run(
        &client,
        "CREATE TABLE t (ts timestamp, WATERMARK FOR ts AS ts - INTERVAL '1 minute') APPEND ONLY",
    )
    .await;
    run(
        &client,
        "CREATE MATERIALIZED VIEW w AS SELECT window_start, count(*) AS n \
         FROM TUMBLE(t, ts, INTERVAL '10 minutes') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE",
    )
    .await;
    run(
        &client,
        "INSERT INTO t VALUES ('2026-01-01 00:05'), ('2026-01-01 00:12')",
    )
    .await;
    let closed = ["2026-01-01 00:00:00|1"];
    assert_eq!(run(&client, "SELECT * FROM w").await, closed);
    drop(client);

    let server = server.restart(1).await;
    let client = server.connect().await;
    assert_eq!(run(&client, "SELECT * FROM w").await, closed);
    // Late: the window has been closed since before the restart.
    run(&client, "INSERT INTO t VALUES ('2026-01-01 00:06')").await;
    assert_eq!(run(&client, "SELECT * FROM w").await, closed);
    assert_eq!(run(&client, "SELECT count(*) FROM t").await, ["2"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn now_stands_still_in_a_transaction_and_moves_between_them() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    run(
        &client,
        "CREATE TABLE t (id bigint PRIMARY KEY, a timestamptz, b timestamptz)",
    )
    .await;
    let insert = client
        .prepare("INSERT INTO t VALUES ($1, now(), now())")
        .await
        .expect("prepares");
    for id in 0..2_i64 {
        client.execute(&insert, &[&id]).await.expect("inserts");
    }
    let apart = "SELECT count(*) FILTER (WHERE a = b), count(DISTINCT a) FROM t";
    assert_eq!(run(&client, apart).await, ["2|2"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_of_a_view_means_after_a_restart_what_it_meant() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    for sql in [
        "CREATE SCHEMA s1",
        "CREATE SCHEMA s2",
        "CREATE TABLE s2.t (k int)",
        "CREATE TABLE public.t (k int)",
        "INSERT INTO s2.t VALUES (2)",
        "INSERT INTO public.t VALUES (0)",
        "CREATE TABLE at (z timestamptz)",
        "SET TimeZone = 'Europe/Berlin'",
        "CREATE MATERIALIZED VIEW late AS SELECT z, z::text AS s, z::date AS d FROM at WHERE z >= '2024-01-01 00:00'",
        "CREATE VIEW late_inline AS SELECT z FROM at WHERE z >= '2024-01-01 00:00'",
        "RESET TimeZone",
        "CREATE MATERIALIZED VIEW late_in_two_ways AS SELECT z FROM late_inline",
        "INSERT INTO at VALUES ('2023-12-31 23:30:00+00')",
        "SET search_path = s1, s2",
        "CREATE MATERIALIZED VIEW v AS SELECT k FROM t",
        "CREATE VIEW i AS SELECT k FROM t",
        "RESET search_path",
        "CREATE MATERIALIZED VIEW over AS SELECT k + 1 AS k FROM s1.v UNION ALL SELECT k + 2 FROM s1.i",
        // Comes first on the views' path, but came after them.
        "CREATE TABLE s1.t (k int)",
        "INSERT INTO s1.t VALUES (1)",
    ] {
        assert_eq!(run(&client, sql).await, Vec::<String>::new(), "{sql}");
    }
    let questions = [
        ("SELECT s, d FROM late", vec!["2024-01-01 00:30:00+01|2024-01-01"]),
        ("SELECT count(*) FROM late_inline", vec!["1"]),
        ("SELECT count(*) FROM late_in_two_ways", vec!["1"]),
        ("SELECT k FROM s1.v", vec!["2"]),
        ("SELECT k FROM s1.i", vec!["2"]),
        ("SELECT k FROM over ORDER BY k", vec!["3", "4"]),
    ];
    for (sql, answer) in &questions {
        assert_eq!(run(&client, sql).await, *answer, "{sql}");
    }
    drop(client);
    let server = server.restart(1).await;
    let client = server.connect().await;
    for (sql, answer) in &questions {
        assert_eq!(run(&client, sql).await, *answer, "{sql}, after a restart");
    }
    let plan = run(&client, "EXPLAIN MATERIALIZED VIEW s1.v").await;
    assert!(plan.iter().any(|line| line.contains("s2.t")), "{plan:?}");
    drop(client);
    server.stop().await;
}
