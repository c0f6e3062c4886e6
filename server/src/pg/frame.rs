//! [`Reader`]: cuts messages out of what the client sends, and [`Request`]: what they say.
//!
//! A message's length is checked against its kind's limit before anything is reserved; memory grows with what has
//! arrived, not with what was announced. The whole message is cut out and walked field by field before pgwire's
//! decoder sees it, because that decoder trusts lengths and counts and would take invalid UTF-8 for valid.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use highwater_types::{SqlError, SqlState};
use pgwire::messages::extendedquery::{Bind, Close, Describe, Execute, Parse};
use pgwire::messages::simplequery::Query;
use pgwire::messages::{DecodeContext, Message, ProtocolVersion};
use tokio::io::{AsyncReadExt, ReadHalf};

use super::error::{Stop, broken};
use super::wire::Stream;

/// What may be sent before the client is known.
pub(super) const MAX_STARTUP_BYTES: usize = 10_000;
/// A statement, its parameters, a piece of COPY data.
const MAX_LARGE_BYTES: usize = 0x3fff_ffff;
/// Every other message.
const MAX_SMALL_BYTES: usize = 10_000;
/// While a statement runs, this much of what follows it is read ahead, to notice a client that goes away.
const READ_AHEAD_BYTES: usize = 64 * 1024;
/// The buffer grows by at least this much.
const READ_BYTES: usize = 8 * 1024;
/// A frame this large gives its memory back when it has been taken.
const LARGE_FRAME_BYTES: usize = 256 * 1024;
/// A Terminate message.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// A message, cut out and not decoded.
#[derive(Debug)]
pub(super) struct Frame {
    /// Its kind.
    pub(super) tag: u8,
    /// All after the length.
    pub(super) body: BytesMut,
}

/// What a client asks for.
#[derive(Debug)]
#[allow(missing_docs, reason = "the protocol's own names")]
pub(super) enum Request {
    Query(String),
    Parse(Parse),
    Bind(Bind),
    Describe(Describe),
    Execute(Execute),
    Close(Close),
    Flush,
    Sync,
    CopyData(Bytes),
    CopyDone,
    CopyFail(String),
    FunctionCall,
    Terminate,
}

/// The way from the client.
pub(super) struct Reader {
    half: ReadHalf<Stream>,
    buffer: BytesMut,
    ended: bool,
}

impl Reader {
    pub(super) fn new(half: ReadHalf<Stream>, buffer: BytesMut) -> Reader {
        Reader {
            half,
            buffer,
            ended: false,
        }
    }

    /// The stream's half and what was read from it already.
    pub(super) fn into_parts(self) -> (ReadHalf<Stream>, BytesMut) {
        (self.half, self.buffer)
    }

    /// What has been read and not taken.
    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes the first bytes of what has been read.
    pub(super) fn take(&mut self, length: usize) -> BytesMut {
        self.buffer.split_to(length)
    }

    /// Reads until at least this many bytes are buffered; false when the client ends before.
    pub(super) async fn fill_to(&mut self, length: usize) -> io::Result<bool> {
        while self.buffer.len() < length {
            if self.ended || self.read().await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next message; `None` when the client has ended between two messages. May be dropped and called again.
    pub(super) async fn frame(&mut self) -> Result<Option<Frame>, Stop> {
        loop {
            if let Some(frame) = self.buffered_frame()? {
                return Ok(Some(frame));
            }
            if self.ended || self.read().await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(Stop::Gone)
                };
            }
        }
    }

    /// The next message of a client that is not in yet: a small one.
    pub(super) async fn frame_before_login(&mut self) -> Result<Option<Frame>, Stop> {
        if !self.fill_to(5).await? {
            return Ok(None);
        }
        let length = i64::from((&self.buffer[1..5]).get_i32());
        if !(4..=MAX_STARTUP_BYTES as i64).contains(&length) {
            return Err(broken("invalid message length"));
        }
        self.frame().await
    }

