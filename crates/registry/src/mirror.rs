//! What a process knows of one set: a mirror that follows the store, and the snapshots it shows.
//!
//! A mirror may lag. It chooses what to try; whether it holds is decided by the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use steadfast_core::lease::{Observed, Timing};
use steadfast_core::placement::Tick;
use steadfast_core::settings::SetSettings;
use steadfast_core::{InstanceId, Moment, SetName};
use steadfast_store::{Key, LEASE, Record, Revision, Space, Store};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::follow::{Fact, Follow, News, Reading, UNHURRIED, Wanted};
use crate::instances::parse_id;
use crate::newer::NewerFields;
use crate::records::{ClockRecord, decode};
use crate::{
    Error, InstanceRecord, LedgerRecord, LedgerState, OrderRecord, Registry, SetRecord, Stored, TurnRecord, keys,
    leases,
};

/// Facts on their way from the followers to the mirror.
const FACTS_WAITING: usize = 64;

/// What a mirror holds of a set's space. Its clients may be millions, and are followed apart; its events are read.
const MIRRORED: [&str; 6] = [keys::LEASES, keys::INSTANCES, keys::LEDGERS, keys::ORDERS, keys::CLOCK, keys::TURN];

/// Follows one set until it is dropped.
#[derive(Debug)]
pub struct Mirror {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What was known of a set at one time. Immutable.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which set.
    pub set: SetName,
    /// Both parts of the books were read at least once.
    pub complete: bool,
    /// Grows when the store turned out to hold another history: whatever was concluded before is worth nothing.
    pub history: u64,
    /// When the store was last heard from.
    pub contact: Option<Moment>,
    /// Why it is not being heard, if it is not.
    pub trouble: Option<String>,
    /// The set's settings, if the store knows it.
    pub settings: Option<SetSettings>,
    /// The lease, if there is one.
    pub lease: Option<LeaseSeen>,
    /// The instances, by id.
    pub instances: BTreeMap<InstanceId, InstanceSeen>,
    /// The set's own time (sticky sets).
    pub tick: Tick,
    /// The version of the record that says so; `None`: there is none, and time has not begun.
    pub tick_version: Option<Revision>,
    /// When that tick reached this process: nobody keeps the set if it was long ago.
    pub ticked: Option<Moment>,
    /// The last switchover ordered; void unless its epoch is the lease's.
    pub switchover: Option<OrderRecord>,
    /// The last turn that a placer asked for (sticky sets).
    pub turn: Option<Stored<TurnRecord>>,
    /// Records that cannot be used, and why, by key.
    pub unusable: BTreeMap<String, Error>,
}

/// The lease as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSeen {
    /// When this version first reached this process.
    pub received: Moment,
    /// The record and its version.
    pub observed: Observed,
}

/// An instance as it was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceSeen {
    /// Where it is.
    pub description: Option<InstanceRecord>,
    /// Whether it takes part.
    pub ledger: Option<LedgerRecord>,
    /// The ledger's version: what the next write of it believes.
    pub ledger_version: Revision,
}

impl InstanceSeen {
    /// Whether it takes part: it is open, and by the same life that described itself.
    pub fn is_open(&self) -> bool {
        let same_life =
            |ledger: &LedgerRecord| self.description.as_ref().is_some_and(|d| d.incarnation == ledger.incarnation);
        self.ledger.as_ref().is_some_and(|ledger| ledger.state == LedgerState::Open && same_life(ledger))
    }
}

impl Snapshot {
    /// Of `set`, before anything was read.
    pub fn blank(set: SetName) -> Snapshot {
        Snapshot {
            set,
            complete: false,
            history: 0,
            contact: None,
            trouble: None,
            settings: None,
            lease: None,
            instances: BTreeMap::new(),
            tick: Tick::default(),
            tick_version: None,
            ticked: None,
            switchover: None,
            turn: None,
            unusable: BTreeMap::new(),
        }
    }

