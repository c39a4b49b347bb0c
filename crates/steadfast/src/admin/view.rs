//! What the API says: its promise to whoever reads it. Every list is an object, so that it can grow.
//!
//! Golden JSON in the tests beside this file keeps the promise.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

mod amount;
mod clients;
mod explain;
mod upkeep;

use serde::{Deserialize, Serialize};
use steadfast_core::settings::{SetSettings, SingleSettings, StickySettings};
use steadfast_core::{Endpoint, EndpointName, Incarnation, InstanceId, SetName, Span};
use steadfast_registry::{
    EventKind, EventRecord, LedgerState, Role, Text, as_text, setting_from_json, setting_to_json,
};

use crate::config::{listed, nearest};

pub use self::amount::Amount;
pub use self::clients::{
    ClientQuery, ClientView, Clients, ForgottenView, LabelsView, MoveOrder, PlaceOrder, PlacedView, labels_of,
    labels_view, left_ms,
};
pub use self::explain::{CandidateView, ExplainQuery, ExplainView, RefusedView, exclusion_word, rule_word};
pub use self::upkeep::{DrainOrder, DrainView, FaultView, StuckView, VerifyView};

/// Everything, for one screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// The version of the Steadfast that answers.
    pub version: String,
    /// The store.
    pub store: StoreView,
    /// The sets, by name.
    pub sets: Vec<SetView>,
    /// What this process' gateway sees, if it has one.
    pub gateway: Option<GatewayView>,
    /// What is wrong, or could be.
    pub warnings: Vec<Warning>,
}

/// The store, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreView {
    /// `memory`, `sqlite`, `http` …
    pub engine: String,
    /// Where it is, without secrets.
    pub place: String,
    /// Acknowledged writes survive kill -9 and power loss.
    pub durable: bool,
    /// It lives and dies with one machine.
    pub one_machine: bool,
    /// How acknowledged writes can be lost; `null`: in no way that is known.
    #[serde(default)]
    pub may_lose: Option<String>,
    /// What else is worth knowing of it now, a sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// `GET /api/v1/sets`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sets {
    /// The sets, by name.
    pub sets: Vec<SetView>,
    /// Where the next page starts; `null`: this was all.
    pub next: Option<String>,
}

/// A set: its settings, its lease or its clients' totals, and its instances as their probes answer now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetView {
    /// Its name.
    pub set: Text<SetName>,
    /// Its settings; `null` where the store's cannot be used.
    pub settings: Option<SettingsView>,
    /// Its lease; `null` for a sticky set, which has none.
    pub leader: Option<LeaderView>,
    /// What its clients come to; `null` for a single set, which has none.
    pub totals: Option<TotalsView>,
    /// Its instances, by id.
    pub instances: Vec<InstanceView>,
}

/// What the clients of a sticky set come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TotalsView {
    /// What the instances that take clients can carry together.
    pub capacity: Amount,
    /// What clients are charged at all instances together.
    pub charged: Amount,
    /// How many clients are known, charged or not.
    pub clients: u64,
    /// Which part of the capacity is charged; `null` without a capacity.
    pub fill: Option<f64>,
}

/// The settings of a set, as they stand in a file: what `PUT /api/v1/sets/{set}` takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SettingsView {
    /// Exactly one instance may answer.
    Single(SingleView),
    /// Each client has one home.
    Sticky(StickyView),
}

/// The settings of a single set. All of them are to be said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SingleView {
    /// How long a lease lasts without renewal.
    pub lease_ttl: Text<Span>,
    /// How far two clocks' rates may differ.
    pub clock_drift: f64,
    /// How long a gateway holds requests while there is no leader.
    pub park_for: Text<Span>,
    /// How long a leader's probe says 503 before its lease is released.
    pub release_after: Text<Span>,
}

/// The settings of a sticky set, by the keys of the file. One that is not said has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StickyView(pub BTreeMap<String, serde_json::Value>);

