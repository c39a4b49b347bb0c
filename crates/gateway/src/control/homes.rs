//! Makes the view of a sticky set that workers read: a new one whenever something in it changed.
//!
//! A home that could not be reached is asked who it is, at its agent's probe, until that says that it is the life of
//! the instance the books have there: an address under another name or another life is never taken for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use steadfast_core::settings::{SetSettings, StickySettings};
use steadfast_core::{Endpoint, Incarnation, InstanceId, Moment};
use steadfast_host::http::{Call, Client, ClientLimits, Target as Server};
use steadfast_host::{clock, net};
use steadfast_registry::{InstanceSeen, Placer, ProbeAnswer, Snapshot};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clients::Clients;
use crate::home::{DeferredWrite, Direct, Facts, Home, View};
use crate::set::{Addresses, SetShared, Target};

/// Bytes of a probe's answer.
const ANSWER_BYTES: usize = 16 << 10;
/// How long a probe, or a resolver, may take.
const WITHIN: Duration = Duration::from_secs(2);
/// How often a doubted home is asked.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long the address of a name is used without being looked up again.
const RESOLVED_FOR: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Homes {
    set: Arc<SetShared>,
    clients: Arc<Clients>,
    placer: Placer,
    deferred: mpsc::Sender<DeferredWrite>,
    workers: usize,
    client: Client,
    settings: Option<Arc<StickySettings>>,
    /// What the last view was made from.
    shown: Option<Shown>,
    homes: Vec<Option<Arc<Home>>>,
    names: BTreeMap<Endpoint, Name>,
    work: JoinSet<Done>,
    /// Which lives are being asked for.
    asking: BTreeSet<Life>,
    /// The set's time has passed since it was taken last.
    ticked: bool,
    /// Views shown.
    round: u64,
}

/// What a view is made from, apart from the homes.
#[derive(Clone, PartialEq)]
struct Shown {
    settings: Arc<StickySettings>,
    tick: steadfast_core::placement::Tick,
    in_trouble: bool,
    homes: Vec<Facts>,
}

/// Where an endpoint that has a name is.
#[derive(Clone, Copy, Default)]
struct Name {
    address: Option<std::net::SocketAddr>,
    at: Moment,
    asking: bool,
}

enum Done {
    Resolved(Endpoint, Option<std::net::SocketAddr>),
    Asked(Life),
}

/// One life of an instance.
type Life = (InstanceId, Option<Incarnation>);

impl Homes {
    pub(super) fn new(
        set: Arc<SetShared>,
        clients: Arc<Clients>,
        placer: Placer,
        deferred: mpsc::Sender<DeferredWrite>,
        workers: usize,
    ) -> Homes {
        let limits = ClientLimits { body_bytes: ANSWER_BYTES, idle_per_target: 1, ..ClientLimits::default() };
        Homes {
            set,
            clients,
            placer,
            deferred,
            workers,
            client: Client::new(limits),
            settings: None,
            shown: None,
            homes: Vec::new(),
            names: BTreeMap::new(),
            work: JoinSet::new(),
            asking: BTreeSet::new(),
            ticked: false,
            round: 0,
        }
    }

    /// The books changed, perhaps in something that does not matter here.
    pub(super) fn books(&mut self, books: &Snapshot) {
        if let Some(SetSettings::Sticky(settings)) = &books.settings
            && self.settings.as_ref().is_none_or(|known| **known != **settings)
        {
            self.settings = Some(Arc::new((**settings).clone()));
        }
        let Some(settings) = self.settings.clone() else { return };
        let homes = books.instances.iter().filter_map(|(id, seen)| facts(id, seen)).collect();
        let shown = Shown { settings, tick: books.tick, in_trouble: books.trouble.is_some(), homes };
        if self.shown.as_ref() == Some(&shown) {
            return;
        }
        self.ticked |= self.shown.as_ref().is_none_or(|former| former.tick != shown.tick);
        self.shown = Some(shown);
        self.show(books.contact);
    }

    /// Makes the view and shows it.
    fn show(&mut self, contact: Option<Moment>) {
        let Some(shown) = self.shown.clone() else { return };
        let mut homes = vec![None; self.homes.len()];
        for facts in &shown.homes {
            let Some(number) = self.clients.home(&facts.instance).and_then(|number| usize::try_from(number).ok())
            else {
                continue;
            };
            if homes.len() <= number {
                homes.resize(number + 1, None);
            }
            let addresses = self.addresses(facts);
            let known = self.homes.get(number).and_then(Option::as_ref);
            homes[number] = Some(match known {
                Some(known) if known.facts == *facts && known.target.addresses == addresses => known.clone(),
                known => Arc::new(self.home(facts, addresses, known.map(AsRef::as_ref))),
            });
        }
        self.homes = homes;
        let (settings, tick) = (shown.settings, shown.tick);
        let due = tick.after(Some(settings.idle_after));
        self.clients.set_due(due);
        self.round += 1;
        self.set.show(Some(View {
            tick,
            round: self.round,
            due,
            due_on_its_way: tick.after(Some(settings.claim_within)),
            settings,
            homes: self.homes.clone().into(),
            clients: self.clients.clone(),
            placer: self.placer.clone(),
            deferred: self.deferred.clone(),
            trouble: shown.in_trouble.then_some(contact),
        }));
    }

