//! True time, what happens next, and the ways between processes and the store.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use steadfast_core::InstanceId;
use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Placement, Reason, Refusal, Tick, Wish};
use steadfast_core::settings::Presence;

use super::broken::Broken;
use super::faults::{Edit, Mend, Plan};
use super::judge::{Judge, Violation, What};
use super::placer::{Answer, Flight, Pending, Placer, Purpose};
use super::store::{Change, Expect, Found, Key, Record, Store, Value, Write};
use crate::clock::{Clock, MS, True};
use crate::random::Random;
use crate::world::trace;

/// No answer came for so long: the outcome is unknown.
const GIVE_UP: True = 1_000 * MS;
/// Who asked waits so long.
const PATIENCE: True = 5_000 * MS;

#[derive(Clone)]
pub(crate) enum Event {
    /// A client's request reaches a gateway.
    Come {
        gateway: usize,
        client: usize,
    },
    /// A client is seen at its home, by the gateway that carries it or by its agent.
    Seen {
        gateway: usize,
        client: usize,
        home: InstanceId,
    },
    /// A process plans its next batch.
    Plan {
        placer: usize,
        life: u32,
    },
    /// A batch reaches the store.
    Commit {
        placer: usize,
        life: u32,
        nonce: u64,
        changes: Vec<Change>,
        purpose: Purpose,
    },
    /// Somebody looks for its mark in a ledger.
    Read {
        placer: usize,
        life: u32,
        nonce: u64,
        instance: InstanceId,
    },
    /// The store's answer.
    Settled {
        placer: usize,
        life: u32,
        nonce: u64,
        outcome: Outcome,
    },
    /// No answer came in time.
    GiveUp {
        placer: usize,
        life: u32,
        nonce: u64,
        read: bool,
    },
    /// A watch delivers.
    CatchUp {
        placer: usize,
        life: u32,
    },
    /// A keeper's round.
    Keep {
        placer: usize,
        life: u32,
    },
    /// A tick reaches the store.
    Tick {
        expect: u64,
        tick: Tick,
    },
    /// An agent, an operator or a keeper changes a ledger: reads it, and writes what it read.
    Edit {
        instance: usize,
        edit: Edit,
    },
    Write {
        instance: usize,
        edit: Edit,
        change: Change,
    },
    Fault,
    Mend(Mend),
    Calm,
    /// Everybody asks everybody for everybody.
    Census,
}

#[derive(Clone)]
pub(crate) enum Outcome {
    Committed(u64),
    Conflict(Found, u64),
    /// It did not happen.
    Unavailable,
    /// A ledger, and whether its nonce is the one that was looked for.
    Mark {
        version: u64,
        ours: bool,
    },
}

pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) alive: bool,
    pub(crate) incarnation: u64,
    pub(crate) capacity: u64,
    /// Since when nobody hears of it.
    pub(crate) silent_since: True,
    /// An operator drained it: that outlives its incarnation.
    pub(crate) drained: bool,
}

/// What a client was told: its home and owner epoch, or no.
type Told = Result<Option<(InstanceId, u64)>, Refusal>;

pub(crate) struct World {
    pub(crate) now: True,
    pub(crate) random: Random,
    pub(crate) plan: Plan,
    pub(crate) broken: Broken,
    pub(crate) store: Store,
    pub(crate) judge: Judge,
    /// Gateways first, then the agents of the instances, then keepers.
    pub(crate) placers: Vec<Placer>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) clients: Vec<ClientKey>,
    pub(crate) calm: bool,
    pub(crate) tracing: bool,
    /// What the gateways said at the end.
    census: Option<BTreeMap<(ClientKey, usize), Told>>,
    queue: BinaryHeap<Reverse<(True, usize)>>,
    /// What the queue's numbers stand for, and which of them are free.
    events: Vec<Option<Event>>,
    free: Vec<usize>,
}

