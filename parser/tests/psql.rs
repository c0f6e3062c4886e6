//! What psql 15 and pgbench 15 send by themselves, captured from real ones: backslash commands, tab completion,
//! `pgbench -i` and its scripts. All of it must be understood.

use highwater_parser::parse;

#[test]
fn everything_that_psql_and_pgbench_send_parses() {
    let mut failures = Vec::new();
    let captured = include_str!("psql_15.sql");
    for statement in captured.split("\n---\n") {
        if let Err(error) = parse(statement) {
            failures.push(format!("{error} at {:?} in\n{statement}", error.position()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
