//! The README's tour, run as it stands there: every block of SQL is pasted into psql, and what psql answers must be
//! the block under it. With `BLESS=1` the answers are written into the README instead.

mod process;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use process::Serving;

/// A source's rows come when they come: a block that only reads is asked again for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A part of the README.
enum Part {
    /// What is not run.
    Prose(String),
    /// Statements, and what psql must answer.
    Sql { sql: String, answer: String },
    /// The server starts, or starts again.
    Restart(String),
}

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")
}

/// Cuts the README at its fences.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            parts.push(Part::Prose(format!("{line}\n")));
            continue;
        };
        let body: String = lines
            .by_ref()
            .take_while(|line| *line != "```")
            .map(|line| format!("{line}\n"))
            .collect();
        match (language, parts.as_mut_slice()) {
            ("sql", _) => parts.push(Part::Sql {
                sql: body,
                answer: String::new(),
            }),
            ("text", [.., Part::Sql { answer, .. }, Part::Prose(blank)]) if blank == "\n" => {
                *answer = body;
                parts.pop();
            }
            _ if body.contains("psql -h") => parts.push(Part::Restart(format!("{line}\n{body}```\n"))),
            _ => parts.push(Part::Prose(format!("{line}\n{body}```\n"))),
        }
    }
    parts
}

/// What psql answers to a block that is pasted into it.
fn paste(serving: &Serving, sql: &str) -> String {
    let command = format!(
        "PAGER= psql -X -h 127.0.0.1 -p {} -U highwater highwater 2>&1",
        serving.port
    );
    let mut psql = Command::new("sh")
        .args(["-c", &command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql can be run");
    let mut input = psql.stdin.take().expect("it was asked for");
    input.write_all(sql.as_bytes()).expect("psql reads");
    drop(input);
    let output = psql.wait_with_output().expect("psql ends");
    let text = String::from_utf8(output.stdout).expect("psql writes text");
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

fn only_reads(sql: &str) -> bool {
    sql.split_inclusive(';').all(|statement| {
        let statement = statement.trim();
        statement.is_empty() || statement.starts_with("SELECT")
    })
}

#[test]
fn the_tour_answers_what_the_readme_says() {
    if !highwater_tests::service::has_program("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bless = std::env::var_os("BLESS").is_some();
    let text = std::fs::read_to_string(readme()).expect("there is a README");
    let mut serving: Option<Serving> = None;
    let mut written = String::new();
    for part in parts(&text) {
        match part {
            Part::Prose(prose) => written.push_str(&prose),
            Part::Restart(block) => {
                if let Some(running) = serving.take() {
                    running.signal("INT");
                    assert!(running.wait().0.success());
                }
                serving = Some(Serving::start(folder.path()));
                written.push_str(&block);
            }
            Part::Sql { sql, answer } => {
                let serving = serving.as_ref().expect("the tour starts a server first");
                let start = Instant::now();
                let mut found = paste(serving, &sql);
                while found != answer && only_reads(&sql) && !bless && start.elapsed() < PATIENCE {
                    found = paste(serving, &sql);
                }
                if !bless {
                    assert_eq!(
                        found, answer,
                        "psql's answer is on the left, the README's on the right, to\n{sql}"
                    );
                }
                written.push_str(&format!("```sql\n{sql}```\n\n```text\n{found}```\n"));
            }
        }
    }
    if bless {
        std::fs::write(readme(), written).expect("the README can be written");
    }
}