/// `GET …/leader`: the lease of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderView {
    /// The set.
    pub set: Text<SetName>,
    /// Who leads; `null` if nobody does.
    pub instance: Option<Text<InstanceId>>,
    /// How that is known.
    pub state: LeaseState,
    /// The epoch of the lease; 0 before the first.
    pub epoch: u64,
    /// Which life of the holder took it.
    pub incarnation: Option<Text<Incarnation>>,
    /// When it did, for people.
    pub since: Option<String>,
    /// How long a lease lasts without renewal.
    pub ttl_ms: Option<u64>,
    /// For how long from now on the leader itself vouches for its role.
    pub valid_for_ms: Option<u64>,
}

/// What is known of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// Its holder says so itself.
    Leading,
    /// The store says so, and its holder's probe does not answer from here.
    Unconfirmed,
    /// Its holder answers that it serves no more.
    SteppingDown,
    /// It was not renewed for longer than it lasts.
    Expired,
    /// It was given back.
    Released,
    /// There never was one.
    None,
}

/// `GET …/instances`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instances {
    /// The instances, by id.
    pub instances: Vec<InstanceView>,
    /// Where the next page starts; `null`: this was all.
    pub next: Option<String>,
}

/// An instance: what the books say of it, and what its probe answers now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceView {
    /// Its identity.
    pub id: Text<InstanceId>,
    /// Which life of it is registered.
    pub incarnation: Option<Text<Incarnation>>,
    /// Whether it takes part: `open`, `draining`, `leaving`, `gone`, `lost`.
    #[serde(with = "as_text")]
    pub state: LedgerState,
    /// Whether it leads, as its probe says; `null` if the probe does not answer.
    pub role: Option<Role>,
    /// The probe's reason: `leading`, `standby`, `unhealthy` …; `silent`, or `replaced` if another life answers there.
    pub reason: String,
    /// The epoch its probe names.
    pub epoch: Option<u64>,
    /// For how long its probe vouches for its role.
    pub valid_for_ms: Option<u64>,
    /// Its direct addresses, by name.
    pub endpoints: BTreeMap<Text<EndpointName>, Text<Endpoint>>,
    /// They lie behind its agent's gate.
    pub gate: bool,
    /// Where its probe answers.
    pub probe: Option<Text<Endpoint>>,
    /// The host it runs on, for people.
    pub host: Option<String>,
    /// When it registered, for people.
    pub since: Option<String>,
    /// What it can carry (sticky sets).
    pub capacity: Amount,
    /// What the clients at home there are charged together.
    pub charged: Amount,
    /// How many clients are at home there, charged or not.
    pub clients: u64,
    /// What it offers to clients that require or prefer it.
    pub labels: LabelsView,
}

/// What a gateway sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayView {
    /// Where it listens.
    pub listeners: Vec<String>,
    /// The sets its routes lead to.
    pub sets: Vec<GatewaySetView>,
    /// Client connections, and how many there may be.
    #[serde(default)]
    pub connections: GatewayConnectionsView,
    /// What it counted since its start.
    pub totals: GatewayTotals,
}

/// Client connections of a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayConnectionsView {
    /// Open now.
    pub now: u64,
    /// As many as there may be: further ones wait.
    pub most: u64,
    /// As many as one source address may have: further ones are refused.
    pub most_per_source: u64,
    /// Source addresses that have some.
    pub sources: u64,
}

/// What a gateway sees of one set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewaySetView {
    /// The set.
    pub set: Text<SetName>,
    /// To whom it forwards; `null` while there is nobody.
    pub instance: Option<Text<InstanceId>>,
    /// At which epoch; `null` for an instance without an agent.
    pub epoch: Option<u64>,
    /// For how long more without another answer of its probe; `null` for an instance without an agent.
    pub left_ms: Option<u64>,
    /// It is handing over: new requests wait for its successor.
    pub handing_over: bool,
    /// Requests running there, from this gateway.
    pub running: u64,
    /// Requests waiting for a leader.
    pub waiting: u64,
    /// What it knows of the set's clients; `null` for a single set.
    #[serde(default)]
    pub clients: Option<GatewayClientsView>,
}

