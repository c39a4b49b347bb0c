//! What becomes of a batch: its asks are answered, planned again from what a conflict showed, or looked for.
//!
//! ```text
//!          ┌──────────── conflict: its records are newer than any mirror ───────────┐
//!   plan → commit → committed: everybody is answered                                │
//!    ↑        ├──── unavailable: everybody is told; nothing was accepted            │
//!    │        └──── unknown → read a ledger: our nonce? → committed                 │
//!    └────────────────────────────────── otherwise in doubt ────────────────────────┘
//! ```
//! An attempt in doubt is simply planned again from the same beliefs. No version is ever reused, so of two batches that
//! believe the same of a record one at most happens; the other conflicts and shows what did.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use steadfast_core::client::ClientKey;
use steadfast_core::settings::SetSettings;
use steadfast_core::{Moment, SetName};
use steadfast_host::{clock, random};
use steadfast_store::{self as store, Batch, Cursor, Key, Limits, Named, Record, Revision};

use super::attempt::{Belief, Entry, Plan, Verdict, plan};
use super::inputs::Inputs;
use super::known::Known;
use super::queue::{Pending, left};
use super::turn::{self, Turns};
use super::working_copy::{Answered, Own, WorkingCopy};
use super::{PlaceError, Placed};
use crate::clients::{self, parse_key};
use crate::leaving::Leaver;
use crate::records::ClientRecord;
use crate::registry::{CALL_WITHIN, stored};
use crate::{EventKind, LedgerRecord, Registry, Snapshot, Stored, keys};

/// Commits lost in a row before a batch is halved and waits: the turns are not heard, or too many want one.
const LOSSES_BEFORE_YIELDING: u32 = 3 * turn::LOSSES_BEFORE_ASKING;
/// The first and the longest of these waits; a random part of each is waited.
const YIELD: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(200));
/// The least time a commit is given, however near its asks' deadlines are.
const COMMIT_AT_LEAST: Duration = Duration::from_millis(50);

/// The answer to an order that was sent, and of which only its asker can tell whether it is still wanted.
const IN_DOUBT: &str = "the store did not say whether the order was carried out, and the client was changed since: look \
                        where it is, and order again what is still wanted";

/// Everything a placer knows from one batch to the next.
#[derive(Debug)]
pub(super) struct PlacerState {
    registry: Registry,
    set: SetName,
    inputs: Inputs,
    own: Own,
    known: Known,
    turns: Turns,
    /// The last commit of its own.
    last: Revision,
    /// Who this is, for people.
    by: String,
    /// Of which history of the store all that is.
    history: u64,
    /// How many asks a batch gets: fewer while others win.
    batch: usize,
    /// What people should hear of.
    pub(super) events: Vec<EventKind>,
    /// Who should be asked to leave.
    pub(super) leavers: Vec<Leaver>,
}

/// What the conflicts of one batch showed of its clients.
type Learnt = HashMap<ClientKey, Belief>;

impl PlacerState {
    pub(super) fn new(registry: Registry, set: SetName, inputs: Inputs, by: &str) -> PlacerState {
        let batch = registry.store.limits().operations;
        PlacerState {
            registry,
            set,
            inputs,
            own: Own::default(),
            known: Known::default(),
            turns: Turns::default(),
            last: Revision::default(),
            by: by.to_owned(),
            history: 0,
            batch,
            events: Vec::new(),
            leavers: Vec::new(),
        }
    }

    /// How many asks the next batch takes.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// Carries a batch through until every one of its asks is answered. Gives back those that are put off.
    pub(super) async fn carry(&mut self, mut asks: Vec<Pending>) -> Vec<Pending> {
        let mut put_off = Vec::new();
        let mut learnt = Learnt::new();
        let mut losses = 0;
        if let Some(mirror) = self.inputs.mirror() {
            self.turns.give(mirror, self.last).await;
        }
        loop {
            asks = still_wanted(asks);
            let Some(latest) = asks.iter().map(|pending| pending.until).max() else { return put_off };
            let snapshot = self.inputs.complete(latest).await;
            let most = room(&snapshot, self.registry.store.limits());
            if asks.len() > most {
                put_off.splice(0..0, asks.split_off(most));
            }
            let mut plan = match self.plan(&snapshot, asks, &learnt) {
                Ok(plan) => plan,
                Err((refused, why)) => {
                    answer_all(refused, &why);
                    return put_off;
                }
            };
            if !plan.fits(self.registry.store.limits()) {
                asks = plan.into_asks();
                if asks.len() == 1 {
                    let why = "the client's record is larger than the store takes in a batch";
                    answer_all(asks, &PlaceError::Books(why.to_owned()));
                    return put_off;
                }
                asks = halve(asks, &mut put_off);
                continue;
            }
            match self.commit(&mut plan, latest).await {
                Ok(version) => {
                    put_off.splice(0..0, self.committed(plan, version));
                    self.turns.won();
                    self.batch = (self.batch * 2).min(self.registry.store.limits().operations);
                    return put_off;
                }
                Err(store::Error::Conflict(current)) => {
                    // One that shows other clients only is the read that was spared: nobody was faster.
                    let lost = self.merge(current, &plan, &mut learnt);
                    losses += u32::from(lost);
                    asks = plan.into_asks();
                    if lost && self.turns.wants_one(losses) {
                        self.turns.ask(&self.registry, &self.set, &snapshot, &self.by, latest).await;
                    }
                    if losses >= LOSSES_BEFORE_YIELDING {
                        asks = halve(asks, &mut put_off);
                        self.batch = asks.len().max(1);
                        give_way(losses - LOSSES_BEFORE_YIELDING).await;
                    }
                }
                Err(store::Error::OutcomeUnknown(_)) => {
                    asks = plan.in_doubt();
                    losses += 1;
                    give_way(losses).await;
                }
                Err(error) => {
                    answer_all(plan.into_asks(), &unanswerable(error));
                    return put_off;
                }
            }
        }
    }

