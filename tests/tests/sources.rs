//! Sources over a whole server: what their views hold does not depend on when a view was made, and what goes wrong
//! with a source can be seen.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use highwater_server::pg::Users;
use highwater_tests::{TestServer, run};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;
use tokio_postgres::Client;

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Asks until the answer is this.
async fn wait_for(client: &Client, sql: &str, expected: &[&str]) {
    let start = Instant::now();
    loop {
        let answer = run(client, sql).await;
        if answer == expected {
            return;
        }
        assert!(start.elapsed() < LIMIT, "{sql}: {answer:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a statement that must succeed.
async fn execute(client: &Client, sql: &str) {
    client
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// What a statement is refused with: SQLSTATE, message, hint.
async fn refusal(client: &Client, sql: &str) -> String {
    let error = client.batch_execute(sql).await.expect_err(sql);
    let error = error.as_db_error().expect("an answer of the server");
    let hint = error.hint().map(|hint| format!(" | {hint}")).unwrap_or_default();
    format!("{} {}{hint}", error.code().code(), error.message())
}

struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().expect("there is room for a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("a file of our own");
        self.path(name).display().to_string()
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("a file of our own");
    file.write_all(text.as_bytes()).expect("appended");
}

/// Views over a source `s` that together see every row, in every way in which a view can depend on the past: as it is,
/// in windows that close, and joined with itself.
fn views(prefix: &str, columns: &str, time: &str, key: &str) -> [(String, String); 3] {
    [
        (format!("{prefix}_rows"), format!("SELECT {columns} FROM s")),
        (
            format!("{prefix}_windows"),
            format!(
                "SELECT window_start, count(*) AS n, count(DISTINCT {key}) AS keys \
                 FROM TUMBLE(s, {time}, INTERVAL '1 second') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE"
            ),
        ),
        (
            format!("{prefix}_counts"),
            format!("SELECT {key} AS k, count(*) AS n, max({time}) AS last FROM s GROUP BY {key}"),
        ),
    ]
}

/// Makes views early, more of them while the source runs, and more when it has ended; all must hold the same. Then
/// once more after a restart. Answers how many rows the source had, and how many of them came too late.
async fn views_agree(source: &str, columns: &str, time: &str, key: &str, workers: usize) -> (u64, u64) {
    let server = TestServer::start_with(Users::default(), workers).await;
    let client = server.connect().await;
    execute(&client, source).await;
    let make = async |prefix: &str| {
        for (name, query) in views(prefix, columns, time, key) {
            execute(&client, &format!("CREATE MATERIALIZED VIEW {name} AS {query}")).await;
        }
    };
    make("early").await;
    for number in 1..4 {
        let begun = format!(
            "SELECT rows >= {} OR state = 'done' FROM highwater.sources",
            number * 500
        );
        wait_for(&client, &begun, &["t"]).await;
        make(&format!("running{number}")).await;
    }
    wait_for(&client, "SELECT state FROM highwater.sources", &["done"]).await;
    make("ended").await;
    let prefixes = ["running1", "running2", "running3", "ended"];
    compare(&client, &prefixes, workers).await;
    let counts = run(&client, "SELECT rows, late_rows FROM highwater.sources")
        .await
        .join("");
    assert_eq!(
        run(&client, "SELECT count(*) FROM early_rows").await,
        run(&client, "SELECT rows FROM highwater.sources").await
    );
    drop(client);

    let server = server.restart(workers % 4 + 1).await;
    let client = server.connect().await;
    wait_for(&client, "SELECT state FROM highwater.sources", &["done"]).await;
    compare(&client, &prefixes, workers).await;
    drop(client);
    server.stop().await;
    let (rows, late) = counts.split_once('|').expect("two counts");
    (rows.parse().expect("a number"), late.parse().expect("a number"))
}

/// That the views of each of these names hold the same as the early ones.
async fn compare(client: &Client, prefixes: &[&str], workers: usize) {
    for view in ["rows", "windows", "counts"] {
        let all = async |prefix: &str| {
            let mut rows = run(client, &format!("SELECT * FROM {prefix}_{view}")).await;
            rows.sort_unstable();
            rows
        };
        let early = all("early").await;
        assert!(!early.is_empty(), "{view}: there is something to compare");
        for prefix in prefixes {
            let late = all(prefix).await;
            assert!(
                early == late,
                "{prefix}_{view} at {workers} workers: {} rows, {} in the early one",
                late.len(),
                early.len()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_nexmark_made_late_holds_what_one_made_early_does() {
    for workers in [1, 2, 4] {
        let source = "CREATE SOURCE s (WATERMARK FOR date_time AS date_time - INTERVAL '1 second') INCLUDE OFFSET AS o \
                      WITH (connector = 'nexmark', table = 'bid', count = '8000', rate = '8000', seed = '3')";
        let (rows, late) = views_agree(source, "o, auction, price", "date_time", "bidder", workers).await;
        assert_eq!((rows, late), (7_360, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_datagen_made_late_leaves_out_the_rows_that_came_too_late() {
    for workers in [1, 2, 4] {
        let source = "CREATE SOURCE s (id BIGINT, k INT, ts TIMESTAMP, \
                      WATERMARK FOR ts AS ts - INTERVAL '200 milliseconds') INCLUDE PARTITION AS p \
                      WITH (connector = 'datagen', rows = '6000', rows_per_second = '6000', partitions = '3', \
                      fields.id.kind = 'sequence', fields.k.max = '9', fields.ts.max_past = '400 milliseconds')";
        let (rows, late) = views_agree(source, "id, k, p", "ts", "k", workers).await;
        assert_eq!(rows + late, 6_000);
        assert!(late > 0, "the watermark is close enough for some to be late");
    }
}

/// The same rows as the other files have, in several row groups.
fn parquet_file(path: &Path, rows: &[u32]) {
    const NEW_YEAR_US: i64 = 1_704_067_200_000_000;
    let ids = Int64Array::from_iter_values(rows.iter().map(|row| i64::from(*row)));
    let keys = Int32Array::from_iter_values(rows.iter().map(|row| (row % 7) as i32));
    let times = rows.iter().map(|row| NEW_YEAR_US + i64::from(row / 10) * 1_000_000);
    let times = TimestampMicrosecondArray::from_iter_values(times);
    let columns: [(&str, ArrayRef); 3] = [("id", Arc::new(ids)), ("k", Arc::new(keys)), ("ts", Arc::new(times))];
    let batch = RecordBatch::try_from_iter(columns).expect("three columns");
    let groups = WriterProperties::builder()
        .set_max_row_group_row_count(Some(400))
        .build();
    let file = fs::File::create(path).expect("a file of our own");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(groups)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_files_made_late_holds_what_one_made_early_does() {
    let files = Files::new();
    let at = |row: u32| format!("2024-01-01 00:{:02}:{:02}", row / 600, row / 10 % 60);
    for file in 0..3 {
        let rows = (file * 1500..(file + 1) * 1500).collect::<Vec<u32>>();
        let csv: String = rows
            .iter()
            .map(|row| match row % 1000 {
                7 => "not a number,x,y\n".to_string(),
                _ => format!("{row},{},\"{}\"\n", row % 7, at(*row)),
            })
            .collect();
        files.write(&format!("{file}.csv"), &csv);
        let json: String = rows
            .iter()
            .map(|row| format!("{{\"ts\": \"{}\", \"id\": {row}, \"k\": {}}}\n", at(*row), row % 7))
            .collect();
        files.write(&format!("{file}.json"), &json);
        parquet_file(&files.path(&format!("{file}.parquet")), &rows);
    }
    for workers in [1, 2, 4] {
        for (pattern, expected) in [("*.csv", 4_495), ("*.json", 4_500), ("*.parquet", 4_500)] {
            let source = format!(
                "CREATE SOURCE s (id BIGINT, k INT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '1 second') \
                 INCLUDE PARTITION AS p INCLUDE OFFSET AS o WITH (connector = 'file', path = '{}')",
                files.path(pattern).display()
            );
            let (rows, late) = views_agree(&source, "id, k, p, o", "ts", "k", workers).await;
            assert_eq!(
                (rows, late),
                (expected, 0),
                "{pattern}: every file holds the watermark back until it is read"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_a_followed_folder_made_late_holds_what_one_made_early_does() {
    let files = Files::new();
    files.write("a.csv", "");
    let server = TestServer::start_with(Users::default(), 2).await;
    let client = server.connect().await;
    let source = format!(
        "CREATE SOURCE s (id BIGINT, t TEXT) INCLUDE PARTITION AS p INCLUDE OFFSET AS o \
         WITH (connector = 'file', path = '{}', follow = true)",
        files.path("*.csv").display()
    );
    execute(&client, &source).await;
    execute(&client, "CREATE MATERIALIZED VIEW early AS SELECT * FROM s").await;
    for round in 0..8 {
        for row in 0..50 {
            // A quoted line break, and lines that come in two parts.
            files.append("a.csv", &format!("{},\"a\n", round * 100 + row));
            files.append("a.csv", "b\"\n");
        }
        files.append(&format!("{}.csv", round / 3), &format!("{},new\n", round * 100 + 50));
        execute(
            &client,
            &format!("CREATE MATERIALIZED VIEW late{round} AS SELECT * FROM s"),
        )
        .await;
    }
    wait_for(&client, "SELECT count(*), count(DISTINCT p) FROM early", &["408|4"]).await;
    for round in 0..8 {
        let differs = format!(
            "SELECT count(*) FROM early FULL JOIN late{round} AS l ON early.p = l.p AND early.o = l.o \
             WHERE early.id IS DISTINCT FROM l.id OR early.t IS DISTINCT FROM l.t"
        );
        wait_for(&client, &differs, &["0"]).await;
    }
    drop(client);
    let server = server.restart(1).await;
    let client = server.connect().await;
    wait_for(&client, "SELECT count(*), count(DISTINCT p) FROM early", &["408|4"]).await;
    wait_for(&client, "SELECT count(*), sum(id) FROM late7", &["408|153000"]).await;
    files.append("a.csv", "1,more\n");
    wait_for(&client, "SELECT count(*) FROM late0", &["409"]).await;
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_read_are_kept_with_their_place_and_reason() {
    let files = Files::new();
    let path = files.write("a.csv", "1,10\nx,20\n3\n4,0\n5,\n6,60\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        &format!(
            "CREATE SOURCE s (id BIGINT, d BIGINT NOT NULL, share BIGINT AS (60 / d)) \
             WITH (connector = 'file', path = '{path}')"
        ),
    )
    .await;
    execute(&client, "CREATE MATERIALIZED VIEW v AS SELECT id, share FROM s").await;
    wait_for(&client, "SELECT state FROM highwater.sources", &["done"]).await;
    assert_eq!(run(&client, "SELECT * FROM v ORDER BY id").await, ["1|6", "6|1"]);
    assert_eq!(
        run(
            &client,
            "SELECT source, \"offset\", error, payload FROM highwater.dead_letters ORDER BY \"offset\""
        )
        .await,
        [
            "s|5|invalid input syntax for type bigint: \"x\"|x,20",
            "s|10|the record has 1 values, not 2|3",
            "s|12|division by zero|{\"id\":4,\"d\":0}",
            "s|16|null value in column \"d\" violates not-null constraint|{\"id\":5,\"d\":null}",
        ]
    );
    assert_eq!(
        run(
            &client,
            "SELECT name, state, rows, dead_letters, late_rows, error FROM highwater.sources"
        )
        .await,
        ["s|done|2|4|0|null"]
    );
    // A view made later does not count them again.
    execute(&client, "CREATE MATERIALIZED VIEW w AS SELECT id, share FROM s").await;
    assert_eq!(run(&client, "SELECT * FROM w ORDER BY id").await, ["1|6", "6|1"]);
    assert_eq!(run(&client, "SELECT dead_letters FROM highwater.sources").await, ["4"]);
    execute(&client, "DROP SOURCE s CASCADE").await;
    assert_eq!(run(&client, "SELECT count(*) FROM highwater.dead_letters").await, ["0"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_are_counted_and_kept_as_documents() {
    let files = Files::new();
    let path = files.write("a.jsonl", "{\"id\": 1, \"n\": 1.50, \"ts\": \"2024-01-01 00:01:00\"}\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        &format!(
            "CREATE SOURCE s (id BIGINT, n NUMERIC(6,2), ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '10 seconds') \
             WITH (connector = 'file', path = '{path}', follow = true)"
        ),
    )
    .await;
    execute(&client, "CREATE MATERIALIZED VIEW v AS SELECT id FROM s").await;
    wait_for(
        &client,
        "SELECT watermark FROM highwater.watermarks",
        &["2024-01-01 00:00:50+00"],
    )
    .await;
    files.append(
        "a.jsonl",
        "{\"id\": 2, \"ts\": \"2024-01-01 00:00:49.999\"}\n{\"id\": 3, \"ts\": \"2024-01-01 00:00:50\"}\n{\"id\": 4}\n",
    );
    wait_for(&client, "SELECT rows, late_rows FROM highwater.sources", &["3|1"]).await;
    assert_eq!(run(&client, "SELECT id FROM v ORDER BY id").await, ["1", "3", "4"]);
    assert_eq!(
        run(
            &client,
            "SELECT source, row, event_time, watermark, row->>'id' FROM highwater.late_rows"
        )
        .await,
        [
            "s|{\"n\": null, \"id\": 2, \"ts\": \"2024-01-01T00:00:49.999\"}|2024-01-01 00:00:49.999+00|\
          2024-01-01 00:00:50+00|2"
        ]
    );
    // The same of a table that rows are inserted into.
    execute(
        &client,
        "CREATE TABLE t (id INT, ts TIMESTAMP, WATERMARK FOR ts AS ts) APPEND ONLY",
    )
    .await;
    execute(&client, "INSERT INTO t VALUES (1, '2024-01-01')").await;
    execute(&client, "INSERT INTO t VALUES (2, '2023-01-01')").await;
    assert_eq!(run(&client, "SELECT id FROM t").await, ["1"]);
    assert_eq!(
        run(
            &client,
            "SELECT row->>'id', watermark FROM highwater.late_rows WHERE source = 't'"
        )
        .await,
        ["2|2024-01-01 00:00:00+00"]
    );
    assert_eq!(
        run(
            &client,
            "SELECT source, watermark FROM highwater.watermarks ORDER BY source"
        )
        .await,
        ["s|2024-01-01 00:00:50+00", "t|2024-01-01 00:00:00+00"]
    );
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_has_ended_closes_all_windows() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        "CREATE SOURCE bid (WATERMARK FOR date_time AS date_time - INTERVAL '1 hour') \
         WITH (connector = 'nexmark', count = '1000')",
    )
    .await;
    execute(
        &client,
        "CREATE MATERIALIZED VIEW v AS SELECT window_end, count(*) AS n \
         FROM TUMBLE(bid, date_time, INTERVAL '1 minute') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE",
    )
    .await;
    wait_for(&client, "SELECT state FROM highwater.sources", &["done"]).await;
    assert_eq!(run(&client, "SELECT * FROM v").await, ["2015-07-15 00:01:00|920"]);
    assert_eq!(
        run(&client, "SELECT watermark, lag_ms FROM highwater.watermarks").await,
        ["infinity|null"]
    );
    assert_eq!(
        run(
            &client,
            "SELECT partition, position, \"end\", lag FROM highwater.source_lag"
        )
        .await,
        ["0|1000|1000|0"]
    );
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_partition_does_not_hold_the_watermark_back_for_longer_than_declared() {
    let files = Files::new();
    files.write("busy.csv", "1,2024-01-01 00:01:00\n");
    files.write("quiet.csv", "2,2024-01-01 00:00:00\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    for (name, timeout) in [("patient", ""), ("hasty", "IDLE TIMEOUT INTERVAL '300 milliseconds'")] {
        execute(
            &client,
            &format!(
                "CREATE SOURCE {name} (id BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts {timeout}) \
                 WITH (connector = 'file', path = '{}', follow = true)",
                files.path("*.csv").display()
            ),
        )
        .await;
        execute(
            &client,
            &format!("CREATE MATERIALIZED VIEW of_{name} AS SELECT id FROM {name}"),
        )
        .await;
    }
    let watermark = |name: &str| format!("SELECT watermark FROM highwater.watermarks WHERE source = '{name}'");
    wait_for(&client, &watermark("patient"), &["2024-01-01 00:00:00+00"]).await;
    // The busy file goes on, the quiet one does not.
    let start = Instant::now();
    let past = "SELECT watermark >= '2024-01-01 00:01:00+00' FROM highwater.watermarks WHERE source = 'hasty'";
    let mut second = 0;
    while run(&client, past).await != ["t"] {
        second = (second + 1).min(59);
        files.append("busy.csv", &format!("3,2024-01-01 00:01:{second:02}\n"));
        assert!(start.elapsed() < LIMIT, "the watermark stands");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(run(&client, &watermark("patient")).await, ["2024-01-01 00:00:00+00"]);
    // When all are idle, it goes with the clock from where it stood.
    let stood = run(&client, &watermark("hasty")).await.join("");
    let beyond = format!(
        "SELECT watermark > TIMESTAMPTZ '{stood}' + INTERVAL '1 second' FROM highwater.watermarks \
         WHERE source = 'hasty'"
    );
    wait_for(&client, &beyond, &["t"]).await;
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_says_so_and_goes_on_when_it_can() {
    let files = Files::new();
    let path = files.write("a.csv", "id\n1\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    let source = format!(
        "CREATE SOURCE s (id BIGINT) WITH (connector = 'file', path = '{}', header = true, follow = true)",
        files.path("*.csv").display()
    );
    execute(&client, &source).await;
    execute(&client, "CREATE MATERIALIZED VIEW v AS SELECT id FROM s").await;
    wait_for(&client, "SELECT id FROM v", &["1"]).await;
    let state = "SELECT state, error FROM highwater.sources";
    assert_eq!(run(&client, state).await, ["running|null"]);
    // A second file with another header: it fails for good, and the first goes on.
    files.write("b.csv", "nr\n2\n");
    let missing = format!("failed|\"{}\" has no column \"id\"", files.path("b.csv").display());
    wait_for(&client, state, &[&missing]).await;
    files.append("a.csv", "3\n");
    wait_for(&client, "SELECT id FROM v ORDER BY id", &["1", "3"]).await;
    // The file is moved away and comes back: tried again until it is there.
    fs::remove_file(files.path("b.csv")).expect("ours");
    drop(client);
    let server = server.restart(1).await;
    let client = server.connect().await;
    wait_for(&client, state, &["running|null"]).await;
    fs::rename(&path, files.path("a.moved")).expect("ours");
    let gone = format!("retrying|cannot read \"{path}\": No such file or directory (os error 2)");
    wait_for(&client, state, &[&gone]).await;
    fs::rename(files.path("a.moved"), &path).expect("ours");
    wait_for(&client, state, &["running|null"]).await;
    files.append("a.csv", "4\n");
    wait_for(&client, "SELECT id FROM v ORDER BY id", &["1", "3", "4"]).await;
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_without_the_files_of_its_sources() {
    let files = Files::new();
    let path = files.write("a.csv", "1\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        &format!("CREATE SOURCE s (id BIGINT) WITH (connector = 'file', path = '{path}')"),
    )
    .await;
    execute(&client, "CREATE MATERIALIZED VIEW v AS SELECT id FROM s").await;
    execute(&client, "CREATE TABLE t (id INT); INSERT INTO t VALUES (7)").await;
    wait_for(&client, "SELECT id FROM v", &["1"]).await;
    drop(client);
    fs::rename(&path, files.path("elsewhere")).expect("ours");
    let server = server.restart(2).await;
    let client = server.connect().await;
    assert_eq!(run(&client, "SELECT id FROM t").await, ["7"]);
    let gone = format!("retrying|no file matches \"{path}\"");
    wait_for(&client, "SELECT state, error FROM highwater.sources", &[&gone]).await;
    assert_eq!(run(&client, "SELECT id FROM v").await, Vec::<String>::new());
    fs::rename(files.path("elsewhere"), &path).expect("ours");
    wait_for(&client, "SELECT state, error FROM highwater.sources", &["done|null"]).await;
    assert_eq!(run(&client, "SELECT id FROM v").await, ["1"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_rests_while_no_view_reads_it() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        "CREATE SOURCE auction WITH (connector = 'nexmark', count = '500')",
    )
    .await;
    let state = "SELECT state, rows FROM highwater.sources";
    assert_eq!(run(&client, state).await, ["unread|0"]);
    execute(
        &client,
        "CREATE MATERIALIZED VIEW v AS SELECT id, category FROM auction",
    )
    .await;
    wait_for(&client, state, &["done|30"]).await;
    execute(&client, "DROP MATERIALIZED VIEW v").await;
    wait_for(&client, state, &["unread|0"]).await;
    execute(
        &client,
        "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM auction",
    )
    .await;
    wait_for(&client, state, &["done|30"]).await;
    assert_eq!(run(&client, "SELECT n FROM v").await, ["30"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn declarations_are_checked_when_the_source_is_made() {
    let files = Files::new();
    let path = files.write("a.csv", "id,nmae\n1,x\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    let refused = [
        (
            "CREATE SOURCE s WITH (connector = 'nexmrak')".to_string(),
            "22023 unknown connector \"nexmrak\" | Did you mean \"nexmark\"?".to_string(),
        ),
        (
            "CREATE SOURCE s WITH (connector = 'nexmark')".to_string(),
            "22023 connector nexmark needs option \"table\" | \
             Write table = 'person', 'auction' or 'bid', or call the source so."
                .to_string(),
        ),
        (
            "CREATE SOURCE bid WITH (connector = 'nexmark', raet = 5)".to_string(),
            "22023 connector nexmark has no option \"raet\" | Did you mean \"rate\"?".to_string(),
        ),
        (
            "CREATE SOURCE bid (price BIGINT, prcie BIGINT) WITH (connector = 'nexmark')".to_string(),
            "42703 connector nexmark has no column \"prcie\" in table bid | Did you mean \"price\"?".to_string(),
        ),
        (
            format!("CREATE SOURCE s (id INT, name TEXT) WITH (connector = 'file', path = '{path}', header = yes)"),
            format!("42703 \"{path}\" has no column \"name\" | Did you mean \"nmae\"?"),
        ),
        (
            "CREATE SOURCE s (id INT) WITH (connector = 'file', path = '/nowhere/*.csv')".to_string(),
            "58P01 no file matches \"/nowhere/*.csv\" | \
             Paths are those of the server's machine, relative to its working folder."
                .to_string(),
        ),
        (
            format!("CREATE SOURCE s (id INT) WITH (connector = 'file', path = '{path}') FORMAT PLAIN ENCODE AVRO"),
            "0A000 connector file does not read FORMAT PLAIN ENCODE AVRO | It reads ENCODE CSV, JSON and PARQUET."
                .to_string(),
        ),
    ];
    for (statement, expected) in refused {
        assert_eq!(refusal(&client, &statement).await, expected, "{statement}");
    }
    assert_eq!(run(&client, "SELECT count(*) FROM highwater.sources").await, ["0"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_a_list_of_columns_has_those_of_its_connector() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        "CREATE SOURCE person WITH (connector = 'nexmark', count = '50')",
    )
    .await;
    execute(
        &client,
        "CREATE SOURCE bid (day DATE AS (date_time::date), WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds') \
         WITH (connector = 'nexmark', count = '50')",
    )
    .await;
    let columns = "SELECT table_name, string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) \
                   FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1 ORDER BY 1";
    assert_eq!(
        run(&client, columns).await,
        [
            "bid|auction bigint, bidder bigint, price bigint, channel text, url text, \
             date_time timestamp without time zone, extra text, day date",
            "person|id bigint, name text, email_address text, credit_card text, city text, state text, \
             date_time timestamp without time zone, extra text",
        ]
    );
    execute(
        &client,
        "CREATE MATERIALIZED VIEW v AS SELECT min(day), count(*) FROM bid",
    )
    .await;
    wait_for(&client, "SELECT * FROM v", &["2015-07-15|46"]).await;
    drop(client);
    server.stop().await;
}
