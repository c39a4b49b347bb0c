//! What one instance has seen of the lease record, and since when without a break.

use super::{Observed, Timing};
use crate::{Epoch, Moment, Span};

/// The record as last shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing was shown yet, or what was shown is worth nothing.
    Nothing,
    /// There is none.
    Absent,
    /// There is this one.
    Record(Observed),
}

/// What a showing told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Older than what is known.
    Stale,
    /// What is known.
    Same,
    /// Something else.
    Changed,
}

/// The watch over the record. It is *broken* when the store was not heard from for longer than `renew_every`:
/// then the history may have been replaced meanwhile, and it begins again with the next sign of life.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    known: Known,
    /// When what is known was received, or the watch began again.
    since: Moment,
    /// When the watch began (again).
    began: Moment,
    /// When the store was last heard from.
    contact: Option<Moment>,
    /// The epoch this watch itself saw held.
    held: Option<Epoch>,
    /// The epoch whose holder named another successor.
    passed_over: Option<Epoch>,
    /// Nobody waits less: the longest TTL known of when the watch began. What the record says now may be
    /// older than what a holder from a lost history goes by. Zero once the record was seen to change.
    caution: Span,
}

impl Observation {
    pub(super) fn new() -> Observation {
        Observation {
            known: Known::Nothing,
            since: Moment::ZERO,
            began: Moment::ZERO,
            contact: None,
            held: None,
            passed_over: None,
            caution: Span::ZERO,
        }
    }

    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    pub(super) fn since(&self) -> Moment {
        self.since
    }

    /// Whether this watch saw the lease held at the epoch now released, and was not asked to leave it to another.
    pub(super) fn saw_released(&self) -> bool {
        match &self.known {
            Known::Record(known) => {
                let epoch = Some(known.record.epoch);
                known.record.released && self.held == epoch && self.passed_over != epoch
            }
            _ => false,
        }
    }

    pub(super) fn caution(&self) -> Span {
        self.caution
    }

    /// Whether a later version is known than the one shown.
    pub(super) fn is_ahead_of(&self, shown: &Observed) -> bool {
        matches!(&self.known, Known::Record(known) if shown.version < known.version)
    }

    pub(super) fn contact(&self) -> Option<Moment> {
        self.contact
    }

    /// Whether the watch is broken, or never began.
    pub(super) fn lost(&self, now: Moment, timing: &Timing) -> bool {
        self.contact.is_none_or(|contact| now.since(contact) > timing.renew_every())
    }

    /// The store was heard from and what is known is still so.
    pub(super) fn touch(&mut self, now: Moment, timing: &Timing) {
        if self.lost(now, timing) {
            self.begin(now, timing);
        }
        self.contact = Some(now);
    }

    /// The store showed the record.
    pub(super) fn see(&mut self, now: Moment, shown: Option<Observed>, timing: &Timing) -> News {
        let shown = shown.map_or(Known::Absent, Known::Record);
        match (&self.known, &shown) {
            (Known::Record(known), Known::Record(shown)) if shown.version < known.version => return News::Stale,
            (known, shown) if known == shown => {
                self.touch(now, timing);
                return News::Same;
            }
            _ => {}
        }
        let follows = match (&self.known, &shown) {
            (Known::Record(known), Known::Record(shown)) => shown.version > known.version,
            (Known::Absent, Known::Record(_)) => true,
            _ => false,
        };
        if follows && !self.lost(now, timing) {
            // What comes in a watch's first moments may be a backlog from before the break.
            let settled = now.since(self.began) >= timing.renew_every();
            self.held = match &shown {
                Known::Record(shown) if shown.record.released => {
                    self.held.filter(|held| *held == shown.record.epoch && settled)
                }
                Known::Record(shown) => Some(shown.record.epoch),
                _ => None,
            };
            if settled {
                self.caution = Span::ZERO;
            }
            self.known = shown;
            self.since = now;
        } else {
            self.caution = self.caution.max(self.known_ttl());
            self.known = shown;
            self.begin(now, timing);
        }
        self.contact = Some(now);
        News::Changed
    }

    /// The watch is broken: it begins again with the next sign of life.
    pub(super) fn break_off(&mut self) {
        self.contact = None;
    }

    /// What was seen is worth nothing; only that a holder may go by it is remembered.
    pub(super) fn reset(&mut self) {
        self.caution = self.caution.max(self.known_ttl());
        self.known = Known::Nothing;
        self.held = None;
        self.contact = None;
    }

    /// Counts from now, as if what is known had been shown for the first time.
    pub(super) fn begin(&mut self, now: Moment, timing: &Timing) {
        self.since = now;
        self.began = now;
        self.held = match &self.known {
            Known::Record(known) if !known.record.released => Some(known.record.epoch),
            _ => None,
        };
        self.caution = self.caution.max(self.known_ttl()).max(timing.ttl());
    }

    /// The present holder hands over to another: when it releases, this watch has no advantage.
    pub(super) fn pass_over(&mut self) {
        if let Known::Record(known) = &self.known {
            self.passed_over = Some(known.record.epoch);
        }
    }

    fn known_ttl(&self) -> Span {
        match &self.known {
            Known::Record(known) => known.record.ttl,
            _ => Span::ZERO,
        }
    }
}
