//! [`Reader`]: a cursor over one statement's tokens. Our own grammar reads words with it; where PostgreSQL's grammar
//! is sqlparser's, it hands over to sqlparser's parser, which stands at the same token.

use sqlparser::ast;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Word};

use crate::dialect::HighwaterDialect;
use crate::error::ParseError;
use crate::limits::MAX_RECURSION;
use crate::reserved::is_reserved;
use crate::source::{Source, StatementTokens};
use crate::window::{self, is_word};

/// Why reading stopped: sqlparser's error, still without PostgreSQL's words, or ours.
#[derive(Debug)]
pub(crate) enum Stop {
    Parser(ParserError),
    Error(ParseError),
}

impl From<ParserError> for Stop {
    fn from(error: ParserError) -> Stop {
        Stop::Parser(error)
    }
}

impl From<ParseError> for Stop {
    fn from(error: ParseError) -> Stop {
        Stop::Error(error)
    }
}

pub(crate) type Read<T> = Result<T, Stop>;

/// A cursor over a statement.
pub(crate) struct Reader<'a> {
    pub(crate) parser: Parser<'a>,
    source: &'a Source<'a>,
    length: usize,
    semicolon: Option<Location>,
    /// `EMIT ...` at the end of the statement, until the view that it belongs to takes it.
    pub(crate) emit: Option<Emit>,
}

