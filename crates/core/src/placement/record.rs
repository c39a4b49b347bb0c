//! What the books say of a client and of an instance.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::client::Labels;
use crate::id::words;
use crate::{BadText, Epoch, Incarnation, InstanceId, Span, Weight};

/// A set's own time: a counter the keeper raises every [`TICK`], so that no wall clocks are compared. While the
/// store is away it stands still, and nothing expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(pub u64);

/// How long a tick lasts, at least.
pub const TICK: Span = Span::from_millis(5_000);

/// `client/<key>`: where a client is at home, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Its home.
    pub home: InstanceId,
    /// Grows with every move: what was said of the client at a lower one is void.
    pub owner_epoch: Epoch,
    /// What it is charged, or was when it was charged last.
    pub weight: Weight,
    /// What it said it weighs; differs from `weight` where that did not fit.
    pub declared: Weight,
    /// Whether it is charged.
    pub phase: Phase,
    /// When the phase ends: reserved is deleted, active turns idle, idle is forgotten.
    pub until: Tick,
    /// What it asked for: requirements and preferences alike, so that it can be moved without asking it again.
    pub labels: Labels,
    /// The home it lost and returns to, where the set returns clients.
    pub return_to: Option<InstanceId>,
    /// Why it is there.
    pub why: Why,
}

/// Whether a client is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Charged; its place is given away unless it is claimed.
    Reserved,
    /// Charged.
    Active,
    /// Remembered, not charged.
    Idle,
}

/// Why a client is where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// What brought it there.
    pub reason: Reason,
    /// When, for people.
    pub since: String,
    /// Where it was before.
    pub from: Option<InstanceId>,
    /// Who did it: a gateway, an agent, the keeper, an operator.
    pub by: String,
}

/// `ledger/<id>`: what everything about an instance is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Which life of the instance this is about.
    pub incarnation: Incarnation,
    /// Whether it takes part.
    pub state: LedgerState,
    /// What it can carry.
    pub capacity: Weight,
    /// What the charged clients at home there weigh together, in thousandths.
    pub charged_milli: u64,
    /// How many clients are at home there, charged or not.
    pub clients: u64,
    /// Since when it is lost or gone.
    pub lost_at: Option<Tick>,
    /// From when on the keeper moves those at home there, while it is draining.
    pub move_at: Option<Tick>,
}

words!(
    /// Whether an instance takes part in its set.
    LedgerState,
    "an instance's state",
    "open, draining, leaving, gone or lost",
    /// It does.
    Open = "open",
    /// An operator wants it empty: no new clients; a leader hands over and does not lead again until undrained.
    Draining = "draining",
    /// Its agent is stopping: no new clients; a leader hands over. The next start opens it again.
    Leaving = "leaving",
    /// It stopped in good order.
    Gone = "gone",
    /// It died, or nobody heard of it for too long.
    Lost = "lost",
);

words!(
    /// What brought a client to its home.
    Reason,
    "a reason",
    "one that this version knows",
    /// It was new.
    Placed = "placed",
    /// It came back from idle.
    Returned = "returned",
    /// Its home was lost.
    HomeLost = "home-lost",
    /// The home it had lost is back.
    HomeBack = "home-back",
    /// Its home had no room when it came back.
    HomeFull = "home-full",
    /// Its home is being drained.
    Drained = "drained",
    /// An operator put it there.
    PlacedByOperator = "placed-by-operator",
    /// An operator moved it.
    MovedByOperator = "moved-by-operator",
    /// Its home said it was there before anybody placed it.
    Reported = "reported",
);

impl Phase {
    /// Whether the client is charged to its home.
    pub fn is_charged(self) -> bool {
        self != Phase::Idle
    }

    /// The word, as it stands in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Reserved => "reserved",
            Phase::Active => "active",
            Phase::Idle => "idle",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Phase {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Phase, BadText> {
        [Phase::Reserved, Phase::Active, Phase::Idle]
            .into_iter()
            .find(|phase| phase.as_str() == text)
            .ok_or_else(|| BadText::new("a phase", text, "reserved, active or idle"))
    }
}

impl LedgerState {
    /// Whether the instance cannot be anybody's home now.
    pub fn is_lost(self) -> bool {
        matches!(self, LedgerState::Gone | LedgerState::Lost)
    }
}

impl Tick {
    /// After everything.
    pub const NEVER: Tick = Tick(u64::MAX);

    /// The first tick that is surely `span` after this one: whole ticks, rounded up, and one more because the
    /// present one may be nearly over. [`Tick::NEVER`] for `None`.
    pub fn after(self, span: Option<Span>) -> Tick {
        let Some(span) = span else { return Tick::NEVER };
        Tick(self.0.saturating_add(span.as_millis().div_ceil(TICK.as_millis())).saturating_add(1))
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
