//! Arrays (`{1,NULL,"a b"}`) and records (`(1,,"a b")`): quoting, and reading an array's elements.

use super::{is_space, trim};
use crate::{SqlError, SqlState};

/// Appends an element's text to an array, in quotes when it would read back as something else without.
pub(super) fn write_element(text: &[u8], out: &mut Vec<u8>) {
    let plain = !text.is_empty()
        && !text.eq_ignore_ascii_case(b"null")
        && !text
            .iter()
            .any(|b| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',') || is_space(*b));
    if plain {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Appends a field's text to a record, in quotes where needed.
pub(super) fn write_field(text: &[u8], out: &mut Vec<u8>) {
    let plain = !text.is_empty()
        && !text
            .iter()
            .any(|b| matches!(b, b'"' | b'\\' | b'(' | b')' | b',') || is_space(*b));
    if plain {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// The texts of an array's elements. An element that is an array itself is given as it stands, if
/// `of_arrays` says that the elements are to be arrays.
///
/// # Errors
/// 22P02 when it is not an array.
pub(super) fn split_array(text: &str, of_arrays: bool) -> Result<Vec<Option<String>>, SqlError> {
    let mut scan = ArrayScan {
        text,
        rest: trim(text),
        of_arrays,
    };
    if scan.rest.starts_with('[') {
        // Explicit bounds: `[1:2]={a,b}`. Arrays here always start at 1.
        let (bounds, elements) = scan
            .rest
            .split_once('=')
            .ok_or_else(|| scan.malformed("Missing \"=\" after array dimensions."))?;
        if bounds.contains(':') && !bounds.starts_with("[1:") {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "arrays whose first subscript is not 1 are not supported",
            )
            .with_hint("Leave the bounds out."));
        }
        scan.rest = trim(elements);
    }
    if !scan.rest.starts_with('{') {
        return Err(scan.malformed("Array value must start with \"{\" or dimension information."));
    }
    let elements = scan.elements()?;
    if !trim(scan.rest).is_empty() {
        return Err(scan.malformed("Junk after closing right brace."));
    }
    Ok(elements)
}

struct ArrayScan<'a> {
    text: &'a str,
    rest: &'a str,
    of_arrays: bool,
}

impl ArrayScan<'_> {
    fn malformed(&self, detail: &str) -> SqlError {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("malformed array literal: \"{}\"", self.text),
        )
        .with_detail(detail)
    }

    fn skip_space(&mut self) {
        self.rest = self
            .rest
            .trim_start_matches(|c: char| c.is_ascii() && is_space(c as u8));
    }

    fn elements(&mut self) -> Result<Vec<Option<String>>, SqlError> {
        let mut elements = Vec::new();
        self.rest = &self.rest[1..];
        self.skip_space();
        if let Some(rest) = self.rest.strip_prefix('}') {
            self.rest = rest;
            return Ok(elements);
        }
        loop {
            self.skip_space();
            elements.push(match self.rest.chars().next() {
                None => return Err(self.malformed("Unexpected end of input.")),
                Some('"') => Some(self.quoted()?),
                Some('{') => Some(self.nested()?),
                Some(_) => self.bare()?,
            });
            self.skip_space();
            let mut chars = self.rest.chars();
            let next = chars.next();
            self.rest = chars.as_str();
            match next {
                Some(',') => {}
                Some('}') => return Ok(elements),
                None => return Err(self.malformed("Unexpected end of input.")),
                Some('"') => return Err(self.malformed("Unexpected array element.")),
                Some(c) => return Err(self.malformed(&format!("Unexpected \"{c}\" character."))),
            }
        }
    }

    fn quoted(&mut self) -> Result<String, SqlError> {
        let mut element = String::new();
        let mut chars = self.rest[1..].chars();
        loop {
            match chars.next() {
                Some('"') => break,
                Some('\\') => element.extend(chars.next()),
                Some(c) => element.push(c),
                None => return Err(self.malformed("Unexpected end of input.")),
            }
        }
        self.rest = chars.as_str();
        Ok(element)
    }

    fn bare(&mut self) -> Result<Option<String>, SqlError> {
        let mut element = String::new();
        let mut has_escape = false;
        let mut chars = self.rest.chars();
        loop {
            let before = chars.as_str();
            match chars.next() {
                Some('\\') => {
                    has_escape = true;
                    element.extend(chars.next());
                }
                Some(',' | '}') => {
                    self.rest = before;
                    break;
                }
                Some(c @ ('{' | '"')) => return Err(self.malformed(&format!("Unexpected \"{c}\" character."))),
                Some(c) => element.push(c),
                None => return Err(self.malformed("Unexpected end of input.")),
            }
        }
        if has_escape {
            return Ok(Some(element));
        }
        let trimmed = trim(&element);
        if trimmed.is_empty() {
            let found = self.rest.chars().next().unwrap_or(',');
            return Err(self.malformed(&format!("Unexpected \"{found}\" character.")));
        }
        Ok((!trimmed.eq_ignore_ascii_case("null")).then(|| trimmed.to_string()))
    }

    /// A nested array, up to its closing brace.
    fn nested(&mut self) -> Result<String, SqlError> {
        if !self.of_arrays {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "arrays of more than one dimension are not supported",
            )
            .with_hint("Use an array of one dimension, or jsonb."));
        }
        let (mut depth, mut in_quotes, mut escaped) = (0, false, false);
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_quotes = !in_quotes,
                '{' if !in_quotes => depth += 1,
                '}' if !in_quotes => {
                    depth -= 1;
                    if depth == 0 {
                        let nested = self.rest[..=at].to_string();
                        self.rest = &self.rest[at + 1..];
                        return Ok(nested);
                    }
                }
                _ => {}
            }
        }
        Err(self.malformed("Unexpected end of input."))
    }
}
