//! Ports that nobody has: below the range the kernel takes for outgoing connections, so that no client takes one
//! between the moment it is chosen and the moment a server binds it, or while a server is down.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

const LOWEST: u16 = 10_240;
/// Where Linux starts to take ports for outgoing connections, unless it is told otherwise.
const USUAL_EPHEMERAL: u16 = 32_768;

/// Ports already given out in this program.
static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port of 127.0.0.1 on which nothing listens, and which is given to nobody else in this program.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let end = ephemeral_start().max(LOWEST + 1_000);
    let range = usize::from(end - LOWEST);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_default();
    // Programs that run at the same time start at different places; and half the range away from where a harness starts
    // that gives out ports by itself in the same program: one of either could be chosen twice before it is bound.
    let first = std::process::id() as usize * 7_919 + range / 2;
    let ports = (0..range).filter_map(|n| u16::try_from(usize::from(LOWEST) + (first + n) % range).ok());
    for port in ports {
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
    panic!("no free port between {LOWEST} and {end}");
}

fn ephemeral_start() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(USUAL_EPHEMERAL)
}
