//! Drains: at its deadline those who are charged at an instance are moved, and when nobody is any more, an event says
//! so. Who cannot be moved is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steadfast_core::InstanceId;
use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Reason, Refusal, Tick, Wish};
use steadfast_core::settings::{Presence, StickySettings};
use tokio::task::JoinSet;

use super::Parts;
use crate::{EventKind, LedgerState, PlaceError, Placer, Snapshot};

/// Moves at once.
const AT_ONCE: usize = 64;
/// Clients read at once while those to be moved are looked for.
const PAGE: usize = 1_024;
/// So many ticks after those who could not be moved were tried, they are tried again.
const AGAIN_TICKS: u64 = 6;
/// How long to wait with a store that does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// What one client's move came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Moved,
    /// It is connected, and nothing makes it leave.
    Connected,
    /// Nobody has room for it.
    NoRoom,
    /// The store, or the record: once more later.
    Later,
}

/// What one pass over an instance's clients came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    moved: u64,
    connected: u64,
    no_room: u64,
}

pub(super) async fn run(parts: &Parts) {
    let mut snapshots = parts.mirror.subscribe();
    // Who was seen draining with clients, and who was said to wait, with what numbers.
    let mut draining = BTreeSet::new();
    let mut told: BTreeMap<InstanceId, Tally> = BTreeMap::new();
    let mut next = Tick(0);
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        for id in emptied(&mut draining, &snapshot) {
            told.remove(&id);
            parts.registry.note(&parts.set, EventKind::Drained { instance: id.into() }, &parts.by).await;
        }
        let due = due(&snapshot);
        told.retain(|id, _| due.contains(id));
        if !due.is_empty() && (snapshot.tick >= next || due.iter().any(|id| !told.contains_key(id))) {
            match pass(parts, &due).await {
                Ok(tallies) => {
                    for (id, tally) in tallies {
                        report(parts, &mut told, id, tally).await;
                    }
                    next = Tick(snapshot.tick.0 + AGAIN_TICKS);
                }
                Err(error) => {
                    tracing::debug!(set = %parts.set, %error, "the keeper cannot move clients");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

/// Those that are past the deadline of their drain and not empty.
fn due(snapshot: &Snapshot) -> BTreeSet<InstanceId> {
    let instances = snapshot.instances.iter().filter(|(_, seen)| {
        seen.ledger.as_ref().is_some_and(|ledger| {
            let over = ledger.move_at.is_some_and(|at| Tick(at) <= snapshot.tick);
            ledger.state == LedgerState::Draining && over && ledger.charged_milli > 0
        })
    });
    instances.map(|(id, _)| id.clone()).collect()
}

/// Those that were draining with clients and are without now.
fn emptied(draining: &mut BTreeSet<InstanceId>, snapshot: &Snapshot) -> Vec<InstanceId> {
    let mut emptied = Vec::new();
    for (id, seen) in &snapshot.instances {
        let Some(ledger) = seen.ledger.as_ref().filter(|ledger| ledger.state == LedgerState::Draining) else {
            draining.remove(id);
            continue;
        };
        if ledger.charged_milli > 0 {
            draining.insert(id.clone());
        } else if draining.remove(id) {
            emptied.push(id.clone());
        }
    }
    emptied
}

/// Tries to move everybody who is charged at one of these.
async fn pass(parts: &Parts, due: &BTreeSet<InstanceId>) -> Result<BTreeMap<InstanceId, Tally>, crate::Error> {
    let mut tallies: BTreeMap<InstanceId, Tally> = due.iter().map(|id| (id.clone(), Tally::default())).collect();
    // A gateway that carries a client's connections closes them when it hears of the move, and the placer asks the
    // others to leave where the set says how.
    let makes_leave =
        |settings: Box<StickySettings>| settings.presence == Presence::Connection || settings.evict.is_some();
    let certain_to_leave = parts.settings().is_some_and(makes_leave);
    let mut after = None;
    let mut moves = JoinSet::new();
    loop {
        let page = parts.registry.clients(&parts.set, after.as_ref(), PAGE).await?;
        for (client, stored) in page.clients {
            let placement = stored.record;
            if !placement.phase.is_charged() || !due.contains(&placement.home) {
                continue;
            }
            if moves.len() >= AT_ONCE {
                count(&mut tallies, moves.join_next().await);
            }
            let placer = parts.placer.clone();
            moves.spawn(async move { (placement.home, shift(&placer, certain_to_leave, client).await) });
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    while let Some(ended) = moves.join_next().await {
        count(&mut tallies, Some(ended));
    }
    Ok(tallies)
}

fn count(
    tallies: &mut BTreeMap<InstanceId, Tally>,
    ended: Option<Result<(InstanceId, Outcome), tokio::task::JoinError>>,
) {
    let Some(Ok((home, outcome))) = ended else { return };
    let Some(tally) = tallies.get_mut(&home) else { return };
    match outcome {
        Outcome::Moved => tally.moved += 1,
        Outcome::Connected => tally.connected += 1,
        Outcome::NoRoom => tally.no_room += 1,
        Outcome::Later => {}
    }
}

/// Moves one client.
async fn shift(placer: &Placer, certain_to_leave: bool, client: ClientKey) -> Outcome {
    let wish = Wish::Move { to: None, reason: Reason::Drained, certain_to_leave };
    match placer.ask(client, wish).await {
        Ok(_) | Err(PlaceError::Refused(Refusal::NoClient)) => Outcome::Moved,
        Err(PlaceError::Refused(Refusal::Connected { .. })) => Outcome::Connected,
        Err(PlaceError::Refused(_)) => Outcome::NoRoom,
        Err(PlaceError::Unavailable(_) | PlaceError::Busy | PlaceError::Books(_)) => Outcome::Later,
    }
}

/// Says who stays, where that is news.
async fn report(parts: &Parts, told: &mut BTreeMap<InstanceId, Tally>, id: InstanceId, tally: Tally) {
    let stays = Tally { moved: 0, ..tally };
    let before = told.insert(id.clone(), stays);
    let Tally { connected, no_room, .. } = stays;
    if stays == Tally::default() || before == Some(stays) {
        return;
    }
    let kind = EventKind::DrainWaits { instance: id.into(), connected, no_room };
    parts.registry.note(&parts.set, kind, &parts.by).await;
}
