//! What one server counts: how many connections it has, and how often each of its limits was reached.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A limit of a server, or a rule of HTTP, for which it turned somebody away by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// A connection came while all were taken, and waited until another one ended.
    Connections,
    /// A connection without a request was closed, to make room for one that came.
    GaveWay,
    /// A TLS handshake that failed, or did not end in time.
    Handshake,
    /// What arrived at a port that speaks TLS is not TLS: 400, in plain.
    NotTls,
    /// What arrived is not HTTP/1: 400.
    NotHttp,
    /// A request line that is too long: 414.
    Line,
    /// Headers that are too many or too long: 431.
    Head,
    /// A head that did not arrive in time: 408.
    HeadWithin,
    /// A body that is too large: 413.
    Body,
    /// A body that did not arrive in time: 408.
    BodyWithin,
    /// A body that ended early or was malformed: 400.
    BodyBroken,
    /// A reader that took nothing of its answer for too long.
    WriteStall,
}

impl Reached {
    /// All of them.
    pub const ALL: [Reached; 12] = [
        Reached::Connections,
        Reached::GaveWay,
        Reached::Handshake,
        Reached::NotTls,
        Reached::NotHttp,
        Reached::Line,
        Reached::Head,
        Reached::HeadWithin,
        Reached::Body,
        Reached::BodyWithin,
        Reached::BodyBroken,
        Reached::WriteStall,
    ];

    /// A stable word for programs: the `reason` of the answer, where there is one.
    pub fn as_str(self) -> &'static str {
        match self {
            Reached::Connections => "connections",
            Reached::GaveWay => "gave-way",
            Reached::Handshake => "tls-handshake",
            Reached::NotTls => "not-tls",
            Reached::NotHttp => "not-http",
            Reached::Line => "line-too-long",
            Reached::Head => "head-too-large",
            Reached::HeadWithin => "head-too-slow",
            Reached::Body => "body-too-large",
            Reached::BodyWithin => "body-too-slow",
            Reached::BodyBroken => "body-broken",
            Reached::WriteStall => "write-stalled",
        }
    }
}

/// The counts of one server. Given to it with its [`Limits`](super::Limits), and read by whoever kept a clone.
#[derive(Debug, Default)]
pub struct Tally {
    connections: AtomicU64,
    reached: [AtomicU64; Reached::ALL.len()],
}

impl Tally {
    /// Connections open now.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// How often a limit was reached.
    pub fn of(&self, limit: Reached) -> u64 {
        self.reached[limit as usize].load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, limit: Reached) {
        self.reached[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection until the returned value is dropped.
    pub(super) fn connection(self: &Arc<Self>) -> Counted {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(self))
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub(super) struct Counted(Arc<Tally>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
