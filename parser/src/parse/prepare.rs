//! PREPARE, EXECUTE and DEALLOCATE.

use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader};
use crate::statement::Statement;

/// PREPARE name [(types)] AS statement.
pub(super) fn prepare(r: &mut Reader<'_>) -> Read<Statement> {
    let mark = r.mark();
    r.expect("PREPARE")?;
    if r.peek_is("TRANSACTION") && matches!(r.peek_nth(1), Token::SingleQuotedString(_)) {
        return r.unsupported(mark, "two-phase commit", "Use COMMIT.");
    }
    let name = r.folded()?;
    let mut types = Vec::new();
    if r.eat_token(&Token::LParen) {
        types = r.list(Reader::data_type)?;
        r.expect_token(&Token::RParen)?;
    }
    r.expect("AS")?;
    let mark = r.mark();
    let inner = super::rest(r)?;
    match inner.statement {
        Statement::Query(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
            Ok(Statement::Prepare {
                name,
                types,
                statement: Box::new(inner),
            })
        }
        _ => Err(crate::reader::Stop::Error(r.syntax_error(mark))),
    }
}

/// EXECUTE name [(expressions)].
pub(super) fn execute(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("EXECUTE")?;
    let name = r.folded()?;
    let mut params = Vec::new();
    if r.eat_token(&Token::LParen) && !r.eat_token(&Token::RParen) {
        params = r.list(Reader::expr)?;
        r.expect_token(&Token::RParen)?;
    }
    Ok(Statement::Execute { name, params })
}

/// DEALLOCATE [PREPARE] name or ALL.
pub(super) fn deallocate(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("DEALLOCATE")?;
    r.eat("PREPARE");
    if r.eat("ALL") {
        return Ok(Statement::Deallocate(None));
    }
    Ok(Statement::Deallocate(Some(r.folded()?)))
}
