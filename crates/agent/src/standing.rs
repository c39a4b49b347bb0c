//! Where the instance stands, in one cell: written by the driver after every step, read by the probe's and the
//! gates' threads at each use. A reader never waits, and never sees half of two standings.

use std::sync::Arc;

use arc_swap::ArcSwap;
use steadfast_core::Moment;
use steadfast_core::lease::Standing;
use steadfast_registry::ProbeReason;

/// What one step left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    /// The machine's own words.
    pub(crate) standing: Standing,
    /// Until when a gate may pass on what it has begun to carry: at least while serving, and in a planned hand-over
    /// until what is under way had time to end, but never past the deadline last held.
    pub(crate) carry_until: Moment,
    /// Why this instance does not serve, should it not.
    pub(crate) reason: ProbeReason,
}

/// The cell. A clone is the same cell.
#[derive(Clone, Debug)]
pub(crate) struct Cell(Arc<ArcSwap<Posted>>);

impl Cell {
    /// A cell that says: nothing yet.
    pub(crate) fn new() -> Cell {
        let posted = Posted { standing: Standing::NEW, carry_until: Moment::ZERO, reason: ProbeReason::Starting };
        Cell(Arc::new(ArcSwap::from_pointee(posted)))
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
        self.0.load().standing.serve_until
    }

    /// Until when it may go on with what it has.
    pub(crate) fn carry_until(&self) -> Moment {
        self.0.load().carry_until
    }
}

impl Posted {
    /// Why the instance does not serve at `now`, or that it does.
    pub(crate) fn reason_at(&self, now: Moment) -> ProbeReason {
        if now < self.standing.serve_until {
            ProbeReason::Leading
        } else if self.standing.serve_until > Moment::ZERO {
            // The driver has not come to say so; the deadline does.
            ProbeReason::LeaseLost
        } else {
            self.reason
        }
    }
}

#[cfg(test)]
mod tests;
