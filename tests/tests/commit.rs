//! What a session is told of its commit is true: one that was cancelled has left nothing, one that took effect is
//! acknowledged, and what an answer rests on can be seen by whoever has it.

use std::collections::BTreeSet;
use std::sync::Arc;

use highwater_storage::{Store, WalEntry};
use highwater_tests::TestServer;
use highwater_types::{Delta, Epoch, RelationId};
use tokio::sync::Barrier;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.expect(sql);
}

async fn values(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.expect(sql);
    let first = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("null").to_string()),
        _ => None,
    };
    messages.iter().filter_map(first).collect()
}

async fn refusal(client: &Client, sql: &str) -> SqlState {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.code().expect("the server's error").clone()
}

/// A commit takes as long as its views: here each makes tens of thousands of pairs.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_ran_out_of_time_has_left_nothing() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (id bigint PRIMARY KEY, k bigint)").await;
    run(
        &client,
        "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t a JOIN t b ON a.k = b.k",
    )
    .await;
    run(&client, "INSERT INTO t SELECT g, 1 FROM generate_series(1, 1000) g").await;
    run(&client, "SET statement_timeout = '3ms'").await;
    let mut acknowledged = BTreeSet::new();
    for id in 5001..5040 {
        let insert = format!("INSERT INTO t SELECT g, 1 FROM generate_series({id} * 100, {id} * 100 + 49) g");
        match client.batch_execute(&insert).await {
            Ok(()) => drop(acknowledged.insert(id.to_string())),
            Err(error) => assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error}"),
        }
    }
    run(&client, "SET statement_timeout = 0").await;
    let there = values(&client, "SELECT DISTINCT id / 100 FROM t WHERE id > 1000 ORDER BY 1").await;
    assert_eq!(there, acknowledged.into_iter().collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_whose_creation_was_cancelled_is_gone() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (k bigint)").await;
    run(&client, "INSERT INTO t SELECT 1 FROM generate_series(1, 5000) g").await;
    run(&client, "SET statement_timeout = '20ms'").await;
    let create = "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t a JOIN t b ON a.k = b.k";
    assert_eq!(refusal(&client, create).await, SqlState::QUERY_CANCELED);
    run(&client, "SET statement_timeout = 0").await;
    // The coordinator does one thing after the other.
    run(&client, "CREATE TABLE other (k bigint)").await;
    let views = server.database().status().snapshot().views;
    assert!(views.is_empty(), "{views:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_upserts_of_a_key_one_inserts_and_the_others_find_its_row() {
    const CLIENTS: usize = 6;
    let server = TestServer::start().await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (k bigint PRIMARY KEY, who bigint)").await;
    let start = Arc::new(Barrier::new(CLIENTS));
    let mut tasks = Vec::new();
    for who in 0..CLIENTS {
        let (client, start) = (server.connect().await, Arc::clone(&start));
        tasks.push(tokio::spawn(async move {
            let mut inserted = 0;
            for k in 0..100 {
                start.wait().await;
                let upsert = format!("INSERT INTO t VALUES ({k}, {who}) ON CONFLICT DO NOTHING");
                inserted += client.execute(&upsert, &[]).await.expect("conflicts do nothing");
                let found = values(&client, &format!("SELECT who FROM t WHERE k = {k}")).await;
                assert_eq!(found.len(), 1, "row {k}, that {who} has inserted or met");
            }
            inserted
        }));
    }
    let mut inserted = 0;
    for task in tasks {
        inserted += task.await.expect("no session is refused anything");
    }
    assert_eq!(inserted, 100);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_of_a_duplicate_key_finds_it() {
    const CLIENTS: usize = 4;
    let server = TestServer::start().await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (k bigint PRIMARY KEY)").await;
    run(
        &client,
        "CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n FROM t GROUP BY k",
    )
    .await;
    let start = Arc::new(Barrier::new(CLIENTS));
    let mut tasks = Vec::new();
    for _ in 0..CLIENTS {
        let (client, start) = (server.connect().await, Arc::clone(&start));
        tasks.push(tokio::spawn(async move {
            for k in 0..100 {
                start.wait().await;
                if let Err(error) = client.batch_execute(&format!("INSERT INTO t VALUES ({k})")).await {
                    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION), "{error}");
                }
                assert_eq!(values(&client, &format!("SELECT n FROM v WHERE k = {k}")).await, ["1"]);
            }
        }));
    }
    for task in tasks {
        task.await.expect("every session finds its rows");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_never_empty_because_a_transaction_is_older() {
    let server = TestServer::start().await;
    let (one, other) = (server.connect().await, server.connect().await);
    run(&one, "CREATE TABLE t (a bigint); INSERT INTO t VALUES (1), (2), (3)").await;

    run(&one, "BEGIN").await;
    assert_eq!(values(&one, "SELECT count(*) FROM t").await, ["3"]);
    run(&one, "CREATE MATERIALIZED VIEW v AS SELECT a FROM t").await;
    assert_eq!(values(&one, "SELECT count(*) FROM v").await, ["3"]);
    run(&one, "COMMIT").await;

    run(&one, "BEGIN").await;
    assert_eq!(values(&one, "SELECT count(*) FROM t").await, ["3"]);
    run(&other, "INSERT INTO t VALUES (4)").await;
    run(&other, "CREATE MATERIALIZED VIEW w AS SELECT a FROM t").await;
    assert_eq!(values(&one, "SELECT count(*) FROM w").await, ["4"]);
    assert_eq!(values(&one, "SELECT count(*) FROM t").await, ["4"]);
    run(&one, "COMMIT").await;

    run(&one, "BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    assert_eq!(values(&one, "SELECT count(*) FROM t").await, ["4"]);
    run(&other, "INSERT INTO t VALUES (5)").await;
    run(&other, "CREATE MATERIALIZED VIEW x AS SELECT a FROM t").await;
    assert_eq!(
        refusal(&one, "SELECT count(*) FROM x").await,
        SqlState::T_R_SERIALIZATION_FAILURE
    );
    run(&one, "ROLLBACK").await;
    assert_eq!(values(&one, "SELECT count(*) FROM x").await, ["5"]);
    server.stop().await;
}

/// Both see two on duty; only one of them may leave.
#[tokio::test(flavor = "multi_thread")]
async fn a_level_is_what_show_says_however_it_was_set() {
    let server = TestServer::start().await;
    let (one, other) = (server.connect().await, server.connect().await);
    run(&one, "CREATE TABLE duty (who text PRIMARY KEY, is_on boolean)").await;
    for (session, transaction) in [
        ("SET default_transaction_isolation = 'serializable'", "BEGIN"),
        (
            "SET default_transaction_isolation = 'read committed'",
            "BEGIN; SET transaction_isolation = 'serializable'",
        ),
    ] {
        run(
            &one,
            "DELETE FROM duty; INSERT INTO duty VALUES ('a', true), ('b', true)",
        )
        .await;
        for (client, who) in [(&one, "a"), (&other, "b")] {
            run(client, session).await;
            run(client, transaction).await;
            assert_eq!(values(client, "SHOW transaction_isolation").await, ["serializable"]);
            assert_eq!(values(client, "SELECT count(*) FROM duty WHERE is_on").await, ["2"]);
            run(client, &format!("INSERT INTO duty VALUES ('{who} leaves', false)")).await;
        }
        run(&one, "COMMIT").await;
        assert_eq!(refusal(&other, "COMMIT").await, SqlState::T_R_SERIALIZATION_FAILURE);
    }
    run(&one, "BEGIN; SELECT 1 FROM duty").await;
    assert_eq!(
        refusal(&one, "SET transaction_isolation = 'serializable'").await,
        SqlState::ACTIVE_SQL_TRANSACTION
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_read_and_changed_by_one_at_a_time() {
    let server = TestServer::start().await;
    let (one, other) = (server.connect().await, server.connect().await);
    run(&one, "CREATE TABLE t (a bigint)").await;
    run(&one, "BEGIN; LOCK TABLE t IN EXCLUSIVE MODE").await;
    run(&other, "BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE").await;
    let refused = refusal(&other, "LOCK TABLE t NOWAIT").await;
    assert_eq!(refused, SqlState::LOCK_NOT_AVAILABLE);
    run(&other, "ROLLBACK").await;
    assert_eq!(
        refusal(&other, "LOCK TABLE t").await,
        SqlState::NO_ACTIVE_SQL_TRANSACTION
    );

    let mut tasks = Vec::new();
    for _ in 0..4 {
        let client = server.connect().await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..25 {
                run(&client, "BEGIN; LOCK TABLE t").await;
                let next = values(&client, "SELECT coalesce(max(a), 0) + 1 FROM t").await;
                run(&client, &format!("INSERT INTO t VALUES ({}); COMMIT", next[0])).await;
            }
        }));
    }
    run(&one, "COMMIT").await;
    for task in tasks {
        task.await.expect("no session is refused anything");
    }
    assert_eq!(
        values(&one, "SELECT count(DISTINCT a) || ' of ' || count(*) FROM t").await,
        ["100 of 100"]
    );
    server.stop().await;
}

/// A crash between the catalog's change and the log's leaves records of a table that is gone; and the log may have
/// been written by a clock that was ahead.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dropped_table_has_left_in_the_log_is_cleared_away() {
    use arrow::array::{Int64Array, RecordBatch};

    let mut folder = tempfile::tempdir().expect("there is room for a folder");
    let ahead = Epoch(u64::MAX / 4);
    {
        let store = Store::open(folder.path()).expect("a store");
        let numbers: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let rows = RecordBatch::try_from_iter([("a", numbers)]).expect("one column");
        let entry = WalEntry {
            relation: RelationId(20_000),
            delta: Delta::insert(rows),
        };
        store.wal().append(ahead, &[entry]).expect("an append");
    }
    for round in 0..3 {
        let server = TestServer::start_in(folder).await;
        let client = server.connect().await;
        run(&client, &format!("CREATE TABLE t{round} (a bigint)")).await;
        run(&client, &format!("INSERT INTO t{round} VALUES (1)")).await;
        run(&client, &format!("DROP TABLE t{round}")).await;
        drop(client);
        folder = server.into_folder().await;
        let store = Store::open(folder.path()).expect("a store");
        let left: usize = store
            .wal()
            .replay()
            .map(|epoch| epoch.expect("undamaged").1.len())
            .sum();
        assert_eq!(left, 0, "after round {round}");
    }
}
