//! SUBSCRIBE.

use sqlparser::tokenizer::Token;

use super::options::spaced_options;
use crate::error::ParseError;
use crate::reader::{Read, Reader, Stop};
use crate::statement::Subscribe;

/// SUBSCRIBE [TO] name [WITH (SNAPSHOT [true | false], PROGRESS [true | false])] [AS OF epoch] [UP TO epoch].
pub(super) fn subscribe(r: &mut Reader<'_>) -> Read<Subscribe> {
    r.expect("SUBSCRIBE")?;
    r.eat("TO");
    if *r.peek() == Token::LParen {
        return r.unsupported(
            r.mark(),
            "SUBSCRIBE to a query",
            "Create a materialized view of the query, and subscribe to that.",
        );
    }
    let relation = r.name()?;
    let (mut snapshot, mut progress) = (true, false);
    if r.eat("WITH") {
        let mark = r.mark();
        for (name, value) in spaced_options(r)? {
            let option = match name.as_str() {
                "snapshot" => &mut snapshot,
                "progress" => &mut progress,
                _ => {
                    let position = r.position(mark);
                    return Err(Stop::Error(ParseError::UnknownOption { name, position }));
                }
            };
            *option = super::copy::boolean(&name, &value)?;
        }
    }
    let as_of = epoch_after(r, "AS OF")?;
    let up_to = epoch_after(r, "UP TO")?;
    Ok(Subscribe {
        relation,
        snapshot,
        progress,
        as_of,
        up_to,
    })
}

fn epoch_after(r: &mut Reader<'_>, words: &str) -> Read<Option<u64>> {
    if !r.eat(words) {
        return Ok(None);
    }
    let mark = r.mark();
    match r.eat_number().map(|number| number.parse()) {
        Some(Ok(epoch)) => Ok(Some(epoch)),
        Some(Err(_)) => Err(Stop::Error(r.syntax_error(mark))),
        None => r.unexpected(),
    }
}
