//! Decisions from books that anybody may have written: nothing in them needs to be true, or to fit together.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::client::{ClientKey, LabelName, Labels, Source, Sources};
use crate::placement::{
    Ask, Books, Change, Decision, Ledger, LedgerState, Member, Members, Note, Phase, Placement, Reason, Tick,
    Transition, Why, Wish, decide, explain,
};
use crate::settings::{HomeFull, OnHomeLost, Policy, Presence, ReturnHome, Sticky, StickySettings, WeightRule};
use crate::{Epoch, Incarnation, InstanceId, Span, Weight};

/// Bytes are settings, a tick, instances, a client's record and a wish. What is decided is a legal change, by double
/// entry, that raises nobody's charge above its capacity unless it says so.
pub fn placement(data: &[u8]) {
    let mut bytes = Bytes(data);
    let Some(settings) = bytes.settings() else { return };
    let tick = Tick(bytes.number());
    let members: Members = (0..bytes.byte() % 5).map(|index| (id(index), bytes.member())).collect();
    let books = Books { settings: &settings, tick, members: &members };
    let client = ClientKey::new(&[b'c', bytes.byte()]).expect("two bytes");
    let known = bytes.flag().then(|| bytes.placement());
    let wish = bytes.wish();
    if let Wish::Arrive { weight, labels, .. } = &wish {
        let why = explain(books, &client, known.as_ref(), *weight, labels);
        assert_eq!(why.candidates.len(), members.len());
    }
    let ask = Ask { wish, by: "fuzz".into(), at: "now".into() };
    if let Ok(Decision::Write(change)) = decide(books, &client, known.as_ref(), &ask) {
        check(&members, known.as_ref(), &change);
    }
}

fn check(members: &Members, before: Option<&Placement>, change: &Change) {
    let after = change.client.as_ref();
    assert!(Transition::of(before, after).is_some(), "illegal: {before:?} to {after:?}");
    assert!(change.ledgers.len() <= 2);
    if let Some(absent) = &change.absent {
        assert!(!members.contains_key(absent));
    }
    for (name, ledger) in &change.ledgers {
        let old = &members[name].ledger;
        let rest = Ledger { charged_milli: old.charged_milli, clients: old.clients, ..ledger.clone() };
        assert_eq!(rest, *old, "a client changes charge and count alone");
        let home = |client: Option<&Placement>| client.filter(|client| client.home == *name).cloned();
        let (leaves, comes) = (home(before), home(after));
        // Books that are wrong stop at the ends of what a number holds.
        let charge = |client: &Option<Placement>| {
            client.as_ref().filter(|client| client.phase.is_charged()).map_or(0, |client| client.weight.as_milli())
        };
        let charged = old.charged_milli.saturating_sub(charge(&leaves)).saturating_add(charge(&comes));
        let count = |client: &Option<Placement>| u64::from(client.is_some());
        let clients = old.clients.saturating_sub(count(&leaves)).saturating_add(count(&comes));
        assert_eq!((ledger.charged_milli, ledger.clients), (charged, clients), "double entry at {name}");
        let overflows = change.notes.iter().any(|note| matches!(note, Note::Overflow { home } if home == name));
        // A ledger that is charged less than its client weighs says nothing that could be kept to.
        let fits = ledger.charged_milli <= ledger.capacity.as_milli() || old.charged_milli < charge(&leaves);
        assert!(ledger.charged_milli <= old.charged_milli || fits || overflows, "above capacity at {name}: {ledger:?}");
    }
}

fn id(index: u8) -> InstanceId {
    format!("i{}", index % 6).parse().expect("an id")
}

fn label(name: &str) -> LabelName {
    name.parse().expect("a label's name")
}

