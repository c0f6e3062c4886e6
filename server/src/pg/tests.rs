//! The front end against clients that mean no good: every message cut, bent and thrown in at every state, over an
//! in-memory connection. What the server answers to clients that mean well is checked by the wire tests.

use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::cancel::Backends;
use super::listener::{ListenerConfig, Shared, serve_stream};
use super::notify::Notifier;
use super::tls::TlsIdentity;
use crate::database::{Database, DatabaseConfig};

/// What a panic in a connection's task is answered with.
const PANICKED: &[u8] = b"the connection's task panicked";

/// A database in a folder that goes with it, and what its connections share.
struct Server {
    shared: Arc<Shared>,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start(max_connections: usize) -> Server {
        Server::start_with(max_connections, None).await
    }

    /// One that takes TLS, with a certificate that is good for nothing else.
    async fn start_encrypted() -> Server {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pg/testdata");
        let identity = TlsIdentity::try_load(&folder.join("certificate.pem"), &folder.join("key.pem"));
        Server::start_with(10, Some(identity.expect("certificate and key belong together"))).await
    }

    async fn start_with(max_connections: usize, tls: Option<TlsIdentity>) -> Server {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let config = DatabaseConfig {
            data_dir: folder.path().to_path_buf(),
            workers: 1,
            retention: crate::config::DEFAULT_RETENTION,
        };
        let database = Database::open(&config).await.expect("an empty folder opens");
        let mut config = ListenerConfig::new(([127, 0, 0, 1], 0).into());
        config.max_connections = max_connections;
        config.tls = tls;
        let shared = Shared::new(database, Backends::new(), Notifier::new(), &config);
        Server {
            shared,
            _folder: folder,
        }
    }
}

fn connect(shared: &Arc<Shared>, buffer: usize) -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (client, server) = tokio::io::duplex(buffer);
    let shared = Arc::clone(shared);
    let task = tokio::spawn(async move { serve_stream(Box::new(server), "test", &shared).await });
    (client, task)
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn startup() -> Vec<u8> {
    let mut body = 196_608i32.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0ada\0database\0highwater\0\0");
    let mut bytes = (body.len() as i32 + 4).to_be_bytes().to_vec();
    bytes.extend_from_slice(&body);
    bytes
}

/// One of every kind of message, well formed, in an order that makes sense.
fn conversation() -> Vec<Vec<u8>> {
    vec![
        message(b'Q', b"select 1; begin; select 2\0"),
        message(b'P', b"s\0select $1::int\0\0\x01\0\0\0\x17"),
        message(b'B', b"p\0s\0\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x07\0\x01\0\x01"),
        message(b'D', b"Ss\0"),
        message(b'D', b"Pp\0"),
        message(b'E', b"p\0\0\0\0\x01"),
        message(b'H', b""),
        message(b'C', b"Pp\0"),
        message(b'S', b""),
        message(b'd', b"1\t2\n"),
        message(b'c', b""),
        message(b'f', b"why\0"),
        message(b'F', b"\0\0\0\0\0\0\0\0\0\0"),
        message(b'Q', b"declare c cursor for select 1; fetch all from c; rollback\0"),
    ]
}

/// Sends the bytes, says no more, and reads all that comes back.
async fn exchange(shared: &Arc<Shared>, bytes: Vec<u8>) -> Vec<u8> {
    let (client, task) = connect(shared, 1 << 16);
    let (mut read, mut write) = tokio::io::split(client);
    let sending = tokio::spawn(async move {
        // The server may hang up before it has read all.
        let _ = write.write_all(&bytes).await;
        let _ = write.shutdown().await;
    });
    let mut answer = Vec::new();
    let _ = read.read_to_end(&mut answer).await;
    sending.await.expect("sending does not panic");
    task.await.expect("the task does not panic");
    answer
}

fn assert_no_panic(answer: &[u8], sent: &[u8]) {
    let panicked = answer.windows(PANICKED.len()).any(|w| w == PANICKED);
    assert!(!panicked, "a panic was caused by {sent:02x?}");
}

