use std::sync::Arc;

use steadfast_host::clock;
use steadfast_store::Memory;
use tokio::time::Instant;

use super::*;
use crate::Stored;

/// The longest a test waits for what must come.
const SOON: Duration = Duration::from_secs(60);

fn ground() -> (Registry, SetName) {
    (Registry::new(Arc::new(Memory::new())), "recorder".parse().unwrap())
}

/// Somebody asks, knowing what the books say.
async fn asks(turns: &mut Turns, registry: &Registry, set: &SetName, by: &str) -> Stored<TurnRecord> {
    let seen = Snapshot::read(registry, set).await.unwrap();
    asks_by(turns, registry, set, &seen, by).await
}

/// Somebody asks, knowing `seen`. What stands in the books then.
async fn asks_by(
    turns: &mut Turns,
    registry: &Registry,
    set: &SetName,
    seen: &Snapshot,
    by: &str,
) -> Stored<TurnRecord> {
    turns.ask(registry, set, seen, by, clock::now() + SOON).await;
    registry.get::<TurnRecord>(&keys::turn(set)).await.unwrap().unwrap()
}

async fn shows(mirror: &Mirror, version: Revision) {
    let mut snapshots = mirror.subscribe();
    let newest = |snapshot: &Snapshot| snapshot.turn.as_ref().is_some_and(|turn| turn.version >= version);
    snapshots.wait_for(|snapshot| newest(snapshot)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_a_placer_began_costs_it_no_pause_and_what_is_asked_later_one() {
    let (registry, set) = ground();
    let mut far = Turns::default();
    asks(&mut far, &registry, &set, "far").await;
    let mirror = Mirror::follow(&registry, &set);
    let mut near = Turns::default();
    let gives = async |near: &mut Turns| {
        let began = Instant::now();
        near.give(&mirror, Revision::default()).await;
        began.elapsed() >= PAUSE
    };
    assert!(!gives(&mut near).await, "nothing is known yet");
    mirror.complete(SOON).await.unwrap();
    assert!(!gives(&mut near).await, "it was asked before");
    let asked = asks(&mut far, &registry, &set, "far").await;
    shows(&mirror, asked.version).await;
    assert!(gives(&mut near).await);
    assert!(!gives(&mut near).await, "once");
    let own = asks(&mut near, &registry, &set, "near").await;
    shows(&mirror, own.version).await;
    assert!(!gives(&mut near).await, "its own");
}

#[tokio::test]
async fn a_placer_that_looked_only_once_asks_again_although_others_have_asked_since() {
    let (registry, set) = ground();
    let seen = Snapshot::read(&registry, &set).await.unwrap();
    let (mut once, mut other) = (Turns::default(), Turns::default());
    let by = async |turns: &mut Turns| asks_by(turns, &registry, &set, &seen, "once").await.record.by;
    assert_eq!(by(&mut once).await, "once");
    let first = once.asked;
    assert_eq!(by(&mut once).await, "once");
    let stands = registry.get::<TurnRecord>(&keys::turn(&set)).await.unwrap().unwrap();
    assert!(first != once.asked && Some(stands.record.id) == once.asked, "the second one replaced the first");
    asks(&mut other, &registry, &set, "other").await;
    assert_eq!(by(&mut once).await, "other", "who has just asked is not pushed aside");
    assert_eq!(by(&mut once).await, "once");
}
