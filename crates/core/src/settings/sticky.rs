//! The settings of a sticky set.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;

use crate::client::{LabelName, Sources};
use crate::{Span, Weight};

/// The settings of a sticky set, checked. Reads like [`Sticky`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickySettings(Sticky);

/// The values of a sticky set's settings, as they are said. [`StickySettings::new`] checks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// Where a request says who its client is.
    pub client: Sources,
    /// How much work a client brings.
    pub weight: WeightRule,
    /// What a client weighs that does not say.
    pub weight_default: Weight,
    /// The heaviest weight that is taken (a heavier one is a bad request). Default: the largest capacity of the set.
    pub weight_max: Option<Weight>,
    /// Which of the instances with room a new client gets.
    pub policy: Policy,
    /// New clients fill an instance only this far, in thousandths of its capacity: 1 to 1000.
    pub admit_below_milli: u32,
    /// How the set knows that a client is there.
    pub presence: Presence,
    /// How long a place is kept for a client that was not seen at its home yet (not with `request`).
    pub claim_within: Span,
    /// How long a client stays charged after it was there last.
    pub idle_after: Span,
    /// How long a client that is not charged is remembered. `None`: for ever.
    pub forget_after: Option<Span>,
    /// How long a lost home is waited for.
    pub home_wait: Span,
    /// What becomes of its clients then.
    pub on_home_lost: OnHomeLost,
    /// Whether clients that lost their home return to it when it is back.
    pub return_home: ReturnHome,
    /// What becomes of an idle client that comes back to a full home.
    pub home_full: HomeFull,
    /// Labels an instance must have with the very value the request has there.
    pub require: BTreeMap<LabelName, Sources>,
    /// Labels it should have; each one it has not makes it less welcome.
    pub prefer: BTreeMap<LabelName, Sources>,
    /// The most clients the set remembers.
    pub max_clients: u64,
    /// New placements a second one source address may cause.
    pub new_per_source: u32,
    /// Asked (POST) that a client be sent away, with `{client}` replaced by its key: a client that is connected is
    /// moved only where this, or the gateway that carries it, can make it leave.
    pub evict: Option<String>,
}

/// How much work a client brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightRule {
    /// Every client the same.
    Fixed(Weight),
    /// What the request says.
    Said(Sources),
}

/// Which of the instances with room a new client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// The emptiest, so that all are equally full.
    #[default]
    Spread,
    /// The fullest, so that others stay empty.
    Pack,
    /// The emptier of two, drawn by the client's key: for many gateways that place at once.
    TwoChoice,
}

/// How a set knows that a client is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Presence {
    /// By its requests at the gateway.
    #[default]
    Request,
    /// By its connections through the gateway.
    Connection,
    /// By what the application tells its agent.
    Report,
}

/// What becomes of the clients of a home that stays lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnHomeLost {
    /// They are moved as they come.
    #[default]
    Move,
    /// They are refused until it is back.
    Fail,
}

/// Whether clients that lost their home return to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReturnHome {
    /// They stay where they are.
    #[default]
    Never,
    /// When they come back from idle.
    WhenIdle,
    /// When they come next, and it has room.
    Always,
}

/// What becomes of an idle client that comes back to a full home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HomeFull {
    /// It gets another home.
    #[default]
    Move,
    /// It is refused.
    Refuse,
    /// It is charged above the capacity.
    Overflow,
}

/// Settings of a sticky set that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSticky {
    /// What, and what would be right.
    #[error("{key} {problem}")]
    Value {
        /// Which one.
        key: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

impl StickySettings {
    /// The kind of a set with such settings.
    pub const KIND: &'static str = "sticky";

    /// Checks every value and what they must keep to each other.
    pub fn new(values: Sticky) -> Result<StickySettings, BadSticky> {
        Ok(StickySettings(values))
    }

    /// The weight of a client of which a request said `said`.
    pub fn weight_or_default(&self, said: Option<Weight>) -> Weight {
        match &self.0.weight {
            WeightRule::Fixed(weight) => *weight,
            WeightRule::Said(_) => said.unwrap_or(self.0.weight_default),
        }
    }
}

impl Deref for StickySettings {
    type Target = Sticky;

    fn deref(&self) -> &Sticky {
        &self.0
    }
}

impl Default for Sticky {
    fn default() -> Sticky {
        Sticky {
            client: Sources::default(),
            weight: WeightRule::Said(Sources(Vec::new())),
            weight_default: Weight::ONE,
            weight_max: None,
            policy: Policy::default(),
            admit_below_milli: 1_000,
            presence: Presence::default(),
            claim_within: Span::from_millis(30_000),
            idle_after: Span::from_millis(86_400_000),
            forget_after: Some(Span::from_millis(30 * 86_400_000)),
            home_wait: Span::ZERO,
            on_home_lost: OnHomeLost::default(),
            return_home: ReturnHome::default(),
            home_full: HomeFull::default(),
            require: BTreeMap::new(),
            prefer: BTreeMap::new(),
            max_clients: 10_000_000,
            new_per_source: 1_000,
            evict: None,
        }
    }
}
