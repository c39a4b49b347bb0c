//! The gateway's side of the lease: to whom may be forwarded, and until when.

use core::time::Duration;

use crate::{Epoch, Moment};

/// A gateway's guard for one single set: never past what a probe vouched for, never to a lower epoch.
///
/// What it returns must be asked again at every use: `now <` the moment, and [`RouteGuard::admits`] still says yes.
#[derive(Clone, Debug, Default)]
pub struct RouteGuard {
    highest: Epoch,
}

impl RouteGuard {
    /// An epoch was seen in a lease record or in an answer of one who serves.
    pub fn saw(&mut self, epoch: Epoch) {
        self.highest = self.highest.max(epoch);
    }

    /// Whether a leader of this epoch has not been overtaken, as far as this gateway knows.
    pub fn admits(&self, epoch: Epoch) -> bool {
        epoch >= self.highest
    }

    /// The highest epoch seen.
    pub fn highest(&self) -> Epoch {
        self.highest
    }

    /// The leader's probe, asked at `asked`, vouched for `valid_for` at `epoch`: forward while `now <` the answer.
    /// `None` for an epoch below the highest seen.
    ///
    /// The leader counts `valid_for` from when it answered, which is not before `asked`. Its clock may be
    /// fast and ours slow, hence × (1−ρ)/(1+ρ), rounded down.
    pub fn vouched(&mut self, asked: Moment, epoch: Epoch, valid_for: Duration, drift_milli: u32) -> Option<Moment> {
        if !self.admits(epoch) {
            return None;
        }
        self.highest = epoch;
        let (less, more) = (1_000_u128.saturating_sub(u128::from(drift_milli)), 1_000 + u128::from(drift_milli));
        let nanos = u128::from(u64::try_from(valid_for.as_nanos()).unwrap_or(u64::MAX)) * less / more;
        Some(asked + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests;
