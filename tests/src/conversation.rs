//! Conversations with the server, message by message, as text: what the client says and, behind `<`, what it hears.
//! The answers in the files are a real PostgreSQL's, recorded with `HIGHWATER_RECORD=host:port`.
//!
//! ```text
//! P s (23): select $1 + 1 as a       Parse, with the parameters' OIDs
//! B p s: 41                          Bind; parameters parted by `|`, `\x..` in binary; `B p s -> 1: 41` for results in binary
//! D S s, C P p, E p 0, H 2           Describe, Close, Execute, Flush (reads 2 messages)
//! S                                  Sync, reads to ReadyForQuery
//! Q select 1                         Query, reads to ReadyForQuery or CopyInResponse
//! d 1\tx\n, c, f why                 CopyData, CopyDone, CopyFail; `c later` when a Sync follows
//! ```
//!
//! An empty line ends the connection, and the next conversation starts on a new one.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::raw::{RawClient, RawMessage, error_field, text};

/// Has all conversations of a file; answers the file as it should be, with what was heard.
pub async fn converse(address: SocketAddr, file: &str) -> String {
    let mut out = String::new();
    let mut client: Option<RawClient> = None;
    for line in file.lines() {
        if line.starts_with('<') {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        if line.is_empty() {
            client = None;
        } else if !line.starts_with('#') {
            if client.is_none() {
                client = Some(RawClient::login(address).await);
            }
            let client = client.as_mut().expect("it was opened just now");
            for answer in say(client, line).await {
                let _ = writeln!(out, "< {}", shown(&answer));
            }
        }
    }
    out
}

/// Sends one line's message, and reads what it asks to be read.
async fn say(client: &mut RawClient, line: &str) -> Vec<RawMessage> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let body = match verb {
        "Q" => text(rest),
        "P" => parse(rest),
        "B" => bind(rest),
        "D" | "C" => {
            let (kind, name) = rest.split_once(' ').unwrap_or((rest, ""));
            let mut body = kind.as_bytes().to_vec();
            body.extend(text(name));
            body
        }
        "E" => {
            let (name, rows) = rest.rsplit_once(' ').unwrap_or(("", rest));
            let mut body = text(name);
            body.extend(number::<i32>(rows).to_be_bytes());
            body
        }
        "d" => rest.replace("\\n", "\n").replace("\\t", "\t").into_bytes(),
        "f" => text(rest),
        "S" | "H" | "c" => Vec::new(),
        other => panic!("{other} is no message: {line}"),
    };
    client.send(verb.as_bytes()[0], &body).await;
    match verb {
        "Q" => client.read_until(b"ZG").await,
        // Within the extended protocol it is the Sync that is answered.
        "c" if rest == "later" => Vec::new(),
        "S" | "c" | "f" => client.read_until(b"Z").await,
        "H" => {
            let mut heard = Vec::new();
            for _ in 0..number::<usize>(rest) {
                heard.extend(client.read().await);
            }
            heard
        }
        _ => Vec::new(),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    match text.trim().parse() {
        Ok(number) => number,
        Err(_) => panic!("{text} is no number"),
    }
}

/// `name (oid, oid): sql`
fn parse(line: &str) -> Vec<u8> {
    let (head, sql) = line.split_once(": ").expect("P name: sql");
    let (name, oids) = match head.split_once('(') {
        Some((name, oids)) => (
            name.trim(),
            oids.trim_end_matches(')').split(',').map(number::<u32>).collect(),
        ),
        None => (head.trim(), Vec::new()),
    };
    let mut body = text(name);
    body.extend(text(sql));
    body.extend((oids.len() as u16).to_be_bytes());
    body.extend(oids.iter().flat_map(|oid| oid.to_be_bytes()));
    body
}

/// `portal statement -> format format: value|value`; a value is a text, `\x` and hexadecimal digits, or NULL.
fn bind(line: &str) -> Vec<u8> {
    let (head, values) = line.split_once(':').expect("B portal statement: values");
    let (names, results) = head.split_once("->").unwrap_or((head, ""));
    let mut names = names.split(' ');
    let mut body = text(names.next().unwrap_or_default());
    body.extend(text(names.next().unwrap_or_default()));
    let values: Vec<&str> = match values.strip_prefix(' ') {
        Some(values) => values.split('|').collect(),
        None => Vec::new(),
    };
    body.extend((values.len() as u16).to_be_bytes());
    for value in &values {
        body.extend(i16::from(value.starts_with("\\x")).to_be_bytes());
    }
    body.extend((values.len() as u16).to_be_bytes());
    for value in values {
        let bytes = match value.strip_prefix("\\x") {
            _ if value == "NULL" => {
                body.extend((-1i32).to_be_bytes());
                continue;
            }
            Some(digits) => unhex(digits),
            None => value.as_bytes().to_vec(),
        };
        body.extend((bytes.len() as i32).to_be_bytes());
        body.extend(bytes);
    }
    let results: Vec<i16> = results.split_whitespace().map(number).collect();
    body.extend((results.len() as u16).to_be_bytes());
    body.extend(results.iter().flat_map(|format| format.to_be_bytes()));
    body
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2)
        .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).expect("hexadecimal digits"))
        .collect()
}

