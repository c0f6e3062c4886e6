//! COPY: the current form with options in parentheses, and the two older ones.

use sqlparser::tokenizer::Token;

use crate::error::ParseError;
use crate::reader::{Read, Reader, Stop};
use crate::statement::{Copy, CopyFormat, CopyWhat, Statement};
use highwater_types::SqlState;

/// What was written; what was not keeps the default of its format.
#[derive(Debug, Default)]
struct Options {
    format: Option<String>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<bool>,
    quote: Option<String>,
    escape: Option<String>,
}

/// COPY.
pub(super) fn copy(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("COPY")?;
    let mut options = Options::default();
    if r.eat("BINARY") {
        options.format = Some("binary".to_string());
    }
    let what = what(r)?;
    let mark = r.mark();
    let from = match r.eat_any(&["FROM", "TO"]) {
        Some("FROM") if matches!(what, CopyWhat::Table(_, _)) => true,
        Some("TO") => false,
        _ => return Err(Stop::Error(r.syntax_error(mark))),
    };
    if !r.eat("STDIN") && !r.eat("STDOUT") {
        if r.eat("PROGRAM") || r.eat_string().is_some() {
            return r.unsupported(
                mark,
                "COPY with a file or program of the server",
                "Use STDIN or STDOUT, or psql's \\copy.",
            );
        }
        return r.unexpected();
    }
    if r.eat("USING DELIMITERS") || r.eat("DELIMITERS") {
        options.delimiter = Some(r.string()?);
    }
    let with = r.eat("WITH");
    if *r.peek() == Token::LParen {
        listed(r, &mut options)?;
    } else {
        let any = spelt(r, &mut options)?;
        if with && !any {
            return r.unexpected();
        }
    }
    if r.peek_is("WHERE") {
        return r.unsupported(r.mark(), "WHERE in COPY", "Copy into another table and insert from it.");
    }
    Ok(Statement::Copy(Box::new(Copy {
        what,
        from,
        format: options.finish()?,
    })))
}

fn what(r: &mut Reader<'_>) -> Read<CopyWhat> {
    if r.eat_token(&Token::LParen) {
        if r.peek_is("SUBSCRIBE") {
            let subscribe = super::subscribe::subscribe(r)?;
            r.expect_token(&Token::RParen)?;
            return Ok(CopyWhat::Subscribe(subscribe));
        }
        let query = r.query()?;
        r.expect_token(&Token::RParen)?;
        return Ok(CopyWhat::Query(query));
    }
    let name = r.name()?;
    let columns = match r.peek() {
        Token::LParen => r.idents_in_parens()?,
        _ => Vec::new(),
    };
    Ok(CopyWhat::Table(name, columns))
}

/// `(FORMAT csv, HEADER, DELIMITER ',')`.
fn listed(r: &mut Reader<'_>, options: &mut Options) -> Read<()> {
    r.expect_token(&Token::LParen)?;
    loop {
        let mark = r.mark();
        let name = r.label()?;
        let ends = matches!(r.peek(), Token::Comma | Token::RParen);
        let fresh = match name.as_str() {
            "format" => options.format.replace(r.value()?).is_none(),
            "delimiter" => options.delimiter.replace(r.value()?).is_none(),
            "null" => options.null.replace(r.value()?).is_none(),
            "quote" => options.quote.replace(r.value()?).is_none(),
            "escape" => options.escape.replace(r.value()?).is_none(),
            "header" => {
                let value = if ends { "true".to_string() } else { r.value()? };
                options.header.replace(boolean("header", &value)?).is_none()
            }
            "freeze" => {
                let value = if ends { "true".to_string() } else { r.value()? };
                boolean("freeze", &value)?;
                true
            }
            "encoding" => {
                let value = r.value()?;
                encoding(r, mark, &value)?;
                true
            }
            "force_quote" | "force_not_null" | "force_null" => {
                return r.unsupported(mark, format!("COPY option {name}"), "Leave it out.");
            }
            _ => {
                let position = r.position(mark);
                return Err(Stop::Error(ParseError::UnknownOption { name, position }));
            }
        };
        if !fresh {
            let position = r.position(mark);
            return Err(Stop::Error(ParseError::RedundantOption { position }));
        }
        if !r.eat_token(&Token::Comma) {
            return r.expect_token(&Token::RParen);
        }
    }
}