/// What a gateway knows of the clients of a sticky set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayClientsView {
    /// Clients it remembers, and so sends home without a call to the store.
    pub remembered: u64,
    /// Bytes of memory that takes.
    pub bytes: u64,
    /// Clients that made room for others since the start.
    pub evicted: u64,
    /// Clients whose requests or tunnels pass through it now.
    pub carried: u64,
    /// For how long nothing has been heard of changes, not even that there are none; `null` before the first news.
    pub silent_ms: Option<u64>,
}

/// What a gateway counted since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayTotals {
    /// Client connections accepted.
    pub connections: u64,
    /// Requests whose head was read.
    pub requests: u64,
    /// Answers below 500.
    pub answered: u64,
    /// Answers of 500 and above: passed on, or its own.
    pub failed: u64,
    /// Requests sent once more after a connection failed.
    pub retried: u64,
    /// Requests that had to wait for a leader.
    pub waited: u64,
    /// Requests answered 502 `leader-lost`.
    pub leader_lost: u64,
    /// Requests answered 502 `home-broke`.
    #[serde(default)]
    pub home_broke: u64,
    /// Requests answered 503 `no-leader`.
    pub no_leader: u64,
    /// Requests answered 503 `overloaded`.
    pub overloaded: u64,
    /// Requests answered 504 `upstream-timeout`.
    pub timeouts: u64,
    /// Answers cut in the middle.
    pub cut: u64,
    /// WebSocket connections carried.
    #[serde(default)]
    pub tunnels: u64,
    /// How often peers ran into each limit, by its key in `[limits]`.
    #[serde(default)]
    pub limited: BTreeMap<String, u64>,
    /// Clients of sticky sets, and what became of them.
    #[serde(default)]
    pub clients: GatewayClientTotals,
}

/// What a gateway counted of the clients of sticky sets since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayClientTotals {
    /// Redirected home.
    pub redirected: u64,
    /// Told their home.
    pub assigned: u64,
    /// Sent home without a call to the store.
    pub known: u64,
    /// Asked for in the store.
    pub asked_for: u64,
    /// New ones placed.
    pub placed: u64,
    /// Came back from idle.
    pub returned: u64,
    /// Got another home when they came.
    pub moved: u64,
    /// Idle ones sent home while the store was away.
    pub served_away: u64,
    /// Refused, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// Something that is wrong, or could be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// A word for programs: `no-leader`, `file-differs` …
    pub reason: String,
    /// Which set it is about, if one.
    pub set: Option<Text<SetName>>,
    /// What is the matter.
    pub detail: String,
    /// What to do next.
    pub advice: String,
}

/// `GET /api/v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// The events, oldest first.
    pub events: Vec<EventView>,
    /// Give this as `since` to learn what comes after.
    pub next: Text<EventCursor>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventView {
    /// In which set.
    pub set: Text<SetName>,
    /// Its number in the set.
    pub number: u64,
    /// When, for people.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Who reports it.
    pub by: String,
}

/// A place in the events of some sets: for each the number of the next one. Its text is `web:12,db:3`; a number alone
/// is meant for every set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventCursor {
    /// Where a set begins that is not named.
    pub others: u64,
    /// Where the named ones begin.
    pub sets: BTreeMap<SetName, u64>,
}

/// `POST …/drain` and `…/undrain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// The set.
    pub set: Text<SetName>,
    /// Whose state.
    pub instance: Text<InstanceId>,
    /// What it was.
    #[serde(with = "as_text")]
    pub before: LedgerState,
    /// What it is.
    #[serde(with = "as_text")]
    pub now: LedgerState,
}

/// What `POST …/switchover` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchoverOrder {
    /// The successor; `null`: whoever is ready first.
    #[serde(default)]
    pub to: Option<Text<InstanceId>>,
}

/// What `POST …/switchover` answers: the order stands; who watches the leader sees it carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchoverOrdered {
    /// The set.
    pub set: Text<SetName>,
    /// Who shall hand over.
    pub from: Text<InstanceId>,
    /// The epoch that shall end.
    pub epoch: u64,
    /// The successor wished for.
    pub to: Option<Text<InstanceId>>,
}

