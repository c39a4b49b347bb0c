//! Drains: at its deadline those who are charged at an instance are moved, and when nobody is any more, an event says
//! so. Who cannot be moved is counted, and tried again without reading every client of the set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steadfast_core::InstanceId;
use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Reason, Refusal, Tick, Wish};
use steadfast_core::settings::{Presence, StickySettings};
use tokio::task::JoinSet;

use super::Parts;
use crate::{EventKind, LedgerRecord, LedgerState, PlaceError, Placer, Snapshot};

/// Moves at once.
const AT_ONCE: usize = 64;
/// Clients read at once while those to be moved are looked for.
const PAGE: usize = 1_024;
/// So many ticks after those who could not be moved were tried, they are tried again.
const AGAIN_TICKS: u64 = 6;
/// So many ticks after all clients were read for a drain, they are read for it again: somebody may have come back.
const READ_AGAIN_TICKS: u64 = 60;
/// So many clients of a drain that could not be moved are remembered; where there are more, all are read each time.
const LEFT_KEPT: usize = 65_536;
/// How long to wait with a store that does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// What one client's move came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is not there any more.
    Moved,
    /// It is connected, and nothing makes it leave.
    Connected,
    /// Nobody has room for it.
    NoRoom,
    /// The store, or the record: once more later.
    Later,
}

/// What one pass over an instance's clients came to.
#[derive(Debug, Default)]
struct Tally {
    connected: u64,
    no_room: u64,
    /// Who is there still, as far as that is remembered.
    left: BTreeSet<ClientKey>,
}

/// A drain whose deadline is over, after its first pass.
#[derive(Debug, Default)]
struct Overdue {
    /// Who could not be moved.
    left: BTreeSet<ClientKey>,
    /// When they are tried again.
    next: Tick,
    /// When it is read again who is there.
    read_at: Tick,
    /// How many were said to wait, if it was said.
    said: Option<u64>,
}

