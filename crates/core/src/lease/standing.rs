//! Where an instance stands, as its probe, its gate and its status show it.

use core::time::Duration;

use crate::{Epoch, Moment};

/// Where an instance stands. Published whole, in one cell, after every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the machine is doing.
    pub phase: Phase,
    /// The epoch held, or the highest seen in a record by one who holds none.
    pub epoch: Epoch,
    /// Serve while `now < serve_until`; [`Moment::ZERO`] for one who may not. To be checked at every use:
    /// see [`Standing::serving`].
    pub serve_until: Moment,
    /// Of one who serves, or served until just now and is being stopped: what was accepted before may be finished
    /// while `now < held_until`, under the same epoch. Else [`Moment::ZERO`]. See [`Standing::holding`].
    pub held_until: Moment,
    /// The latest deadline ever published here, and the time to cut traffic off: until then somebody may act on an
    /// answer we gave. An application without a gate is not started before, or a gateway might reach it beside the
    /// next leader.
    pub promised_until: Moment,
}

/// What the machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not fit to lead, or not wanting to; follows the record.
    Idle,
    /// Waiting for the lease to become free.
    Watching,
    /// An attempt to take it is on its way.
    Taking,
    /// Leads until the deadline.
    Leading,
    /// Serves no more; stopping, then releasing or letting it expire.
    Stepping,
    /// Serves no more; the release is on its way.
    Releasing,
}

impl Standing {
    /// One who has done nothing yet.
    pub const NEW: Standing = Standing {
        phase: Phase::Idle,
        epoch: Epoch::NONE,
        serve_until: Moment::ZERO,
        held_until: Moment::ZERO,
        promised_until: Moment::ZERO,
    };

    /// What a probe answers and a gate obeys, asked at every use with a clock read for that use: the epoch to
    /// serve under and for how long, or `None` for 503.
    pub fn serving(&self, now: Moment) -> Option<(Epoch, Duration)> {
        (now < self.serve_until).then(|| (self.epoch, self.serve_until.since(now)))
    }

    /// Whether what was accepted while serving may go on now: a leader that steps down on purpose keeps the lease
    /// until it answers [`super::Event::Stopped`], so that it need not break off what it carries. To be checked
    /// before every read that is passed on.
    pub fn holding(&self, now: Moment) -> bool {
        now < self.held_until
    }
}
