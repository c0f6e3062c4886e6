//! [`RawClient`]: PostgreSQL's protocol byte by byte, for what no driver would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Protocol 3.0.
const VERSION_3_0: i32 = 196_608;

/// A connection without a driver.
pub struct RawClient {
    stream: TcpStream,
    /// The body of BackendKeyData.
    pub key: Vec<u8>,
}

/// A message: its type and its body.
pub type RawMessage = (u8, Vec<u8>);

impl RawClient {
    /// A connection on which nothing has been said.
    pub async fn open(address: SocketAddr) -> RawClient {
        let stream = TcpStream::connect(address).await.expect("the server takes clients");
        RawClient {
            stream,
            key: Vec::new(),
        }
    }

    /// A connection that is in, as `highwater` to the database `highwater`.
    pub async fn login(address: SocketAddr) -> RawClient {
        let mut client = RawClient::open(address).await;
        client.send_bytes(&startup_packet(VERSION_3_0, &[])).await;
        for (tag, body) in client.read_until(b"ZE").await {
            assert_ne!(tag, b'E', "refused: {}", String::from_utf8_lossy(&body));
            if tag == b'K' {
                client.key = body;
            }
        }
        client
    }

    /// Sends a message.
    pub async fn send(&mut self, tag: u8, body: &[u8]) {
        self.send_bytes(&message(tag, body)).await;
    }

    /// Sends bytes as they are. A server that has hung up is noticed when its answer is read.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Sends a simple query.
    pub async fn query(&mut self, sql: &str) -> Vec<RawMessage> {
        self.send(b'Q', &text(sql)).await;
        self.read_until(b"Z").await
    }

    /// The next message; `None` when the server has hung up.
    pub async fn read(&mut self) -> Option<RawMessage> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = i32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; usize::try_from(length - 4).expect("a length counts itself")];
        self.stream.read_exact(&mut body).await.ok()?;
        Some((head[0], body))
    }

    /// Messages up to one of these types, or to the end.
    pub async fn read_until(&mut self, tags: &[u8]) -> Vec<RawMessage> {
        let mut messages = Vec::new();
        while let Some(message) = self.read().await {
            let last = tags.contains(&message.0);
            messages.push(message);
            if last {
                break;
            }
        }
        messages
    }

    /// One byte, as probes are answered; `None` when the server has hung up.
    pub async fn read_byte(&mut self) -> Option<u8> {
        self.stream.read_u8().await.ok()
    }
}

/// A startup packet of this version, for `highwater` unless `parameters` say otherwise.
pub fn startup_packet(version: i32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in [("user", "highwater"), ("database", "highwater")] {
        if !parameters.iter().any(|(given, _)| *given == name) {
            body.extend(text(name));
            body.extend(text(value));
        }
    }
    for (name, value) in parameters {
        body.extend(text(name));
        body.extend(text(value));
    }
    body.push(0);
    let mut packet = (body.len() as i32 + 4).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

/// A message with its length.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend((body.len() as i32 + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A text with its NUL.
pub fn text(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// A field of an ErrorResponse: `C` the code, `M` the message.
pub fn error_field(body: &[u8], field: u8) -> Option<String> {
    body.split(|byte| *byte == 0)
        .find(|part| part.first() == Some(&field))
        .map(|part| String::from_utf8_lossy(&part[1..]).into_owned())
}
