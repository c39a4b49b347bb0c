//! What the lease machine is told, and what it asks for.

use core::time::Duration;

use super::{LeaseRecord, Observed, Timing, Version};
use crate::{Epoch, InstanceId, Moment, Nonce};

/// What happened, as the shell tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Whether this instance may lead: registered, healthy, not draining, not paused. Unfit leaders step down.
    Fit(bool),
    /// The store showed the lease record as it is now (`None`: there is none), by watch or by an answered read.
    Seen(Option<Observed>),
    /// The store was heard from and the lease has not changed since the last [`Event::Seen`].
    Contact,
    /// The store was rolled back or replaced: whatever was seen there is worth nothing.
    StoreReset,
    /// How the attempt with this nonce ended.
    Settled {
        /// The attempt's own mark.
        nonce: Nonce,
        /// Its end.
        outcome: Outcome,
    },
    /// The answer to [`Action::Stop`]: gate closed and what it carried ended, or the process group empty.
    Stopped,
    /// The answer to [`Action::Stop`] where nothing can be stopped (no gate, no command): the lease is left to expire.
    CannotStop,
    /// The application died by itself; what remains of it is being killed. Serve no more; [`Action::Stop`]
    /// follows where this instance led. Includes `Fit(false)`: say `Fit(true)` when its successor is healthy.
    ApplicationDied,
    /// An operator's or our own wish to hand over, to `to` if named. A leader steps down; the named candidate
    /// takes the released lease at once, every other one waits a TTL as if it had not seen it held.
    HandOver {
        /// The successor wished for.
        to: Option<InstanceId>,
    },
    /// The set's settings changed.
    Retune(Timing),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened, as this version.
    Committed(Version),
    /// It did not happen: the record is another one, shown here (`None`: there is none).
    Conflict(Option<Observed>),
    /// It did not happen and nothing was learnt.
    Unavailable,
    /// It may have happened, or may yet happen.
    Unknown,
}

/// What a write believes about the record it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is none.
    Absent,
    /// It is this version.
    Version(Version),
}

/// What a write is for; a back end with leases of its own makes it one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A new holder or a new epoch.
    Take,
    /// The same holder and epoch for longer.
    Renew,
    /// Given back.
    Release,
}

/// A write of the lease record, to be sent at once and never repeated by the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What it is for.
    pub hold: Hold,
    /// Its precondition.
    pub expect: Expect,
    /// What it writes; `record.nonce` names the attempt.
    pub record: LeaseRecord,
    /// How long the shell waits for the answer before it reports [`Outcome::Unknown`]. A later answer is
    /// still worth reporting.
    pub within: Duration,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this to disk before anything that follows.
    Remember(Memory),
    /// Send this write; answer with [`Event::Settled`].
    Attempt(Attempt),
    /// Read the lease; answer with [`Event::Seen`], or with nothing if the read failed.
    Read {
        /// How long to wait for the answer.
        within: Duration,
    },
    /// Close the gate and stop the application; answer with [`Event::Stopped`] or [`Event::CannotStop`].
    Stop(StopCause),
}

/// What an agent must not forget when it is killed: the content of its state file, as far as the lease goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Memory {
    /// The highest epoch ever seen or tried.
    pub epoch: Epoch,
    /// The latest deadline ever published under this boot; [`Moment::ZERO`] after a reboot. Written before a release
    /// goes out: an agent that is killed before one holds the lease until then.
    pub promised_until: Moment,
}

/// Why a leader stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// Its checks failed, it drains, or its operator stops it.
    Unfit,
    /// Handing over on request.
    HandOver,
    /// The application died.
    Died,
    /// The deadline passed without a renewal, or another one holds the lease: the gate must close now.
    /// No answer is awaited before doing anything else, and there is nothing to release.
    Lost,
}
