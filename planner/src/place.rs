//! Where in a query string an error stands. The binder knows line and column; a client is told a position in
//! characters, which only the statement itself can count.

use highwater_parser::Parsed;
use highwater_types::SqlError;
use sqlparser::tokenizer::Location;

use crate::error::PlanError;
use crate::position::{Mark, marked_position};

impl PlanError {
    /// The error as a client is told it: with its place in the query string that the statement came in.
    pub fn in_statement(self, parsed: &Parsed) -> SqlError {
        let position = match &self {
            PlanError::At { location, mark, .. } => Some(position_in(parsed, *location, *mark)),
            _ => None,
        };
        let mut error = SqlError::from(self);
        error.position = error.position.or(position);
        error
    }
}

/// The place in the query string, in characters from 1.
fn position_in(parsed: &Parsed, location: Location, mark: Mark) -> usize {
    let position = parsed.position_of(location.line, location.column);
    // What the mark means is found in the statement's own text.
    match position.checked_sub(parsed.offset).filter(|own| *own > 0) {
        Some(own) => parsed.offset + marked_position(&parsed.text, own, mark),
        None => position,
    }
}
