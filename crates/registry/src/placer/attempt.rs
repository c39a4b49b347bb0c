//! One attempt: every ask decided over a working copy of the books, and one batch that says what was believed.

use std::collections::{BTreeSet, HashMap};

use steadfast_core::client::ClientKey;
use steadfast_core::placement::{self, Ask, Decision, Note, Phase, Placement, Reason, Refusal, Wish, decide};
use steadfast_core::settings::Presence;
use steadfast_core::{InstanceId, Nonce, SetName};
use steadfast_store::{Change, Expect, Limits, Revision, Write};

use super::queue::{Doubt, Pending};
use super::working_copy::WorkingCopy;
use crate::leaving::{self, Leaver};
use crate::records::{ClientRecord, Extras};
use crate::registry::put;
use crate::{Error, EventKind, LedgerRecord, Stored, keys};

/// What is believed of a client before an attempt.
#[derive(Clone, Debug)]
pub(super) enum Belief {
    Absent,
    Known(Stored<ClientRecord>),
    Unreadable(Error),
}

/// What an ask will be told once the batch is committed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It changed something.
    Changed,
    /// The books say so already.
    Kept,
    /// No.
    Refused(Refusal),
    /// A record that it needs cannot be used. Nothing of it is in the batch.
    Unusable(String),
    /// Whether it was done before others wrote the record cannot be told any more, and it must not be done twice.
    Doubtful,
}

/// One client in the batch.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) before: Option<Revision>,
    pub(super) after: Option<Placement>,
    pub(super) extras: Extras,
    pub(super) changed: bool,
    /// Whoever else asks for this client waits for the next batch: an answer must be one's own.
    alone: bool,
    /// It is to be asked to leave: where that will stand, and who moved it.
    leaving: Option<(String, String)>,
}

/// A planned batch, and whom it answers.
#[derive(Debug)]
pub(super) struct Plan {
    /// What the batch holds, until it is sent.
    pub(super) changes: Vec<Change>,
    pub(super) nonce: Nonce,
    pub(super) asks: Vec<(Pending, Verdict)>,
    pub(super) put_off: Vec<Pending>,
    pub(super) clients: HashMap<ClientKey, Entry>,
    /// The ledgers it writes.
    pub(super) ledgers: Vec<(InstanceId, LedgerRecord)>,
    /// The versions of the ledgers it was planned from.
    pub(super) believed: HashMap<InstanceId, Revision>,
    /// The same of the clock.
    pub(super) clock: Option<Revision>,
    pub(super) events: Vec<EventKind>,
    /// Those who were connected at a home that is not theirs any more.
    pub(super) leavers: Vec<Leaver>,
}

/// What the plan's preconditions are, besides those of what it writes.
#[derive(Debug, Default)]
struct Judged {
    every_ledger: bool,
    ledgers: BTreeSet<InstanceId>,
    /// Ledgers that must not be there.
    absent: BTreeSet<InstanceId>,
    written: BTreeSet<InstanceId>,
    /// Those that somebody had to be charged to although there was no room.
    overflowed: BTreeSet<InstanceId>,
}

struct Planner<'a, 'b> {
    nonce: Nonce,
    set: &'b SetName,
    copy: &'b mut WorkingCopy<'a>,
    clients: HashMap<ClientKey, Entry>,
    judged: Judged,
    events: Vec<EventKind>,
    leavers: Vec<Leaver>,
}

/// Decides every ask. `believe` says what is believed of a client; `at` is the time, for people.
pub(super) fn plan(
    set: &SetName,
    copy: &mut WorkingCopy<'_>,
    asks: Vec<Pending>,
    at: &str,
    limits: Limits,
    believe: impl Fn(&ClientKey) -> Belief,
) -> Plan {
    let clients = HashMap::with_capacity(asks.len());
    let nonce = Nonce(steadfast_host::random::u64());
    let (judged, events, leavers) = (Judged::default(), Vec::new(), Vec::new());
    let mut planner = Planner { nonce, set, copy, clients, judged, events, leavers };
    let (mut decided, mut put_off) = (Vec::with_capacity(asks.len()), Vec::new());
    for mut pending in asks {
        at.clone_into(&mut pending.ask.at);
        match planner.decide(&pending, &believe) {
            Some(verdict) => decided.push((pending, verdict)),
            None => put_off.push(pending),
        }
    }
    planner.finish(decided, put_off, limits)
}

