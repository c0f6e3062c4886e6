//! EXPLAIN.

use std::collections::BTreeMap;

use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader, word_of};
use crate::statement::Statement;

use super::options::spaced_options;

/// EXPLAIN [ANALYZE] [VERBOSE] statement, EXPLAIN (options) statement, EXPLAIN MATERIALIZED VIEW name,
/// EXPLAIN WATERMARK [FOR] name.
pub(super) fn explain(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("EXPLAIN")?;
    let mut options = BTreeMap::new();
    // A parenthesis may also open the query.
    if *r.peek() == Token::LParen && word_of(r.peek_nth(1)).is_some_and(is_option) {
        options = spaced_options(r)?;
    } else {
        if r.eat_any(&["ANALYZE", "ANALYSE"]).is_some() {
            options.insert("analyze".to_string(), "true".to_string());
        }
        if r.eat("VERBOSE") {
            options.insert("verbose".to_string(), "true".to_string());
        }
    }
    let analyze = options
        .remove("analyze")
        .or_else(|| options.remove("analyse"))
        .is_some_and(|v| !matches!(v.to_ascii_lowercase().as_str(), "false" | "off" | "0"));
    let mark = r.mark();
    if r.eat("MATERIALIZED VIEW") {
        return Ok(Statement::ExplainView(r.name()?));
    }
    if r.eat("WATERMARK") {
        r.eat("FOR");
        return Ok(Statement::ExplainWatermark(r.name()?));
    }
    let statement = super::statement(r)?;
    match statement {
        Statement::Query(_)
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::CreateTableAs { .. }
        | Statement::CreateView(_)
        | Statement::DeclareCursor { .. }
        | Statement::Execute { .. } => Ok(Statement::Explain {
            analyze,
            options,
            statement: Box::new(statement),
        }),
        _ => Err(crate::reader::Stop::Error(r.syntax_error(mark))),
    }
}

fn is_option(word: &str) -> bool {
    !["SELECT", "WITH", "VALUES", "TABLE"]
        .iter()
        .any(|w| word.eq_ignore_ascii_case(w))
}
