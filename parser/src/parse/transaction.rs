//! BEGIN, COMMIT, ROLLBACK and savepoints.

use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader};
use crate::statement::Statement;

/// The modes that BEGIN and SET TRANSACTION take.
const MODES: &[&str] = &[
    "ISOLATION LEVEL SERIALIZABLE",
    "ISOLATION LEVEL REPEATABLE READ",
    "ISOLATION LEVEL READ COMMITTED",
    "ISOLATION LEVEL READ UNCOMMITTED",
    "READ ONLY",
    "READ WRITE",
    "NOT DEFERRABLE",
    "DEFERRABLE",
];

/// Any statement about transactions.
pub(super) fn transaction(r: &mut Reader<'_>) -> Read<Statement> {
    let mark = r.mark();
    if r.eat("START TRANSACTION") {
        let modes = optional_modes(r)?;
        return Ok(Statement::Begin { start: true, modes });
    }
    if r.eat("BEGIN") {
        r.eat_any(&["WORK", "TRANSACTION"]);
        let modes = optional_modes(r)?;
        return Ok(Statement::Begin { start: false, modes });
    }
    if r.eat_any(&["COMMIT", "END"]).is_some() {
        return finish(r, mark, Statement::Commit);
    }
    if r.eat_any(&["ROLLBACK", "ABORT"]).is_some() {
        r.eat_any(&["WORK", "TRANSACTION"]);
        if r.eat("TO") {
            r.eat("SAVEPOINT");
            return Ok(Statement::RollbackTo(r.folded()?));
        }
        return finish(r, mark, Statement::Rollback);
    }
    if r.eat("SAVEPOINT") {
        return Ok(Statement::Savepoint(r.folded()?));
    }
    r.expect("RELEASE")?;
    r.eat("SAVEPOINT");
    Ok(Statement::Release(r.folded()?))
}

fn finish(r: &mut Reader<'_>, mark: usize, statement: Statement) -> Read<Statement> {
    if r.eat("PREPARED") {
        return r.unsupported(mark, "two-phase commit", "Use COMMIT.");
    }
    r.eat_any(&["WORK", "TRANSACTION"]);
    if !r.eat("AND NO CHAIN") && r.eat("AND CHAIN") {
        return r.unsupported(mark, "AND CHAIN", "Send BEGIN after it.");
    }
    Ok(statement)
}

fn optional_modes(r: &mut Reader<'_>) -> Read<Vec<String>> {
    if r.at_end() { Ok(Vec::new()) } else { modes(r) }
}

/// One or more modes; commas between them are optional.
pub(super) fn modes(r: &mut Reader<'_>) -> Read<Vec<String>> {
    let mut modes = Vec::new();
    loop {
        match r.eat_any(MODES) {
            Some(mode) => modes.push(mode.to_string()),
            None => return r.unexpected(),
        }
        if !r.eat_token(&Token::Comma) && r.at_end() {
            return Ok(modes);
        }
    }
}