    /// The next message, if it is here in full.
    pub(super) fn buffered_frame(&mut self) -> Result<Option<Frame>, Stop> {
        let Some(&tag) = self.buffer.first() else {
            return Ok(None);
        };
        let Some(limit) = limit_of(tag) else {
            return Err(broken(format!("invalid frontend message type {tag}")));
        };
        if self.buffer.len() < 5 {
            return Ok(None);
        }
        let length = i64::from((&self.buffer[1..5]).get_i32());
        if length < 4 || length > limit as i64 {
            return Err(broken(format!(
                "invalid message length {length} for message type {tag}"
            )));
        }
        let length = length as usize;
        if self.buffer.len() < 1 + length {
            return Ok(None);
        }
        let mut body = self.buffer.split_to(1 + length);
        body.advance(5);
        if length > LARGE_FRAME_BYTES && self.buffer.len() < READ_AHEAD_BYTES {
            // What is left would otherwise keep the large frame's memory.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        Ok(Some(Frame { tag, body }))
    }

    /// Reads ahead, within its limit. Answers when there is no client any more, and not before. A client that has
    /// said Terminate before it left is not gone: it wants its statement done.
    pub(super) async fn until_gone(&mut self) {
        loop {
            if self.ended {
                if self.buffer.ends_with(&TERMINATE) {
                    return std::future::pending().await;
                }
                return;
            }
            if self.buffer.len() >= READ_AHEAD_BYTES {
                return std::future::pending().await;
            }
            if self.read().await.is_err() {
                self.ended = true;
                self.buffer.clear();
            }
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        if self.buffer.capacity() - self.buffer.len() < READ_BYTES {
            self.buffer.reserve(READ_BYTES);
        }
        let read = self.half.read_buf(&mut self.buffer).await?;
        self.ended = read == 0;
        Ok(read)
    }
}

/// The greatest length of a message of this kind; `None` when there is no such kind.
fn limit_of(tag: u8) -> Option<usize> {
    match tag {
        b'Q' | b'P' | b'B' | b'F' | b'd' => Some(MAX_LARGE_BYTES),
        b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' | b'p' => Some(MAX_SMALL_BYTES),
        _ => None,
    }
}

impl Frame {
    /// What the message says. The outer error ends the session, the inner one fails this message alone.
    pub(super) fn decode(self) -> Result<Result<Request, SqlError>, Stop> {
        let Frame { tag, body } = self;
        let request = match tag {
            b'Q' => decode::<Query>(body, |walk| walk.text()).map(|m| Request::Query(m.query)),
            b'P' => decode::<Parse>(body, walk_parse).map(Request::Parse),
            b'B' => decode::<Bind>(body, walk_bind).map(Request::Bind),
            b'D' => decode::<Describe>(body, walk_target).map(Request::Describe),
            b'C' => decode::<Close>(body, walk_target).map(Request::Close),
            b'E' => decode::<Execute>(body, |walk| {
                walk.text()?;
                walk.skip(4)
            })
            .map(Request::Execute),
            b'H' => Ok(Request::Flush),
            b'S' => Ok(Request::Sync),
            b'd' => Ok(Request::CopyData(body.freeze())),
            b'c' => Ok(Request::CopyDone),
            b'f' => {
                let text = body.as_ref().split(|b: &u8| *b == 0).next().unwrap_or_default();
                Ok(Request::CopyFail(String::from_utf8_lossy(text).into_owned()))
            }
            b'F' => Ok(Request::FunctionCall),
            b'X' => Ok(Request::Terminate),
            _ => return Err(broken(format!("unexpected message type {tag}"))),
        };
        Ok(request)
    }
}

/// Has pgwire decode a body that `walk` has found whole.
fn decode<M: Message>(
    mut body: BytesMut,
    walk: impl FnOnce(&mut Walk<'_>) -> Result<(), SqlError>,
) -> Result<M, SqlError> {
    let mut fields = Walk { rest: &body };
    walk(&mut fields)?;
    if !fields.rest.is_empty() {
        return Err(malformed("invalid message format"));
    }
    let length = body.len() + 4;
    let context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
    M::decode_body(&mut body, length, &context).map_err(|error| malformed(&error.to_string()))
}

fn malformed(message: &str) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

fn walk_parse(walk: &mut Walk<'_>) -> Result<(), SqlError> {
    walk.text()?;
    walk.text()?;
    let types = walk.count()?;
    walk.skip(4 * types)
}

fn walk_bind(walk: &mut Walk<'_>) -> Result<(), SqlError> {
    walk.text()?;
    walk.text()?;
    let formats = walk.count()?;
    walk.skip(2 * formats)?;
    let parameters = walk.count()?;
    for _ in 0..parameters {
        let length = walk.length()?;
        walk.skip(usize::try_from(length).unwrap_or(0))?;
    }
    let formats = walk.count()?;
    walk.skip(2 * formats)
}

fn walk_target(walk: &mut Walk<'_>) -> Result<(), SqlError> {
    walk.skip(1)?;
    walk.text()
}

/// Walks the fields of a message.
struct Walk<'a> {
    rest: &'a [u8],
}

impl Walk<'_> {
    fn skip(&mut self, length: usize) -> Result<(), SqlError> {
        match self.rest.get(length..) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(malformed("insufficient data left in message")),
        }
    }

    /// A string with its NUL.
    fn text(&mut self) -> Result<(), SqlError> {
        let Some(end) = self.rest.iter().position(|b| *b == 0) else {
            return Err(malformed("invalid string in message"));
        };
        check_utf8(&self.rest[..end])?;
        self.skip(end + 1)
    }

    fn count(&mut self) -> Result<usize, SqlError> {
        let Some(bytes) = self.rest.first_chunk::<2>() else {
            return Err(malformed("insufficient data left in message"));
        };
        let count = u16::from_be_bytes(*bytes);
        self.skip(2)?;
        Ok(usize::from(count))
    }

    /// A value's length; below 0 for NULL.
    fn length(&mut self) -> Result<i32, SqlError> {
        let Some(bytes) = self.rest.first_chunk::<4>() else {
            return Err(malformed("insufficient data left in message"));
        };
        let length = i32::from_be_bytes(*bytes);
        self.skip(4)?;
        if length < -1 {
            return Err(malformed("invalid length of a parameter value"));
        }
        Ok(length)
    }
}

/// The text of these bytes.
///
/// # Errors
/// 22021, in PostgreSQL's words, when they are not UTF-8.
pub(super) fn check_utf8(bytes: &[u8]) -> Result<&str, SqlError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let from = error.valid_up_to();
        let length = error.error_len().unwrap_or(bytes.len() - from);
        let shown: Vec<String> = bytes[from..from + length]
            .iter()
            .map(|b| format!("0x{b:02x}"))
            .collect();
        SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    })
}
