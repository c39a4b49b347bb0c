//! A process that has clients placed: a gateway, an agent that reports, a keeper. It plans from its own mirror of the ledgers
//! and its own table of clients, both behind the store, and commits what it believed together with what it wants.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use steadfast_core::InstanceId;
use steadfast_core::client::{ClientKey, Labels};
use steadfast_core::placement::{
    Ask, Books, Decision, Ledger, Member, Members, Note, Placement, Refusal, Tick, Wish, decide,
};
use steadfast_core::settings::StickySettings;

use super::broken::Broken;
use super::store::{Change, Expect, Found, Key, Record, Store, Value, Write};
use crate::clock::{Clock, True};

/// At most so many asks in a batch.
const BATCH: usize = 8;

pub(crate) struct Placer {
    pub(crate) alive: bool,
    pub(crate) life: u32,
    pub(crate) clock: Clock,
    /// Keeps every client in its table, not only those it was asked for.
    pub(crate) keeps: bool,
    /// Up to which revision it has seen the ledgers and clients; `None`: it has not read the books yet.
    pub(crate) seen: Option<u64>,
    pub(crate) ledgers: BTreeMap<InstanceId, Shown>,
    pub(crate) tick: (u64, Tick),
    /// When, by its own clock, that tick came.
    pub(crate) tick_seen: u64,
    pub(crate) table: BTreeMap<ClientKey, (u64, Placement)>,
    /// What answers to its commits showed, ahead of the mirror.
    own: BTreeMap<InstanceId, (u64, Option<Shown>)>,
    /// The same of the clock.
    own_tick: (u64, Tick),
    pub(crate) queue: VecDeque<Pending>,
    pub(crate) flight: Option<Flight>,
    /// Instances it could not reach, or (a broken rule) was told are drained.
    pub(crate) suspended: BTreeSet<InstanceId>,
}

/// A ledger as it was shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) version: u64,
    pub(crate) ledger: Ledger,
}

#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) client: ClientKey,
    pub(crate) wish: Wish,
    pub(crate) until: True,
}

/// What a batch is for, as far as the judge has to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purpose {
    pub(crate) forgotten: BTreeSet<ClientKey>,
    pub(crate) overflowing: BTreeSet<InstanceId>,
    /// The versions of all ledgers that somebody was refused by.
    pub(crate) judged_by: Option<BTreeMap<InstanceId, u64>>,
}

/// A batch on its way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) nonce: u64,
    pub(crate) changes: Vec<Change>,
    pub(crate) asks: Vec<(Pending, Result<(), Refusal>)>,
    pub(crate) purpose: Purpose,
    /// Each client it is about: the version believed, and what its record is to be; whether that changes.
    clients: BTreeMap<ClientKey, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    before: Option<u64>,
    after: Option<Placement>,
    changed: bool,
    /// Nobody else's wish of this client is in the batch.
    alone: bool,
}

/// An answer to an ask.
pub(crate) struct Answer {
    pub(crate) pending: Pending,
    pub(crate) said: Result<Option<(u64, Placement)>, Refusal>,
}

impl Placer {
    pub(crate) fn new(clock: Clock, keeps: bool) -> Placer {
        Placer {
            alive: true,
            life: 0,
            clock,
            keeps,
            seen: None,
            ledgers: BTreeMap::new(),
            tick: (0, Tick::default()),
            tick_seen: 0,
            table: BTreeMap::new(),
            own: BTreeMap::new(),
            own_tick: (0, Tick::default()),
            queue: VecDeque::new(),
            flight: None,
            suspended: BTreeSet::new(),
        }
    }

    /// Everything it knew is gone.
    pub(crate) fn restart(&mut self) {
        *self = Placer { life: self.life + 1, ..Placer::new(self.clock, self.keeps) };
    }

    /// Reads the books, or follows them up to a revision.
    pub(crate) fn follow(&mut self, store: &Store, revision: u64, now: True) {
        let Some(seen) = self.seen else {
            self.seen = Some(store.revision());
            for (key, record) in &store.records {
                self.show(key, Some(record), store.revision(), now, true);
            }
            return;
        };
        let news = store.after(seen, revision).iter().zip(seen + 1..);
        for (changes, at) in news {
            for (key, record) in changes {
                self.show(key, record.as_ref(), at, now, self.keeps);
            }
            self.seen = Some(at);
        }
    }

    fn show(&mut self, key: &Key, record: Option<&Record>, revision: u64, now: True, unknown_too: bool) {
        match (key, record.map(|record| (record.version, &record.value))) {
            (Key::Client(client), shown) => {
                let wanted = match self.table.get(client) {
                    Some((version, _)) => *version < revision,
                    None => unknown_too && self.keeps,
                };
                match shown {
                    _ if !wanted => {}
                    Some((version, Value::Client(placement))) => {
                        self.table.insert(client.clone(), (version, placement.clone()));
                    }
                    _ => _ = self.table.remove(client),
                }
            }
            (Key::Ledger(instance), Some((version, Value::Ledger(ledger, _)))) => {
                let shown = Shown { version, ledger: ledger.clone() };
                self.ledgers.insert(instance.clone(), shown);
            }
            (Key::Clock, Some((version, Value::Clock(tick)))) => {
                self.tick = (version, *tick);
                self.tick_seen = self.clock.local(now).as_nanos();
            }
            _ => {}
        }
    }

