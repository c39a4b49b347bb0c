//! The spans of a lease, and the inequalities that make them safe.

use core::fmt;
use core::time::Duration;

use crate::Span;

/// The checked spans of a lease. Everything else follows from the TTL, so that agents which know the
/// TTL agree on the rest:
///
/// | span | of the TTL | default |
/// |---|---|---|
/// | margin | 1/5 | 600 ms |
/// | renewal after the last one was sent | 1/4 | 750 ms |
/// | one try | 1/6, at least 50 ms | 500 ms |
/// | next try after the last one was sent, at the earliest | 1/4 of a try | 125 ms |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    ttl: Span,
    drift_milli: u32,
    release_after: Span,
}

/// How many tries a renewal gets before the deadline.
pub const TRIES: u32 = 3;

/// How long it may take to stop traffic once the deadline has passed.
pub const CUT: Duration = Duration::from_millis(50);

/// A store call is not given less: it would take every hiccup of a disk for an outage.
pub const SHORTEST_TRY: Duration = Duration::from_millis(50);

/// In thousandths. From 1/9 on, 0.8 TTL on a slow clock is longer than a TTL on a fast one: no TTL is
/// long enough for a margin of a fifth.
pub const LARGEST_DRIFT_MILLI: u32 = 110;

/// Nobody waits longer for a dead holder.
pub const LONGEST_TTL: Span = Span::from_millis(3_600_000);

/// The longest `release_after`.
pub const LONGEST_RELEASE_AFTER: Span = Span::from_millis(3_600_000);

/// Why a timing is refused, with the numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// The clocks may differ too much for any TTL.
    #[error(
        "clock_drift {} is too much: the margin of 0.2 TTL covers clocks that differ by up to {} (set clock_drift to {} or less)",
        Drift(*.drift_milli), Drift(LARGEST_DRIFT_MILLI), Drift(LARGEST_DRIFT_MILLI)
    )]
    Drift {
        /// What was asked for.
        drift_milli: u32,
    },
    /// A successor could start before the holder has stopped.
    #[error(
        "lease_ttl {ttl} is too short with clock_drift {}: a holder may serve (TTL - margin)/(1 - drift) + cut = \
         ({ttl} - {}ms)/(1 - {}) + {}ms = {}ms, a successor may wait only TTL/(1 + drift) = {}ms; \
         lease_ttl must be {smallest} or more",
        Drift(*.drift_milli), Pace(*.ttl).margin().as_millis(), Drift(*.drift_milli), CUT.as_millis(), serves_ms, waits_ms
    )]
    Overlap {
        /// What was asked for.
        ttl: Span,
        /// The drift it was asked for with.
        drift_milli: u32,
        /// (TTL − margin)/(1−ρ) + cut, in milliseconds, rounded up.
        serves_ms: u64,
        /// TTL/(1+ρ), in milliseconds, rounded down.
        waits_ms: u64,
        /// The shortest TTL that is right with this drift.
        smallest: Span,
    },
    /// A renewal could not be tried often enough.
    #[error(
        "lease_ttl {ttl} is too short: renew_every + tries x try_timeout = {}ms + {TRIES} x {}ms is more than \
         TTL - margin = {}ms; lease_ttl must be {smallest} or more",
        Pace(*.ttl).renew_every().as_millis(), Pace(*.ttl).try_timeout().as_millis(), Pace(*.ttl).lasts().as_millis()
    )]
    Renewal {
        /// What was asked for.
        ttl: Span,
        /// The shortest TTL that is right with this drift.
        smallest: Span,
    },
    /// Longer than is ever useful.
    #[error("lease_ttl {0} is too long: {LONGEST_TTL} at most")]
    Ttl(Span),
    /// Longer than is ever useful.
    #[error("release_after {0} is too long: {LONGEST_RELEASE_AFTER} at most")]
    ReleaseAfter(Span),
}

impl Timing {
    /// Three seconds.
    pub const DEFAULT_TTL: Span = Span::from_millis(3_000);
    /// In thousandths: a tenth.
    pub const DEFAULT_DRIFT_MILLI: u32 = 100;

    /// Checks `(TTL − margin)/(1−ρ) + cut ≤ TTL/(1+ρ)` and `renew_every + tries × try_timeout ≤ TTL − margin`.
    /// `drift_milli` is ρ in thousandths: each clock's rate is within 1 ± ρ of true time.
    pub fn new(ttl: Span, drift_milli: u32, release_after: Span) -> Result<Timing, Unsafe> {
        if drift_milli > LARGEST_DRIFT_MILLI {
            return Err(Unsafe::Drift { drift_milli });
        }
        if ttl > LONGEST_TTL {
            return Err(Unsafe::Ttl(ttl));
        }
        if release_after > LONGEST_RELEASE_AFTER {
            return Err(Unsafe::ReleaseAfter(release_after));
        }
        let pace = Pace(ttl);
        if !pace.apart(drift_milli) {
            let (serves_ms, waits_ms) = pace.serves_and_waits_ms(drift_milli);
            return Err(Unsafe::Overlap { ttl, drift_milli, serves_ms, waits_ms, smallest: smallest(drift_milli) });
        }
        if !pace.renewable() {
            return Err(Unsafe::Renewal { ttl, smallest: smallest(drift_milli) });
        }
        Ok(Timing { ttl, drift_milli, release_after })
    }

