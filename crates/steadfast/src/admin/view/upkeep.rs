//! What operators do to instances, and whether the books agree.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use steadfast_core::client::ClientKey;
use steadfast_core::{InstanceId, SetName, Span};
use steadfast_registry::{Fault, LedgerState, Text, Verified, as_text};

use super::Amount;

/// What `POST …/instances/{id}/drain` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainOrder {
    /// Clients that are still charged there so long after the order are moved; `null`: they stay until they leave.
    #[serde(default)]
    pub move_after: Option<Text<Span>>,
}

/// `GET …/instances/{id}/drain`: how far a drain has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainView {
    /// The set.
    pub set: Text<SetName>,
    /// Which instance.
    pub instance: Text<InstanceId>,
    /// `draining`, or what it is instead.
    #[serde(with = "as_text")]
    pub state: LedgerState,
    /// What the clients that are still there weigh together.
    pub charged: Amount,
    /// How many are still there.
    pub charged_clients: u64,
    /// How many are only remembered there; they go elsewhere when they come back.
    pub idle_clients: u64,
    /// When those that are still there are moved; `null`: not before they leave.
    pub moves_in_ms: Option<u64>,
    /// How many of those that are still there could not be moved now, and why: by the reason.
    pub stuck: BTreeMap<String, u64>,
    /// Some of them.
    pub examples: Vec<StuckView>,
}

/// A client that cannot be moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckView {
    /// Which.
    pub client: Text<ClientKey>,
    /// A word for programs: `connected`, `no-room` …
    pub reason: String,
    /// For a person.
    pub detail: String,
}

impl DrainView {
    /// Nobody is there any more.
    pub fn is_empty(&self) -> bool {
        self.charged_clients == 0
    }

    /// How many of those that are still there could not be moved now.
    pub fn stuck_clients(&self) -> u64 {
        self.stuck.values().sum()
    }
}

/// `GET …/verify`: whether ledgers and placements agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyView {
    /// The set.
    pub set: Text<SetName>,
    /// They do.
    pub ok: bool,
    /// As of which revision of the set.
    pub revision: u64,
    /// How many clients were counted.
    pub clients: u64,
    /// How many instances.
    pub instances: u64,
    /// What does not agree.
    pub faults: Vec<FaultView>,
}

/// A disagreement in the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultView {
    /// `charge`, `count`, `overfull`, `homeless`, `unreadable`.
    pub fault: String,
    /// Which instance it is about, if one.
    pub instance: Option<Text<InstanceId>>,
    /// Which client, if one.
    pub client: Option<Text<ClientKey>>,
    /// For a person.
    pub detail: String,
}

impl VerifyView {
    /// What was found in the books of `set`.
    pub fn new(set: &SetName, found: &Verified) -> VerifyView {
        VerifyView {
            set: Text(set.clone()),
            ok: found.faults.is_empty(),
            revision: found.revision.0,
            clients: found.clients,
            instances: found.instances,
            faults: found.faults.iter().map(FaultView::new).collect(),
        }
    }
}

impl FaultView {
    fn new(fault: &Fault) -> FaultView {
        let (word, instance, client) = match fault {
            Fault::Charge { instance, .. } => ("charge", Some(instance), None),
            Fault::Count { instance, .. } => ("count", Some(instance), None),
            Fault::Overfull { instance, .. } => ("overfull", Some(instance), None),
            Fault::Homeless { client, home } => ("homeless", Some(home), Some(client)),
            Fault::Unreadable { .. } => ("unreadable", None, None),
        };
        FaultView {
            fault: word.to_owned(),
            instance: instance.cloned().map(Text),
            client: client.cloned().map(Text),
            detail: fault.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