/// A message of the server as a line.
fn shown((tag, body): &RawMessage) -> String {
    let mut fields = Fields { rest: body };
    match tag {
        b'1' => "ParseComplete".to_string(),
        b'2' => "BindComplete".to_string(),
        b'3' => "CloseComplete".to_string(),
        b'n' => "NoData".to_string(),
        b's' => "PortalSuspended".to_string(),
        b'I' => "EmptyQueryResponse".to_string(),
        b'c' => "CopyDone".to_string(),
        b'Z' => format!("Ready {}", char::from(body[0])),
        b'C' => format!("Complete {}", fields.text()),
        b'S' => format!("Parameter {}={}", fields.text(), fields.text()),
        b'd' => format!("CopyData {}", printable(body)),
        b'G' | b'H' => {
            let word = if *tag == b'G' { "CopyIn" } else { "CopyOut" };
            let format = fields.bytes(1)[0];
            format!("{word} format {format}, {} columns", fields.short())
        }
        b't' => {
            let oids: Vec<String> = (0..fields.short()).map(|_| fields.long().to_string()).collect();
            format!("Parameters {}", oids.join(" "))
        }
        b'T' => {
            let columns: Vec<String> = (0..fields.short()).map(|_| fields.column()).collect();
            format!("Columns {}", columns.join(" "))
        }
        b'D' => {
            let values: Vec<String> = (0..fields.short()).map(|_| fields.value()).collect();
            format!("Row {}", values.join("|"))
        }
        b'E' | b'N' => shown_error(*tag, body),
        other => format!("{} {}", char::from(*other), printable(body)),
    }
}

fn shown_error(tag: u8, body: &[u8]) -> String {
    let field = |field: u8| error_field(body, field);
    let word = if tag == b'E' { "Error" } else { "Notice" };
    let mut line = format!("{word} {}", field(b'C').unwrap_or_default());
    if let Some(position) = field(b'P') {
        let _ = write!(line, " at {position}");
    }
    let _ = write!(line, ": {}", field(b'M').unwrap_or_default());
    for (name, tag) in [("detail", b'D'), ("context", b'W')] {
        if let Some(value) = field(tag) {
            let _ = write!(line, " [{name}: {value}]");
        }
    }
    line
}

fn printable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t"),
        _ => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\\x{digits}")
}

/// A message's fields, one after the other.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(count);
        self.rest = rest;
        bytes
    }

    fn short(&mut self) -> i16 {
        let bytes = self.bytes(2);
        i16::from_be_bytes([bytes[0], bytes[1]])
    }

    fn long(&mut self) -> i32 {
        let bytes = self.bytes(4);
        i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn text(&mut self) -> String {
        let end = self.rest.iter().position(|byte| *byte == 0).expect("a text ends");
        let text = String::from_utf8_lossy(self.bytes(end)).into_owned();
        self.bytes(1);
        text
    }

    fn value(&mut self) -> String {
        match self.long() {
            -1 => "NULL".to_string(),
            length => printable(self.bytes(usize::try_from(length).expect("a length"))),
        }
    }

    /// `name:type OID`, `/modifier` where there is one, `@number` for a table's column, `b` in binary.
    fn column(&mut self) -> String {
        let mut line = self.text();
        let table = self.long();
        let number = self.short();
        let _ = write!(line, ":{}", self.long());
        self.short();
        let modifier = self.long();
        if modifier != -1 {
            let _ = write!(line, "/{modifier}");
        }
        if table != 0 {
            let _ = write!(line, "@{number}");
        }
        if self.short() == 1 {
            line.push('b');
        }
        line
    }
}