impl Planner<'_, '_> {
    /// What becomes of one ask; `None`: not in this batch.
    fn decide(&mut self, pending: &Pending, believe: impl Fn(&ClientKey) -> Belief) -> Option<Verdict> {
        let Pending { client, ask, doubts, .. } = pending;
        let alone = matches!(ask.wish, Wish::Move { .. } | Wish::Expire | Wish::Forget);
        if !self.clients.contains_key(client) {
            let (before, after, extras) = match believe(client) {
                Belief::Absent => (None, None, Extras::new()),
                Belief::Known(stored) => (Some(stored.version), Some(stored.record.placement), stored.record.extras),
                Belief::Unreadable(error) => return Some(Verdict::Unusable(error.to_string())),
            };
            self.clients.insert(client.clone(), Entry { before, after, extras, changed: false, alone, leaving: None });
        } else if alone || self.clients.get(client).is_some_and(|entry| entry.alone) {
            return None;
        }
        let entry = self.clients.get_mut(client)?;
        let attempted = |doubt: &Doubt| doubt.attempted == entry.after;
        if let Some(happened) = doubts.iter().find(|doubt| !entry.changed && attempted(doubt)) {
            let from = entry.after.as_ref().and_then(|after| after.why.from.clone());
            self.events.extend(ordered(client, &ask.wish, from, entry.after.as_ref()));
            if let Some(name) = &happened.leaving {
                self.ask_to_leave(client, name.clone());
            }
            return Some(Verdict::Changed);
        }
        // Others have written since. What an order did may lie beneath that, and is not to be done once more.
        let stands = |doubt: &Doubt| doubt.believed == entry.before;
        if is_order(&ask.wish) && !doubts.is_empty() && !doubts.iter().any(stands) {
            return Some(Verdict::Doubtful);
        }
        Some(match decide(self.copy.books(), client, entry.after.as_ref(), ask) {
            Ok(Decision::Keep) => Verdict::Kept,
            Ok(Decision::Write(change)) => self.apply(client, ask, change),
            Err(refusal) => {
                self.judged.judge(&refusal, self.copy);
                Verdict::Refused(refusal)
            }
        })
    }

    /// Takes a change over into the working copies.
    fn apply(&mut self, client: &ClientKey, ask: &Ask, change: placement::Change) -> Verdict {
        if let Some(error) = change.absent.as_ref().and_then(|id| self.copy.unreadable(id)) {
            // Its home has a ledger, which only cannot be read: what is charged there must not be forgotten.
            return Verdict::Unusable(error.to_string());
        }
        let Some(entry) = self.clients.get_mut(client) else { unreachable!("it was entered just before") };
        let books = self.copy.books();
        let connected = |placement: &&Placement| placement.phase == Phase::Active && books.tick < placement.until;
        let home = |placement: &Placement| placement.home.clone();
        let was_connected_at = entry.after.as_ref().filter(connected).map(home);
        let leaves = was_connected_at.is_some() && was_connected_at != change.client.as_ref().map(home);
        let from = entry.after.as_ref().map(home);
        for (id, ledger) in change.ledgers {
            let there = self.copy.change(&id, ledger);
            debug_assert!(there, "a decision changes ledgers it was shown");
            self.judged.written.insert(id);
        }
        self.judged.absent.extend(change.absent);
        for note in change.notes {
            if let Note::Overflow { home } = &note {
                self.judged.overflowed.insert(home.clone());
            }
            self.events.push(noted(client, note));
        }
        self.events.extend(ordered(client, &ask.wish, from, change.client.as_ref()));
        entry.after = change.client;
        entry.changed = true;
        // A client that somebody else moved or had forgotten is asked to leave, where the set says how. One that came by
        // itself is told its new home already.
        let settings = self.copy.books().settings;
        let by_others = matches!(ask.wish, Wish::Move { .. } | Wish::Forget) && settings.presence != Presence::Request;
        if leaves && by_others && settings.evict.is_some() {
            let name = format!("{}.{}", self.nonce, self.leavers.len());
            entry.leaving = Some((name.clone(), ask.by.clone()));
            self.ask_to_leave(client, name);
        }
        Verdict::Changed
    }

    /// Once the batch is committed. `name`: where that stands.
    fn ask_to_leave(&mut self, client: &ClientKey, name: String) {
        let url = self.copy.books().settings.evict.as_deref().map(Into::into);
        self.leavers.push(Leaver { url, client: client.clone(), name });
    }

    fn finish(mut self, asks: Vec<(Pending, Verdict)>, put_off: Vec<Pending>, limits: Limits) -> Plan {
        let believed: HashMap<_, _> = self.copy.versions().map(|(id, version)| (id.clone(), version)).collect();
        // So many instances that no batch could name them all: then what the mirror shows has to do.
        self.judged.every_ledger &= believed.len() <= limits.operations / 2;
        let mut changes = Vec::with_capacity(self.clients.len() + self.judged.written.len());
        for (client, entry) in &self.clients {
            let expect = entry.before.map_or(Expect::Absent, Expect::Version);
            let write = match (&entry.after, entry.before) {
                (Some(after), _) if entry.changed => {
                    Write::Put(ClientRecord::encode(after, &entry.extras).into(), None)
                }
                (None, Some(_)) if entry.changed => Write::Delete,
                _ => Write::Nothing,
            };
            changes.push(Change { name: keys::client_name(client), expect, write });
            changes.extend(entry.leaving.iter().map(|(name, by)| leaving::note(self.set, name, client, by)));
        }
        let (ledgers, more) = self.judged.changes(self.set, self.copy, self.nonce);
        changes.extend(more);
        let clock = self.copy.clock_version();
        if !changes.is_empty() {
            // Expiries are counted from the present tick: by that of a mirror which lags they would come too soon.
            let expect = clock.map_or(Expect::Absent, Expect::Version);
            changes.push(Change { name: keys::CLOCK.into(), expect, write: Write::Nothing });
        }
        Plan {
            changes,
            nonce: self.nonce,
            asks,
            put_off,
            clients: self.clients,
            ledgers,
            believed,
            clock,
            events: self.events,
            leavers: self.leavers,
        }
    }
}

