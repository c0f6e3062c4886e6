//! The `regexp_` functions that say where to begin, which match is meant, and which of its groups:
//! `regexp_count`, `regexp_instr`, `regexp_substr`, and `regexp_replace` of one match.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::Int32Type;
use highwater_types::{SqlError, SqlType};
use regex::{Captures, Regex};

use super::function::{Call, Function, Takes};
use super::pattern::{Compiled, substituted, text};
use super::rows::{Answer, Write, map_rows};
use super::string::invalid;

const T: Takes = Takes::Text;
const I: Takes = Takes::Int4;

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    let int4: fn() -> SqlType = || SqlType::Int4;
    let of_text: fn() -> SqlType = || SqlType::Text;
    let mut functions = Vec::new();
    for takes in [&[T, T][..], &[T, T, I], &[T, T, I, T]] {
        functions.push(Function::new("regexp_count", takes, int4, |c| {
            searched(c, Some(2), Some(3), |c, row, regex, start| {
                Ok(Some(Matches::new(regex, text(c, 0, row), start).count() as i32))
            })
        }));
    }
    for takes in [
        &[T, T][..],
        &[T, T, I],
        &[T, T, I, I],
        &[T, T, I, I, I],
        &[T, T, I, I, I, T],
        &[T, T, I, I, I, T, I],
    ] {
        functions.push(Function::new("regexp_instr", takes, int4, |c| {
            searched(c, Some(2), Some(5), instr)
        }));
    }
    for takes in [
        &[T, T][..],
        &[T, T, I],
        &[T, T, I, I],
        &[T, T, I, I, T],
        &[T, T, I, I, T, I],
    ] {
        functions.push(Function::new("regexp_substr", takes, of_text, |c| {
            searched(c, Some(2), Some(4), substr)
        }));
    }
    for takes in [&[T, T, T, I][..], &[T, T, T, I, I], &[T, T, T, I, I, T]] {
        functions.push(Function::new("regexp_replace", takes, of_text, |c| {
            searched(c, Some(3), Some(5), replace)
        }));
    }
    functions
}

/// Runs `f(call, row, pattern, first byte)`; the arguments in the places `start` and `flags` may be left out.
fn searched<R: Write>(
    call: &Call,
    start: Option<usize>,
    flags: Option<usize>,
    f: fn(&Call, usize, &Regex, usize) -> Answer<R>,
) -> Result<ArrayRef, SqlError> {
    let mut compiled = Compiled::default();
    map_rows(call, |row| {
        let flags = match flags.filter(|place| *place < call.args.len()) {
            Some(place) => text(call, place, row),
            None => "",
        };
        if flags.contains('g') {
            return Err(invalid(
                "regexp functions with a start do not support the \"global\" option",
            ));
        }
        let start = match start {
            Some(place) => number(call, place, row, "start", 1, 1)?,
            None => 1,
        };
        let whole = text(call, 0, row);
        let mut places = whole.char_indices().map(|(at, _)| at).chain([whole.len()]);
        // Beyond the end nothing matches.
        let start = places.nth(start as usize - 1).unwrap_or(usize::MAX);
        compiled.with(text(call, 1, row), flags, |regex| f(call, row, regex, start))
    })
}

/// A number among the arguments, or what stands for it when it is left out.
fn number(call: &Call, place: usize, row: usize, name: &str, default: i32, least: i32) -> Result<i32, SqlError> {
    let value = match call.args.get(place) {
        None => default,
        Some(arg) => arg.array.as_primitive::<Int32Type>().value(arg.at(row)),
    };
    if value < least {
        return Err(invalid(format!("invalid value for parameter \"{name}\": {value}")));
    }
    Ok(value)
}

/// Matches from a place on, in the whole text: what stands before still counts for `^` and `\b`.
struct Matches<'r, 't> {
    regex: &'r Regex,
    text: &'t str,
    at: Option<usize>,
}

impl<'r, 't> Matches<'r, 't> {
    fn new(regex: &'r Regex, text: &'t str, start: usize) -> Matches<'r, 't> {
        Matches {
            regex,
            text,
            at: Some(start).filter(|at| *at <= text.len()),
        }
    }
}

impl<'t> Iterator for Matches<'_, 't> {
    type Item = Captures<'t>;

    fn next(&mut self) -> Option<Captures<'t>> {
        let captures = self.regex.captures_at(self.text, self.at?)?;
        let found = captures.get(0)?;
        self.at = match found.is_empty() {
            false => Some(found.end()),
            true => self.text[found.end()..]
                .chars()
                .next()
                .map(|c| found.end() + c.len_utf8()),
        };
        Some(captures)
    }
}

fn instr(call: &Call, row: usize, regex: &Regex, start: usize) -> Answer<i32> {
    let nth = number(call, 3, row, "n", 1, 1)?;
    let end = number(call, 4, row, "endoption", 0, 0)?;
    if end > 1 {
        return Err(invalid(format!("invalid value for parameter \"endoption\": {end}")));
    }
    let group = number(call, 6, row, "subexpr", 0, 0)? as usize;
    let whole = text(call, 0, row);
    let found = Matches::new(regex, whole, start).nth(nth as usize - 1);
    let place = found.and_then(|c| c.get(group).map(|m| if end == 1 { m.end() } else { m.start() }));
    Ok(Some(place.map_or(0, |at| whole[..at].chars().count() as i32 + 1)))
}

fn substr(call: &Call, row: usize, regex: &Regex, start: usize) -> Answer<String> {
    let nth = number(call, 3, row, "n", 1, 1)?;
    let group = number(call, 5, row, "subexpr", 0, 0)? as usize;
    let found = Matches::new(regex, text(call, 0, row), start).nth(nth as usize - 1);
    Ok(found.and_then(|c| c.get(group).map(|m| m.as_str().to_string())))
}

/// Replaces the match of a number, or all of them for 0; without a number the first.
fn replace(call: &Call, row: usize, regex: &Regex, start: usize) -> Answer<String> {
    let nth = number(call, 4, row, "n", 1, 0)? as usize;
    let (whole, with) = (text(call, 0, row), text(call, 2, row));
    let mut out = String::new();
    let mut done = 0;
    for (at, captures) in Matches::new(regex, whole, start).enumerate() {
        if nth > 0 && at + 1 != nth {
            continue;
        }
        let found = captures.get(0).expect("a match has a whole");
        out.push_str(&whole[done..found.start()]);
        substituted(&captures, with, &mut out);
        done = found.end();
        if nth > 0 {
            break;
        }
    }
    out.push_str(&whole[done..]);
    Ok(Some(out))
}
