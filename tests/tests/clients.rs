//! Clients that are installed, not built: psql, pgbench, and psycopg; and COPY, held byte for byte against a PostgreSQL.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use futures::{SinkExt, TryStreamExt};
use highwater_tests::service::{has_program, has_python_module};
use highwater_tests::{Postgres, TestServer, run, workspace_root};
use tokio_postgres::Client;

/// A PostgreSQL client program, told where the server is.
fn client_program(name: &str, address: SocketAddr) -> Command {
    let mut command = Command::new(name);
    command
        .env("PGHOST", address.ip().to_string())
        .env("PGPORT", address.port().to_string())
        .env("PGUSER", "highwater")
        .env("PGDATABASE", "highwater")
        .env("PGTZ", "UTC");
    command
}

/// What a program has said, errors included.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What psql says when it is given this to read.
fn psql(address: SocketAddr, input: &str) -> String {
    let mut child = client_program("psql", address)
        .arg("-X")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql was found before");
    let mut stdin = child.stdin.take().expect("a pipe was asked for");
    stdin.write_all(input.as_bytes()).expect("psql reads");
    drop(stdin);
    said(&child.wait_with_output().expect("psql ends"))
}

/// What pgbench says; it must not say that something went wrong.
fn pgbench(address: SocketAddr, args: &[&str]) -> String {
    let output = client_program("pgbench", address)
        .args(args)
        .output()
        .expect("pgbench was found before");
    let said = said(&output);
    assert!(output.status.success() && !said.contains("ERROR"), "{args:?}: {said}");
    said
}

/// A line without its blanks but for one between two words.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

