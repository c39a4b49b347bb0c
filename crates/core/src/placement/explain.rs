//! Why a client is where it is, and where it would go.

use alloc::vec::Vec;

use crate::client::{ClientKey, Labels};
use crate::{InstanceId, Weight};

use super::{Books, Placement, Refusal};

/// An answer to "why is it there?" and "where would it go?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Where a client of this key, weight and labels goes now, if it goes anywhere.
    pub outcome: Result<InstanceId, Refusal>,
    /// What decided that.
    pub rule: Rule,
    /// Every instance, the best first, those that were excluded last.
    pub candidates: Vec<Candidate>,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is at home there already.
    AtHome,
    /// It returns to the home it had lost.
    HomeBack,
    /// It is the only one that can be.
    OnlyCandidate,
    /// It has more of the preferred labels.
    Preferred,
    /// It is the emptiest (`spread`).
    Emptiest,
    /// It is the fullest with room (`pack`).
    Fullest,
    /// It is the emptier of the two that were drawn (`two-choice`).
    Drawn,
    /// They were equal: the id decided.
    Id,
    /// Nobody can be.
    Nobody,
}

/// An instance that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub instance: InstanceId,
    /// Why it cannot be; `None` if it can.
    pub excluded: Option<Exclusion>,
    /// What it can carry.
    pub capacity: Weight,
    /// What is in use there, in thousandths: the greater of what is charged and what it reports.
    pub used_milli: u64,
    /// How many preferred labels it lacks.
    pub lacking: u32,
}

/// Why an instance cannot be a client's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// It is not open.
    State(super::LedgerState),
    /// It could not be reached from here just now.
    Suspended,
    /// It lacks a required label.
    Label,
    /// It has no room.
    Room,
    /// It could never carry it.
    Capacity,
    /// It was not drawn (`two-choice`).
    NotDrawn,
}

/// Explains where a client goes, and why.
pub fn explain(
    _books: Books<'_>,
    _client: &ClientKey,
    _known: Option<&Placement>,
    _weight: Option<Weight>,
    _labels: &Labels,
) -> Explanation {
    todo!("core's engineer")
}
