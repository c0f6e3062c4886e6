//! Statements that clients send to keep a database in shape or to share it, and that have nothing to do here:
//! VACUUM, ANALYZE, CLUSTER, REINDEX, REFRESH MATERIALIZED VIEW, GRANT, REVOKE, CHECKPOINT.

use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader};
use crate::statement::Statement;

use super::options::spaced_options;

/// Any of them. The answer carries the command tag.
pub(super) fn upkeep(r: &mut Reader<'_>) -> Read<Statement> {
    let word = r.label()?.to_uppercase();
    let tag = match word.as_str() {
        "VACUUM" | "ANALYZE" | "ANALYSE" => {
            vacuum(r)?;
            if word == "VACUUM" { "VACUUM" } else { "ANALYZE" }
        }
        "CLUSTER" => {
            cluster(r)?;
            "CLUSTER"
        }
        "REINDEX" => {
            reindex(r)?;
            "REINDEX"
        }
        "REFRESH" => {
            r.expect("MATERIALIZED VIEW")?;
            r.eat("CONCURRENTLY");
            r.name()?;
            r.eat_any(&["WITH DATA", "WITH NO DATA"]);
            "REFRESH MATERIALIZED VIEW"
        }
        "GRANT" => {
            privileges(r, "TO")?;
            "GRANT"
        }
        "REVOKE" => {
            privileges(r, "FROM")?;
            "REVOKE"
        }
        _ => "CHECKPOINT",
    };
    Ok(Statement::Nothing(tag.to_string()))
}

/// `[(options) | FULL FREEZE VERBOSE ANALYZE] [table [(columns)], ...]`.
fn vacuum(r: &mut Reader<'_>) -> Read<()> {
    if *r.peek() == Token::LParen {
        spaced_options(r)?;
    }
    while r
        .eat_any(&["FULL", "FREEZE", "VERBOSE", "ANALYZE", "ANALYSE"])
        .is_some()
    {}
    if r.at_end() {
        return Ok(());
    }
    r.list(|r| {
        r.name()?;
        if *r.peek() == Token::LParen {
            r.idents_in_parens()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn cluster(r: &mut Reader<'_>) -> Read<()> {
    r.eat("VERBOSE");
    if !r.at_end() {
        r.name()?;
        if r.eat("USING") {
            r.ident()?;
        }
    }
    Ok(())
}

fn reindex(r: &mut Reader<'_>) -> Read<()> {
    if *r.peek() == Token::LParen {
        spaced_options(r)?;
    }
    if r.eat_any(&["INDEX", "TABLE", "SCHEMA", "DATABASE", "SYSTEM"]).is_none() {
        return r.unexpected();
    }
    r.eat("CONCURRENTLY");
    if !r.at_end() {
        r.name()?;
    }
    Ok(())
}

/// Privileges, objects and roles are words, names, commas and parentheses; `to` must be among them.
fn privileges(r: &mut Reader<'_>, to: &str) -> Read<()> {
    let mut found = false;
    while !r.at_end() {
        found |= r.peek_is(to);
        match r.peek() {
            Token::Word(_) | Token::Comma | Token::Period | Token::LParen | Token::RParen => r.parser.advance_token(),
            _ => return r.unexpected(),
        }
    }
    if found { Ok(()) } else { r.unexpected() }
}