/// What `PUT /api/v1/sets/{set}` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettingsChange {
    /// The set.
    pub set: Text<SetName>,
    /// Its settings before; `null`: the store did not know it.
    pub before: Option<SettingsView>,
    /// Its settings now.
    pub now: SettingsView,
}

impl SettingsView {
    /// The kind, as it stands in the file.
    pub fn kind(&self) -> &'static str {
        match self {
            SettingsView::Single(_) => SingleSettings::KIND,
            SettingsView::Sticky(_) => StickySettings::KIND,
        }
    }

    /// These settings as the API shows them to whoever may read: without what may be a secret.
    pub fn shown(settings: &SetSettings) -> SettingsView {
        match settings {
            SetSettings::Single(_) => SettingsView::new(settings),
            SetSettings::Sticky(sticky) => SettingsView::new(&SetSettings::Sticky(Box::new(sticky.concealed()))),
        }
    }

    /// These settings as the API takes them.
    pub fn new(settings: &SetSettings) -> SettingsView {
        match settings {
            SetSettings::Single(single) => {
                let timing = single.timing();
                SettingsView::Single(SingleView {
                    lease_ttl: Text(timing.ttl()),
                    clock_drift: f64::from(timing.drift_milli()) / 1000.0,
                    park_for: Text(single.park_for()),
                    release_after: Text(timing.release_after()),
                })
            }
            SetSettings::Sticky(sticky) => {
                let entries = sticky.entries().into_iter();
                let fields = entries.map(|(key, value)| (key.to_owned(), setting_to_json(&value)));
                SettingsView::Sticky(StickyView(fields.collect()))
            }
        }
    }

    /// The settings this stands for, checked.
    ///
    /// # Errors
    /// What is wrong with them, and what would be right.
    pub fn settings(&self) -> Result<SetSettings, String> {
        match self {
            SettingsView::Single(view) => view.settings().map(SetSettings::Single),
            SettingsView::Sticky(view) => view.settings().map(|settings| SetSettings::Sticky(Box::new(settings))),
        }
    }
}

impl SingleView {
    fn settings(&self) -> Result<SingleSettings, String> {
        let milli = (self.clock_drift * 1000.0).round();
        if !(0.0..=1000.0).contains(&milli) {
            return Err(format!("clock_drift {} is not between 0 and 1", self.clock_drift));
        }
        let single = SingleSettings::new(self.lease_ttl.0, milli as u32, self.release_after.0, self.park_for.0);
        single.map_err(|refused| refused.to_string())
    }
}

impl StickyView {
    fn settings(&self) -> Result<StickySettings, String> {
        if let Some(unknown) = self.0.keys().find(|key| !StickySettings::KEYS.contains(&key.as_str())) {
            let hint = match nearest(unknown, StickySettings::KEYS.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("a sticky set has {}", listed(StickySettings::KEYS)),
            };
            return Err(format!("unknown key {unknown:?}: {hint}"));
        }
        let read = StickySettings::read(|key| self.0.get(key).map(setting_from_json));
        read.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

impl EventView {
    /// Event `number` of `set`.
    pub fn new(set: &SetName, number: u64, record: EventRecord) -> EventView {
        EventView { set: Text(set.clone()), number, at: record.at, kind: record.kind, by: record.by }
    }
}

impl EventCursor {
    /// Where `set` begins.
    pub fn of(&self, set: &SetName) -> u64 {
        self.sets.get(set).copied().unwrap_or(self.others)
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.others)?;
        self.sets.iter().try_for_each(|(set, number)| write!(f, ",{set}:{number}"))
    }
}

impl FromStr for EventCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<EventCursor, String> {
        let bad =
            || format!("{text:?} is not a place in the events: expected a number, or what an answer called `next`");
        let mut cursor = EventCursor::default();
        for part in text.split(',') {
            match part.split_once(':') {
                None => cursor.others = part.parse().map_err(|_| bad())?,
                Some((set, number)) => {
                    let set = set.parse().map_err(|_| bad())?;
                    cursor.sets.insert(set, number.parse().map_err(|_| bad())?);
                }
            }
        }
        Ok(cursor)
    }
}

#[cfg(test)]
mod tests;
