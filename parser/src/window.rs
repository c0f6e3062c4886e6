//! TUMBLE, HOP, CUMULATE and SESSION in a FROM clause: how they stand in sqlparser's syntax tree.
//!
//! A window function is a [`TableFactor::Table`] whose unquoted name is the function's and which has arguments.
//! Both spellings make the same tree: before parsing, `TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), ...))` is
//! rewritten, token by token, to `TUMBLE(clicks, ts, ...)`. The first argument is
//!
//! | written | expression |
//! |---|---|
//! | `clicks`, `s.clicks` | [`Expr::Identifier`], [`Expr::CompoundIdentifier`] |
//! | `(SELECT ...)` | [`Expr::Subquery`] |
//! | either, `AS c` | [`Expr::Named`] around it |
//! | any of these, `PARTITION BY a, b` | an [`Expr::Function`] named `PARTITION BY`: the input, then the columns |
//!
//! Nobody has to know this table: [`window_call`] takes a table factor apart.
//!
//! `FOR SYSTEM_TIME AS OF e` is sqlparser's own `TableVersion::ForSystemTimeAsOf`.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Query,
    TableFactor,
};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::asof;
use crate::error::ParseError;

/// The window functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowFunction {
    /// Every row in one window.
    Tumble,
    /// Overlapping windows of one size.
    Hop,
    /// Windows that grow step by step up to a size.
    Cumulate,
    /// Windows that end with a gap.
    Session,
}

/// A window function in a FROM clause, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowCall<'a> {
    /// Which one.
    pub function: WindowFunction,
    /// Its rows.
    pub input: WindowInput<'a>,
    /// The input's alias, written inside the call. (An alias after the call is the table factor's own.)
    pub input_alias: Option<&'a Ident>,
    /// PARTITION BY, of SESSION.
    pub partition_by: Vec<&'a Expr>,
    /// The time column.
    pub time: &'a Expr,
    /// The intervals, in this order whatever was written: TUMBLE size, offset; HOP slide, size, offset;
    /// CUMULATE step, size, offset; SESSION gap. Offsets may be missing.
    pub intervals: Vec<&'a Expr>,
}

/// What a window function reads.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowInput<'a> {
    /// A table, source or view.
    Relation(ObjectName),
    /// A subquery.
    Query(&'a Query),
}

impl WindowFunction {
    const ALL: [WindowFunction; 4] = [
        WindowFunction::Tumble,
        WindowFunction::Hop,
        WindowFunction::Cumulate,
        WindowFunction::Session,
    ];

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            WindowFunction::Tumble => "TUMBLE",
            WindowFunction::Hop => "HOP",
            WindowFunction::Cumulate => "CUMULATE",
            WindowFunction::Session => "SESSION",
        }
    }

    /// The names of its arguments, for `name => value`.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            WindowFunction::Tumble => &["data", "timecol", "size", "offset"],
            WindowFunction::Hop => &["data", "timecol", "slide", "size", "offset"],
            WindowFunction::Cumulate => &["data", "timecol", "step", "size", "offset"],
            WindowFunction::Session => &["data", "timecol", "gap"],
        }
    }

    /// How many arguments must be there.
    fn required(self) -> usize {
        match self {
            WindowFunction::Tumble | WindowFunction::Session => 3,
            WindowFunction::Hop | WindowFunction::Cumulate => 4,
        }
    }

    fn usage(self) -> &'static str {
        match self {
            WindowFunction::Tumble => "Call it as TUMBLE(table, time column, size [, offset]).",
            WindowFunction::Hop => "Call it as HOP(table, time column, slide, size [, offset]).",
            WindowFunction::Cumulate => "Call it as CUMULATE(table, time column, step, size [, offset]).",
            WindowFunction::Session => "Call it as SESSION(table [PARTITION BY columns], time column, gap).",
        }
    }

    fn named(word: &str) -> Option<WindowFunction> {
        WindowFunction::ALL
            .into_iter()
            .find(|f| f.name().eq_ignore_ascii_case(word))
    }

    fn of_token(token: &Token) -> Option<WindowFunction> {
        match token {
            Token::Word(Word {
                value,
                quote_style: None,
                ..
            }) => WindowFunction::named(value),
            _ => None,
        }
    }
}