    /// The ledgers it goes by.
    fn sheet(&mut self) -> BTreeMap<InstanceId, Shown> {
        let mirror = &self.ledgers;
        self.own.retain(|id, (version, _)| mirror.get(id).is_none_or(|shown| shown.version < *version));
        let mut sheet = self.ledgers.clone();
        for (id, (_, shown)) in &self.own {
            match shown {
                Some(shown) => sheet.insert(id.clone(), shown.clone()),
                None => sheet.remove(id),
            };
        }
        sheet
    }

    fn members(&self, sheet: &BTreeMap<InstanceId, Shown>) -> Members {
        let member = |(id, shown): (&InstanceId, &Shown)| {
            let suspended = self.suspended.contains(id);
            let member = Member { ledger: shown.ledger.clone(), labels: Labels::new(), load_milli: None, suspended };
            (id.clone(), member)
        };
        sheet.iter().map(member).collect()
    }

    /// What its table says of a client that it may be sent home by without asking anybody.
    pub(crate) fn knows(
        &mut self,
        settings: &StickySettings,
        client: &ClientKey,
        wish: &Wish,
    ) -> Option<(u64, Placement)> {
        let sheet = self.sheet();
        let members = self.members(&sheet);
        let books = Books { settings, tick: self.tick.1, members: &members };
        let (version, known) = self.table.get(client)?;
        let ask = Ask { wish: wish.clone(), by: String::new(), at: String::new() };
        let keeps = known.phase.is_charged() && decide(books, client, Some(known), &ask) == Ok(Decision::Keep);
        keeps.then(|| (*version, known.clone()))
    }

    /// What time it is, and by which version of the clock.
    pub(crate) fn time(&self) -> (u64, Tick) {
        if self.own_tick.0 > self.tick.0 { self.own_tick } else { self.tick }
    }

    /// Plans a batch of what is asked.
    pub(crate) fn plan(&mut self, settings: &StickySettings, tick: Tick, nonce: u64, broken: Broken) -> Flight {
        let sheet = self.sheet();
        let mut members = self.members(&sheet);
        let mut flight = Flight {
            nonce,
            changes: Vec::new(),
            asks: Vec::new(),
            purpose: Purpose::default(),
            clients: BTreeMap::new(),
        };
        let (mut written, mut absent) = (BTreeSet::new(), BTreeSet::new());
        let (mut judged, mut every_ledger) = (BTreeSet::new(), false);
        let mut put_off = VecDeque::new();
        while let Some(pending) = self.queue.pop_front() {
            let alone = !matches!(pending.wish, Wish::Arrive { .. } | Wish::Report { .. } | Wish::Leave { .. });
            // Who forgets, and who comes, in one batch: the record would change as if the one before had lived on.
            let others = flight.clients.get(&pending.client).is_some_and(|entry| alone || entry.alone);
            if flight.asks.len() == BATCH || others {
                put_off.push_back(pending);
                continue;
            }
            let known = self.table.get(&pending.client);
            let entry = flight.clients.entry(pending.client.clone()).or_insert_with(|| Entry {
                before: known.map(|(version, _)| *version),
                after: known.map(|(_, placement)| placement.clone()),
                changed: false,
                alone,
            });
            let ask = Ask { wish: pending.wish.clone(), by: String::new(), at: String::new() };
            let books = Books { settings, tick, members: &members };
            let verdict = match decide(books, &pending.client, entry.after.as_ref(), &ask) {
                Ok(Decision::Keep) => Ok(()),
                Ok(Decision::Write(change)) => {
                    for (id, ledger) in change.ledgers {
                        members.get_mut(&id).expect("decided from these").ledger = ledger;
                        written.insert(id);
                    }
                    absent.extend(change.absent);
                    for note in change.notes {
                        if let Note::Overflow { home } = note {
                            flight.purpose.overflowing.insert(home);
                        }
                    }
                    if pending.wish == Wish::Forget {
                        flight.purpose.forgotten.insert(pending.client.clone());
                    }
                    (entry.after, entry.changed) = (change.client, true);
                    Ok(())
                }
                Err(refusal) => {
                    match &refusal {
                        Refusal::HomeLost { home, .. } | Refusal::HomeFull { home } => _ = judged.insert(home.clone()),
                        Refusal::NotThere { instance } | Refusal::NotOpen { instance, .. } => {
                            judged.insert(instance.clone());
                        }
                        Refusal::NotHomeHere { .. } | Refusal::NoClient | Refusal::Connected { .. } => {}
                        _ => every_ledger = true,
                    }
                    Err(refusal)
                }
            };
            flight.asks.push((pending, verdict));
        }
        self.queue = put_off;
        if every_ledger {
            flight.purpose.judged_by = Some(sheet.iter().map(|(id, shown)| (id.clone(), shown.version)).collect());
        }
        flight.client_changes(broken);
        for (id, shown) in &sheet {
            let key = Key::Ledger(id.clone());
            if written.contains(id) {
                let expect = match broken {
                    Broken::LedgerWithoutVersion => Expect::Whatever,
                    _ => Expect::Version(shown.version),
                };
                let write = Write::Put(Value::Ledger(members[id].ledger.clone(), nonce));
                flight.changes.push(Change { key, expect, write });
            } else if (every_ledger || judged.contains(id)) && broken != Broken::RefusalFromTheMirror {
                flight.changes.push(Change { key, expect: Expect::Version(shown.version), write: Write::Nothing });
            }
        }
        let missing = absent.iter().chain(judged.iter().filter(|id| !sheet.contains_key(*id)));
        let expected = missing.filter(|_| broken != Broken::AbsenceNotExpected);
        let expected: BTreeSet<_> = expected.map(|id| Key::Ledger(id.clone())).collect();
        let nothing_there = |key| Change { key, expect: Expect::Absent, write: Write::Nothing };
        flight.changes.extend(expected.into_iter().map(nothing_there));
        if broken != Broken::TickFromTheMirror {
            let expect = Expect::Version(self.time().0);
            flight.changes.push(Change { key: Key::Clock, expect, write: Write::Nothing });
        }
        flight
    }

