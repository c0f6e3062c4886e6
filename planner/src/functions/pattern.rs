//! Regular expressions: the `~` operators, the `regexp_` functions, and SIMILAR TO.
//!
//! PostgreSQL's expressions are written for the `regex` crate, whose syntax is nearly theirs; what it has not (back
//! references, look-around) is refused. A pattern is compiled once as long as it stays the same from row to row.

use std::cell::RefCell;

use arrow::array::{ArrayRef, AsArray};
use highwater_types::{SqlError, SqlState, SqlType};
use regex::{Regex, RegexBuilder};

use super::function::{Call, Function, Takes};
use super::rows::{Answer, TextLists, map_rows};

const TEXT: fn() -> SqlType = || SqlType::Text;
const BOOL: fn() -> SqlType = || SqlType::Bool;
const TEXTS: fn() -> SqlType = || SqlType::Array(Box::new(SqlType::Text));
const LISTS: fn() -> SqlType = || SqlType::Array(Box::new(SqlType::Array(Box::new(SqlType::Text))));

const TWO: &[Takes] = &[Takes::Text, Takes::Text];
const THREE: &[Takes] = &[Takes::Text, Takes::Text, Takes::Text];
const FOUR: &[Takes] = &[Takes::Text, Takes::Text, Takes::Text, Takes::Text];

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    let mut functions = vec![
        Function::new("~", TWO, BOOL, |c| matches(c, false, false)),
        Function::new("~*", TWO, BOOL, |c| matches(c, true, false)),
        Function::new("!~", TWO, BOOL, |c| matches(c, false, true)),
        Function::new("!~*", TWO, BOOL, |c| matches(c, true, true)),
        Function::new("regexp_like", TWO, BOOL, |c| matches(c, false, false)),
        Function::new("substring", TWO, TEXT, |c| with_regex(c, None, first_match)),
        Function::new("regexp_replace", THREE, TEXT, |c| {
            with_regex(c, None, |c, r, regex, _| replace(c, r, regex, false))
        }),
        Function::new("regexp_replace", FOUR, TEXT, |c| {
            with_regex(c, Some(3), |c, r, regex, flags| {
                replace(c, r, regex, flags.contains('g'))
            })
        }),
        Function::new("substring", THREE, TEXT, |c| {
            let compiled = RefCell::new(Compiled::default());
            map_rows(c, |r| {
                let pattern = similar_part(text(c, 1, r), text(c, 2, r).chars().next())?;
                compiled
                    .borrow_mut()
                    .with(&pattern, "", |regex| first_match(c, r, regex, ""))
            })
        }),
        Function::new("similar_to_escape", &[Takes::Text], TEXT, |c| {
            map_rows(c, |r| Ok(Some(similar(text(c, 0, r), Some('\\')))))
        }),
        Function::new("similar_to_escape", TWO, TEXT, |c| {
            map_rows(c, |r| Ok(Some(similar(text(c, 0, r), text(c, 1, r).chars().next()))))
        }),
    ];
    for takes in [TWO, THREE] {
        functions.extend([
            Function::new("regexp_match", takes, TEXTS, |c| with_regex(c, flags_place(c), groups)),
            Function::new("regexp_matches", takes, LISTS, |c| {
                with_regex(c, flags_place(c), all_groups)
            }),
            Function::new("regexp_split_to_array", takes, TEXTS, |c| {
                with_regex(c, flags_place(c), split)
            }),
        ]);
    }
    functions.extend(super::pattern_place::functions());
    functions.push(Function::new("regexp_like", THREE, BOOL, |c| {
        with_regex(c, Some(2), |c, r, regex, _| Ok(Some(regex.is_match(text(c, 0, r)))))
    }));
    functions
}

fn flags_place(call: &Call) -> Option<usize> {
    (call.args.len() > 2).then_some(2)
}

pub(crate) fn text(call: &Call, place: usize, row: usize) -> &str {
    let arg = &call.args[place];
    arg.array.as_string::<i32>().value(arg.at(row))
}

/// The pattern that was compiled last.
#[derive(Default)]
pub(crate) struct Compiled {
    pattern: String,
    flags: String,
    regex: Option<Regex>,
}

impl Compiled {
    pub(crate) fn with<R>(
        &mut self,
        pattern: &str,
        flags: &str,
        f: impl FnOnce(&Regex) -> Result<R, SqlError>,
    ) -> Result<R, SqlError> {
        let known = self.pattern == pattern && self.flags == flags;
        if self.regex.is_none() || !known {
            self.regex = Some(compile(pattern, flags)?);
            self.pattern = pattern.to_string();
            self.flags = flags.to_string();
        }
        f(self.regex.as_ref().expect("compiled just above"))
    }
}

