//! The records: what the store promises to keep readable. Small JSON documents with a format number `v`;
//! fields this version does not know are kept when a record is rewritten.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use steadfast_core::client::{ClientKey, LabelName, Labels};
use steadfast_core::lease::LeaseRecord;
use steadfast_core::placement::{Ledger, LedgerState, Tick};
use steadfast_core::{Endpoint, EndpointName, Epoch, Incarnation, InstanceId, Nonce, Span, Weight};

use crate::Error;
use crate::text::{Text, field};

mod client;
mod clock;
mod leaving;
mod set;
mod turn;

pub(crate) use client::ClientRecord;
pub(crate) use clock::ClockRecord;
pub(crate) use leaving::LeavingRecord;
pub use set::{SetRecord, setting_from_json, setting_to_json};
pub use turn::TurnRecord;

/// The format written here, and the highest read.
pub(crate) const FORMAT: u64 = 1;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Fields a newer version added.
pub(crate) type Extras = serde_json::Map<String, serde_json::Value>;

#[derive(Serialize)]
struct Versioned<'a, T> {
    v: u64,
    #[serde(flatten)]
    record: &'a T,
}

/// A record as the bytes that are stored.
pub(crate) fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(&Versioned { v: FORMAT, record })
        .unwrap_or_else(|e| unreachable!("a record is always JSON: {e}"))
}

/// The record in `bytes`, stored under `key` (for the error).
pub(crate) fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    let problem = |problem: String| Error::Record { key: key.to_owned(), problem };
    let mut fields: Extras = serde_json::from_slice(bytes).map_err(|e| problem(format!("not a JSON object: {e}")))?;
    let found = fields.remove("v").and_then(|v| v.as_u64()).ok_or_else(|| problem("no format number \"v\"".into()))?;
    if found > FORMAT {
        return Err(Error::Newer { key: key.to_owned(), found, known: FORMAT });
    }
    serde_json::from_value(fields.into()).map_err(|e| problem(e.to_string()))
}

/// `lease/<set>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredLease {
    epoch: u64,
    #[serde(with = "field")]
    holder: InstanceId,
    #[serde(with = "field")]
    incarnation: Incarnation,
    ttl_ms: u64,
    #[serde(with = "field")]
    nonce: Nonce,
    released: bool,
    #[serde(flatten)]
    pub(crate) extras: Extras,
}

impl StoredLease {
    pub(crate) fn new(lease: &LeaseRecord, extras: Extras) -> StoredLease {
        StoredLease {
            epoch: lease.epoch.0,
            holder: lease.holder.clone(),
            incarnation: lease.incarnation,
            ttl_ms: lease.ttl.as_millis(),
            nonce: lease.nonce,
            released: lease.released,
            extras,
        }
    }

    pub(crate) fn lease(&self) -> LeaseRecord {
        LeaseRecord {
            epoch: Epoch(self.epoch),
            holder: self.holder.clone(),
            incarnation: self.incarnation,
            ttl: Span::from_millis(self.ttl_ms),
            nonce: self.nonce,
            released: self.released,
        }
    }
}

/// `instance/<id>`: where an instance is. Description only: nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// Which life of the instance wrote this.
    #[serde(with = "field")]
    pub incarnation: Incarnation,
    /// Its direct addresses.
    pub endpoints: BTreeMap<Text<EndpointName>, Text<Endpoint>>,
    /// Where its agent's probe answers.
    pub probe: Text<Endpoint>,
    /// Its endpoints lie behind the agent's gate.
    #[serde(default)]
    pub gate: bool,
    /// What it offers to clients that require or prefer it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Text<LabelName>, String>,
    /// The host it runs on, for people.
    pub host: String,
    /// When it registered, for people.
    pub since: String,
    #[serde(flatten)]
    pub(crate) extras: Extras,
}

impl InstanceRecord {
    /// An instance of this incarnation whose probe answers at `probe`.
    pub fn new(
        incarnation: Incarnation,
        endpoints: BTreeMap<EndpointName, Endpoint>,
        probe: Endpoint,
        gate: bool,
        host: String,
    ) -> Self {
        InstanceRecord {
            incarnation,
            endpoints: endpoints.into_iter().map(|(name, endpoint)| (Text(name), Text(endpoint))).collect(),
            probe: Text(probe),
            gate,
            labels: BTreeMap::new(),
            host,
            since: steadfast_host::clock::wall().to_string(),
            extras: Extras::new(),
        }
    }

    /// What it offers.
    pub fn labels(&self) -> Labels {
        self.labels.iter().map(|(name, value)| (name.0.clone(), value.clone())).collect()
    }

    /// The direct address of this name.
    pub fn endpoint(&self, name: &EndpointName) -> Option<&Endpoint> {
        self.endpoints.get(&Text(name.clone())).map(|endpoint| &endpoint.0)
    }
}

