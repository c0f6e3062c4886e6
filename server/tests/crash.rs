//! kill -9 in the middle of transactions: what was acknowledged is there after the restart, nothing is there twice, a
//! transaction is there whole or not at all, every view equals its own query run at once, and DDL has happened or not.
//!
//! Runs the real binary, at another number of workers each time. `HIGHWATER_CRASH_ROUNDS` (3) says how often it is
//! killed, `HIGHWATER_CRASH_INSERTS` (1000) how many transactions each round is killed in the middle of.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const SESSIONS: i64 = 4;
/// A server that takes longer than this to start has failed.
const START_LIMIT: Duration = Duration::from_secs(60);

const SCHEMA: &str = "
    CREATE TABLE rows (id bigint NOT NULL, session bigint NOT NULL);
    CREATE TABLE pairs (id bigint PRIMARY KEY, other bigint NOT NULL);
    CREATE MATERIALIZED VIEW per_session AS SELECT session, count(*) AS n, sum(id) AS s FROM rows GROUP BY session;
    CREATE MATERIALIZED VIEW partners AS SELECT a.id, b.id AS partner FROM pairs a JOIN pairs b ON a.other = b.id;
";
/// Each view, and its query.
const VIEWS: [(&str, &str); 2] = [
    (
        "SELECT session, n, s FROM per_session ORDER BY session",
        "SELECT session, count(*), sum(id) FROM rows GROUP BY session ORDER BY session",
    ),
    (
        "SELECT id, partner FROM partners ORDER BY id, partner",
        "SELECT a.id, b.id FROM pairs a JOIN pairs b ON a.other = b.id ORDER BY a.id, b.id",
    ),
];

