//! Why an ask is refused.

use crate::{InstanceId, Weight};

use super::LedgerState;

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
        state: LedgerState,
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