    fn plan(
        &mut self,
        snapshot: &Arc<Snapshot>,
        asks: Vec<Pending>,
        learnt: &Learnt,
    ) -> Result<Plan, (Vec<Pending>, PlaceError)> {
        let settings = match &snapshot.settings {
            Some(SetSettings::Sticky(settings)) => settings,
            _ => return Err((asks, self.no_settings(snapshot))),
        };
        if snapshot.history != self.history {
            self.history = snapshot.history;
            self.own = Own::default();
            self.known.clear();
            self.turns = Turns::default();
            self.last = Revision::default();
        }
        self.own.catch_up(snapshot);
        let now = clock::now();
        let suspended = self.inputs.suspended(now);
        let copy = WorkingCopy::new(snapshot, settings, &self.own, &self.inputs.beats(), &suspended, now);
        let mut copy = match copy {
            Ok(copy) => copy,
            Err(error) => return Err((asks, PlaceError::Books(error.to_string()))),
        };
        let believe = |client: &ClientKey| match learnt.get(client) {
            Some(belief) => belief.clone(),
            None => self.known.get(client).cloned().map_or(Belief::Absent, Belief::Known),
        };
        Ok(plan(&self.set, &mut copy, asks, &clock::wall().to_string(), self.registry.store.limits(), believe))
    }

    fn no_settings(&self, snapshot: &Snapshot) -> PlaceError {
        if !snapshot.complete {
            let why = snapshot.trouble.clone();
            return PlaceError::Unavailable(why.unwrap_or_else(|| "the books were not read yet".to_owned()));
        }
        let key = String::from_utf8_lossy(&keys::set(&self.set).name).into_owned();
        PlaceError::Books(match (snapshot.unusable.get(&key), &snapshot.settings) {
            (Some(error), _) => error.to_string(),
            (None, None) => format!("there is no set {} in the store", self.set),
            (None, Some(other)) => format!("set {} is {}: only a sticky set places clients", self.set, other.kind()),
        })
    }

    /// Commits the plan, and finds out whether it did: the version of what it wrote.
    async fn commit(&self, plan: &mut Plan, latest: Moment) -> Result<Revision, store::Error> {
        if plan.changes.is_empty() {
            return Ok(Revision::default());
        }
        let within = left(latest).clamp(COMMIT_AT_LEAST, CALL_WITHIN);
        let batch = Batch { space: keys::space(&self.set), changes: std::mem::take(&mut plan.changes) };
        match self.registry.store.commit(batch, within).await {
            Ok(Cursor { revision, .. }) => Ok(revision),
            Err(store::Error::OutcomeUnknown(why)) => self.look_for(plan, why).await,
            Err(other) => Err(other),
        }
    }

    /// One read of a ledger that the batch wrote tells whether it did, if nobody wrote it since.
    async fn look_for(&self, plan: &Plan, why: String) -> Result<Revision, store::Error> {
        let Some((id, _)) = plan.ledgers.first() else { return Err(store::Error::OutcomeUnknown(why)) };
        let key = keys::ledger(&self.set, id);
        let found = self.registry.store.read(&key, CALL_WITHIN).await;
        let found = found.map_err(|_| store::Error::Unavailable(why.clone()))?;
        let ledger = found.and_then(|record| stored::<LedgerRecord>(&key, &record).ok());
        match ledger.filter(|ledger| ledger.record.nonce.is_some_and(|nonce| nonce.0 == plan.nonce)) {
            Some(ours) => Ok(ours.version),
            None => Err(store::Error::OutcomeUnknown(why)),
        }
    }