/// The name of the function that carries PARTITION BY; no SQL can write it.
const PARTITION_BY: &str = "PARTITION BY";
/// Takes a table factor apart when it is a window function.
pub fn window_call(factor: &TableFactor) -> Option<Result<WindowCall<'_>, ParseError>> {
    let TableFactor::Table {
        name, args: Some(args), ..
    } = factor
    else {
        return None;
    };
    let [part] = name.0.as_slice() else { return None };
    let ident = part.as_ident().filter(|i| i.quote_style.is_none())?;
    let function = WindowFunction::named(&ident.value)?;
    Some(call_of(function, &args.args).ok_or(ParseError::WindowArguments {
        function: function.name(),
        usage: function.usage(),
    }))
}

fn call_of(function: WindowFunction, args: &[FunctionArg]) -> Option<WindowCall<'_>> {
    let names = function.arguments();
    let mut slots: Vec<Option<&Expr>> = vec![None; names.len()];
    for (i, arg) in args.iter().enumerate() {
        let (slot, value) = match arg {
            FunctionArg::Unnamed(value) => (i, value),
            FunctionArg::Named { name, arg, .. } => {
                let slot = names.iter().position(|n| n.eq_ignore_ascii_case(&name.value))?;
                (slot, arg)
            }
            FunctionArg::ExprNamed { .. } => return None,
        };
        let FunctionArgExpr::Expr(value) = value else {
            return None;
        };
        if slots.get_mut(slot)?.replace(value).is_some() {
            return None;
        }
    }
    let given = slots.iter().take_while(|s| s.is_some()).count();
    if given < function.required() || slots[given..].iter().any(Option::is_some) {
        return None;
    }
    let mut values = slots.into_iter().flatten();
    let (input, input_alias, partition_by) = input_of(values.next()?)?;
    Some(WindowCall {
        function,
        input,
        input_alias,
        partition_by,
        time: values.next()?,
        intervals: values.collect(),
    })
}

fn input_of(expr: &Expr) -> Option<(WindowInput<'_>, Option<&Ident>, Vec<&Expr>)> {
    match expr {
        Expr::Identifier(ident) => Some((WindowInput::Relation(ident.clone().into()), None, Vec::new())),
        Expr::CompoundIdentifier(parts) => Some((WindowInput::Relation(parts.clone().into()), None, Vec::new())),
        Expr::Subquery(query) => Some((WindowInput::Query(query), None, Vec::new())),
        Expr::Named { expr, name } => {
            let (input, _, partition_by) = input_of(expr)?;
            Some((input, Some(name), partition_by))
        }
        Expr::Function(Function {
            name,
            args: FunctionArguments::List(list),
            ..
        }) if name.to_string() == format!("\"{PARTITION_BY}\"") => {
            let mut exprs = list.args.iter().map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            });
            let (input, alias, _) = input_of(exprs.next()??)?;
            Some((input, alias, exprs.collect::<Option<Vec<_>>>()?))
        }
        _ => None,
    }
}

/// Brings the standard spelling of window functions to the short one, and ASOF joins to plain ones with a marked
/// condition.
pub(crate) fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    if tokens.iter().any(|t| WindowFunction::of_token(&t.token).is_some()) {
        *tokens = without_standard_words(std::mem::take(tokens));
    }
    asof::rewrite(tokens);
}

fn without_standard_words(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    /// What an open parenthesis belongs to.
    enum Paren {
        Window,
        Dropped,
        Other,
    }
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut open: Vec<Paren> = Vec::new();
    let at = |i: usize| tokens.get(i).map_or(&Token::EOF, |t| &t.token);
    let mut i = 0;
    while i < tokens.len() {
        let token = at(i);
        let in_window = matches!(open.last(), Some(Paren::Window));
        if is_word(token, "TABLE") && *at(i + 1) == Token::LParen && WindowFunction::of_token(at(i + 2)).is_some() {
            open.push(Paren::Dropped);
            i += 2;
            continue;
        }
        if in_window && is_word(token, "DESCRIPTOR") && *at(i + 1) == Token::LParen {
            open.push(Paren::Dropped);
            i += 2;
            continue;
        }
        let starts_argument = out
            .last()
            .is_some_and(|t| matches!(t.token, Token::LParen | Token::RArrow));
        if in_window && starts_argument && is_word(token, "TABLE") {
            i += 1;
            continue;
        }
        match token {
            Token::LParen => {
                let window = i > 0 && WindowFunction::of_token(at(i - 1)).is_some();
                open.push(if window { Paren::Window } else { Paren::Other });
            }
            Token::RParen if matches!(open.pop(), Some(Paren::Dropped)) => {
                i += 1;
                continue;
            }
            _ => {}
        }
        out.push(tokens[i].clone());
        i += 1;
    }
    out
}

