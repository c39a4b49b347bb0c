//! The answer of an agent's probe, as both sides see it.

use serde::{Deserialize, Deserializer, Serialize};
use steadfast_core::{Epoch, Incarnation, InstanceId, SetName};

use crate::text::field;

/// The header that carries the epoch of an answer.
pub const EPOCH_HEADER: &str = "steadfast-epoch";

/// The header by which a gateway that asks a probe names itself. A leader that hands over waits for the gateways it
/// knows, for a bounded time, until each has said, after it was told to stop, that it carries nothing to it any more.
pub const GATEWAY_HEADER: &str = "steadfast-gateway";

/// The header in which a gateway that asks a probe says how many requests it carries to that instance.
pub const IN_FLIGHT_HEADER: &str = "steadfast-in-flight";

/// What a probe answers: 200 where the instance may serve, 503 otherwise, and this as JSON. An instance of a single set
/// may serve while its `role` is leader, one of a sticky set while its `role` is member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeAnswer {
    /// Which set.
    #[serde(with = "field")]
    pub set: SetName,
    /// Which instance.
    #[serde(with = "field")]
    pub instance: InstanceId,
    /// Which life of it: an address answered by another one is not this instance.
    #[serde(with = "field")]
    pub incarnation: Incarnation,
    /// Whether it may serve.
    pub role: Role,
    /// The epoch held, or the highest seen; 0 in a sticky set.
    pub epoch: u64,
    /// For how long from now on its leadership is vouched for; 0 for everybody else.
    pub valid_for_ms: u64,
    /// Why it may not serve, or `leading`, or of a member `healthy` or `draining`.
    pub reason: ProbeReason,
}

/// Whether an instance may serve. A role that a newer agent may have is none that may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The one.
    Leader,
    /// One of the others, or one that cannot serve.
    Standby,
    /// One of a sticky set that can serve the clients at home there.
    Member,
}

/// Why a probe answers as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeReason {
    /// It holds the lease.
    Leading,
    /// It is one of a sticky set, and its application is healthy.
    Healthy,
    /// Another instance holds it.
    Standby,
    /// It waits for the lease to become free, or is taking it.
    Waiting,
    /// It is handing over.
    SteppingDown,
    /// Its application's checks fail.
    Unhealthy,
    /// Its application has not been found healthy yet.
    Starting,
    /// Its application is not running.
    ApplicationDown,
    /// An operator drains it.
    Draining,
    /// Its agent is stopping.
    Leaving,
    /// Its lease could not be renewed in time.
    LeaseLost,
    /// The store does not answer.
    StoreUnavailable,
    /// A reason that a newer agent knows and this reader does not.
    Other,
}

impl ProbeAnswer {
    /// The epoch held, where the answer is that of a leader.
    pub fn leading(&self) -> Option<Epoch> {
        (self.role == Role::Leader).then_some(Epoch(self.epoch))
    }

    /// Whether this is the word of that life of that instance: an address that another one answers is not it.
    pub fn is_of(&self, set: &SetName, instance: &InstanceId, incarnation: Incarnation) -> bool {
        self.set == *set && self.instance == *instance && self.incarnation == incarnation
    }
}

impl ProbeReason {
    /// The reason's name, as it stands in the answer.
    pub fn as_str(self) -> &'static str {
        match self {
            ProbeReason::Leading => "leading",
            ProbeReason::Healthy => "healthy",
            ProbeReason::Standby => "standby",
            ProbeReason::Waiting => "waiting",
            ProbeReason::SteppingDown => "stepping-down",
            ProbeReason::Unhealthy => "unhealthy",
            ProbeReason::Starting => "starting",
            ProbeReason::ApplicationDown => "application-down",
            ProbeReason::Draining => "draining",
            ProbeReason::Leaving => "leaving",
            ProbeReason::LeaseLost => "lease-lost",
            ProbeReason::StoreUnavailable => "store-unavailable",
            ProbeReason::Other => "other",
        }
    }

    const ALL: [ProbeReason; 13] = [
        ProbeReason::Leading,
        ProbeReason::Healthy,
        ProbeReason::Standby,
        ProbeReason::Waiting,
        ProbeReason::SteppingDown,
        ProbeReason::Unhealthy,
        ProbeReason::Starting,
        ProbeReason::ApplicationDown,
        ProbeReason::Draining,
        ProbeReason::Leaving,
        ProbeReason::LeaseLost,
        ProbeReason::StoreUnavailable,
        ProbeReason::Other,
    ];
}

// Agents and gateways of two versions run together: a word that is new to the reader must not make the
// answer unreadable.
impl<'de> Deserialize<'de> for ProbeReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ProbeReason, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(ProbeReason::ALL.into_iter().find(|known| known.as_str() == text).unwrap_or(ProbeReason::Other))
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "leader" => Role::Leader,
            "member" => Role::Member,
            _ => Role::Standby,
        })
    }
}

#[cfg(test)]
mod tests;
