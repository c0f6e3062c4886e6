//! [`rewrite`]: spellings of PostgreSQL that sqlparser does not read, as tokens that it does read and that mean the
//! same.
//!
//! | written | read |
//! |---|---|
//! | `a ? 'k'`, `?\|`, `?&` | the operators, not parameters of another dialect |
//! | `a ISNULL`, `a NOTNULL` | `a IS NULL`, `a IS NOT NULL` |
//! | `trim(BOTH FROM a)` | `trim(BOTH a)` |
//! | `substring(a SIMILAR p ESCAPE e)` | `substring(a FROM p FOR e)` |

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::window::is_word;

/// Rewrites the tokens of one statement. Linear in their number.
pub(crate) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    if !tokens.iter().any(is_special) {
        return;
    }
    let old = std::mem::take(tokens);
    // For each open parenthesis, whether it is that of `substring`.
    let mut opened = Vec::new();
    let mut i = 0;
    while i < old.len() {
        let token = &old[i];
        let next = old.get(i + 1);
        match &token.token {
            Token::LParen => opened.push(tokens.last().is_some_and(|t| is_word(&t.token, "SUBSTRING"))),
            Token::RParen => {
                opened.pop();
            }
            Token::Placeholder(mark) if mark == "?" => {
                let (operator, length) = match next {
                    Some(t) if t.token == Token::Pipe && touches(token, t) => (Token::QuestionPipe, 2),
                    Some(t) if t.token == Token::Ampersand && touches(token, t) => (Token::QuestionAnd, 2),
                    _ => (Token::Question, 1),
                };
                tokens.push(TokenWithSpan::new(operator, token.span));
                i += length;
                continue;
            }
            _ if is_null_test(&token.token, tokens.last(), next) => {
                tokens.push(TokenWithSpan::new(Token::make_keyword("IS"), token.span));
                if is_word(&token.token, "NOTNULL") {
                    tokens.push(TokenWithSpan::new(Token::make_keyword("NOT"), token.span));
                }
                tokens.push(TokenWithSpan::new(Token::make_keyword("NULL"), token.span));
                i += 1;
                continue;
            }
            word if is_trim_side(word) && next.is_some_and(|t| is_word(&t.token, "FROM")) => {
                tokens.push(token.clone());
                i += 2;
                continue;
            }
            word if opened.last() == Some(&true) && is_word(word, "SIMILAR") => {
                tokens.push(TokenWithSpan::new(Token::make_keyword("FROM"), token.span));
                i += 1;
                continue;
            }
            word if opened.last() == Some(&true) && is_word(word, "ESCAPE") => {
                tokens.push(TokenWithSpan::new(Token::make_keyword("FOR"), token.span));
                i += 1;
                continue;
            }
            _ => {}
        }
        tokens.push(token.clone());
        i += 1;
    }
}

fn is_special(token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Placeholder(mark) => mark == "?",
        Token::Word(word) => {
            matches!(
                word.keyword,
                Keyword::BOTH | Keyword::LEADING | Keyword::TRAILING | Keyword::SIMILAR
            ) || ["ISNULL", "NOTNULL"].iter().any(|w| is_word(&token.token, w))
        }
        _ => false,
    }
}

fn touches(left: &TokenWithSpan, right: &TokenWithSpan) -> bool {
    left.span.end == right.span.start
}

fn is_trim_side(token: &Token) -> bool {
    ["BOTH", "LEADING", "TRAILING"].iter().any(|side| is_word(token, side))
}

/// Whether the word stands behind a value. Both words are reserved: they are names only in quotes, after AS, or when
/// they are called.
fn is_null_test(word: &Token, before: Option<&TokenWithSpan>, after: Option<&TokenWithSpan>) -> bool {
    if !is_word(word, "ISNULL") && !is_word(word, "NOTNULL") {
        return false;
    }
    let is_called = after.is_some_and(|t| t.token == Token::LParen);
    let behind_value = before.is_some_and(|t| match &t.token {
        Token::Word(_) => !is_word(&t.token, "AS"),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::Placeholder(_)
        | Token::RParen
        | Token::RBracket => true,
        _ => false,
    });
    behind_value && !is_called
}

#[cfg(test)]
mod tests {
    use crate::parse_expr;

    #[test]
    fn spellings_of_postgresql_are_read() {
        let cases = [
            ("a ? 'k'", "a ? 'k'"),
            ("a ?| b", "a ?| b"),
            ("a ?& b", "a ?& b"),
            ("a ISNULL", "a IS NULL"),
            ("(a + 1) notnull AND b", "(a + 1) IS NOT NULL AND b"),
            ("trim(BOTH FROM a)", "TRIM(BOTH a)"),
            ("trim(LEADING 'x' FROM a)", "TRIM(LEADING 'x' FROM a)"),
            ("substring(a SIMILAR b ESCAPE '#')", "SUBSTRING(a FROM b FOR '#')"),
            ("a SIMILAR TO b ESCAPE '#'", "a SIMILAR TO b ESCAPE '#'"),
            ("- 2 ^ 2", "-2 ^ 2"),
        ];
        for (written, read) in cases {
            let expr = parse_expr(written).expect(written);
            assert_eq!(expr.to_string(), read, "{written}");
        }
    }

    #[test]
    fn a_sign_binds_more_tightly_than_a_power() {
        let expr = parse_expr("-2 ^ 2").expect("it parses");
        assert!(matches!(expr, sqlparser::ast::Expr::BinaryOp { .. }), "{expr:?}");
    }
}
