//! Whether a store is quick enough for a lease: the arithmetic, with what it was made of.

use core::time::Duration;

use super::timing::{LONGEST_TTL, SHORTEST_TRY, Timing};
use crate::Span;

/// What was measured of a store, from where its users are. Each a high quantile (the 99th of a hundred), not a mean: a
/// lease lives on its worst renewals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quickness {
    /// A commit of one record, from the call to its answer.
    pub commit: Duration,
    /// A read of one record.
    pub read: Duration,
    /// The shortest interval at which a watch proves contact.
    pub pace: Duration,
}

/// How well a store suits a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// Renewals end within half of the time that one try has, and candidates stay in touch.
    Fits,
    /// It works while the store stays as quick as it was: tries are used up by an ordinary slow moment.
    Tight,
    /// Renewals would time out, or candidates lose touch, though nothing is wrong.
    TooSlow,
}

/// A lease on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suits {
    /// The judgement.
    pub fit: Fit,
    /// How long one try may take.
    pub try_timeout: Duration,
    /// `renew_every`: also how long a candidate waits for a sign of life.
    pub renew_every: Duration,
    /// The longest time between two proofs of contact: the interval asked for, or the store's own, and a read.
    pub contact: Duration,
    /// The shortest TTL that fits; `None`: no TTL does.
    pub least_ttl: Option<Span>,
}

/// A commit shall fit so many times into one try, to leave room for the moments that were not measured.
pub const ROOM: u32 = 2;

impl Timing {
    /// How well a store this quick suits this lease: it fits if `2 × commit ≤ try_timeout` and
    /// `contact + read ≤ renew_every`.
    pub fn on(&self, quickness: Quickness) -> Suits {
        let contact = quickness.pace.max(self.progress_every()).saturating_add(quickness.read);
        let in_touch = contact <= self.renew_every();
        let fit = if in_touch && quickness.commit.saturating_mul(ROOM) <= self.try_timeout() {
            Fit::Fits
        } else if in_touch && quickness.commit <= self.try_timeout() {
            Fit::Tight
        } else {
            Fit::TooSlow
        };
        Suits {
            fit,
            try_timeout: self.try_timeout(),
            renew_every: self.renew_every(),
            contact,
            least_ttl: self.least_ttl(quickness),
        }
    }

    /// The shortest TTL that fits, with this drift: each inequality solved for it, and the result tried.
    fn least_ttl(&self, quickness: Quickness) -> Option<Span> {
        let twice = quickness.commit.saturating_mul(ROOM);
        // Below it a try is not shortened any more.
        let commits = if twice <= SHORTEST_TRY { Duration::ZERO } else { twice.saturating_mul(6) };
        let own_pace = quickness.pace.saturating_add(quickness.read).saturating_mul(4);
        // A third of `renew_every` is asked for, so two thirds remain for the read.
        let asked = quickness.read.saturating_mul(6);
        let least = commits.max(own_pace).max(asked).max(super::timing::smallest(self.drift_milli()).duration());
        let ms = u64::try_from(least.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let ttl = Span::from_millis(ms);
        (ttl <= LONGEST_TTL).then_some(ttl)
    }
}

#[cfg(test)]
mod tests;