/// A function of a text and a compiled pattern. `flags` is the place of the flags among the arguments.
fn with_regex<R: super::rows::Write>(
    call: &Call,
    flags: Option<usize>,
    f: fn(&Call, usize, &Regex, &str) -> Answer<R>,
) -> Result<ArrayRef, SqlError> {
    let mut compiled = Compiled::default();
    map_rows(call, |row| {
        let flags = flags.map_or("", |place| text(call, place, row));
        compiled.with(text(call, 1, row), flags, |regex| f(call, row, regex, flags))
    })
}

fn invalid(message: impl std::fmt::Display) -> SqlError {
    SqlError::new(
        SqlState::INVALID_REGULAR_EXPRESSION,
        format!("invalid regular expression: {message}"),
    )
}

/// Compiles a PostgreSQL pattern.
pub(crate) fn compile(pattern: &str, flags: &str) -> Result<Regex, SqlError> {
    let (mut ignores_case, mut by_lines, mut is_expanded) = (false, false, false);
    for flag in flags.chars() {
        match flag {
            'i' => ignores_case = true,
            'c' => ignores_case = false,
            'n' | 'm' => by_lines = true,
            's' => by_lines = false,
            'x' => is_expanded = true,
            'g' | 't' => {}
            other => {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid regular expression option: \"{other}\""),
                ));
            }
        }
    }
    let (prefix, pattern) = embedded_options(pattern);
    if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| pattern.contains(look)) {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "look-around in a regular expression is not supported",
        )
        .with_hint("Test with two expressions, joined by AND."));
    }
    ignores_case |= prefix.contains('i');
    by_lines |= prefix.contains(['n', 'm']);
    RegexBuilder::new(&translate(pattern)?)
        .case_insensitive(ignores_case)
        .multi_line(by_lines)
        .dot_matches_new_line(!by_lines)
        .ignore_whitespace(is_expanded)
        .build()
        .map_err(|error| match error {
            regex::Error::Syntax(_) => invalid(syntax_message(pattern)),
            other => invalid(other),
        })
}

/// `(?i)abc` as the options and the rest.
fn embedded_options(pattern: &str) -> (&str, &str) {
    match pattern.strip_prefix("(?").and_then(|rest| rest.split_once(')')) {
        Some((options, rest)) if !options.is_empty() && options.bytes().all(|b| b.is_ascii_lowercase()) => {
            (options, rest)
        }
        _ => ("", pattern),
    }
}

/// PostgreSQL's words for the commonest mistakes.
fn syntax_message(pattern: &str) -> &'static str {
    let count = |c| pattern.matches(c).count();
    if count('(') != count(')') {
        "parentheses () not balanced"
    } else if count('[') != count(']') {
        "brackets [] not balanced"
    } else if pattern.starts_with(['*', '+', '?']) {
        "quantifier operand invalid"
    } else {
        "invalid escape \\ sequence"
    }
}

/// PostgreSQL's escapes for those of the crate.
fn translate(pattern: &str) -> Result<String, SqlError> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut in_brackets = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                None => return Err(invalid("invalid escape \\ sequence")),
                Some('m') if !in_brackets => out.push_str(r"\b{start}"),
                Some('M') if !in_brackets => out.push_str(r"\b{end}"),
                Some('y') if !in_brackets => out.push_str(r"\b"),
                Some('Y') if !in_brackets => out.push_str(r"\B"),
                Some('Z') if !in_brackets => out.push_str(r"\z"),
                Some(digit @ '1'..='9') if !in_brackets => {
                    return Err(SqlError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        format!("a back reference in a regular expression is not supported: \\{digit}"),
                    )
                    .with_hint("Take the groups with regexp_match, and compare them."));
                }
                Some(escaped) => {
                    out.push('\\');
                    out.push(escaped);
                }
            },
            '[' if !in_brackets => {
                in_brackets = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    out.extend(chars.next());
                }
                if chars.peek() == Some(&']') {
                    chars.next();
                    out.push_str("\\]");
                }
            }
            '[' if chars.peek() == Some(&':') => out.push('['),
            ':' if in_brackets && chars.peek() == Some(&']') => {
                chars.next();
                out.push_str(":]");
            }
            '[' => out.push_str("\\["),
            ']' => {
                in_brackets = false;
                out.push(']');
            }
            '&' | '~' if in_brackets => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn matches(call: &Call, ignores_case: bool, negated: bool) -> Result<ArrayRef, SqlError> {
    let mut compiled = Compiled::default();
    let flags = if ignores_case { "i" } else { "" };
    map_rows(call, |row| {
        compiled.with(text(call, 1, row), flags, |regex| {
            Ok(Some(regex.is_match(text(call, 0, row)) != negated))
        })
    })
}