/// The binary, serving a folder.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(folder: &Path, workers: usize) -> Server {
        // The port is free a moment later: nobody else is given it meanwhile.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("some port is free")
            .port();
        let process = Command::new(env!("CARGO_BIN_EXE_highwater"))
            .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--workers", &workers.to_string()])
            .arg("--data-dir")
            .arg(folder)
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .spawn()
            .expect("the binary runs");
        Server { process, port }
    }

    /// A connection, once the server takes any.
    async fn connect(&mut self) -> Client {
        let config = format!("host=127.0.0.1 port={} user=highwater dbname=highwater", self.port);
        let started = Instant::now();
        loop {
            match tokio_postgres::connect(&config, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(error) => {
                    let ended = self.process.try_wait().expect("a child can be asked");
                    assert!(ended.is_none(), "the server has ended: {ended:?}");
                    assert!(started.elapsed() < START_LIMIT, "the server does not answer: {error}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    /// kill -9.
    fn kill(mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a killed child ends");
    }
}

/// What clients were told.
#[derive(Default)]
struct Told {
    /// Rows and pairs whose COMMIT was answered.
    rows: Vec<i64>,
    pairs: Vec<i64>,
    /// Tables that were made, and those that were dropped again.
    created: Vec<String>,
    dropped: Vec<String>,
}

type Ledger = Arc<Mutex<Told>>;

fn note(ledger: &Ledger, change: impl FnOnce(&mut Told)) -> usize {
    let mut told = ledger.lock().expect("nobody panics while holding the ledger");
    change(&mut told);
    told.rows.len() + told.pairs.len()
}

/// Inserts one row a transaction until the server is gone.
async fn insert_rows(
    client: Client,
    session: i64,
    first: i64,
    ledger: Ledger,
    progress: tokio::sync::watch::Sender<usize>,
) {
    let insert = client
        .prepare("INSERT INTO rows VALUES ($1, $2)")
        .await
        .expect("nobody has killed it yet");
    let mut id = first;
    while client.execute(&insert, &[&id, &session]).await.is_ok() {
        progress.send_replace(note(&ledger, |told| told.rows.push(id)));
        id += 1;
    }
}

/// Inserts two rows a transaction that name each other, until the server is gone.
async fn insert_pairs(client: Client, first: i64, ledger: Ledger, progress: tokio::sync::watch::Sender<usize>) {
    let mut id = first;
    loop {
        let other = id + 1;
        let sql = format!(
            "BEGIN; INSERT INTO pairs VALUES ({id}, {other}); INSERT INTO pairs VALUES ({other}, {id}); COMMIT"
        );
        if client.batch_execute(&sql).await.is_err() {
            return;
        }
        progress.send_replace(note(&ledger, |told| told.pairs.push(id)));
        id += 2;
    }
}

/// Makes tables with views and drops every second one, until the server is gone.
async fn define(client: Client, round: usize, ledger: Ledger) {
    for number in 0.. {
        let name = format!("made_{round}_{number}");
        let create = format!(
            "CREATE TABLE {name} (id bigint PRIMARY KEY);
             CREATE MATERIALIZED VIEW {name}_view AS SELECT count(*) AS n FROM {name};"
        );
        for statement in create.split_terminator(';') {
            if client.batch_execute(statement).await.is_err() {
                return;
            }
        }
        note(&ledger, |told| told.created.push(name.clone()));
        if number % 2 == 0 {
            continue;
        }
        // Whoever asks for it must expect either answer from here on.
        note(&ledger, |told| told.created.retain(|made| *made != name));
        for statement in [
            format!("DROP MATERIALIZED VIEW {name}_view"),
            format!("DROP TABLE {name}"),
        ] {
            if client.batch_execute(&statement).await.is_err() {
                return;
            }
        }
        note(&ledger, |told| told.dropped.push(name));
    }
}

async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.expect(sql);
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(
            (0..row.len())
                .map(|c| row.get(c).unwrap_or("null").to_string())
                .collect(),
        ),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

async fn numbers(client: &Client, sql: &str) -> Vec<i64> {
    let rows = rows(client, sql).await;
    rows.iter().map(|row| row[0].parse().expect("a number")).collect()
}

/// Checks everything after a restart; answers how many acknowledged transactions there are.
async fn check(client: &Client, ledger: &Ledger) -> usize {
    let ids = numbers(client, "SELECT id FROM rows ORDER BY id").await;
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "a row is there twice");
    let halves = "SELECT a.id FROM pairs a WHERE NOT EXISTS (SELECT 1 FROM pairs b WHERE b.id = a.other)";
    assert_eq!(numbers(client, halves).await, [0_i64; 0], "half a transaction is there");
    let pairs = numbers(client, "SELECT id FROM pairs ORDER BY id").await;
    for (view, query) in VIEWS {
        assert_eq!(rows(client, view).await, rows(client, query).await, "{view}");
    }
    let tables = rows(client, "SELECT relname FROM pg_class WHERE relname LIKE 'made%'").await;
    let exists = |name: &String| tables.iter().any(|row| row[0] == *name);
    let (acknowledged, created) = {
        let told = ledger.lock().expect("nobody panics while holding the ledger");
        let is_missing = |there: &[i64], id: &&i64| there.binary_search(id).is_err();
        let missing = told.rows.iter().filter(|id| is_missing(&ids, id)).count()
            + told.pairs.iter().filter(|id| is_missing(&pairs, id)).count();
        assert_eq!(missing, 0, "acknowledged rows are missing");
        for name in &told.created {
            assert!(exists(name) && exists(&format!("{name}_view")), "{name} is missing");
        }
        for name in &told.dropped {
            assert!(!exists(name) && !exists(&format!("{name}_view")), "{name} is back");
        }
        (told.rows.len() + told.pairs.len(), told.created.clone())
    };
    // What exists, also what was being made or dropped, works.
    for row in &tables {
        if !row[0].ends_with("_pkey") {
            rows(client, &format!("SELECT * FROM {}", row[0])).await;
        }
    }
    if let Some(name) = created.last() {
        let count = format!("SELECT n FROM {name}_view");
        let before = numbers(client, &count).await[0];
        let insert = format!("INSERT INTO {name} VALUES ({before})");
        client.batch_execute(&insert).await.expect("takes writes");
        assert_eq!(numbers(client, &count).await, [before + 1]);
    }
    acknowledged
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_has_lost_nothing_and_has_nothing_twice() {
    let rounds = setting("HIGHWATER_CRASH_ROUNDS", 3);
    let inserts = setting("HIGHWATER_CRASH_INSERTS", 1000);
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let ledger = Ledger::default();
    let mut server = Server::start(folder.path(), 1);
    let client = server.connect().await;
    client.batch_execute(SCHEMA).await.expect("creates");
    let mut checked = 0;
    for round in 0..rounds {
        let moment = checked + rand::rng().random_range(inserts / 10..inserts);
        let first = (round as i64 + 1) * 1_000_000_000;
        let (progress, mut reached) = tokio::sync::watch::channel(0);
        let mut tasks = Vec::new();
        for session in 0..SESSIONS {
            let client = server.connect().await;
            let from = first + session * 10_000_000;
            tasks.push(tokio::spawn(insert_rows(
                client,
                session,
                from,
                Arc::clone(&ledger),
                progress.clone(),
            )));
        }
        let client = server.connect().await;
        tasks.push(tokio::spawn(insert_pairs(
            client,
            first,
            Arc::clone(&ledger),
            progress.clone(),
        )));
        tasks.push(tokio::spawn(define(server.connect().await, round, Arc::clone(&ledger))));
        reached
            .wait_for(|count| *count >= moment)
            .await
            .expect("somebody inserts");
        server.kill();
        for task in tasks {
            task.await.expect("sessions end with the server");
        }
        let restarted = Instant::now();
        server = Server::start(folder.path(), 1 + (round + 1) % 3);
        let client = server.connect().await;
        let took = restarted.elapsed();
        checked = check(&client, &ledger).await;
        println!("crash {round}: {checked} acknowledged transactions, 0 missing; back after {took:.1?}");
    }
    server.kill();
}
