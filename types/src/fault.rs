//! A [`Fault`] is an error that is data: a row on which an expression failed.

use crate::{SqlError, SqlState};

/// Why a row has no value: a division by zero, a bad cast. A fault flows with a weight like a row does; a view
/// that holds one answers reads with it until the row that caused it is retracted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    /// What a reader is told.
    pub state: SqlState,
    /// What a reader is told, in PostgreSQL's words.
    pub message: String,
    /// What to do about it, as sentences.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault with this code and message.
    pub fn new(state: SqlState, message: impl Into<String>) -> Fault {
        Fault {
            state,
            message: message.into(),
            hint: None,
        }
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Fault {
        Fault {
            state: error.state,
            message: error.message,
            hint: error.hint,
        }
    }
}

impl From<Fault> for SqlError {
    fn from(fault: Fault) -> SqlError {
        SqlError {
            hint: fault.hint,
            ..SqlError::new(fault.state, fault.message)
        }
    }
}
