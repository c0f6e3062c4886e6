//! Two hundred views made on one source while it runs at full speed, and dropped again: what others notice of it. One
//! client inserts all the time into a table with a view, another one watches a view of the source move on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::server::Server;
use super::{Plan, ms, percentile};
use crate::{Result, print};

const VIEWS: usize = 200;
/// How long the source runs before they are made. Each of them reads what it has brought by then again.
const HISTORY: Duration = Duration::from_millis(200);
const SOURCE: &str = "CREATE SOURCE bid (WATERMARK FOR date_time AS date_time - INTERVAL '1 second')
    WITH (connector = 'nexmark', table = 'bid')";
const WATCHED: &str = "CREATE MATERIALIZED VIEW watched AS SELECT count(*) AS n FROM bid";

pub(super) async fn measure(plan: &Plan) -> Result<()> {
    let server = Server::start(plan).await?;
    let client = server.connect().await?;
    for statement in [
        SOURCE,
        WATCHED,
        "CREATE TABLE t (id bigint PRIMARY KEY)",
        "CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM t",
    ] {
        client.batch_execute(statement).await?;
    }
    tokio::time::sleep(HISTORY).await;
    let before_mb = server.memory_mb()?;
    let stop = Arc::new(AtomicBool::new(false));
    let inserts = inserts(server.connect().await?, Arc::clone(&stop));
    let progress = progress(server.connect().await?, Arc::clone(&stop));
    let created = Instant::now();
    for view in 0..VIEWS {
        client.batch_execute(&view_of(view)).await?;
    }
    let created = created.elapsed();
    let full_mb = server.memory_mb()?;
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    let dropped = Instant::now();
    for view in 0..VIEWS {
        client
            .batch_execute(&format!("DROP MATERIALIZED VIEW many{view}"))
            .await?;
    }
    let dropped = dropped.elapsed();
    tokio::time::sleep(Duration::from_secs(5)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut inserts, (stall, rows)) = (inserts.await??, progress.await??);
    print(&format!("### {VIEWS} views on one source at full speed\n"));
    print("| what | figure |\n|---|---|");
    let row = |what: &str, figure: String| print(&format!("| {what} | {figure} |"));
    row("all created in", format!("{:.1} s", created.as_secs_f64()));
    row("all dropped in", format!("{:.1} s", dropped.as_secs_f64()));
    row("INSERT to visible meanwhile, p50", ms(percentile(&mut inserts, 50)));
    row(
        "INSERT to visible meanwhile, longest",
        ms(percentile(&mut inserts, 100)),
    );
    row("longest stand of a view of the source", ms(stall));
    row("rows that it counted", rows.to_string());
    row("memory before", format!("{before_mb:.0} MB"));
    row("memory with all views", format!("{full_mb:.0} MB"));
    row("memory after", format!("{:.0} MB", server.memory_mb()?));
    print("");
    Ok(())
}

/// Views of several kinds, no two alike.
fn view_of(number: usize) -> String {
    let query = match number % 4 {
        0 => format!("SELECT auction, price FROM bid WHERE price > {}", 90_000_000 + number),
        1 => format!(
            "SELECT channel, count(*) AS n, max(price) AS m FROM bid WHERE bidder % 200 <> {number} GROUP BY channel"
        ),
        2 => format!(
            "SELECT window_end, count(*) AS n FROM TUMBLE(bid, date_time, INTERVAL '{} seconds') GROUP BY window_start, window_end",
            10 + number
        ),
        _ => format!(
            "SELECT bidder % {} AS b, sum(price) AS s FROM bid GROUP BY 1",
            50 + number
        ),
    };
    format!("CREATE MATERIALIZED VIEW many{number} AS {query}")
}

/// Inserts all the time; answers how long each row took.
fn inserts(client: Client, stop: Arc<AtomicBool>) -> JoinHandle<Result<Vec<Duration>>> {
    tokio::spawn(async move {
        let insert = client.prepare("INSERT INTO t VALUES ($1)").await?;
        let mut times = Vec::new();
        let mut id = 0_i64;
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            client.execute(&insert, &[&id]).await?;
            times.push(begun.elapsed());
            id += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(times)
    })
}

/// Reads the watched view all the time; answers the longest time that it stood still, and its last count.
fn progress(client: Client, stop: Arc<AtomicBool>) -> JoinHandle<Result<(Duration, i64)>> {
    tokio::spawn(async move {
        let read = client.prepare("SELECT n FROM watched").await?;
        let (mut moved, mut seen, mut longest) = (Instant::now(), 0, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            let count: i64 = client.query_one(&read, &[]).await?.get(0);
            if count != seen {
                longest = longest.max(moved.elapsed());
                (moved, seen) = (Instant::now(), count);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok((longest.max(moved.elapsed()), seen))
    })
}
