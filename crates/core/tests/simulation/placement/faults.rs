//! What a run is like, and what goes wrong in it.

use steadfast_core::client::{Source, Sources};
use steadfast_core::placement::{Ledger, LedgerState, Reason, Wish};
use steadfast_core::settings::{
    HomeFull, OnHomeLost, Policy, Presence, ReturnHome, Sticky, StickySettings, WeightRule,
};
use steadfast_core::{Incarnation, Span, Weight};

use super::broken::Broken;
use super::store::{Change, Expect, Key, Record, Value, Write};
use super::world::{Event, World};
use crate::clock::{MS, True};
use crate::random::Random;
use crate::world::trace;

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) gateways: usize,
    pub(crate) instances: usize,
    pub(crate) keepers: usize,
    pub(crate) clients: usize,
    pub(crate) settings: StickySettings,
    pub(crate) calm_at: True,
    pub(crate) ends_at: True,
    heaviest: u64,
}

/// What somebody writes into a ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    /// An instance starts: a new incarnation.
    Register(u64),
    /// This incarnation stopped in good order.
    Gone(u64),
    /// This incarnation is given up.
    Lost(u64),
    Drain,
    Undrain,
    Capacity(u64),
}

/// The end of a fault.
#[derive(Clone, Copy)]
pub(crate) enum Mend {
    Store,
    Placer(usize),
    Instance(usize),
    Reach { gateway: usize, instance: usize },
}

impl Plan {
    pub(crate) fn new(random: &mut Random) -> Plan {
        let source = |name: &str| Sources(vec![Source::Query(name.into())]);
        let idle_after = Span::from_millis(random.pick(&[5_000, 10_000, 20_000]));
        let rules = Sticky {
            client: source("camera"),
            weight: WeightRule::Said(source("mbps")),
            policy: random.pick(&[Policy::Spread, Policy::Pack, Policy::TwoChoice]),
            presence: random.pick(&[Presence::Request, Presence::Connection, Presence::Report]),
            claim_within: Span::from_millis(5_000),
            idle_after,
            forget_after: Some(idle_after),
            home_wait: Span::from_millis(random.pick(&[0, 0, 5_000])),
            on_home_lost: random.pick(&[OnHomeLost::Move, OnHomeLost::Move, OnHomeLost::Fail]),
            return_home: random.pick(&[ReturnHome::Never, ReturnHome::WhenIdle, ReturnHome::Always]),
            home_full: random.pick(&[HomeFull::Move, HomeFull::Refuse, HomeFull::Overflow]),
            evict: random.percent(30).then(|| "http://127.0.0.1:1/leave/{client}".into()),
            ..Sticky::default()
        };
        let calm_at = random.between(15_000, 40_000) * MS;
        Plan {
            gateways: random.between(1, 3) as usize,
            instances: random.between(2, 5) as usize,
            keepers: random.between(1, 2) as usize,
            clients: random.between(3, 20) as usize,
            settings: StickySettings::new(rules).expect("settings"),
            calm_at,
            ends_at: calm_at + 12_000 * MS,
            heaviest: random.pick(&[2_000, 8_000, 20_000]),
        }
    }

    pub(crate) fn weight(&self, random: &mut Random) -> Weight {
        Weight::from_milli(random.between(1, 4) * self.heaviest / 4).expect("a weight")
    }
}

impl World {
    pub(crate) fn fault(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.between(200 * MS, 3_000 * MS);
        self.after(next, Event::Fault);
        let instance = self.random.index(self.instances.len());
        let gateway = self.random.index(self.plan.gateways);
        let lasts = self.random.between(100 * MS, 8_000 * MS);
        match self.random.between(0, 99) {
            0..8 => {
                trace!(self, "the store is away");
                self.store.up = false;
                self.after(lasts, Event::Mend(Mend::Store));
            }
            8..20 => {
                let placer = self.random.index(self.placers.len());
                trace!(self, "{placer} dies");
                self.placers[placer].alive = false;
                self.after(lasts / 2, Event::Mend(Mend::Placer(placer)));
            }
            20..35 => self.stop_instance(instance, lasts * 2),
            35..50 => {
                let edit = if self.instances[instance].drained { Edit::Undrain } else { Edit::Drain };
                self.drain(instance, gateway, edit);
            }
            50..60 => {
                let capacity = self.random.between(0, 40) * 1_000;
                self.instances[instance].capacity = capacity;
                self.edit(instance, Edit::Capacity(capacity));
            }
            60..75 => self.burst(),
            75..90 => self.order(gateway, instance),
            _ => {
                let id = self.instances[instance].id.clone();
                self.placers[gateway].suspended.insert(id);
                self.after(lasts, Event::Mend(Mend::Reach { gateway, instance }));
            }
        }
    }

    /// Many clients, each at every gateway at once.
    fn burst(&mut self) {
        for _ in 0..self.random.between(2, 8) {
            let client = self.random.index(self.clients.len());
            for gateway in 0..self.plan.gateways {
                self.arrives(gateway, client);
            }
        }
    }

    /// An operator wants something of a client.
    fn order(&mut self, gateway: usize, instance: usize) {
        let client = self.random.index(self.clients.len());
        let to = self.random.percent(50).then(|| self.instances[instance].id.clone());
        let weight = Some(self.plan.weight(&mut self.random));
        let wish = match self.random.between(0, 2) {
            0 => Wish::Move {
                from: None,
                to,
                reason: Reason::MovedByOperator,
                certain_to_leave: self.random.percent(50),
            },
            1 => Wish::Place { to, weight, labels: Default::default() },
            _ => Wish::Forget,
        };
        trace!(self, "an operator wants {wish:?} of {}", self.clients[client]);
        self.ask(gateway, client, wish);
    }

