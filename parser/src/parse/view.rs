//! CREATE VIEW and CREATE MATERIALIZED VIEW.

use std::collections::BTreeMap;

use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader};
use crate::statement::{CreateView, Statement};

use super::create::Prefix;
use super::options::options;

/// From the name on.
pub(super) fn create(r: &mut Reader<'_>, prefix: Prefix, materialized: bool) -> Read<Statement> {
    let if_not_exists = r.eat("IF NOT EXISTS");
    let mark = r.mark();
    if prefix.temporary {
        return r.unsupported(
            mark,
            "CREATE TEMPORARY VIEW",
            "Create it without TEMPORARY and drop it when done.",
        );
    }
    let name = r.name()?;
    let columns = match r.peek() {
        Token::LParen => r.idents_in_parens()?,
        _ => Vec::new(),
    };
    let mut with = BTreeMap::new();
    if r.eat("USING") {
        r.ident()?;
    }
    if r.eat("WITH") {
        with = options(r)?;
    }
    if r.eat("TABLESPACE") {
        r.ident()?;
    }
    r.expect("AS")?;
    let query_mark = r.mark();
    let query = r.query()?;
    let (query_text, _) = r.text_from(query_mark);
    let mark = r.mark();
    if materialized && r.eat("WITH NO DATA") {
        return r.unsupported(mark, "WITH NO DATA", "A materialized view is always current.");
    }
    if materialized {
        r.eat("WITH DATA");
    } else if r
        .eat_any(&[
            "WITH CHECK OPTION",
            "WITH LOCAL CHECK OPTION",
            "WITH CASCADED CHECK OPTION",
        ])
        .is_some()
    {
        return r.unsupported(
            mark,
            "WITH CHECK OPTION",
            "Leave it out: rows are written to tables alone.",
        );
    }
    let emit_on_window_close = r.emit.take().is_some_and(|e| e.on_window_close);
    Ok(Statement::CreateView(Box::new(CreateView {
        materialized,
        or_replace: prefix.or_replace,
        name,
        if_not_exists,
        columns,
        query,
        query_text,
        emit_on_window_close,
        options: with,
    })))
}