/// EMIT CHANGES or EMIT ON WINDOW CLOSE, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emit {
    pub(crate) on_window_close: bool,
    start: Location,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source<'a>, mut statement: StatementTokens) -> Reader<'a> {
        let emit = take_emit(&mut statement.tokens);
        Reader {
            length: statement.tokens.len(),
            semicolon: statement.semicolon,
            parser: Parser::new(&HighwaterDialect)
                .with_recursion_limit(MAX_RECURSION)
                .with_tokens_with_locations(statement.tokens),
            source,
            emit,
        }
    }

    /// The next token.
    pub(crate) fn peek(&self) -> &Token {
        self.peek_nth(0)
    }

    /// The token after `n` others.
    pub(crate) fn peek_nth(&self, n: usize) -> &Token {
        &self.parser.token_at(self.parser.index() + n).token
    }

    /// Whether the next words are these.
    pub(crate) fn peek_is(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(n, w)| is_word(self.peek_nth(n), w))
    }

    /// Reads these words if they are next.
    pub(crate) fn eat(&mut self, words: &str) -> bool {
        let found = self.peek_is(words);
        if found {
            words.split(' ').for_each(|_| self.parser.advance_token());
        }
        found
    }

    /// The first of these that is next, read.
    pub(crate) fn eat_any<'w>(&mut self, choices: &[&'w str]) -> Option<&'w str> {
        choices.iter().copied().find(|words| self.eat(words))
    }

    /// Reads these words, which must be next.
    pub(crate) fn expect(&mut self, words: &str) -> Read<()> {
        for word in words.split(' ') {
            if !self.eat(word) {
                return self.unexpected();
            }
        }
        Ok(())
    }

    pub(crate) fn eat_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    pub(crate) fn expect_token(&mut self, token: &Token) -> Read<()> {
        if self.eat_token(token) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    /// Whether nothing is left.
    pub(crate) fn at_end(&self) -> bool {
        *self.peek() == Token::EOF
    }

    /// The next token cannot stand here.
    pub(crate) fn unexpected<T>(&self) -> Read<T> {
        Err(Stop::Error(self.syntax_error(self.parser.index())))
    }

    /// The construct that starts at the token `mark` is not built.
    pub(crate) fn unsupported<T>(&self, mark: usize, what: impl Into<String>, hint: &'static str) -> Read<T> {
        Err(Stop::Error(ParseError::Unsupported {
            what: what.into(),
            hint,
            position: self.position(mark),
        }))
    }

    /// The place of a token, for [`Reader::text_from`] and errors.
    pub(crate) fn mark(&self) -> usize {
        self.parser.index()
    }

    /// Goes back to a mark.
    pub(crate) fn rewind(&mut self, mark: usize) {
        window::rewind(&mut self.parser, mark);
    }

    /// A token's position, in characters of the whole string from 1.
    pub(crate) fn position(&self, mark: usize) -> usize {
        match self.token(mark) {
            Some(token) => self.source.char_offset(token.span.start) + 1,
            None => self.end_position(),
        }
    }

    /// The line and column at which a token starts, from 1.
    pub(crate) fn place(&self, mark: usize) -> (u64, u64) {
        match self.token(mark) {
            Some(token) => (token.span.start.line, token.span.start.column),
            None => (1, 1),
        }
    }

    /// The text from a token up to the cursor, and how many characters stand before it.
    pub(crate) fn text_from(&self, mark: usize) -> (String, usize) {
        let last = self.parser.index().min(self.length).checked_sub(1);
        match (self.token(mark), last.and_then(|i| self.token(i))) {
            (Some(first), Some(last)) if last.span.end > first.span.start => {
                let text = self.source.text(first.span.start, last.span.end);
                (text.to_string(), self.source.char_offset(first.span.start))
            }
            _ => (String::new(), self.position(mark) - 1),
        }
    }

    /// All tokens of the statement.
    pub(crate) fn tokens(&self) -> Vec<TokenWithSpan> {
        (0..self.length).map(|i| self.parser.token_at(i).clone()).collect()
    }

    /// The position of what follows the statement.
    pub(crate) fn end(&self) -> Option<usize> {
        Some(self.end_position())
    }

    fn token(&self, index: usize) -> Option<&TokenWithSpan> {
        (index < self.length).then(|| self.parser.token_at(index))
    }

    fn end_position(&self) -> usize {
        match self.semicolon {
            Some(location) => self.source.char_offset(location) + 1,
            None => self.source.end_position(),
        }
    }

    /// PostgreSQL's syntax error at a token.
    pub(crate) fn syntax_error(&self, index: usize) -> ParseError {
        if let Some(token) = self.token(index) {
            return ParseError::Unexpected {
                near: self.source.token_text(token).to_string(),
                position: self.source.char_offset(token.span.start) + 1,
            };
        }
        let after = self.emit.map(|e| ("EMIT", e.start));
        match after.or(self.semicolon.map(|location| (";", location))) {
            Some((near, location)) => ParseError::Unexpected {
                near: near.to_string(),
                position: self.source.char_offset(location) + 1,
            },
            None => ParseError::UnexpectedEnd {
                position: self.end_position(),
            },
        }
    }

    /// The index of the token that starts here.
    pub(crate) fn token_starting_at(&self, location: Location) -> usize {
        let (mut low, mut high) = (0, self.length);
        while low < high {
            let middle = (low + high) / 2;
            if self.parser.token_at(middle).span.start < location {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// A name that may be given to something: not a reserved word, unless quoted.
    pub(crate) fn ident(&mut self) -> Read<ast::Ident> {
        match self.peek() {
            Token::Word(word) if word.quote_style.is_some() || !is_reserved(&word.value) => {
                Ok(self.parser.parse_identifier()?)
            }
            _ => self.unexpected(),
        }
    }

    /// A name as text: folded to lower case unless quoted.
    pub(crate) fn folded(&mut self) -> Read<String> {
        Ok(crate::fold(&self.ident()?))
    }

    /// Any word, reserved or not, folded.
    pub(crate) fn label(&mut self) -> Read<String> {
        match self.peek() {
            Token::Word(_) => Ok(crate::fold(&self.parser.parse_identifier()?)),
            _ => self.unexpected(),
        }
    }

    /// A name with or without its schema. What follows a point may be any word.
    pub(crate) fn name(&mut self) -> Read<ast::ObjectName> {
        let mut parts = vec![self.ident()?];
        while self.eat_token(&Token::Period) {
            match self.peek() {
                Token::Word(_) => parts.push(self.parser.parse_identifier()?),
                _ => return self.unexpected(),
            }
        }
        Ok(ast::ObjectName::from(parts))
    }

    /// Names in parentheses.
    pub(crate) fn idents_in_parens(&mut self) -> Read<Vec<ast::Ident>> {
        self.expect_token(&Token::LParen)?;
        let idents = self.list(Reader::ident)?;
        self.expect_token(&Token::RParen)?;
        Ok(idents)
    }

    /// One or more, parted by commas.
    pub(crate) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat_token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// The value of a string literal of any kind, if one is next.
    pub(crate) fn eat_string(&mut self) -> Option<String> {
        let value = match self.peek() {
            Token::SingleQuotedString(s) | Token::EscapedStringLiteral(s) | Token::UnicodeStringLiteral(s) => s.clone(),
            Token::DollarQuotedString(s) => s.value.clone(),
            _ => return None,
        };
        self.parser.advance_token();
        Some(value)
    }

    /// The value of a string literal.
    pub(crate) fn string(&mut self) -> Read<String> {
        match self.eat_string() {
            Some(value) => Ok(value),
            None => self.unexpected(),
        }
    }

    /// A number's text with its sign, if one is next.
    pub(crate) fn eat_number(&mut self) -> Option<String> {
        let sign = matches!(self.peek(), Token::Minus | Token::Plus);
        let Token::Number(digits, _) = self.peek_nth(usize::from(sign)) else {
            return None;
        };
        let number = match self.peek() {
            Token::Minus => format!("-{digits}"),
            _ => digits.clone(),
        };
        (0..=usize::from(sign)).for_each(|_| self.parser.advance_token());
        Some(number)
    }

    /// A word, string or number as text: what SET and options take.
    pub(crate) fn value(&mut self) -> Read<String> {
        if let Some(value) = self.eat_string().or_else(|| self.eat_number()) {
            return Ok(value);
        }
        self.label()
    }

    pub(crate) fn expr(&mut self) -> Read<ast::Expr> {
        Ok(self.parser.parse_expr()?)
    }

    pub(crate) fn query(&mut self) -> Read<Box<ast::Query>> {
        Ok(self.parser.parse_query()?)
    }

    pub(crate) fn data_type(&mut self) -> Read<ast::DataType> {
        Ok(self.parser.parse_data_type()?)
    }

    /// Turns why reading stopped into PostgreSQL's words.
    pub(crate) fn error(&self, stop: Stop) -> ParseError {
        let message = match stop {
            Stop::Error(error) => return error,
            Stop::Parser(ParserError::RecursionLimitExceeded) => {
                return ParseError::TooDeep {
                    position: self.position(self.parser.index()),
                };
            }
            Stop::Parser(ParserError::ParserError(message) | ParserError::TokenizerError(message)) => message,
        };
        let index = match location_in(&message) {
            Some(location) => self.token_starting_at(location),
            None if message.contains("found: EOF") => self.length,
            None => self.parser.index().min(self.length),
        };
        self.syntax_error(index)
    }
}

/// The location at the end of sqlparser's message.
fn location_in(message: &str) -> Option<Location> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location::new(line.parse().ok()?, column.trim().parse().ok()?))
}

/// Cuts EMIT CHANGES or EMIT ON WINDOW CLOSE off the end of a CREATE VIEW, where sqlparser would take EMIT for
/// an alias.
fn take_emit(tokens: &mut Vec<TokenWithSpan>) -> Option<Emit> {
    let starts = |word: &str| tokens.first().is_some_and(|t| is_word(&t.token, word));
    if !starts("CREATE") && !starts("EXPLAIN") {
        return None;
    }
    let ends = |words: &[&str]| {
        let from = tokens.len().checked_sub(words.len())?;
        let same = tokens[from..].iter().zip(words).all(|(t, w)| is_word(&t.token, w));
        same.then_some(from)
    };
    let close = ends(&["EMIT", "ON", "WINDOW", "CLOSE"]);
    let from = close.or_else(|| ends(&["EMIT", "CHANGES"]))?;
    let start = tokens[from].span.start;
    tokens.truncate(from);
    Some(Emit {
        on_window_close: close.is_some(),
        start,
    })
}

/// An unquoted word of a token.
pub(crate) fn word_of(token: &Token) -> Option<&str> {
    match token {
        Token::Word(Word {
            value,
            quote_style: None,
            ..
        }) => Some(value),
        _ => None,
    }
}