    /// How long a lease lasts without renewal, as a candidate waits.
    pub fn ttl(&self) -> Span {
        self.ttl
    }

    /// How far a clock's rate may be from true time, in thousandths (ρ).
    pub fn drift_milli(&self) -> u32 {
        self.drift_milli
    }

    /// How long the probe stays at 503 before a release, for load balancers without a gate behind them.
    pub fn release_after(&self) -> Span {
        self.release_after
    }

    /// A fifth of the TTL, charged once, at the holder: it covers both clocks and the cut.
    pub fn margin(&self) -> Duration {
        self.pace().margin()
    }

    /// From the sending of a renewal that succeeded to the sending of the next. Also: a candidate that has
    /// not heard from the store for longer starts its watch again.
    pub fn renew_every(&self) -> Duration {
        self.pace().renew_every()
    }

    /// How long one store call about the lease may take.
    pub fn try_timeout(&self) -> Duration {
        self.pace().try_timeout()
    }

    /// How often a store's watch should show a sign of life ([`super::Event::Contact`]), so that a candidate
    /// need not read to stay in touch.
    pub fn progress_every(&self) -> Duration {
        self.renew_every() / 3
    }

    pub(super) fn pace(&self) -> Pace {
        Pace(self.ttl)
    }
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { ttl: Timing::DEFAULT_TTL, drift_milli: Timing::DEFAULT_DRIFT_MILLI, release_after: Span::ZERO }
    }
}

/// The spans that follow from a TTL, checked or not (a record's TTL is somebody else's).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pace(pub(super) Span);

impl Pace {
    pub(super) fn margin(self) -> Duration {
        self.0.duration() / 5
    }

    /// TTL − margin: how long a holder serves from the sending of its renewal.
    pub(super) fn lasts(self) -> Duration {
        self.0.duration() - self.margin()
    }

    /// The shortest TTL with which a holder serves for so long, at most [`LONGEST_TTL`].
    pub(super) fn lasting(span: Duration) -> Pace {
        let ms = (span.as_nanos() * 5).div_ceil(4 * 1_000_000);
        Pace(Span::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)).min(LONGEST_TTL))
    }

    pub(super) fn renew_every(self) -> Duration {
        self.0.duration() / 4
    }

    pub(super) fn try_timeout(self) -> Duration {
        (self.0.duration() / 6).max(SHORTEST_TRY)
    }

    /// The least time between the sendings of two tries, so that quick refusals do not become a storm.
    pub(super) fn retry_after(self) -> Duration {
        self.try_timeout() / 4
    }

    /// A candidate reads when it has not heard from the store for so long.
    pub(super) fn read_after(self) -> Duration {
        self.renew_every() / 2
    }

    /// `(TTL − margin)/(1−ρ) + cut ≤ TTL/(1+ρ)`, multiplied by `(1000−d)(1000+d)`.
    fn apart(self, drift_milli: u32) -> bool {
        let (less, more) = (u128::from(1_000 - drift_milli), u128::from(1_000 + drift_milli));
        self.lasts().as_nanos() * 1_000 * more + CUT.as_nanos() * less * more
            <= self.0.duration().as_nanos() * 1_000 * less
    }

    fn renewable(self) -> bool {
        self.renew_every() + self.try_timeout() * TRIES <= self.lasts()
    }

    fn serves_and_waits_ms(self, drift_milli: u32) -> (u64, u64) {
        let (less, more) = (u128::from(1_000 - drift_milli), u128::from(1_000 + drift_milli));
        let serves = (self.lasts().as_nanos() * 1_000).div_ceil(less) + CUT.as_nanos();
        let waits = self.0.duration().as_nanos() * 1_000 / more;
        let ms = |nanos: u128| u64::try_from(nanos).unwrap_or(u64::MAX);
        (ms(serves.div_ceil(1_000_000)), ms(waits / 1_000_000))
    }
}

/// The shortest TTL that satisfies both inequalities. Tried one by one: both are monotonous but for
/// rounding, and an error may take a millisecond.
pub(super) fn smallest(drift_milli: u32) -> Span {
    let right = |ms: &u64| {
        let pace = Pace(Span::from_millis(*ms));
        pace.apart(drift_milli) && pace.renewable()
    };
    Span::from_millis((1..LONGEST_TTL.as_millis()).find(right).unwrap_or(LONGEST_TTL.as_millis()))
}

/// A ratio in thousandths as people write it: 100 is `0.1`.
struct Drift(u32);

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut digits, mut width) = (self.0 % 1_000, 3);
        while width > 1 && digits.is_multiple_of(10) {
            (digits, width) = (digits / 10, width - 1);
        }
        write!(f, "{}.{digits:0width$}", self.0 / 1_000)
    }
}

#[cfg(test)]
mod tests;