const RELATIONS: &str = "
    create table customers (id bigint primary key, name text not null, plan varchar(20) default 'free',
        balance numeric(12,2) not null default 0, created timestamptz default now(), tags text[]);
    create table orders (id int, customer bigint not null, amount double precision, at timestamp,
        primary key (id, customer));
    comment on table customers is 'who buys';
    comment on column customers.name is 'full name';
    create view rich as select id, name, balance from customers where balance > 100;
    create materialized view totals as
        select customer, sum(amount) as total, count(*) as n from orders group by customer;
    create index orders_at on orders (at);
    create index totals_n on totals (n);
    comment on view rich is 'rich ones';
    create schema sales;
    create table sales.items (\"Weird Name\" int, b boolean);
    create source ticks (v bigint) with (connector = 'datagen', rows.per.second = '1');
";

#[tokio::test(flavor = "multi_thread")]
async fn psql_shows_what_there_is() {
    if !has_program("psql") {
        return;
    }
    let server = TestServer::start().await;
    let made = psql(server.address(), RELATIONS);
    assert!(!made.contains("ERROR"), "{made}");
    let path = workspace_root().join("tests/tests/clients/psql.txt");
    let file = std::fs::read_to_string(path).expect("a text file");
    for step in file.split("\n\n").filter(|step| !step.starts_with('#')) {
        let (expected, input): (Vec<&str>, Vec<&str>) = step.lines().partition(|line| line.starts_with("> "));
        let output = psql(server.address(), &format!("{}\n", input.join("\n")));
        let mut lines = output.lines().map(words);
        for line in &expected {
            let wanted = words(&line[2..]);
            assert!(
                lines.any(|line| line.contains(&wanted)),
                "after {input:?} psql does not say {wanted:?}, or not in this place:\n{output}"
            );
        }
        let error_wanted = expected.iter().any(|line| line.contains("ERROR"));
        assert!(error_wanted || !output.contains("ERROR"), "{input:?}:\n{output}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_runs_in_every_mode() {
    if !has_program("pgbench") {
        return;
    }
    let server = TestServer::start().await;
    pgbench(server.address(), &["-i", "-q"]);
    for mode in ["simple", "extended", "prepared"] {
        for script in ["select-only", "tpcb-like"] {
            let said = pgbench(server.address(), &["-b", script, "-M", mode, "-c", "4", "-t", "5"]);
            assert!(said.contains("actually processed: 20/20"), "{mode}, {script}: {said}");
            assert!(said.contains("failed transactions: 0 "), "{mode}, {script}: {said}");
        }
    }
    // Money is neither made nor lost. pgbench empties the history before each run, so the last one's is there: four
    // clients with five transactions each.
    let client = server.connect().await;
    let totals = run(
        &client,
        "select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from pgbench_branches),
            (select sum(tbalance) from pgbench_tellers) = (select sum(bbalance) from pgbench_branches),
            (select count(*) from pgbench_history)",
    )
    .await;
    assert_eq!(totals, ["t|t|20"]);
    server.stop().await;
}

/// Runs a Python script of `tests/clients` beside the server, and holds it to say that all is well.
fn python(script: &str, address: SocketAddr) {
    let output = Command::new("python3")
        .arg(workspace_root().join("tests/tests/clients").join(script))
        .arg(address.ip().to_string())
        .arg(address.port().to_string())
        .output()
        .expect("Python was found before");
    let said = said(&output);
    assert!(output.status.success() && said.contains("all is well"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_finds_every_value_as_it_was() {
    if !has_python_module("psycopg") {
        return;
    }
    let server = TestServer::start().await;
    python("check.py", server.address());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_on_a_terminal_completes_cancels_and_watches() {
    if !has_program("psql") || !has_python_module("pty") {
        return;
    }
    let server = TestServer::start().await;
    let made = psql(server.address(), RELATIONS);
    assert!(!made.contains("ERROR"), "{made}");
    python("terminal.py", server.address());
    server.stop().await;
}

/// Types with values that lie at an edge.
const VALUES: &[(&str, &[&str])] = &[
    ("bool", &["true", "false"]),
    ("int2", &["-32768", "32767"]),
    ("int4", &["-2147483648", "2147483647"]),
    ("int8", &["-9223372036854775808", "9223372036854775807"]),
    (
        "float4",
        &["-0", "0.1", "1e10", "3.4e38", "1e-45", "NaN", "-Infinity", "16777216"],
    ),
    (
        "float8",
        &[
            "-0",
            "0.1",
            "1e15",
            "1e16",
            "1e-5",
            "1e300",
            "5e-324",
            "NaN",
            "Infinity",
            "0.30000000000000004",
        ],
    ),
    (
        "numeric",
        &[
            "0",
            "-1",
            "10000",
            "0.0001",
            "123456.789",
            "NaN",
            "99999999999999999999999999999999999999",
        ],
    ),
    ("numeric(10,2)", &["1", "1.005", "-0.1", "12345678.99", "NaN"]),
    (
        "text",
        &[
            "",
            "a",
            "h\u{e9}llo \u{2603}",
            "tab\tnl\ncr\rbs\\",
            "NULL",
            "\\N",
            "a,\"b\"",
            " x ",
        ],
    ),
    ("varchar(5)", &["", "ab"]),
    ("char(4)", &["", "ab", "abcd"]),
    ("bytea", &["", "\\xdeadbeef", "abc"]),
    (
        "date",
        &[
            "2024-02-29",
            "0001-01-01",
            "0044-03-15 BC",
            "infinity",
            "-infinity",
            "20000-01-01",
        ],
    ),
    ("time", &["00:00:00", "12:34:56.789", "23:59:59.999999", "24:00:00"]),
    (
        "timestamp",
        &[
            "2024-02-29 12:34:56.1",
            "infinity",
            "-infinity",
            "0044-03-15 12:00:00 BC",
        ],
    ),
    (
        "timestamptz",
        &["2024-02-29 12:34:56+00", "2024-07-01 00:00:00-07", "infinity"],
    ),
    (
        "interval",
        &[
            "1 year 2 mons 3 days 04:05:06.789",
            "-1 day",
            "0",
            "1 day -00:00:01",
            "-1 mon +2 days",
            "100 hours",
        ],
    ),
    ("json", &["{\"a\": 1}", "  [1,2 , 3]", "null"]),
    (
        "jsonb",
        &[
            "{\"b\":[1,2],\"a\":null}",
            "{}",
            "1.50",
            "{\"aa\":1,\"b\":2,\"a\":3,\"a\":4}",
        ],
    ),
    (
        "uuid",
        &[
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
        ],
    ),
    ("oid", &["0", "4294967295"]),
    ("name", &["", "nm"]),
    ("bool[]", &["{t,f,NULL}"]),
    ("int4[]", &["{}", "{1,-2,NULL}"]),
    ("float8[]", &["{1.5,NaN,1e300}"]),
    ("numeric[]", &["{1.5,NaN,0}"]),
    ("text[]", &["{a,\"b c\",NULL,\"null\",\"\",\"\\\"\",\"\\\\\",\"{\"}"]),
    ("varchar(3)[]", &["{abc,d}"]),
    ("char(3)[]", &["{ab,c}"]),
    ("bytea[]", &["{\"\\\\xde\",\"\"}"]),
    ("date[]", &["{2024-02-29,infinity}"]),
    ("timestamptz[]", &["{\"2024-02-29 12:34:56+00\"}"]),
    ("interval[]", &["{\"1 day\",02:03:04}"]),
    ("jsonb[]", &["{\"{\\\"a\\\": 1}\"}"]),
    ("uuid[]", &["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"]),
];

const FORMATS: &[&str] = &["text", "csv", "binary", "csv, header, delimiter ';', null 'none'"];

async fn copied_out(client: &Client, format: &str) -> Vec<u8> {
    let sql = format!("copy (select * from copied order by id) to stdout (format {format})");
    let out = client.copy_out(&sql).await.expect("a table");
    let pieces: Vec<bytes::Bytes> = out.try_collect().await.expect("rows");
    pieces.concat()
}

async fn copied_in(client: &Client, format: &str, bytes: Vec<u8>) {
    let sql = format!("copy copied from stdin (format {format})");
    let mut sink = std::pin::pin!(client.copy_in(&sql).await.expect("a table"));
    sink.send(bytes::Bytes::from(bytes)).await.expect("the server reads");
    sink.finish().await.expect("good rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_writes_and_reads_the_bytes_that_postgres_does() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let theirs = postgres.connect().await;
    let server = TestServer::start().await;
    let ours = server.connect().await;
    let mut different = Vec::new();
    for (sql_type, values) in VALUES {
        let rows: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(id, value)| format!("({id}, '{}')", value.replace('\'', "''")))
            .collect();
        for client in [&theirs, &ours] {
            for setting in ["set timezone = 'Asia/Kolkata'", "set intervalstyle = 'postgres'"] {
                client.batch_execute(setting).await.expect("a setting");
            }
            let sql = format!(
                "drop table if exists copied; create table copied (id int, v {sql_type}); \
                 insert into copied values {}, (1000, null)",
                rows.join(", ")
            );
            client.batch_execute(&sql).await.expect("values of the type");
        }
        for format in FORMATS {
            let expected = copied_out(&theirs, format).await;
            let found = copied_out(&ours, format).await;
            if found != expected {
                let (found, expected) = (found.escape_ascii(), expected.escape_ascii());
                different.push(format!("{sql_type} out as {format}\n  {found}\n  {expected}"));
                continue;
            }
            ours.batch_execute("delete from copied").await.expect("a table");
            copied_in(&ours, format, expected.clone()).await;
            if copied_out(&ours, format).await != expected {
                different.push(format!("{sql_type} in as {format}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    server.stop().await;
}