impl World {
    pub(crate) fn new(seed: u64, broken: Broken, tracing: bool) -> World {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let instance = |index: usize, random: &mut Random| Instance {
            id: format!("rec-{index}").parse().expect("an id"),
            alive: false,
            incarnation: 0,
            capacity: random.between(4, 40) * 1_000,
            silent_since: 0,
            drained: false,
        };
        let instances: Vec<_> = (0..plan.instances).map(|index| instance(index, &mut random)).collect();
        let mut placers = Vec::new();
        for index in 0..plan.gateways + plan.instances + plan.keepers {
            placers.push(Placer::new(Clock::new(&mut random, 100), index >= plan.gateways + plan.instances));
        }
        let key = |index| ClientKey::new(format!("cam-{index}").as_bytes()).expect("a key");
        World {
            now: 0,
            clients: (0..plan.clients).map(key).collect(),
            store: Store::new(),
            judge: Judge::default(),
            calm: false,
            census: None,
            queue: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            random,
            plan,
            broken,
            placers,
            instances,
            tracing,
        }
    }

    /// Runs to the end or to the first violation. Says what brought clients to their homes.
    pub(crate) fn run(mut self) -> Result<BTreeSet<Reason>, Violation> {
        self.open();
        while let Some(Reverse((at, number))) = self.queue.pop() {
            if at > self.plan.ends_at {
                break;
            }
            self.now = at;
            self.free.push(number);
            if let Some(event) = self.events[number].take() {
                self.deliver(event);
            }
            if let Some(violation) = self.judge.found.take() {
                return Err(violation);
            }
        }
        self.check_census();
        self.judge.found.take().map_or(Ok(self.judge.reasons), Err)
    }

    fn open(&mut self) {
        trace!(self, "{:?}", self.plan);
        self.write_clock(Expect::Absent, Tick::default());
        for index in 0..self.instances.len() {
            self.start_instance(index);
        }
        for placer in 0..self.placers.len() {
            self.start_placer(placer);
        }
        let (first_fault, calm_at, census_at) = (2_000 * MS, self.plan.calm_at, self.plan.ends_at - 7_000 * MS);
        self.after(first_fault, Event::Fault);
        self.after(calm_at, Event::Calm);
        // Twice: whoever is over just then comes home the first time, and only the second is looked at.
        self.after(census_at, Event::Census);
        self.after(census_at + 2_000 * MS, Event::Census);
        self.after(0, Event::Come { gateway: 0, client: 0 });
    }