/// What is left of the input; after its end, zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// Small numbers, round ones, and those near the ends of what a number holds.
    fn number(&mut self) -> u64 {
        let value = u64::from(self.byte());
        match self.byte() % 6 {
            0 => value,
            1 => value * 1_000,
            2 => value << 32,
            3 => u64::MAX - value,
            4 => Weight::MAX.as_milli() - value,
            _ => u64::from(self.byte()) << 8 | value,
        }
    }

    fn weight(&mut self) -> Weight {
        Weight::from_milli(self.number()).unwrap_or(Weight::MAX)
    }

    fn some<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.flag() { Some(make(self)) } else { None }
    }

    fn id(&mut self) -> InstanceId {
        id(self.byte())
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    fn labels(&mut self) -> Labels {
        let value = |byte: u8| String::from(char::from(b'a' + byte % 3));
        let mut labels = BTreeMap::new();
        if self.flag() {
            labels.insert(label("region"), value(self.byte()));
        }
        if self.flag() {
            labels.insert(label("zone"), value(self.byte()));
        }
        labels
    }

    fn settings(&mut self) -> Option<StickySettings> {
        let source = |name: &str| Sources(Vec::from([Source::Query(name.into())]));
        let span = |bytes: &mut Self| Span::from_millis(u64::from(bytes.byte()) * 1_000);
        let values = Sticky {
            client: source("client"),
            weight: WeightRule::Said(source("weight")),
            weight_default: self.weight(),
            weight_max: self.some(Self::weight),
            policy: self.pick(Policy::ALL),
            admit_below_milli: 1 + u32::from(self.byte()) * 999 / 255,
            presence: self.pick(Presence::ALL),
            claim_within: span(self),
            idle_after: span(self),
            forget_after: self.some(span),
            home_wait: span(self),
            on_home_lost: self.pick(OnHomeLost::ALL),
            return_home: self.pick(ReturnHome::ALL),
            home_full: self.pick(HomeFull::ALL),
            require: self.some(|_| (label("region"), source("region"))).into_iter().collect(),
            prefer: self.some(|_| (label("zone"), source("zone"))).into_iter().collect(),
            max_clients: self.number(),
            evict: self.some(|_| "http://h/{client}".into()),
            ..Sticky::default()
        };
        StickySettings::new(values).ok()
    }

    fn member(&mut self) -> Member {
        let ledger = Ledger {
            incarnation: Incarnation(self.number()),
            state: self.pick(LedgerState::ALL),
            capacity: self.weight(),
            charged_milli: self.number(),
            clients: self.number(),
            lost_at: self.some(Self::number).map(Tick),
            move_at: self.some(Self::number).map(Tick),
        };
        Member { ledger, labels: self.labels(), load_milli: self.some(Self::number), suspended: self.flag() }
    }

    fn placement(&mut self) -> Placement {
        Placement {
            home: self.id(),
            owner_epoch: Epoch(self.number()),
            weight: self.weight(),
            declared: self.weight(),
            phase: self.pick(&[Phase::Reserved, Phase::Active, Phase::Idle]),
            until: Tick(self.number()),
            labels: self.labels(),
            return_to: self.some(Self::id),
            why: Why {
                reason: self.pick(Reason::ALL),
                since: "then".into(),
                from: self.some(Self::id),
                by: "somebody".into(),
            },
        }
    }

    fn wish(&mut self) -> Wish {
        match self.byte() % 8 {
            0 => Wish::Arrive { weight: self.some(Self::weight), labels: self.labels(), present: self.flag() },
            1 => Wish::Report { at: self.id(), weight: self.some(Self::weight) },
            2 => Wish::Served { at: self.id(), weight: self.some(Self::weight) },
            3 => Wish::Leave { at: self.id() },
            4 => Wish::Place { to: self.some(Self::id), weight: self.some(Self::weight), labels: self.labels() },
            5 => Wish::Move {
                from: self.some(Self::id),
                to: self.some(Self::id),
                reason: self.pick(Reason::ALL),
                certain_to_leave: self.flag(),
            },
            6 => Wish::Expire,
            _ => Wish::Forget,
        }
    }
}
