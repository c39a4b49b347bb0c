//! One way to a server: a name or a path, with TLS or without, until a deadline.

use std::fmt;
use std::io;
use std::path::PathBuf;

use steadfast_core::{Host, Moment};
use tokio::net::UnixStream;

use super::{Stream, connect_tcp};
use crate::clock;
use crate::tls;

/// Where a server is. Displayed as `host:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// On TCP.
    Tcp {
        /// Its host.
        host: Host,
        /// Its port.
        port: u16,
    },
    /// On a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why there is no connection. Nothing was sent that could be acted upon. Displayed as the reason alone; who dialled
/// knows the address.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address, or nobody takes a connection there.
    #[error("{0}")]
    Unreachable(#[source] io::Error),
    /// Somebody answered, and is not who was meant, or takes us for somebody else.
    #[error("{0}")]
    Refused(#[source] tls::Refused),
    /// The deadline came before a connection.
    #[error("no connection was made in time")]
    Late,
    /// The deadline came before the end of the handshake.
    #[error("a connection was made, and the TLS handshake did not end in time")]
    LateHandshake,
}

impl From<DialError> for io::Error {
    fn from(error: DialError) -> io::Error {
        match error {
            DialError::Unreachable(source) => source,
            DialError::Refused(refused) => io::Error::new(io::ErrorKind::PermissionDenied, refused),
            late => io::Error::new(io::ErrorKind::TimedOut, late),
        }
    }
}

/// A connection to `address`, until `deadline`; inside TLS if that is given, which a Unix socket has no use for: there
/// the kernel says who is at the other end. Dropping the future gives up at once.
///
/// # Errors
///
/// [`DialError`].
pub async fn dial(address: &Address, tls: Option<&tls::Client>, deadline: Moment) -> Result<Stream, DialError> {
    let (tcp, host) = match address {
        Address::Unix(path) => {
            let made = clock::timeout_at(deadline, UnixStream::connect(path)).await.ok_or(DialError::Late)?;
            return made.map(Stream::Unix).map_err(DialError::Unreachable);
        }
        Address::Tcp { host, port } => {
            let made = clock::timeout_at(deadline, connect_tcp(host, *port)).await;
            (made.ok_or(DialError::Late)?.map_err(DialError::Unreachable)?, host)
        }
    };
    let Some(tls) = tls else { return Ok(Stream::Tcp(tcp)) };
    let made = clock::timeout_at(deadline, tls.connect(tcp, host)).await.ok_or(DialError::LateHandshake)?;
    made.map_err(|error| match error.downcast::<tls::Refused>() {
        Ok(refused) => DialError::Refused(refused),
        Err(error) => DialError::Unreachable(error),
    })
}
