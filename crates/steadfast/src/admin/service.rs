//! Answers and carries out what is asked of the API, over the books of one store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use steadfast_core::lease::LeaseRecord;
use steadfast_core::settings::SetSettings;
use steadfast_core::{Endpoint, InstanceId, SetName};
use steadfast_host::clock;
use steadfast_host::http::{Client, StatusCode};
use steadfast_host::problem::Problem;
use steadfast_registry::{Error, EventKind, InstanceSeen, LedgerState, Mirror, Registry, Role, Snapshot, Text};
use steadfast_store::Error as StoreError;

use super::probes::{self, Live};
use super::view::{
    EventCursor, EventView, Events, GatewayView, InstanceView, Instances, LeaderView, LeaseState, SetView, Sets,
    SettingsChange, SettingsView, StateChange, StatusView, StoreView, SwitchoverOrdered, Warning,
};
use super::{Api, findings};
use crate::config::{listed, nearest};

/// How long the first look at a set may take.
const FIRST_LOOK_WITHIN: Duration = Duration::from_secs(5);
/// After a change, how long to wait for it to be seen by our own mirror; it stands even if it is not.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The administration over one store.
pub struct Service {
    registry: Registry,
    local: Local,
    probes: Client,
    /// Every set that was asked about, followed from then on.
    mirrors: Mutex<BTreeMap<SetName, Arc<Mirror>>>,
}

/// A look at this process' gateway.
pub type GatewayLook = Box<dyn Fn() -> GatewayView + Send + Sync>;

/// What this process knows beside the books.
#[derive(Default)]
pub struct Local {
    /// What its gateway sees, if it has one.
    pub gateway: Option<GatewayLook>,
    /// The settings of the sets of its file.
    pub file: BTreeMap<SetName, SetSettings>,
    /// Who orders, for the history.
    pub operator: String,
}

impl Service {
    /// The administration over the books of `registry`.
    pub fn new(registry: Registry, local: Local) -> Service {
        Service { registry, local, probes: Client::default(), mirrors: Mutex::default() }
    }

