//! Cuts a date/time text into fields, as PostgreSQL's `ParseDateTime` does: what a field is made of tells roughly
//! what it is, and the reader of the type decides the rest.

use super::Refusal;
use super::keywords::datetime_word;

/// What a field looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    /// Digits, perhaps with a decimal point.
    Number,
    /// Letters.
    Word,
    /// Several parts with `-`, `/` or `.` between, or the name of a time zone.
    Date,
    /// Digits with `:` between.
    Time,
    /// A sign, then digits.
    Zone,
    /// A sign, then letters: `-infinity`.
    SignedWord,
}

/// A field, its letters lowered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) kind: FieldKind,
    pub(super) text: String,
}

/// No valid text has more fields than this.
const MAX_FIELDS: usize = 25;

/// Cuts the text into fields.
pub(super) fn split_fields(text: &str) -> Result<Vec<Field>, Refusal> {
    let mut scan = Scan {
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut fields = Vec::new();
    while let Some(byte) = scan.peek() {
        let field = match byte {
            _ if super::super::is_space(byte) => {
                scan.at += 1;
                continue;
            }
            b'0'..=b'9' => scan.number(),
            b'.' => scan.fraction(),
            b'a'..=b'z' | b'A'..=b'Z' => scan.word(),
            b'+' | b'-' => scan.signed()?,
            _ if byte.is_ascii_punctuation() => {
                scan.at += 1;
                continue;
            }
            _ => return Err(Refusal::BadFormat),
        };
        fields.push(field);
        if fields.len() > MAX_FIELDS {
            return Err(Refusal::BadFormat);
        }
    }
    Ok(fields)
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn is(&self, test: impl Fn(u8) -> bool) -> bool {
        self.peek().is_some_and(test)
    }

    /// Takes bytes, lowered, as long as they pass.
    fn take(&mut self, text: &mut String, test: impl Fn(u8) -> bool) {
        while let Some(byte) = self.peek().filter(|b| test(*b)) {
            text.push(char::from(byte.to_ascii_lowercase()));
            self.at += 1;
        }
    }

    fn number(&mut self) -> Field {
        let mut text = String::new();
        self.take(&mut text, |b| b.is_ascii_digit());
        let kind = match self.peek() {
            Some(b':') => {
                self.take(&mut text, |b| b.is_ascii_digit() || b == b':' || b == b'.');
                FieldKind::Time
            }
            Some(delimiter @ (b'-' | b'/' | b'.')) => {
                text.push(char::from(delimiter));
                self.at += 1;
                if self.is(|b| b.is_ascii_digit()) {
                    self.take(&mut text, |b| b.is_ascii_digit());
                    if self.peek() == Some(delimiter) {
                        self.take(&mut text, |b| b.is_ascii_digit() || b == delimiter);
                        FieldKind::Date
                    } else if delimiter == b'.' {
                        FieldKind::Number
                    } else {
                        FieldKind::Date
                    }
                } else {
                    self.take(&mut text, |b| b.is_ascii_alphanumeric() || b == delimiter);
                    FieldKind::Date
                }
            }
            _ => FieldKind::Number,
        };
        Field { kind, text }
    }

    fn fraction(&mut self) -> Field {
        let mut text = String::from(".");
        self.at += 1;
        self.take(&mut text, |b| b.is_ascii_digit());
        Field {
            kind: FieldKind::Number,
            text,
        }
    }

    /// A word, unless punctuation follows that belongs to a date or to the name of a time zone.
    fn word(&mut self) -> Field {
        let mut text = String::new();
        self.take(&mut text, |b| b.is_ascii_alphabetic());
        let continues = match self.peek() {
            Some(b'-' | b'/' | b'.') => true,
            Some(b'+' | b'0'..=b'9') => datetime_word(&text).is_none(),
            _ => false,
        };
        if !continues {
            return Field {
                kind: FieldKind::Word,
                text,
            };
        }
        self.take(&mut text, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
        });
        Field {
            kind: FieldKind::Date,
            text,
        }
    }

    fn signed(&mut self) -> Result<Field, Refusal> {
        let mut text = String::new();
        text.push(char::from(self.bytes[self.at]));
        self.at += 1;
        while self.is(super::super::is_space) {
            self.at += 1;
        }
        let kind = if self.is(|b| b.is_ascii_digit()) {
            self.take(&mut text, |b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'-'));
            FieldKind::Zone
        } else if self.is(|b| b.is_ascii_alphabetic()) {
            self.take(&mut text, |b| b.is_ascii_alphabetic());
            FieldKind::SignedWord
        } else {
            return Err(Refusal::BadFormat);
        };
        Ok(Field { kind, text })
    }
}