impl Judged {
    /// What a refusal was judged by: it is given only while that holds.
    fn judge(&mut self, refusal: &Refusal, copy: &WorkingCopy<'_>) {
        match refusal {
            Refusal::NoRoom { .. }
            | Refusal::TooHeavy { .. }
            | Refusal::NoMatch
            | Refusal::NoInstance
            | Refusal::TooManyClients { .. } => self.every_ledger = true,
            Refusal::HomeLost { home: id, .. }
            | Refusal::HomeFull { home: id }
            | Refusal::NotThere { instance: id }
            | Refusal::NotOpen { instance: id, .. } => {
                let there = copy.ledger(id).is_some();
                let list = if there { &mut self.ledgers } else { &mut self.absent };
                list.insert(id.clone());
            }
            Refusal::NotHomeHere { .. } | Refusal::NoClient | Refusal::Connected { .. } => {}
        }
    }

    /// The ledgers to be written, and every change and precondition on ledgers.
    fn changes(
        self,
        set: &SetName,
        copy: &WorkingCopy<'_>,
        nonce: Nonce,
    ) -> (Vec<(InstanceId, LedgerRecord)>, Vec<Change>) {
        let mut written = Vec::with_capacity(self.written.len());
        let mut changes = Vec::new();
        for (id, version) in copy.versions() {
            let key = keys::ledger(set, id);
            let Some((decided, stored)) = copy.ledger(id) else { continue };
            if self.written.contains(id) {
                let record = stored.record.with_clients(decided, self.overflowed.contains(id), nonce);
                changes.push(put(&key, Some(version), &record));
                written.push((id.clone(), record));
            } else if self.every_ledger || self.ledgers.contains(id) {
                changes.push(Change { name: key.name, expect: Expect::Version(version), write: Write::Nothing });
            }
        }
        // One that cannot be read is there: to believe otherwise would conflict for ever.
        let absent = self.absent.iter().filter(|id| copy.ledger(id).is_none() && copy.unreadable(id).is_none());
        changes.extend(absent.map(|id| Change {
            name: keys::ledger(set, id).name,
            expect: Expect::Absent,
            write: Write::Nothing,
        }));
        (written, changes)
    }
}

impl Plan {
    /// Whether one batch can hold it.
    pub(super) fn fits(&self, limits: Limits) -> bool {
        self.changes.len() <= limits.operations && self.changes.iter().map(Change::bytes).sum::<usize>() <= limits.bytes
    }

    /// The asks again, each with what was attempted for it: it may have happened, or may yet happen.
    pub(super) fn in_doubt(mut self) -> Vec<Pending> {
        for (pending, verdict) in &mut self.asks {
            if *verdict == Verdict::Changed
                && let Some(entry) = self.clients.get(&pending.client)
            {
                let leaving = entry.leaving.as_ref().map(|(name, _)| name.clone());
                pending.doubts.push(Doubt { believed: entry.before, attempted: entry.after.clone(), leaving });
            }
        }
        self.into_asks()
    }

    /// The asks again, in the order they came.
    pub(super) fn into_asks(self) -> Vec<Pending> {
        // Those put off asked for a client that others of this batch asked for before them.
        self.asks.into_iter().map(|(pending, _)| pending).chain(self.put_off).collect()
    }
}

fn noted(client: &ClientKey, note: Note) -> EventKind {
    let client = client.clone().into();
    match note {
        Note::Overweight { declared, charged } => {
            EventKind::ClientOverweight { client, declared: declared.into(), charged: charged.into() }
        }
        Note::Overflow { home } => EventKind::ClientOverflow { client, home: home.into() },
    }
}

/// Whether to do it twice is something else than to do it once.
fn is_order(wish: &Wish) -> bool {
    matches!(wish, Wish::Move { from: None, .. } | Wish::Forget)
}

/// What an operator had done to one client is remembered; what happens by itself happens too often.
fn ordered(client: &ClientKey, wish: &Wish, from: Option<InstanceId>, after: Option<&Placement>) -> Option<EventKind> {
    let client = || client.clone().into();
    match (wish, after) {
        (Wish::Move { reason: Reason::MovedByOperator, .. }, Some(after)) => {
            Some(EventKind::ClientMoved { client: client(), from: from.map(Into::into), to: after.home.clone().into() })
        }
        (Wish::Forget, _) => Some(EventKind::ClientForgotten { client: client() }),
        _ => None,
    }
}
