//! `highwater serve` as a process: its options, what it says when it cannot start, and how it stops.

mod process;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use process::{Serving, binary, finish, run};

/// Asserts that the binary does not start: the exit code, and what the error and the hint must say.
fn refuses(args: &[&str], code: i32, error: &str, hint: &str) {
    let (found, stdout, stderr) = run(args);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(found, Some(code), "{stderr}");
    assert_eq!(stdout, "");
    assert!(lines[0].starts_with("error: ") && lines[0].contains(error), "{stderr}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("hint: ") && line.contains(hint)),
        "{stderr}"
    );
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain name")
}

#[test]
fn help_and_version_are_told() {
    let (code, help, _) = run(&["serve", "--help"]);
    assert_eq!(code, Some(0));
    for option in [
        "--config",
        "--data-dir",
        "--listen",
        "--workers",
        "HIGHWATER_LISTEN",
        "./highwater-data",
    ] {
        assert!(help.contains(option), "{option} is not in {help}");
    }
    let (code, version, _) = run(&["--version"]);
    assert_eq!(
        (code, version.trim()),
        (Some(0), concat!("highwater ", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn a_bad_option_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("highwater.toml");
    let (code, _, stderr) = run(&["serve", "--lisen", "127.0.0.1:1"]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("'--lisen'") && stderr.contains("'--listen'"),
        "{stderr}"
    );
    refuses(&["serve", "--workers", "0"], 2, "workers", "one worker on each core");
    refuses(
        &["serve", "--listen", "7432"],
        2,
        "\"7432\" is not an address",
        "127.0.0.1:7432",
    );
    refuses(
        &["serve", "--config", text(&file)],
        2,
        "highwater.toml",
        "a file that this user can read",
    );
    fs::write(&file, "data_dri = \"x\"").expect("a writable folder");
    refuses(&["serve", "--config", text(&file)], 2, "highwater.toml", "data_dir");
}

#[test]
fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an open socket").to_string();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let args = ["serve", "--listen", &address, "--data-dir", text(folder.path())];
    refuses(
        &args,
        1,
        &format!("cannot listen on {address}"),
        "choose another with --listen",
    );
    let port = address.rsplit(':').next().expect("a port");
    refuses(
        &["demo", "--port", port],
        1,
        &format!("cannot listen on {address}"),
        "Stop the server",
    );
}

#[test]
fn a_folder_in_use_is_told_with_its_process() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = Serving::start(folder.path());
    refuses(
        &["serve", "--listen", "127.0.0.1:0", "--data-dir", text(folder.path())],
        1,
        "is in use by another process",
        "--data-dir",
    );
    first.signal("TERM");
    assert!(first.wait().0.success());
}

#[test]
fn a_folder_that_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, "no folder").expect("a writable folder");
    refuses(
        &["serve", "--listen", "127.0.0.1:0", "--data-dir", text(&file)],
        1,
        "cannot create",
        "must belong to the server's user",
    );
}

#[tokio::test]
async fn a_damaged_catalog_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let serving = Serving::start(folder.path());
    serving.query("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    serving.signal("TERM");
    assert!(serving.wait().0.success());
    let path = folder.path().join("sled/db");
    let mut bytes = fs::read(&path).expect("the database is one file");
    // The table's name stands in its catalog entry.
    let places: Vec<usize> = (0..bytes.len().saturating_sub(9))
        .filter(|at| bytes[*at..].starts_with(b"\"name\":\"t\""))
        .collect();
    assert!(!places.is_empty(), "the catalog is in the file");
    for at in places {
        bytes[at + 8] = b'u';
    }
    fs::write(&path, bytes).expect("a writable file");
    refuses(
        &["serve", "--listen", "127.0.0.1:0", "--data-dir", text(folder.path())],
        1,
        "damaged",
        "Restore the data folder from a copy.",
    );
}

#[tokio::test]
async fn options_come_from_the_file_and_the_environment_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("from-the-file");
    let file = folder.path().join("highwater.toml");
    let toml = format!("data_dir = {:?}\nlisten = \"256.0.0.1:1\"\n", text(&data));
    fs::write(&file, toml).expect("a writable folder");
    let serving = Serving::spawn(
        binary()
            .arg("serve")
            .env("HIGHWATER_CONFIG", &file)
            .env("HIGHWATER_LISTEN", "127.0.0.1:0")
            .env("HIGHWATER_WORKERS", "1"),
    );
    assert_eq!(serving.query("SELECT 1").await, ["1"]);
    serving.signal("INT");
    assert!(serving.wait().0.success());
    assert!(data.join("lock").exists());
}

#[tokio::test]
async fn sigterm_tells_the_sessions_and_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let serving = Serving::start(folder.path());
    serving.query("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let client = serving.connect().await;
    let inserting = tokio::spawn(async move {
        let mut id = 0_i64;
        loop {
            match client.simple_query(&format!("INSERT INTO t VALUES ({id})")).await {
                Ok(_) => id += 1,
                Err(error) => return (id, error),
            }
        }
    });
    // The signal comes while rows are being written.
    while serving.query("SELECT count(*) FROM t").await == ["0"] {}
    serving.signal("TERM");
    let (acknowledged, error) = inserting.await.expect("no panic");
    assert!(
        error.is_closed() || error.code().is_some_and(|code| code.code() == "57P01"),
        "{error}"
    );
    let (status, log) = serving.wait();
    assert!(status.success() && log.contains("stopped"), "{log}");
    let serving = Serving::start(folder.path());
    let count = serving.query("SELECT count(*) FROM t").await;
    let count: i64 = count[0].parse().expect("a number");
    // The last one may have been made durable without its answer having come through.
    assert!(
        (acknowledged..=acknowledged + 1).contains(&count),
        "{acknowledged} {count}"
    );
}

#[test]
fn a_signal_that_comes_as_soon_as_it_listens_stops_it_cleanly() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for signal in ["TERM", "INT", "TERM", "INT"] {
        let serving = Serving::start(folder.path());
        serving.signal(signal);
        let (status, log) = serving.wait();
        assert!(status.success() && log.contains("stopped"), "{status} {log}");
    }
}

#[tokio::test]
async fn an_idle_session_is_told_why_it_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let serving = Serving::start(folder.path());
    let options = format!("host=127.0.0.1 port={} user=highwater dbname=highwater", serving.port);
    let (_client, connection) = tokio_postgres::connect(&options, tokio_postgres::NoTls)
        .await
        .expect("it listens");
    serving.signal("INT");
    let error = connection.await.expect_err("the server ends it");
    assert_eq!(error.code().map(|code| code.code()), Some("57P01"), "{error}");
    assert!(serving.wait().0.success());
}

#[test]
fn a_second_server_on_the_folder_finds_everything() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let statements = [
        "CREATE TABLE t (id bigint PRIMARY KEY, v text)",
        "CREATE MATERIALIZED VIEW v AS SELECT v, count(*) AS n FROM t GROUP BY v",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'b')",
    ];
    let serving = Serving::start(folder.path());
    for sql in statements {
        let (code, _, stderr) = finish(serving.psql().args(["-c", sql]));
        assert_eq!(code, Some(0), "{stderr}");
    }
    serving.signal("KILL");
    assert!(!serving.wait().0.success());
    let serving = Serving::start(folder.path());
    let (_, rows, stderr) = finish(serving.psql().args(["-c", "SELECT * FROM v ORDER BY v"]));
    assert_eq!(rows, "a|1\nb|2\n", "{stderr}");
}