/// The first group of the first match, or all of it.
fn first_match(call: &Call, row: usize, regex: &Regex, _flags: &str) -> Answer<String> {
    let captures = regex.captures(text(call, 0, row));
    let found = captures.and_then(|c| if c.len() > 1 { c.get(1) } else { c.get(0) }.map(|m| m.as_str().to_string()));
    Ok(found)
}

fn capture_texts(captures: &regex::Captures<'_>) -> Vec<Option<String>> {
    let first = usize::from(captures.len() > 1);
    (first..captures.len())
        .map(|g| captures.get(g).map(|m| m.as_str().to_string()))
        .collect()
}

fn groups(call: &Call, row: usize, regex: &Regex, _flags: &str) -> Answer<Vec<Option<String>>> {
    Ok(regex.captures(text(call, 0, row)).map(|c| capture_texts(&c)))
}

fn all_groups(call: &Call, row: usize, regex: &Regex, flags: &str) -> Answer<TextLists> {
    let limit = if flags.contains('g') { usize::MAX } else { 1 };
    let found = regex
        .captures_iter(text(call, 0, row))
        .take(limit)
        .map(|c| capture_texts(&c));
    Ok(Some(TextLists(found.collect())))
}

fn split(call: &Call, row: usize, regex: &Regex, _flags: &str) -> Answer<Vec<Option<String>>> {
    let whole = text(call, 0, row);
    let mut parts = Vec::new();
    let mut start = 0;
    for found in regex.find_iter(whole) {
        // An empty match at either end, or right after another, cuts nothing off.
        if found.is_empty() && (found.start() == start || found.end() == whole.len()) {
            continue;
        }
        parts.push(Some(whole[start..found.start()].to_string()));
        start = found.end();
    }
    parts.push(Some(whole[start..].to_string()));
    Ok(Some(parts))
}

fn replace(call: &Call, row: usize, regex: &Regex, all: bool) -> Answer<String> {
    let (whole, with) = (text(call, 0, row), text(call, 2, row));
    let limit = if all { 0 } else { 1 };
    let replaced = regex.replacen(whole, limit, |captures: &regex::Captures<'_>| {
        let mut out = String::new();
        substituted(captures, with, &mut out);
        out
    });
    Ok(Some(replaced.into_owned()))
}

/// Appends a replacement: `\1` stands for a group, `\&` for the whole match.
pub(crate) fn substituted(captures: &regex::Captures<'_>, with: &str, out: &mut String) {
    let mut chars = with.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('&') => out.push_str(&captures[0]),
            Some(digit @ '1'..='9') => {
                let group = digit as usize - '0' as usize;
                out.push_str(captures.get(group).map_or("", |m| m.as_str()));
            }
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
}

/// SIMILAR TO's pattern as a regular expression of the whole text.
fn similar(pattern: &str, escape: Option<char>) -> String {
    format!("^(?:{})$", similar_body(pattern, escape))
}

/// `substring(text from pattern for escape)`: the part between two escaped quotes, or all.
fn similar_part(pattern: &str, escape: Option<char>) -> Result<String, SqlError> {
    let Some(escape) = escape else {
        return Ok(format!("^({})$", similar_body(pattern, None)));
    };
    let quote = format!("{escape}\"");
    let parts: Vec<&str> = pattern.split(quote.as_str()).collect();
    let body = |part: &str| similar_body(part, Some(escape));
    match parts.as_slice() {
        [all] => Ok(format!("^({})$", body(all))),
        // The first part matches as little as it can.
        [before, part, after] => {
            let before = body(before).replace(".*", ".*?");
            Ok(format!("^(?:{before})({})(?:{})$", body(part), body(after)))
        }
        _ => Err(SqlError::new(
            SqlState("2200C"),
            "SQL regular expression may not contain more than two escape-double-quote separators",
        )),
    }
}

fn similar_body(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars();
    let mut in_brackets = false;
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                match chars.next() {
                    // Escaped letters keep what they mean to a regular expression: `\d`, `\m`.
                    Some(next) if next.is_ascii() => out.extend(['\\', next]),
                    Some(next) => out.push(next),
                    None => {}
                }
            }
            '%' if !in_brackets => out.push_str(".*"),
            '_' if !in_brackets => out.push('.'),
            '(' if !in_brackets => out.push_str("(?:"),
            '.' | '^' | '$' if !in_brackets => {
                out.push('\\');
                out.push(c);
            }
            '\\' => out.push_str("\\\\"),
            c => {
                in_brackets = match c {
                    '[' => true,
                    ']' => false,
                    _ => in_brackets,
                };
                out.push(c);
            }
        }
    }
    out
}
