//! [`Postgres`]: a real PostgreSQL server in a temporary folder, to hold answers against. It listens on a socket in
//! that folder and nowhere else, so that any number of them can run at a time.

use std::fs::File;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

/// Where Debian puts the server, by version.
const INSTALLED: &str = "/usr/lib/postgresql";
/// How long the server may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);
/// PostgreSQL refuses to run as root; as root we run it as this user.
const SERVER_USER: &str = "postgres";

/// A running PostgreSQL server, stopped and removed when it is dropped.
pub struct Postgres {
    server: Child,
    folder: TempDir,
}

impl Postgres {
    /// Starts an empty one: UTF-8, locale C, time zone UTC, everyone trusted. `None` where PostgreSQL is not installed,
    /// which on a CI machine (`CI=true`) is a failure.
    pub async fn start() -> Option<Postgres> {
        Postgres::start_with(&["fsync=off", "timezone=UTC", "work_mem=256MB", "max_wal_size=4GB"]).await
    }

    /// Starts an empty one with these settings. `None` as for [`Postgres::start`].
    pub async fn start_with(settings: &[&str]) -> Option<Postgres> {
        let Some(programs) = programs() else {
            let on_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(
                !on_ci,
                "no PostgreSQL server is installed in {INSTALLED}, and CI needs one"
            );
            return None;
        };
        let folder = tempfile::Builder::new()
            .prefix("highwater-postgres-")
            .tempdir()
            .expect("there is room for a folder");
        let owner = owner();
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group)).expect("root may give a folder away");
        }
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(folder.path()).stdin(Stdio::null());
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command
        };
        let log = File::create(folder.path().join("log")).expect("a file in our own folder");
        let made = command("initdb")
            .args([
                "-D",
                "data",
                "-U",
                SERVER_USER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .output()
            .expect("initdb is there");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let socket = format!("unix_socket_directories={}", folder.path().display());
        let server = command("postgres")
            .args(["-D", "data", "-c", "listen_addresses=", "-c", &socket])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres is there");
        let mut postgres = Postgres { server, folder };
        postgres.wait().await;
        Some(postgres)
    }

    /// How to connect.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host_path(self.folder.path())
            .user(SERVER_USER)
            .dbname(SERVER_USER);
        config
    }

    /// A connection.
    pub async fn connect(&self) -> Client {
        let (client, connection) = self.config().connect(NoTls).await.expect("the server takes clients");
        tokio::spawn(connection);
        client
    }

    async fn wait(&mut self) {
        let start = Instant::now();
        while let Err(error) = self.config().connect(NoTls).await {
            let ended = self.server.try_wait().expect("a child of ours");
            assert!(
                ended.is_none() && start.elapsed() < START_LIMIT,
                "PostgreSQL does not start: {error}; {}",
                std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It holds nothing that anybody will miss.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The folder of the newest server's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(INSTALLED).ok()?.flatten();
    let folders = versions.filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        let programs = version.path().join("bin");
        programs.join("postgres").is_file().then_some((number, programs))
    });
    folders.max().map(|(_, programs)| programs)
}

/// Whom the server runs as, when it may not run as us.
fn owner() -> Option<(u32, u32)> {
    let id = |flag: &str, user: &[&str]| -> Option<u32> {
        let output = Command::new("id").arg(flag).args(user).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id("-u", &[])? != 0 {
        return None;
    }
    Some((id("-u", &[SERVER_USER])?, id("-g", &[SERVER_USER])?))
}

/// The folder that a server listens in, for programs that are told by `-h`.
impl AsRef<Path> for Postgres {
    fn as_ref(&self) -> &Path {
        self.folder.path()
    }
}
