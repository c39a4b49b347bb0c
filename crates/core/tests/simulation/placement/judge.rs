//! What must never be seen: invariants 3 and 4, what was promised of time and of drains, and answers that are not true.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Phase, Placement, Reason, TICK, Tick, Transition};
use steadfast_core::{Epoch, InstanceId};

use super::placer::Purpose;
use super::store::{Key, Record, Store, Touched, Value};
use crate::clock::{MS, True};

/// Which promise was broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// One home a client, one answer an owner epoch, and none that was not committed.
    OneHome,
    /// Charges above the capacity, or ledgers that are not the sum of the records.
    Books,
    /// A charge ended before its tick, or a tick was shorter than it says.
    Time,
    /// A client came to an instance that is drained.
    Drain,
    /// Somebody was refused though there was room.
    Refusal,
    /// Long after the last fault something is still wrong.
    Liveness,
}

#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) at: True,
    pub(crate) what: What,
    pub(crate) text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {:.6} s: {}", self.what, self.at as f64 / 1e9, self.text)
    }
}

/// Whoever comes is charged for so many ticks from then on, by every plan: five seconds in whole ticks, and one for that
/// which is nearly over.
const SHORTEST_TICKS: u64 = 2;

/// Clocks run by at most a tenth faster than true time.
const FASTEST_PER_MILLE: u64 = 1_100;

#[derive(Default)]
pub(crate) struct Judge {
    pub(crate) found: Option<Violation>,
    /// Every record of a client there ever was: by client and version.
    written: BTreeMap<(ClientKey, u64), Placement>,
    /// Since which revision a client has been remembered without a break: an epoch counts within that.
    lives: BTreeMap<ClientKey, u64>,
    homes: BTreeMap<(ClientKey, u64, Epoch), InstanceId>,
    /// Drained, and its operator knows that.
    pub(crate) drained: BTreeSet<InstanceId>,
    ticked: Option<True>,
    /// Why clients were where they were.
    pub(crate) reasons: BTreeSet<Reason>,
}

impl Judge {
    pub(crate) fn find(&mut self, at: True, what: What, text: String) {
        self.found.get_or_insert(Violation { at, what, text });
    }

    /// A commit happened. The store shows what is there now.
    pub(crate) fn committed(&mut self, at: True, store: &Store, touched: &Touched, purpose: &Purpose) {
        for (key, before, after) in touched {
            match key {
                Key::Client(client) => self.client_written(at, store, client, before, after, purpose),
                Key::Ledger(instance) => self.ledger_written(at, instance, before, after, purpose),
                Key::Clock => self.ticked(at),
            }
        }
        if let Some(judged_by) = &purpose.judged_by {
            self.check_refusal(at, store, touched, judged_by);
        }
        self.check_sums(at, store);
    }

    /// Somebody is refused a place: the ledgers that was judged by are as they were believed. One that registered since
    /// may have been overlooked: a batch cannot expect that there is nobody else.
    fn check_refusal(&mut self, at: True, store: &Store, touched: &Touched, judged_by: &BTreeMap<InstanceId, u64>) {
        let before = |key: &Key, now: &Record| match touched.iter().find(|(name, ..)| name == key) {
            Some((_, before, _)) => before.as_ref().map(|record| record.version),
            None => Some(now.version),
        };
        let ledgers = store.records.iter().filter_map(|(key, record)| match key {
            Key::Ledger(instance) => Some((instance.clone(), before(key, record)?)),
            _ => None,
        });
        let there: BTreeMap<_, _> = ledgers.collect();
        if judged_by.iter().any(|(instance, version)| there.get(instance) != Some(version)) {
            let text = format!("somebody was refused by ledgers {judged_by:?}, but there are {there:?}");
            self.find(at, What::Refusal, text);
        }
    }

