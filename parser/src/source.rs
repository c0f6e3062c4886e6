//! [`Source`]: a query string and its tokens, statement by statement, and the way from sqlparser's lines and
//! columns to characters and bytes.
//!
//! Everything here is linear in the text. White space and comments are dropped, strings that only a line break parts
//! are joined, and words that sqlparser would take for more than they are in PostgreSQL lose their keyword.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

use crate::dialect::{HighwaterDialect, NEVER_SPECIAL, SPECIAL_FORMS};
use crate::error::ParseError;
use crate::limits;
use crate::{spelling, window};

/// A query string.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    sql: &'a str,
    /// For each line, the number of characters before it.
    lines: Vec<usize>,
    /// For a text that is not ASCII: the byte offset of every `MARK`th character.
    marks: Option<Vec<usize>>,
}

/// The tokens of one statement.
#[derive(Debug)]
pub(crate) struct StatementTokens {
    /// Without the semicolon.
    pub(crate) tokens: Vec<TokenWithSpan>,
    /// Where the semicolon stands, when there is one.
    pub(crate) semicolon: Option<Location>,
}

/// Distance of the marks in a text that is not ASCII, in characters.
const MARK: usize = 64;

impl<'a> Source<'a> {
    pub(crate) fn new(sql: &'a str) -> Source<'a> {
        let mut lines = vec![0];
        if sql.is_ascii() {
            lines.extend(sql.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1));
            return Source {
                sql,
                lines,
                marks: None,
            };
        }
        let mut marks = Vec::new();
        for (i, (byte, c)) in sql.char_indices().enumerate() {
            if i % MARK == 0 {
                marks.push(byte);
            }
            if c == '\n' {
                lines.push(i + 1);
            }
        }
        Source {
            sql,
            lines,
            marks: Some(marks),
        }
    }

    /// Characters before this location.
    pub(crate) fn char_offset(&self, location: Location) -> usize {
        let line = (location.line as usize).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(0);
        start + (location.column as usize).saturating_sub(1)
    }

    fn byte_offset(&self, chars: usize) -> usize {
        let Some(marks) = &self.marks else {
            return chars.min(self.sql.len());
        };
        let mark = (chars / MARK).min(marks.len().saturating_sub(1));
        let base = marks.get(mark).copied().unwrap_or(0);
        let rest = chars - mark * MARK;
        let walked = self.sql[base..].char_indices().nth(rest).map(|(i, _)| i);
        walked.map_or(self.sql.len(), |i| base + i)
    }

    /// The text between two locations.
    pub(crate) fn text(&self, from: Location, to: Location) -> &'a str {
        self.between(self.byte_of(from), self.byte_of(to))
    }

    /// Bytes before this location.
    pub(crate) fn byte_of(&self, location: Location) -> usize {
        self.byte_offset(self.char_offset(location))
    }

    /// The text between two numbers of bytes, or up to its end.
    pub(crate) fn between(&self, from: usize, to: usize) -> &'a str {
        let from = from.min(self.sql.len());
        &self.sql[from..to.clamp(from, self.sql.len())]
    }

    /// The text of a token.
    pub(crate) fn token_text(&self, token: &TokenWithSpan) -> &'a str {
        self.text(token.span.start, token.span.end)
    }

    /// The position just past the last character, from 1.
    pub(crate) fn end_position(&self) -> usize {
        self.sql.chars().count() + 1
    }

    /// Cuts the text into tokens, and these into statements. Statements without a token are left out.
    pub(crate) fn statements(&self) -> Result<Vec<StatementTokens>, ParseError> {
        limits::check_size(self.sql)?;
        let tokens = Tokenizer::new(&HighwaterDialect, self.sql)
            .tokenize_with_location()
            .map_err(|e| self.lexical_error(&e.message, e.location))?;
        let mut statements = Vec::new();
        let mut current = Vec::new();
        let mut new_line = false;
        for token in tokens {
            match &token.token {
                Token::Whitespace(space) => {
                    new_line |= ends_line(space);
                    continue;
                }
                Token::SemiColon => {
                    let semicolon = Some(token.span.start);
                    push(&mut statements, std::mem::take(&mut current), semicolon);
                }
                Token::SingleQuotedString(more) if new_line => match current.last_mut() {
                    Some(TokenWithSpan {
                        token: Token::SingleQuotedString(string) | Token::EscapedStringLiteral(string),
                        span,
                    }) => {
                        string.push_str(more);
                        span.end = token.span.end;
                    }
                    _ => current.push(token),
                },
                // sqlparser would take the string for an alias.
                Token::SingleQuotedString(_) if current.last().is_some_and(is_literal) => {
                    return Err(ParseError::Unexpected {
                        near: self.token_text(&token).to_string(),
                        position: self.char_offset(token.span.start) + 1,
                    });
                }
                _ => current.push(token),
            }
            new_line = false;
        }
        push(&mut statements, current, None);
        for statement in &mut statements {
            limits::check_depth(self, &statement.tokens)?;
            make_names(&mut statement.tokens);
            spelling::rewrite(&mut statement.tokens);
            window::rewrite(&mut statement.tokens);
            fill_empty_lists(&mut statement.tokens);
        }
        Ok(statements)
    }

    /// The tokenizer's error in PostgreSQL's words. Its location is where the token starts, or where it gave up.
    fn lexical_error(&self, message: &str, location: Location) -> ParseError {
        let chars = self.char_offset(location);
        let near = self.sql[self.byte_offset(chars)..].to_string();
        let position = chars + 1;
        let what = if message.contains("comment") {
            // The tokenizer reports where the text ends; PostgreSQL points at the comment's start.
            return self.unterminated("/* comment", "/*");
        } else if message.contains("dollar") {
            "dollar-quoted string"
        } else if message.contains("close delimiter") || message.contains("quoted identifier") {
            "quoted identifier"
        } else if message.contains("Unterminated") {
            "quoted string"
        } else {
            let what = message.to_lowercase();
            return ParseError::BadToken { what, near, position };
        };
        ParseError::Unterminated { what, near, position }
    }

    fn unterminated(&self, what: &'static str, start: &str) -> ParseError {
        let byte = self.sql.rfind(start).unwrap_or(0);
        ParseError::Unterminated {
            what,
            near: self.sql[byte..].to_string(),
            position: self.sql[..byte].chars().count() + 1,
        }
    }
}

