//! Where in a query string an error stands. The binder knows line and column; a client is told a position in
//! characters, which only the statement itself can count.

use highwater_parser::Parsed;
use highwater_types::SqlError;

use crate::error::PlanError;

impl PlanError {
    /// The error as a client is told it: with its place in the query string that the statement came in.
    pub fn in_statement(self, parsed: &Parsed) -> SqlError {
        let position = match &self {
            PlanError::At { location, .. } => Some(parsed.position_of(location.line, location.column)),
            _ => None,
        };
        let mut error = SqlError::from(self);
        error.position = error.position.or(position);
        error
    }
}
