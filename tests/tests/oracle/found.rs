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

const LOG: (&str, &[&str]) = (
    "CREATE TABLE log (k text, v bigint, at timestamp, WATERMARK FOR at AS at) APPEND ONLY",
    &[],
);

#[test]
fn rows_held_until_their_window_closes_are_not_late_by_their_own_time() {
    check(&[
        LOG,
        (
            "CREATE MATERIALIZED VIEW a AS SELECT k, at, window_end FROM TUMBLE(log, at, INTERVAL '10 seconds') \
             EMIT ON WINDOW CLOSE",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW b AS SELECT at, count(*) FROM a GROUP BY at",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW c AS SELECT window_end, count(*) FROM TUMBLE(a, at, INTERVAL '5 seconds') GROUP BY window_end",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW d AS SELECT x.at, y.k FROM a x JOIN a y ON x.at = y.at",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW e AS SELECT at, n FROM (SELECT at, row_number() OVER (PARTITION BY at ORDER BY k) AS n FROM a) AS r WHERE n = 1",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW g AS SELECT at, window_end, count(*) AS n FROM TUMBLE(log, at, INTERVAL '10 seconds') \
             GROUP BY at, window_end EMIT ON WINDOW CLOSE",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW h AS SELECT at, sum(n) FROM g GROUP BY at",
            &[],
        ),
        ("INSERT INTO log VALUES ('x', 1, '2024-01-01 00:00:01')", &[]),
        ("INSERT INTO log VALUES ('x', 1, '2024-01-01 00:00:09')", &[]),
        ("INSERT INTO log VALUES ('x', 1, '2024-01-01 00:00:10')", &[]),
        ("SELECT * FROM b", &["2024-01-01 00:00:01|1", "2024-01-01 00:00:09|1"]),
        ("SELECT * FROM c", &["2024-01-01 00:00:05|1", "2024-01-01 00:00:10|1"]),
        ("SELECT * FROM d", &["2024-01-01 00:00:01|x", "2024-01-01 00:00:09|x"]),
        ("SELECT * FROM e", &["2024-01-01 00:00:01|1", "2024-01-01 00:00:09|1"]),
        ("SELECT * FROM h", &["2024-01-01 00:00:01|1", "2024-01-01 00:00:09|1"]),
    ]);
}

#[test]
fn rows_are_held_until_their_window_ends_whatever_column_tells_it() {
    check(&[
        LOG,
        (
            "CREATE MATERIALIZED VIEW a AS SELECT window_end + INTERVAL '1 hour' AS later, window_end AS ending, k \
             FROM TUMBLE(log, at, INTERVAL '10 seconds') EMIT ON WINDOW CLOSE",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW b AS SELECT ending, count(*) FROM a GROUP BY ending",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW c AS SELECT later, count(*) FROM a GROUP BY later",
            &[],
        ),
        ("INSERT INTO log VALUES ('x', 1, '2024-01-01 00:00:01')", &[]),
        ("INSERT INTO log VALUES ('x', 1, '2024-01-01 00:00:10')", &[]),
        ("SELECT * FROM a", &["2024-01-01 01:00:10|2024-01-01 00:00:10|x"]),
        ("SELECT * FROM b", &["2024-01-01 00:00:10|1"]),
        ("SELECT * FROM c", &["2024-01-01 01:00:10|1"]),
        ("INSERT INTO log VALUES ('x', 1, '2024-01-01 02:00:00')", &[]),
        ("SELECT * FROM b", &["2024-01-01 00:00:10|1", "2024-01-01 00:00:20|1"]),
    ]);
}

const WINDOWS_OF_L_AND_R: &str = "(SELECT window_end, k, count(*) AS n FROM TUMBLE(log, at, INTERVAL '10 seconds') GROUP BY 1, 2) AS l \
     @ JOIN (SELECT window_end, k, count(*) AS n FROM TUMBLE(log, at, INTERVAL '10 seconds') WHERE v > 5 GROUP BY 1, 2) AS r \
     ON l.window_end = r.window_end AND l.k = r.k";

#[test]
fn outer_joins_of_closed_windows_take_nothing_back() {
    let joined = |word: &str| WINDOWS_OF_L_AND_R.replace('@', word);
    let left = format!(
        "CREATE MATERIALIZED VIEW a AS SELECT l.window_end, max(coalesce(r.n, 100)) FROM {} GROUP BY 1 EMIT ON WINDOW CLOSE",
        joined("LEFT")
    );
    let full = format!(
        "CREATE MATERIALIZED VIEW f AS SELECT l.k, l.n, r.n AS rn FROM {} EMIT ON WINDOW CLOSE",
        joined("FULL")
    );
    check(&[
        LOG,
        (&left, &[]),
        (&full, &[]),
        (
            "CREATE MATERIALIZED VIEW g AS SELECT max(coalesce(rn, 100)) FROM f",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW l AS SELECT window_end, k, count(*) AS n FROM TUMBLE(log, at, INTERVAL '10 seconds') \
             GROUP BY 1, 2 EMIT ON WINDOW CLOSE",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW r AS SELECT window_end, k, count(*) AS n FROM TUMBLE(log, at, INTERVAL '10 seconds') \
             WHERE v > 5 GROUP BY 1, 2 EMIT ON WINDOW CLOSE",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW m AS SELECT max(coalesce(r.n, 100)) AS n FROM l LEFT JOIN r \
             ON l.window_end = r.window_end AND l.k = r.k",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW o AS SELECT count(*), max(l.n) FROM l WHERE NOT EXISTS \
             (SELECT 1 FROM r WHERE l.window_end = r.window_end AND l.k = r.k)",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW p AS SELECT ending, max(n) FROM (SELECT r.window_end AS ending, l.n FROM l LEFT JOIN r \
             ON l.window_end = r.window_end AND l.k = r.k) AS j GROUP BY ending",
            &[],
        ),
        ("INSERT INTO log VALUES ('x', 9, '2024-01-01 00:00:01')", &[]),
        ("INSERT INTO log VALUES ('y', 1, '2024-01-01 00:00:10')", &[]),
        ("SELECT * FROM a", &["2024-01-01 00:00:10|1"]),
        ("SELECT * FROM f", &["x|1|1"]),
        ("SELECT * FROM g", &["1"]),
        ("SELECT * FROM m", &["1"]),
        ("SELECT * FROM o", &["0|NULL"]),
        ("SELECT * FROM p", &["2024-01-01 00:00:10|1"]),
        ("INSERT INTO log VALUES ('z', 1, '2024-01-01 00:00:20')", &[]),
        (
            "INSERT INTO log VALUES ('z', 1, '2024-01-01 00:00:21'), ('z', 1, '2024-01-01 00:00:30')",
            &[],
        ),
        (
            "SELECT * FROM a",
            &[
                "2024-01-01 00:00:10|1",
                "2024-01-01 00:00:20|100",
                "2024-01-01 00:00:30|100",
            ],
        ),
        ("SELECT * FROM o", &["2|2"]),
        ("SELECT * FROM p", &["2024-01-01 00:00:10|1", "NULL|2"]),
    ]);
}

