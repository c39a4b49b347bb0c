//! What an ask does to the books. See PROTOCOL in the project's documents: the event table.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::client::{ClientKey, Labels};
use crate::settings::StickySettings;
use crate::{InstanceId, Weight};

use super::{Ledger, Placement, Reason, Tick};

/// An instance, as far as decisions go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its ledger.
    pub ledger: Ledger,
    /// What it offers.
    pub labels: Labels,
    /// The load it reported within the last ten seconds, in thousandths.
    pub load_milli: Option<u64>,
    /// Whoever decides could not reach it just now: no new clients from here.
    pub suspended: bool,
}

/// Every instance of a set.
pub type Members = BTreeMap<InstanceId, Member>;

/// What the books say, apart from the client.
#[derive(Clone, Copy, Debug)]
pub struct Books<'a> {
    /// The set's settings.
    pub settings: &'a StickySettings,
    /// The set's time.
    pub tick: Tick,
    /// Its instances.
    pub members: &'a Members,
}

/// What somebody wants of a client's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What.
    pub wish: Wish,
    /// Who: a gateway, an agent, the keeper, an operator.
    pub by: String,
    /// When, for people.
    pub at: String,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A client's request is here and wants to be sent home: placed, returned, moved off a lost home, refreshed,
    /// reweighed, as it needs. With `present` its request or connection is carried by the asker: a reservation
    /// turns active (`presence = "connection"`).
    Arrive {
        /// What the request says it weighs.
        weight: Option<Weight>,
        /// What the request requires and prefers.
        labels: Labels,
        /// It is there now.
        present: bool,
    },
    /// A client is there, says this instance: claimed, refreshed, returned; if unknown, placed right there.
    Report {
        /// Where it is.
        at: InstanceId,
        /// What it weighs, if that is known.
        weight: Option<Weight>,
    },
    /// A client's last connection closed: it stays charged for `idle_after` from now.
    Leave,
    /// An operator (or a matchmaker) places a client that is not there yet; one that has a home keeps it.
    Place {
        /// Where; by the policy if not said.
        to: Option<InstanceId>,
        /// What it will weigh.
        weight: Option<Weight>,
        /// What it requires and prefers.
        labels: Labels,
    },
    /// Moves a client, to `to` or by the policy. `certain_to_leave`: one that is connected will be made to leave.
    Move {
        /// Where to.
        to: Option<InstanceId>,
        /// Why.
        reason: Reason,
        /// A connected client can be made to leave its former home.
        certain_to_leave: bool,
    },
    /// The keeper: what is over is over.
    Expire,
    /// An operator: as if it had never been there.
    Forget,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: what the books say is the answer.
    Keep,
    /// This.
    Write(Change),
}

/// A client's record and the ledgers it touches, after the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `None`: deleted.
    pub client: Option<Placement>,
    /// One or two, or none where nothing is charged.
    pub ledgers: Vec<(InstanceId, Ledger)>,
    /// What people should hear of.
    pub notes: Vec<Note>,
}

/// Something people should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A client declared another weight, and that did not fit.
    Overweight {
        /// What it declared.
        declared: Weight,
        /// What it stays charged.
        charged: Weight,
    },
    /// A client was charged above its home's capacity.
    Overflow {
        /// Where.
        home: InstanceId,
    },
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No instance has room now.
    #[error("no instance has room for a weight of {weight}")]
    NoRoom {
        /// For what.
        weight: Weight,
    },
    /// No instance could ever carry it.
    #[error("a weight of {weight} is more than any instance can carry: {largest} at most")]
    TooHeavy {
        /// What it weighs.
        weight: Weight,
        /// The largest capacity, or the set's `weight_max`.
        largest: Weight,
    },
    /// No instance has the labels it requires.
    #[error("no instance has what is required")]
    NoMatch,
    /// The set has no instance that takes part.
    #[error("no instance is open")]
    NoInstance,
    /// Its home is lost and is still waited for, or clients of this set wait for good (`on_home_lost = "fail"`).
    #[error("its home {home} is lost")]
    HomeLost {
        /// Its home.
        home: InstanceId,
        /// How many more ticks it is waited for; `None`: until it is back.
        ticks: Option<u64>,
    },
    /// Its home has no room, and the set refuses then.
    #[error("its home {home} is full")]
    HomeFull {
        /// Its home.
        home: InstanceId,
    },
    /// A report came from an instance that is not its home.
    #[error("its home is {home}")]
    NotHomeHere {
        /// Its home.
        home: InstanceId,
    },
    /// There is no such client.
    #[error("there is no such client")]
    NoClient,
    /// There is no such instance.
    #[error("there is no instance {instance}")]
    NotThere {
        /// Which.
        instance: InstanceId,
    },
    /// That instance takes no clients now.
    #[error("{instance} is {state}")]
    NotOpen {
        /// Which.
        instance: InstanceId,
        /// What it is.
        state: super::LedgerState,
    },
    /// It is connected at its home, and nothing would make it leave.
    #[error("it is connected at {home} and cannot be made to leave")]
    Connected {
        /// Its home.
        home: InstanceId,
    },
    /// The set remembers as many clients as it may.
    #[error("the set remembers {most} clients already")]
    TooManyClients {
        /// How many.
        most: u64,
    },
}

impl Refusal {
    /// The slug to switch on: `no-room`, `too-heavy` …
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::NoRoom { .. } => "no-room",
            Refusal::TooHeavy { .. } => "too-heavy",
            Refusal::NoMatch => "no-match",
            Refusal::NoInstance => "no-instance",
            Refusal::HomeLost { .. } => "home-lost",
            Refusal::HomeFull { .. } => "home-full",
            Refusal::NotHomeHere { .. } => "not-home-here",
            Refusal::NoClient => "no-client",
            Refusal::NotThere { .. } => "not-there",
            Refusal::NotOpen { .. } => "not-open",
            Refusal::Connected { .. } => "connected",
            Refusal::TooManyClients { .. } => "too-many-clients",
        }
    }
}

/// What `ask` does to the record of `client`, of which the books say `known`.
pub fn decide(
    _books: Books<'_>,
    _client: &ClientKey,
    _known: Option<&Placement>,
    _ask: &Ask,
) -> Result<Decision, Refusal> {
    todo!("core's engineer")
}
