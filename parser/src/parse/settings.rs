//! SET, RESET and DISCARD.

use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader};
use crate::statement::Statement;

use super::transaction::modes;

/// SET.
pub(super) fn set(r: &mut Reader<'_>) -> Read<Statement> {
    let mark = r.mark();
    r.expect("SET")?;
    if r.eat("SESSION CHARACTERISTICS AS TRANSACTION") {
        return worded("session characteristics", modes(r)?, false);
    }
    if r.eat("TRANSACTION SNAPSHOT") || r.eat("CONSTRAINTS") {
        return r.unsupported(mark, "this form of SET", "Write SET name = value.");
    }
    if r.eat("TRANSACTION") {
        return worded("transaction", modes(r)?, false);
    }
    let local = r.eat("LOCAL");
    if !local && r.peek_is("SESSION") && matches!(r.peek_nth(1), Token::Word(_)) && !r.peek_is("SESSION TO") {
        if r.eat("SESSION AUTHORIZATION") {
            return worded("session_authorization", vec![r.value()?], false);
        }
        r.expect("SESSION")?;
    }
    if r.eat("TIME ZONE") {
        return worded("timezone", time_zone(r)?, local);
    }
    if r.eat("NAMES") {
        let names = if r.at_end() { Vec::new() } else { vec![r.value()?] };
        return worded("client_encoding", default_is_empty(names), local);
    }
    if r.peek_is("SCHEMA") && matches!(r.peek_nth(1), Token::SingleQuotedString(_)) {
        r.expect("SCHEMA")?;
        return worded("search_path", vec![r.string()?], local);
    }
    if r.peek_is("ROLE") && !matches!(r.peek_nth(1), Token::Eq) && !r.peek_is("ROLE TO") {
        r.expect("ROLE")?;
        return worded("role", vec![r.value()?], local);
    }
    let name = setting_name(r)?;
    if !r.eat_token(&Token::Eq) {
        r.expect("TO")?;
    }
    if r.eat("DEFAULT") {
        return worded(&name, Vec::new(), local);
    }
    let values = r.list(Reader::value)?;
    worded(&name, values, local)
}

fn worded(name: &str, values: Vec<String>, local: bool) -> Read<Statement> {
    Ok(Statement::Set {
        name: name.to_string(),
        values,
        local,
    })
}

/// The name of a setting, in lower case: `DateStyle`, `my.own`.
pub(super) fn setting_name(r: &mut Reader<'_>) -> Read<String> {
    let mut name = r.folded()?;
    while r.eat_token(&Token::Period) {
        name.push('.');
        name.push_str(&r.label()?);
    }
    Ok(name.to_ascii_lowercase())
}

/// What follows TIME ZONE. A displacement becomes PostgreSQL's own text for it, `<+02>-02`: the sign after the
/// bracket is POSIX's, which counts westwards.
fn time_zone(r: &mut Reader<'_>) -> Read<Vec<String>> {
    if r.eat_any(&["LOCAL", "DEFAULT"]).is_some() {
        return Ok(Vec::new());
    }
    let mark = r.mark();
    if r.eat("INTERVAL") {
        let text = r.string()?;
        r.eat_any(&["HOUR TO MINUTE", "HOUR"]);
        return match displacement(&text) {
            Some(zone) => Ok(vec![zone]),
            None => Err(crate::reader::Stop::Error(r.syntax_error(mark + 1))),
        };
    }
    if let Some(hours) = r.eat_number() {
        return match displacement(&hours) {
            Some(zone) => Ok(vec![zone]),
            None => Err(crate::reader::Stop::Error(r.syntax_error(mark))),
        };
    }
    Ok(vec![r.value()?])
}

/// `+05:30`, `-3` and `5.5` as `<+05:30>-05:30`.
fn displacement(text: &str) -> Option<String> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.split_once('.')) {
        (Some((hours, minutes)), _) => (hours.parse().ok()?, minutes.parse().ok()?),
        (None, Some((hours, fraction))) => {
            let share: f64 = format!("0.{fraction}").parse().ok()?;
            (hours.parse().ok()?, (share * 60.0).round() as u32)
        }
        (None, None) => (digits.parse().ok()?, 0u32),
    };
    let hours: u32 = hours;
    if hours > 167 || minutes > 59 {
        return None;
    }
    let size = match minutes {
        0 => format!("{hours:02}"),
        _ => format!("{hours:02}:{minutes:02}"),
    };
    let (east, west) = if negative { ('-', '+') } else { ('+', '-') };
    Some(format!("<{east}{size}>{west}{size}"))
}

fn default_is_empty(values: Vec<String>) -> Vec<String> {
    values.into_iter().filter(|v| v != "default").collect()
}

/// RESET.
pub(super) fn reset(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("RESET")?;
    if r.eat("ALL") {
        return Ok(Statement::Reset(None));
    }
    for (words, setting) in [
        ("TIME ZONE", "timezone"),
        ("SESSION AUTHORIZATION", "session_authorization"),
        ("TRANSACTION ISOLATION LEVEL", "transaction_isolation"),
    ] {
        if r.eat(words) {
            return Ok(Statement::Reset(Some(setting.to_string())));
        }
    }
    Ok(Statement::Reset(Some(setting_name(r)?)))
}

/// DISCARD.
pub(super) fn discard(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("DISCARD")?;
    match r.eat_any(&["ALL", "PLANS", "SEQUENCES", "TEMPORARY", "TEMP"]) {
        Some("TEMPORARY") => Ok(Statement::Discard("TEMP".to_string())),
        Some(what) => Ok(Statement::Discard(what.to_string())),
        None => r.unexpected(),
    }
}
