//! [`write_results`]: puts what a server answers into a file, where a new file says nothing yet or an old one
//! something else.

use std::path::Path;

use sqllogictest::{DefaultColumnType, ExpectedError, QueryExpect, Record, RecordOutput, StatementExpect};

use crate::client::ClientError;
use crate::mode::Mode;
use crate::run::{FileError, runner};
use crate::target::Target;

/// Runs a file as written and writes its results and SQLSTATEs into it.
///
/// # Errors
/// When it is no sqllogictest file, or cannot be written.
pub async fn write_results(path: &Path, target: &Target) -> Result<(), FileError> {
    let records = sqllogictest::parse_file(path)?;
    let mut runner = runner(target, Mode::Plain);
    let mut text = String::new();
    for record in records {
        let output = match &record {
            // With retries it must be right already.
            Record::Query { retry: Some(_), .. } => match runner.run_async(record.clone()).await {
                Ok(output) => output,
                Err(_) => runner.apply_record(record.clone()).await,
            },
            _ => runner.apply_record(record.clone()).await,
        };
        text.push_str(&with_output(record, output).to_string());
        text.push('\n');
    }
    runner.shutdown_async().await;
    let text = format!("{}\n", text.trim_end());
    std::fs::write(path, text).map_err(|error| FileError::Runner(error.to_string()))
}

fn with_output(
    mut record: Record<DefaultColumnType>,
    output: RecordOutput<DefaultColumnType>,
) -> Record<DefaultColumnType> {
    match (&mut record, output) {
        (Record::Statement { expected, .. }, RecordOutput::Statement { error: Some(error), .. }) => {
            *expected = StatementExpect::Error(state_of(&error));
        }
        (
            Record::Statement {
                expected: expected @ StatementExpect::Error(_),
                ..
            },
            RecordOutput::Statement { error: None, .. } | RecordOutput::Query { error: None, .. },
        ) => *expected = StatementExpect::Ok,
        (
            Record::Statement {
                expected: StatementExpect::Count(expected),
                ..
            },
            RecordOutput::Statement { count, error: None },
        ) => *expected = count,
        (Record::Query { expected, .. }, RecordOutput::Query { error: Some(error), .. }) => {
            *expected = QueryExpect::Error(state_of(&error));
        }
        (
            Record::Query { expected, .. },
            RecordOutput::Query {
                types,
                rows,
                error: None,
            },
        ) => {
            let lines = rows.iter().map(|row| row.join(" ").trim_end().to_string()).collect();
            match expected {
                QueryExpect::Results {
                    results,
                    types: expected,
                    ..
                } => {
                    *results = lines;
                    if expected.len() != types.len() {
                        *expected = types;
                    }
                }
                QueryExpect::Error(_) => {
                    *expected = QueryExpect::Results {
                        types,
                        sort_mode: None,
                        result_mode: None,
                        label: None,
                        results: lines,
                    };
                }
            }
        }
        _ => {}
    }
    record
}

fn state_of(error: &std::sync::Arc<dyn std::error::Error + Send + Sync>) -> ExpectedError {
    match error.downcast_ref::<ClientError>().and_then(ClientError::state) {
        Some(state) => ExpectedError::SqlState(state.to_string()),
        None => ExpectedError::Multiline(error.to_string()),
    }
}
