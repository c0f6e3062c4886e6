//! SQL text to [`Statement`]s: PostgreSQL through sqlparser, plus Highwater's own DDL.
//!
//! 1. `source.rs` cuts the text into tokens and statements; `limits.rs` refuses what would not fit a stack.
//! 2. `spelling.rs`, `window.rs` and `asof.rs` rewrite tokens so that sqlparser can read PostgreSQL's rarer spellings, windows
//!    and ASOF joins; the last two tell how to find those.
//! 3. `parse/` reads one statement, a file for each group; queries, expressions and DML are sqlparser's.
//! 4. An error becomes PostgreSQL's `syntax error at or near ...`, with its place (`diagnose.rs`).

mod asof;
mod diagnose;
mod dialect;
mod error;
mod limits;
mod parse;
mod reader;
mod reserved;
mod source;
mod spelling;
mod statement;
mod window;
mod wording;

pub use asof::asof_condition;
pub use error::ParseError;
pub use statement::*;
pub use window::{WindowCall, WindowFunction, WindowInput, window_call};
pub use wording::Wording;

use sqlparser::ast;

use reader::{Read, Reader};
use source::Source;

/// Parses a query string: any number of statements, parted by semicolons. Empty ones yield nothing. One error
/// anywhere fails the whole string.
pub fn parse(sql: &str) -> Result<Vec<Parsed>, ParseError> {
    let source = Source::new(sql);
    source
        .statements()?
        .into_iter()
        .map(|tokens| {
            let mut reader = Reader::new(&source, tokens);
            diagnose::explain(parse::whole_statement(&mut reader), &source, &reader)
        })
        .collect()
}

/// Parses one expression, as it is kept in the catalog for defaults and generated columns.
pub fn parse_expr(sql: &str) -> Result<ast::Expr, ParseError> {
    parse_one(sql, |r| r.expr())
}

/// Parses one query, as it is kept in the catalog for views.
pub fn parse_query(sql: &str) -> Result<Box<ast::Query>, ParseError> {
    parse_one(sql, |r| r.query())
}

/// Parses the name of a type: `numeric(10, 2)`.
pub fn parse_data_type(sql: &str) -> Result<ast::DataType, ParseError> {
    parse_one(sql, |r| r.data_type())
}

/// A name as the catalog has it: folded to lower case unless it is quoted.
pub fn fold(ident: &ast::Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

fn parse_one<T>(sql: &str, read: impl FnOnce(&mut Reader<'_>) -> Read<T>) -> Result<T, ParseError> {
    let source = Source::new(sql);
    let mut statements = source.statements()?.into_iter();
    let Some(tokens) = statements.next() else {
        return Err(ParseError::UnexpectedEnd {
            position: source.end_position(),
        });
    };
    let mut reader = Reader::new(&source, tokens);
    let read = read(&mut reader).and_then(|t| parse::end(&mut reader).map(|()| t));
    let value = diagnose::explain(read, &source, &reader)?;
    match statements.next() {
        Some(more) => Reader::new(&source, more)
            .unexpected()
            .map_err(|stop| reader.error(stop)),
        None => Ok(value),
    }
}
