//! One placer, and a store that loses replies, records and patience.

use std::time::Duration;

use steadfast_core::client::Labels;
use steadfast_core::placement::{Phase, Tick, Wish};
use steadfast_registry::{LedgerState, Mirror, PlaceError, Placed, Placer, PlacerBounds};
use steadfast_store::faulty::{Call, Fault};
use steadfast_store::{Batch, Expect, Key, Write};

use crate::support::*;

const TWO: [(&str, &str); 2] = [("rec-1", "100"), ("rec-2", "100")];

#[tokio::test]
async fn a_placement_whose_reply_was_lost_is_found_by_one_read() {
    let ground = in_memory(&TWO).await;
    let placer = ground.placer("gateway");
    placer.ask(key("cam-1"), arrive("8")).await.unwrap();
    ground.control.next(Call::Commit, Fault::LoseReply);
    let placed = placer.ask(key("cam-2"), arrive("8")).await.unwrap();
    assert!(placed.wrote, "it happened, and the batch's mark shows it");
    ground.agrees(2).await;
}

#[tokio::test]
async fn what_did_not_happen_though_nobody_said_so_is_done_again() {
    let ground = in_memory(&TWO).await;
    let bounds = PlacerBounds { within: Duration::from_secs(2), ..BOUNDS };
    let placer = ground.placer_with("gateway", bounds);
    insist(&placer, "cam-1", arrive("8")).await;
    ground.control.next(Call::Commit, Fault::Hang);
    let late = placer.ask(key("cam-2"), arrive("8")).await;
    assert!(matches!(late, Err(PlaceError::Unavailable(_))), "{late:?}");
    insist(&placer, "cam-2", arrive("8")).await;
    ground.agrees(2).await;
}

#[tokio::test]
async fn a_commit_that_happens_after_everybody_gave_up_is_one_placement_like_any_other() {
    let ground = in_memory(&TWO).await;
    let placer = ground.placer_with("gateway", PlacerBounds { within: Duration::from_millis(300), ..BOUNDS });
    insist(&placer, "cam-1", arrive("8")).await;
    ground.control.next(Call::Commit, Fault::HangLate(Duration::from_millis(100)));
    let late = placer.ask(key("cam-2"), arrive("8")).await;
    assert!(matches!(late, Err(PlaceError::Unavailable(_))), "{late:?}");
    let patient = ground.placer("gateway");
    let placed = patient.ask(key("cam-2"), arrive("8")).await.unwrap().client.unwrap();
    // Whichever came first: the other one found it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(ground.client("cam-2").await.unwrap(), placed.record);
    ground.agrees(2).await;
}

