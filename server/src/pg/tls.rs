//! TLS: the server's identity, the handshake, and a stream that gives back bytes which were read to look at them.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::wire::Stream;

/// The name that TLS's own negotiation knows the protocol by.
const ALPN: &[u8] = b"postgresql";

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no certificate, or no key, in PEM form.
    #[error("{path}: {reason}")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not go together, or are not usable.
    #[error("certificate and key cannot be used: {0}")]
    Identity(#[from] rustls::Error),
}

/// The server's certificate and key.
#[derive(Clone)]
pub struct TlsIdentity {
    acceptor: TlsAcceptor,
    certificate: Arc<[u8]>,
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

impl TlsIdentity {
    /// Reads a certificate chain and its key from PEM files.
    ///
    /// # Errors
    /// When a file cannot be read or used; the error names it.
    pub fn try_load(certificate: &Path, key: &Path) -> Result<TlsIdentity, TlsError> {
        let pem = |path: &Path, reason: &dyn std::fmt::Display| TlsError::Pem {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        };
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::File {
                path: path.to_path_buf(),
                source,
            })
        };
        let certificate_pem = read(certificate)?;
        let chain = CertificateDer::pem_slice_iter(&certificate_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| pem(certificate, &error))?;
        let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| pem(key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, private)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsIdentity {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate: certificate_pem.into(),
        })
    }

    /// The certificate, for channel binding.
    pub(super) fn certificate_pem(&self) -> &[u8] {
        &self.certificate
    }

    /// The handshake. A client that starts with it must also say which protocol it is for.
    pub(super) async fn accept(&self, stream: Stream, must_name_protocol: bool) -> io::Result<Stream> {
        let encrypted = self.acceptor.accept(stream).await?;
        if must_name_protocol && encrypted.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(io::Error::other("direct TLS without the postgresql protocol"));
        }
        Ok(Box::new(encrypted))
    }
}

/// A stream some of whose first bytes have been read already.
pub(super) struct Rewound {
    first: BytesMut,
    rest: Stream,
}

impl Rewound {
    pub(super) fn new(first: BytesMut, rest: Stream) -> Rewound {
        Rewound { first, rest }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.rest).poll_read(cx, buffer);
        }
        let length = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..length]);
        self.first.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_shutdown(cx)
    }
}