    /// One look at the books, as a mirror would show them.
    pub(crate) async fn read(registry: &Registry, set: &SetName) -> Result<Snapshot, Error> {
        let (mut state, wanted) = State::new(registry, set);
        for (part, space, prefixes) in parts(set) {
            let (store, wanted) = (registry.store.clone(), wanted.clone());
            let follow = Follow { store, space, prefixes, reading: Reading::Records, wanted };
            let (_, records) = follow.scan().await?;
            state.replace(part, records, false, steadfast_host::clock::now());
        }
        Ok(state.snapshot)
    }
}

/// Where each part of a set's books lies.
fn parts(set: &SetName) -> [(Part, Space, Vec<Vec<u8>>); 2] {
    let mirrored = MIRRORED.iter().map(|prefix| prefix.as_bytes().to_vec()).collect();
    [(Part::Catalog, keys::catalog(), vec![keys::set(set).name]), (Part::Set, keys::space(set), mirrored)]
}

impl Mirror {
    /// Starts to follow `set`. Must be called inside a Tokio runtime, on which it then lives.
    pub fn follow(registry: &Registry, set: &SetName) -> Mirror {
        let (facts, incoming) = mpsc::channel(FACTS_WAITING);
        let mut tasks = Vec::new();
        let (state, of_set) = State::new(registry, set);
        for (part, space, prefixes) in parts(set) {
            let (sender, mut receiver) = mpsc::channel(FACTS_WAITING);
            let wanted = match part {
                Part::Catalog => Wanted::always(UNHURRIED),
                Part::Set => of_set.clone(),
            };
            let store = registry.store.clone();
            let follow = Follow { store, space, prefixes, reading: Reading::Records, wanted };
            tasks.push(tokio::spawn(follow.run(sender)));
            let facts = facts.clone();
            tasks.push(tokio::spawn(async move {
                while let Some(fact) = receiver.recv().await {
                    if facts.send((part, fact)).await.is_err() {
                        return;
                    }
                }
            }));
        }
        let (publish, snapshots) = watch::channel(Arc::new(state.snapshot.clone()));
        tasks.push(tokio::spawn(state.run(incoming, publish)));
        Mirror { snapshots, tasks }
    }

    /// What is known now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// A receiver that is told of every new snapshot.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Waits until both parts of the books were read once, or `within` has passed.
    pub async fn complete(&self, within: Duration) -> Option<Arc<Snapshot>> {
        let mut snapshots = self.snapshots.clone();
        let found = tokio::time::timeout(within, snapshots.wait_for(|s| s.complete)).await;
        found.ok()?.ok().map(|snapshot| snapshot.clone())
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Catalog,
    Set,
}

impl Part {
    const ALL: [Part; 2] = [Part::Catalog, Part::Set];
}

/// The mirror's own side: the versions of what it shows, so that nothing goes back in time.
struct State {
    snapshot: Snapshot,
    versions: BTreeMap<(Part, Vec<u8>), Revision>,
    /// Which parts were read at least once.
    heard: BTreeSet<Part>,
    /// Which parts cannot be heard, and why.
    troubles: BTreeMap<Part, String>,
    newer: Arc<NewerFields>,
    store: Arc<dyn Store>,
    /// Says how often the set's own space is to give a sign of life.
    wanted: watch::Sender<Duration>,
}

impl State {
    /// What is known of `set` before anything was read, and how often its own space is to give a sign of life.
    fn new(registry: &Registry, set: &SetName) -> (State, Wanted) {
        // Until its settings are read it may be any set.
        let (say, wanted) = Wanted::said(Timing::default().progress_every());
        let state = State {
            snapshot: Snapshot::blank(set.clone()),
            versions: BTreeMap::new(),
            heard: BTreeSet::new(),
            troubles: BTreeMap::new(),
            newer: registry.newer.clone(),
            store: registry.store.clone(),
            wanted: say,
        };
        (state, wanted)
    }