/// `ledger/<id>`: what decisions about an instance are checked against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerRecord {
    /// Which life of the instance this is about.
    #[serde(with = "field")]
    pub incarnation: Incarnation,
    /// Whether it takes part.
    #[serde(with = "field")]
    pub state: LedgerState,
    /// What it can carry (sticky sets).
    #[serde(default, skip_serializing_if = "is_default")]
    pub capacity: Text<Weight>,
    /// It is charged more than this, and that is no fault: this was lowered, which moves nobody, or a client had to be
    /// charged although there was no room.
    #[serde(default, skip_serializing_if = "is_default")]
    pub excused: bool,
    /// What its charged clients weigh together, in thousandths.
    #[serde(default, skip_serializing_if = "is_default")]
    pub charged_milli: u64,
    /// How many clients are at home there, charged or not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub clients: u64,
    /// Since which tick it is lost or gone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lost_at: Option<u64>,
    /// An operator had drained it before it was lost or gone: it drains again when it is back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub drained: bool,
    /// From which tick on the keeper moves those at home there, while it is draining.
    #[serde(default, skip_serializing_if = "is_default")]
    pub move_at: Option<u64>,
    /// Marks the batch that wrote this very version, so that one read settles an unknown outcome and tells its revision.
    /// Whoever else writes the ledger takes it out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nonce: Option<Text<Nonce>>,
    /// Who set the state: the instance's own agent, or an operator.
    pub by: String,
    /// When, for people.
    pub since: String,
    #[serde(flatten)]
    pub(crate) extras: Extras,
}

impl LedgerRecord {
    /// What decisions are made from.
    pub fn ledger(&self) -> Ledger {
        Ledger {
            incarnation: self.incarnation,
            state: self.state,
            capacity: self.capacity.0,
            charged_milli: self.charged_milli,
            clients: self.clients,
            lost_at: self.lost_at.map(Tick),
            move_at: self.move_at.map(Tick),
        }
    }

    /// This record with the clients that a decision gives it, written by the batch `nonce`. What else it says of the
    /// instance is nothing that a client changes.
    pub(crate) fn with_clients(&self, decided: &Ledger, overflowed: bool, nonce: Nonce) -> LedgerRecord {
        let Ledger { charged_milli, clients, .. } = *decided;
        let excused = (self.excused || overflowed) && charged_milli > self.capacity.0.as_milli();
        LedgerRecord { charged_milli, clients, excused, nonce: Some(Text(nonce)), ..self.clone() }
    }
}

/// `beat/<id>`: presence. Written every few seconds, never logged or watched; polled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeatRecord {
    /// Which life of the instance beats.
    #[serde(with = "field")]
    pub incarnation: Incarnation,
    /// Grows with each beat: an observer sees it change, or not.
    pub beat: u64,
    /// The load its application reported, in thousandths of the set's unit, if it reports any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub load_milli: Option<u64>,
    #[serde(flatten)]
    pub(crate) extras: Extras,
}

impl BeatRecord {
    /// The `beat`th of this incarnation.
    pub fn new(incarnation: Incarnation, beat: u64) -> BeatRecord {
        BeatRecord { incarnation, beat, load_milli: None, extras: Extras::new() }
    }
}

/// `order/switchover`: an operator's wish that the holder of one epoch hands over. Void at any other epoch,
/// so it needs no clearing away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// Names this order.
    #[serde(with = "field")]
    pub id: Nonce,
    /// The epoch that shall end.
    pub epoch: u64,
    /// Who shall lead next; any candidate if not named.
    pub to: Option<Text<InstanceId>>,
    /// Who asked, for people.
    pub by: String,
    /// When, for people.
    pub at: String,
    #[serde(flatten)]
    pub(crate) extras: Extras,
}

/// `event/<n>`: something that people will ask about later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When, for people.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Who reports it: an instance's agent, an operator.
    pub by: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// An instance took the lease.
    Leading {
        /// Who.
        instance: Text<InstanceId>,
        /// At which epoch.
        epoch: u64,
        /// From whom, if anybody.
        from: Option<Text<InstanceId>>,
        /// Why it was free: `first`, `released`, `expired`, `own`.
        reason: String,
    },
    /// A leader stopped serving.
    Stopped {
        /// Who.
        instance: Text<InstanceId>,
        /// At which epoch.
        epoch: u64,
        /// `unhealthy`, `hand-over`, `application-died`, `lost`, `draining`, `leaving`.
        reason: String,
    },
    /// An instance's state was changed.
    State {
        /// Whose.
        instance: Text<InstanceId>,
        /// To what.
        #[serde(with = "field")]
        state: LedgerState,
    },
    /// A switchover was ordered.
    Switchover {
        /// The epoch that shall end.
        epoch: u64,
        /// The successor wished for.
        to: Option<Text<InstanceId>>,
    },
    /// The set's settings were written.
    Settings,
    /// An instance of a sticky set was not heard of for too long.
    InstanceLost {
        /// Which.
        instance: Text<InstanceId>,
        /// How many clients are at home there.
        clients: u64,
    },
    /// At an instance that is being drained nobody is charged any more.
    Drained {
        /// Which.
        instance: Text<InstanceId>,
    },
    /// The deadline of a drain has passed, and clients stay: they cannot be made to leave, or nobody has room.
    DrainWaits {
        /// Where.
        instance: Text<InstanceId>,
        /// How many are connected, and nothing would make them leave.
        connected: u64,
        /// For how many there is no room elsewhere.
        no_room: u64,
    },
    /// An operator moved a client.
    ClientMoved {
        /// Which.
        client: Text<ClientKey>,
        /// From where.
        from: Option<Text<InstanceId>>,
        /// To where.
        to: Text<InstanceId>,
    },
    /// An operator had a client forgotten.
    ClientForgotten {
        /// Which.
        client: Text<ClientKey>,
    },
    /// A client declared another weight than it is charged, and its home has no room for that.
    ClientOverweight {
        /// Which.
        client: Text<ClientKey>,
        /// What it declared.
        declared: Text<Weight>,
        /// What it stays charged.
        charged: Text<Weight>,
    },
    /// A client was charged above its home's capacity, as the set wants it.
    ClientOverflow {
        /// Which.
        client: Text<ClientKey>,
        /// Its home.
        home: Text<InstanceId>,
    },
    /// Written by a newer version.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests;
