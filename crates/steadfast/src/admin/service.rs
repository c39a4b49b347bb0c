//! Answers and carries out what is asked of the API, over the books of one store.

mod clients;
mod drain;
mod explain;
mod shown;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use steadfast_core::client::ClientKey;
use steadfast_core::settings::SetSettings;
use steadfast_core::{InstanceId, Moment, SetName};
use steadfast_host::clock;
use steadfast_host::http::{Client, StatusCode};
use steadfast_host::problem::Problem;
use steadfast_registry::{Error, EventKind, Mirror, Placer, PlacerBounds, Registry, Snapshot, Text};
use steadfast_store::Error as StoreError;

use self::shown::{instance_view, leader_view, totals};
use super::probes;
use super::view::{
    ClientQuery, ClientView, Clients, DrainOrder, DrainView, EventCursor, EventView, Events, ExplainQuery, ExplainView,
    ForgottenView, GatewayView, Instances, LeaderView, MoveOrder, PlaceOrder, PlacedView, SetView, Sets,
    SettingsChange, SettingsView, StateChange, StatusView, StoreView, SwitchoverOrdered, VerifyView, Warning,
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
    followed: Mutex<BTreeMap<SetName, Arc<Followed>>>,
}

/// A set that is followed.
struct Followed {
    mirror: Arc<Mirror>,
    /// Since when.
    since: Moment,
    /// Carries out what operators want of its clients; begun with the first.
    placer: OnceLock<Placer>,
}

/// How many orders about clients may wait, and how long one may take.
const PLACER_BOUNDS: PlacerBounds = PlacerBounds { waiting: 1_024, within: Duration::from_secs(5) };

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
        Service { registry, local, probes: Client::default(), followed: Mutex::default() }
    }

    /// The books.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Follows these sets from now on, whether or not anybody asks.
    pub fn follow<'s>(&self, sets: impl IntoIterator<Item = &'s SetName>) {
        sets.into_iter().for_each(|set| drop(self.followed(set)));
    }

    /// What this process' gateway sees.
    pub fn gateway(&self) -> Option<GatewayView> {
        self.local.gateway.as_ref().map(|look| look())
    }

    /// What is known of the sets that are followed, without asking anybody: for metrics.
    pub fn known(&self) -> Vec<Arc<Snapshot>> {
        let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.values().map(|one| one.mirror.snapshot()).collect()
    }

    fn followed(&self, set: &SetName) -> Arc<Followed> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || {
            let mirror = Arc::new(Mirror::follow(&self.registry, set));
            Arc::new(Followed { mirror, since: clock::now(), placer: OnceLock::new() })
        };
        followed.entry(set.clone()).or_insert_with(begin).clone()
    }

    fn placer(&self, set: &SetName) -> Placer {
        let followed = self.followed(set);
        let begin = || Placer::start(&self.registry, followed.mirror.clone(), &self.local.operator, PLACER_BOUNDS);
        followed.placer.get_or_init(begin).clone()
    }

    fn unfollow(&self, set: &SetName) {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(set);
    }

    /// What is known of `set`, which is followed from now on; `None` if the store does not know it.
    async fn look(&self, set: &SetName) -> Result<Option<Arc<Snapshot>>, Problem> {
        let mirror = self.followed(set).mirror.clone();
        let Some(snapshot) = mirror.complete(FIRST_LOOK_WITHIN).await else {
            let snapshot = mirror.snapshot();
            if snapshot.settings.is_none() && !self.local.file.contains_key(set) {
                // Whether there is such a set is not known: whoever asks for names that he makes up fills no memory.
                self.unfollow(set);
            }
            let why = snapshot.trouble.clone().unwrap_or_else(|| "it does not answer".to_owned());
            return Err(store_unavailable(&why));
        };
        let known = snapshot.settings.is_some() || snapshot.unusable.contains_key(&format!("set/{set}"));
        if !known {
            self.unfollow(set);
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
            || self.followed.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect::<Vec<_>>();
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
        let sticky = matches!(snapshot.settings, Some(SetSettings::Sticky(_)));
        let leader = match sticky {
            true => None,
            false => Some(leader_view(snapshot, &live, self.leading_since(snapshot).await)),
        };
        SetView {
            set: Text(snapshot.set.clone()),
            settings: snapshot.settings.as_ref().map(SettingsView::shown),
            leader,
            totals: sticky.then(|| totals(snapshot)),
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
            warnings.extend(findings::of_set(&snapshot, self.followed(&name).since, &view));
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
        let (sets, of_sets) = self.sets_with_warnings().await?;
        // After a first call: a store of http:// says what it is when it is asked something.
        let description = self.registry.store().describe();
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
                may_lose: description.may_lose,
                notes: description.notes,
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
        if matches!(snapshot.settings, Some(SetSettings::Sticky(_))) {
            let detail =
                format!("set {set} is a sticky one: it has homes, not a leader; see `steadfast instances {set}`");
            return Err(Problem::new(StatusCode::CONFLICT, "not-single", detail));
        }
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

    async fn clients(&self, set: &SetName, query: &ClientQuery) -> Result<Clients, Problem> {
        self.page_of_clients(set, query).await
    }

    async fn client(&self, set: &SetName, client: &ClientKey) -> Result<ClientView, Problem> {
        self.one_client(set, client).await
    }

    async fn explain(&self, set: &SetName, client: &ClientKey, query: &ExplainQuery) -> Result<ExplainView, Problem> {
        self.explain_client(set, client, query).await
    }

    async fn place(&self, set: &SetName, client: &ClientKey, order: &PlaceOrder) -> Result<PlacedView, Problem> {
        self.place_client(set, client, order).await
    }

    async fn move_client(&self, set: &SetName, client: &ClientKey, order: &MoveOrder) -> Result<PlacedView, Problem> {
        self.move_one(set, client, order).await
    }

    async fn forget(&self, set: &SetName, client: &ClientKey) -> Result<ForgottenView, Problem> {
        self.forget_client(set, client).await
    }

    async fn drain(&self, set: &SetName, instance: &InstanceId, order: &DrainOrder) -> Result<StateChange, Problem> {
        self.drain_instance(set, instance, order).await
    }

    async fn drain_progress(&self, set: &SetName, instance: &InstanceId) -> Result<DrainView, Problem> {
        self.progress_of_drain(set, instance).await
    }

    async fn undrain(&self, set: &SetName, instance: &InstanceId) -> Result<StateChange, Problem> {
        self.undrain_instance(set, instance).await
    }

    async fn lost(&self, set: &SetName, instance: &InstanceId) -> Result<StateChange, Problem> {
        self.lose_instance(set, instance).await
    }

    async fn verify(&self, set: &SetName) -> Result<VerifyView, Problem> {
        self.sticky(set).await?;
        match self.registry.verify(set).await {
            Ok(found) => Ok(VerifyView::new(set, &found)),
            Err(error) => Err(self.problem(error).await),
        }
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
                before: before.as_ref().map(SettingsView::shown),
                now: SettingsView::shown(settings),
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

#[cfg(test)]
mod tests;
