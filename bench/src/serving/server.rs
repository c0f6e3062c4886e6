//! [`Server`]: the binary under test as a process, and what Linux says of it.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

use super::Plan;
use crate::Result;

/// A server that takes longer than this to start has failed.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running server, killed and removed when it is dropped.
pub(super) struct Server {
    process: Child,
    port: u16,
    folder: TempDir,
    /// From the start of the process to the first answer.
    pub(super) started_in: Duration,
}

impl Server {
    /// Starts one on an empty folder.
    pub(super) async fn start(plan: &Plan) -> Result<Server> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let begun = Instant::now();
        let process = Command::new(&plan.binary)
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(folder.path())
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .spawn()?;
        let mut server = Server {
            process,
            port,
            folder,
            started_in: Duration::ZERO,
        };
        loop {
            if let Ok(client) = server.connect().await {
                client.simple_query("SELECT 1").await?;
                server.started_in = begun.elapsed();
                return Ok(server);
            }
            if let Some(end) = server.process.try_wait()? {
                return Err(format!("the server has ended: {end}").into());
            }
            if begun.elapsed() > START_LIMIT {
                return Err("the server does not answer".into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// How to connect.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user("highwater")
            .dbname("highwater");
        config
    }

    /// A connection.
    pub(super) async fn connect(&self) -> Result<Client> {
        connect(&self.config()).await
    }

    /// What a program that speaks PostgreSQL is told to connect here.
    pub(super) fn arguments(&self) -> Vec<String> {
        let port = self.port.to_string();
        ["-h", "127.0.0.1", "-p", &port, "-U", "highwater", "highwater"]
            .map(str::to_string)
            .to_vec()
    }

    /// Resident memory, in megabytes.
    pub(super) fn memory_mb(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kilobytes.ok_or("no VmRSS in /proc")?.parse::<f64>()? / 1024.0)
    }

    /// CPU time of all its threads so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Bytes in its folder.
    pub(super) fn disk_bytes(&self) -> u64 {
        let mut open = vec![self.folder.path().to_path_buf()];
        let mut sum = 0;
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(found) if found.is_dir() => open.push(entry.path()),
                    Ok(found) => sum += found.len(),
                    Err(_) => {}
                }
            }
        }
        sum
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended by itself needs no killing.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A connection.
pub(super) async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
