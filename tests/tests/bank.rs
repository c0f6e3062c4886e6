//! Money is neither made nor lost: sessions move random amounts between accounts while readers add everything up,
//! from the table, from a view of totals and from a join of two views, in one statement and in several of one block.
//! Every single read must give the same total.
//!
//! `HIGHWATER_BANK_SECONDS` says how long it runs (5 unless told otherwise).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use highwater_tests::TestServer;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

const ACCOUNTS: i64 = 1000;
const BALANCE: i64 = 100;
const WRITERS: u64 = 8;
const READERS: usize = 4;

const SCHEMA: &str = "
    CREATE TABLE accounts (id bigint PRIMARY KEY, branch bigint NOT NULL, balance bigint NOT NULL);
    CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n, sum(balance) AS total FROM accounts;
    CREATE MATERIALIZED VIEW by_branch AS SELECT branch, sum(balance) AS total FROM accounts GROUP BY branch;
    CREATE MATERIALIZED VIEW sizes AS SELECT branch, count(*) AS n FROM accounts GROUP BY branch;
    CREATE MATERIALIZED VIEW branches AS
        SELECT b.branch, b.total, s.n FROM by_branch b JOIN sizes s ON b.branch = s.branch;
";
/// Everything in one statement.
const AT_ONCE: &str = "SELECT (SELECT sum(balance) FROM accounts)::text, (SELECT total FROM totals)::text,
    (SELECT sum(total) FROM branches)::text, (SELECT sum(n) FROM branches)::text";
/// The same, each on its own.
const APART: [&str; 4] = [
    "SELECT sum(balance)::text FROM accounts",
    "SELECT total::text FROM totals",
    "SELECT sum(total)::text FROM branches",
    "SELECT sum(n)::text FROM branches",
];

/// What all tasks count.
#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    transfers: AtomicU64,
    conflicts: AtomicU64,
    reads: AtomicU64,
    violations: AtomicU64,
}

impl Counts {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Notes one consistent look at everything, or one that is not.
    fn note(&self, values: &[String]) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let total = (ACCOUNTS * BALANCE).to_string();
        let right = [&total, &total, &total, &ACCOUNTS.to_string()];
        if values.iter().ne(right) {
            self.violations.fetch_add(1, Ordering::Relaxed);
            eprintln!("read {values:?}");
        }
    }
}

async fn values(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.expect("a read is never refused");
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.expect("an aggregate has a row");
    (0..row.len())
        .map(|c| row.get(c).unwrap_or("null").to_string())
        .collect()
}

/// One transfer; false when it met another one and was rolled back.
async fn transfer(client: &Client, random: &mut StdRng) -> Result<bool, tokio_postgres::Error> {
    let (from, to) = (random.random_range(0..ACCOUNTS), random.random_range(0..ACCOUNTS));
    let amount = random.random_range(1..50);
    let moves = match random.random_range(0..3) {
        // Both sides by one statement, by two, and as computed by the client from what it has read.
        0 => format!(
            "UPDATE accounts SET balance = balance + CASE WHEN id = {from} THEN -{amount} ELSE {amount} END
             WHERE id IN ({from}, {to}) AND {from} <> {to}"
        ),
        1 => format!(
            "BEGIN;
             UPDATE accounts SET balance = balance - {amount} WHERE id = {from};
             UPDATE accounts SET balance = balance + {amount} WHERE id = {to};
             COMMIT"
        ),
        _ => return transfer_by_value(client, from, to, amount).await,
    };
    settle(client, client.batch_execute(&moves).await).await
}

/// Reads both balances and writes what they should be: right only if nobody changes them in between.
async fn transfer_by_value(client: &Client, from: i64, to: i64, amount: i64) -> Result<bool, tokio_postgres::Error> {
    if from == to {
        return Ok(true);
    }
    let moved = async {
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        for (id, change) in [(from, -amount), (to, amount)] {
            let balance: i64 = client
                .query_one("SELECT balance FROM accounts WHERE id = $1", &[&id])
                .await?
                .get(0);
            let sql = "UPDATE accounts SET balance = $1 WHERE id = $2";
            client.execute(sql, &[&(balance + change), &id]).await?;
        }
        client.batch_execute("COMMIT").await
    };
    settle(client, moved.await).await
}

/// Rolls back what met another transaction.
async fn settle(client: &Client, outcome: Result<(), tokio_postgres::Error>) -> Result<bool, tokio_postgres::Error> {
    let Err(error) = outcome else { return Ok(true) };
    let met_another = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
    if !error.code().is_some_and(|code| met_another.contains(code)) {
        return Err(error);
    }
    client.batch_execute("ROLLBACK").await?;
    Ok(false)
}

async fn write(client: Client, seed: u64, counts: Arc<Counts>) {
    let mut random = StdRng::seed_from_u64(seed);
    while !counts.is_over() {
        let done = transfer(&client, &mut random)
            .await
            .expect("only conflicts are refused");
        let count = if done { &counts.transfers } else { &counts.conflicts };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn read(client: Client, counts: Arc<Counts>) {
    while !counts.is_over() {
        counts.note(&values(&client, AT_ONCE).await);
        client.batch_execute("BEGIN").await.expect("begins");
        let mut apart = Vec::new();
        for sql in APART {
            apart.extend(values(&client, sql).await);
        }
        client.batch_execute("COMMIT").await.expect("commits");
        counts.note(&apart);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_total_is_the_same_in_every_read() {
    let seconds = std::env::var("HIGHWATER_BANK_SECONDS").map_or(5, |s| s.parse().expect("a number of seconds"));
    let server = TestServer::start().await;
    let client = server.connect().await;
    client.batch_execute(SCHEMA).await.expect("creates");
    let fill = format!("INSERT INTO accounts SELECT g, g % 10, {BALANCE} FROM generate_series(0, {ACCOUNTS} - 1) g");
    client.batch_execute(&fill).await.expect("inserts");

    let counts = Arc::new(Counts::default());
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    for seed in 0..WRITERS {
        tasks.push(tokio::spawn(write(server.connect().await, seed, Arc::clone(&counts))));
    }
    for _ in 0..READERS {
        tasks.push(tokio::spawn(read(server.connect().await, Arc::clone(&counts))));
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    counts.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("no session is refused anything");
    }
    counts.note(&values(&client, AT_ONCE).await);
    let [transfers, conflicts, reads, violations] =
        [&counts.transfers, &counts.conflicts, &counts.reads, &counts.violations].map(|c| c.load(Ordering::Relaxed));
    println!("bank: {transfers} transfers, {conflicts} conflicts, {reads} reads, {violations} violations");
    assert_eq!(violations, 0);
    assert!(
        transfers > 0 && reads > 1,
        "{transfers} transfers and {reads} reads were made"
    );
    drop(client);
    server.stop().await;
}