    async fn run(mut self, mut facts: mpsc::Receiver<(Part, Fact)>, publish: watch::Sender<Arc<Snapshot>>) {
        while let Some((part, fact)) = facts.recv().await {
            self.apply(part, fact);
            // A snapshot costs a copy: where many facts wait, they share one.
            for _ in 0..FACTS_WAITING {
                let Ok((part, fact)) = facts.try_recv() else { break };
                self.apply(part, fact);
            }
            publish.send_replace(Arc::new(self.snapshot.clone()));
        }
    }

    fn apply(&mut self, part: Part, fact: Fact) {
        match fact.news {
            News::Trouble(why) => {
                self.troubles.insert(part, why);
                self.snapshot.trouble = self.troubles.values().next_back().cloned();
                return;
            }
            News::Contact => {}
            News::All { records, other_history, .. } => self.replace(part, records, other_history, fact.at),
            News::Changed { revision, changes } => {
                for (name, record) in changes {
                    self.change(part, &name, record, revision, fact.at);
                }
            }
        }
        self.troubles.remove(&part);
        self.snapshot.trouble = self.troubles.values().next_back().cloned();
        // Only the set's own space speaks for the lease: hearing the catalog alone is not being in touch.
        if part == Part::Set {
            self.snapshot.contact = Some(fact.at);
        }
    }

    fn replace(&mut self, part: Part, records: Vec<(Vec<u8>, Record)>, other_history: bool, at: Moment) {
        if other_history && part == Part::Set {
            self.renounce();
        }
        let gone: Vec<Vec<u8>> =
            self.versions.keys().filter(|(p, _)| *p == part).map(|(_, name)| name.clone()).collect();
        for name in gone {
            if other_history || !records.iter().any(|(kept, _)| *kept == name) {
                self.show(part, &name, None, at);
                self.versions.remove(&(part, name));
            }
        }
        for (name, record) in records {
            let version = record.version;
            self.change(part, &name, Some(record), version, at);
        }
        self.heard.insert(part);
        self.snapshot.complete = self.heard.len() == Part::ALL.len();
    }

    /// What was known of the set is worth nothing.
    fn renounce(&mut self) {
        tracing::warn!(set = %self.snapshot.set, "the store holds another history: what was known of it is worth nothing");
        self.snapshot.history += 1;
        self.newer.forget(&self.snapshot.set);
    }

    /// A commit at `revision` left `record` under this name.
    fn change(&mut self, part: Part, name: &[u8], record: Option<Record>, revision: Revision, at: Moment) {
        let place = (part, name.to_vec());
        // A scan's later pages may be ahead of the watch that follows it: nothing goes back.
        let is_old = |seen: &&Revision| match &record {
            Some(record) => **seen >= record.version,
            None => **seen >= revision && !self.counts_for_itself(name),
        };
        if let Some(seen) = self.versions.get(&place).filter(is_old) {
            let is_back = record.as_ref().is_some_and(|record| record.version < *seen);
            if !is_back || !self.counts_for_itself(name) {
                return;
            }
            // No scan is ahead of a lease that is kept apart: it went back, and no log says so.
            self.renounce();
        }
        self.show(part, name, record.as_ref(), at);
        match record {
            Some(record) => self.versions.insert(place, record.version),
            None => self.versions.remove(&place),
        };
    }

    /// Whether the versions under this name are comparable with no commit's revision.
    fn counts_for_itself(&self, name: &[u8]) -> bool {
        name.starts_with(LEASE) && self.store.describe().leases_apart
    }

    fn show(&mut self, part: Part, name: &[u8], record: Option<&Record>, at: Moment) {
        let shown = String::from_utf8_lossy(name).into_owned();
        self.snapshot.unusable.remove(&shown);
        let result = match part {
            Part::Catalog => self.show_settings(name, record),
            Part::Set => self.show_member(&shown, record, at),
        };
        if let Err(error) = result {
            tracing::error!(set = %self.snapshot.set, %error, "a record cannot be used");
            self.snapshot.unusable.insert(shown, error);
        }
    }

