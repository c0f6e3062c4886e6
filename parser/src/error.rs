//! [`ParseError`]: why a text is not SQL, with the place, in PostgreSQL's words.

use highwater_types::{SqlError, SqlState};
use thiserror::Error;

/// What is wrong with a statement's text. Positions count characters of the whole query string, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// A token that cannot stand where it stands.
    #[error("syntax error at or near \"{near}\"")]
    Unexpected {
        /// The token, as written.
        near: String,
        /// Where it starts.
        position: usize,
    },
    /// The text ends too early.
    #[error("syntax error at end of input")]
    UnexpectedEnd {
        /// Just past the last character.
        position: usize,
    },
    /// A string, quoted name or comment without its end.
    #[error("unterminated {what} at or near \"{near}\"")]
    Unterminated {
        /// What has no end.
        what: &'static str,
        /// Its text.
        near: String,
        /// Where it starts.
        position: usize,
    },
    /// An escape in a string, or a character, that means nothing.
    #[error("{what} at or near \"{near}\"")]
    BadToken {
        /// What is wrong with it.
        what: String,
        /// Its text.
        near: String,
        /// Where it starts.
        position: usize,
    },
    /// Expressions or queries nested, or operators chained, beyond what a stack holds.
    #[error("stack depth limit exceeded")]
    TooDeep {
        /// Where the limit was passed.
        position: usize,
    },
    /// More tokens than one query string may have.
    #[error("statement is too large: it has more than {limit} tokens")]
    TooLarge {
        /// How many it may have.
        limit: usize,
    },
    /// A construct of PostgreSQL's, or of ours, that is not built.
    #[error("{what} is not supported")]
    Unsupported {
        /// Its name.
        what: String,
        /// What to do instead; may be empty.
        hint: &'static str,
        /// Where it stands.
        position: usize,
    },
    /// An option that the statement does not have.
    #[error("option \"{name}\" not recognized")]
    UnknownOption {
        /// The option.
        name: String,
        /// Where it stands.
        position: usize,
    },
    /// An option given twice.
    #[error("conflicting or redundant options")]
    RedundantOption {
        /// Where the second one stands.
        position: usize,
    },
    /// An option whose value it cannot have.
    #[error("{message}")]
    BadOption {
        /// What is wrong, in PostgreSQL's words.
        message: String,
        /// PostgreSQL's code for it.
        state: SqlState,
    },
    /// A window function called with other arguments than it has.
    #[error("wrong arguments for {function}")]
    WindowArguments {
        /// Which function.
        function: &'static str,
        /// How it is called.
        usage: &'static str,
    },
    /// Something that a statement can say only once, or only with something else.
    #[error("{message}")]
    Definition {
        /// What is wrong, in PostgreSQL's words.
        message: String,
        /// PostgreSQL's code for it.
        state: SqlState,
        /// Where it stands.
        position: usize,
    },
}

impl ParseError {
    /// Where in the query string, in characters from 1, when there is one place to point at.
    pub fn position(&self) -> Option<usize> {
        match self {
            ParseError::Unexpected { position, .. }
            | ParseError::UnexpectedEnd { position }
            | ParseError::Unterminated { position, .. }
            | ParseError::BadToken { position, .. }
            | ParseError::TooDeep { position }
            | ParseError::Unsupported { position, .. }
            | ParseError::UnknownOption { position, .. }
            | ParseError::RedundantOption { position }
            | ParseError::Definition { position, .. } => Some(*position),
            ParseError::TooLarge { .. } | ParseError::BadOption { .. } | ParseError::WindowArguments { .. } => None,
        }
    }

    fn state(&self) -> SqlState {
        match self {
            ParseError::Unexpected { .. }
            | ParseError::UnexpectedEnd { .. }
            | ParseError::Unterminated { .. }
            | ParseError::BadToken { .. }
            | ParseError::UnknownOption { .. }
            | ParseError::RedundantOption { .. }
            | ParseError::WindowArguments { .. } => SqlState::SYNTAX_ERROR,
            ParseError::TooDeep { .. } => SqlState("54001"),
            ParseError::TooLarge { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            ParseError::Unsupported { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            ParseError::BadOption { state, .. } | ParseError::Definition { state, .. } => *state,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            ParseError::Unsupported { hint, .. } if !hint.is_empty() => Some(hint),
            ParseError::TooDeep { .. } => {
                Some("Write the statement with less nesting, or with shorter chains of operators.")
            }
            ParseError::WindowArguments { usage, .. } => Some(usage),
            ParseError::Unexpected { .. }
            | ParseError::UnexpectedEnd { .. }
            | ParseError::Unterminated { .. }
            | ParseError::BadToken { .. }
            | ParseError::TooLarge { .. }
            | ParseError::Unsupported { .. }
            | ParseError::UnknownOption { .. }
            | ParseError::RedundantOption { .. }
            | ParseError::BadOption { .. }
            | ParseError::Definition { .. } => None,
        }
    }
}

impl From<ParseError> for SqlError {
    fn from(error: ParseError) -> SqlError {
        let mut sql = SqlError::new(error.state(), error.to_string());
        sql.position = error.position();
        sql.hint = error.hint().map(str::to_string);
        sql
    }
}
