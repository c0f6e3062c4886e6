//! From the first byte to the login: probes for encryption, cancel requests, protocol versions, the startup packet
//! and its options. Whatever goes wrong here ends the connection: nothing is executed for a client that is not in.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use highwater_types::{SqlError, SqlState};
use pgwire::messages::response::SslResponse;
use pgwire::messages::startup::{BackendKeyData, NegotiateProtocolVersion, SecretKey, Startup as StartupPacket};
use pgwire::messages::{DecodeContext, Message, ProtocolVersion};
use tokio::time::Duration;

use super::auth::authenticate;
use super::connection::Connection;
use super::error::{Severity, Stop, broken};
use super::frame::{MAX_STARTUP_BYTES, Reader};
use super::link::Link;
use super::listener::Shared;
use super::notify::Ear;
use super::tls::Rewound;
use super::wire::{Stream, Writer};
use crate::session::{Peers, Session, Startup};

/// Between the first byte and the login there may be so much time.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// A refused client is given so long to read why.
const FAREWELL: Duration = Duration::from_secs(2);

const CANCEL_REQUEST: i32 = 80_877_102;
const SSL_REQUEST: i32 = 80_877_103;
const GSS_REQUEST: i32 = 80_877_104;
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// One probe for TLS and one for GSSAPI.
const MAX_PROBES: usize = 2;
/// The newest minor version of protocol 3.
const NEWEST_MINOR: u16 = 2;

/// Both ways of a connection that is not in yet.
struct Ways {
    reader: Reader,
    writer: Writer,
    encrypted: bool,
}

impl Ways {
    fn new(stream: Stream, encrypted: bool) -> Ways {
        let (read, write) = tokio::io::split(stream);
        Ways {
            reader: Reader::new(read, BytesMut::new()),
            writer: Writer::new(write),
            encrypted,
        }
    }

    /// The stream, and what was read from it and not used.
    fn into_stream(self) -> (Stream, BytesMut) {
        let (read, first) = self.reader.into_parts();
        (read.unsplit(self.writer.into_half()), first)
    }
}

/// What a client says who wants in.
struct Login {
    packet: StartupPacket,
    minor: u16,
    user: String,
    database: String,
    settings: Vec<(String, String)>,
}

/// Brings a client in. `None` when it did not want to stay, or was refused and told so.
pub(super) async fn welcome(stream: Stream, address: &str, shared: &Arc<Shared>) -> Option<Connection> {
    let deadline = tokio::time::Instant::now() + LOGIN_TIMEOUT;
    let negotiated = tokio::time::timeout_at(deadline, negotiate(Ways::new(stream, false), shared)).await;
    let (mut ways, login) = negotiated.ok()??;
    let admitted = async {
        let login = login?;
        let _slot = admit(shared)?;
        let tls = shared.tls.as_ref().filter(|_| ways.encrypted);
        put_negotiation(&mut ways.writer, &login);
        authenticate(&mut ways.reader, &mut ways.writer, &shared.users, &login.user, tls).await?;
        Ok((login, _slot))
    };
    let admitted = match tokio::time::timeout_at(deadline, admitted).await {
        Ok(admitted) => admitted,
        Err(_) => Err(Stop::Fatal(SqlError::new(
            SqlState::PROTOCOL_VIOLATION,
            "canceling authentication due to timeout",
        ))),
    };
    match admitted.and_then(|(login, slot)| open(&mut ways.writer, login, slot, address, shared)) {
        Ok((session, registered, ear)) => {
            let watch = registered.watch();
            let link = Link {
                reader: ways.reader,
                writer: ways.writer,
                watch,
                commitment: session.commitment().clone(),
            };
            Some(Connection::new(link, session, registered, ear))
        }
        Err(Stop::Fatal(error) | Stop::Error(error)) => {
            ways.writer.put_error(&error, Severity::Fatal);
            ways.writer.close(FAREWELL).await;
            None
        }
        Err(Stop::Gone) => None,
    }
}

/// A place among the connected clients.
fn admit(shared: &Arc<Shared>) -> Result<tokio::sync::OwnedSemaphorePermit, Stop> {
    if shared.is_stopping() {
        return Err(Stop::Fatal(SqlError::new(
            SqlState::CANNOT_CONNECT_NOW,
            "the database system is shutting down",
        )));
    }
    Arc::clone(&shared.slots).try_acquire_owned().map_err(|_| {
        Stop::Fatal(SqlError::new(
            SqlState::TOO_MANY_CONNECTIONS,
            "sorry, too many clients already",
        ))
    })
}

