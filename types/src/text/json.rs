//! JSON: a value, its reader, and the text forms of `json` (kept as written) and `jsonb` (normalised: keys once
//! each, ordered by length and then by bytes; numbers as numeric writes them; one space after `:` and `,`).

use crate::{SqlError, SqlState};

/// A JSON value. Numbers keep their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// As numeric writes it.
    Number(String),
    /// Without quotes and escapes.
    String(String),
    /// `[...]`
    Array(Vec<Json>),
    /// `{...}`, in the order of its making; of jsonb, keys once each and in jsonb's order.
    Object(Vec<(String, Json)>),
}

/// Deeper nesting than this is refused, so that no value can exhaust the stack.
const MAX_DEPTH: usize = 512;

impl Json {
    /// Reads a value, keeping the order of keys, and all of them.
    ///
    /// # Errors
    /// 22P02 when it is not JSON; 22P05 for `\u0000`, which no text can hold.
    pub fn parse(text: &str) -> Result<Json, SqlError> {
        let mut reader = Reader {
            text,
            at: 0,
            keep_nul: false,
        };
        reader.document()
    }

    /// Reads a value and normalises it as jsonb does.
    ///
    /// # Errors
    /// As [`Json::parse`].
    pub fn parse_jsonb(text: &str) -> Result<Json, SqlError> {
        let mut value = Json::parse(text)?;
        value.normalise();
        Ok(value)
    }

    /// Orders keys as jsonb does, the last of equal ones staying.
    pub fn normalise(&mut self) {
        match self {
            Json::Object(members) => {
                for (_, value) in members.iter_mut() {
                    value.normalise();
                }
                // The sort is stable, so the last of equal keys is the one that came last.
                members.sort_by(|(a, _), (b, _)| (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes())));
                members.reverse();
                members.dedup_by(|(later, _), (kept, _)| later == kept);
                members.reverse();
            }
            Json::Array(elements) => elements.iter_mut().for_each(Json::normalise),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    /// Writes the value with jsonb's spacing.
    pub fn write(&self, out: &mut String) {
        self.write_with(out, ", ", ": ");
    }

    /// Writes the value with these separators.
    pub fn write_with(&self, out: &mut String, comma: &str, colon: &str) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(text) => out.push_str(text),
            Json::String(text) => write_quoted(text, out),
            Json::Array(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push_str(comma);
                    }
                    element.write_with(out, comma, colon);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push_str(comma);
                    }
                    write_quoted(key, out);
                    out.push_str(colon);
                    value.write_with(out, comma, colon);
                }
                out.push('}');
            }
        }
    }

    /// The member of this key, of an object.
    pub fn member(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => None,
        }
    }

    /// The element at this index, of an array; a negative one counts from the end.
    pub fn element(&self, index: i64) -> Option<&Json> {
        match self {
            Json::Array(elements) => {
                let at = if index < 0 {
                    index + elements.len() as i64
                } else {
                    index
                };
                usize::try_from(at).ok().and_then(|at| elements.get(at))
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => None,
        }
    }

    /// What `jsonb_typeof` answers.
    pub fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }
}

/// The value with jsonb's spacing.
impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

/// jsonb's normal form of a text.
///
/// # Errors
/// As [`Json::parse`].
pub fn normalise_jsonb(text: &str) -> Result<String, SqlError> {
    Ok(Json::parse_jsonb(text)?.to_string())
}

/// Checks that a text is JSON, as the type `json` does, which keeps it as it is.
///
/// # Errors
/// 22P02 when it is not.
pub fn check_json(text: &str) -> Result<(), SqlError> {
    let mut reader = Reader {
        text,
        at: 0,
        keep_nul: true,
    };
    reader.document().map(|_| ())
}

