//! What the oracle has found, each made small: statements, and what they must answer, at 1, 2 and 4 workers.

use highwater_tests::oracle::server::Server;

/// Runs statements one by one. Answers are sorted rows with `|` between columns, or the SQLSTATE of an error.
fn check(script: &[(&str, &[&str])]) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(async {
        for workers in [1, 2, 4] {
            let mut server = Server::start(workers).await;
            for (sql, expected) in script {
                let answer = match server.run(sql).await {
                    Ok(rows) => rows.lines(),
                    Err(error) => vec![error.state.to_string()],
                };
                assert_eq!(answer, *expected, "{sql}, at {workers} workers");
            }
            server.stop().await;
        }
    });
}

#[test]
fn equal_late_rows_are_late_as_single_ones_are() {
    check(&[
        (
            "CREATE TABLE t (id int, ts timestamp, WATERMARK FOR ts AS ts) APPEND ONLY",
            &[],
        ),
        ("INSERT INTO t VALUES (1, '2024-01-01 00:01:00')", &[]),
        (
            "INSERT INTO t VALUES (2, '2024-01-01 00:00:01'), (2, '2024-01-01 00:00:01'), (3, '2024-01-01 00:01:00')",
            &[],
        ),
        ("SELECT id FROM t", &["1", "3"]),
    ]);
}

#[test]
fn on_conflict_reads_the_excluded_row() {
    check(&[
        ("CREATE TABLE t (id int PRIMARY KEY, k int, s text)", &[]),
        ("INSERT INTO t VALUES (1, 1, 'a')", &[]),
        (
            "INSERT INTO t VALUES (1, 2, 'b') ON CONFLICT (id) DO UPDATE SET k = excluded.k, s = t.s || excluded.s",
            &[],
        ),
        ("SELECT * FROM t", &["1|2|ab"]),
    ]);
}

#[test]
fn is_distinct_from_binds_closer_than_and() {
    check(&[(
        "SELECT 1 IS DISTINCT FROM 2 AND false, 1 IS NOT DISTINCT FROM 1 AND true, 1 IS NOT DISTINCT FROM 1 + 0 OR false",
        &["f|t|t"],
    )]);
}

#[test]
fn a_filter_may_ask_whether_a_list_has_a_value() {
    check(&[
        ("CREATE TABLE t (k int)", &[]),
        ("INSERT INTO t VALUES (1), (2), (NULL)", &[]),
        (
            "SELECT count(*) FILTER (WHERE (k NOT IN (1, 3)) IS NOT TRUE), sum(k) FILTER (WHERE (k NOT IN (1)) IS TRUE) FROM t",
            &["2|2"],
        ),
    ]);
}

#[test]
fn a_condition_that_another_makes_needless_takes_its_columns_along() {
    check(&[
        ("CREATE TABLE t (k int, e int, s text)", &[]),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT a.k FROM (SELECT * FROM t WHERE NOT (e = 6 AND s IS NOT NULL)) AS a \
             WHERE a.s IS NULL",
            &[],
        ),
        ("INSERT INTO t VALUES (1, 6, NULL), (2, 6, 'a'), (3, 7, 'a')", &[]),
        ("SELECT * FROM v", &["1"]),
    ]);
}

#[test]
fn windows_are_ordered_by_types_without_offsets() {
    check(&[
        ("CREATE TABLE t (k int, u uuid, b bytea, d time, i interval)", &[]),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT k, n FROM (SELECT k, rank() OVER (ORDER BY u DESC) AS n FROM t) AS r \
             WHERE n <= 2",
            &[],
        ),
        (
            "INSERT INTO t VALUES (1, '00000001-0000-0000-0000-000000000000', '\\x02', '10:00', '1 day'), \
             (2, '00000002-0000-0000-0000-000000000000', '\\x01', '09:00', '2 days'), \
             (3, '00000002-0000-0000-0000-000000000000', '\\x01', '09:00', '2 days')",
            &[],
        ),
        ("SELECT * FROM v", &["2|1", "3|1"]),
        (
            "SELECT k, rank() OVER (ORDER BY u), dense_rank() OVER (ORDER BY b), sum(k) OVER (ORDER BY d), \
             row_number() OVER (ORDER BY i, k) FROM t",
            &["1|1|2|6|1", "2|2|1|5|2", "3|2|1|5|3"],
        ),
    ]);
}

#[test]
fn rows_that_differ_by_the_sign_of_zero_are_different_rows() {
    check(&[
        ("CREATE TABLE t (x double precision)", &[]),
        ("CREATE MATERIALIZED VIEW v AS SELECT x::text AS s FROM t", &[]),
        (
            "CREATE MATERIALIZED VIEW w AS SELECT s, count(*) FROM (SELECT x::text AS s FROM t OFFSET 0) AS i GROUP BY s",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW g AS SELECT x = 0 AS z, count(*) FROM t GROUP BY x",
            &[],
        ),
        ("INSERT INTO t VALUES (0), ('-0')", &[]),
        ("SELECT * FROM v", &["-0", "0"]),
        ("DELETE FROM t WHERE x::text = '-0'", &[]),
        ("SELECT * FROM v", &["0"]),
        ("SELECT * FROM w", &["0|1"]),
        ("INSERT INTO t VALUES ('-0')", &[]),
        ("SELECT * FROM g", &["t|2"]),
    ]);
}

#[test]
fn a_filter_of_an_aggregate_guards_its_argument() {
    check(&[
        ("CREATE TABLE t (g int, x int, s text)", &[]),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT g, sum(10 / x) FILTER (WHERE x <> 0) AS a, \
             string_agg((10 / x)::text, ',') FILTER (WHERE x <> 0) AS b, count(DISTINCT 10 / x) FILTER (WHERE x <> 0) AS c \
             FROM t GROUP BY g",
            &[],
        ),
        ("INSERT INTO t VALUES (1, 0, 'a'), (1, 5, '3')", &[]),
        ("SELECT * FROM v", &["1|2|2|1"]),
        (
            "SELECT g, sum(10 / x) FILTER (WHERE x <> 0), min(s::int) FILTER (WHERE s ~ '^[0-9]+$') FROM t GROUP BY g",
            &["1|2|3"],
        ),
    ]);
}
