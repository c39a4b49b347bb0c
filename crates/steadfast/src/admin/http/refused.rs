//! Who was turned away, and why: by the server for its limits, and by the API for its rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast_host::http::{Reached, Tally};

/// The reasons for which the API itself turns somebody away, as problems name them.
const REASONS: [&str; 5] = ["foreign-host", "cross-site", "token-needed", "not-json", "too-many-streams"];

/// The counts of both.
#[derive(Default)]
pub(super) struct Refused {
    tally: Arc<Tally>,
    by_rules: [AtomicU64; REASONS.len()],
}

impl Refused {
    /// What the server counts.
    pub(super) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Counts a refusal, if it is one of those that are counted.
    pub(super) fn add(&self, reason: &str) {
        if let Some(index) = REASONS.iter().position(|known| *known == reason) {
            self.by_rules[index].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every reason, with how often it was one.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let by_rules =
            REASONS.iter().zip(&self.by_rules).map(|(reason, count)| (*reason, count.load(Ordering::Relaxed)));
        Reached::ALL.into_iter().map(|limit| (limit.as_str(), self.tally.of(limit))).chain(by_rules)
    }
}
