//! Sockets: listening, accepting, reserving ports, resolving names, and errors that say what to do.
//!
//! What it refuses to know: protocols. A [`Stream`] is bytes from a [`Peer`].

mod dial;
mod listen;
mod ports;
mod stream;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use steadfast_core::Host;
use tokio::net::TcpStream;

pub use dial::{Address, DialError, dial};
pub use listen::{BindError, Listener, Owner, Sharing, bind_tcp};
pub use ports::{NoFreePort, ReservedPort, reserve_port};
pub use stream::{Peer, Stream};

/// How many connections the kernel keeps for us while we are busy (it may cap this at `net.core.somaxconn`).
pub const BACKLOG: i32 = 4096;

/// The longest a name may take to resolve where the caller gives no shorter time.
pub const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

/// How long an address is tried while its name has another one.
pub const NEXT_ADDRESS_AFTER: Duration = Duration::from_secs(1);

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

/// A connection to the first address of `host` that takes one, with TCP_NODELAY and keep-alive probes. An address that
/// does not answer is given up after [`NEXT_ADDRESS_AFTER`] if there is another. The caller bounds the whole by a
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
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    let mut left = addresses.len();
    for address in addresses {
        left -= 1;
        let patience = if left == 0 { Duration::MAX } else { NEXT_ADDRESS_AFTER };
        match tokio::time::timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                tune(&stream)?;
                return Ok(stream);
            }
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

/// Sends small messages at once, and finds out about a peer that went without a word, so that a stream on which
/// nothing happens does not outlive the other side for ever.
fn tune(stream: &TcpStream) -> io::Result<()> {
    const PROBES: TcpKeepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5)).with_retries(3);
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&PROBES)
}

/// The address in the form it is compared in: an IPv4 address that arrived at an IPv6 socket (`::ffff:10.0.0.4`)
/// is the IPv4 address.
pub fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

#[cfg(test)]
mod tests;