    fn client_written(
        &mut self,
        at: True,
        store: &Store,
        client: &ClientKey,
        before: &Option<Record>,
        after: &Option<Record>,
        purpose: &Purpose,
    ) {
        let (before, now) = (placement(before), placement(after));
        let Some(transition) = Transition::of(before, now) else {
            return self.find(at, What::OneHome, format!("{client}: {before:?} became {now:?}"));
        };
        let early = before.is_some_and(|before| store.tick() < before.until);
        let over = transition == Transition::Expire
            || (transition == Transition::Forget && !purpose.forgotten.contains(client));
        if over && early {
            let until = before.map_or(Tick::NEVER, |before| before.until);
            self.find(at, What::Time, format!("{client} ends before {until}: it is only {}", store.tick()));
        }
        let (Some(now), Some(record)) = (now, after) else {
            self.lives.remove(client);
            return;
        };
        let promised = Tick(store.tick().0 + SHORTEST_TICKS);
        if matches!(transition, Transition::Place | Transition::Return) && now.until < promised {
            let text = format!("{client} comes at {} and is charged until {} alone", store.tick(), now.until);
            self.find(at, What::Time, text);
        }
        let moved_in = before.is_none_or(|before| before.home != now.home);
        if moved_in && self.drained.contains(&now.home) {
            self.find(at, What::Drain, format!("{client} is placed at {}, which is drained", now.home));
        }
        let life = *self.lives.entry(client.clone()).or_insert(record.version);
        let home = self.homes.entry((client.clone(), life, now.owner_epoch)).or_insert_with(|| now.home.clone());
        if *home != now.home {
            let text = format!("{client} is at {home} and at {} at owner epoch {}", now.home, now.owner_epoch);
            self.find(at, What::OneHome, text);
        }
        self.reasons.insert(now.why.reason);
        self.written.insert((client.clone(), record.version), now.clone());
    }

    fn ledger_written(
        &mut self,
        at: True,
        instance: &InstanceId,
        before: &Option<Record>,
        after: &Option<Record>,
        purpose: &Purpose,
    ) {
        let charged = |record: &Option<Record>| match record {
            Some(Record { value: Value::Ledger(ledger, _), .. }) => (ledger.charged_milli, ledger.capacity.as_milli()),
            _ => (0, 0),
        };
        let ((was, _), (is, capacity)) = (charged(before), charged(after));
        if is > was && is > capacity && !purpose.overflowing.contains(instance) {
            self.find(at, What::Books, format!("{instance} is charged {is} of {capacity}"));
        }
    }

    fn ticked(&mut self, at: True) {
        let shortest = TICK.as_millis() * MS * 1_000 / FASTEST_PER_MILLE;
        if let Some(last) = self.ticked.replace(at)
            && at < last + shortest
        {
            self.find(at, What::Time, format!("a tick lasted {} ms", (at - last) / MS));
        }
    }

    fn check_sums(&mut self, at: True, store: &Store) {
        let mut sums: BTreeMap<&InstanceId, (u64, u64)> = BTreeMap::new();
        for client in store.clients() {
            let sum = sums.entry(&client.home).or_default();
            sum.0 += if client.phase == Phase::Idle { 0 } else { client.weight.as_milli() };
            sum.1 += 1;
        }
        for (key, record) in &store.records {
            if let (Key::Ledger(instance), Value::Ledger(ledger, _)) = (key, &record.value) {
                let (sum, says) = (sums.remove(instance).unwrap_or_default(), (ledger.charged_milli, ledger.clients));
                if sum != says {
                    let text = format!("{instance} says {says:?} (charge, clients), its records say {sum:?}");
                    self.find(at, What::Books, text);
                }
            }
        }
    }

    /// Somebody was told that the books say this of a client.
    pub(crate) fn answered(&mut self, at: True, client: &ClientKey, version: u64, told: &Placement) {
        match self.written.get(&(client.clone(), version)) {
            Some(written) if written == told => {}
            Some(written) => {
                let text = format!("of {client} was answered {told:?}, but version {version} says {written:?}");
                self.find(at, What::OneHome, text);
            }
            None => {
                let text = format!("{client} was told its home is {}, which was never committed", told.home);
                self.find(at, What::OneHome, text);
            }
        }
    }
}

fn placement(record: &Option<Record>) -> Option<&Placement> {
    match record {
        Some(Record { value: Value::Client(placement), .. }) => Some(placement),
        _ => None,
    }
}