type Opened = (Session, super::cancel::Registered, Ear);

/// Opens the session and puts all that comes between the login and the first ReadyForQuery, but for the settings,
/// which ReadyForQuery brings along.
fn open(
    writer: &mut Writer,
    login: Login,
    slot: tokio::sync::OwnedSemaphorePermit,
    address: &str,
    shared: &Arc<Shared>,
) -> Result<Opened, Stop> {
    let key: Vec<u8> = if login.minor >= 2 {
        rand::random::<[u8; 32]>().to_vec()
    } else {
        rand::random::<[u8; 4]>().to_vec()
    };
    let registered = shared
        .backends
        .register(&login.user, &login.database, address, key.clone(), slot);
    let startup = Startup {
        user: login.user,
        database: login.database,
        settings: login.settings,
        pid: registered.pid(),
        peers: Peers {
            backends: Arc::clone(&shared.backends),
            notifier: Arc::clone(&shared.notifier),
        },
    };
    let mut session = Session::try_new(Arc::clone(&shared.database), startup)?;
    for (name, value) in session.take_reports() {
        writer.put_parameter(name, value);
    }
    writer.put(&BackendKeyData::new(registered.pid(), SecretKey::Bytes(key.into())));
    let ear = Ear::new(Arc::clone(&shared.notifier), registered.pid());
    Ok((session, registered, ear))
}

/// Answers probes until the startup packet. `None` when there will be none: the client has gone, has cancelled
/// somebody else's statement, or does not speak the protocol at all.
async fn negotiate(mut ways: Ways, shared: &Shared) -> Option<(Ways, Result<Login, Stop>)> {
    for _ in 0..=MAX_PROBES {
        if !ways.reader.fill_to(1).await.ok()? {
            return None;
        }
        if ways.reader.buffered().first() == Some(&TLS_HANDSHAKE) {
            ways = encrypt(ways, shared, true).await?;
            continue;
        }
        if !ways.reader.fill_to(8).await.ok()? {
            return None;
        }
        let mut head = &ways.reader.buffered()[..8];
        let length = head.get_i32();
        let code = head.get_i32();
        let length = usize::try_from(length)
            .ok()
            .filter(|n| (8..=MAX_STARTUP_BYTES).contains(n));
        let Some(length) = length else {
            return Some((ways, Err(broken("invalid length of startup packet"))));
        };
        match code {
            SSL_REQUEST if length == 8 => {
                ways.reader.take(length);
                if shared.tls.is_some() && !ways.encrypted {
                    // Bytes that are here already were not encrypted, and would pass for such (CVE-2021-23214).
                    let clean = ways.reader.buffered().is_empty();
                    ways.writer.put(&SslResponse::Accept);
                    ways.writer.flush().await.ok()?;
                    if !clean {
                        let refusal = broken("received unencrypted data after SSL request");
                        return Some((ways, Err(refusal)));
                    }
                    ways = encrypt(ways, shared, false).await?;
                } else {
                    ways.writer.put(&SslResponse::Refuse);
                    ways.writer.flush().await.ok()?;
                }
            }
            GSS_REQUEST if length == 8 => {
                ways.reader.take(length);
                ways.writer.put(&SslResponse::Refuse);
                ways.writer.flush().await.ok()?;
            }
            CANCEL_REQUEST => {
                cancel(&mut ways.reader, length, shared).await;
                return None;
            }
            version => {
                if !ways.reader.fill_to(length).await.ok()? {
                    return None;
                }
                let packet = ways.reader.take(length);
                return Some((ways, read_login(packet, version as u32)));
            }
        }
    }
    Some((ways, Err(broken("too many encryption requests"))))
}

async fn encrypt(ways: Ways, shared: &Shared, direct: bool) -> Option<Ways> {
    let identity = shared.tls.as_ref().filter(|_| !ways.encrypted)?;
    let (stream, first) = ways.into_stream();
    let stream = Box::new(Rewound::new(first, stream));
    match identity.accept(stream, direct).await {
        Ok(encrypted) => Some(Ways::new(encrypted, true)),
        Err(error) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
    }
}