/// Changes bytes, lengths or the size of a message.
fn bend(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..5) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.random()),
            _ => {
                let extreme = [0u8, 0xff, 0x7f, 0x80][rng.random_range(0..4)];
                let end = bytes.len().min(at + rng.random_range(1..5));
                bytes[at..end].fill(extreme);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bent_messages_at_every_state_cause_no_panic() {
    let server = Server::start(10).await;
    let shared = Arc::clone(&server.shared);
    let mut rng = StdRng::seed_from_u64(11);
    for case in 0..2000 {
        let mut messages = conversation();
        messages.truncate(rng.random_range(1..messages.len() + 1));
        let victim = rng.random_range(0..messages.len());
        let keep_length = rng.random_bool(0.5);
        let original = messages[victim].clone();
        bend(&mut rng, &mut messages[victim]);
        if keep_length && messages[victim].len() > 5 {
            // A frame that is whole, with nonsense in it, gets past the framing.
            messages[victim] = message(original[0], &messages[victim][5..]);
        }
        let mut sent = startup();
        if case % 10 == 0 {
            bend(&mut rng, &mut sent);
        }
        sent.extend(messages.concat());
        let answer = exchange(&shared, sent.clone()).await;
        assert_no_panic(&answer, &sent);
    }
    assert_eq!(shared.backends.count(), 0, "no connection is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_before_and_after_the_login_causes_no_panic() {
    let server = Server::start(10).await;
    let shared = Arc::clone(&server.shared);
    let mut rng = StdRng::seed_from_u64(12);
    for case in 0..500 {
        let mut sent = if case % 2 == 0 { startup() } else { Vec::new() };
        let length = rng.random_range(0..300);
        sent.extend((0..length).map(|_| rng.random::<u8>()));
        let answer = exchange(&shared, sent.clone()).await;
        assert_no_panic(&answer, &sent);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_cut_anywhere_are_put_together() {
    let server = Server::start(10).await;
    let shared = Arc::clone(&server.shared);
    let mut sent = startup();
    sent.extend(message(b'Q', b"select 1\0"));
    sent.extend(message(b'X', b""));
    let (client, task) = connect(&shared, 3);
    let (mut read, mut write) = tokio::io::split(client);
    let sending = tokio::spawn(async move {
        for byte in sent {
            write.write_all(&[byte]).await.expect("the server reads");
        }
    });
    let mut answer = Vec::new();
    read.read_to_end(&mut answer).await.expect("the server answers");
    sending.await.expect("all was sent");
    task.await.expect("the task does not panic");
    assert!(answer.windows(9).any(|w| w == b"SELECT 1\0"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_ends_when_it_is_told_to_and_holds_up_nobody() {
    let server = Server::start(10).await;
    let shared = Arc::clone(&server.shared);
    let (mut deaf, task) = connect(&shared, 1024);
    deaf.write_all(&startup()).await.expect("the server reads");
    let endless = b"select i, repeat('x', 1000) from generate_series(1, 100000000) as t(i)\0";
    deaf.write_all(&message(b'Q', endless)).await.expect("the server reads");

    let mut other = startup();
    other.extend(message(b'Q', b"select 1\0"));
    other.extend(message(b'X', b""));
    let answer = exchange(&shared, other).await;
    assert!(answer.windows(9).any(|w| w == b"SELECT 1\0"));

    shared.backends.terminate_all();
    drop(deaf);
    task.await.expect("the task does not panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_clients_are_refused_with_their_sqlstate() {
    let server = Server::start(1).await;
    let shared = Arc::clone(&server.shared);
    let (mut first, _task) = connect(&shared, 1 << 16);
    first.write_all(&startup()).await.expect("the server reads");
    let mut head = [0; 1];
    first.read_exact(&mut head).await.expect("the server answers");
    let answer = exchange(&shared, startup()).await;
    assert!(
        answer.windows(5).any(|w| w == b"53300"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_executed_before_the_login() {
    let answer = exchange(&Server::start(1).await.shared, message(b'Q', b"select 1\0")).await;
    assert!(!answer.contains(&b'Z'), "{answer:?}");
}

const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";

/// A client's half of TLS, which trusts our certificate and names these protocols.
fn connector(protocols: &[&[u8]]) -> TlsConnector {
    let certificate =
        CertificateDer::from_pem_slice(include_bytes!("testdata/certificate.pem")).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// Logs in over an encrypted stream, asks for 1, and says goodbye; answers all that came back.
async fn talk(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> Vec<u8> {
    let mut said = startup();
    said.extend(message(b'Q', b"select 1\0"));
    said.extend(message(b'X', b""));
    let mut answer = Vec::new();
    if stream.write_all(&said).await.is_ok() {
        // The server may hang up without TLS's own goodbye.
        let _ = stream.read_to_end(&mut answer).await;
    }
    answer
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_negotiated_and_carries_a_session() {
    let server = Server::start_encrypted().await;
    let (mut client, task) = connect(&server.shared, 1 << 16);
    client.write_all(SSL_REQUEST).await.expect("the server reads");
    let mut answer = [0];
    client.read_exact(&mut answer).await.expect("the server answers");
    assert_eq!(&answer, b"S");
    let stream = connector(&[]).connect(localhost(), client).await.expect("a handshake");
    let answer = talk(stream).await;
    assert!(answer.windows(9).any(|w| w == b"SELECT 1\0"), "{answer:?}");
    task.await.expect("the task does not panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_without_asking_first_must_name_the_protocol() {
    let server = Server::start_encrypted().await;
    let (client, _task) = connect(&server.shared, 1 << 16);
    let stream = connector(&[b"postgresql"])
        .connect(localhost(), client)
        .await
        .expect("a handshake");
    let answer = talk(stream).await;
    assert!(answer.windows(9).any(|w| w == b"SELECT 1\0"), "{answer:?}");

    let (client, _task) = connect(&server.shared, 1 << 16);
    if let Ok(stream) = connector(&[]).connect(localhost(), client).await {
        assert_eq!(talk(stream).await, b"");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_sent_before_the_handshake_are_not_taken_for_encrypted_ones() {
    let server = Server::start_encrypted().await;
    let mut sent = SSL_REQUEST.to_vec();
    sent.extend(startup());
    sent.extend(message(b'Q', b"select 1\0"));
    let answer = exchange(&server.shared, sent).await;
    assert_eq!(answer.first(), Some(&b'S'));
    assert!(answer.windows(5).any(|w| w == b"08P01"), "{answer:?}");
    assert!(!answer.windows(6).any(|w| w == b"SELECT"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_certificate_tls_is_declined() {
    let server = Server::start(10).await;
    let mut sent = SSL_REQUEST.to_vec();
    sent.extend(startup());
    sent.extend(message(b'Q', b"select 1\0"));
    sent.extend(message(b'X', b""));
    let answer = exchange(&server.shared, sent).await;
    assert_eq!(answer.first(), Some(&b'N'));
    assert!(answer.windows(9).any(|w| w == b"SELECT 1\0"), "{answer:?}");
}