    pub(crate) fn after(&mut self, delay: True, event: Event) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[number] = Some(event);
        self.queue.push(Reverse((self.now + delay, number)));
    }

    /// How long a message travels; `None`: it is lost.
    fn travel(&mut self) -> Option<True> {
        if self.calm {
            return Some(self.random.between(MS, 5 * MS));
        }
        match self.random.between(0, 99) {
            0..3 => None,
            // Later than anybody waits.
            3..6 => Some(self.random.between(500 * MS, 4_000 * MS)),
            _ => Some(self.random.between(MS, 30 * MS)),
        }
    }

    fn send(&mut self, event: Event) {
        if let Some(delay) = self.travel() {
            self.after(delay, event);
        }
    }

    fn is_current(&self, placer: usize, life: u32) -> bool {
        self.placers[placer].alive && self.placers[placer].life == life
    }

    fn deliver(&mut self, event: Event) {
        match event {
            Event::Come { gateway, client } => self.come(gateway, client),
            Event::Seen { gateway, client, home } => self.seen(gateway, client, home),
            Event::Plan { placer, life } if self.is_current(placer, life) => self.plan_batch(placer),
            Event::Commit { placer, life, nonce, changes, purpose } => {
                self.serve(placer, life, nonce, &changes, &purpose);
            }
            Event::Read { placer, life, nonce, instance } if self.store.up => {
                let outcome = match self.store.records.get(&Key::Ledger(instance)) {
                    Some(Record { version, value: Value::Ledger(_, mark) }) => {
                        Outcome::Mark { version: *version, ours: *mark == nonce }
                    }
                    _ => Outcome::Mark { version: 0, ours: false },
                };
                self.send(Event::Settled { placer, life, nonce, outcome });
            }
            Event::Settled { placer, life, nonce, outcome } if self.in_flight(placer, life, nonce) => {
                self.settle(placer, outcome);
            }
            Event::GiveUp { placer, life, nonce, read } if self.in_flight(placer, life, nonce) => {
                self.give_up(placer, read);
            }
            Event::CatchUp { placer, life } if self.is_current(placer, life) => self.catch_up(placer),
            Event::Keep { placer, life } if self.is_current(placer, life) => self.keep(placer),
            Event::Tick { expect, tick } if self.store.up => self.write_clock(Expect::Version(expect), tick),
            Event::Edit { instance, edit } => self.edit(instance, edit),
            Event::Write { instance, edit, change } => self.write_ledger(instance, edit, change),
            Event::Fault => self.fault(),
            Event::Mend(mend) => self.mend(mend),
            Event::Calm => self.calm_down(),
            Event::Census => self.take_census(),
            // Of a former life, or into a store that is away.
            _ => {}
        }
    }

    fn in_flight(&self, placer: usize, life: u32, nonce: u64) -> bool {
        self.is_current(placer, life) && self.placers[placer].flight.as_ref().is_some_and(|f| f.nonce == nonce)
    }

    pub(crate) fn start_placer(&mut self, placer: usize) {
        self.placers[placer].restart();
        let life = self.placers[placer].life;
        self.after(0, Event::CatchUp { placer, life });
        if self.placers[placer].keeps {
            self.after(0, Event::Keep { placer, life });
        }
    }

    pub(crate) fn ask(&mut self, placer: usize, client: usize, wish: Wish) {
        let (client, until) = (self.clients[client].clone(), self.now + PATIENCE);
        if self.placers[placer].alive {
            self.placers[placer].queue.push_back(Pending { client, wish, until });
            self.plan_soon(placer, 5 * MS);
        }
    }

    fn plan_soon(&mut self, placer: usize, within: True) {
        let (delay, life) = (self.random.between(0, within), self.placers[placer].life);
        self.after(delay, Event::Plan { placer, life });
    }

    /// Others of the same client come with it, here and elsewhere.
    fn come(&mut self, gateway: usize, client: usize) {
        if self.census.is_none() {
            let (next, other) = (self.random.index(self.clients.len()), self.random.index(self.plan.gateways));
            let delay = self.random.between(20 * MS, 600 * MS);
            self.after(delay, Event::Come { gateway: other, client: next });
            if self.random.percent(20) {
                self.arrives(other, client);
            }
            if self.plan.settings.presence == Presence::Report && self.random.percent(5) {
                // It knows an address from elsewhere.
                let instance = self.random.index(self.instances.len());
                let home = self.instances[instance].id.clone();
                return self.seen(gateway, client, home);
            }
        }
        self.arrives(gateway, client);
    }

    pub(crate) fn arrives(&mut self, gateway: usize, client: usize) {
        if !self.placers[gateway].alive {
            return;
        }
        let weight = self.census.is_none() && self.random.percent(70);
        let weight = weight.then(|| self.plan.weight(&mut self.random));
        let wish = Wish::Arrive { weight, labels: Default::default(), present: false };
        let key = self.clients[client].clone();
        match self.placers[gateway].knows(&self.plan.settings, &key, &wish) {
            Some((version, known)) => self.told(gateway, &key, &wish, Ok(Some((version, known)))),
            None => self.ask(gateway, client, wish),
        }
    }

    fn seen(&mut self, gateway: usize, client: usize, home: InstanceId) {
        let Some(index) = self.instances.iter().position(|instance| instance.id == home && instance.alive) else {
            return;
        };
        let (placer, wish) = match (self.plan.settings.presence, self.random.percent(20)) {
            (Presence::Connection, true) => (gateway, Wish::Leave { at: home.clone() }),
            (Presence::Connection, false) => {
                (gateway, Wish::Arrive { weight: None, labels: Default::default(), present: true })
            }
            (_, true) => (self.plan.gateways + index, Wish::Leave { at: home.clone() }),
            (_, false) => (self.plan.gateways + index, Wish::Report { at: home.clone(), weight: None }),
        };
        self.ask(placer, client, wish);
        if self.census.is_none() && self.random.percent(60) {
            let delay = self.random.between(500 * MS, 4_000 * MS);
            self.after(delay, Event::Seen { gateway, client, home });
        }
    }

    fn plan_batch(&mut self, index: usize) {
        let (nonce, now) = (self.random.next(), self.now);
        let wall = self.wall_tick(index);
        let placer = &mut self.placers[index];
        placer.queue.retain(|pending| now < pending.until);
        if placer.seen.is_none() || placer.flight.is_some() || placer.queue.is_empty() {
            return;
        }
        // Broken `ExpiryByWallClock`.
        let tick = if self.broken == Broken::ExpiryByWallClock && placer.keeps { wall } else { placer.time().1 };
        let flight = placer.plan(&self.plan.settings, tick, nonce, self.broken);
        trace!(self, "{index} commits {:?}", flight.asks);
        self.launch(index, flight);
    }

    fn launch(&mut self, placer: usize, flight: Flight) {
        let (nonce, life) = (flight.nonce, self.placers[placer].life);
        let (mut changes, purpose) = (flight.changes.clone(), flight.purpose.clone());
        self.placers[placer].flight = Some(flight);
        if self.broken == Broken::ChargeInASecondCommit {
            let is_charge = |change: &Change| matches!((&change.key, &change.write), (Key::Ledger(_), Write::Put(_)));
            let charges = changes.extract_if(.., |change| is_charge(change)).collect();
            let later = Event::Commit { placer, life: u32::MAX, nonce, changes: charges, purpose: purpose.clone() };
            self.after(60 * MS, later);
        }
        self.send(Event::Commit { placer, life, nonce, changes, purpose });
        self.after(GIVE_UP, Event::GiveUp { placer, life, nonce, read: false });
    }

    fn serve(&mut self, placer: usize, life: u32, nonce: u64, changes: &[Change], purpose: &Purpose) {
        let outcome = if !self.store.up {
            if self.random.percent(50) {
                return;
            }
            Outcome::Unavailable
        } else {
            match self.store.commit(changes) {
                Ok((revision, touched)) => {
                    self.judge.committed(self.now, &self.store, &touched, purpose);
                    Outcome::Committed(revision)
                }
                Err(shown) => Outcome::Conflict(shown, self.store.revision()),
            }
        };
        self.send(Event::Settled { placer, life, nonce, outcome });
    }

    fn settle(&mut self, index: usize, outcome: Outcome) {
        let Some(mut flight) = self.placers[index].flight.take() else { return };
        match outcome {
            Outcome::Committed(version) | Outcome::Mark { version, ours: true } => {
                return self.committed(index, flight, version);
            }
            Outcome::Conflict(shown, _) if self.broken == Broken::MirrorAfterConflict => {
                for (key, record) in shown {
                    let expect = record.map_or(Expect::Absent, |record| Expect::Version(record.version));
                    for change in flight.changes.iter_mut().filter(|change| change.key == key) {
                        change.expect = expect;
                    }
                }
                flight.nonce = self.random.next();
                return self.launch(index, flight);
            }
            Outcome::Conflict(shown, head) => {
                trace!(self, "{index} lost to others");
                self.placers[index].learn(shown, head);
                self.placers[index].ask_again(flight);
            }
            Outcome::Mark { .. } => self.placers[index].ask_again(flight),
            // Everybody is told so.
            Outcome::Unavailable => {}
        }
        self.plan_soon(index, 30 * MS);
    }

    /// The outcome is unknown: one read tells, if nobody wrote since. Otherwise the same is believed as before: no
    /// version is ever reused, so of two batches that believe the same of a record one at most happens.
    fn give_up(&mut self, index: usize, read: bool) {
        let life = self.placers[index].life;
        let Some(mut flight) = self.placers[index].flight.take() else { return };
        let nonce = flight.nonce;
        match (self.broken, flight.marks()) {
            (Broken::UnknownTakenForDone, Some(instance)) => {
                let mark = |record: &&Record| matches!(record.value, Value::Ledger(_, mark) if mark == nonce);
                let version = self.store.records.get(&Key::Ledger(instance)).filter(mark);
                let version = version.map_or(0, |record| record.version);
                return self.committed(index, flight, version);
            }
            (Broken::UnknownTakenForFailed, _) => {
                for change in &mut flight.changes {
                    change.expect = Expect::Whatever;
                }
                flight.nonce = self.random.next();
                return self.launch(index, flight);
            }
            (_, Some(instance)) if !read => {
                self.placers[index].flight = Some(flight);
                self.send(Event::Read { placer: index, life, nonce, instance });
                self.after(GIVE_UP, Event::GiveUp { placer: index, life, nonce, read: true });
                return;
            }
            _ => self.placers[index].ask_again(flight),
        }
        self.plan_soon(index, 30 * MS);
    }

    fn committed(&mut self, index: usize, flight: Flight, version: u64) {
        for Answer { pending, said } in self.placers[index].committed(flight, version) {
            self.told(index, &pending.client, &pending.wish, said);
        }
        self.plan_soon(index, MS);
    }

    fn told(
        &mut self,
        placer: usize,
        client: &ClientKey,
        wish: &Wish,
        said: Result<Option<(u64, Placement)>, Refusal>,
    ) {
        if let Ok(Some((version, placement))) = &said {
            self.judge.answered(self.now, client, *version, placement);
            let arrived = matches!(wish, Wish::Arrive { present: false, .. });
            if arrived && self.plan.settings.presence != Presence::Request && self.random.percent(70) {
                let delay = self.random.between(MS, 2_000 * MS);
                let index = self.clients.iter().position(|known| known == client).unwrap_or_default();
                self.after(delay, Event::Seen { gateway: placer, client: index, home: placement.home.clone() });
            }
        }
        if let Some(census) = &mut self.census {
            let told = said.map(|said| said.map(|(_, placement)| (placement.home, placement.owner_epoch.0)));
            census.insert((client.clone(), placer), told);
        }
    }

    fn catch_up(&mut self, placer: usize) {
        let life = self.placers[placer].life;
        if self.store.up {
            let (head, now) = (self.store.revision(), self.now);
            let seen = self.placers[placer].seen.unwrap_or(head);
            let upto = if self.calm { head } else { self.random.between(seen, head) };
            let first = self.placers[placer].seen.is_none();
            self.placers[placer].follow(&self.store, upto, now);
            if first {
                self.plan_soon(placer, MS);
            }
        }
        let delay = match self.random.between(0, 99) {
            0..3 if !self.calm => self.random.between(500 * MS, 4_000 * MS),
            _ => self.random.between(10 * MS, 500 * MS),
        };
        self.after(delay, Event::CatchUp { placer, life });
    }

    fn take_census(&mut self) {
        self.census = Some(BTreeMap::new());
        for gateway in 0..self.plan.gateways {
            for client in 0..self.clients.len() {
                self.arrives(gateway, client);
            }
        }
    }

    /// Long after the last fault every gateway answers every client, and all alike.
    fn check_census(&mut self) {
        let census = self.census.take().unwrap_or_default();
        for client in self.clients.clone() {
            let told: Vec<_> = (0..self.plan.gateways).map(|gateway| census.get(&(client.clone(), gateway))).collect();
            let homes: BTreeSet<_> = told.iter().flatten().filter_map(|told| told.as_ref().ok()).collect();
            if told.contains(&None) || homes.len() > 1 {
                self.judge.find(self.now, What::Liveness, format!("of {client} the gateways say {told:?}"));
            }
        }
    }
}
