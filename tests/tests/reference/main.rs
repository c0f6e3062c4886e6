//! Benchmarks as tests: their queries as views hold exactly the rows that PostgreSQL answers.

mod nexmark;
mod tpch;

use std::fmt::Write as _;

use tokio_postgres::{Client, SimpleQueryMessage};

/// How the rows of many queries compare with PostgreSQL's.
#[derive(Default)]
struct Comparison {
    report: String,
    compared: usize,
    differences: usize,
}

impl Comparison {
    /// Compares the rows of one query, both sorted.
    fn add(&mut self, query: &str, ours: &[String], theirs: &[String]) {
        let different = difference(ours, theirs);
        self.compared += theirs.len();
        self.differences += different.len();
        let (count, wrong) = (theirs.len(), different.len());
        writeln!(self.report, "{query}: {count} rows compared, {wrong} differences").expect("a string takes all");
        for line in different.iter().take(6) {
            writeln!(self.report, "  {line}").expect("a string takes all");
        }
    }

    /// Prints what was found, and fails where rows differ.
    fn conclude(&self, what: &str) {
        let (report, compared, differences) = (&self.report, self.compared, self.differences);
        println!("{what}: {compared} rows, {differences} differences\n{report}");
        assert_eq!(differences, 0, "{what}:\n{report}");
    }
}

/// Rows that only one side has, both sides being sorted: `+` is ours, `-` is PostgreSQL's.
fn difference(ours: &[String], theirs: &[String]) -> Vec<String> {
    let (mut i, mut j) = (0, 0);
    let mut found = Vec::new();
    while i < ours.len() || j < theirs.len() {
        match (ours.get(i), theirs.get(j)) {
            (Some(a), Some(b)) if a == b => {
                i += 1;
                j += 1;
            }
            (Some(a), b) if b.is_none_or(|b| a < b) => {
                found.push(format!("+ {a}"));
                i += 1;
            }
            (_, b) => {
                found.push(format!("- {}", b.map_or("", String::as_str)));
                j += 1;
            }
        }
    }
    found
}

/// A number without the zeros at its end. How many PostgreSQL writes behind a quotient depends on its operands, which a
/// view that keeps the quotient does not know any more.
fn trimmed(value: &str) -> &str {
    let is_number = value.contains('.') && value.parse::<f64>().is_ok();
    match is_number {
        true => value.trim_end_matches('0').trim_end_matches('.'),
        false => value,
    }
}

/// Every row, `|` between columns, sorted.
async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client
        .simple_query(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let line = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let values: Vec<&str> = (0..row.len()).map(|c| trimmed(row.get(c).unwrap_or("null"))).collect();
            Some(values.join("|"))
        }
        _ => None,
    };
    let mut rows: Vec<String> = messages.iter().filter_map(line).collect();
    rows.sort_unstable();
    rows
}

async fn execute(client: &Client, sql: &str) {
    client
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}
