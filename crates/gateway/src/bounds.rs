//! How much of everything a gateway takes, and how long it waits.

use std::time::Duration;

/// How much of everything, for the whole gateway. What happens at a bound stands beside it; where a client is answered,
/// it is a problem with that reason, and the connection closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Client connections; `None`: as many as the process may have open files for. Beyond: those that are idle are
    /// closed, and further ones wait in the kernel's backlog.
    pub connections: Option<usize>,
    /// Client connections from one source address (of IPv6: one /64), trusted proxies excepted; `None`: a quarter of all.
    /// Beyond: 429 `too-many-connections`.
    pub connections_per_source: Option<usize>,
    /// Requests waiting for a leader. Beyond: 503 `overloaded`.
    pub parked_requests: usize,
    /// Bytes of the heads of waiting requests (their bodies are not read while they wait). Beyond: 503 `overloaded`.
    pub parked_bytes: usize,
    /// Bytes of a request's first line. Beyond: 414 `uri-too-long`.
    pub request_line_bytes: usize,
    /// Bytes of a request's or an answer's head. Beyond: 431 `head-too-large`, or 502 for an answer's.
    pub head_bytes: usize,
    /// Fields of a request's head. Beyond: 431 `head-too-large`.
    pub head_fields: usize,
    /// Bytes of a request's body; `None`: any number. Beyond: 413 `body-too-large`, and what was passed on of it breaks
    /// off, so that nobody takes it for the whole.
    pub body_bytes: Option<u64>,
    /// Bytes of the body of an idempotent request kept so that it can be sent again. Beyond: it is not.
    pub kept_body_bytes: usize,
    /// How often a request that may be repeated is sent at most, whatever broke it.
    pub sends: u32,
    /// From a request's first byte to the end of its head. Beyond: 408 `head-too-slow`. Also from the beginning of a
    /// connection to its first byte. Beyond: closed.
    pub head_within: Duration,
    /// A request's body of which nothing comes although more would be taken, until its answer begins. Beyond: 408
    /// `body-too-slow`.
    pub body_stalled_for: Duration,
    /// Bytes a second of a request's body, of the time in which more would have been taken, after `body_stalled_for` for
    /// nothing, until its answer begins; 0: as slow as it likes. Below: 408 `body-too-slow`.
    pub body_rate: u64,
    /// A connection between two requests. Beyond: closed.
    pub idle_for: Duration,
    /// A client that takes nothing of its answer. Beyond: cut.
    pub reader_stalled_for: Duration,
    /// An answer under way of which no byte moves, nor of a request's body that is still coming: from the answer's
    /// beginning, the two are a conversation. Beyond: cut.
    pub stalled_for: Duration,
    /// A connection to an instance. Beyond: as if refused.
    pub connect_within: Duration,
    /// From the last byte of a request that was passed on to the head of its answer. Beyond: 504 `upstream-timeout`.
    pub answer_within: Duration,
    /// Unused connections to one address, per worker. Beyond: closed instead of kept.
    pub idle_upstream: usize,
    /// How long such a connection is kept.
    pub idle_upstream_for: Duration,
    /// A tunnel (WebSocket) in which nothing passes. Beyond: closed.
    pub tunnel_idle_for: Duration,
    /// Clients of one sticky set that are remembered. Beyond: one that did not come lately makes room, and costs a call
    /// to the store when it comes.
    pub clients: usize,
    /// Requests of one sticky set that wait for the store at once. Beyond: 503 `overloaded`.
    pub placing: usize,
    /// How long a request waits for the store to place its client. Beyond: 503 `placing-timed-out`.
    pub place_within: Duration,
    /// What is to be written of clients for whom no request waits (refreshed charges, other weights), for one sticky
    /// set. Beyond: not written; a later request of the client tries again.
    pub deferred: usize,
    /// Source addresses whose new clients are counted. Beyond: the longest unheard are forgotten.
    pub sources: usize,
    /// From the closing of the last listener to the end, whatever is still under way.
    pub drain_within: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            connections: None,
            connections_per_source: None,
            parked_requests: 10_000,
            parked_bytes: 64 << 20,
            request_line_bytes: 16 << 10,
            head_bytes: 32 << 10,
            head_fields: 100,
            body_bytes: None,
            kept_body_bytes: 64 << 10,
            sends: 4,
            head_within: Duration::from_secs(10),
            body_stalled_for: Duration::from_secs(60),
            body_rate: 64,
            idle_for: Duration::from_secs(75),
            reader_stalled_for: Duration::from_secs(60),
            stalled_for: Duration::from_secs(300),
            connect_within: Duration::from_secs(1),
            answer_within: Duration::from_secs(60),
            idle_upstream: 256,
            idle_upstream_for: Duration::from_secs(30),
            tunnel_idle_for: Duration::from_secs(3_600),
            clients: 10_000_000,
            placing: 10_000,
            place_within: Duration::from_secs(5),
            deferred: 10_000,
            sources: 100_000,
            drain_within: Duration::from_secs(30),
        }
    }
}
