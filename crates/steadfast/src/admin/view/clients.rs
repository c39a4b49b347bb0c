//! Clients as the API shows them: who is or was there, where, why, since when; and what is asked to change that.
//!
//! A client's key is written as its text: percent-encoded, so that it can stand in a URL as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use steadfast_core::client::{ClientKey, LabelName, Labels};
use steadfast_core::placement::{Phase, Placement, TICK, Tick};
use steadfast_core::{Endpoint, EndpointName, InstanceId, SetName};
use steadfast_registry::{Text, as_text};

use super::Amount;

/// Labels with the text of their names.
pub type LabelsView = BTreeMap<Text<LabelName>, String>;

/// `GET …/clients`: a page of them, in the order of the bytes of their keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// The clients that match. A page may be short, even empty, and still have a next one.
    pub clients: Vec<ClientView>,
    /// Give this as `after` for the next page; `null`: this was all.
    pub next: Option<Text<ClientKey>>,
}

/// `GET …/clients/{client}`: where a client is at home, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientView {
    /// Its key.
    pub client: Text<ClientKey>,
    /// Its home.
    pub instance: Text<InstanceId>,
    /// `reserved` and `active` are charged; `idle` is remembered.
    #[serde(with = "as_text")]
    pub phase: Phase,
    /// What it is charged, or was when it was charged last.
    pub weight: Amount,
    /// What it said it weighs; differs where that did not fit.
    pub declared: Amount,
    /// Grows with every move.
    pub owner_epoch: u64,
    /// What brought it there: `placed`, `returned`, `home-lost` …
    pub reason: String,
    /// When, for people.
    pub since: String,
    /// Where it was before.
    pub from: Option<Text<InstanceId>>,
    /// Who did it: a gateway, an agent, the keeper, an operator.
    pub by: String,
    /// When the phase ends by itself, at the latest, if nothing is heard of the client until then; `null`: never.
    pub expires_in_ms: Option<u64>,
    /// What it asked for.
    pub labels: LabelsView,
    /// The home it lost and returns to, where the set returns clients.
    pub return_to: Option<Text<InstanceId>>,
}

/// Which clients are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientQuery {
    /// Those after this key.
    pub after: Option<ClientKey>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Those at home there.
    pub home: Option<InstanceId>,
    /// Those in this phase.
    pub phase: Option<Phase>,
}

/// What `PUT …/clients/{client}` takes: a client that has a home keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrder {
    /// What it will weigh; `null`: what the set says of clients that do not say.
    #[serde(default)]
    pub weight: Option<Amount>,
    /// Where to; `null`: by the set's policy.
    #[serde(default)]
    pub instance: Option<Text<InstanceId>>,
    /// What it requires and prefers.
    #[serde(default)]
    pub labels: LabelsView,
}

/// What `POST …/clients/{client}/move` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveOrder {
    /// Where to; `null`: by the set's policy, away from where it is.
    #[serde(default)]
    pub to: Option<Text<InstanceId>>,
}

/// What `PUT …/clients/{client}` and `…/move` answer: the client as it is now, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedView {
    /// Its set.
    pub set: Text<SetName>,
    /// The client.
    #[serde(flatten)]
    pub client: ClientView,
    /// Whether anything was changed.
    pub changed: bool,
    /// The direct addresses of its home, by name.
    pub endpoints: BTreeMap<Text<EndpointName>, Text<Endpoint>>,
}

/// What `DELETE …/clients/{client}` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenView {
    /// Its set.
    pub set: Text<SetName>,
    /// The client.
    pub client: Text<ClientKey>,
    /// Whether there was anything to forget.
    pub changed: bool,
}

impl ClientView {
    /// What the books say of `client`, at the set's time `now`.
    pub fn new(client: &ClientKey, placement: &Placement, now: Tick) -> ClientView {
        let id = |id: &InstanceId| Text(id.clone());
        ClientView {
            client: Text(client.clone()),
            instance: id(&placement.home),
            phase: placement.phase,
            weight: placement.weight.into(),
            declared: placement.declared.into(),
            owner_epoch: placement.owner_epoch.0,
            reason: placement.why.reason.to_string(),
            since: placement.why.since.clone(),
            from: placement.why.from.as_ref().map(id),
            by: placement.why.by.clone(),
            expires_in_ms: left_ms(placement.until, now),
            labels: labels_view(&placement.labels),
            return_to: placement.return_to.as_ref().map(id),
        }
    }
}

/// How long it is from `now` to `until`; `None`: for ever.
pub fn left_ms(until: Tick, now: Tick) -> Option<u64> {
    (until != Tick::NEVER).then(|| until.0.saturating_sub(now.0).saturating_mul(TICK.as_millis()))
}

/// These labels with the text of their names.
pub fn labels_view(labels: &Labels) -> LabelsView {
    labels.iter().map(|(name, value)| (Text(name.clone()), value.clone())).collect()
}

/// The labels this stands for.
pub fn labels_of(view: &LabelsView) -> Labels {
    view.iter().map(|(name, value)| (name.0.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests;
