//! Proves the books, or says what is wrong with them: ledgers against placements, to one revision of a live set.

use steadfast_core::client::ClientKey;
use steadfast_core::{InstanceId, SetName};
use steadfast_store::Revision;

use crate::{Error, Registry};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// As of which revision.
    pub revision: Revision,
    /// How many clients were counted.
    pub clients: u64,
    /// How many instances.
    pub instances: u64,
    /// What does not agree; empty: all does.
    pub faults: Vec<Fault>,
}

/// A disagreement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A ledger's sum is not that of its clients.
    #[error("{instance} is charged {ledger_milli}/1000, its clients weigh {clients_milli}/1000 together")]
    Charge {
        /// Whose ledger.
        instance: InstanceId,
        /// What it says.
        ledger_milli: u64,
        /// What its charged clients weigh.
        clients_milli: u64,
    },
    /// A ledger's count is not that of its clients.
    #[error("{instance} counts {ledger} clients, {clients} are at home there")]
    Count {
        /// Whose ledger.
        instance: InstanceId,
        /// What it says.
        ledger: u64,
        /// How many there are.
        clients: u64,
    },
    /// An instance is charged above its capacity, though the set does not overflow.
    #[error("{instance} is charged {charged_milli}/1000 of a capacity of {capacity_milli}/1000")]
    Overfull {
        /// Which.
        instance: InstanceId,
        /// Its charge.
        charged_milli: u64,
        /// Its capacity.
        capacity_milli: u64,
    },
    /// A client's home has no ledger.
    #[error("{client} is at home at {home}, of which there is no ledger")]
    Homeless {
        /// Which client.
        client: ClientKey,
        /// Its home.
        home: InstanceId,
    },
    /// A record cannot be read.
    #[error("{key}: {problem}")]
    Unreadable {
        /// Which.
        key: String,
        /// Why.
        problem: String,
    },
}

impl Registry {
    /// Compares ledgers and placements as of one revision: a scan, and a replay of what happened meanwhile.
    pub async fn verify(&self, _set: &SetName) -> Result<Verified, Error> {
        todo!("the registry's engineer")
    }
}