async fn cancel(reader: &mut Reader, length: usize, shared: &Shared) {
    if !(16..=12 + 256).contains(&length) || !reader.fill_to(length).await.unwrap_or(false) {
        return;
    }
    let request = reader.take(length);
    let pid = (&request[8..12]).get_i32();
    shared.backends.cancel_with_key(pid, &request[12..]);
}

fn read_login(mut packet: BytesMut, version: u32) -> Result<Login, Stop> {
    let (major, minor) = ((version >> 16) as u16, version as u16);
    if major != 3 {
        return Err(Stop::Fatal(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{NEWEST_MINOR}"),
        )));
    }
    if packet.last() != Some(&0) {
        return Err(broken(
            "invalid startup packet layout: expected terminator as last byte",
        ));
    }
    let context = DecodeContext::new(ProtocolVersion::PROTOCOL3_2);
    let packet = match StartupPacket::decode(&mut packet, &context) {
        Ok(Some(packet)) => packet,
        Ok(None) | Err(_) => return Err(broken("invalid startup packet layout")),
    };
    let parameter = |name: &str| packet.parameters.get(name).filter(|v| !v.is_empty()).cloned();
    let Some(user) = parameter("user") else {
        return Err(Stop::Fatal(SqlError::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "no PostgreSQL user name specified in startup packet",
        )));
    };
    let database = parameter("database").unwrap_or_else(|| user.clone());
    if let Some(mode) = parameter("replication")
        && !matches!(mode.to_ascii_lowercase().as_str(), "false" | "off" | "no" | "0")
    {
        return Err(Stop::Fatal(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "replication connections are not supported",
        )));
    }
    let mut settings = match parameter("options") {
        Some(options) => read_options(&options)?,
        None => Vec::new(),
    };
    for (name, value) in &packet.parameters {
        let own = matches!(name.as_str(), "user" | "database" | "options" | "replication");
        if !own && !name.starts_with("_pq_.") {
            settings.push((name.clone(), value.clone()));
        }
    }
    let minor = if minor >= NEWEST_MINOR { NEWEST_MINOR } else { 0 };
    Ok(Login {
        packet,
        minor,
        user,
        database,
        settings,
    })
}

/// Tells a client that asked for more than there is what there is.
fn put_negotiation(writer: &mut Writer, login: &Login) {
    let unknown: Vec<String> = login
        .packet
        .parameters
        .keys()
        .filter(|name| name.starts_with("_pq_."))
        .cloned()
        .collect();
    if login.packet.protocol_number_minor != login.minor || !unknown.is_empty() {
        let newest = (3 << 16) | i32::from(login.minor);
        writer.put(&NegotiateProtocolVersion::new(newest, unknown));
    }
}

/// `-c name=value`, `-cname=value`, `--name=value`, with backslashes before spaces and backslashes.
fn read_options(text: &str) -> Result<Vec<(String, String)>, Stop> {
    let mut settings = Vec::new();
    let mut words = split_options(text).into_iter();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next().unwrap_or_default()
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_string()
        } else {
            return Err(bad_option(&word));
        };
        let Some((name, value)) = assignment.split_once('=') else {
            return Err(bad_option(&word));
        };
        settings.push((name.replace('-', "_"), value.to_string()));
    }
    Ok(settings)
}

fn bad_option(word: &str) -> Stop {
    Stop::Fatal(SqlError::new(
        SqlState::SYNTAX_ERROR,
        format!("invalid command-line argument for server process: {word}"),
    ))
}

fn split_options(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut started = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c == '\\' {
            word.extend(characters.next());
            started = true;
        } else if c.is_whitespace() {
            if std::mem::take(&mut started) {
                words.push(std::mem::take(&mut word));
            }
        } else {
            word.push(c);
            started = true;
        }
    }
    if started {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_all_spellings() {
        let read = |text| read_options(text).map_err(|_| ());
        let pair = |n: &str, v: &str| (n.to_string(), v.to_string());
        assert_eq!(
            read("-c a=b  -cc=d --search-path=x\\ y"),
            Ok(vec![pair("a", "b"), pair("c", "d"), pair("search_path", "x y")])
        );
        assert!(read("-x").is_err());
        assert!(read("-c nothing").is_err());
        assert_eq!(read("  "), Ok(Vec::new()));
    }
}
