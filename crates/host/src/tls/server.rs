//! The server's side: a certificate of its own, and, where it is to be, proof of who connects.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::stream::TlsStream;
use super::{Alpn, OurClock, TlsError, files, provider};
use crate::net::Stream;
use crate::reread::Reread;

/// A record of a handshake begins so, whatever the version.
const HANDSHAKE: u8 = 0x16;
/// How long a client that was refused is listened to and ignored. Closed at once, the kernel would reset the connection,
/// and the refusal might be lost on its way.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that it may send meanwhile.
const LINGER_BYTES: u64 = 64 * 1024;

/// What a server is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// Its certificate, and what stands between it and its authority, PEM.
    pub cert: PathBuf,
    /// The key of that certificate, PEM.
    pub key: PathBuf,
    /// The authorities one of which is to have signed the certificate of who connects, PEM; `None`: no one is asked for
    /// a certificate.
    pub client_ca: Option<PathBuf>,
}

/// Takes connections whose peer is proven what we are, and where that is wanted proves what it is. A clone is the same.
#[derive(Clone)]
pub struct Server(pub(super) Reread<ServerConfig>);

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("tls::Server").field(&self.0).finish()
    }
}

/// Why a connection was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unaccepted {
    /// It begins with something else than TLS. The connection is given back, nothing read from it.
    #[error("what came is not TLS")]
    NotTls(TcpStream),
    /// The handshake failed, and the peer was told. The words are rustls'.
    #[error("the TLS handshake failed: {0}")]
    Failed(io::Error),
    /// It took too long.
    #[error("the TLS handshake did not end within {0:?}")]
    Late(Duration),
}

impl Server {
    /// Reads `files`, and agrees to `alpn`.
    ///
    /// # Errors
    ///
    /// [`TlsError`], naming the file.
    pub fn new(files: ServerFiles, alpn: Alpn) -> Result<Server, TlsError> {
        let ServerFiles { cert, key, client_ca } = files;
        let paths = [Some(cert.clone()), Some(key.clone()), client_ca.clone()].into_iter().flatten().collect();
        let current = Reread::open(paths, files::MOST_BYTES, move |contents| {
            let part = |at: usize| contents.get(at).map(Vec::as_slice).unwrap_or_default();
            let own = files::pair((&cert, part(0)), (&key, part(1)))?;
            let wrong = |error: &dyn fmt::Display| format!("the certificate in {}: {error}", cert.display());
            let builder = ServerConfig::builder_with_details(provider(), Arc::new(OurClock))
                .with_safe_default_protocol_versions()
                .map_err(|error| wrong(&error))?;
            let builder = match &client_ca {
                None => builder.with_no_client_auth(),
                Some(ca) => {
                    let roots = Arc::new(files::authorities(ca, part(2))?);
                    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                    builder.with_client_cert_verifier(verifier.map_err(|error| format!("{}: {error}", ca.display()))?)
                }
            };
            let mut config = builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own)));
            config.alpn_protocols = alpn.offered();
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            Ok(config)
        })?;
        Ok(Server(current))
    }

    /// The connection inside `tcp`, its handshake done `within` that time, by the files as they are now. Dropping the
    /// future closes the connection.
    ///
    /// # Errors
    ///
    /// [`Unaccepted`].
    pub async fn accept(&self, tcp: TcpStream, within: Duration) -> Result<Stream, Unaccepted> {
        tokio::time::timeout(within, self.handshake(tcp)).await.map_err(|_| Unaccepted::Late(within))?
    }

    async fn handshake(&self, tcp: TcpStream) -> Result<Stream, Unaccepted> {
        let mut first = [0];
        match tcp.peek(&mut first).await {
            Ok(0) => return Err(Unaccepted::Failed(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) if first == [HANDSHAKE] => {}
            Ok(_) => return Err(Unaccepted::NotTls(tcp)),
            Err(error) => return Err(Unaccepted::Failed(error)),
        }
        let acceptor = TlsAcceptor::from(self.0.current());
        match acceptor.accept(tcp).into_fallible().await {
            Ok(inner) => Ok(Stream::Tls(Box::new(TlsStream::of_server(inner)))),
            Err((error, tcp)) => {
                let _ = tokio::time::timeout(LINGER, part(tcp)).await;
                Err(Unaccepted::Failed(error))
            }
        }
    }
}

/// Lets the peer read why before it is hung up on.
async fn part(mut tcp: TcpStream) -> io::Result<()> {
    tcp.shutdown().await?;
    tokio::io::copy(&mut tcp.take(LINGER_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}