/// A SELECT may have no list: `exists (select)`. sqlparser reads that only before a FROM, so it gets one, of one row.
fn fill_empty_lists(tokens: &mut Vec<TokenWithSpan>) {
    let is_empty = |tokens: &[TokenWithSpan], index: usize| {
        window::is_word(&tokens[index].token, "SELECT") && tokens.get(index + 1).is_none_or(follows_no_list)
    };
    if !(0..tokens.len()).any(|index| is_empty(tokens, index)) {
        return;
    }
    let mut filled = Vec::with_capacity(tokens.len());
    for index in 0..tokens.len() {
        let token = tokens[index].clone();
        let span = token.span;
        filled.push(token);
        if is_empty(tokens, index) {
            filled.extend(one_row().map(|token| TokenWithSpan { token, span }));
        }
    }
    *tokens = filled;
}

/// What may come after a SELECT without a list.
fn follows_no_list(token: &TokenWithSpan) -> bool {
    token.token == Token::RParen
        || ["WHERE", "UNION", "EXCEPT", "INTERSECT"]
            .iter()
            .any(|word| window::is_word(&token.token, word))
}

/// `FROM (VALUES (0)) AS "?empty?"`
fn one_row() -> impl Iterator<Item = Token> {
    let zero = Token::Number("0".to_string(), false);
    [
        Token::make_keyword("FROM"),
        Token::LParen,
        Token::make_keyword("VALUES"),
        Token::LParen,
        zero,
        Token::RParen,
        Token::RParen,
        Token::make_keyword("AS"),
        Token::make_word("?empty?", Some('"')),
    ]
    .into_iter()
}

fn push(statements: &mut Vec<StatementTokens>, tokens: Vec<TokenWithSpan>, semicolon: Option<Location>) {
    if !tokens.is_empty() {
        statements.push(StatementTokens { tokens, semicolon });
    }
}

fn is_literal(token: &TokenWithSpan) -> bool {
    matches!(
        token.token,
        Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) | Token::Number(_, _)
    )
}

fn ends_line(space: &Whitespace) -> bool {
    matches!(space, Whitespace::Newline | Whitespace::SingleLineComment { .. })
}

/// Takes the keyword from words that stand where they are only names.
fn make_names(tokens: &mut [TokenWithSpan]) {
    for i in 0..tokens.len() {
        let next = tokens.get(i + 1).map_or(Token::EOF, |t| match &t.token {
            Token::LParen => Token::LParen,
            Token::Word(w) if w.keyword == Keyword::TIME => Token::Period,
            _ => Token::EOF,
        });
        let number_follows = matches!(tokens.get(i + 2).map(|t| &t.token), Some(Token::Number(_, _)));
        let Token::Word(word) = &mut tokens[i].token else {
            continue;
        };
        let opens = next == Token::LParen;
        let name = match word.keyword {
            keyword if NEVER_SPECIAL.contains(&keyword) => true,
            // `AT (...)` and its kind after a table name mean a version of it; `AT TIME ZONE` stays.
            Keyword::AT => next != Token::Period,
            Keyword::BEFORE | Keyword::CHANGES => true,
            Keyword::INTERVAL => opens && !number_follows,
            keyword => SPECIAL_FORMS.contains(&keyword) && !opens,
        };
        if name {
            word.keyword = Keyword::NoKeyword;
        }
    }
}
