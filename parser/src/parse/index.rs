//! CREATE INDEX.

use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader};
use crate::statement::{CreateIndex, Statement};

use super::options::options;

/// From after INDEX on.
pub(super) fn create(r: &mut Reader<'_>, unique: bool) -> Read<Statement> {
    r.eat("CONCURRENTLY");
    let if_not_exists = r.eat("IF NOT EXISTS");
    let name = if r.peek_is("ON") { None } else { Some(r.ident()?) };
    r.expect("ON")?;
    r.eat("ONLY");
    let on = r.name()?;
    if r.eat("USING") {
        r.ident()?;
    }
    r.expect_token(&Token::LParen)?;
    let columns = r.list(column)?;
    r.expect_token(&Token::RParen)?;
    let mark = r.mark();
    if r.eat("INCLUDE") {
        r.idents_in_parens()?;
    }
    if r.eat("NULLS NOT DISTINCT") {
        return r.unsupported(mark, "NULLS NOT DISTINCT", "Leave it out.");
    }
    if r.eat("WITH") {
        options(r)?;
    }
    if r.eat("TABLESPACE") {
        r.ident()?;
    }
    let mark = r.mark();
    if r.eat("WHERE") {
        return r.unsupported(mark, "a partial index", "Create the index without WHERE.");
    }
    Ok(Statement::CreateIndex(Box::new(CreateIndex {
        name,
        unique,
        if_not_exists,
        on,
        columns,
    })))
}

fn column(r: &mut Reader<'_>) -> Read<sqlparser::ast::Ident> {
    let mark = r.mark();
    let expression = *r.peek() == Token::LParen || *r.peek_nth(1) == Token::LParen;
    if expression {
        return r.unsupported(
            mark,
            "an index on an expression",
            "Create a materialized view that has the expression as a column, and index that.",
        );
    }
    let column = r.ident()?;
    if r.eat("COLLATE") {
        r.name()?;
    }
    // An operator class.
    if !["ASC", "DESC", "NULLS"].iter().any(|w| r.peek_is(w)) && matches!(r.peek(), Token::Word(_)) {
        r.name()?;
    }
    r.eat_any(&["ASC", "DESC"]);
    r.eat_any(&["NULLS FIRST", "NULLS LAST"]);
    Ok(column)
}