    fn home(&self, facts: &Facts, addresses: Addresses, known: Option<&Home>) -> Home {
        let endpoint = |name| facts.endpoints.iter().find(|(known, _)| known == name).map(|(_, at)| at);
        let direct = self.set.endpoints.iter().map(|name| endpoint(name).and_then(Direct::new)).collect();
        // The same life at the same addresses: connections to it go on, and doubts of it.
        let same =
            |target: &&Arc<Target>| target.incarnation == Some(facts.incarnation) && target.addresses == addresses;
        let target = known.map(|known| &known.target).filter(same).cloned().unwrap_or_else(|| {
            let (id, life) = (facts.instance.clone(), Some(facts.incarnation));
            let target = Target::new(id, life, None, addresses.clone(), Duration::ZERO, self.workers);
            target.vouch(clock::now(), Moment::MAX);
            Arc::new(target)
        });
        Home { target, lost: facts.lost, direct, facts: facts.clone() }
    }

    /// Where the endpoints of the routes are. Names are looked up aside; until then there is no address.
    fn addresses(&mut self, facts: &Facts) -> Addresses {
        let mut found = Vec::with_capacity(self.set.endpoints.len());
        for name in &self.set.endpoints {
            let endpoint = facts.endpoints.iter().find(|(known, at)| known == name && at.scheme() == "http");
            found.push(match endpoint.map(|(_, at)| at) {
                None => None,
                Some(at) => match at.host() {
                    steadfast_core::Host::Ip(ip) => Some((*ip, at.port()).into()),
                    steadfast_core::Host::Name(_) => resolved(&mut self.names, &mut self.work, at),
                },
            });
        }
        found.into()
    }

    /// A worker could not reach some home.
    pub(super) fn alarm(&mut self) {
        for home in self.homes.iter().flatten() {
            if begins_question(&mut self.asking, &home.target) {
                let question = Question {
                    client: self.client.clone(),
                    set: self.set.clone(),
                    facts: home.facts.clone(),
                    target: Arc::downgrade(&home.target),
                };
                self.work.spawn(question.ask());
            }
        }
    }

    /// Returns when something was found out. Cancel safe.
    pub(super) async fn settled(&mut self) {
        match self.work.join_next().await {
            Some(Ok(Done::Resolved(endpoint, address))) => {
                let name = self.names.entry(endpoint).or_default();
                let changed = address.is_some() && name.address != address;
                *name = Name { address: address.or(name.address), at: clock::now(), asking: false };
                if changed {
                    let contact = self.set.view().and_then(|view| view.trouble.flatten());
                    self.show(contact);
                }
            }
            Some(Ok(Done::Asked(life))) => {
                self.asking.remove(&life);
                // Doubts that came while the question was under way.
                self.alarm();
            }
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    /// The view, if the set's time has passed since the last time.
    pub(super) fn take_tick(&mut self) -> Option<Arc<View>> {
        if !std::mem::take(&mut self.ticked) {
            return None;
        }
        let used: BTreeSet<&Endpoint> =
            self.homes.iter().flatten().flat_map(|home| home.facts.endpoints.iter().map(|(_, at)| at)).collect();
        self.names.retain(|endpoint, _| used.contains(endpoint));
        self.set.view()
    }
}

impl Drop for Homes {
    /// Nobody watches over these homes any more: what goes on at them ends, as at the target of a single set.
    fn drop(&mut self) {
        self.homes.iter().flatten().for_each(|home| home.target.end());
    }
}

/// Whether a target is doubted, and nobody is finding out about it. While somebody is, the doubt stands until the end of
/// that question: it may have been put before the doubt arose, and then it does not settle it.
fn begins_question(asking: &mut BTreeSet<Life>, target: &Target) -> bool {
    let life = (target.instance.clone(), target.incarnation);
    !asking.contains(&life) && target.take_doubt() && asking.insert(life)
}

/// What matters here of an instance in the books.
fn facts(id: &InstanceId, seen: &InstanceSeen) -> Option<Facts> {
    let description = seen.description.as_ref()?;
    Some(Facts {
        instance: id.clone(),
        incarnation: description.incarnation,
        endpoints: description.endpoints.iter().map(|(name, at)| (name.0.clone(), at.0.clone())).collect(),
        probe: description.probe.0.clone(),
        lost: seen.ledger.as_ref().is_none_or(|ledger| ledger.state.is_lost()),
    })
}

/// What is known of a name, which is looked up again where that is old.
fn resolved(
    names: &mut BTreeMap<Endpoint, Name>,
    work: &mut JoinSet<Done>,
    endpoint: &Endpoint,
) -> Option<std::net::SocketAddr> {
    let name = names.entry(endpoint.clone()).or_default();
    if !name.asking && (name.address.is_none() || clock::now().since(name.at) > RESOLVED_FOR) {
        name.asking = true;
        let endpoint = endpoint.clone();
        work.spawn(async move {
            let found = net::resolve(endpoint.host(), endpoint.port(), WITHIN).await;
            if let Err(error) = &found {
                tracing::warn!(%endpoint, %error, "an endpoint cannot be resolved");
            }
            let address = found.ok().and_then(|found| found.first().copied());
            Done::Resolved(endpoint, address)
        });
    }
    name.address
}

/// Whether the one at an address is the one the books have there.
struct Question {
    client: Client,
    set: Arc<SetShared>,
    facts: Facts,
    target: Weak<Target>,
}

impl Question {
    /// Asks until it is, or is not in the books any more.
    async fn ask(self) -> Done {
        let Facts { instance, incarnation, probe, .. } = &self.facts;
        while self.target.strong_count() > 0 {
            let asked = clock::now();
            let reply = self.client.call(&Server::from(probe), Call::get("/"), WITHIN).await;
            let answer = reply.ok().and_then(|reply| serde_json::from_slice::<ProbeAnswer>(&reply.body).ok());
            if answer.is_some_and(|answer| answer.is_of(&self.set.name, instance, *incarnation)) {
                if let Some(target) = self.target.upgrade() {
                    target.vouch(asked, Moment::MAX);
                    self.set.ring();
                }
                break;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Done::Asked((self.facts.instance, Some(self.facts.incarnation)))
    }
}

#[cfg(test)]
mod tests;