/// Writes a JSON string with its quotes.
pub fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The type `json` only checks the syntax, where `\u0000` is fine.
    keep_nul: bool,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Json, SqlError> {
        let value = self.value(0)?;
        self.skip_space();
        if self.at < self.text.len() {
            return Err(self.unexpected("Expected end of input, but found"));
        }
        Ok(value)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn value(&mut self, depth: usize) -> Result<Json, SqlError> {
        if depth > MAX_DEPTH {
            return Err(SqlError::new(SqlState("54001"), "stack depth limit exceeded"));
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [
                    ("true", Json::Bool(true)),
                    ("false", Json::Bool(false)),
                    ("null", Json::Null),
                ] {
                    if self.word() == word {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                let word = self.word();
                if word.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    return Err(self.invalid(&format!("Token \"{word}\" is invalid.")));
                }
                Err(self.unexpected("Expected JSON value, but found"))
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, SqlError> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected(match members.is_empty() {
                    true => "Expected string or \"}\", but found",
                    false => "Expected string, but found",
                }));
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("Expected \":\", but found"));
            }
            self.at += 1;
            members.push((key, self.value(depth + 1)?));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.unexpected("Expected \",\" or \"}\", but found")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, SqlError> {
        self.at += 1;
        let mut elements = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(elements));
                }
                _ => return Err(self.unexpected("Expected \",\" or \"]\", but found")),
            }
        }
    }

    fn number(&mut self) -> Result<Json, SqlError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |at: &mut usize| {
            let from = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at - from
        };
        let mut at = start + usize::from(bytes[start] == b'-');
        let leading_zero = bytes.get(at) == Some(&b'0');
        let whole = digits(&mut at);
        let mut valid = whole > 0 && !(leading_zero && whole > 1);
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            valid &= digits(&mut at) > 0;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            valid &= digits(&mut at) > 0;
        }
        let runs_on = bytes
            .get(at)
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80);
        if !valid || runs_on {
            let word = self.word();
            return Err(self.invalid(&format!("Token \"{word}\" is invalid.")));
        }
        self.at = at;
        plain_number(&self.text[start..at]).map(Json::Number)
    }

    fn string(&mut self) -> Result<String, SqlError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') else {
                let token = rest.to_string();
                return Err(self.invalid(&format!("Token \"\"{token}\" is invalid.")));
            };
            out.push_str(&rest[..end]);
            self.at += end;
            match self.text.as_bytes()[self.at] {
                b'"' => {
                    self.at += 1;
                    return Ok(out);
                }
                b'\\' => self.escape(&mut out)?,
                byte => {
                    return Err(self.invalid(&format!("Character with value 0x{byte:02x} must be escaped.")));
                }
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), SqlError> {
        let escaped = self.text[self.at + 1..].chars().next();
        self.at += 1 + escaped.map_or(0, char::len_utf8);
        out.push(match escaped {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.unicode_escape(out),
            other => {
                let shown = other.map(String::from).unwrap_or_default();
                return Err(self.invalid(&format!("Escape sequence \"\\{shown}\" is invalid.")));
            }
        });
        Ok(())
    }

    fn unicode_escape(&mut self, out: &mut String) -> Result<(), SqlError> {
        let first = self.hex_digits()?;
        if first == 0 && !self.keep_nul {
            return Err(SqlError::new(SqlState("22P05"), "unsupported Unicode escape sequence")
                .with_detail("\\u0000 cannot be converted to text."));
        }
        let code = match first {
            0xd800..=0xdbff => {
                if !self.text[self.at..].starts_with("\\u") {
                    return Err(self.invalid("Unicode low surrogate must follow a high surrogate."));
                }
                self.at += 2;
                let second = self.hex_digits()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.invalid("Unicode low surrogate must follow a high surrogate."));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            0xdc00..=0xdfff => {
                return Err(self.invalid("Unicode low surrogate must follow a high surrogate."));
            }
            code => code,
        };
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(())
    }

    fn hex_digits(&mut self) -> Result<u32, SqlError> {
        let digits = self.text.get(self.at..self.at + 4);
        let code = digits
            .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|d| u32::from_str_radix(d, 16).ok());
        match code {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => Err(self.invalid("\"\\u\" must be followed by four hexadecimal digits.")),
        }
    }

    /// The run of characters that PostgreSQL would call the token.
    fn word(&self) -> &str {
        let rest = &self.text[self.at..];
        let length = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-')))
            .unwrap_or(rest.len());
        if length == 0 {
            return rest.chars().next().map_or("", |c| &rest[..c.len_utf8()]);
        }
        &rest[..length]
    }

    fn unexpected(&self, expected: &str) -> SqlError {
        if self.at >= self.text.len() {
            return self.invalid("The input string ended unexpectedly.");
        }
        let word = self.word();
        self.invalid(&format!("{expected} \"{word}\"."))
    }

    fn invalid(&self, detail: &str) -> SqlError {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type json",
        )
        .with_detail(detail)
    }
}

/// A number as numeric writes it: without exponent, and zero without a sign.
fn plain_number(text: &str) -> Result<String, SqlError> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        None => (body, 0),
        Some((mantissa, exponent)) => (
            mantissa,
            exponent
                .parse::<i64>()
                .ok()
                .filter(|e| e.abs() <= 100_000)
                .ok_or_else(super::numeric::overflow)?,
        ),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = (fraction.len() as i64 - exponent).max(0) as usize;
    let mut digits = format!("{whole}{fraction}");
    let zeros = (exponent - fraction.len() as i64).max(0) as usize;
    digits.extend(std::iter::repeat_n('0', zeros));
    if digits.len() <= scale {
        digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
    }
    if scale > 0 {
        digits.insert(digits.len() - scale, '.');
    }
    let integer_digits = digits.find('.').unwrap_or(digits.len());
    let leading = digits[..integer_digits - 1].bytes().take_while(|b| *b == b'0').count();
    digits.drain(..leading);
    let is_zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
    if negative && !is_zero {
        digits.insert(0, '-');
    }
    Ok(digits)
}