    /// It was committed: everybody is answered, and what was written is known.
    pub(crate) fn committed(&mut self, flight: Flight, version: u64) -> Vec<Answer> {
        for Change { key, write, .. } in &flight.changes {
            if let (Key::Ledger(id), Write::Put(Value::Ledger(ledger, _))) = (key, write) {
                let shown = Shown { version, ledger: ledger.clone() };
                self.own.insert(id.clone(), (version, Some(shown)));
            }
        }
        for (client, entry) in &flight.clients {
            // The reply came late, and the watch has shown more since.
            if self.table.get(client).is_some_and(|(shown, _)| *shown > version) {
                continue;
            }
            match (entry.version(version), &entry.after) {
                (Some(version), Some(after)) => _ = self.table.insert(client.clone(), (version, after.clone())),
                _ => _ = self.table.remove(client),
            }
        }
        let answer = |(pending, verdict): (Pending, Result<(), Refusal>)| {
            let entry = &flight.clients[&pending.client];
            let said = verdict.map(|()| Some((entry.version(version)?, entry.after.clone()?)));
            Answer { pending, said }
        };
        flight.asks.into_iter().map(answer).collect()
    }

    /// A conflict showed what is there: it is decided anew from that.
    pub(crate) fn learn(&mut self, shown: Found, head: u64) {
        for (key, record) in shown {
            match (key, record.map(|record| (record.version, record.value))) {
                // As of `head`: the watch may have shown more since.
                (Key::Client(client), _) if self.table.get(&client).is_some_and(|(shown, _)| *shown > head) => {}
                (Key::Client(client), Some((version, Value::Client(placement)))) => {
                    self.table.insert(client, (version, placement));
                }
                (Key::Client(client), _) => _ = self.table.remove(&client),
                (Key::Ledger(id), Some((version, Value::Ledger(ledger, _)))) => {
                    self.own.insert(id, (version, Some(Shown { version, ledger })));
                }
                (Key::Ledger(id), _) => _ = self.own.insert(id, (head, None)),
                (Key::Clock, Some((version, Value::Clock(tick)))) => self.own_tick = (version, tick),
                (Key::Clock, _) => {}
            }
        }
    }

    /// Its asks are asked again, before all others.
    pub(crate) fn ask_again(&mut self, flight: Flight) {
        for (pending, _) in flight.asks.into_iter().rev() {
            self.queue.push_front(pending);
        }
    }
}

impl Flight {
    fn client_changes(&mut self, broken: Broken) {
        for (client, entry) in &self.clients {
            let write = match (&entry.after, entry.changed) {
                (Some(after), true) => Write::Put(Value::Client(after.clone())),
                (None, true) if entry.before.is_some() => Write::Delete,
                _ => Write::Nothing,
            };
            let expect = match (broken, &write) {
                (Broken::ClientWithoutVersion, Write::Put(_) | Write::Delete) => Expect::Whatever,
                _ => entry.before.map_or(Expect::Absent, Expect::Version),
            };
            self.changes.push(Change { key: Key::Client(client.clone()), expect, write });
        }
    }

    /// A ledger that it writes: who reads that sees whether it did.
    pub(crate) fn marks(&self) -> Option<InstanceId> {
        self.changes.iter().find_map(|change| match (&change.key, &change.write) {
            (Key::Ledger(id), Write::Put(_)) => Some(id.clone()),
            _ => None,
        })
    }
}

impl Entry {
    fn version(&self, committed: u64) -> Option<u64> {
        if self.changed { Some(committed) } else { self.before }
    }
}
