//! [`Suite`]: the files of one topic, and the rules they keep.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqllogictest::{DefaultColumnType, ExpectedError, QueryExpect, Record, StatementExpect};

use crate::run::{FileError, short_name};

/// Lines a file may have.
const MAX_LINES: usize = 150;
/// How many queries of each suite run as views at least.
const FLOORS: &str = "floors.txt";

/// A folder of files on one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// The folder's name.
    pub name: String,
    /// Its files, sorted.
    pub files: Vec<PathBuf>,
}

/// Where the suites are.
pub fn suites_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("suites")
}

/// All suites, sorted.
///
/// # Errors
/// When a folder cannot be read.
pub fn suites() -> std::io::Result<Vec<Suite>> {
    let mut found = Vec::new();
    for folder in sorted(&suites_folder())?.into_iter().filter(|path| path.is_dir()) {
        let files = sorted(&folder)?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|e| e == "slt"))
            .collect();
        let name = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        found.push(Suite { name, files });
    }
    Ok(found)
}

fn sorted(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

/// How many queries of each suite must run as views at least: lines of a name and a number.
///
/// # Errors
/// When the file is missing or not of that form.
pub fn read_floors() -> std::io::Result<BTreeMap<String, usize>> {
    let text = std::fs::read_to_string(suites_folder().join(FLOORS))?;
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let wrong = || std::io::Error::other(format!("not a suite and a number: {line}"));
            let (name, floor) = line.split_once(' ').ok_or_else(wrong)?;
            Ok((name.to_string(), floor.trim().parse().map_err(|_| wrong())?))
        })
        .collect()
}

impl Suite {
    /// What breaks the rules of files: a file that is too long, an error told by its prose.
    ///
    /// # Errors
    /// When a file is no sqllogictest file.
    pub fn broken_rules(&self) -> Result<Vec<String>, FileError> {
        let mut broken = Vec::new();
        for path in &self.files {
            let name = short_name(path);
            let text = std::fs::read_to_string(path).map_err(|error| FileError::Runner(error.to_string()))?;
            let lines = text.lines().count();
            if lines > MAX_LINES {
                broken.push(format!("{}: {lines} lines, {MAX_LINES} are allowed", name.display()));
            }
            if !text.starts_with("# ") {
                broken.push(format!("{}: no comment says what it is about", name.display()));
            }
            for record in sqllogictest::parse_file::<DefaultColumnType>(path)? {
                if let Some(line) = told_by_prose(&record) {
                    broken.push(format!("{}:{line}: an error without its SQLSTATE", name.display()));
                }
            }
        }
        Ok(broken)
    }
}

fn told_by_prose(record: &Record<DefaultColumnType>) -> Option<u32> {
    let (error, location) = match record {
        Record::Statement {
            expected: StatementExpect::Error(error),
            loc,
            ..
        }
        | Record::Query {
            expected: QueryExpect::Error(error),
            loc,
            ..
        } => (error, loc),
        _ => return None,
    };
    match error {
        ExpectedError::SqlState(_) => None,
        ExpectedError::Empty | ExpectedError::Inline(_) | ExpectedError::Multiline(_) => Some(location.line()),
    }
}