pub(super) async fn run(parts: &Parts) {
    let mut snapshots = parts.mirror.subscribe();
    let mut draining = BTreeMap::new();
    let mut overdue = BTreeMap::new();
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        for id in emptied(&mut draining, &snapshot) {
            parts.registry.note(&parts.set, EventKind::Drained { instance: id.into() }, &parts.by).await;
        }
        let due = due(&mut overdue, &snapshot);
        if !due.is_empty()
            && let Err(error) = pass(parts, &mut overdue, due, snapshot.tick).await
        {
            tracing::debug!(set = %parts.set, %error, "the keeper cannot move clients");
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

/// Those that are past the deadline of their drain, not empty, and not tried just now. Forgets the drains that ended.
fn due(overdue: &mut BTreeMap<InstanceId, Overdue>, snapshot: &Snapshot) -> BTreeSet<InstanceId> {
    let tick = snapshot.tick;
    let ledger = |id: &InstanceId| snapshot.instances.get(id).and_then(|seen| seen.ledger.as_ref());
    let over = |ledger: &LedgerRecord| {
        ledger.state == LedgerState::Draining && ledger.move_at.is_some_and(|at| Tick(at) <= tick)
    };
    overdue.retain(|id, _| ledger(id).is_some_and(over));
    // Nothing is waited for longer than that, also where the store was put back to an earlier time.
    let waits = |one: &Overdue| tick < one.next && one.next.0 <= tick.0.saturating_add(AGAIN_TICKS);
    let due = snapshot.instances.keys().filter(|id| {
        ledger(id).is_some_and(|ledger| over(ledger) && ledger.charged_milli > 0)
            && !overdue.get(*id).is_some_and(waits)
    });
    due.cloned().collect()
}

/// Those that were draining with clients and are without now, each once a drain. `draining` remembers who was seen so,
/// and of whom it was said.
fn emptied(draining: &mut BTreeMap<InstanceId, bool>, snapshot: &Snapshot) -> Vec<InstanceId> {
    let mut emptied = Vec::new();
    for (id, seen) in &snapshot.instances {
        let Some(ledger) = seen.ledger.as_ref().filter(|ledger| ledger.state == LedgerState::Draining) else {
            draining.remove(id);
            continue;
        };
        if ledger.charged_milli > 0 {
            draining.entry(id.clone()).or_insert(false);
        } else if let Some(said) = draining.get_mut(id).filter(|said| !**said) {
            *said = true;
            emptied.push(id.clone());
        }
    }
    emptied
}

/// Tries to move everybody who is charged at one of these, and says who stays.
async fn pass(
    parts: &Parts,
    overdue: &mut BTreeMap<InstanceId, Overdue>,
    due: BTreeSet<InstanceId>,
    tick: Tick,
) -> Result<(), crate::Error> {
    let mut moves = Moves::new(parts, &due);
    let known = |id: &InstanceId| overdue.get(id).filter(|one| !one.left.is_empty() && tick < one.read_at);
    let unread: BTreeSet<InstanceId> = due.iter().filter(|id| known(id).is_none()).cloned().collect();
    for (id, one) in due.iter().filter_map(|id| Some((id, known(id)?))) {
        for client in &one.left {
            moves.shift(id, client).await;
        }
    }
    let mut after = None;
    while !unread.is_empty() {
        let page = parts.registry.clients(&parts.set, after.as_ref(), PAGE).await?;
        for (client, stored) in page.clients {
            if stored.record.phase.is_charged() && unread.contains(&stored.record.home) {
                moves.shift(&stored.record.home, &client).await;
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for (id, tally) in moves.end().await {
        let one = overdue.entry(id.clone()).or_default();
        one.next = Tick(tick.0.saturating_add(AGAIN_TICKS));
        if tally.left.len() >= LEFT_KEPT {
            one.read_at = tick;
        } else if unread.contains(&id) {
            one.read_at = Tick(tick.0.saturating_add(READ_AGAIN_TICKS));
        }
        report(parts, one, id, &tally).await;
        one.left = tally.left;
    }
    Ok(())
}

/// Moves that are on their way, and what those that ended came to.
struct Moves {
    placer: Placer,
    certain_to_leave: bool,
    running: JoinSet<(InstanceId, ClientKey, Outcome)>,
    tallies: BTreeMap<InstanceId, Tally>,
}

impl Moves {
    fn new(parts: &Parts, due: &BTreeSet<InstanceId>) -> Moves {
        // A gateway that carries a client's connections closes them when it hears of the move, and the placer asks the
        // others to leave where the set says how.
        let makes_leave =
            |settings: Box<StickySettings>| settings.presence == Presence::Connection || settings.evict.is_some();
        Moves {
            placer: parts.placer.clone(),
            certain_to_leave: parts.settings().is_some_and(makes_leave),
            running: JoinSet::new(),
            tallies: due.iter().map(|id| (id.clone(), Tally::default())).collect(),
        }
    }

    /// Begins to move a client off `from`, as soon as not too many are on their way.
    async fn shift(&mut self, from: &InstanceId, client: &ClientKey) {
        if self.running.len() >= AT_ONCE {
            let ended = self.running.join_next().await;
            self.count(ended);
        }
        let (placer, certain_to_leave) = (self.placer.clone(), self.certain_to_leave);
        let (from, client) = (from.clone(), client.clone());
        self.running.spawn(async move {
            let outcome = shift(&placer, certain_to_leave, &from, client.clone()).await;
            (from, client, outcome)
        });
    }

    fn count(&mut self, ended: Option<Result<(InstanceId, ClientKey, Outcome), tokio::task::JoinError>>) {
        let Some(Ok((home, client, outcome))) = ended else { return };
        let Some(tally) = self.tallies.get_mut(&home) else { return };
        match outcome {
            Outcome::Moved => return,
            Outcome::Connected => tally.connected += 1,
            Outcome::NoRoom => tally.no_room += 1,
            Outcome::Later => {}
        }
        if tally.left.len() < LEFT_KEPT {
            tally.left.insert(client);
        }
    }

    async fn end(mut self) -> BTreeMap<InstanceId, Tally> {
        while let Some(ended) = self.running.join_next().await {
            self.count(Some(ended));
        }
        self.tallies
    }
}

/// Moves one client, if it is there still and its home is still to be emptied.
async fn shift(placer: &Placer, certain_to_leave: bool, from: &InstanceId, client: ClientKey) -> Outcome {
    let wish = Wish::Move { from: Some(from.clone()), to: None, reason: Reason::Drained, certain_to_leave };
    match placer.ask(client, wish).await {
        Ok(_) | Err(PlaceError::Refused(Refusal::NoClient)) => Outcome::Moved,
        Err(PlaceError::Refused(Refusal::Connected { .. })) => Outcome::Connected,
        Err(PlaceError::Refused(_)) => Outcome::NoRoom,
        Err(PlaceError::Unavailable(_) | PlaceError::Busy | PlaceError::Books(_)) => Outcome::Later,
    }
}

/// Says who stays, the first time and whenever they are half as many: the numbers change with every client that goes,
/// and the log has room for more than one drain.
async fn report(parts: &Parts, one: &mut Overdue, id: InstanceId, tally: &Tally) {
    let (connected, no_room) = (tally.connected, tally.no_room);
    let stay = connected + no_room;
    if stay == 0 || one.said.is_some_and(|said| stay > said / 2) {
        return;
    }
    one.said = Some(stay);
    let kind = EventKind::DrainWaits { instance: id.into(), connected, no_room };
    parts.registry.note(&parts.set, kind, &parts.by).await;
}
