//! Ports: a free one of a range, held until it is handed over, and who listens on a taken one.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use socket2::{Domain, Protocol, Socket, Type};

use super::Owner;

/// How many processes are looked at for the owner of a port: naming it is a kindness, not worth a long search.
const PROCESSES_SEARCHED: usize = 4096;

/// Every port of the range is taken.
#[derive(Debug, thiserror::Error)]
#[error("no port of {}-{} is free on {ip}; widen the range or free one of it", range.start(), range.end())]
pub struct NoFreePort {
    /// The address it was tried on.
    pub ip: IpAddr,
    /// The range asked for.
    pub range: RangeInclusive<u16>,
}

/// A port nobody else can bind while this value lives.
///
/// [`ReservedPort::release`] hands it over, to be called right before the process that is to listen there starts.
/// From then until that process has bound it another one may take it: no system call closes that gap for a program
/// that opens its own listener. Choose the range outside `net.ipv4.ip_local_port_range`, so that at least no outgoing
/// connection can; a supervisor that sees its child fail to bind starts it again. Where the program listens with
/// [`super::Sharing::Shared`], [`ReservedPort::share`] leaves no gap, however often it is started.
#[derive(Debug)]
pub struct ReservedPort {
    port: u16,
    bound: Socket,
}

/// Reserves a free port of `range` on `ip`. The search starts at a random one, so that several who search at once
/// seldom meet.
///
/// # Errors
///
/// [`NoFreePort`].
pub fn reserve_port(ip: IpAddr, range: RangeInclusive<u16>) -> Result<ReservedPort, NoFreePort> {
    let (first, last) = (u64::from(*range.start()), u64::from(*range.end()));
    let count = (last + 1).saturating_sub(first);
    let start = crate::random::u64() % count.max(1);
    (0..count)
        .filter_map(|step| u16::try_from(first + (start + step) % count).ok())
        .filter(|port| *port != 0)
        .find_map(|port| hold(SocketAddr::new(ip, port)))
        .ok_or(NoFreePort { ip, range })
}

/// Binds without `SO_REUSEADDR`, which excludes everybody, and does not listen, so that nobody connects.
fn hold(address: SocketAddr) -> Option<ReservedPort> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).ok()?;
    socket.bind(&address.into()).ok()?;
    Some(ReservedPort { port: address.port(), bound: socket })
}

impl ReservedPort {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Keeps it, but lets processes of this user listen there that ask to share it ([`super::Sharing::Shared`]):
    /// nobody else gets it, also while none of them runs. It was had alone, so whoever else searches passes it over.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn share(&self) -> std::io::Result<()> {
        self.bound.set_reuse_port(true)
    }

    /// Lets it go, for the process that is to listen there.
    pub fn release(self) -> u16 {
        self.port
    }
}

/// Whoever listens on TCP port `port` of this machine, where `/proc` lets us see it.
pub(super) fn listening_process(port: u16) -> Option<Owner> {
    let inodes: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let wanted: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.take(PROCESSES_SEARCHED).find_map(|pid: i32| {
        let mut open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        open.find(|fd| {
            fs::read_link(fd.path()).is_ok_and(|to| wanted.iter().any(|socket| to.as_os_str() == socket.as_str()))
        })?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(Owner { pid, name: name.trim_end().to_string() })
    })
}

/// The inodes of the listening sockets on `port` in the text of `/proc/net/tcp`.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
            let ours = u16::from_str_radix(local_port, 16) == Ok(port) && *fields.get(3)? == LISTEN;
            ours.then(|| fields.get(9)?.parse().ok()).flatten()
        })
        .collect()
}

#[cfg(test)]
mod tests;
