//! A full disk refuses what does not fit with `53100`, loses nothing, and takes the next write when there is room. What
//! was computed from writes that were refused is refused too.
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
        "CREATE TABLE unkeyed (id bigint)",
        "INSERT INTO unkeyed VALUES (1), (2)",
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
    // Now there is none for small writes either.
    std::fs::write(disk.0.join("more"), vec![1; 1 << 20]).expect("what is kept free is there");
    let refused = client
        .batch_execute("CREATE TABLE u (id bigint)")
        .await
        .expect_err("no room");
    assert_eq!(refused.code(), Some(&SqlState::DISK_FULL), "{refused}");
    let refused = client
        .batch_execute("ALTER TABLE unkeyed ADD PRIMARY KEY (id)")
        .await
        .expect_err("no room");
    assert_eq!(refused.code(), Some(&SqlState::DISK_FULL), "{refused}");
    assert_eq!(count(&client, "SELECT count(*) FROM unkeyed").await, 2);
    // What was refused has left no trace, and reads go on.
    assert_eq!(count(&client, "SELECT count(*) FROM t").await, rows);
    assert_eq!(count(&client, "SELECT n FROM v").await, rows);

    std::fs::remove_file(&ballast).expect("our own file");
    std::fs::remove_file(disk.0.join("more")).expect("our own file");
    client
        .execute("INSERT INTO t VALUES ($1, $2)", &[&rows, &filler])
        .await
        .expect("there is room again");
    rows += 1;
    client
        .batch_execute("INSERT INTO unkeyed VALUES (2), (3)")
        .await
        .expect("it has no key");
    assert_eq!(count(&client, "SELECT n FROM v").await, rows);
    drop(client);
    drop(server);

    let server = Serving::start(&disk.0.join("data"));
    let client = server.connect().await;
    assert_eq!(count(&client, "SELECT count(*) FROM t").await, rows);
    assert_eq!(count(&client, "SELECT n FROM v").await, rows);
    assert_eq!(count(&client, "SELECT count(*) FROM unkeyed").await, 4);
}

/// The lock goes when an update has its place in the order, and the next one reads what it wrote before that is
/// durable: if it never is, the next one has read what has never been.
#[tokio::test(flavor = "multi_thread")]
async fn updates_that_build_on_refused_ones_are_refused() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        eprintln!("SKIPPED: a small file system may not be mounted here, so no disk can be filled");
        return;
    };
    let server = Serving::start(&disk.0.join("data"));
    let client = server.connect().await;
    client
        .batch_execute("CREATE TABLE t (k bigint PRIMARY KEY, v bigint); INSERT INTO t VALUES (1, 0), (2, 0)")
        .await
        .expect("there is room");
    // Less is left than the server wants to have, and more than it needs.
    let ballast = disk.0.join("ballast");
    let mut file = std::fs::File::create(&ballast).expect("there is room");
    let mut length = 0;
    while std::io::Write::write_all(&mut file, &[1; 1 << 20]).is_ok() {
        length += 1 << 20;
    }
    file.set_len(length - (8 << 20)).expect("shorter than it was");
    drop(file);
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let client = server.connect().await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..30 {
                let update = "UPDATE t SET v = v + 1 WHERE k = 1";
                let refused = client.execute(update, &[]).await.expect_err("there is no room");
                let code = refused.code().expect("the server's error");
                assert!(
                    [SqlState::DISK_FULL, SqlState::T_R_SERIALIZATION_FAILURE].contains(code),
                    "{refused:?}"
                );
            }
        }));
    }
    for task in tasks {
        task.await.expect("every update is refused with a reason");
    }
    std::fs::remove_file(&ballast).expect("our own file");
    assert_eq!(count(&client, "SELECT count(*) FROM t WHERE v = 0").await, 2);
    // What was taken back has not been a change.
    client
        .batch_execute(
            "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT * FROM t; UPDATE t SET v = 5 WHERE k = 2; COMMIT;
             UPDATE t SET v = v + 1 WHERE k = 1",
        )
        .await
        .expect("there is room again");
    assert_eq!(count(&client, "SELECT sum(v)::bigint FROM t").await, 6);
    assert_eq!(client.execute("DELETE FROM t WHERE k = 1", &[]).await.ok(), Some(1));
    drop(client);
    drop(server);

    let server = Serving::start(&disk.0.join("data"));
    let client = server.connect().await;
    assert_eq!(count(&client, "SELECT count(*) FROM t").await, 1);
}