    /// The books.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Follows these sets from now on, whether or not anybody asks.
    pub fn follow<'s>(&self, sets: impl IntoIterator<Item = &'s SetName>) {
        sets.into_iter().for_each(|set| drop(self.mirror(set)));
    }

    /// What this process' gateway sees.
    pub fn gateway(&self) -> Option<GatewayView> {
        self.local.gateway.as_ref().map(|look| look())
    }

    /// What is known of the sets that are followed, without asking anybody: for metrics.
    pub fn known(&self) -> Vec<Arc<Snapshot>> {
        let mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        mirrors.values().map(|mirror| mirror.snapshot()).collect()
    }

    fn mirror(&self, set: &SetName) -> Arc<Mirror> {
        let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        mirrors.entry(set.clone()).or_insert_with(|| Arc::new(Mirror::follow(&self.registry, set))).clone()
    }

    fn forget(&self, set: &SetName) {
        self.mirrors.lock().unwrap_or_else(PoisonError::into_inner).remove(set);
    }

    /// What is known of `set`, which is followed from now on; `None` if the store does not know it.
    async fn look(&self, set: &SetName) -> Result<Option<Arc<Snapshot>>, Problem> {
        let mirror = self.mirror(set);
        let Some(snapshot) = mirror.complete(FIRST_LOOK_WITHIN).await else {
            let snapshot = mirror.snapshot();
            let why = snapshot.trouble.clone().unwrap_or_else(|| "it does not answer".to_owned());
            return Err(store_unavailable(&why));
        };
        let known = snapshot.settings.is_some() || snapshot.unusable.contains_key(&format!("set/{set}"));
        if !known {
            self.forget(set);
            return Ok(None);
        }
        Ok(Some(snapshot))
    }

    async fn snapshot(&self, set: &SetName) -> Result<Arc<Snapshot>, Problem> {
        match self.look(set).await? {
            Some(snapshot) => Ok(snapshot),
            None => Err(self.no_set(set).await),
        }
    }

    async fn no_set(&self, set: &SetName) -> Problem {
        let names: Vec<SetName> =
            self.registry.sets().await.unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        let names = || names.iter().map(SetName::as_str);
        let hint = match nearest(set.as_str(), names()) {
            Some(near) => format!("did you mean {near:?}?"),
            None if names().next().is_none() => "it knows none yet".to_owned(),
            None => format!("it knows {}", listed(names())),
        };
        let detail = format!("the store does not know a set {:?}: {hint}", set.as_str());
        Problem::new(StatusCode::NOT_FOUND, "no-set", detail)
    }

    async fn no_instance(&self, set: &SetName, id: &InstanceId) -> Problem {
        let known = self.look(set).await.ok().flatten();
        let names = || known.iter().flat_map(|snapshot| snapshot.instances.keys().map(InstanceId::as_str));
        let hint = match nearest(id.as_str(), names()) {
            Some(near) => format!("did you mean {near:?}?"),
            None if names().next().is_none() => "it has none yet".to_owned(),
            None => format!("it has {}", listed(names())),
        };
        let detail = format!("set {set} has no instance {:?}: {hint}", id.as_str());
        Problem::new(StatusCode::NOT_FOUND, "no-instance", detail)
    }

    /// The names of the sets the store knows, or, while it is away, those that are followed.
    async fn names(&self) -> Result<Vec<SetName>, Problem> {
        let followed =
            || self.mirrors.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect::<Vec<_>>();
        match self.registry.sets().await {
            Ok(sets) => Ok(sets.into_iter().map(|(name, _)| name).collect()),
            // Each of them says itself what is wrong with it, or with the store.
            Err(_) if !followed().is_empty() => Ok(followed()),
            Err(error) => Err(self.problem(error).await),
        }
    }

    async fn view(&self, snapshot: &Snapshot) -> SetView {
        let mut live = probes::ask(&self.probes, &snapshot.instances).await;
        if live.values().filter(|one| one.leads()).count() > 1 {
            // The questions were not asked at one moment: in a switchover the first and the last may both be right.
            live = probes::ask(&self.probes, &snapshot.instances).await;
        }
        let since = self.leading_since(snapshot).await;
        SetView {
            set: Text(snapshot.set.clone()),
            settings: snapshot.settings.as_ref().map(SettingsView::new),
            leader: leader_view(snapshot, &live, since),
            instances: snapshot.instances.iter().map(|(id, one)| instance_view(id, one, live.get(id))).collect(),
        }
    }

    /// When the lease's present epoch began, by the event that says so.
    async fn leading_since(&self, snapshot: &Snapshot) -> Option<String> {
        let held = snapshot.lease.as_ref()?.observed.record.epoch.0;
        let events = self.registry.events(&snapshot.set, 0).await.ok()?;
        let leading = |kind: &EventKind| matches!(kind, EventKind::Leading { epoch, .. } if *epoch == held);
        events.into_iter().rev().find(|(_, event)| leading(&event.kind)).map(|(_, event)| event.at)
    }

    async fn sets_with_warnings(&self) -> Result<(Vec<SetView>, Vec<Warning>), Problem> {
        let mut views = Vec::new();
        let mut warnings = Vec::new();
        for name in self.names().await? {
            let Some(snapshot) = self.look(&name).await? else { continue };
            let view = self.view(&snapshot).await;
            warnings.extend(findings::of_set(&snapshot, &view));
            views.push(view);
        }
        Ok((views, warnings))
    }

    fn file_warnings(&self) -> Vec<Warning> {
        let known = self.known();
        let differing = self.local.file.iter().filter_map(|(set, file)| {
            let snapshot = known.iter().find(|snapshot| snapshot.set == *set)?;
            let store = snapshot.settings.as_ref()?;
            (store != file).then(|| findings::file_differs(set, file, store))
        });
        differing.collect()
    }

    async fn change_state(&self, set: &SetName, id: &InstanceId, now: LedgerState) -> Result<StateChange, Problem> {
        self.snapshot(set).await?;
        match self.registry.set_state(set, id, None, now, &self.local.operator).await {
            Ok(before) => {
                let before = before.unwrap_or(now);
                Ok(StateChange { set: Text(set.clone()), instance: Text(id.clone()), before, now })
            }
            Err(error) => Err(self.problem(error).await),
        }
    }

    /// An error of the books as the API tells it.
    async fn problem(&self, error: Error) -> Problem {
        match error {
            Error::NoSet(set) => self.no_set(&set).await,
            Error::NoInstance(set, id) => self.no_instance(&set, &id).await,
            Error::Refused { reason, detail } => Problem::new(StatusCode::CONFLICT, reason, detail),
            Error::Store(StoreError::Unavailable(why) | StoreError::OutcomeUnknown(why)) => store_unavailable(&why),
            Error::Store(StoreError::Denied(why)) => {
                Problem::new(StatusCode::FORBIDDEN, "store-denied", format!("the store refuses: {why}"))
            }
            other => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store-unusable", other.to_string()),
        }
    }
}

