//! TLS, both sides: who is at the other end is proven, or there is no connection.
//!
//! [`Client`] goes over a TCP connection that is there, [`Server`] likewise; both read their certificates, keys and
//! authorities from files, and read them again when those change, so that nothing is restarted for a new certificate:
//! connections that stand go on, new ones use what is there now. There is no way to leave the check out. Each
//! connection is proven in full: nothing is resumed, so that an authority that was taken away lets nobody in who was
//! let in before.
//!
//! What cannot be is said in a sentence for who has to mend it ([`Refused`]): which name the certificate has and which
//! one was wanted, whose authority is missing, what expired when.
//!
//! What it refuses to know: what is spoken inside, and what a name in a client's certificate may do. Versions are 1.2
//! and 1.3; the cryptography is ring's.

#[cfg(any(test, feature = "test-certs"))]
pub mod certs;
mod files;
mod sentence;
mod server;
mod stream;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::{ClientConfig, ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use steadfast_core::Host;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clock;
use crate::net::Stream;
use crate::reread::{Reread, RereadError};
use stream::{Proof, Unheard};

pub use server::{Server, ServerFiles, Unaccepted};
pub use stream::TlsStream;

/// What a client is given. Nothing of it: the system's authorities, and no certificate of our own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities that may sign the server's certificate, PEM; `None`: the system's. Given, the system's count for
    /// nothing.
    pub ca: Option<PathBuf>,
    /// Our own certificate, and what stands between it and its authority, PEM; for servers that want one.
    pub cert: Option<PathBuf>,
    /// The key of that certificate, PEM: both, or neither.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate is to have; `None`: the host that is dialled.
    pub name: Option<Host>,
}

/// Which protocol is offered inside (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// None is named.
    None,
    /// `http/1.1`.
    Http1,
    /// `h2`.
    Http2,
}

/// What was given cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate without its key, or the other way round.
    #[error("a certificate and its key go together: {given} is given, and no {missing}")]
    Half {
        /// What is given.
        given: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// A file cannot be read, or holds something else.
    #[error(transparent)]
    Files(#[from] RereadError),
}

/// Why there is no connection, although somebody answered: a sentence that names the peer. It stands in the
/// [`io::Error`] of [`Client::connect`], and in that of the first read or write where the server says it only then.
/// Nothing that was to be sent inside has been acted upon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl Refused {
    /// Whether `error` is one of these.
    pub fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Refused>())
    }
}

/// Makes connections that prove who is at their other end. A clone is the same one.
#[derive(Clone)]
pub struct Client(Arc<Dialling>);

struct Dialling {
    current: Reread<Ready>,
    name: Option<Host>,
    /// Whose authorities count, for messages.
    trusted: String,
}

/// What the files make.
struct Ready {
    config: ClientConfig,
    own: Option<Arc<CertifiedKey>>,
}

impl PartialEq for Client {
    /// The same one, not an equal one: connections of two are never exchanged.
    fn eq(&self, other: &Client) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Client {}

impl std::hash::Hash for Client {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("tls::Client").field("files", &self.0.current).field("name", &self.0.name).finish()
    }
}

impl Client {
    /// Reads `files`, and offers `alpn` in each handshake.
    ///
    /// # Errors
    ///
    /// [`TlsError`], naming the file.
    pub fn new(files: ClientFiles, alpn: Alpn) -> Result<Client, TlsError> {
        let ClientFiles { ca, cert, key, name } = files;
        let trusted = ca.as_ref().map_or_else(|| "this machine".to_owned(), |ca| ca.display().to_string());
        let own = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => return Err(TlsError::Half { given: "a certificate", missing: "key" }),
            (None, Some(_)) => return Err(TlsError::Half { given: "a key", missing: "certificate" }),
        };
        let system = if ca.is_none() { Some(files::system_authorities()?) } else { None };
        let mut paths: Vec<PathBuf> = ca.iter().cloned().collect();
        paths.extend(own.iter().flat_map(|(cert, key)| [cert.clone(), key.clone()]));
        let current = Reread::open(paths, files::MOST_BYTES, move |contents| {
            let mut contents = contents.iter();
            let mut next = || contents.next().map(Vec::as_slice).unwrap_or_default();
            let roots = match (&system, &ca) {
                (None, Some(ca)) => files::authorities(ca, next())?,
                (system, _) => system.clone().unwrap_or_else(RootCertStore::empty),
            };
            let own = match &own {
                Some((cert, key)) => Some(Arc::new(files::pair((cert, next()), (key, next()))?)),
                None => None,
            };
            Ok(Ready { config: config(roots, alpn)?, own })
        })?;
        Ok(Client(Arc::new(Dialling { current, name, trusted })))
    }

    /// How often the files have changed to something else usable: a connection that was made under another number may
    /// have been proven by what counts no longer. Looks at the files at most once a second.
    pub fn generation(&self) -> u64 {
        self.0.current.generation()
    }

    /// A connection over `tcp`, which leads to `host`, once the server has proven that it is that host (or the
    /// [`ClientFiles::name`]). The caller bounds the wait. Dropping the future closes the connection.
    ///
    /// # Errors
    ///
    /// With [`Refused`] inside where the one or the other side does not accept the other; else what the socket says.
    pub async fn connect(&self, tcp: TcpStream, host: &Host) -> io::Result<Stream> {
        let port = tcp.peer_addr()?.port();
        let peer = format!("{host}:{port}");
        let name = self.0.name.as_ref().unwrap_or(host);
        let ready = self.0.current.current();
        let proof = Proof::of(ready.own.clone());
        let mut config = ready.config.clone();
        config.client_auth_cert_resolver = Arc::clone(&proof) as Arc<dyn ResolvesClientCert>;
        let unheard = Unheard { peer, name: name.clone(), trusted: self.0.trusted.clone(), proof };
        let connecting = TlsConnector::from(Arc::new(config)).connect(server_name(name)?, tcp);
        let inner = connecting.await.map_err(|error| unheard.explain(error))?;
        Ok(Stream::Tls(Box::new(TlsStream::of_client(inner, unheard))))
    }
}

fn server_name(host: &Host) -> io::Result<ServerName<'static>> {
    match host {
        Host::Ip(ip) => Ok(ServerName::from(*ip)),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| {
            let why = format!("{name} cannot be the name in a certificate: expected a DNS name or an address");
            io::Error::new(io::ErrorKind::InvalidInput, Refused(why))
        }),
    }
}

fn config(roots: RootCertStore, alpn: Alpn) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(OurClock))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = alpn.offered();
    Ok(config)
}

impl Alpn {
    fn offered(self) -> Vec<Vec<u8>> {
        match self {
            Alpn::None => Vec::new(),
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
            Alpn::Http2 => vec![b"h2".to_vec()],
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Validity is judged by the one clock there is.
#[derive(Debug)]
struct OurClock;

impl TimeProvider for OurClock {
    fn current_time(&self) -> Option<UnixTime> {
        let ms = u64::try_from(clock::wall().unix_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(ms)))
    }
}

#[cfg(test)]
mod tests;
