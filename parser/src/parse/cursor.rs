//! DECLARE, FETCH, MOVE and CLOSE.

use super::options::spaced_options;
use crate::error::ParseError;
use crate::reader::{Read, Reader, Stop};
use crate::statement::{FetchCount, Statement};

/// DECLARE name ... CURSOR ... FOR query.
pub(super) fn declare(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("DECLARE")?;
    let name = r.folded()?;
    let mark = r.mark();
    let mut binary = false;
    while let Some(option) = r.eat_any(&["BINARY", "ASENSITIVE", "INSENSITIVE", "NO SCROLL", "SCROLL"]) {
        binary |= option == "BINARY";
    }
    r.expect("CURSOR")?;
    let hold = r.eat_any(&["WITH HOLD", "WITHOUT HOLD"]) == Some("WITH HOLD");
    r.expect("FOR")?;
    if binary {
        return r.unsupported(
            mark,
            "a BINARY cursor",
            "Ask for binary results in the extended protocol.",
        );
    }
    let mark = r.mark();
    let query = super::rest(r)?;
    match query.statement {
        Statement::Query(_) | Statement::Subscribe(_) => Ok(Statement::DeclareCursor {
            name,
            hold,
            query: Box::new(query),
        }),
        _ => Err(Stop::Error(r.syntax_error(mark))),
    }
}

/// FETCH and MOVE [count] [FROM | IN] cursor [WITH (TIMEOUT = '1s')].
pub(super) fn fetch(r: &mut Reader<'_>) -> Read<Statement> {
    let r#move = r.peek_is("MOVE");
    r.parser.advance_token();
    let count = count(r)?;
    r.eat_any(&["FROM", "IN"]);
    let cursor = r.folded()?;
    let timeout = if r.eat("WITH") { Some(timeout(r)?) } else { None };
    Ok(Statement::Fetch {
        r#move,
        count,
        cursor,
        timeout,
    })
}

/// `(TIMEOUT = '1s')`.
fn timeout(r: &mut Reader<'_>) -> Read<String> {
    let mark = r.mark();
    let mut options = spaced_options(r)?;
    match (options.remove("timeout"), options.pop_first()) {
        (Some(timeout), None) => Ok(timeout),
        (_, Some((name, _))) => {
            let position = r.position(mark);
            Err(Stop::Error(ParseError::UnknownOption { name, position }))
        }
        (None, None) => Err(Stop::Error(r.syntax_error(mark))),
    }
}

fn count(r: &mut Reader<'_>) -> Read<FetchCount> {
    // `FETCH next` reads from a cursor of that name.
    if r.peek_nth(1) == &sqlparser::tokenizer::Token::EOF {
        return Ok(FetchCount::Forward(1));
    }
    if let Some(number) = r.eat_number() {
        return Ok(of_number(&number));
    }
    match r.eat_any(&[
        "NEXT", "PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE", "ALL", "FORWARD", "BACKWARD",
    ]) {
        None | Some("NEXT") => Ok(FetchCount::Forward(1)),
        Some("ALL") => Ok(FetchCount::All),
        Some("FORWARD") if r.eat("ALL") => Ok(FetchCount::All),
        Some("FORWARD") => Ok(r.eat_number().map_or(FetchCount::Forward(1), |n| of_number(&n))),
        Some("RELATIVE") => match r.eat_number() {
            Some(number) if number == "1" => Ok(FetchCount::Forward(1)),
            Some(_) => Ok(FetchCount::Backward),
            None => r.unexpected(),
        },
        Some("ABSOLUTE") => match r.eat_number() {
            Some(_) => Ok(FetchCount::Backward),
            None => r.unexpected(),
        },
        Some("BACKWARD") => {
            if !r.eat("ALL") {
                r.eat_number();
            }
            Ok(FetchCount::Backward)
        }
        Some(_) => Ok(FetchCount::Backward),
    }
}

/// Zero means the row that was fetched last, again.
fn of_number(number: &str) -> FetchCount {
    match number.parse::<i64>() {
        Ok(n) if n > 0 => FetchCount::Forward(n.unsigned_abs()),
        Ok(_) => FetchCount::Backward,
        Err(_) => FetchCount::All,
    }
}

/// CLOSE name or ALL.
pub(super) fn close(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("CLOSE")?;
    if r.eat("ALL") {
        return Ok(Statement::CloseCursor(None));
    }
    Ok(Statement::CloseCursor(Some(r.folded()?)))
}
