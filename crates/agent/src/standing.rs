//! Where the instance stands, in one cell: written by the driver after every step, read by the probe's and the
//! gates' threads at each use. A reader never waits, and never sees half of two standings.

use std::sync::Arc;

use arc_swap::ArcSwap;
use steadfast_core::lease::Standing;
use steadfast_core::{Incarnation, InstanceId, Moment, SetName};
use steadfast_registry::{ProbeAnswer, ProbeReason, Role};

/// What one step left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    /// By what right the instance serves, if it does.
    pub(crate) serving: Serving,
    /// Why this instance does not serve, should it not; of a member, how it serves.
    pub(crate) reason: ProbeReason,
}

/// The right to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serving {
    /// In a single set: the lease, and nothing else.
    Leased {
        /// The machine's own words.
        standing: Standing,
        /// Until when a gate may pass on what it has begun to carry: at least while serving, and in a planned
        /// hand-over until what is under way had time to end, but never past the deadline last held.
        carry_until: Moment,
    },
    /// In a sticky set: being registered, with an application that can.
    Member {
        /// Whether it is so.
        able: bool,
    },
}

/// The cell. A clone is the same cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell(Arc<ArcSwap<Posted>>);

/// One life of an instance that says where it stands: to the probe's callers, and to its own application.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    pub(crate) set: SetName,
    pub(crate) instance: InstanceId,
    pub(crate) incarnation: Incarnation,
    pub(crate) cell: Cell,
}

impl Cell {
    /// A cell that says: nothing yet.
    pub(crate) fn new() -> Cell {
        let serving = Serving::Leased { standing: Standing::NEW, carry_until: Moment::ZERO };
        Cell(Arc::new(ArcSwap::from_pointee(Posted { serving, reason: ProbeReason::Starting })))
    }

    /// Replaces what is there.
    pub(crate) fn post(&self, posted: Posted) {
        if self.read() != posted {
            self.0.store(Arc::new(posted));
        }
    }

    /// What is there.
    pub(crate) fn read(&self) -> Posted {
        **self.0.load()
    }

    /// Until when this instance may take on something new: [`Moment::ZERO`] if it may not.
    pub(crate) fn serve_until(&self) -> Moment {
        match self.0.load().serving {
            Serving::Leased { standing, .. } => standing.serve_until,
            Serving::Member { able } => forever_if(able),
        }
    }

    /// Until when it may go on with what it has.
    pub(crate) fn carry_until(&self) -> Moment {
        match self.0.load().serving {
            Serving::Leased { carry_until, .. } => carry_until,
            Serving::Member { able } => forever_if(able),
        }
    }
}

fn forever_if(able: bool) -> Moment {
    if able { Moment::MAX } else { Moment::ZERO }
}

impl Speaker {
    /// What is to be said at `now`.
    pub(crate) fn answer(&self, now: Moment) -> ProbeAnswer {
        let Posted { serving, reason } = self.cell.read();
        let (role, epoch, valid_for, reason) = match serving {
            Serving::Leased { standing, .. } => {
                let (leads, reason) = leased(&standing, reason, now);
                let role = if leads { Role::Leader } else { Role::Standby };
                (role, standing.epoch.0, standing.serve_until.since(now), reason)
            }
            Serving::Member { able } => {
                (if able { Role::Member } else { Role::Standby }, 0, std::time::Duration::ZERO, reason)
            }
        };
        ProbeAnswer {
            set: self.set.clone(),
            instance: self.instance.clone(),
            incarnation: self.incarnation,
            role,
            epoch,
            valid_for_ms: u64::try_from(valid_for.as_millis()).unwrap_or(u64::MAX),
            reason,
        }
    }
}

/// Whether the lease lets the instance serve at `now`, and why it does or does not.
fn leased(standing: &Standing, reason: ProbeReason, now: Moment) -> (bool, ProbeReason) {
    if now < standing.serve_until {
        (true, ProbeReason::Leading)
    } else if standing.serve_until > Moment::ZERO {
        // The driver has not come to say so; the deadline does.
        (false, ProbeReason::LeaseLost)
    } else {
        (false, reason)
    }
}

#[cfg(test)]
mod tests;
