//! What can go wrong with the books, sorted by what the caller does next.

use steadfast_core::{InstanceId, SetName};
use steadfast_store as store;

/// An operation on the books failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store said so.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A record was written by a newer Steadfast: nothing here may touch it.
    #[error("{key}: written in format {found}, this Steadfast knows up to {known}: use a newer one")]
    Newer {
        /// Which record.
        key: String,
        /// Its format.
        found: u64,
        /// The highest known here.
        known: u64,
    },
    /// A record is not what it should be.
    #[error("{key}: {problem}")]
    Record {
        /// Which record.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store does not know this set.
    #[error("there is no set {0} in the store")]
    NoSet(SetName),
    /// The set does not know this instance.
    #[error("there is no instance {1} in set {0}")]
    NoInstance(SetName, InstanceId),
    /// What was asked for cannot be done as things stand: a slug to switch on, and a sentence.
    #[error("{detail}")]
    Refused {
        /// Machine-readable: `no-leader`, `already-leader`, `draining` …
        reason: &'static str,
        /// For a person.
        detail: String,
    },
}

impl Error {
    /// Whether the same call may go well later though nobody mends anything: the store was away, or others were faster.
    pub fn may_pass(&self) -> bool {
        use store::Error::{Conflict, OutcomeUnknown, Unavailable};
        matches!(self, Error::Store(Conflict(_) | OutcomeUnknown(_) | Unavailable(_)))
    }
}
