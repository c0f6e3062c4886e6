//! SUBSCRIBE through cursors and COPY: the rows that are there, then every change, with nothing lost or doubled.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use highwater_tests::{TestServer, run};
use tokio_postgres::Client;

/// The rows without their epochs, which are the clock's.
async fn fetch(client: &Client, sql: &str) -> Vec<String> {
    let rows = run(client, sql).await;
    let without_epoch = |row: &String| row.split_once('|').map_or(row.clone(), |(_, rest)| rest.to_string());
    rows.iter().map(without_epoch).collect()
}

async fn server_with_view() -> (TestServer, Client) {
    let server = TestServer::start().await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (id bigint PRIMARY KEY, k text NOT NULL)").await;
    run(&client, "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'b')").await;
    run(
        &client,
        "CREATE MATERIALIZED VIEW c AS SELECT k, count(*) AS n FROM t GROUP BY k",
    )
    .await;
    (server, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_answers_what_is_there_and_then_what_changes() {
    let (server, client) = server_with_view().await;
    let reader = server.connect().await;
    assert_eq!(run(&reader, "DECLARE s CURSOR FOR SUBSCRIBE c").await, ["25P01"]);
    run(&reader, "BEGIN").await;
    run(&reader, "DECLARE s CURSOR FOR SUBSCRIBE TO c").await;
    let mut there = fetch(&reader, "FETCH ALL s").await;
    there.sort();
    assert_eq!(there, ["1|a|1", "1|b|2"]);
    assert_eq!(fetch(&reader, "FETCH ALL s WITH (timeout = '100ms')").await, [""; 0]);
    run(&client, "INSERT INTO t VALUES (4, 'a')").await;
    assert_eq!(fetch(&reader, "FETCH 2 s").await, ["-1|a|1", "1|a|2"]);
    run(
        &client,
        "BEGIN; DELETE FROM t WHERE k = 'b'; INSERT INTO t VALUES (5, 'c'); COMMIT",
    )
    .await;
    let mut changes = fetch(&reader, "FETCH ALL s WITH (timeout = '1s')").await;
    changes.sort();
    assert_eq!(changes, ["-1|b|2", "1|c|1"]);
    run(&client, "INSERT INTO t VALUES (6, 'd'), (7, 'e')").await;
    run(&reader, "MOVE 1 s").await;
    assert_eq!(fetch(&reader, "FETCH 1 s").await.len(), 1);
    run(&reader, "CLOSE s").await;
    assert_eq!(run(&reader, "FETCH s").await, ["34000"]);
    run(&reader, "ROLLBACK").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_streams_until_it_is_cancelled() {
    let (server, client) = server_with_view().await;
    let reader = server.connect().await;
    let cancel = reader.cancel_token();
    let copy = reader
        .copy_out("COPY (SUBSCRIBE t WITH (SNAPSHOT false)) TO STDOUT")
        .await;
    let mut lines = std::pin::pin!(copy.expect("it starts"));
    for id in 10..15 {
        run(&client, &format!("INSERT INTO t VALUES ({id}, 'x')")).await;
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next()).await;
        let line = line.expect("it comes at once").expect("it goes on").expect("a row");
        let text = String::from_utf8(line.to_vec()).expect("text");
        let (_, rest) = text.split_once('\t').expect("several columns");
        assert_eq!(rest, format!("1\t{id}\tx\n"));
    }
    cancel
        .cancel_query(tokio_postgres::NoTls)
        .await
        .expect("it reaches the server");
    let error = lines.next().await.expect("an answer").expect_err("it was cancelled");
    assert_eq!(error.code().map(|code| code.code()), Some("57014"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_at_an_epoch_is_continued_from_it() {
    let (server, client) = server_with_view().await;
    // What it reads is kept for as long as its transaction is open.
    let holder = server.connect().await;
    run(&holder, "BEGIN; SELECT count(*) FROM t").await;
    run(&client, "BEGIN").await;
    run(
        &client,
        "DECLARE s CURSOR FOR SUBSCRIBE c WITH (SNAPSHOT = false, PROGRESS)",
    )
    .await;
    let writer = server.connect().await;
    run(&writer, "INSERT INTO t VALUES (8, 'z')").await;
    let mut epochs = Vec::new();
    while epochs.len() < 2 {
        for row in run(&client, "FETCH 1 s").await {
            let fields: Vec<&str> = row.split('|').collect();
            if fields[1] == "t" {
                epochs.push(fields[0].parse::<u64>().expect("an epoch"));
            }
        }
    }
    run(&client, "COMMIT").await;
    let read = |range: String| {
        let client = &client;
        async move {
            run(client, "BEGIN").await;
            let declared = format!("DECLARE s CURSOR FOR SUBSCRIBE t WITH (SNAPSHOT false) {range}");
            assert_eq!(run(client, &declared).await, [""; 0]);
            let rows = fetch(client, "FETCH ALL s WITH (timeout = '10s')").await;
            run(client, "COMMIT").await;
            rows
        }
    };
    let (from, to) = (epochs[0], epochs[1]);
    run(&writer, "INSERT INTO t VALUES (9, 'z')").await;
    let now = |after_us: u64| format!("SELECT (extract(epoch FROM now()) * 1000000)::bigint + {after_us}");
    let middle = run(&client, &now(0)).await[0].clone();
    run(&writer, "INSERT INTO t VALUES (10, 'z'); DELETE FROM t WHERE id = 8").await;
    let end = run(&client, &now(300_000)).await[0].clone();
    let first = read(format!("AS OF {from} UP TO {to}")).await;
    let second = read(format!("AS OF {to} UP TO {middle}")).await;
    let third = read(format!("AS OF {middle} UP TO {end}")).await;
    let all = read(format!("AS OF {from} UP TO {end}")).await;
    assert_eq!(all, [first, second, third].concat());
    assert_eq!(all[all.len() - 2..], ["-1|8|z", "1|10|z"]);
    assert_eq!(run(&client, "COPY (SUBSCRIBE t AS OF 7) TO STDOUT").await, ["40001"]);
    assert_eq!(
        run(&client, &format!("SUBSCRIBE t AS OF {to} UP TO {from}")).await,
        ["22023"]
    );
    server.stop().await;
}

/// Random changes of a table, and a subscriber to a view over it that is always behind: in the end it has what a query
/// answers, and no row ever less than never.
#[tokio::test(flavor = "multi_thread")]
async fn changes_add_up_to_the_view() {
    let (server, client) = server_with_view().await;
    let reader = server.connect().await;
    run(&reader, "BEGIN").await;
    run(&reader, "DECLARE s CURSOR FOR SUBSCRIBE c").await;
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    for round in 0..60u64 {
        let statement = match round * 7 % 5 {
            0 => format!("DELETE FROM t WHERE id % 7 = {}", round % 7),
            1 => format!("UPDATE t SET k = 'k' || (id % 3) WHERE id % 4 = {}", round % 4),
            _ => format!(
                "INSERT INTO t SELECT g, 'k' || (g % 5) FROM generate_series({0}, {0} + 9) g",
                100 + round * 10
            ),
        };
        run(&client, &statement).await;
        if round % 3 == 0 {
            take(&reader, "FETCH 5 s WITH (timeout = '0')", &mut rows).await;
        }
    }
    while take(&reader, "FETCH 100 s WITH (timeout = '1s')", &mut rows).await > 0 {}
    let mut there = run(&client, "SELECT * FROM c").await;
    there.sort();
    assert_eq!(rows.into_keys().collect::<Vec<_>>(), there);
    server.stop().await;
}

async fn take(reader: &Client, sql: &str, rows: &mut BTreeMap<String, i64>) -> usize {
    let changes = fetch(reader, sql).await;
    for change in &changes {
        let (diff, row) = change.split_once('|').expect("a change");
        let weight = rows.entry(row.to_string()).or_default();
        *weight += diff.parse::<i64>().expect("a number");
        assert!(*weight >= 0, "{row} is there {weight} times");
        if *weight == 0 {
            rows.remove(row);
        }
    }
    changes.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_what_it_follows_and_refuses_what_cannot_be_followed() {
    let (server, client) = server_with_view().await;
    run(&client, "CREATE VIEW plain AS SELECT * FROM t").await;
    assert_eq!(run(&client, "SUBSCRIBE plain").await, ["42809"]);
    assert_eq!(run(&client, "SUBSCRIBE nothing").await, ["42P01"]);
    run(&client, "BEGIN").await;
    assert_eq!(
        run(&client, "DECLARE s CURSOR WITH HOLD FOR SUBSCRIBE c").await,
        ["0A000"]
    );
    run(&client, "ROLLBACK").await;
    run(&client, "BEGIN").await;
    run(&client, "DECLARE s CURSOR FOR SUBSCRIBE c").await;
    run(&client, "FETCH ALL s").await;
    let other = server.connect().await;
    run(&other, "DROP MATERIALIZED VIEW c").await;
    assert_eq!(run(&client, "FETCH s").await, ["55000"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_with_a_time_limit_answers_what_has_come_by_then() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    run(&client, "BEGIN").await;
    run(&client, "DECLARE s CURSOR FOR SELECT pg_sleep(1), 7 AS x").await;
    assert_eq!(run(&client, "FETCH 5 s WITH (timeout = '50ms')").await, [""; 0]);
    assert_eq!(run(&client, "FETCH 5 s WITH (timeout = '60s')").await, ["|7"]);
    assert_eq!(run(&client, "FETCH 5 s WITH (timeout = 'soon')").await, ["22023"]);
    run(&client, "ROLLBACK").await;
    server.stop().await;
}
