//! LISTEN, UNLISTEN and NOTIFY.

use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader};
use crate::statement::Statement;

/// All three.
pub(super) fn notify(r: &mut Reader<'_>) -> Read<Statement> {
    if r.eat("LISTEN") {
        return Ok(Statement::Listen(r.folded()?));
    }
    if r.eat("UNLISTEN") {
        if r.eat_token(&Token::Mul) {
            return Ok(Statement::Unlisten(None));
        }
        return Ok(Statement::Unlisten(Some(r.folded()?)));
    }
    r.expect("NOTIFY")?;
    let channel = r.folded()?;
    let payload = if r.eat_token(&Token::Comma) {
        r.string()?
    } else {
        String::new()
    };
    Ok(Statement::Notify { channel, payload })
}
