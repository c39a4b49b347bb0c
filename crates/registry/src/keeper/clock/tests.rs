use std::sync::Arc;

use steadfast_core::SetName;
use steadfast_core::placement::Tick;
use steadfast_store::Memory;
use steadfast_store::faulty::{Call, Fault, Faulty};

use super::*;
use crate::keeper::tests::kills;

async fn tick(registry: &Registry, set: &SetName) -> Tick {
    registry.get::<ClockRecord>(&keys::clock(set)).await.unwrap().map(|stored| stored.record.tick()).unwrap_or_default()
}

/// Seen so, so long ago.
fn ago(version: Option<Revision>, span: Duration) -> Observed {
    Some((version, clock::now() - span))
}

#[tokio::test]
async fn time_goes_on_only_after_it_stood_still_for_a_tick() {
    let (registry, set) = (Registry::new(Arc::new(Memory::new())), "recorder".parse().unwrap());
    let (absent, _) = step(&registry, &set, None).await.unwrap();
    assert_eq!((absent, tick(&registry, &set).await), (None, Tick(0)), "whoever comes anew looks first");
    step(&registry, &set, ago(None, Duration::from_secs(2))).await.unwrap();
    assert_eq!(tick(&registry, &set).await, Tick(0));
    let (first, _) = step(&registry, &set, ago(None, Duration::from_secs(5))).await.unwrap();
    assert_eq!(tick(&registry, &set).await, Tick(1));
    // Another keeper, which saw it absent for as long.
    let (seen, since) = step(&registry, &set, ago(None, Duration::from_secs(60))).await.unwrap();
    assert_eq!((seen, tick(&registry, &set).await), (first, Tick(1)));
    assert!(clock::now().since(since) < Duration::from_secs(60), "what changed is observed anew");
    // However long nobody raised it, it is raised by one.
    step(&registry, &set, ago(first, Duration::from_secs(3_600))).await.unwrap();
    assert_eq!(tick(&registry, &set).await, Tick(2));
}

#[tokio::test]
async fn a_tick_whose_reply_was_lost_is_not_raised_again() {
    let faulty = Faulty::new(Arc::new(Memory::new()));
    let control = faulty.control();
    let (registry, set) = (Registry::new(Arc::new(faulty)), "recorder".parse().unwrap());
    control.next(Call::Commit, Fault::LoseReply);
    let observed = ago(None, Duration::from_secs(5));
    step(&registry, &set, observed).await.unwrap_err();
    step(&registry, &set, observed).await.unwrap();
    assert_eq!(tick(&registry, &set).await, Tick(1));
}

/// A keeper that saw the clock stand still meets this fault at this call, and another keeps on. Whether there was such a
/// call.
async fn case(call: Option<Call>, number: u64, fault: Fault) -> bool {
    let at = format!("{fault:?} at {call:?} {number}");
    let (books, set) = (Registry::new(Arc::new(Memory::new())), "recorder".parse().unwrap());
    let (version, _) = step(&books, &set, ago(None, Duration::from_secs(5))).await.unwrap();
    let faulty = Faulty::new(books.store().clone());
    let control = faulty.control();
    control.at(call, number, fault);
    let keeper = Registry::new(Arc::new(faulty));
    tokio::select! {
        _ = step(&keeper, &set, ago(version, Duration::from_secs(5))) => {}
        () = control.died() => {}
    }
    let now = tick(&books, &set).await;
    assert!(now == Tick(1) || now == Tick(2), "{at}: {now}");
    let (seen, _) = step(&books, &set, None).await.unwrap();
    assert_eq!(tick(&books, &set).await, now, "{at}: whoever comes anew looks first");
    step(&books, &set, ago(seen, Duration::from_secs(5))).await.unwrap();
    assert_eq!(tick(&books, &set).await, Tick(now.0 + 1), "{at}");
    tokio::time::sleep(kills::SETTLED).await;
    assert_eq!(tick(&books, &set).await, Tick(now.0 + 1), "{at}: what was late made time run faster");
    !control.waits()
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_at_whatever_step_of_it_a_tick_is_no_shorter() {
    for (call, fault) in kills::FAULTS {
        let mut number = 0;
        while case(call, number, fault).await {
            number += 1;
            assert!(number < kills::MOST_STEPS, "{fault:?}: where does it end?");
        }
        assert!(number >= 1, "{fault:?}: no step was visited");
    }
}