fn store_unavailable(why: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", format!("the store does not answer: {why}"))
        .retry_after(RETRY_AFTER)
}

#[async_trait]
impl Api for Service {
    async fn status(&self) -> Result<StatusView, Problem> {
        let description = self.registry.store().describe();
        let (sets, of_sets) = self.sets_with_warnings().await?;
        let mut warnings = of_sets;
        warnings.extend(self.file_warnings());
        warnings.extend(findings::of_store(&description));
        Ok(StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: StoreView {
                engine: description.engine,
                place: description.place,
                durable: description.durable,
                one_machine: description.one_machine,
            },
            sets,
            gateway: self.gateway(),
            warnings,
        })
    }

    async fn sets(&self) -> Result<Sets, Problem> {
        let (sets, _) = self.sets_with_warnings().await?;
        Ok(Sets { sets, next: None })
    }

    async fn set(&self, set: &SetName) -> Result<SetView, Problem> {
        let snapshot = self.snapshot(set).await?;
        Ok(self.view(&snapshot).await)
    }

    async fn instances(&self, set: &SetName) -> Result<Instances, Problem> {
        let snapshot = self.snapshot(set).await?;
        let live = probes::ask(&self.probes, &snapshot.instances).await;
        let instances = snapshot.instances.iter().map(|(id, one)| instance_view(id, one, live.get(id))).collect();
        Ok(Instances { instances, next: None })
    }

    async fn leader(&self, set: &SetName) -> Result<LeaderView, Problem> {
        let snapshot = self.snapshot(set).await?;
        let holder = snapshot.lease.as_ref().map(|lease| lease.observed.record.holder.clone());
        let only = snapshot.instances.iter().filter(|(id, _)| Some(*id) == holder.as_ref());
        let live = probes::ask(&self.probes, &only.map(|(id, one)| (id.clone(), one.clone())).collect()).await;
        let since = self.leading_since(&snapshot).await;
        Ok(leader_view(&snapshot, &live, since))
    }

    async fn events(&self, set: Option<&SetName>, since: &EventCursor) -> Result<Events, Problem> {
        let sets = match set {
            Some(set) => {
                self.snapshot(set).await?;
                vec![set.clone()]
            }
            None => self.names().await?,
        };
        let mut next = since.clone();
        let mut logs = Vec::new();
        for set in sets {
            let from = since.of(&set);
            let found = match self.registry.events(&set, from).await {
                Ok(found) => found,
                Err(error) => return Err(self.problem(error).await),
            };
            next.sets.insert(set.clone(), found.last().map_or(from, |(number, _)| number + 1));
            logs.push(found.into_iter().map(|(number, record)| EventView::new(&set, number, record)).collect());
        }
        let events = merged(logs);
        Ok(Events { events, next: Text(next) })
    }

    async fn drain(&self, set: &SetName, instance: &InstanceId) -> Result<StateChange, Problem> {
        self.change_state(set, instance, LedgerState::Draining).await
    }

    async fn undrain(&self, set: &SetName, instance: &InstanceId) -> Result<StateChange, Problem> {
        self.snapshot(set).await?;
        // Asked anew: what is followed may not show a drain yet that was ordered just now.
        let stored = match self.registry.instance(set, instance).await {
            Ok(stored) => stored,
            Err(error) => return Err(self.problem(error).await),
        };
        let state = stored.ledger.map(|ledger| ledger.record.state);
        if let Some(state) = state.filter(|state| *state != LedgerState::Draining) {
            // Opening what is leaving or gone would say that it is there.
            let (set, instance) = (Text(set.clone()), Text(instance.clone()));
            return Ok(StateChange { set, instance, before: state, now: state });
        }
        self.change_state(set, instance, LedgerState::Open).await
    }

    async fn switchover(&self, set: &SetName, to: Option<&InstanceId>) -> Result<SwitchoverOrdered, Problem> {
        self.snapshot(set).await?;
        match self.registry.order_switchover(set, to, &self.local.operator).await {
            Ok(observed) => Ok(SwitchoverOrdered {
                set: Text(set.clone()),
                from: Text(observed.record.holder),
                epoch: observed.record.epoch.0,
                to: to.cloned().map(Text),
            }),
            Err(error) => Err(self.problem(error).await),
        }
    }

    async fn apply(&self, set: &SetName, settings: &SetSettings) -> Result<SettingsChange, Problem> {
        match self.registry.change_set(set, settings, &self.local.operator).await {
            Ok(before) => Ok(SettingsChange {
                set: Text(set.clone()),
                before: before.as_ref().map(SettingsView::new),
                now: SettingsView::new(settings),
            }),
            Err(error) => Err(self.problem(error).await),
        }
    }
}