/// The dialect's part: the first argument of a window function, and the condition of an ASOF join.
pub(crate) fn parse_prefix(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let index = parser.index();
    let before = |n: usize| index.checked_sub(n).map(|i| &parser.token_at(i).token);
    if asof::is_marked(parser) {
        return Some(asof::parse_condition(parser));
    }
    // The argument is the first after the parenthesis, or follows `data =>`.
    let paren = match before(1) {
        Some(Token::LParen) => before(2),
        Some(Token::RArrow) if before(3) == Some(&Token::LParen) => before(4),
        _ => None,
    };
    paren.and_then(WindowFunction::of_token)?;
    parse_input(parser).transpose()
}

/// The first argument when it has an alias or PARTITION BY; `None` leaves it to the ordinary rules.
fn parse_input(parser: &mut Parser) -> Result<Option<Expr>, ParserError> {
    let start = parser.index();
    let input = match parser.peek_nth_token_ref(0).token {
        Token::LParen => parse_subquery(parser)?,
        Token::Word(_) => parse_relation(parser)?,
        _ => None,
    };
    let Some(mut input) = input else {
        rewind(parser, start);
        return Ok(None);
    };
    let explicit = eat(parser, "AS");
    if explicit
        || matches!(&parser.peek_token_ref().token, Token::Word(w) if !w.value.eq_ignore_ascii_case("PARTITION"))
    {
        let name = parser.parse_identifier()?;
        input = Expr::Named {
            expr: Box::new(input),
            name,
        };
    }
    if is_word(&parser.peek_token_ref().token, "PARTITION") {
        input = parse_partition(parser, input)?;
    }
    if parser.peek_token_ref().token != Token::Comma && !matches!(input, Expr::Subquery(_)) {
        rewind(parser, start);
        return Ok(None);
    }
    Ok(Some(input))
}

fn parse_subquery(parser: &mut Parser) -> Result<Option<Expr>, ParserError> {
    let query = ["SELECT", "WITH", "VALUES"]
        .iter()
        .any(|w| is_word(&parser.peek_nth_token_ref(1).token, w));
    if !query {
        return Ok(None);
    }
    parser.expect_token(&Token::LParen)?;
    let query = parser.parse_query()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Some(Expr::Subquery(query)))
}

fn parse_relation(parser: &mut Parser) -> Result<Option<Expr>, ParserError> {
    let mut parts = vec![parser.parse_identifier()?];
    while parser.consume_token(&Token::Period) {
        parts.push(parser.parse_identifier()?);
    }
    if parser.peek_token_ref().token == Token::LParen {
        return Ok(None);
    }
    Ok(Some(if parts.len() == 1 {
        Expr::Identifier(parts.remove(0))
    } else {
        Expr::CompoundIdentifier(parts)
    }))
}

/// `PARTITION BY a, b` up to the time column: the last two arguments are the time column and the gap.
fn parse_partition(parser: &mut Parser, input: Expr) -> Result<Expr, ParserError> {
    parser.next_token();
    if !eat(parser, "BY") {
        return parser.expected("BY", parser.peek_token());
    }
    let mut columns = Vec::new();
    if parser.consume_token(&Token::LParen) {
        columns = parser.parse_comma_separated(Parser::parse_expr)?;
        parser.expect_token(&Token::RParen)?;
    } else {
        let mut left = commas_to_close(parser).saturating_sub(1).max(1);
        while left > 0 {
            columns.push(parser.parse_expr()?);
            left -= 1;
            if left > 0 {
                parser.expect_token(&Token::Comma)?;
            }
        }
    }
    let argument = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    Ok(Expr::Function(Function {
        name: ObjectName::from(Ident::with_quote('"', PARTITION_BY)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: std::iter::once(input).chain(columns).map(argument).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }))
}

/// How many commas stand between here and the closing parenthesis, at this depth.
fn commas_to_close(parser: &Parser) -> usize {
    let (mut depth, mut commas, mut n) = (0usize, 0, 0);
    loop {
        match parser.peek_nth_token_ref(n).token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return commas,
            Token::RParen => depth -= 1,
            Token::Comma if depth == 0 => commas += 1,
            Token::EOF => return commas,
            _ => {}
        }
        n += 1;
    }
}

/// Goes back to the token of this number.
pub(crate) fn rewind(parser: &mut Parser, index: usize) {
    while parser.index() > index {
        parser.prev_token();
    }
}

pub(crate) fn eat(parser: &mut Parser, word: &str) -> bool {
    let found = is_word(&parser.peek_token_ref().token, word);
    if found {
        parser.advance_token();
    }
    found
}

/// Whether a token is this word, unquoted.
pub(crate) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}
