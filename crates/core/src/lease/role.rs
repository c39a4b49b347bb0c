//! The states of a lease machine, each with its own data.

use super::timing::Pace;
use super::tries::Try;
use super::{Phase, StopCause};
use crate::{Epoch, Moment, Span};

/// ```text
///            Fit(true)             free                 the take is confirmed
///   Idle ───────────────▶ Watching ────▶ Taking ──────────────────────────────▶ Leading
///    ▲   ◀───────────────  ▲     ◀───────  │  conflict, or the store not heard    │ Fit(false), HandOver,
///    │       Fit(false)    │               │  from for renew_every                │ ApplicationDied
///    │   ◀─────────────────┼───────────────┘  Fit(false)                          ▼
///    │                     ◀─────────────────────────── deadline, other record ── ┤
///    │                     │                                                   Stepping
///    │                     ◀── expired, other record ──────────────────────────── ┤
///    │                     │                                                      │ stopped, and release_after over
///    └─ whoever is unfit ──◀── settled, or given up ───────── Releasing ◀─────────┘
/// ```
/// A take that is confirmed after all while Idle goes straight to Releasing: nothing ran under it.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// Not fit to lead.
    Idle,
    /// Waits for the lease to become free.
    Watching,
    /// Tries to take it at this epoch.
    Taking(Epoch),
    /// Serves.
    Leading(Tenure),
    /// Serves no more, but holds the lease until what served has stopped.
    Stepping(Tenure, Step),
    /// Gives it back. What it holds ended with the first sending.
    Releasing(Release),
}

/// What a holder holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tenure {
    pub(super) epoch: Epoch,
    /// Until when it is held: the sending of the last confirmed attempt + TTL − margin, or less if a shorter
    /// TTL was sent since.
    pub(super) until: Moment,
    /// When the last confirmed attempt was sent.
    renewed: Moment,
    /// Its TTL.
    ttl: Span,
    /// When everything ever sent has run out, by our clock.
    expires: Moment,
}

/// How far stepping down has come. `since` is when serving stopped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// What served is being stopped. The lease is renewed, so that nobody else starts meanwhile.
    Stopping { since: Moment },
    /// It has stopped; load balancers are given `release_after` to notice.
    Stopped { since: Moment },
    /// It cannot be stopped: nothing is renewed until the lease has run out.
    Lapsing,
}

/// A release under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Release {
    pub(super) epoch: Epoch,
    /// When it began.
    pub(super) since: Moment,
    /// When it is of no more use: others may take the lease without it.
    pub(super) until: Moment,
}

impl Role {
    pub(super) fn phase(&self) -> Phase {
        match self {
            Role::Idle => Phase::Idle,
            Role::Watching => Phase::Watching,
            Role::Taking(_) => Phase::Taking,
            Role::Leading(_) => Phase::Leading,
            Role::Stepping(..) => Phase::Stepping,
            Role::Releasing(_) => Phase::Releasing,
        }
    }

    /// Whether it wants the lease and has not got it.
    pub(super) fn is_candidate(&self) -> bool {
        matches!(self, Role::Watching | Role::Taking(_))
    }

    /// What is held and renewed.
    pub(super) fn tenure(&self) -> Option<&Tenure> {
        match self {
            Role::Leading(tenure) | Role::Stepping(tenure, Step::Stopping { .. } | Step::Stopped { .. }) => {
                Some(tenure)
            }
            _ => None,
        }
    }
}

impl Tenure {
    /// Begins with a confirmed take.
    pub(super) fn new(epoch: Epoch, take: &Try) -> Tenure {
        Tenure {
            epoch,
            until: take.until(),
            renewed: take.sent,
            ttl: take.ttl,
            expires: take.sent + take.ttl.duration(),
        }
    }

    /// A renewal goes out. If it would last less long than what is held, it lowers the deadline now, not when its
    /// success is known: others may go by it before we hear of it. (One who serves never sends such a one.)
    pub(super) fn sent(&mut self, renewal: &Try) {
        self.until = self.until.min(renewal.until());
        self.expires = self.expires.max(renewal.sent + renewal.ttl.duration());
    }

    /// The record shows that this renewal happened. All others have failed, also those that lowered the deadline.
    pub(super) fn confirmed(&mut self, renewal: &Try) {
        self.until = renewal.until();
        self.renewed = renewal.sent;
        self.ttl = renewal.ttl;
    }

    /// When to renew: by the shorter of the TTL held and the TTL wished for.
    pub(super) fn renew_at(&self, wished: Span) -> Moment {
        self.renewed + self.pace(wished).renew_every()
    }

    pub(super) fn pace(&self, wished: Span) -> Pace {
        Pace(self.ttl.min(wished))
    }

    /// When everything ever sent has run out, by our clock.
    pub(super) fn expires(&self) -> Moment {
        self.expires
    }
}

/// Whether a stop is still awaited when the lease is lost, so that it becomes urgent.
pub(super) fn lost_cause(role: &Role) -> Option<StopCause> {
    match role {
        Role::Leading(_) | Role::Stepping(_, Step::Stopping { .. }) => Some(StopCause::Lost),
        _ => None,
    }
}