    fn show_settings(&mut self, name: &[u8], record: Option<&Record>) -> Result<(), Error> {
        // The prefix `set/web` also finds `set/web-2`.
        if name == keys::set(&self.snapshot.set).name {
            let key = Key::new(keys::catalog(), name);
            let set = &self.snapshot.set;
            let (settings, result) = shown(record.map(|r| usable::<SetRecord>(&key, r)?.settings(set)));
            self.snapshot.settings = settings;
            self.adopt_pace();
            return result;
        }
        Ok(())
    }

    /// A candidate whose store is silent for as long as a renewal takes begins its watch anew; of a sticky set nothing
    /// hangs on the silence. Settings that cannot be used change nothing.
    fn adopt_pace(&self) {
        let wanted = match &self.snapshot.settings {
            Some(SetSettings::Single(single)) => single.timing().progress_every(),
            Some(SetSettings::Sticky(_)) => UNHURRIED,
            None => return,
        };
        self.wanted.send_if_modified(|said| std::mem::replace(said, wanted) != wanted);
    }

    fn show_member(&mut self, name: &str, record: Option<&Record>, at: Moment) -> Result<(), Error> {
        let key = Key::new(keys::space(&self.snapshot.set), name);
        if name.starts_with(keys::LEASES) {
            let (seen, result) = shown(record.map(|r| leases::observed(&key, r)));
            if let (Some((_, extras)), Some(record)) = (&seen, record) {
                self.newer.saw(&self.snapshot.set, record.version, extras.clone());
            }
            self.snapshot.lease = seen.map(|(observed, _)| LeaseSeen { received: at, observed });
            result
        } else if let Some(id) = name.strip_prefix(keys::INSTANCES) {
            let id = parse_id(id)?;
            let (description, result) = shown(record.map(|r| usable(&key, r)));
            self.snapshot.instances.entry(id.clone()).or_default().description = description;
            self.forget_empty(&id);
            result
        } else if let Some(id) = name.strip_prefix(keys::LEDGERS) {
            let id = parse_id(id)?;
            let (ledger, result) = shown(record.map(|r| usable(&key, r)));
            let seen = self.snapshot.instances.entry(id.clone()).or_default();
            seen.ledger = ledger;
            seen.ledger_version = record.map_or(Revision::default(), |record| record.version);
            self.forget_empty(&id);
            result
        } else if name == keys::CLOCK {
            let (clock, result) = shown(record.map(|r| usable::<ClockRecord>(&key, r)));
            self.snapshot.tick_version = record.map(|record| record.version);
            // Of one that cannot be used the last tick that was known stands: an earlier one would write expiries that
            // are over as soon as the clock is mended. Nothing is placed meanwhile.
            if result.is_ok() {
                self.snapshot.tick = clock.unwrap_or_default().tick();
                self.snapshot.ticked = Some(at);
            }
            result
        } else if name == keys::SWITCHOVER {
            let (order, result) = shown(record.map(|r| usable(&key, r)));
            self.snapshot.switchover = order;
            result
        } else if name == keys::TURN {
            let turn = record.map(|r| Ok(Stored { version: r.version, record: usable(&key, r)? }));
            let (turn, result) = shown(turn);
            self.snapshot.turn = turn;
            result
        } else {
            Ok(())
        }
    }

    fn forget_empty(&mut self, id: &InstanceId) {
        if self.snapshot.instances.get(id).is_some_and(|one| one.description.is_none() && one.ledger.is_none()) {
            self.snapshot.instances.remove(id);
        }
    }
}

fn usable<T: DeserializeOwned>(key: &Key, record: &Record) -> Result<T, Error> {
    decode(&format!("{key:?}"), &record.value)
}

/// What is shown of a record, and what is wrong with it: one that cannot be used shows nothing, not what it was.
fn shown<T>(found: Option<Result<T, Error>>) -> (Option<T>, Result<(), Error>) {
    match found.transpose() {
        Ok(value) => (value, Ok(())),
        Err(error) => (None, Err(error)),
    }
}