    pub(crate) fn start_instance(&mut self, index: usize) {
        let instance = &mut self.instances[index];
        instance.alive = true;
        instance.incarnation += 1;
        let edit = Edit::Register(instance.incarnation);
        self.edit(index, edit);
    }

    fn stop_instance(&mut self, index: usize, back_in: True) {
        if !self.instances[index].alive {
            return;
        }
        let (orderly, now) = (self.random.percent(40), self.now);
        let instance = &mut self.instances[index];
        (instance.alive, instance.silent_since) = (false, now);
        trace!(self, "{} stops", self.instances[index].id);
        if orderly {
            let edit = Edit::Gone(self.instances[index].incarnation);
            self.edit(index, edit);
        }
        self.after(back_in, Event::Mend(Mend::Instance(index)));
    }

    fn drain(&mut self, instance: usize, gateway: usize, edit: Edit) {
        match (self.broken, edit) {
            (Broken::DrainNotInTheLedger, Edit::Drain) => {
                let id = self.instances[instance].id.clone();
                self.placers[gateway].suspended.insert(id.clone());
                self.judge.drained.insert(id);
            }
            (Broken::DrainNotInTheLedger, _) => {}
            _ => self.edit(instance, edit),
        }
    }

    /// Reads the ledger, and sends what it becomes.
    pub(crate) fn edit(&mut self, index: usize, edit: Edit) {
        let instance = &self.instances[index];
        let key = Key::Ledger(instance.id.clone());
        let (expect, found) = match self.store.records.get(&key) {
            Some(Record { version, value: Value::Ledger(ledger, nonce) }) => {
                (Expect::Version(*version), Some((ledger.clone(), *nonce)))
            }
            _ => (Expect::Absent, None),
        };
        let new = Ledger {
            incarnation: Incarnation(0),
            state: LedgerState::Open,
            capacity: Weight::ZERO,
            charged_milli: 0,
            clients: 0,
            lost_at: None,
            move_at: None,
        };
        let (mut ledger, nonce) = found.unwrap_or((new, 0));
        let capacity = |milli| Weight::from_milli(milli).expect("a capacity");
        let tick = self.store.tick();
        match edit {
            Edit::Register(life) => {
                ledger.incarnation = Incarnation(life);
                ledger.capacity = capacity(instance.capacity);
                ledger.state = if instance.drained { LedgerState::Draining } else { LedgerState::Open };
                ledger.lost_at = None;
            }
            Edit::Gone(life) | Edit::Lost(life) if ledger.incarnation != Incarnation(life) => return,
            Edit::Gone(_) => (ledger.state, ledger.lost_at) = (LedgerState::Gone, Some(tick)),
            Edit::Lost(_) => (ledger.state, ledger.lost_at) = (LedgerState::Lost, Some(tick)),
            Edit::Drain if ledger.state != LedgerState::Open => return,
            Edit::Drain => {
                ledger.state = LedgerState::Draining;
                ledger.move_at = Some(tick.after(Some(Span::from_millis(5_000))));
            }
            Edit::Undrain if ledger.state != LedgerState::Draining => return,
            Edit::Undrain => (ledger.state, ledger.move_at) = (LedgerState::Open, None),
            Edit::Capacity(milli) => ledger.capacity = capacity(milli),
        }
        // A mark is of the very version that a batch wrote: it tells that batch's revision.
        let mark = if self.broken == Broken::MarkOutlivesItsVersion { nonce } else { 0 };
        let change = Change { key, expect, write: Write::Put(Value::Ledger(ledger, mark)) };
        let delay = self.random.between(MS, 40 * MS);
        self.after(delay, Event::Write { instance: index, edit, change });
    }

    pub(crate) fn write_ledger(&mut self, index: usize, edit: Edit, change: Change) {
        let committed = if self.store.up { self.store.commit(&[change]).ok() } else { None };
        let Some((_, touched)) = committed else {
            let again = self.random.between(10 * MS, 200 * MS);
            return self.after(again, Event::Edit { instance: index, edit });
        };
        trace!(self, "{}: {edit:?}", self.instances[index].id);
        let id = self.instances[index].id.clone();
        match edit {
            Edit::Drain => {
                self.instances[index].drained = true;
                self.judge.drained.insert(id);
            }
            Edit::Undrain => {
                self.instances[index].drained = false;
                self.judge.drained.remove(&id);
            }
            _ => {}
        }
        self.judge.committed(self.now, &self.store, &touched, &Default::default());
    }

    pub(crate) fn mend(&mut self, mend: Mend) {
        match mend {
            Mend::Store => self.store.up = true,
            Mend::Placer(placer) if !self.placers[placer].alive => self.start_placer(placer),
            Mend::Instance(index) if !self.instances[index].alive => self.start_instance(index),
            Mend::Reach { gateway, instance } => {
                let id = &self.instances[instance].id;
                self.placers[gateway].suspended.remove(id);
            }
            Mend::Placer(_) | Mend::Instance(_) => {}
        }
    }

    /// Nothing goes wrong any more, and nobody is drained.
    pub(crate) fn calm_down(&mut self) {
        trace!(self, "calm");
        self.calm = true;
        self.store.up = true;
        for placer in 0..self.placers.len() {
            self.placers[placer].suspended.clear();
            self.mend(Mend::Placer(placer));
        }
        for index in 0..self.instances.len() {
            self.mend(Mend::Instance(index));
            self.after(1_000 * MS, Event::Edit { instance: index, edit: Edit::Undrain });
        }
    }
}
