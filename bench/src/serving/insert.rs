//! INSERT to visible: one row a transaction, at fixed rates, into a table that a view depends on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use highwater_tests::Postgres;
use tokio::sync::Semaphore;
use tokio_postgres::{Client, Config};

use super::server::{Server, connect};
use super::{Plan, ms, percentile};
use crate::{Result, print};

/// Transactions per second.
const RATES: [u64; 3] = [1, 100, 1000];
/// Transactions that may be under way at a time: as many sessions.
const SESSIONS: usize = 64;
const TABLE: &str = "CREATE TABLE t (id bigint PRIMARY KEY, k bigint NOT NULL)";
const VIEW: &str = "CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n, sum(id) AS s FROM t GROUP BY k";

pub(super) async fn measure(plan: &Plan) -> Result<()> {
    print("### INSERT to visible\n");
    print("| server | transactions/s | p50 | p99 | max |\n|---|---|---|---|---|");
    let server = Server::start(plan).await?;
    let client = server.connect().await?;
    client.batch_execute(TABLE).await?;
    client.batch_execute(VIEW).await?;
    let inserted = rates(plan, "Highwater, with a view", &server.config()).await?;
    let row = client.query_one("SELECT sum(n)::bigint FROM v", &[]).await?;
    let seen: i64 = row.get(0);
    if u64::try_from(seen) != Ok(inserted) {
        return Err(format!("{inserted} rows were inserted, the view has {seen}").into());
    }
    if let Some(postgres) = Postgres::start_with(&["fsync=on"]).await {
        postgres.connect().await.batch_execute(TABLE).await?;
        rates(plan, "PostgreSQL, without one", &postgres.config()).await?;
    }
    print("");
    Ok(())
}

/// Measures each rate; answers how many rows were inserted.
async fn rates(plan: &Plan, name: &str, config: &Config) -> Result<u64> {
    let ids = Arc::new(AtomicU64::new(0));
    for rate in RATES {
        let mut times = at_rate(config, rate, plan.seconds, &ids).await?;
        print(&format!(
            "| {name} | {rate} | {} | {} | {} |",
            ms(percentile(&mut times, 50)),
            ms(percentile(&mut times, 99)),
            ms(percentile(&mut times, 100))
        ));
    }
    Ok(ids.load(Ordering::Relaxed))
}

/// The latencies of transactions at a rate.
async fn at_rate(config: &Config, rate: u64, seconds: u64, ids: &Arc<AtomicU64>) -> Result<Vec<Duration>> {
    let sessions = SESSIONS.min(usize::try_from(rate)?.max(1));
    let mut clients = Vec::new();
    for _ in 0..sessions {
        clients.push(connect(config).await?);
    }
    let schedule = Schedule {
        begin: Instant::now() + Duration::from_millis(100),
        rate,
        count: rate * seconds,
    };
    let (due, turns) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let (due, turns, ids) = (Arc::clone(&due), Arc::clone(&turns), Arc::clone(ids));
            tokio::spawn(async move { insert(&client, schedule, &due, &turns, &ids).await })
        })
        .collect();
    let pace = std::thread::spawn(move || schedule.pace(&due));
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    pace.join().map_err(|_| "the pace ended in a panic")?;
    Ok(times)
}

/// When transactions are due.
#[derive(Clone, Copy)]
struct Schedule {
    begin: Instant,
    /// Per second.
    rate: u64,
    count: u64,
}

impl Schedule {
    fn due(&self, number: u64) -> Instant {
        self.begin + Duration::from_nanos(1_000_000_000 / self.rate * number)
    }

    /// Lets each transaction go when it is due. A thread that sleeps is more exact than the runtime's timer, which
    /// counts in milliseconds.
    fn pace(&self, due: &Semaphore) {
        for number in 0..self.count {
            std::thread::sleep(self.due(number).saturating_duration_since(Instant::now()));
            due.add_permits(1);
        }
        // Whoever waits then is told that there are no more.
        while due.available_permits() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        due.close();
    }
}

/// Takes the next transaction that is due, until all have been.
async fn insert(
    client: &Client,
    schedule: Schedule,
    due: &Semaphore,
    turns: &AtomicU64,
    ids: &AtomicU64,
) -> Result<Vec<Duration>> {
    let statement = client.prepare("INSERT INTO t VALUES ($1, $2)").await?;
    let mut times = Vec::new();
    while let Ok(permit) = due.acquire().await {
        permit.forget();
        let number = turns.fetch_add(1, Ordering::Relaxed);
        let id = ids.fetch_add(1, Ordering::Relaxed) as i64;
        client.execute(&statement, &[&id, &(id % 100)]).await?;
        times.push(schedule.due(number).elapsed());
    }
    Ok(times)
}
