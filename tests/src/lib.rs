//! Tests of the whole system, and of the house rules its sources keep. The tests are in `tests/`; what they share
//! is here.

pub mod conversation;
pub mod oracle;
mod postgres;
pub mod raw;
mod server;
pub mod service;

use std::path::{Path, PathBuf};

pub use postgres::Postgres;
pub use server::{TestServer, run};

/// The workspace's root folder.
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("the crate lies in a folder of the workspace")
        .to_path_buf()
}

/// Every Rust source of the workspace, sorted, with its path from the root.
pub fn rust_sources() -> Vec<(PathBuf, String)> {
    let root = workspace_root();
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = MEMBERS.iter().map(|member| root.join(member)).collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let relative = path.strip_prefix(&root).map(Path::to_path_buf).unwrap_or(path);
                found.push((relative, text));
            }
        }
    }
    found.sort();
    found
}

/// The crates of the workspace.
pub const MEMBERS: [&str; 10] = [
    "types",
    "parser",
    "planner",
    "executor",
    "storage",
    "connectors",
    "server",
    "tests",
    "sqllogictest",
    "bench",
];