    /// Tells everybody what the books say now, and remembers it.
    fn committed(&mut self, plan: Plan, revision: Revision) -> Vec<Pending> {
        self.last = self.last.max(revision);
        for (id, record) in plan.ledgers {
            self.own.ledgers.insert(id, Answered { version: revision, record: Ok(Some(record)) });
        }
        for (pending, verdict) in plan.asks {
            let answer = match verdict {
                Verdict::Refused(refusal) => Err(refusal.into()),
                Verdict::Unusable(why) => Err(PlaceError::Books(why)),
                Verdict::Doubtful => Err(PlaceError::Unavailable(IN_DOUBT.to_owned())),
                Verdict::Changed | Verdict::Kept => {
                    let client = plan.clients.get(&pending.client).and_then(|entry| placed(entry, revision));
                    Ok(Placed { client, wrote: verdict == Verdict::Changed })
                }
            };
            pending.answer(answer);
        }
        for (client, entry) in plan.clients {
            let version = if entry.changed { Some(revision) } else { entry.before };
            match (entry.after, version) {
                (Some(placement), Some(version)) => {
                    let record = ClientRecord { placement, extras: entry.extras };
                    self.known.learn(client, Stored { version, record });
                }
                _ => self.known.forget(&client),
            }
        }
        self.events.extend(plan.events);
        self.leavers.extend(plan.leavers);
        plan.put_off
    }

    /// A conflict showed what is there. It is the word of a commit, so it counts more than what was believed, also
    /// where its versions are lower: then the store was rolled back. Says whether somebody else was faster: whether a
    /// ledger is another one, or a client that had been shown in this batch already.
    fn merge(&mut self, current: Vec<Named>, plan: &Plan, learnt: &mut Learnt) -> bool {
        let space = keys::space(&self.set);
        // What shows nothing is not to be asked again and again at once.
        let mut lost = current.is_empty();
        for (name, record) in current {
            let key = Key::new(space.clone(), name);
            if key.name.starts_with(keys::CLIENTS) {
                let Ok(client) = parse_key(&key) else {
                    lost = true;
                    continue;
                };
                self.known.forget(&client);
                let belief = match record.map(|record| clients::read(&key, &record)) {
                    None => Belief::Absent,
                    Some(Ok(stored)) => Belief::Known(stored),
                    Some(Err(error)) => Belief::Unreadable(error),
                };
                lost |= learnt.insert(client, belief).is_some();
            } else if let Some(id) = ledger_id(&key) {
                let believed = plan.believed.get(&id).copied().unwrap_or_default();
                let found = answered(&key, record, believed);
                self.turns.others_wrote(found.version);
                self.own.ledgers.insert(id, found);
                lost = true;
            } else if key.name == keys::CLOCK.as_bytes() {
                // Where time went on nobody was faster.
                let believed = plan.clock.unwrap_or_default();
                let clock = answered(&key, record, believed);
                lost |= clock.version <= believed;
                self.own.clock = Some(clock);
            }
        }
        lost
    }
}

/// A record as a conflict shows it, of which this version was believed.
fn answered<T: DeserializeOwned>(key: &Key, record: Option<Record>, believed: Revision) -> Answered<T> {
    let version = record.as_ref().map_or(believed, |record| record.version);
    let record = record.map(|record| stored(key, &record).map(|stored| stored.record)).transpose();
    Answered { version, record }
}

fn ledger_id(key: &Key) -> Option<steadfast_core::InstanceId> {
    std::str::from_utf8(&key.name).ok()?.strip_prefix(keys::LEDGERS)?.parse().ok()
}

/// What the books say of a client once the batch is committed at `revision`.
fn placed(entry: &Entry, revision: Revision) -> Option<Stored<steadfast_core::placement::Placement>> {
    let version = if entry.changed { revision } else { entry.before? };
    Some(Stored { version, record: entry.after.clone()? })
}

/// Without those that nobody waits for any more, and those whose time is over, who are told so.
fn still_wanted(asks: Vec<Pending>) -> Vec<Pending> {
    let now = clock::now();
    let wanted = asks.into_iter().filter(|pending| !pending.hung_up());
    let (wanted, late): (Vec<_>, Vec<_>) = wanted.partition(|pending| now < pending.until);
    answer_all(late, &PlaceError::Unavailable("it could not be committed in time".to_owned()));
    wanted
}

/// How many asks a batch has room for beside the ledgers and the clock: one change each.
fn room(snapshot: &Snapshot, limits: Limits) -> usize {
    let ledgers = snapshot.instances.len().min(limits.operations / 2);
    limits.operations.saturating_sub(ledgers + 1).max(1)
}

/// The first half, rounded up; the other one is put off, before those that were put off already.
fn halve(mut asks: Vec<Pending>, put_off: &mut Vec<Pending>) -> Vec<Pending> {
    let rest = asks.split_off(asks.len().div_ceil(2));
    put_off.splice(0..0, rest);
    asks
}

/// Waits a random part of a pause that doubles.
async fn give_way(times: u32) {
    let pause = (YIELD.0 * 2_u32.saturating_pow(times.min(16))).min(YIELD.1);
    let share = (random::u64() % 1_024) as u32;
    tokio::time::sleep(pause * share / 1_024).await;
}

fn answer_all(asks: Vec<Pending>, why: &PlaceError) {
    for pending in asks {
        pending.answer(Err(why.clone()));
    }
}

/// A failure that planning again does not mend.
fn unanswerable(error: store::Error) -> PlaceError {
    match error {
        store::Error::Unavailable(why) => PlaceError::Unavailable(why),
        other => PlaceError::Books(other.to_string()),
    }
}
