//! The house rules that a machine can check: a header on every file, rooms that stay small, libraries that stay in
//! their home crate, and arrows between crates that point down only.
//!
//! Limits are a ratchet: a file that breaks one is listed with today's number, which may only go down.

use std::collections::BTreeMap;
use std::path::Path;

use highwater_tests::{MEMBERS, rust_sources, workspace_root};

/// Lines a file may have, tests not counted.
const MAX_LINES: usize = 500;

/// Files over the limit, with how many lines they may have at most.
const LARGER_FILES: &[(&str, usize)] = &[];

/// Lines a function may have.
const MAX_FUNCTION_LINES: usize = 70;

/// Functions over the limit, with how many lines they may have at most.
const LARGER_FUNCTIONS: &[(&str, &str, usize)] = &[
    ("planner/src/bind/cte.rs", "bind_iteration", 77),
    ("planner/src/bind/predicate.rs", "bind_predicate", 90),
    ("planner/src/bind/select.rs", "output", 74),
    ("planner/src/functions/format.rs", "write_field", 72),
    ("planner/src/functions/format_number.rs", "lay_out", 100),
    ("planner/src/functions/format_read.rs", "read_name", 73),
    ("planner/src/functions/json.rs", "access", 74),
    ("planner/src/functions/math.rs", "roots", 81),
    ("planner/src/functions/string_join.rs", "format_text", 73),
    ("planner/src/functions/string_join.rs", "joining", 72),
    ("planner/src/functions/temporal.rs", "functions", 100),
    ("planner/src/functions/temporal.rs", "with_intervals", 80),
    ("types/src/text/reader.rs", "parse_column", 78),
];

/// File names that say nothing.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc"];

/// Which crates of ours a crate may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("parser", &["types"]),
    ("storage", &["types"]),
    ("connectors", &["types"]),
    ("planner", &["types", "parser"]),
    ("executor", &["types", "planner", "storage", "connectors"]),
];

/// Outside libraries and the crates they may be used in. `tests` and `bench` may use any.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlparser", &["parser", "planner", "server"]),
    ("timely", &["executor"]),
    ("sled", &["storage"]),
    ("parquet", &["storage", "connectors"]),
    ("nexmark", &["connectors"]),
    ("pgwire", &["server"]),
    ("axum", &["server"]),
];

fn lines_without_tests(text: &str) -> usize {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .count()
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.iter().skip(1).any(|part| part == "tests")
}

#[test]
fn every_file_says_what_lives_there() {
    let missing: Vec<_> = rust_sources()
        .into_iter()
        .filter(|(_, text)| !text.lines().next().is_some_and(|line| line.starts_with("//!")))
        .map(|(path, _)| path)
        .collect();
    assert!(
        missing.is_empty(),
        "files that do not open with a //! header: {missing:?}"
    );
}

#[test]
fn files_stay_small() {
    let allowed: BTreeMap<&Path, usize> = LARGER_FILES
        .iter()
        .map(|(path, lines)| (Path::new(*path), *lines))
        .collect();
    for (path, text) in rust_sources() {
        if is_test(&path) {
            continue;
        }
        let lines = lines_without_tests(&text);
        let limit = allowed.get(path.as_path()).copied().unwrap_or(MAX_LINES);
        assert!(
            lines <= limit,
            "{} has {lines} lines without tests, {limit} are allowed",
            path.display()
        );
    }
}

/// The functions of a file as formatted, with their lines; what stands under `#[cfg(test)]` is not looked at.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().take(lines_without_tests(text)).collect();
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some((before, name)) = code.split_once("fn ") else {
            continue;
        };
        let is_declared = before
            .split_whitespace()
            .all(|word| ["const", "async", "unsafe"].contains(&word) || word.starts_with("pub"));
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let opening = lines[start..].iter().find(|line| line.ends_with(['{', '}', ';']));
        let has_body = opening.is_some_and(|line| line.ends_with('{'));
        if is_declared
            && has_body
            && let Some(length) = lines[start..].iter().position(|line| *line == end)
        {
            functions.push((name.split(['(', '<']).next().unwrap_or_default(), length + 1));
        }
    }
    functions
}

#[test]
fn functions_stay_small() {
    for (path, text) in rust_sources() {
        if is_test(&path) {
            continue;
        }
        for (name, lines) in functions(&text) {
            let allowed = LARGER_FUNCTIONS
                .iter()
                .find(|(file, function, _)| path == Path::new(file) && name == *function);
            let limit = allowed.map_or(MAX_FUNCTION_LINES, |(_, _, lines)| *lines);
            assert!(
                lines <= limit,
                "{}: {name} has {lines} lines, {limit} are allowed",
                path.display()
            );
        }
    }
}

#[test]
fn files_are_named_for_what_they_hold() {
    for (path, _) in rust_sources() {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert!(!EMPTY_NAMES.contains(&name), "{} says nothing", path.display());
    }
}

#[test]
fn nothing_is_unwrapped_ignored_or_left_to_do() {
    let words = [".unwrap()", "todo!(", "unimplemented!(", "dbg!(", "#[ignore"];
    for (path, text) in rust_sources() {
        if path.ends_with("tidy.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in words {
                assert!(!code.contains(word), "{}:{}: {word}", path.display(), number + 1);
            }
        }
    }
}

fn dependencies(member: &str) -> Vec<String> {
    let path = workspace_root().join(member).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).expect("every member has a Cargo.toml");
    text.lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['=', '.', ' ']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_string)
        .collect()
}

#[test]
fn arrows_between_crates_point_down_only() {
    for (member, allowed) in ARROWS {
        for dependency in dependencies(member) {
            if let Some(ours) = dependency.strip_prefix("highwater-") {
                assert!(allowed.contains(&ours), "{member} must not depend on {ours}");
            }
        }
    }
}

#[test]
fn outside_libraries_stay_at_home() {
    for member in MEMBERS
        .iter()
        .filter(|m| !["tests", "bench", "sqllogictest"].contains(m))
    {
        for dependency in dependencies(member) {
            if let Some((_, homes)) = HOMES.iter().find(|(library, _)| *library == dependency) {
                assert!(homes.contains(member), "{dependency} is not at home in {member}");
            }
        }
    }
}
