//! Word to the service manager: systemd's `sd_notify` protocol (sd_notify(3)).
//!
//! Without `NOTIFY_SOCKET` in the environment, every word is dropped in silence. A word that cannot be delivered is
//! logged: it must never end a process that works.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A service manager that waits for word from us, or none.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    socket: Option<OsString>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// What the environment of this process says: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` unless `WATCHDOG_PID` names
    /// another process.
    pub fn from_env() -> Notify {
        let text = |name: &str| std::env::var(name).ok();
        let for_us = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        Notify::new(std::env::var_os("NOTIFY_SOCKET"), text("WATCHDOG_USEC").filter(|_| for_us).as_deref())
    }

    fn new(socket: Option<OsString>, watchdog_usec: Option<&str>) -> Notify {
        let watchdog = watchdog_usec.and_then(|usec| usec.parse().ok()).filter(|usec| *usec > 0);
        Notify { socket: socket.filter(|path| !path.is_empty()), watchdog: watchdog.map(Duration::from_micros) }
    }

    /// The service is up.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The service has begun to stop.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// One line for a person, shown by `systemctl status`.
    pub fn status(&self, line: &str) {
        self.send(&format!("STATUS={}", line.replace(['\n', '\r'], " ")));
    }

    /// The service is alive. Due at least every [`Notify::watchdog`].
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// How often to say [`Notify::alive`]: half of what the manager allows. `None` where it does not watch.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(|allowed| allowed / 2)
    }

    fn send(&self, words: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = deliver(socket, words)
        {
            tracing::warn!(%error, socket = %socket.display(), "cannot notify the service manager");
        }
    }
}

/// A path, or `@` and a name in the abstract name space.
fn deliver(socket: &OsStr, words: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    // A manager that does not read must not hold us up.
    sender.set_nonblocking(true)?;
    sender.send_to_addr(words.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests;
