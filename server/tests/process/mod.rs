//! The `highwater` binary as a process of its own: started with arguments, watched until it listens, stopped by a
//! signal, and asked through psql or a driver.

// Each test file uses a part of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// The built binary.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    // What the machine's user has set must not reach the tests.
    for name in [
        "HIGHWATER_CONFIG",
        "HIGHWATER_DATA_DIR",
        "HIGHWATER_LISTEN",
        "HIGHWATER_WORKERS",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs the binary to its end: its exit code, what it printed, and what it complained of.
pub(crate) fn run(args: &[&str]) -> (Option<i32>, String, String) {
    finish(binary().args(args))
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the command can be run");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// A server that listens.
pub(crate) struct Serving {
    child: Child,
    log: BufReader<Box<dyn Read + Send>>,
    /// The port.
    pub(crate) port: u16,
}

impl Serving {
    /// `highwater serve` on this folder and any port.
    pub(crate) fn start(folder: &Path) -> Serving {
        let folder = folder.to_str().expect("a folder with a plain name");
        Serving::spawn(binary().args([
            "serve",
            "--data-dir",
            folder,
            "--listen",
            "127.0.0.1:0",
            "--workers",
            "2",
        ]))
    }

    /// This command, which must come to listen. What it says is read from its standard error.
    pub(crate) fn spawn(command: &mut Command) -> Serving {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary can be run");
        let log: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("it was asked for"));
        Serving::await_port(child, log)
    }

    /// This command, which says on its standard output where it listens.
    pub(crate) fn spawn_printing(command: &mut Command) -> Serving {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary can be run");
        let log: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("it was asked for"));
        Serving::await_port(child, log)
    }

    fn await_port(child: Child, log: Box<dyn Read + Send>) -> Serving {
        let mut log = BufReader::new(log);
        let mut seen = String::new();
        loop {
            let start = seen.len();
            let count = log.read_line(&mut seen).expect("its output is text");
            assert_ne!(count, 0, "it ended before it listened: {seen}");
            let line = &seen[start..];
            if let Some((_, port)) = line.split_once("connect with: psql -h 127.0.0.1 -p ") {
                let port = port.split(' ').next().and_then(|port| port.parse().ok());
                return Serving {
                    child,
                    log,
                    port: port.expect("a port"),
                };
            }
        }
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.log.read_line(&mut line).expect("its output is text");
        line
    }

    /// Sends it a signal: `TERM`, `INT`, `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill is everywhere").success());
    }

    /// Waits for its end: how it ended, and the rest of what it said.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("its output is text");
        (self.child.wait().expect("it is our child"), rest)
    }

    /// psql, connected to it: unaligned rows without a head, stopping at the first error.
    pub(crate) fn psql(&self) -> Command {
        let mut command = Command::new("psql");
        command
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "highwater"])
            .args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "highwater"])
            .stdin(Stdio::null());
        command
    }

    /// Runs statements through the driver; the first column of all rows.
    pub(crate) async fn query(&self, sql: &str) -> Vec<String> {
        let client = self.connect().await;
        let messages = client.simple_query(sql).await.expect("a statement that works");
        messages
            .iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("null").to_string()),
                _ => None,
            })
            .collect()
    }

    /// A connection of the driver.
    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        let options = format!("host=127.0.0.1 port={} user=highwater dbname=highwater", self.port);
        let (client, connection) = tokio_postgres::connect(&options, tokio_postgres::NoTls)
            .await
            .expect("it listens");
        // The client's own calls say what went wrong.
        tokio::spawn(connection);
        client
    }
}

impl Drop for Serving {
    /// A test that fails leaves no server behind.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
