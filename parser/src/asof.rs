//! ASOF joins: how they stand in sqlparser's syntax tree.
//!
//! `a ASOF [LEFT] JOIN b ON condition` is an inner or left join whose condition is [`Expr::Prefixed`] with the word
//! `ASOF`; [`asof_condition`] tells. `b MATCH_CONDITION (c) [ON d]` is parsed as `b ON c AND (d)`.

use sqlparser::ast::{BinaryOperator, Expr, Ident, JoinConstraint};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::window::{eat, is_word};

/// The word that [`rewrite`] puts after the ON of an ASOF join.
const ASOF: &str = "ASOF";
/// What other databases write before the comparison of an ASOF join.
const MATCH_CONDITION: &str = "MATCH_CONDITION";

/// The condition of an ASOF join, when the join is one.
pub fn asof_condition(constraint: &JoinConstraint) -> Option<&Expr> {
    match constraint {
        JoinConstraint::On(Expr::Prefixed { prefix, value }) if prefix.value == ASOF => Some(value),
        _ => None,
    }
}

/// Brings ASOF joins to plain ones with a marked condition.
pub(crate) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    if !tokens.iter().any(|t| is_word(&t.token, ASOF)) {
        return;
    }
    let old = std::mem::take(tokens);
    let word_at = |i: usize, word: &str| old.get(i).is_some_and(|t: &TokenWithSpan| is_word(&t.token, word));
    // For each open parenthesis, whether an ASOF join in it waits for its condition.
    let mut waiting = vec![false];
    let mut i = 0;
    while i < old.len() {
        let token = &old[i];
        match &token.token {
            Token::LParen => waiting.push(false),
            Token::RParen if waiting.len() > 1 => drop(waiting.pop()),
            _ => {}
        }
        let here = waiting.last_mut().expect("one is always left");
        let marked = |word: &str| TokenWithSpan::new(Token::make_word(word, None), token.span);
        let join_follows = || ["LEFT", "INNER", "JOIN"].iter().any(|word| word_at(i + 1, word));
        if word_at(i, ASOF) && join_follows() {
            *here = true;
            i += 1;
        } else if *here && word_at(i, "ON") {
            *here = false;
            tokens.extend([token.clone(), marked(ASOF)]);
            i += 1;
        } else if let Some(end) = end_of_group(&old, i + 1).filter(|_| *here && word_at(i, MATCH_CONDITION)) {
            *here = false;
            tokens.extend([marked("ON"), marked(ASOF), marked(MATCH_CONDITION)]);
            tokens.extend_from_slice(&old[i + 1..end]);
            i = end;
        } else {
            tokens.push(token.clone());
            i += 1;
        }
    }
}

/// The place after the parenthesis that closes the one at `start`.
fn end_of_group(tokens: &[TokenWithSpan], start: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        match depth {
            0 if at > start => return Some(at + 1),
            ..=0 => return None,
            1.. => {}
        }
    }
    None
}

/// Whether the condition of an ASOF join is next.
pub(crate) fn is_marked(parser: &Parser) -> bool {
    let before = parser.index().checked_sub(1).map(|i| &parser.token_at(i).token);
    is_word(&parser.peek_token_ref().token, ASOF) && before.is_some_and(|token| is_word(token, "ON"))
}

/// The condition after its mark, with the mark as its prefix.
pub(crate) fn parse_condition(parser: &mut Parser) -> Result<Expr, ParserError> {
    let word = parser.next_token();
    let value = match eat(parser, MATCH_CONDITION) {
        true => parse_match_condition(parser)?,
        false => parser.parse_expr()?,
    };
    Ok(Expr::Prefixed {
        prefix: Ident::with_span(word.span, ASOF),
        value: Box::new(value),
    })
}

/// `(c) [ON d]`: both must hold.
fn parse_match_condition(parser: &mut Parser) -> Result<Expr, ParserError> {
    let nearest = parser.parse_expr()?;
    if !eat(parser, "ON") {
        return Ok(nearest);
    }
    let beside = Expr::Nested(Box::new(parser.parse_expr()?));
    let (left, right) = (Box::new(nearest), Box::new(beside));
    let op = BinaryOperator::And;
    Ok(Expr::BinaryOp { left, op, right })
}
