//! [`Writer`]: what is on its way to the client. Messages are put into one buffer, which the callers write out when
//! it is full, when the client must have it, or a moment after the first message went in. Its size is bounded by
//! the callers: a buffer that [`Writer::is_full`] is written before more rows go in.

use std::io;

use bytes::BytesMut;
use highwater_types::SqlError;
use pgwire::messages::Message;
use pgwire::messages::startup::ParameterStatus;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::time::{Duration, Instant};

use super::error::{Severity, error_response, notice_response};

/// A buffer of this many bytes is written before more rows are put into it.
const FLUSH_BYTES: usize = 32 * 1024;
/// A message waits at most this long for others to share its packet.
const FLUSH_DELAY: Duration = Duration::from_millis(10);
/// A buffer that one large row has blown up is given back above this size.
const KEEP_BYTES: usize = 1024 * 1024;

/// A connection's bytes, plain or encrypted.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// Any [`Transport`].
pub(super) type Stream = Box<dyn Transport>;

/// The way to the client.
pub(super) struct Writer {
    half: WriteHalf<Stream>,
    out: Vec<u8>,
    /// How much of `out` is written already.
    sent: usize,
    /// When the oldest byte of `out` went in.
    since: Option<Instant>,
    scratch: BytesMut,
}

impl Writer {
    pub(super) fn new(half: WriteHalf<Stream>) -> Writer {
        Writer {
            half,
            out: Vec::new(),
            sent: 0,
            since: None,
            scratch: BytesMut::new(),
        }
    }

    /// The stream's half, to be put together with the other one; nothing may be waiting.
    pub(super) fn into_half(self) -> WriteHalf<Stream> {
        debug_assert!(self.out.is_empty(), "{} bytes would be lost", self.out.len());
        self.half
    }

    /// Puts a message.
    pub(super) fn put<M: Message>(&mut self, message: &M) {
        self.scratch.clear();
        match message.encode(&mut self.scratch) {
            Ok(()) => {
                let from = std::mem::take(&mut self.scratch);
                self.buffer().extend_from_slice(&from);
                self.scratch = from;
            }
            // The codec refuses small messages of more than 30 kB, as libpq would.
            Err(error) => tracing::error!(%error, "a message could not be encoded"),
        }
    }

    /// Puts an ErrorResponse.
    pub(super) fn put_error(&mut self, error: &SqlError, severity: Severity) {
        self.put(&error_response(error, severity));
    }

    /// Puts a NoticeResponse.
    pub(super) fn put_notice(&mut self, notice: &SqlError) {
        self.put(&notice_response(notice));
    }

    /// Puts a ParameterStatus.
    pub(super) fn put_parameter(&mut self, name: &str, value: String) {
        self.put(&ParameterStatus::new(name.to_string(), value));
    }

    /// Where rows are encoded. Whole messages must be appended.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.since.is_none() {
            self.since = Some(Instant::now());
        }
        &mut self.out
    }

    /// How many bytes are waiting.
    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Whether the buffer should be written before it takes more rows.
    pub(super) fn is_full(&self) -> bool {
        self.waiting() >= FLUSH_BYTES
    }

    /// How many more bytes of rows the buffer should take now.
    pub(super) fn room(&self) -> usize {
        FLUSH_BYTES.saturating_sub(self.waiting())
    }

    /// Writes all that is waiting. May be dropped and called again: nothing is lost or written twice.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            let written = self.half.write(&self.out[self.sent..]).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.sent += written;
        }
        if !self.out.is_empty() {
            self.out.clear();
            self.sent = 0;
            if self.out.capacity() > KEEP_BYTES {
                self.out = Vec::new();
            }
        }
        self.since = None;
        self.half.flush().await
    }

    /// Writes all that is waiting, once the oldest of it has waited long enough. Waits forever when nothing does.
    pub(super) async fn flush_soon(&mut self) -> io::Result<()> {
        match self.since {
            Some(since) => {
                tokio::time::sleep_until(since + FLUSH_DELAY).await;
                self.flush().await
            }
            None => std::future::pending().await,
        }
    }

    /// Whether something has waited long enough.
    pub(super) fn is_due(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= FLUSH_DELAY)
    }

    /// Writes what can still be written and says goodbye, as far as that goes without waiting for long.
    pub(super) async fn close(&mut self, patience: Duration) {
        let goodbye = async {
            self.flush().await?;
            self.half.shutdown().await
        };
        // A client that does not read its last message has lost nothing that it wanted.
        let _ = tokio::time::timeout(patience, goodbye).await;
    }
}
