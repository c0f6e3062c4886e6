//! [`ConnectorError`]: what can be wrong with a source's declaration, or with the world outside.

use std::io;

use arrow::error::ArrowError;
use highwater_types::{SqlError, SqlState, SqlType};
use parquet::errors::ParquetError;
use thiserror::Error;

/// An error of a connector.
#[derive(Debug, Error)]
pub enum ConnectorError {
    /// There is no such connector.
    #[error("unknown connector {connector:?}")]
    UnknownConnector {
        /// The name given.
        connector: String,
        /// The known name that comes nearest.
        nearest: Option<String>,
    },
    /// The connector has no such option.
    #[error("connector {connector} has no option {option:?}")]
    UnknownOption {
        /// Which connector.
        connector: &'static str,
        /// The option given.
        option: String,
        /// The known option that comes nearest.
        nearest: Option<String>,
        /// Every option there is.
        known: Vec<String>,
    },
    /// An option is needed.
    #[error("connector {connector} needs option {option:?}")]
    MissingOption {
        /// Which connector.
        connector: &'static str,
        /// Which option.
        option: &'static str,
        /// What to write.
        hint: &'static str,
    },
    /// An option's value makes no sense.
    #[error("invalid value for option {option:?}: {value:?}")]
    InvalidOption {
        /// Which option.
        option: String,
        /// The value given.
        value: String,
        /// What it should be, as a sentence.
        expected: String,
    },
    /// One option is given under two names.
    #[error("options {first:?} and {second:?} are the same")]
    DuplicateOption {
        /// One name.
        first: String,
        /// The other.
        second: String,
    },
    /// The connector brings no column of this name.
    #[error("connector {connector} has no column {column:?}{}", of_table(.table))]
    UnknownColumn {
        /// Which connector.
        connector: &'static str,
        /// Which of its tables.
        table: Option<&'static str>,
        /// The column declared.
        column: String,
        /// The column that comes nearest.
        nearest: Option<String>,
    },
    /// No columns were declared.
    #[error("connector {connector} needs a list of columns")]
    NoColumns {
        /// Which connector.
        connector: &'static str,
    },
    /// A column's values cannot be of the type declared.
    #[error("column {column:?} cannot be of type {declared}")]
    ColumnType {
        /// Which column.
        column: String,
        /// The type declared.
        declared: SqlType,
        /// What it can be, as a sentence.
        expected: String,
    },
    /// INCLUDE asks for what the connector does not have.
    #[error("connector {connector} has no {what} to include")]
    Include {
        /// Which connector.
        connector: &'static str,
        /// The word after INCLUDE.
        what: &'static str,
        /// What it has, as a sentence.
        expected: &'static str,
    },
    /// The connector does not read this format.
    #[error("connector {connector} does not read {what}")]
    Format {
        /// Which connector.
        connector: &'static str,
        /// FORMAT and ENCODE as given.
        what: String,
        /// What it does read, as a sentence.
        expected: &'static str,
    },
    /// There is no such file.
    #[error("no file matches {path:?}")]
    NoFile {
        /// The path or pattern.
        path: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path:?}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// A file is shorter than what was read of it before.
    #[error("{path:?} has {length} bytes, but was read up to {offset} before")]
    Truncated {
        /// Which file.
        path: String,
        /// Its length now.
        length: u64,
        /// Where reading was to go on.
        offset: u64,
    },
    /// Another file has taken the place of one that is followed.
    #[error("{path:?} is another file now")]
    Replaced {
        /// Which file.
        path: String,
    },
    /// A file's header line, or a Parquet file's schema, lacks a declared column.
    #[error("{path:?} has no column {column:?}")]
    MissingFileColumn {
        /// Which file.
        path: String,
        /// Which column.
        column: String,
        /// The column that comes nearest.
        nearest: Option<String>,
    },
    /// A Parquet file is damaged, or is none.
    #[error("cannot read {path:?}: {source}")]
    Parquet {
        /// Which file.
        path: String,
        /// Why not.
        source: ParquetError,
    },
    /// A partition was asked for that does not exist.
    #[error("connector {connector} has no partition {partition:?}")]
    UnknownPartition {
        /// Which connector.
        connector: &'static str,
        /// The partition's name.
        partition: String,
    },
    /// Values could not be put into columns.
    #[error("{0}")]
    Values(Box<SqlError>),
    /// Arrow refused.
    #[error("{0}")]
    Arrow(#[from] ArrowError),
}

impl ConnectorError {
    /// Whether it may be gone when the same is tried again later: what the world outside may mend by itself.
    pub fn may_pass(&self) -> bool {
        match self {
            ConnectorError::NoFile { .. } | ConnectorError::Io { .. } => true,
            ConnectorError::UnknownConnector { .. }
            | ConnectorError::UnknownOption { .. }
            | ConnectorError::MissingOption { .. }
            | ConnectorError::InvalidOption { .. }
            | ConnectorError::DuplicateOption { .. }
            | ConnectorError::UnknownColumn { .. }
            | ConnectorError::NoColumns { .. }
            | ConnectorError::ColumnType { .. }
            | ConnectorError::Include { .. }
            | ConnectorError::Format { .. }
            | ConnectorError::Truncated { .. }
            | ConnectorError::Replaced { .. }
            | ConnectorError::MissingFileColumn { .. }
            | ConnectorError::Parquet { .. }
            | ConnectorError::UnknownPartition { .. }
            | ConnectorError::Values(_)
            | ConnectorError::Arrow(_) => false,
        }
    }
}

fn of_table(table: &Option<&'static str>) -> String {
    table.map_or(String::new(), |table| format!(" in table {table}"))
}

impl From<SqlError> for ConnectorError {
    fn from(error: SqlError) -> ConnectorError {
        ConnectorError::Values(Box::new(error))
    }
}

impl From<ConnectorError> for SqlError {
    fn from(error: ConnectorError) -> SqlError {
        let message = error.to_string();
        let (state, hint) = match error {
            ConnectorError::UnknownConnector { nearest, .. } => {
                let known = crate::CONNECTORS.join(", ");
                let hint = did_you_mean(nearest).unwrap_or_else(|| format!("There are: {known}."));
                (SqlState::INVALID_PARAMETER_VALUE, Some(hint))
            }
            ConnectorError::UnknownOption { nearest, known, .. } => {
                let hint = did_you_mean(nearest).unwrap_or_else(|| format!("It has: {}.", known.join(", ")));
                (SqlState::INVALID_PARAMETER_VALUE, Some(hint))
            }
            ConnectorError::MissingOption { hint, .. } => (SqlState::INVALID_PARAMETER_VALUE, Some(hint.to_string())),
            ConnectorError::InvalidOption { expected, .. } => (SqlState::INVALID_PARAMETER_VALUE, Some(expected)),
            ConnectorError::DuplicateOption { .. } => (SqlState::SYNTAX_ERROR, Some("Give one of them.".to_string())),
            ConnectorError::UnknownColumn { nearest, .. } | ConnectorError::MissingFileColumn { nearest, .. } => {
                (SqlState::UNDEFINED_COLUMN, did_you_mean(nearest))
            }
            ConnectorError::NoColumns { .. } => (
                SqlState::INVALID_TABLE_DEFINITION,
                Some("Write the columns and their types after the source's name.".to_string()),
            ),
            ConnectorError::ColumnType { expected, .. } => (SqlState::DATATYPE_MISMATCH, Some(expected)),
            ConnectorError::Include { expected, .. } => (SqlState::FEATURE_NOT_SUPPORTED, Some(expected.to_string())),
            ConnectorError::Format { expected, .. } => (SqlState::FEATURE_NOT_SUPPORTED, Some(expected.to_string())),
            ConnectorError::NoFile { .. } => (
                SqlState::UNDEFINED_FILE,
                Some("Paths are those of the server's machine, relative to its working folder.".to_string()),
            ),
            ConnectorError::Io { ref source, .. } if source.kind() == io::ErrorKind::NotFound => {
                (SqlState::UNDEFINED_FILE, None)
            }
            ConnectorError::Io { .. } => (SqlState::IO_ERROR, None),
            ConnectorError::Truncated { .. } | ConnectorError::Replaced { .. } => (
                SqlState::IO_ERROR,
                Some("A file that is read may only grow; give new rows a file of their own.".to_string()),
            ),
            ConnectorError::Parquet { .. } => (SqlState::DATA_CORRUPTED, None),
            ConnectorError::UnknownPartition { .. } | ConnectorError::Arrow(_) => (SqlState::INTERNAL_ERROR, None),
            ConnectorError::Values(source) => return *source,
        };
        let shaped = SqlError::new(state, message);
        match hint {
            Some(hint) => shaped.with_hint(hint),
            None => shaped,
        }
    }
}

fn did_you_mean(nearest: Option<String>) -> Option<String> {
    nearest.map(|name| format!("Did you mean {name:?}?"))
}
