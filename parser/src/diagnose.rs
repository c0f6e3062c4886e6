//! The place of a syntax error. sqlparser tries a parenthesis in FROM first as a subquery and then as a join, and
//! reports the second failure; an error inside a subquery would be pointed at outside of it. So when a statement
//! fails, its subqueries are parsed again by themselves, and the first that fails by itself is at fault.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::ParseError;
use crate::reader::{Read, Reader};
use crate::source::{Source, StatementTokens};
use crate::window::is_word;

/// Statements with more tokens than this are not searched.
const MAX_TOKENS: usize = 20_000;
/// How many subqueries are tried.
const MAX_SUBQUERIES: usize = 100;

/// Turns a failure into PostgreSQL's words, with the place where PostgreSQL would point.
pub(crate) fn explain<T>(read: Read<T>, source: &Source<'_>, reader: &Reader<'_>) -> Result<T, ParseError> {
    read.map_err(|stop| {
        let error = reader.error(stop);
        match error {
            ParseError::Unexpected { .. } | ParseError::UnexpectedEnd { .. } => {
                inner_error(source, reader).unwrap_or(error)
            }
            other => other,
        }
    })
}

/// The leftmost error inside an innermost subquery.
fn inner_error(source: &Source<'_>, reader: &Reader<'_>) -> Option<ParseError> {
    let tokens = reader.tokens();
    if tokens.len() > MAX_TOKENS {
        return None;
    }
    let mut found: Option<ParseError> = None;
    let mut failed: Vec<(usize, usize)> = Vec::new();
    for (from, to) in subqueries(&tokens).into_iter().take(MAX_SUBQUERIES) {
        // What holds a subquery that fails by itself fails too, and points at the wrong place.
        if failed.iter().any(|(start, end)| from <= *start && *end <= to) {
            continue;
        }
        let mut inner = Reader::new(
            source,
            StatementTokens {
                tokens: tokens[from..to].to_vec(),
                semicolon: tokens.get(to).map(|t| t.span.start),
            },
        );
        let read = inner.query().and_then(|_| crate::parse::end(&mut inner));
        let Err(stop) = read else { continue };
        failed.push((from, to));
        // At the end of the subquery the next token is the closing parenthesis, or nothing.
        let error = match inner.error(stop) {
            error if error.position() == inner.end() => reader.syntax_error(to),
            error => error,
        };
        let better = error.position() < found.as_ref().map_or(Some(usize::MAX), ParseError::position);
        if better {
            found = Some(error);
        }
    }
    found
}

/// The token ranges between parentheses that start like a query, inner ones before outer ones.
fn subqueries(tokens: &[TokenWithSpan]) -> Vec<(usize, usize)> {
    let mut open = Vec::new();
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => open.push(i + 1),
            Token::RParen => found.extend(open.pop().map(|from| (from, i))),
            _ => {}
        }
    }
    found.extend(open.into_iter().rev().map(|from| (from, tokens.len())));
    found.retain(|(from, to)| from < to && ["SELECT", "WITH"].iter().any(|w| is_word(&tokens[*from].token, w)));
    found
}
