//! Clients that mean no good: garbage, statements as large or as deep as can be, results that nobody reads, crowds.
//! The server lives, its memory stays bounded, and another session is answered all the while.
//!
//! Each test has a server of its own; they take turns, because they look at the memory of the process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use highwater_tests::raw::{RawClient, RawMessage, error_field, message, startup_packet, text};
use highwater_tests::{TestServer, run};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;

/// What a session that is well-behaved may have to wait beside one that is not. A debug build on a busy machine is slow;
/// a server that does not give way takes as long as the statement beside it, which is far longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the process may grow by while a client does not read.
const MAX_GROWTH_MB: u64 = 200;

static TURN: Mutex<()> = Mutex::const_new(());

/// A server, and a session that asks it something over and over.
struct Besieged {
    server: TestServer,
    stop: Arc<AtomicBool>,
    witness: JoinHandle<(usize, Duration)>,
    before_mb: u64,
    _turn: MutexGuard<'static, ()>,
}

impl Besieged {
    async fn start() -> Besieged {
        let turn = TURN.lock().await;
        let server = TestServer::start().await;
        let client = server.connect().await;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let witness = tokio::spawn(async move {
            let (mut answers, mut longest) = (0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let asked = Instant::now();
                assert_eq!(run(&client, "select 1 + 1").await, ["2"]);
                longest = longest.max(asked.elapsed());
                answers += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            (answers, longest)
        });
        Besieged {
            server,
            stop,
            witness,
            before_mb: resident_mb(),
            _turn: turn,
        }
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How much the process has grown.
    fn growth_mb(&self) -> u64 {
        resident_mb().saturating_sub(self.before_mb)
    }

    /// Says how the other session was served, and stops the server.
    async fn lift(self, what: &str) {
        let fresh = self.server.connect().await;
        assert_eq!(run(&fresh, "select 'alive'").await, ["alive"]);
        self.stop.store(true, Ordering::Relaxed);
        let growth = self.growth_mb();
        let (answers, longest) = self.witness.await.expect("the other session is answered");
        println!(
            "{what}: {answers} answers to another session, the slowest after {} ms; {growth} MB more resident",
            longest.as_millis()
        );
        assert!(
            answers > 0 && longest < PATIENCE,
            "{what}: {answers} answers, {longest:?}"
        );
        self.server.stop().await;
    }
}

/// The memory of this process that is resident: the server's and the test's own.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells of processes");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("it has memory");
    let kilobytes = line.split_whitespace().nth(1).expect("a number");
    kilobytes.parse::<u64>().expect("a number") / 1024
}

/// The SQLSTATE of an answer's error, or its first row's first value, as far as it is short.
fn outcome(answer: &[RawMessage]) -> String {
    let failed = answer.iter().find(|(tag, _)| *tag == b'E');
    if let Some((_, body)) = failed {
        return error_field(body, b'C').unwrap_or_default();
    }
    match answer.iter().find(|(tag, _)| *tag == b'D') {
        Some((_, row)) => String::from_utf8_lossy(&row[6..row.len().min(40)]).into_owned(),
        None => "no rows".to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_port_harms_nobody() {
    let siege = Besieged::start().await;
    let mut rng = StdRng::seed_from_u64(10);
    let mut openings: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        [0x7f; 64].to_vec(),
        [0; 64].to_vec(),
        message(b'Q', &text("select 1")),
        startup_packet(196_608, &[("user", "")]),
        startup_packet(9 << 16, &[]),
        startup_packet(196_608, &[("options", "-c nothing -x"), ("client_encoding", "klingon")]),
    ];
    for _ in 0..200 {
        let length = rng.random_range(1..3000);
        openings.push((0..length).map(|_| rng.random::<u8>()).collect());
    }
    for bytes in &openings {
        let mut client = RawClient::open(siege.address()).await;
        client.send_bytes(bytes).await;
    }
    // A client that is in, and then talks nonsense.
    for _ in 0..50 {
        let mut client = RawClient::login(siege.address()).await;
        let length = rng.random_range(1..300);
        let bytes: Vec<u8> = (0..length).map(|_| rng.random::<u8>()).collect();
        client.send_bytes(&bytes).await;
    }
    siege.lift("garbage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stop_in_the_middle_of_a_message_are_waited_for_by_nobody() {
    let siege = Besieged::start().await;
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut client = RawClient::open(siege.address()).await;
        client.send_bytes(&[0, 0, 0, 80, 0, 3]).await;
        held.push(client);
    }
    for _ in 0..20 {
        let mut client = RawClient::login(siege.address()).await;
        // It announces a gigabyte and sends three bytes of it.
        client
            .send_bytes(&[b'Q', 0x3f, 0xff, 0xff, 0xff, b's', b'e', b'l'])
            .await;
        held.push(client);
    }
    let fresh = siege.server.connect().await;
    assert_eq!(run(&fresh, "select 1").await, ["1"]);
    assert!(siege.growth_mb() < MAX_GROWTH_MB, "{} MB", siege.growth_mb());
    siege.lift("half-open connections").await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_of_100_mb_is_answered_or_refused() {
    let siege = Besieged::start().await;
    let length = 100_000_000;
    for (what, opening, piece, closing, expected) in [
        ("one literal", "select length('", "abcdefghij", "')", "100000000"),
        ("a list of columns", "select 1", ", 1234567", "", "54000"),
        ("empty statements", "", ";;;;;;;;;;", "", "54000"),
        ("parentheses", "select ", "((((((((((", "", "54000"),
    ] {
        let mut client = RawClient::login(siege.address()).await;
        let pieces = length / piece.len();
        let body = opening.len() + pieces * piece.len() + closing.len() + 1;
        let mut head = vec![b'Q'];
        head.extend((body as i32 + 4).to_be_bytes());
        head.extend(opening.as_bytes());
        client.send_bytes(&head).await;
        let block = piece.repeat(10_000);
        for start in (0..pieces).step_by(10_000) {
            let count = (pieces - start).min(10_000);
            client.send_bytes(&block.as_bytes()[..count * piece.len()]).await;
        }
        client.send_bytes(&text(closing)).await;
        let answer = client.read_until(b"Z").await;
        assert_eq!(outcome(&answer), expected, "{what}");
    }
    siege.lift("statements of 100 MB").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_is_answered_or_refused_but_overflows_no_stack() {
    let siege = Besieged::start().await;
    let nested =
        |open: &str, close: &str, depth: usize| format!("select {}1{}", open.repeat(depth), close.repeat(depth));
    let chained = |link: &str, count: usize| format!("select 1{}", link.repeat(count));
    let deep = [
        (nested("(", ")", 150), "1"),
        (nested("(", ")", 100_000), "54001"),
        (nested("abs(", ")", 150), "1"),
        (nested("case when true then ", " end", 150), "1"),
        (nested("case when true then ", " end", 10_000), "54001"),
        (nested("- ", "", 200), "1"),
        (nested("- ", "", 100_000), "54001"),
        (format!("select {} true", "not ".repeat(100_000)), "54001"),
        (chained(" + 1", 300), "301"),
        (chained(" + 1", 100_000), "54001"),
        (chained("::int", 900), "1"),
        (format!("select 1 where {} true", "true and ".repeat(900)), "1"),
        (format!("select 1 where {} true", "1 = 2 or ".repeat(400)), "1"),
        (chained(" union all select 1", 100), "1"),
        (chained(" union all select 1", 50_000), "54001"),
        (
            format!("select '{}{}'::jsonb", "[".repeat(100_000), "]".repeat(100_000)),
            "54001",
        ),
        (format!("explain {} select 1", "explain ".repeat(5_000)), "42601"),
        (format!("select null::int{}", "[]".repeat(100_000)), "54001"),
    ];
    for (sql, expected) in deep {
        let mut client = RawClient::login(siege.address()).await;
        let answer = client.query(&sql).await;
        let shown: String = sql.chars().take(40).collect();
        assert_eq!(outcome(&answer), expected, "{shown}... of {} characters", sql.len());
    }
    siege.lift("depth").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_at_once_are_served() {
    let siege = Besieged::start().await;
    let crowd = (0..500).map(|number| {
        let config = siege.server.config();
        tokio::spawn(async move {
            let client = TestServer::open(&config).await.expect("there is room");
            let answer = run(&client, &format!("select {number} + 1")).await;
            assert_eq!(answer, [(number + 1).to_string()]);
            client
        })
    });
    let mut clients = Vec::new();
    for member in crowd.collect::<Vec<_>>() {
        clients.push(member.await.expect("is served"));
    }
    assert_eq!(clients.len(), 500);
    siege.lift("500 connections").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_nobody_reads_takes_no_memory() {
    let siege = Besieged::start().await;
    let rows = "select repeat('x', 1000), i from generate_series(1, 1000000000) t(i)";
    let mut lazy = Vec::new();
    for sql in [rows.to_string(), format!("copy ({rows}) to stdout")] {
        let mut client = RawClient::login(siege.address()).await;
        client.send(b'Q', &text(&sql)).await;
        // The first row shows that it runs; no more is read.
        client.read_until(b"Dd").await;
        lazy.push(client);
    }
    // One that asks and asks, and listens to none of the answers: the server stops reading, so sending does not end.
    let mut asking = RawClient::login(siege.address()).await;
    let questions = message(b'Q', &text("select repeat('x', 10000)")).repeat(1000);
    let sending = async {
        for _ in 0..1000 {
            asking.send_bytes(&questions).await;
        }
    };
    let sent = tokio::time::timeout(Duration::from_secs(2), sending).await;
    assert!(sent.is_err(), "all questions were taken, though no answer was");
    assert!(siege.growth_mb() < MAX_GROWTH_MB, "{} MB", siege.growth_mb());
    siege.lift("results that nobody reads").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_any_size_and_shape_are_answered_or_refused() {
    let siege = Besieged::start().await;
    let client = siege.server.connect().await;
    let large = "x".repeat(50_000_000);
    let row = client
        .query_one("select length($1)", &[&large])
        .await
        .expect("a long text");
    assert_eq!(row.get::<_, i32>(0), 50_000_000);
    drop(large);
    let int_array = |fields: &[i32]| fields.iter().flat_map(|f| f.to_be_bytes()).collect::<Vec<u8>>();
    let bad: [(&str, Vec<u8>); 9] = [
        ("numeric", [255, 255, 0, 0, 0, 0, 0, 0].to_vec()),
        ("numeric", [0, 1, 0x7f, 0xff, 0, 0, 0, 0, 0, 1].to_vec()),
        ("int[]", int_array(&[1_000_000, 0, 23])),
        ("int[]", int_array(&[1, 0, 23, i32::MAX, 1])),
        ("int[]", int_array(&[1, 0, 23, -1, 1])),
        ("jsonb", Vec::new()),
        ("jsonb", [&[1][..], "[".repeat(100_000).as_bytes()].concat()),
        ("interval", vec![0xff; 15]),
        ("text", vec![0xff, 0xfe]),
    ];
    for (sql_type, bytes) in bad {
        let mut raw = RawClient::login(siege.address()).await;
        raw.send(
            b'P',
            &[text(""), text(&format!("select $1::{sql_type}")), vec![0, 0]].concat(),
        )
        .await;
        let length = (bytes.len() as i32).to_be_bytes().to_vec();
        let bind = [text(""), text(""), vec![0, 1, 0, 1, 0, 1], length, bytes, vec![0, 0]].concat();
        raw.send(b'B', &bind).await;
        raw.send(b'E', &[text(""), vec![0; 4]].concat()).await;
        raw.send(b'S', &[]).await;
        let answer = raw.read_until(b"Z").await;
        let state = outcome(&answer);
        let user_error = ["22", "54", "0A", "08"].iter().any(|class| state.starts_with(class));
        assert!(user_error, "{sql_type}: {state}");
        assert_eq!(outcome(&raw.query("select 2").await), "2");
    }
    siege.lift("parameters").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_without_a_line_s_end_is_refused_and_one_that_is_dropped_leaves_no_row() {
    let siege = Besieged::start().await;
    let client = siege.server.connect().await;
    assert!(run(&client, "create table t (a text)").await.is_empty());
    let mut endless = RawClient::login(siege.address()).await;
    endless.send(b'Q', &text("copy t from stdin")).await;
    endless.read_until(b"G").await;
    let piece = message(b'd', &vec![b'x'; 1_000_000]);
    for _ in 0..300 {
        endless.send_bytes(&piece).await;
    }
    endless.send(b'c', &[]).await;
    assert_eq!(outcome(&endless.read_until(b"Z").await), "54000");
    let mut dropped = RawClient::login(siege.address()).await;
    dropped.send(b'Q', &text("copy t from stdin")).await;
    dropped.read_until(b"G").await;
    dropped.send(b'd', b"one\ntwo\nthr").await;
    drop(dropped);
    assert_eq!(run(&client, "select count(*) from t").await, ["0"]);
    siege.lift("COPY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_statements_are_stopped_by_cancel_and_by_time_while_others_go_on() {
    let siege = Besieged::start().await;
    let heavy = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b where a.a + b.b = 7";
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let client = siege.server.connect().await;
        tasks.push(tokio::spawn(async move {
            run(&client, "set statement_timeout = '500ms'").await;
            run(&client, heavy).await
        }));
    }
    for task in tasks {
        assert_eq!(task.await.expect("ends"), ["57014"]);
    }
    let client = siege.server.connect().await;
    let token = client.cancel_token();
    let running = tokio::spawn(async move { (run(&client, heavy).await, run(&client, "select 3").await) });
    // A cancel that comes before the statement finds nothing to stop, so it is sent until the statement has ended.
    while !running.is_finished() {
        let _ = token.cancel_query(tokio_postgres::NoTls).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (stopped, after) = running.await.expect("ends");
    assert_eq!(stopped, ["57014"]);
    // The last cancel may have come late.
    assert!(after == ["3"] || after == ["57014"], "{after:?}");
    siege.lift("long statements").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_division_by_zero_in_a_view_fails_its_readers_until_the_row_is_gone() {
    let siege = Besieged::start().await;
    let client = siege.server.connect().await;
    for sql in [
        "create table ratio (id int primary key, a int, b int)",
        "create materialized view v as select id, a / b as q from ratio",
        "insert into ratio values (1, 6, 3), (2, 1, 0)",
    ] {
        assert!(run(&client, sql).await.is_empty(), "{sql}");
    }
    assert_eq!(run(&client, "select q from v where id = 1").await, ["22012"]);
    assert_eq!(run(&client, "select count(*) from ratio").await, ["2"]);
    assert!(run(&client, "delete from ratio where id = 2").await.is_empty());
    assert_eq!(run(&client, "select q from v").await, ["2"]);
    siege.lift("a view with a fault").await;
}