/// Makes a change whose reply is lost, and has others write over the marks it left before anybody looks for them.
async fn overwritten(ground: &Ground, placer: &Placer, client: &str, wish: Wish) -> Placed {
    let asked = unseen(ground, placer, client, wish).await;
    write_over_marks(ground).await;
    asked.await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_move_that_happened_unseen_is_not_done_twice() {
    let ground = in_memory(&THREE).await;
    let placer = ground.placer("gateway");
    placer.ask(key("cam-1"), arrive("8")).await.unwrap();
    let before = ground.client("cam-1").await.unwrap();
    let placed = overwritten(&ground, &placer, "cam-1", move_by_operator(None)).await;
    let after = ground.client("cam-1").await.unwrap();
    assert_eq!(after.owner_epoch, before.owner_epoch.next());
    assert_eq!((placed.client.unwrap().record, placed.wrote), (after, true));
    ground.agrees(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_forgotten_unseen_is_not_unknown_to_who_had_it_forgotten() {
    let ground = in_memory(&THREE).await;
    let placer = ground.placer("operator");
    placer.ask(key("cam-1"), arrive("8")).await.unwrap();
    let forgotten = overwritten(&ground, &placer, "cam-1", Wish::Forget).await;
    assert_eq!((forgotten.client, forgotten.wrote), (None, true));
    ground.agrees(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_placement_that_happened_unseen_is_charged_once() {
    let ground = in_memory(&THREE).await;
    let placer = ground.placer("gateway");
    placer.ask(key("cam-0"), arrive("8")).await.unwrap();
    let placed = overwritten(&ground, &placer, "cam-1", arrive("8")).await;
    assert_eq!(placed.client.unwrap().record, ground.client("cam-1").await.unwrap());
    ground.agrees(5).await;
}

#[tokio::test]
async fn a_claim_touches_no_ledger_and_is_settled_all_the_same_when_its_reply_is_lost() {
    let ground = ground_with(std::sync::Arc::new(steadfast_store::Memory::new()), &TWO, |sticky| {
        sticky.presence = steadfast_core::settings::Presence::Report;
    })
    .await;
    let placer = ground.placer("agent");
    placer.ask(key("cam-1"), arrive("8")).await.unwrap();
    let reserved = ground.client("cam-1").await.unwrap();
    assert_eq!(reserved.phase, Phase::Reserved);
    ground.control.next(Call::Commit, Fault::LoseReply);
    let claimed = placer.ask(key("cam-1"), Wish::Report { at: reserved.home.clone(), weight: None }).await.unwrap();
    assert!(claimed.wrote);
    assert_eq!(claimed.client.unwrap().record.phase, Phase::Active);
    ground.agrees(1).await;
}

#[tokio::test]
async fn while_the_store_is_away_nothing_is_accepted_and_then_all_is_well_again() {
    let ground = in_memory(&TWO).await;
    let placer = ground.placer("gateway");
    placer.ask(key("cam-1"), arrive("8")).await.unwrap();
    ground.control.always(Fault::Refuse);
    let refused = placer.ask(key("cam-2"), arrive("8")).await;
    assert!(matches!(refused, Err(PlaceError::Unavailable(_))), "{refused:?}");
    ground.control.heal();
    placer.ask(key("cam-2"), arrive("8")).await.unwrap();
    ground.agrees(2).await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_spoils_one_answer_of_a_batch() {
    let ground = in_memory(&TWO).await;
    let placer = ground.placer("gateway");
    let poisoned = Key::new(ground.space(), "client/cam-7");
    let batch = Batch::one(poisoned, Expect::Absent, Write::Put("not a record".into(), None));
    ground.registry.store().commit(batch, SOON).await.unwrap();
    let asks = (0..20).map(|client| (placer.clone(), key(&format!("cam-{client}")), arrive("1"))).collect();
    let answers = ask_all(asks).await;
    for (client, answer) in &answers {
        match answer {
            Err(PlaceError::Books(why)) => assert!(*client == key("cam-7") && why.contains("cam-7"), "{client}: {why}"),
            other => assert!(*client != key("cam-7") && other.is_ok(), "{client}: {other:?}"),
        }
    }
    let page = ground.registry.clients(&ground.set, None, 100).await.unwrap();
    assert_eq!((page.clients.len(), page.unreadable.len(), page.next), (19, 1, None));
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_nobodys_home_and_its_clients_are_not_moved_off_it() {
    let ground = in_memory(&TWO).await;
    let placer = ground.placer("gateway");
    let placed = placer.ask(key("cam-1"), arrive("8")).await.unwrap();
    let home = placed.client.unwrap().record.home;
    let ledger = Key::new(ground.space(), format!("ledger/{home}"));
    let version = ground.registry.store().read(&ledger, SOON).await.unwrap().unwrap().version;
    let batch = Batch::one(ledger, Expect::Version(version), Write::Put("not a record".into(), None));
    ground.registry.store().commit(batch, SOON).await.unwrap();
    for n in 2..6 {
        let placed = placer.ask(key(&format!("cam-{n}")), arrive("8")).await.unwrap();
        assert_ne!(placed.client.unwrap().record.home, home);
    }
    let moved = placer.ask(key("cam-1"), move_by_operator(None)).await;
    assert!(matches!(&moved, Err(PlaceError::Books(why)) if why.contains(home.as_str())), "{moved:?}");
}

#[tokio::test]
async fn what_another_process_changed_is_learnt_from_the_conflict_whatever_the_mirror_shows() {
    let ground = in_memory(&[("rec-1", "10"), ("rec-2", "10")]).await;
    let placer = ground.placer("gateway");
    placer.ask(key("cam-1"), arrive("1")).await.unwrap();
    // The mirror stands still from here on, and new watches do not come about.
    for _ in 0..64 {
        ground.control.next(Call::Watch, Fault::Refuse);
    }
    ground.control.cut_watches();
    ground.registry.drain(&ground.set, &id("rec-1"), None, "operator").await.unwrap();
    for n in 2..6 {
        let placed = placer.ask(key(&format!("cam-{n}")), arrive("1")).await.unwrap();
        assert_eq!(placed.client.unwrap().record.home, id("rec-2"), "a drain is in the ledger, and so in the commit");
    }
    ground.registry.set_state(&ground.set, &id("rec-2"), None, LedgerState::Gone, "rec-2").await.unwrap();
    let nowhere = placer.ask(key("cam-9"), arrive("1")).await;
    assert!(matches!(&nowhere, Err(PlaceError::Refused(_))), "{nowhere:?}");
}

#[tokio::test]
async fn one_ask_without_a_running_placer_is_decided_like_any_other() {
    let ground = in_memory(&TWO).await;
    let place = |client: &str, wish| ground.registry.place_once(&ground.set, key(client), wish, "operator");
    let placed = place("cam-1", arrive("8")).await.unwrap();
    assert!(placed.wrote);
    assert_eq!(place("cam-1", arrive("8")).await.unwrap().client, placed.client);
    let home = placed.client.unwrap().record.home;
    let other = if home == id("rec-1") { "rec-2" } else { "rec-1" };
    let moved = place("cam-1", move_by_operator(Some(other))).await.unwrap();
    assert_eq!(moved.client.unwrap().record.home, id(other));
    let events = ground.registry.events(&ground.set, 0).await.unwrap();
    assert!(format!("{events:?}").contains("ClientMoved"), "{events:?}");
    let heavy = place("cam-2", arrive("101")).await;
    assert!(matches!(&heavy, Err(PlaceError::Refused(refusal)) if refusal.reason() == "too-heavy"), "{heavy:?}");
    place("cam-1", Wish::Forget).await.unwrap();
    ground.agrees(0).await;
}

#[tokio::test(start_paused = true)]
async fn who_changes_a_ledger_that_others_change_goes_on_from_what_the_conflict_shows() {
    let ground = in_memory(&TWO).await;
    ground.control.next(Call::Commit, Fault::Delay(Duration::from_millis(500)));
    let calls = ground.control.calls();
    let drained = {
        let (registry, set) = (ground.registry.clone(), ground.set.clone());
        tokio::spawn(async move { registry.drain(&set, &id("rec-1"), None, "operator").await })
    };
    // It has read the ledger, and its commit is on its way.
    while ground.control.calls() < calls + 2 {
        tokio::task::yield_now().await;
    }
    let there = Wish::Place { to: Some(id("rec-1")), weight: None, labels: Labels::new() };
    ground.truth.place_once(&ground.set, key("cam-1"), there, "other").await.unwrap();
    // To read it once more would be too slow where it is written all the time.
    ground.control.next(Call::Read, Fault::Refuse);
    assert_eq!(drained.await.unwrap().unwrap(), (LedgerState::Open, LedgerState::Draining));
    ground.agrees(1).await;
}

#[tokio::test]
async fn a_clock_that_cannot_be_read_is_not_the_beginning_of_time() {
    let ground = in_memory(&TWO).await;
    let clock = Key::new(ground.space(), "clock");
    let write = async |expect, text: &'static str| {
        let batch = Batch::one(clock.clone(), expect, Write::Put(text.into(), None));
        Expect::Version(ground.registry.store().commit(batch, SOON).await.unwrap().revision)
    };
    let seven = write(Expect::Absent, r#"{"v":1,"tick":7}"#).await;
    let mirror = Mirror::follow(&ground.registry, &ground.set);
    let placer = ground.placer("gateway");
    placer.ask(key("cam-0"), arrive("1")).await.unwrap();
    write(seven, "not a clock").await;
    let mut snapshots = mirror.subscribe();
    let spoilt = tokio::time::timeout(SOON, snapshots.wait_for(|shown| shown.unusable.contains_key("clock"))).await;
    assert_eq!(spoilt.unwrap().unwrap().tick, Tick(7));
    let refused = async {
        for n in 1.. {
            match placer.ask(key(&format!("cam-{n}")), arrive("0.001")).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => return error,
            }
        }
        unreachable!("it is asked for ever")
    };
    let error = tokio::time::timeout(SOON, refused).await.unwrap();
    assert!(matches!(&error, PlaceError::Books(why) if why.contains("clock")), "{error:?}");
}
