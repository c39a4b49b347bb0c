//! One rule a test, each told through [`Set`]: a set whose books follow what was decided.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use super::*;
use crate::Incarnation;
use crate::client::{Labels, Source, Sources};
use crate::placement::{LedgerState, Members};
use crate::settings::{Sticky, WeightRule};

mod comings;
mod keeping;
mod orders;

/// The books of a set, followed.
struct Set {
    settings: StickySettings,
    tick: Tick,
    members: Members,
    known: Option<Placement>,
    notes: Vec<Note>,
}

fn id(name: &str) -> InstanceId {
    name.parse().expect("an id")
}

fn units(units: u64) -> Weight {
    Weight::from_milli(units * 1_000).expect("a weight")
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (name.parse().expect("a label"), (*value).to_string())).collect()
}

fn member(capacity: u64, charged: u64) -> Member {
    let ledger = Ledger {
        incarnation: Incarnation(1),
        state: LedgerState::Open,
        capacity: units(capacity),
        charged_milli: charged * 1_000,
        clients: charged,
        lost_at: None,
        move_at: None,
    };
    Member { ledger, labels: Labels::new(), load_milli: None, suspended: false }
}

fn source(name: &str) -> Sources {
    Sources(vec![Source::Query(name.into())])
}

fn arrive(weight: Option<u64>) -> Wish {
    Wish::Arrive { weight: weight.map(units), labels: Labels::new(), present: false }
}

fn seen(weight: Option<u64>) -> Wish {
    Wish::Arrive { weight: weight.map(units), labels: Labels::new(), present: true }
}

fn report(at: &str, weight: Option<u64>) -> Wish {
    Wish::Report { at: id(at), weight: weight.map(units) }
}

fn place(to: Option<&str>, weight: u64) -> Wish {
    Wish::Place { to: to.map(id), weight: Some(units(weight)), labels: Labels::new() }
}

fn shift(to: Option<&str>) -> Wish {
    Wish::Move { from: None, to: to.map(id), reason: Reason::MovedByOperator, certain_to_leave: false }
}

impl Set {
    /// A set of instances `(id, capacity, charged)`, with the defaults and `change`.
    fn new(instances: &[(&str, u64, u64)], change: impl FnOnce(&mut Sticky)) -> Set {
        let mut sticky =
            Sticky { client: source("camera"), weight: WeightRule::Said(source("mbps")), ..Sticky::default() };
        change(&mut sticky);
        let members = instances.iter().map(|(name, capacity, charged)| (id(name), member(*capacity, *charged)));
        Set {
            settings: StickySettings::new(sticky).expect("settings"),
            tick: Tick(100),
            members: members.collect(),
            known: None,
            notes: Vec::new(),
        }
    }

    fn at(&mut self, name: &str) -> &mut Member {
        self.members.get_mut(name).expect("an instance")
    }

    fn charged(&self, name: &str) -> u64 {
        self.members[name].ledger.charged_milli / 1_000
    }

    fn state(&mut self, name: &str, state: LedgerState) {
        let lost_at = state.is_lost().then_some(self.tick);
        let ledger = &mut self.at(name).ledger;
        (ledger.state, ledger.lost_at) = (state, lost_at);
    }

    fn client(&self) -> &Placement {
        self.known.as_ref().expect("a client")
    }

    fn ask(&mut self, wish: Wish) -> Result<Decision, Refusal> {
        let client = ClientKey::new(b"cam-7").expect("a key");
        let ask = Ask { wish, by: "somebody".into(), at: format!("at {}", self.tick) };
        let books = Books { settings: &self.settings, tick: self.tick, members: &self.members };
        let decision = decide(books, &client, self.known.as_ref(), &ask)?;
        if let Decision::Write(change) = &decision {
            self.known = change.client.clone();
            self.notes = change.notes.clone();
            for (instance, ledger) in &change.ledgers {
                self.members.get_mut(instance).expect("an instance").ledger = ledger.clone();
            }
        }
        Ok(decision)
    }

    /// Asks, and says in a word where the client is then.
    fn home(&mut self, wish: Wish) -> String {
        match self.ask(wish) {
            Ok(_) => self.known.as_ref().map_or("nowhere".into(), |client| client.home.to_string()),
            Err(refusal) => refusal.reason().into(),
        }
    }

    /// Asks, and the books need not change for that.
    #[track_caller]
    fn keeps(&mut self, wish: Wish) {
        assert_eq!(self.ask(wish), Ok(Decision::Keep));
    }
}
