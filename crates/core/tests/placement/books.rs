//! Books that follow what is decided, and anything that can be asked of them.

use std::collections::BTreeMap;

use steadfast_core::client::{ClientKey, LabelName, Labels, Source, Sources};
use steadfast_core::placement::{
    Ask, Books, Decision, Ledger, LedgerState, Member, Members, Placement, Reason, Refusal, Tick, Wish, decide,
};
use steadfast_core::settings::{
    HomeFull, OnHomeLost, Policy, Presence, ReturnHome, Sticky, StickySettings, WeightRule,
};
use steadfast_core::{Incarnation, InstanceId, Span, Weight};

use crate::random::Random;

#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) settings: StickySettings,
    pub(crate) tick: Tick,
    pub(crate) members: Members,
    pub(crate) clients: BTreeMap<ClientKey, Placement>,
}

pub(crate) fn id(name: &str) -> InstanceId {
    name.parse().expect("an id")
}

pub(crate) fn key(index: usize) -> ClientKey {
    ClientKey::new(format!("cam-{index}").as_bytes()).expect("a key")
}

pub(crate) fn milli(milli: u64) -> Weight {
    Weight::from_milli(milli).expect("a weight")
}

fn source(name: &str) -> Sources {
    Sources(vec![Source::Query(name.into())])
}

fn label(name: &str) -> LabelName {
    name.parse().expect("a label")
}

/// What some clients want, and some instances have.
pub(crate) fn any_labels(random: &mut Random) -> Labels {
    let mut labels = Labels::new();
    if random.percent(20) {
        labels.insert(label("region"), random.pick(&["eu", "us"]).into());
    }
    if random.percent(40) {
        labels.insert(label("zone"), random.pick(&["1", "2"]).into());
    }
    labels
}

fn member(capacity: u64) -> Member {
    let ledger = Ledger {
        incarnation: Incarnation(1),
        state: LedgerState::Open,
        capacity: milli(capacity),
        charged_milli: 0,
        clients: 0,
        lost_at: None,
        move_at: None,
    };
    Member { ledger, labels: Labels::new(), load_milli: None, suspended: false }
}

impl Case {
    /// Instances of these capacities, in thousandths, and the defaults.
    pub(crate) fn plain(capacities: &[u64], policy: Policy) -> Case {
        let rules = Sticky { client: source("camera"), policy, ..Sticky::default() };
        let members =
            capacities.iter().enumerate().map(|(index, capacity)| (id(&format!("i{index}")), member(*capacity)));
        Case {
            settings: StickySettings::new(rules).expect("settings"),
            tick: Tick(10),
            members: members.collect(),
            clients: BTreeMap::new(),
        }
    }

    /// Any set.
    pub(crate) fn any(random: &mut Random) -> Case {
        let unit = random.pick(&[10, 1_000, 1_000_000]);
        let capacities: Vec<u64> = (0..random.between(1, 6)).map(|_| random.between(1, 20) * unit).collect();
        let mut case = Case::plain(&capacities, Policy::Spread);
        let require = random.percent(30);
        let prefer = random.percent(50);
        let rules = Sticky {
            client: source("camera"),
            weight: WeightRule::Said(source("mbps")),
            weight_default: milli(unit),
            policy: random.pick(&[Policy::Spread, Policy::Pack, Policy::TwoChoice]),
            admit_below_milli: random.pick(&[1_000, 1_000, 800, 333]),
            presence: random.pick(&[Presence::Request, Presence::Connection, Presence::Report]),
            claim_within: Span::from_millis(random.pick(&[5_000, 20_000])),
            idle_after: Span::from_millis(random.pick(&[5_000, 40_000])),
            forget_after: Some(Span::from_millis(60_000)),
            home_wait: Span::from_millis(random.pick(&[0, 0, 10_000])),
            on_home_lost: random.pick(&[OnHomeLost::Move, OnHomeLost::Move, OnHomeLost::Fail]),
            return_home: random.pick(&[ReturnHome::Never, ReturnHome::WhenIdle, ReturnHome::Always]),
            home_full: random.pick(&[HomeFull::Move, HomeFull::Refuse, HomeFull::Overflow]),
            require: require.then(|| (label("region"), source("region"))).into_iter().collect(),
            prefer: prefer.then(|| (label("zone"), source("zone"))).into_iter().collect(),
            evict: random.percent(30).then(|| "http://127.0.0.1:1/leave/{client}".into()),
            ..Sticky::default()
        };
        case.settings = StickySettings::new(rules).expect("settings");
        for member in case.members.values_mut() {
            member.labels = any_labels(random);
        }
        case
    }

