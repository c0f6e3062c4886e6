//! Limits on what a text may ask of memory and of the stack, checked before anything recursive sees it.
//!
//! A tree is as deep as its parentheses are nested plus as its chains of operators are long (`a + b + c` leans to
//! the left). Both are counted on the tokens, in one pass.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::ParseError;
use crate::source::Source;

/// How deep parentheses, brackets and CASE may be nested.
pub(crate) const MAX_NESTING: usize = 200;
/// How many operators may follow each other between two commas.
pub(crate) const MAX_CHAIN: usize = 1_000;
/// How many UNION, INTERSECT and EXCEPT a statement may have.
pub(crate) const MAX_SET_OPERATIONS: usize = 1_000;
/// How many tokens a query string may have. A token and what is made of it take about a kilobyte.
pub(crate) const MAX_TOKENS: usize = 2_000_000;
/// The recursion that sqlparser itself may do; unary operators are not counted here but there.
pub(crate) const MAX_RECURSION: usize = 1_000;

/// Refuses a text with too many tokens, without making them.
pub(crate) fn check_size(sql: &str) -> Result<(), ParseError> {
    if sql.len() <= MAX_TOKENS {
        return Ok(());
    }
    let mut tokens = 0usize;
    let mut quote = None;
    let mut in_word = false;
    for byte in sql.bytes() {
        if let Some(end) = quote {
            if byte == end {
                quote = None;
            }
            continue;
        }
        let word = byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        if byte == b'\'' || byte == b'"' {
            quote = Some(byte);
            tokens += 1;
        } else if !(word && in_word) {
            tokens += 1;
        }
        in_word = word;
    }
    if tokens > MAX_TOKENS {
        return Err(ParseError::TooLarge { limit: MAX_TOKENS });
    }
    Ok(())
}

/// Refuses a statement whose tree would be too deep.
pub(crate) fn check_depth(source: &Source<'_>, tokens: &[TokenWithSpan]) -> Result<(), ParseError> {
    let mut chains = vec![0usize];
    let mut set_operations = 0usize;
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                *chains.last_mut().expect("one is always left") += usize::from(token.token == Token::LBracket);
                chains.push(0);
            }
            Token::RParen | Token::RBracket | Token::RBrace => close(&mut chains),
            Token::Comma => *chains.last_mut().expect("one is always left") = 0,
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                Keyword::CASE => chains.push(0),
                Keyword::END => close(&mut chains),
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => set_operations += 1,
                Keyword::AND
                | Keyword::OR
                | Keyword::IS
                | Keyword::NOT
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::IN
                | Keyword::BETWEEN
                | Keyword::OPERATOR
                | Keyword::COLLATE
                | Keyword::AT => *chains.last_mut().expect("one is always left") += 1,
                _ => {}
            },
            Token::Word(_)
            | Token::Number(_, _)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::Period
            | Token::Placeholder(_) => {}
            _ => *chains.last_mut().expect("one is always left") += 1,
        }
        let chain = *chains.last().expect("one is always left");
        if chains.len() > MAX_NESTING || chain > MAX_CHAIN || set_operations > MAX_SET_OPERATIONS {
            return Err(ParseError::TooDeep {
                position: source.char_offset(token.span.start) + 1,
            });
        }
    }
    Ok(())
}

fn close(chains: &mut Vec<usize>) {
    if chains.len() > 1 {
        chains.pop();
    }
}
