//! Sockets: listening, accepting, reserving ports, resolving names, and errors that say what to do.
//!
//! What it refuses to know: protocols. A [`Stream`] is bytes from a [`Peer`].

mod listen;
mod ports;
mod stream;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use steadfast_core::Host;
use tokio::net::TcpStream;

pub use listen::{BindError, Listener, Owner, Sharing, bind_tcp};
pub use ports::{NoFreePort, ReservedPort, reserve_port};
pub use stream::{Peer, Stream};

/// How many connections the kernel keeps for us while we are busy (it may cap this at `net.core.somaxconn`).
pub const BACKLOG: i32 = 4096;

/// The longest a name may take to resolve where the caller gives no shorter time.
pub const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

/// Why a host could not be turned into addresses.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The resolver answered that there is none, or could not be asked.
    #[error("cannot resolve the name {name}: {source}")]
    Failed {
        /// The name asked for.
        name: String,
        /// The resolver's words.
        source: io::Error,
    },
    /// The resolver did not answer in time.
    #[error("the resolver did not answer for {name} within {within:?}")]
    TimedOut {
        /// The name asked for.
        name: String,
        /// How long it was waited for.
        within: Duration,
    },
}

/// The addresses of `host`, at least one, in the resolver's order. A literal address costs nothing.
///
/// # Errors
///
/// [`ResolveError`]; a name without any address is `Failed`.
pub async fn resolve(host: &Host, port: u16, within: Duration) -> Result<Vec<SocketAddr>, ResolveError> {
    let name = match host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Name(name) => name,
    };
    let failed = |source| ResolveError::Failed { name: name.clone(), source };
    match tokio::time::timeout(within, tokio::net::lookup_host((name.as_str(), port))).await {
        Err(_) => Err(ResolveError::TimedOut { name: name.clone(), within }),
        Ok(Err(source)) => Err(failed(source)),
        Ok(Ok(addresses)) => {
            let addresses: Vec<SocketAddr> = addresses.collect();
            if addresses.is_empty() {
                return Err(failed(io::Error::new(io::ErrorKind::NotFound, "it has no address")));
            }
            Ok(addresses)
        }
    }
}

/// A connection to the first address of `host` that takes one, with TCP_NODELAY. The caller bounds the whole by a
/// time-out of its own; dropping the future gives up at once.
///
/// # Errors
///
/// That of the last address tried, or that of the resolver as [`io::ErrorKind::NotFound`] or `TimedOut`.
pub async fn connect_tcp(host: &Host, port: u16) -> io::Result<TcpStream> {
    let addresses = resolve(host, port, RESOLVE_WITHIN).await.map_err(|error| {
        let kind = match error {
            ResolveError::Failed { .. } => io::ErrorKind::NotFound,
            ResolveError::TimedOut { .. } => io::ErrorKind::TimedOut,
        };
        io::Error::new(kind, error)
    })?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

/// The address in the form it is compared in: an IPv4 address that arrived at an IPv6 socket (`::ffff:10.0.0.4`)
/// is the IPv4 address.
pub fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

#[cfg(test)]
mod tests;
