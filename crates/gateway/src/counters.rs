//! What the gateway counts: plain numbers a worker, added up when somebody reads them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::limit::Limit;

/// One worker's numbers. Only that worker writes them, so an increment is a load and a store.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    pub(crate) connections: Count,
    pub(crate) requests: Count,
    /// By the first digit of the status.
    pub(crate) answers: [Count; 6],
    pub(crate) retried: Count,
    pub(crate) leader_lost: Count,
    pub(crate) home_broke: Count,
    pub(crate) cut: Count,
    pub(crate) upstream_errors: Count,
    pub(crate) upstream_connections: Count,
    pub(crate) timeouts: Count,
    pub(crate) parked: Count,
    pub(crate) no_leader: Count,
    pub(crate) overloaded: Count,
    pub(crate) tunnels: Count,
    pub(crate) redirected: Count,
    pub(crate) assigned: Count,
    pub(crate) hits: Count,
    pub(crate) misses: Count,
    pub(crate) placed: Count,
    pub(crate) returned: Count,
    pub(crate) moved: Count,
    pub(crate) served_away: Count,
    pub(crate) writes_dropped: Count,
    /// In the order of [`Limit::ALL`].
    limited: [Count; Limit::ALL.len()],
    /// In the order of [`REFUSALS`], and one more for any other.
    refused: [Count; REFUSALS.len() + 1],
}

/// Why clients of sticky sets are refused: the reasons that are counted apart.
pub(crate) const REFUSALS: [&str; 15] = [
    "no-room",
    "too-heavy",
    "no-match",
    "no-instance",
    "home-lost",
    "home-full",
    "too-many-clients",
    "too-many-new-clients",
    "store-unavailable",
    "placing-timed-out",
    "no-client-key",
    "ambiguous",
    "bad-client-key",
    "bad-weight",
    "bad-label",
];

impl Counters {
    /// A peer ran into this limit.
    pub(crate) fn limited(&self, limit: Limit) {
        if let Some(count) = self.limited.get(limit as usize) {
            count.add_one();
        }
    }

    /// How often peers ran into it.
    pub(crate) fn times_limited(&self, limit: Limit) -> u64 {
        self.limited.get(limit as usize).map_or(0, Count::get)
    }

    /// A client was refused for this reason.
    pub(crate) fn refused(&self, reason: &str) {
        let place = REFUSALS.iter().position(|known| *known == reason).unwrap_or(REFUSALS.len());
        if let Some(count) = self.refused.get(place) {
            count.add_one();
        }
    }
}

/// A number with one writer.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add_one(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The sums since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Client connections accepted.
    pub connections: u64,
    /// Requests whose head was read.
    pub requests: u64,
    /// Answers by the first digit of their status (index 2: 2xx); answers passed on and our own.
    pub answers: [u64; 6],
    /// Requests sent once more after a connection failed.
    pub retried: u64,
    /// Requests answered 502 `leader-lost`.
    pub leader_lost: u64,
    /// Requests answered 502 `home-broke`.
    pub home_broke: u64,
    /// Answers cut in the middle, because the leader was lost or its connection broke.
    pub cut: u64,
    /// Connections to instances that failed or broke.
    pub upstream_errors: u64,
    /// Connections to instances that were opened.
    pub upstream_connections: u64,
    /// Requests answered 504 `upstream-timeout`.
    pub timeouts: u64,
    /// Requests that had to wait for a leader.
    pub parked: u64,
    /// Requests answered 503 `no-leader`.
    pub no_leader: u64,
    /// Requests answered 503 `overloaded`.
    pub overloaded: u64,
    /// WebSocket connections carried.
    pub tunnels: u64,
    /// Clients redirected home.
    pub redirected: u64,
    /// Clients told their home.
    pub assigned: u64,
    /// Clients sent home without a call to the store.
    pub hits: u64,
    /// Clients the books had to be asked for.
    pub misses: u64,
    /// New clients placed.
    pub placed: u64,
    /// Clients that came back from idle.
    pub returned: u64,
    /// Clients that got another home when they came.
    pub moved: u64,
    /// Idle clients sent home while the store was away.
    pub served_away: u64,
    /// What was to be written of clients and was left, because too much was.
    pub writes_dropped: u64,
    /// How often peers ran into each of the limits, by the key that sets it.
    pub limited: Vec<(&'static str, u64)>,
    /// Clients refused, by reason; `other` is the last.
    pub refused: Vec<(&'static str, u64)>,
}

impl Totals {
    pub(crate) fn add(&mut self, one: &Counters) {
        self.connections += one.connections.get();
        self.requests += one.requests.get();
        for (sum, count) in self.answers.iter_mut().zip(&one.answers) {
            *sum += count.get();
        }
        self.retried += one.retried.get();
        self.leader_lost += one.leader_lost.get();
        self.home_broke += one.home_broke.get();
        self.cut += one.cut.get();
        self.upstream_errors += one.upstream_errors.get();
        self.upstream_connections += one.upstream_connections.get();
        self.timeouts += one.timeouts.get();
        self.parked += one.parked.get();
        self.no_leader += one.no_leader.get();
        self.overloaded += one.overloaded.get();
        self.tunnels += one.tunnels.get();
        self.redirected += one.redirected.get();
        self.assigned += one.assigned.get();
        self.hits += one.hits.get();
        self.misses += one.misses.get();
        self.placed += one.placed.get();
        self.returned += one.returned.get();
        self.moved += one.moved.get();
        self.served_away += one.served_away.get();
        self.writes_dropped += one.writes_dropped.get();
        if self.limited.is_empty() {
            self.limited = Limit::ALL.iter().map(|limit| (limit.key(), 0)).collect();
        }
        for ((_, sum), limit) in self.limited.iter_mut().zip(Limit::ALL) {
            *sum += one.times_limited(limit);
        }
        if self.refused.is_empty() {
            self.refused = REFUSALS.iter().copied().chain(["other"]).map(|reason| (reason, 0)).collect();
        }
        for ((_, sum), count) in self.refused.iter_mut().zip(&one.refused) {
            *sum += count.get();
        }
    }
}

/// The room for requests that wait for a leader, shared by all workers: waiting is not the hot path.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    requests: AtomicUsize,
    bytes: AtomicUsize,
    peak: AtomicUsize,
}

impl Parking {
    /// Takes a place for a request with a head of so many bytes, unless a bound is reached.
    pub(crate) fn enter(&self, bytes: usize, most_requests: usize, most_bytes: usize) -> bool {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let total = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if requests > most_requests || total > most_bytes {
            self.leave(bytes);
            return false;
        }
        self.peak.fetch_max(requests, Ordering::Relaxed);
        true
    }

    pub(crate) fn leave(&self, bytes: usize) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}
