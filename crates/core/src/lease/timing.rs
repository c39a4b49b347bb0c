//! The spans of a lease, and the inequalities that make them safe.

use core::time::Duration;

use crate::Span;

/// The checked spans of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease lasts without renewal.
    pub ttl: Span,
    /// How far two clocks' rates may differ, in thousandths (ρ).
    pub drift_milli: u32,
    /// How long the probe stays at 503 before a release, for load balancers without a gate behind them.
    pub release_after: Span,
}

/// Why a timing is refused, with the numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("skeleton")]
pub struct Unsafe;

#[expect(missing_docs, clippy::todo, reason = "skeleton")]
impl Timing {
    /// Checks `(TTL − margin)/(1−ρ) + cut ≤ TTL/(1+ρ)` and `renew_every + tries × try_timeout ≤ TTL − margin`.
    pub fn new(ttl: Span, drift_milli: u32, release_after: Span) -> Result<Timing, Unsafe> {
        Ok(Timing { ttl, drift_milli, release_after })
    }
    /// 0.2 TTL, charged once, at the holder.
    pub fn margin(&self) -> Duration {
        todo!()
    }
    pub fn renew_every(&self) -> Duration {
        todo!()
    }
    pub fn try_timeout(&self) -> Duration {
        todo!()
    }
}
