//! [`unasserted_states`]: the SQLSTATEs that the sources can send and no suite asserts.
//!
//! The sources are searched for `SqlState::NAME` and `SqlState("code")`. A code that no statement in a file can bring
//! about (a disk that fails, a client that breaks the protocol) stands in `unasserted.txt` with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sqllogictest::{DefaultColumnType, ExpectedError, QueryExpect, Record, StatementExpect};

use crate::run::FileError;
use crate::suite::{Suite, suites_folder};

/// The crates whose errors reach clients.
const SENDERS: [&str; 7] = [
    "types",
    "parser",
    "planner",
    "executor",
    "storage",
    "connectors",
    "server",
];
/// Codes that no suite can assert, and why.
const EXCUSED: &str = "unasserted.txt";
/// The declarations of the names.
const DECLARATIONS: &str = "types/src/sqlstate.rs";

/// What is wrong with the table of SQLSTATEs: codes that can be sent but are neither asserted nor excused, and
/// excuses that are not needed.
///
/// # Errors
/// When a file is no sqllogictest file, or cannot be read.
pub fn unasserted_states(suites: &[Suite]) -> Result<Vec<String>, FileError> {
    let excused = excused()?;
    let sent = sent();
    let mut asserted = BTreeSet::new();
    for file in suites.iter().flat_map(|suite| &suite.files) {
        asserted.extend(states_in(file)?);
    }
    let mut wrong = Vec::new();
    for (code, place) in &sent {
        if !asserted.contains(code) && !excused.contains_key(code) {
            wrong.push(format!("{code} can be sent ({place}), and no suite asserts it"));
        }
    }
    for code in excused.keys() {
        if asserted.contains(code) {
            wrong.push(format!("{code} stands in {EXCUSED}, but a suite asserts it"));
        }
        if !sent.contains_key(code) {
            wrong.push(format!("{code} stands in {EXCUSED}, but is not sent"));
        }
    }
    Ok(wrong)
}

fn excused() -> Result<BTreeMap<String, String>, FileError> {
    let text = std::fs::read_to_string(suites_folder().join(EXCUSED))
        .map_err(|error| FileError::Runner(format!("{EXCUSED}: {error}")))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines
        .filter_map(|line| line.split_once(' '))
        .map(|(code, why)| (code.to_string(), why.to_string()))
        .collect())
}

/// The codes that the sources name outside of tests, each with a file that does.
fn sent() -> BTreeMap<String, String> {
    let sources = highwater_tests::rust_sources();
    let names = declared(&sources);
    let mut sent = BTreeMap::new();
    for (path, text) in &sources {
        let is_sender = SENDERS.iter().any(|member| path.starts_with(member));
        let is_test = path
            .iter()
            .any(|part| part == "tests" || part == "examples" || part == "tests.rs");
        if !is_sender || is_test || path == Path::new(DECLARATIONS) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for after in code.split("SqlState::").skip(1) {
            let name: String = after
                .chars()
                .take_while(|c| c.is_ascii_uppercase() || *c == '_')
                .collect();
            if let Some(code) = names.get(&name) {
                sent.entry(code.clone()).or_insert_with(|| path.display().to_string());
            }
        }
        for after in code.split("SqlState(\"").skip(1) {
            sent.entry(after.chars().take(5).collect())
                .or_insert_with(|| path.display().to_string());
        }
    }
    sent
}

/// Names of codes, as `pub const NAME: SqlState = SqlState("code");`.
fn declared(sources: &[(std::path::PathBuf, String)]) -> BTreeMap<String, String> {
    let text = sources.iter().find(|(path, _)| path == Path::new(DECLARATIONS));
    let lines = text.map(|(_, text)| text.lines()).into_iter().flatten();
    lines
        .filter_map(|line| {
            line.trim()
                .strip_prefix("pub const ")?
                .split_once(": SqlState = SqlState(\"")
        })
        .map(|(name, rest)| (name.to_string(), rest.chars().take(5).collect()))
        .collect()
}

fn states_in(file: &Path) -> Result<Vec<String>, FileError> {
    let records = sqllogictest::parse_file::<DefaultColumnType>(file)?;
    let states = records.iter().filter_map(|record| {
        let (Record::Statement {
            expected: StatementExpect::Error(error),
            ..
        }
        | Record::Query {
            expected: QueryExpect::Error(error),
            ..
        }) = record
        else {
            return None;
        };
        match error {
            ExpectedError::SqlState(code) => Some(code.clone()),
            ExpectedError::Empty | ExpectedError::Inline(_) | ExpectedError::Multiline(_) => None,
        }
    });
    Ok(states.collect())
}
