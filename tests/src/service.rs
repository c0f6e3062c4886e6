//! Services that a test needs and that this workspace does not build: PostgreSQL's programs, Python with psycopg. In
//! CI (`CI=true`) a missing one fails the test; elsewhere the test says so and is left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether a program is there; `--version` is asked of it.
pub fn has_program(name: &str) -> bool {
    available(name, runs(Command::new(name).arg("--version")))
}

/// Whether Python is there and can import this.
pub fn has_python_module(name: &str) -> bool {
    available(
        name,
        runs(Command::new("python3").args(["-c", &format!("import {name}")])),
    )
}

/// The folder with the programs of a PostgreSQL server: `initdb`, `postgres`.
pub fn postgres_programs() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = folders.map(|entry| entry.path().join("bin")).collect();
    found.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = found.into_iter().find(|folder| folder.join("initdb").exists());
    available("initdb", found.as_deref().is_some_and(Path::exists));
    found
}

fn runs(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn available(name: &str, found: bool) -> bool {
    assert!(
        found || std::env::var_os("CI").is_none(),
        "{name} is not installed; .ci/run installs it"
    );
    if !found {
        eprintln!("left out: {name} is not installed");
    }
    found
}
