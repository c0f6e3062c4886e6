//! Many views made on one source while it runs, and dropped again: nobody else is held up for longer than a second
//! meanwhile. `highwater-bench serving --only views` does the same with two hundred, and shows the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use highwater_tests::TestServer;
use tokio_postgres::Client;

const VIEWS: usize = 30;
/// Nobody may be held up for longer.
const STALL: Duration = Duration::from_secs(1);
/// A debug build on a machine that builds something else beside takes its time; a stall is not a matter of speed.
const SLOW_MACHINE: u32 = 20;

/// Runs `step` again and again; answers the longest time that one took, and how many there were.
async fn longest(stop: Arc<AtomicBool>, client: Client, step: impl AsyncFn(&Client, i64)) -> (Duration, i64) {
    let (mut longest, mut count) = (Duration::ZERO, 0);
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        step(&client, count).await;
        longest = longest.max(begun.elapsed());
        count += 1;
    }
    (longest, count)
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.expect(sql).get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn making_and_dropping_views_on_a_running_source_holds_nobody_up() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    for sql in [
        "CREATE SOURCE bid WITH (connector = 'nexmark', table = 'bid', rate = '20000')",
        "CREATE MATERIALIZED VIEW watched AS SELECT count(*) AS n FROM bid",
        "CREATE TABLE t (id bigint PRIMARY KEY)",
        "CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM t",
    ] {
        client.batch_execute(sql).await.expect(sql);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let inserts = tokio::spawn(longest(
        Arc::clone(&stop),
        server.connect().await,
        async |client: &Client, id| {
            client
                .execute("INSERT INTO t VALUES ($1)", &[&id])
                .await
                .expect("inserts");
            assert_eq!(number(client, "SELECT n FROM counted").await, id + 1);
        },
    ));
    let moves = tokio::spawn(longest(
        Arc::clone(&stop),
        server.connect().await,
        async |client: &Client, _| {
            let before = number(client, "SELECT n FROM watched").await;
            while number(client, "SELECT n FROM watched").await == before {
                tokio::task::yield_now().await;
            }
        },
    ));
    for view in 0..VIEWS {
        let sql = format!(
            "CREATE MATERIALIZED VIEW many{view} AS SELECT bidder % {} AS b, count(*) AS n FROM bid GROUP BY 1",
            view + 2
        );
        client.batch_execute(&sql).await.expect("creates");
    }
    let sums = "SELECT (SELECT sum(n) FROM many0)::bigint - (SELECT n FROM watched)";
    assert_eq!(number(&client, sums).await, 0, "a view made late sees the same rows");
    for view in 0..VIEWS {
        let sql = format!("DROP MATERIALIZED VIEW many{view}");
        client.batch_execute(&sql).await.expect("drops");
    }
    stop.store(true, Ordering::Relaxed);
    for (what, task) in [("an INSERT", inserts), ("a view of the source", moves)] {
        let (longest, count) = task.await.expect("no step fails");
        println!("{VIEWS} views made and dropped: {count} times {what}, {longest:.1?} the longest");
        assert!(
            count > 0 && longest < STALL * SLOW_MACHINE,
            "{what} was held up for {longest:.1?}"
        );
    }
    drop(client);
    server.stop().await;
}

/// Else each view that is made would have more to read again than the one before it, without end.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_at_full_speed_lets_a_new_view_catch_up() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    for sql in [
        "CREATE SOURCE bid WITH (connector = 'nexmark', table = 'bid')",
        "CREATE MATERIALIZED VIEW watched AS SELECT count(*) AS n FROM bid",
    ] {
        client.batch_execute(sql).await.expect(sql);
    }
    let mut before = 0;
    while before < 300_000 {
        before = number(&client, "SELECT n FROM watched").await;
    }
    let sql = "CREATE MATERIALIZED VIEW late AS SELECT count(*) AS n FROM bid";
    client.batch_execute(sql).await.expect(sql);
    let brought = number(&client, "SELECT n FROM watched").await - before;
    println!("{before} rows were read again, and the source brought {brought} meanwhile");
    assert!(
        brought < before,
        "the source has brought {brought} rows beside {before}"
    );
    drop(client);
    server.stop().await;
}
