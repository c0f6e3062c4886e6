//! A full disk refuses what does not fit with `53100`, loses nothing, and takes the next write when there is room.
//!
//! Needs to mount a small file system, and so root; without it there is nothing to test with.

mod process;

use std::path::{Path, PathBuf};
use std::process::Command;

use process::Serving;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// A small file system, unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where it may not be mounted.
    fn mount(at: &Path) -> Option<SmallDisk> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
            .arg(at)
            .output()
            .ok()?;
        mounted.status.success().then(|| SmallDisk(at.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server that has been killed may take a moment to let go.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn count(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.expect(sql).get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_until_there_is_room() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        eprintln!("SKIPPED: a small file system may not be mounted here, so no disk can be filled");
        return;
    };
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![1; 20 << 20]).expect("fits");
    let server = Serving::start(&disk.0.join("data"));
    let client = server.connect().await;
    for sql in [
        "CREATE TABLE t (id bigint PRIMARY KEY, filler text NOT NULL)",
        "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t",
    ] {
        client.batch_execute(sql).await.expect(sql);
    }
    let filler = "x".repeat(100_000);
    let mut rows = 0_i64;
    let refused = loop {
        match client.execute("INSERT INTO t VALUES ($1, $2)", &[&rows, &filler]).await {
            Ok(_) => rows += 1,
            Err(error) => break error,
        }
        assert!(rows < 1000, "64 MB hold less than that");
    };
    assert_eq!(refused.code(), Some(&SqlState::DISK_FULL), "{refused}");
    assert!(rows > 0);
    let refused = client
        .batch_execute("CREATE TABLE u (id bigint)")
        .await
        .expect_err("no room");
    assert_eq!(refused.code(), Some(&SqlState::DISK_FULL), "{refused}");
    // What was refused has left no trace, and reads go on.
    assert_eq!(count(&client, "SELECT count(*) FROM t").await, rows);
    assert_eq!(count(&client, "SELECT n FROM v").await, rows);

    std::fs::remove_file(&ballast).expect("our own file");
    client
        .execute("INSERT INTO t VALUES ($1, $2)", &[&rows, &filler])
        .await
        .expect("there is room again");
    rows += 1;
    assert_eq!(count(&client, "SELECT n FROM v").await, rows);
    drop(client);
    drop(server);

    let server = Serving::start(&disk.0.join("data"));
    let client = server.connect().await;
    assert_eq!(count(&client, "SELECT count(*) FROM t").await, rows);
    assert_eq!(count(&client, "SELECT n FROM v").await, rows);
}