/// `BINARY`, `CSV HEADER QUOTE AS '"'`: one after the other. Answers whether there was any.
fn spelt(r: &mut Reader<'_>, options: &mut Options) -> Read<bool> {
    let mut any = false;
    loop {
        let mark = r.mark();
        let Some(option) = r.eat_any(&[
            "BINARY",
            "CSV",
            "FREEZE",
            "HEADER",
            "DELIMITER",
            "NULL",
            "QUOTE",
            "ESCAPE",
            "ENCODING",
            "FORCE",
        ]) else {
            return Ok(any);
        };
        any = true;
        match option {
            "BINARY" | "CSV" => options.format = Some(option.to_ascii_lowercase()),
            "HEADER" => options.header = Some(true),
            "FREEZE" => {}
            "FORCE" => return r.unsupported(mark, "COPY option FORCE", "Leave it out."),
            _ => {
                r.eat("AS");
                let value = r.string()?;
                match option {
                    "DELIMITER" => options.delimiter = Some(value),
                    "NULL" => options.null = Some(value),
                    "QUOTE" => options.quote = Some(value),
                    "ESCAPE" => options.escape = Some(value),
                    _ => encoding(r, mark, &value)?,
                }
            }
        }
    }
}

fn encoding(r: &Reader<'_>, mark: usize, value: &str) -> Read<()> {
    let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" | "sqlascii" => Ok(()),
        _ => r.unsupported(mark, format!("COPY in encoding \"{value}\""), "Send and read UTF8."),
    }
}

/// The value of an option that is on or off.
pub(super) fn boolean(option: &str, value: &str) -> Read<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => bad(format!("{option} requires a Boolean value"), SqlState::SYNTAX_ERROR),
    }
}

fn bad<T>(message: String, state: SqlState) -> Read<T> {
    Err(Stop::Error(ParseError::BadOption { message, state }))
}

impl Options {
    /// Fills in the defaults and checks what goes together.
    fn finish(self) -> Read<CopyFormat> {
        let format = self.format.as_deref().unwrap_or("text").to_ascii_lowercase();
        let csv = match format.as_str() {
            "csv" => true,
            "text" => false,
            "binary" => return self.binary(),
            _ => {
                return bad(
                    format!("COPY format \"{format}\" not recognized"),
                    SqlState::INVALID_PARAMETER_VALUE,
                );
            }
        };
        let only_csv = [("quote", &self.quote), ("escape", &self.escape)];
        if let Some((name, _)) = only_csv.iter().find(|(_, value)| value.is_some() && !csv) {
            return bad(
                format!("COPY {name} available only in CSV mode"),
                SqlState::FEATURE_NOT_SUPPORTED,
            );
        }
        let delimiter = one_byte("delimiter", self.delimiter, if csv { ',' } else { '\t' })?;
        let default_null = if csv { "" } else { "\\N" };
        let null = self.null.unwrap_or_else(|| default_null.to_string());
        let header = self.header.unwrap_or(false);
        if delimiter == '\n' || delimiter == '\r' {
            return bad(
                "COPY delimiter cannot be newline or carriage return".to_string(),
                SqlState::INVALID_PARAMETER_VALUE,
            );
        }
        if null.contains(['\n', '\r']) {
            return bad(
                "COPY null representation cannot use newline or carriage return".to_string(),
                SqlState::INVALID_PARAMETER_VALUE,
            );
        }
        if !csv {
            if "\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(delimiter) {
                return bad(
                    format!("COPY delimiter cannot be \"{delimiter}\""),
                    SqlState::INVALID_PARAMETER_VALUE,
                );
            }
            delimiter_apart(delimiter, &null)?;
            return Ok(CopyFormat::Text {
                delimiter,
                null,
                header,
            });
        }
        let quote = one_byte("quote", self.quote, '"')?;
        let escape = one_byte("escape", self.escape, quote)?;
        if quote == delimiter {
            return bad(
                "COPY delimiter and quote must be different".to_string(),
                SqlState::INVALID_PARAMETER_VALUE,
            );
        }
        delimiter_apart(delimiter, &null)?;
        Ok(CopyFormat::Csv {
            delimiter,
            null,
            header,
            quote,
            escape,
        })
    }

    fn binary(self) -> Read<CopyFormat> {
        let with = [("DELIMITER", self.delimiter.is_some()), ("NULL", self.null.is_some())];
        if let Some((name, _)) = with.iter().find(|(_, given)| *given) {
            return bad(format!("cannot specify {name} in BINARY mode"), SqlState::SYNTAX_ERROR);
        }
        if self.header.is_some_and(|h| h) {
            return bad(
                "cannot specify HEADER in BINARY mode".to_string(),
                SqlState::FEATURE_NOT_SUPPORTED,
            );
        }
        Ok(CopyFormat::Binary)
    }
}

fn delimiter_apart(delimiter: char, null: &str) -> Read<()> {
    if null.contains(delimiter) {
        return bad(
            "COPY delimiter must not appear in the NULL specification".to_string(),
            SqlState::FEATURE_NOT_SUPPORTED,
        );
    }
    Ok(())
}

fn one_byte(option: &str, value: Option<String>, default: char) -> Read<char> {
    let Some(value) = value else { return Ok(default) };
    match (value.len(), value.chars().next()) {
        (1, Some(c)) => Ok(c),
        _ => bad(
            format!("COPY {option} must be a single one-byte character"),
            SqlState::FEATURE_NOT_SUPPORTED,
        ),
    }
}
