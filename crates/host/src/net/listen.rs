//! Listeners, and why one could not be had.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::{BACKLOG, Peer, Stream};

/// The longest path of a Unix socket: the kernel's 107 bytes, less what is appended until it has its mode.
const PATH_BYTES: usize = 102;
/// How long accepting rests when the process or the machine has no descriptor or memory left.
const REST_WHEN_EXHAUSTED: Duration = Duration::from_millis(100);

/// Whether several listeners of this user may have one address, the kernel spreading connections among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One listener: a second one, of whatever process, is refused.
    Alone,
    /// `SO_REUSEPORT`: one listener a thread.
    Shared,
}

/// A process that listens on an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its process id.
    pub pid: i32,
    /// Its name, as in `ps`.
    pub name: String,
}

/// An address that cannot be listened on. Displayed: what, where, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", Explained(self))]
pub struct BindError {
    /// The address or path asked for.
    pub address: String,
    /// The kernel's answer.
    pub source: io::Error,
    /// Who has the address, where it is in use and that could be found out.
    pub owner: Option<Owner>,
}

/// A TCP socket that listens on `address`, not blocking, with `SO_REUSEADDR` (so that connections of a former life
/// do not keep us out) and a backlog of [`BACKLOG`]. Needs no runtime: [`Listener::from_std`] makes it async.
///
/// # Errors
///
/// [`BindError`], naming the process that has the address where `/proc` tells.
pub fn bind_tcp(address: SocketAddr, sharing: Sharing) -> Result<std::net::TcpListener, BindError> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if sharing == Sharing::Shared {
            socket.set_reuse_port(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(std::net::TcpListener::from(socket))
    };
    bind().map_err(|source: io::Error| {
        let in_use = source.kind() == io::ErrorKind::AddrInUse;
        let owner = in_use.then(|| super::ports::listening_process(address.port())).flatten();
        BindError { address: address.to_string(), source, owner }
    })
}

/// An async listener, on TCP or on a Unix socket.
#[derive(Debug)]
pub enum Listener {
    /// On a TCP address.
    Tcp(TcpListener),
    /// On a path. The file is removed with the listener, if it is still ours.
    Unix(UnixListener, SocketFile),
}

/// Removes the socket's file when the listener goes.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor may have put its own socket there meanwhile: that one stays.
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Listens on a TCP address, [`Sharing::Alone`].
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub fn tcp(address: SocketAddr) -> Result<Listener, BindError> {
        let listener = bind_tcp(address, Sharing::Alone)?;
        Listener::from_std(listener).map_err(|source| BindError { address: address.to_string(), source, owner: None })
    }

    /// Makes a listener of [`bind_tcp`] async, in the runtime it is called in.
    ///
    /// # Errors
    ///
    /// Where the runtime cannot take it.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Listener> {
        listener.set_nonblocking(true)?;
        Ok(Listener::Tcp(TcpListener::from_std(listener)?))
    }

    /// Listens on a Unix socket at `path`, which only this user may connect to (mode 0600). A socket file nobody
    /// listens on any more is replaced; any other file is not. Two processes that want one path must settle that by
    /// a lock first ([`crate::state::StateDir::lock`]): between the look and the replacement another may step in.
    ///
    /// # Errors
    ///
    /// [`BindError`]; `AddrInUse` where another process answers there.
    pub fn unix(path: &Path) -> Result<Listener, BindError> {
        let failed = |source| BindError { address: path.display().to_string(), source, owner: None };
        remove_stale(path).map_err(failed)?;
        // Bound under another name and renamed, so that the path never shows a socket with open permissions.
        let mut fresh = path.as_os_str().to_os_string();
        fresh.push(format!(".{:04x}", crate::random::u64() & 0xffff));
        let fresh = PathBuf::from(fresh);
        let bind = || {
            let listener = std::os::unix::net::UnixListener::bind(&fresh)?;
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            fs::rename(&fresh, path)?;
            let inode = fs::symlink_metadata(path)?.ino();
            Ok(Listener::Unix(UnixListener::from_std(listener)?, SocketFile { path: path.to_path_buf(), inode }))
        };
        bind().map_err(|source| {
            let _ = fs::remove_file(&fresh);
            failed(source)
        })
    }

    /// The next connection. Never fails: what concerns one connection only is passed over, and while descriptors or
    /// memory are exhausted it logs and rests. Cancel safe.
    pub async fn accept(&self) -> (Stream, Peer) {
        loop {
            let accepted = match self {
                Listener::Tcp(listener) => listener.accept().await.map(|(stream, from)| {
                    // Fails only for a connection that is already gone, which the first read will tell.
                    let _ = super::tune(&stream);
                    (Stream::Tcp(stream), Peer::Tcp(from))
                }),
                Listener::Unix(listener, _) => listener.accept().await.map(|(stream, _)| {
                    let pid = stream.peer_cred().ok().and_then(|who| who.pid());
                    (Stream::Unix(stream), Peer::Unix { pid })
                }),
            };
            match accepted {
                Ok(connection) => return connection,
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
                    ) =>
                {
                    tracing::warn!(%error, listener = %self, "cannot accept a connection; resting");
                    tokio::time::sleep(REST_WHEN_EXHAUSTED).await;
                }
                Err(error) => tracing::debug!(%error, listener = %self, "a connection ended before it was accepted"),
            }
        }
    }

    /// The TCP address it listens on (with the port the kernel chose for port 0), none for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(..) => None,
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.local_addr()) {
            (Listener::Unix(_, file), _) => write!(f, "unix:{}", file.path.display()),
            (_, Some(address)) => write!(f, "{address}"),
            (_, None) => f.write_str("a closed listener"),
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is there"));
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        // Its backlog is full: somebody is there.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The second half of a [`BindError`]'s sentence.
struct Explained<'a>(&'a BindError);

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { address, source, owner } = self.0;
        let tcp: Option<SocketAddr> = address.parse().ok();
        match (source.kind(), owner, tcp) {
            (io::ErrorKind::AddrInUse, Some(Owner { pid, name }), _) => {
                write!(f, "it is in use by {name} (pid {pid}); stop that process or choose another address")
            }
            (io::ErrorKind::AddrInUse, None, Some(_)) => {
                f.write_str("it is in use by another process; choose another address")
            }
            (io::ErrorKind::AddrInUse, None, None) => {
                f.write_str("another process answers there; stop it or choose another path")
            }
            (io::ErrorKind::AddrNotAvailable, _, Some(address)) => {
                let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
                let any = SocketAddr::new(any, address.port());
                write!(
                    f,
                    "no interface of this machine has the address {}; listen on {any} or an address it has",
                    address.ip()
                )
            }
            (io::ErrorKind::PermissionDenied, _, Some(address)) if address.port() < 1024 => {
                write!(
                    f,
                    "port {} needs CAP_NET_BIND_SERVICE; choose a port from 1024 on or grant that capability",
                    address.port()
                )
            }
            (io::ErrorKind::NotFound, _, None) => f.write_str("the directory does not exist"),
            (io::ErrorKind::InvalidInput, _, None) => {
                write!(f, "the path is too long for a Unix socket; choose one of at most {PATH_BYTES} bytes")
            }
            _ => write!(f, "{source}"),
        }
    }
}
