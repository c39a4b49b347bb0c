//! A set's settings, checked.

use alloc::boxed::Box;

use crate::Span;
use crate::lease::{Timing, Unsafe};

mod sticky;

pub use sticky::{
    BadSticky, HomeFull, OnHomeLost, Policy, Presence, ReturnHome, Sticky, StickySettings, Value, WeightRule,
};

/// The settings of a set: what its record in the store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetSettings {
    /// Exactly one instance may answer.
    Single(SingleSettings),
    /// Each client has one home.
    Sticky(Box<StickySettings>),
}

/// The settings of a single set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingleSettings {
    timing: Timing,
    park_for: Span,
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// The lease would not be safe.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// A sticky set's settings do not fit together.
    #[error(transparent)]
    Sticky(#[from] BadSticky),
    /// Requests would be held for longer than anybody waits.
    #[error("park_for {0} is too long: {LONGEST_PARK} at most")]
    ParkFor(Span),
}

/// The longest `park_for`.
pub const LONGEST_PARK: Span = Span::from_millis(600_000);

impl SetSettings {
    /// The kind, as it stands in the file and in the record.
    pub fn kind(&self) -> &'static str {
        match self {
            SetSettings::Single(_) => SingleSettings::KIND,
            SetSettings::Sticky(_) => StickySettings::KIND,
        }
    }
}

impl SingleSettings {
    /// The kind of a set with such settings.
    pub const KIND: &'static str = "single";
    /// Ten seconds.
    pub const DEFAULT_PARK_FOR: Span = Span::from_millis(10_000);

    /// Checks every value and what they must keep to each other: see [`Timing::new`]. `park_for` is at most
    /// ten minutes; zero means that nothing is held.
    pub fn new(
        lease_ttl: Span,
        clock_drift_milli: u32,
        release_after: Span,
        park_for: Span,
    ) -> Result<SingleSettings, BadSettings> {
        let timing = Timing::new(lease_ttl, clock_drift_milli, release_after)?;
        if park_for > LONGEST_PARK {
            return Err(BadSettings::ParkFor(park_for));
        }
        Ok(SingleSettings { timing, park_for })
    }

    /// The lease's spans.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// How long a gateway holds requests while there is no leader.
    pub fn park_for(&self) -> Span {
        self.park_for
    }
}

impl Default for SingleSettings {
    fn default() -> SingleSettings {
        SingleSettings { timing: Timing::default(), park_for: SingleSettings::DEFAULT_PARK_FOR }
    }
}

#[cfg(test)]
mod tests;
