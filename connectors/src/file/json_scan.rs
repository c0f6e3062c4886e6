//! [`Scan`]: goes through a JSON text and tells where its values are. Checks as it goes, allocates nothing.

use std::ops::Range;

use memchr::memchr2;

/// Deeper nesting than this is refused, as the type `jsonb` does, so that no record can exhaust the stack.
const DEPTH_MAX: usize = 512;

/// A place in a JSON text. Every method passes over white space first, and answers `None` where the text is not JSON.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Scan<'a> {
        Scan {
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    /// Passes over this byte, if it is next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes over this byte, which must be next.
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    /// Whether nothing more follows.
    pub(super) fn at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// A string, with its quotes.
    pub(super) fn string(&mut self) -> Option<Range<usize>> {
        self.expect(b'"')?;
        let start = self.at - 1;
        loop {
            let rest = &self.bytes[self.at..];
            let stop = memchr2(b'"', b'\\', rest)?;
            if rest[..stop].iter().any(|byte| *byte < b' ') {
                return None;
            }
            self.at += stop + 1;
            if rest[stop] == b'"' {
                return Some(start..self.at);
            }
            self.escape()?;
        }
    }

    /// A value of any kind.
    pub(super) fn value(&mut self) -> Option<Range<usize>> {
        self.nested(0)
    }

    fn nested(&mut self, depth: usize) -> Option<Range<usize>> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => return self.string(),
            b'{' if depth < DEPTH_MAX => self.members(b'}', |scan| {
                scan.string()?;
                scan.expect(b':')?;
                scan.nested(depth + 1)
            })?,
            b'[' if depth < DEPTH_MAX => self.members(b']', |scan| scan.nested(depth + 1))?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => self.word()?,
        }
        Some(start..self.at)
    }

    /// What is between brackets, commas between.
    fn members(&mut self, close: u8, mut member: impl FnMut(&mut Self) -> Option<Range<usize>>) -> Option<()> {
        self.at += 1;
        if self.eat(close) {
            return Some(());
        }
        loop {
            member(self)?;
            if self.eat(close) {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.bytes[self.at] == b'-');
        match self.bytes.get(self.at)? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = &self.bytes[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    fn word(&mut self) -> Option<()> {
        let rest = &self.bytes[self.at..];
        let words: [&[u8]; 3] = [b"true", b"false", b"null"];
        let word = words.into_iter().find(|word| rest.starts_with(word))?;
        self.at += word.len();
        Some(())
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Option<()> {
        let kind = *self.bytes.get(self.at)?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.bytes.get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use highwater_types::text::json::check_json;

    use super::*;

    /// Whether a text is one JSON value, and nothing else.
    fn is_json(text: &str) -> bool {
        let mut scan = Scan::new(text);
        scan.value().is_some() && scan.at_end()
    }

    #[test]
    fn what_is_json_is_agreed_on_with_the_type_json() {
        let texts = [
            "1",
            "-0",
            "01",
            "1.",
            ".5",
            "1.5e+3",
            "1e",
            "1e400",
            "-",
            "true",
            "tru",
            "nullx",
            "\"a\"",
            "\"a",
            "\"\\n\"",
            "\"\\x\"",
            "\"\\u00e9\"",
            "\"\\u00g9\"",
            "\"a\tb\"",
            "[]",
            "[1,]",
            "[1 2]",
            "[1, [2], {}]",
            "{}",
            "{\"a\"}",
            "{\"a\": 1, }",
            "{\"a\": 1, \"a\": 2}",
            "{a: 1}",
            "{\"a\": {\"b\": [null]}} ",
            "{} x",
            "",
            " ",
            "[",
            "{\"a\":",
        ];
        for text in texts {
            assert_eq!(is_json(text), check_json(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_json(&deep(DEPTH_MAX)));
        assert!(!is_json(&deep(DEPTH_MAX + 1)));
    }
}
