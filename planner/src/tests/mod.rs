//! Scripts of statements with the answers that PostgreSQL 15 gives: column names and types, rows, errors with their
//! SQLSTATE and place, parameter types. Each is planned, and run by DataFusion over the rows of `setup.sql`.
//!
//! A script is a list of cases parted by empty lines: a statement, `----`, the answer. After `---- ours` the answer is
//! ours and differs from PostgreSQL's; a comment says why. `\p` asks for the statement's parameters and columns instead
//! of running it. `plans.txt` holds plans as bound, and `dml.txt` and `ddl.txt` what statements would write or make, which
//! PostgreSQL does not tell. With `REWRITE_SCRIPTS=folder` the scripts are written there with the answers found.

mod system;
mod world;

use world::{How, World};

/// Runs a script, and compares.
fn check(name: &str, script: &str, how: How) {
    let mut world = World::new();
    let mut wrong = Vec::new();
    let mut rewritten = Vec::new();
    for case in script.trim().split("\n\n") {
        let comments: Vec<&str> = case.lines().take_while(|l| l.starts_with('#')).collect();
        let body: Vec<&str> = case.lines().skip(comments.len()).collect();
        let Some(bar) = body.iter().position(|l| l.starts_with("----")) else {
            rewritten.push(case.to_string());
            continue;
        };
        let statement = body[..bar].join("\n");
        let expected = body[bar + 1..].join("\n");
        let found = world.answer(&statement, how);
        let head = [comments.join("\n"), body[..=bar].join("\n"), found.clone()];
        rewritten.push(
            head.into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("\n"),
        );
        if found != expected {
            wrong.push(format!("{statement}\n  expected:\n{expected}\n  found:\n{found}\n"));
        }
    }
    if let Ok(folder) = std::env::var("REWRITE_SCRIPTS") {
        let path = std::path::Path::new(&folder).join(name);
        std::fs::write(path, rewritten.join("\n\n") + "\n").expect("the folder can be written");
        return;
    }
    assert!(wrong.is_empty(), "{} cases differ\n\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! scripts {
    ($($name:ident $how:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                let name = concat!(stringify!($name), ".txt");
                check(name, include_str!(concat!("scripts/", stringify!($name), ".txt")), How::$how);
            }
        )*
    };
}

scripts!(
    names Run,
    errors Run,
    types Run,
    subqueries Run,
    select Run,
    params Describe,
    dml Run,
    ddl Run,
    plans Bind,
);
