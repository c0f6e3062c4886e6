//! Sources over a whole server: what their views hold does not depend on when a view was made, and what goes wrong
//! with a source can be seen.

mod failures;
mod history;
mod time;

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
