//! `(key = value, ...)` after WITH and ENCODE, and `(key value, ...)` after EXPLAIN, SUBSCRIBE and FETCH.

use std::collections::BTreeMap;

use sqlparser::tokenizer::Token;

use crate::error::ParseError;
use crate::reader::{Read, Reader, Stop};

/// `(a.b.c = 'x', n = 5, flag)`. Keys are in lower case; a key without a value is `true`.
pub(super) fn options(r: &mut Reader<'_>) -> Read<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    r.expect_token(&Token::LParen)?;
    if r.eat_token(&Token::RParen) {
        return Ok(options);
    }
    loop {
        let mark = r.mark();
        let key = key(r)?;
        let value = if r.eat_token(&Token::Eq) {
            value(r)?
        } else {
            "true".to_string()
        };
        if options.insert(key, value).is_some() {
            let position = r.position(mark);
            return Err(Stop::Error(ParseError::RedundantOption { position }));
        }
        if !r.eat_token(&Token::Comma) {
            r.expect_token(&Token::RParen)?;
            return Ok(options);
        }
    }
}

/// `(ANALYZE, FORMAT json, VERBOSE = false)`.
pub(super) fn spaced_options(r: &mut Reader<'_>) -> Read<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    r.expect_token(&Token::LParen)?;
    loop {
        let key = r.label()?;
        let ends = matches!(r.peek(), Token::Comma | Token::RParen);
        r.eat_token(&Token::Eq);
        let value = if ends { "true".to_string() } else { value(r)? };
        options.insert(key, value);
        if !r.eat_token(&Token::Comma) {
            r.expect_token(&Token::RParen)?;
            return Ok(options);
        }
    }
}

/// Words parted by points or hyphens; a string, for keys that words cannot write.
fn key(r: &mut Reader<'_>) -> Read<String> {
    if let Some(key) = r.eat_string() {
        return Ok(key.to_lowercase());
    }
    let mut key = r.label()?;
    while r.eat_token(&Token::Period) {
        key.push('.');
        key.push_str(&r.label()?);
    }
    Ok(key.to_lowercase())
}

fn value(r: &mut Reader<'_>) -> Read<String> {
    let mark = r.mark();
    if r.eat("INTERVAL") {
        return r.string();
    }
    let mut value = r.value()?;
    // `1.5` is one token; `a.b` is three.
    while r.eat_token(&Token::Period) {
        value.push('.');
        value.push_str(&r.label()?);
    }
    if !matches!(r.peek(), Token::Comma | Token::RParen) {
        return r.unexpected();
    }
    debug_assert!(r.mark() > mark, "a value is at least one token");
    Ok(value)
}