    pub(crate) fn books(&self) -> Books<'_> {
        Books { settings: &self.settings, tick: self.tick, members: &self.members }
    }

    pub(crate) fn client(&self, index: usize) -> &Placement {
        &self.clients[&key(index)]
    }

    /// How far new clients fill this instance, in thousandths.
    pub(crate) fn limit(&self, instance: &InstanceId) -> u64 {
        self.members[instance].ledger.capacity.as_milli() * u64::from(self.settings.admit_below_milli) / 1_000
    }

    /// Asks, and writes down what is decided.
    pub(crate) fn ask(&mut self, index: usize, wish: Wish) -> Result<Decision, Refusal> {
        let client = key(index);
        let ask = Ask { wish, by: "test".into(), at: "now".into() };
        let decision = decide(self.books(), &client, self.clients.get(&client), &ask)?;
        if let Decision::Write(change) = &decision {
            match &change.client {
                Some(record) => self.clients.insert(client, record.clone()),
                None => self.clients.remove(&client),
            };
            for (instance, ledger) in &change.ledgers {
                self.members.get_mut(instance).expect("a ledger that is there").ledger = ledger.clone();
            }
            assert!(change.absent.as_ref().is_none_or(|home| !self.members.contains_key(home)));
        }
        Ok(decision)
    }

    pub(crate) fn any_weight(&self, random: &mut Random) -> Weight {
        let largest = self.members.values().map(|member| member.ledger.capacity.as_milli()).max().unwrap_or(1).max(1);
        milli(match random.between(0, 9) {
            0 => random.between(1, largest * 2),
            1..4 => random.between(1, largest),
            _ => random.between(1, (largest / 5).max(1)),
        })
    }

    pub(crate) fn any_wish(&self, random: &mut Random) -> Wish {
        let names: Vec<&InstanceId> = self.members.keys().collect();
        let at = |random: &mut Random| match names.is_empty() {
            true => id("i0"),
            false => names[random.index(names.len())].clone(),
        };
        let weight = random.percent(60).then(|| self.any_weight(random));
        match random.between(0, 99) {
            0..40 => Wish::Arrive { weight, labels: any_labels(random), present: random.percent(50) },
            40..50 => Wish::Report { at: at(random), weight },
            50..55 => Wish::Served { at: at(random), weight },
            55..60 => Wish::Leave { at: at(random) },
            60..65 => Wish::Place { to: random.percent(50).then(|| at(random)), weight, labels: any_labels(random) },
            65..75 => Wish::Move {
                from: random.percent(50).then(|| at(random)),
                to: random.percent(50).then(|| at(random)),
                reason: random.pick(&[Reason::MovedByOperator, Reason::Drained]),
                certain_to_leave: random.percent(50),
            },
            75..95 => Wish::Expire,
            _ => Wish::Forget,
        }
    }

    /// Time passes, or an instance changes.
    pub(crate) fn something_happens(&mut self, random: &mut Random) {
        self.tick = Tick(self.tick.0 + random.between(0, 6));
        let names: Vec<InstanceId> = self.members.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = &names[random.index(names.len())];
        let tick = self.tick;
        let member = self.members.get_mut(name).expect("an instance");
        let ledger = &mut member.ledger;
        match random.between(0, 9) {
            0..4 => {
                ledger.state = random.pick(LedgerState::ALL);
                ledger.lost_at = ledger.state.is_lost().then_some(tick);
            }
            4..6 => (ledger.state, ledger.lost_at) = (LedgerState::Open, None),
            6 => ledger.capacity = milli(random.between(0, ledger.capacity.as_milli().max(10) * 2)),
            7 => member.load_milli = random.percent(50).then(|| random.between(0, ledger.capacity.as_milli() * 2)),
            8 => member.suspended = !member.suspended,
            // Taken out of the set for good.
            _ if random.percent(20) => _ = self.members.remove(name),
            _ => {}
        }
    }

    /// Keeps the phases of one client mixed.
    pub(crate) fn something_else(&mut self, random: &mut Random, index: usize) {
        if random.percent(30) {
            let wish = random.pick(&[1, 2, 3]);
            let wish = match wish {
                1 => Wish::Expire,
                2 => Wish::Forget,
                _ => self.any_wish(random),
            };
            // Whatever comes of it: the next step looks at the books, not at this answer.
            let _ = self.ask(index, wish);
        }
    }

    /// Every ledger is the sum of the records.
    pub(crate) fn check_sums(&self, seed: u64) {
        for (name, member) in &self.members {
            let home = || self.clients.values().filter(|client| client.home == *name);
            let charged: u64 = home().filter(|c| c.phase.is_charged()).map(|c| c.weight.as_milli()).sum();
            let (ledger, count) = (&member.ledger, home().count() as u64);
            assert_eq!((ledger.charged_milli, ledger.clients), (charged, count), "seed {seed}: {name}");
        }
    }
}
