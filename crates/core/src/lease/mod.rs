//! The lease of a single set: one record, changed only by compare-and-set on the version last observed.
//!
//! Why it is safe: the holder's renewal was *sent* at s and committed later as version v; it serves
//! until s + TTL − margin on its own clock. A candidate starts its wait when evidence of v reaches it,
//! waits the TTL written in the record, and commits with exactly v as its precondition. Any renewal in
//! between changes the version and makes that commit conflict. Watch lag, stale reads, late or
//! suspended candidates only delay a takeover; safety rests on the commit alone.

mod guard;
mod machine;
mod message;
mod observation;
mod role;
mod standing;
mod suits;
mod timing;
mod tries;

use crate::{Epoch, Incarnation, InstanceId, Nonce, Span};

pub use guard::RouteGuard;
pub use machine::Machine;
pub use message::{Action, Attempt, Event, Expect, Hold, Memory, Outcome, StopCause};
pub use standing::{Phase, Standing};
pub use suits::{Fit, Quickness, ROOM, Suits};
pub use timing::{CUT, LARGEST_DRIFT_MILLI, LONGEST_RELEASE_AFTER, LONGEST_TTL, SHORTEST_TRY, TRIES, Timing, Unsafe};

/// A store's version of a record: the revision of the commit that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// What the lease record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// The fencing token; only ever grows.
    pub epoch: Epoch,
    /// Whose lease it is or last was.
    pub holder: InstanceId,
    /// Which life of the holder took it.
    pub incarnation: Incarnation,
    /// How long it lasts from the sending of a renewal. A candidate waits the TTL *written here*, not its own.
    pub ttl: Span,
    /// The attempt that wrote this record.
    pub nonce: Nonce,
    /// Given back by its holder, who had stopped.
    pub released: bool,
}

/// A lease record as the store showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The record's version in the store.
    pub version: Version,
    /// What it says.
    pub record: LeaseRecord,
}