/// The events of several sets as one list. Within a set the order is the log's; between sets it is people's time.
fn merged(logs: Vec<VecDeque<EventView>>) -> Vec<EventView> {
    let mut logs = logs;
    let mut events = Vec::new();
    loop {
        let heads = logs.iter_mut().filter(|log| !log.is_empty());
        let earliest = heads.min_by(|a, b| a.front().map(|e| &e.at).cmp(&b.front().map(|e| &e.at)));
        match earliest.and_then(VecDeque::pop_front) {
            Some(event) => events.push(event),
            None => return events,
        }
    }
}

fn leader_view(snapshot: &Snapshot, live: &BTreeMap<InstanceId, Live>, since: Option<String>) -> LeaderView {
    let none = LeaderView {
        set: Text(snapshot.set.clone()),
        instance: None,
        state: LeaseState::None,
        epoch: 0,
        incarnation: None,
        since: None,
        ttl_ms: None,
        valid_for_ms: None,
    };
    let Some(seen) = &snapshot.lease else { return none };
    let record = &seen.observed.record;
    let silent_for = clock::now().since(seen.received);
    let state = lease_state(record, live.get(&record.holder), silent_for);
    let led = matches!(state, LeaseState::Leading | LeaseState::Unconfirmed);
    let vouched = live.get(&record.holder).and_then(Live::answer).filter(|_| state == LeaseState::Leading);
    LeaderView {
        instance: led.then(|| Text(record.holder.clone())),
        state,
        epoch: record.epoch.0,
        incarnation: Some(Text(record.incarnation)),
        since: since.filter(|_| led),
        ttl_ms: Some(record.ttl.as_millis()),
        valid_for_ms: vouched.map(|answer| answer.valid_for_ms),
        ..none
    }
}

/// What is known of a lease whose record was seen `silent_for` ago and not renewed since.
fn lease_state(record: &LeaseRecord, live: Option<&Live>, silent_for: Duration) -> LeaseState {
    match live {
        _ if record.released => LeaseState::Released,
        Some(Live::Answers(answer)) if answer.incarnation == record.incarnation => {
            match answer.role {
                // The probe may be ahead of the mirror; never behind what it vouches for.
                Role::Leader => LeaseState::Leading,
                Role::Standby | Role::Member => LeaseState::SteppingDown,
            }
        }
        _ if silent_for > record.ttl.duration() => LeaseState::Expired,
        _ => LeaseState::Unconfirmed,
    }
}

fn instance_view(id: &InstanceId, one: &InstanceSeen, live: Option<&Live>) -> InstanceView {
    let description = one.description.as_ref();
    let state = one.ledger.as_ref().map_or(LedgerState::Gone, |ledger| ledger.state);
    let answer = live.and_then(Live::answer);
    let reason = match (live, description) {
        (Some(Live::Answers(answer)), _) => answer.reason.as_str(),
        (Some(Live::Replaced), _) => "replaced",
        (_, Some(_)) if state == LedgerState::Gone => "gone",
        (_, Some(_)) => "silent",
        (_, None) => "not-registered",
    };
    InstanceView {
        id: Text(id.clone()),
        incarnation: description.map(|d| Text(d.incarnation)),
        state,
        role: answer.map(|answer| answer.role),
        reason: reason.to_owned(),
        epoch: answer.map(|answer| answer.epoch),
        valid_for_ms: answer.map(|answer| answer.valid_for_ms),
        endpoints: description.map(|d| d.endpoints.clone()).unwrap_or_default(),
        gate: description.is_some_and(|d| d.gate),
        probe: description.map(|d| Text(Endpoint::clone(&d.probe.0))),
        host: description.map(|d| d.host.clone()),
        since: description.map(|d| d.since.clone()),
    }
}

#[cfg(test)]
mod tests;