#[test]
fn rows_without_a_partner_appear_when_their_own_window_closes() {
    check(&[
        LOG,
        (
            "CREATE TABLE other (k text, v bigint, at timestamp, WATERMARK FOR at AS at) APPEND ONLY",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW a AS SELECT l.k, r.window_end FROM TUMBLE(log, at, INTERVAL '10 seconds') AS l \
             LEFT JOIN TUMBLE(other, at, INTERVAL '10 seconds') AS r ON l.window_end = r.window_end AND l.k = r.k EMIT ON WINDOW CLOSE",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW b AS SELECT r.window_end, l.window_end AS left_end \
             FROM TUMBLE(log, at, INTERVAL '10 seconds') AS l \
             LEFT JOIN TUMBLE(other, at, INTERVAL '10 seconds') AS r ON l.window_end = r.window_end AND l.k = r.k EMIT ON WINDOW CLOSE",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW c AS SELECT r.window_end, l.window_end AS left_end, count(*) AS n \
             FROM TUMBLE(log, at, INTERVAL '10 seconds') AS l \
             LEFT JOIN TUMBLE(other, at, INTERVAL '10 seconds') AS r ON l.window_end = r.window_end AND l.k = r.k \
             GROUP BY 1, 2 EMIT ON WINDOW CLOSE",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW d AS SELECT r.window_end, count(*) AS n \
             FROM TUMBLE(log, at, INTERVAL '10 seconds') AS l \
             LEFT JOIN TUMBLE(other, at, INTERVAL '10 seconds') AS r ON l.window_end = r.window_end AND l.k = r.k \
             GROUP BY 1 EMIT ON WINDOW CLOSE",
            &["0A000"],
        ),
        (
            "CREATE MATERIALIZED VIEW e AS SELECT l.window_end, r.window_end AS right_end \
             FROM TUMBLE(log, at, INTERVAL '10 seconds') AS l \
             FULL JOIN TUMBLE(other, at, INTERVAL '10 seconds') AS r ON l.window_end = r.window_end AND l.k = r.k EMIT ON WINDOW CLOSE",
            &["0A000"],
        ),
        (
            "INSERT INTO log VALUES ('x', 1, '2024-01-01 00:00:01'), ('y', 1, '2024-01-01 00:00:02')",
            &[],
        ),
        ("INSERT INTO other VALUES ('x', 1, '2024-01-01 00:00:01')", &[]),
        ("INSERT INTO log VALUES ('x', 1, '2024-01-01 00:00:10')", &[]),
        ("SELECT * FROM a", &[]),
        ("INSERT INTO other VALUES ('z', 1, '2024-01-01 00:00:10')", &[]),
        ("SELECT * FROM a", &["x|2024-01-01 00:00:10", "y|NULL"]),
        (
            "SELECT * FROM b",
            &["2024-01-01 00:00:10|2024-01-01 00:00:10", "NULL|2024-01-01 00:00:10"],
        ),
        (
            "SELECT * FROM c",
            &[
                "2024-01-01 00:00:10|2024-01-01 00:00:10|1",
                "NULL|2024-01-01 00:00:10|1",
            ],
        ),
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
fn rows_with_a_window_are_windowed_again() {
    check(&[
        LOG,
        (
            "CREATE MATERIALIZED VIEW a AS SELECT at, window_end FROM TUMBLE(log, at, INTERVAL '10 seconds')",
            &[],
        ),
        (
            "CREATE MATERIALIZED VIEW b AS SELECT count(*) FROM TUMBLE((SELECT * FROM a), at, INTERVAL '5 seconds')",
            &[],
        ),
        ("INSERT INTO log VALUES ('x', 1, '2024-01-01 00:00:01')", &[]),
        ("SELECT * FROM b", &["1"]),
        (
            "SELECT w.window_end FROM TUMBLE((SELECT * FROM a), at, INTERVAL '5 seconds') AS w (at, first_end)",
            &["2024-01-01 00:00:05"],
        ),
        ("SELECT count(*) FROM TUMBLE(a, at, INTERVAL '5 seconds') AS w", &["1"]),
    ]);
}
