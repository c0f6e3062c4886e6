//! The Nexmark views over a fixed stream hold exactly the rows that PostgreSQL answers over the same events: when the
//! stream has ended, after a restart at another number of workers, and in views that are made only then.
//!
//! The queries are those of `bench/nexmark/`; where they use words that PostgreSQL does not have (windows), or leave a
//! choice (ties), `bench/nexmark/postgres/` has PostgreSQL's spelling. How many events: `HIGHWATER_NEXMARK_EVENTS`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::SinkExt;
use highwater_connectors::{Offset, ReadStep, SourceColumn, SourceSpec, connect, default_columns};
use highwater_server::pg::Users;
use highwater_tests::{Postgres, TestServer, workspace_root};
use highwater_types::text::{TextSettings, TextWriter};
use tokio_postgres::Client;

use super::{Comparison, execute, rows};

const QUERIES: [&str; 23] = [
    "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9", "q10", "q11", "q12", "q13", "q14", "q15", "q16", "q17",
    "q18", "q19", "q20", "q21", "q22",
];
/// The table that q13 joins.
const SIDE_INPUT: &str = "CREATE TABLE side_input (key bigint PRIMARY KEY, value text NOT NULL); \
                          INSERT INTO side_input SELECT g, 'value ' || g FROM generate_series(0, 9999) AS g";
const TABLES: [&str; 3] = ["person", "auction", "bid"];
/// Events over all three tables unless the environment says otherwise.
const DEFAULT_EVENTS: u64 = 20_000;
/// Events per second of event time: so few that the stream has many windows.
const EVENT_RATE: &str = "1000";
/// How long the views may take to take the stream in.
const LIMIT: Duration = Duration::from_secs(900);

#[tokio::test(flavor = "multi_thread")]
async fn nexmark_views_hold_the_rows_that_postgresql_answers() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let events = std::env::var("HIGHWATER_NEXMARK_EVENTS").map_or(DEFAULT_EVENTS, |text| {
        text.parse().expect("HIGHWATER_NEXMARK_EVENTS is a number")
    });
    let reference = postgres.connect().await;
    load(&reference, events).await;
    execute(&reference, SIDE_INPUT).await;
    let mut expected = BTreeMap::new();
    for query in QUERIES {
        expected.insert(query, rows(&reference, &postgres_sql(query)).await);
    }
    drop(reference);
    drop(postgres);

    for workers in [1, 2] {
        let server = TestServer::start_with(Users::default(), workers).await;
        let client = server.connect().await;
        execute(&client, &sources(events)).await;
        execute(&client, SIDE_INPUT).await;
        for query in QUERIES {
            execute(&client, &format!("CREATE MATERIALIZED VIEW {query} AS {}", sql(query))).await;
        }
        compare(&client, &expected, "", &format!("{workers} workers")).await;
        drop(client);

        let workers = 3 - workers;
        let server = server.restart(workers).await;
        let client = server.connect().await;
        compare(&client, &expected, "", &format!("after a restart, {workers} workers")).await;
        for query in QUERIES {
            execute(
                &client,
                &format!("CREATE MATERIALIZED VIEW late_{query} AS {}", sql(query)),
            )
            .await;
        }
        compare(&client, &expected, "late_", &format!("made late, {workers} workers")).await;
        drop(client);
        server.stop().await;
    }
}

/// Waits until the sources have ended, and compares every view with the reference, row by row.
async fn compare(client: &Client, expected: &BTreeMap<&str, Vec<String>>, prefix: &str, when: &str) {
    wait_for_end(client).await;
    let mut comparison = Comparison::default();
    for query in QUERIES {
        let ours = rows(client, &format!("SELECT * FROM {prefix}{query}")).await;
        comparison.add(query, &ours, &expected[query]);
    }
    comparison.conclude(&format!("Nexmark against PostgreSQL, {when}"));
}

async fn wait_for_end(client: &Client) {
    let start = Instant::now();
    loop {
        let states = rows(client, "SELECT name, state, error FROM highwater.sources").await;
        if states.iter().all(|state| state.contains("|done|")) {
            return;
        }
        assert!(
            start.elapsed() < LIMIT && !states.iter().any(|state| state.contains("|failed|")),
            "the sources do not come to their end: {states:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn bench(file: &str) -> String {
    let path: PathBuf = workspace_root().join("bench/nexmark").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A query as Highwater takes it.
fn sql(query: &str) -> String {
    bench(&format!("{query}.sql"))
        .trim_end()
        .trim_end_matches(';')
        .to_string()
}

/// The same as PostgreSQL takes it.
fn postgres_sql(query: &str) -> String {
    let own = workspace_root().join(format!("bench/nexmark/postgres/{query}.sql"));
    std::fs::read_to_string(own).unwrap_or_else(|_| sql(query))
}

/// The three sources, which end after so many events.
fn sources(events: u64) -> String {
    let endless = "connector = 'nexmark'";
    bench("sources.sql").replace(
        endless,
        &format!("{endless}, count = '{events}', event_rate = '{EVENT_RATE}'"),
    )
}

/// Puts the events into tables of PostgreSQL. They come straight from the generator, not through a server of ours.
async fn load(client: &Client, events: u64) {
    for table in TABLES {
        let options = BTreeMap::from([
            ("table".to_string(), table.to_string()),
            ("count".to_string(), events.to_string()),
            ("event_rate".to_string(), EVENT_RATE.to_string()),
        ]);
        let columns = default_columns("nexmark", &options)
            .expect("sound options")
            .expect("Nexmark knows its columns");
        let list: Vec<String> = columns.iter().map(|(name, t)| format!("{name} {t}")).collect();
        execute(client, &format!("CREATE TABLE {table} ({})", list.join(", "))).await;
        let spec = SourceSpec {
            connector: "nexmark".to_string(),
            options,
            columns: columns
                .into_iter()
                .map(|(name, sql_type)| SourceColumn {
                    name,
                    sql_type,
                    include: None,
                })
                .collect(),
            ..SourceSpec::default()
        };
        let sink = client
            .copy_in(&format!("COPY {table} FROM STDIN"))
            .await
            .expect("a new table");
        let mut sink = std::pin::pin!(sink);
        let mut source = connect(&spec).expect("a sound declaration");
        for partition in source.partitions().expect("fixed") {
            let mut reader = source.open(&partition, Offset(0), None).expect("a partition");
            loop {
                match reader.read(8192).expect("rows") {
                    ReadStep::Rows(read) => sink.send(copy_text(&read.batch)).await.expect("rows that fit"),
                    ReadStep::Idle => {}
                    ReadStep::End => break,
                }
            }
        }
        sink.as_mut().finish().await.expect("rows that fit");
    }
    execute(
        client,
        "CREATE INDEX ON bid (auction); CREATE INDEX ON auction (id); ANALYZE",
    )
    .await;
}

/// Rows in COPY's text format. Nexmark's texts have nothing in them that must be escaped.
fn copy_text(batch: &RecordBatch) -> Bytes {
    let settings = TextSettings::default();
    let schema = batch.schema();
    let writers: Vec<TextWriter<'_>> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| TextWriter::try_new(field, column.as_ref(), &settings).expect("a type of ours"))
        .collect();
    let mut text = Vec::new();
    for row in 0..batch.num_rows() {
        for (column, writer) in writers.iter().enumerate() {
            if column > 0 {
                text.push(b'\t');
            }
            writer.write(row, &mut text);
        }
        text.push(b'\n');
    }
    assert!(!text.contains(&b'\\'), "nothing to escape");
    Bytes::from(text)
}
