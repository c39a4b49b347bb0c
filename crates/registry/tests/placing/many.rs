//! Many placers, many clients, one table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast_core::client::ClientKey;
use steadfast_core::placement::Wish;
use steadfast_registry::{PlaceError, Placed, Placer};
use steadfast_store::faulty::{Fault, Plan};
use steadfast_store::{Limits, Memory, Sqlite, Store};

use crate::support::*;

const CAPACITIES: [(&str, &str); 4] = [("rec-1", "1000"), ("rec-2", "500"), ("rec-3", "2000"), ("rec-4", "700")];

fn everybody(placers: &[Placer], clients: usize) -> Vec<(Placer, ClientKey, Wish)> {
    let each = |client: usize| {
        let said = format!("{}", client % 3 + 1);
        placers.iter().map(move |placer| (placer.clone(), key(&format!("cam-{client}")), arrive(&said)))
    };
    (0..clients).flat_map(each).collect()
}

#[tokio::test]
async fn many_placers_that_place_one_client_at_once_give_it_one_home() {
    let ground = in_memory(&CAPACITIES).await;
    let placers: Vec<Placer> = (0..8).map(|n| ground.placer(&format!("gateway-{n}"))).collect();
    let asks = placers.iter().map(|placer| (placer.clone(), key("cam-1"), arrive("8"))).collect();
    let answers = ask_all(asks).await;
    assert_eq!(homes(&answers).len(), 1);
    assert_eq!(answers.iter().filter(|(_, answer)| answer.as_ref().unwrap().wrote).count(), 1);
    ground.agrees(1).await;
}

#[tokio::test]
async fn asks_of_one_client_that_wait_together_share_one_answer() {
    let ground = in_memory(&CAPACITIES).await;
    let placer = ground.placer("gateway");
    placer.ask(key("cam-0"), arrive("1")).await.unwrap();
    let asks = (0..30).map(|n| (placer.clone(), key("cam-1"), arrive(if n % 2 == 0 { "8" } else { "4" })));
    let answers = ask_all(asks.collect()).await;
    assert_eq!(homes(&answers).len(), 1);
    let now = ground.truth.client(&ground.set, &key("cam-1")).await.unwrap().unwrap();
    let newest =
        answers.iter().filter_map(|(_, answer)| answer.as_ref().unwrap().client.clone()).max_by_key(|one| one.version);
    assert_eq!(newest, Some(now));
    ground.agrees(2).await;
}

#[tokio::test]
async fn who_is_moved_and_forgotten_and_comes_again_at_once_gets_each_answer_of_its_own() {
    let ground = in_memory(&CAPACITIES).await;
    let placer = ground.placer("gateway");
    let first = placer.ask(key("cam-1"), arrive("1")).await.unwrap().client.unwrap().record;
    let wishes = [move_by_operator(None), Wish::Forget, arrive("2")];
    let answers = ask_all(wishes.map(|wish| (placer.clone(), key("cam-1"), wish)).into()).await;
    let [moved, forgotten, back] = answers.as_slice() else { panic!("{answers:?}") };
    let of = |answer: &(ClientKey, Result<Placed, PlaceError>)| answer.1.as_ref().unwrap().client.clone();
    assert_ne!(of(moved).unwrap().record.home, first.home);
    assert_eq!(of(forgotten), None);
    assert_eq!(of(back).unwrap().record.weight, weight("2"));
    ground.agrees(1).await;
}

#[tokio::test]
async fn two_placers_asked_of_500_clients_at_once_say_the_same_of_each() {
    let ground = in_memory(&CAPACITIES).await;
    let placers = [ground.placer("gateway-1"), ground.placer("gateway-2")];
    let answers = ask_all(everybody(&placers, 500)).await;
    assert_eq!(homes(&answers).len(), 500);
    ground.agrees(500).await;
}

#[tokio::test]
async fn the_same_over_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path().join("state.db")).unwrap();
    let ground = ground(Arc::new(store), &CAPACITIES).await;
    let placers = [ground.placer("gateway-1"), ground.placer("gateway-2")];
    let answers = ask_all(everybody(&placers, 300)).await;
    assert_eq!(homes(&answers).len(), 300);
    ground.agrees(300).await;
}

#[tokio::test]
async fn whatever_the_store_does_everybody_who_is_answered_hears_the_same_and_nobody_is_charged_twice() {
    let ground = in_memory(&CAPACITIES).await;
    let placers: Vec<Placer> = (0..3).map(|n| ground.placer(&format!("gateway-{n}"))).collect();
    // Once so that the mirrors are complete: the faults then meet placements.
    homes(&ask_all(everybody(&placers, 1)).await);
    for seed in 0..6 {
        ground.control.plan(Plan {
            seed,
            refuse_percent: 5,
            lose_reply_percent: 30,
            cut_watch_percent: 5,
            ..Plan::default()
        });
        let answers = ask_all(everybody(&placers, 60 + seed as usize)).await;
        let answered: Vec<_> = answers.into_iter().filter(|(_, answer)| answer.is_ok()).collect();
        let told = homes(&answered);
        ground.control.heal();
        for (client, home) in told {
            let found = ground.registry.client(&ground.set, &client).await.unwrap().unwrap();
            assert_eq!(found.record.home, home, "{client} was told another home than the books say");
        }
        assert_eq!(ground.registry.verify(&ground.set).await.unwrap().faults, []);
    }
    homes(&ask_all(everybody(&placers, 70)).await);
    ground.agrees(70).await;
}

#[tokio::test]
async fn more_than_a_batch_holds_is_placed_in_several() {
    let ground = in_memory(&[("rec-1", "5000"), ("rec-2", "5000")]).await;
    let placer = ground.placer("gateway-1");
    let answers = ask_all(everybody(&[placer], 3_000)).await;
    assert_eq!(homes(&answers).len(), 3_000);
    ground.agrees(3_000).await;
}

#[tokio::test]
async fn a_set_is_filled_to_the_last_unit_and_no_further_however_many_ask() {
    let ground = in_memory(&[("rec-1", "40"), ("rec-2", "60")]).await;
    let placers: Vec<Placer> = (0..4).map(|n| ground.placer(&format!("gateway-{n}"))).collect();
    let asks = (0..200).map(|client| (placers[client % 4].clone(), key(&format!("cam-{client}")), arrive("1")));
    let answers = ask_all(asks.collect()).await;
    let placed = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    assert_eq!(placed, 100);
    for (_, answer) in answers.iter().filter(|(_, answer)| answer.is_err()) {
        assert!(matches!(answer, Err(PlaceError::Refused(refusal)) if refusal.reason() == "no-room"), "{answer:?}");
    }
    ground.agrees(100).await;
}

#[tokio::test]
async fn nobody_is_refused_by_what_a_mirror_that_lags_shows() {
    let ground = in_memory(&[("rec-1", "10")]).await;
    ground.truth.place_once(&ground.set, key("large"), arrive("10"), "other").await.unwrap();
    let placer = ground.placer("gateway");
    let full = placer.ask(key("cam-1"), arrive("5")).await;
    assert!(matches!(&full, Err(PlaceError::Refused(refusal)) if refusal.reason() == "no-room"), "{full:?}");
    ground.deafen();
    ground.truth.place_once(&ground.set, key("large"), Wish::Forget, "other").await.unwrap();
    placer.ask(key("cam-1"), arrive("5")).await.unwrap();
    ground.agrees(1).await;
}

#[tokio::test]
async fn a_store_without_room_for_many_changes_takes_many_batches() {
    let small = Altered::new(Arc::new(Memory::new()), Limits { operations: 8, bytes: 4_096, name_bytes: 512 });
    let ground = ground(Arc::new(small), &CAPACITIES).await;
    let placers = [ground.placer("gateway-1"), ground.placer("gateway-2")];
    let answers = ask_all(everybody(&placers, 40)).await;
    assert_eq!(homes(&answers).len(), 40);
    ground.agrees(40).await;
}

#[tokio::test]
async fn when_the_store_is_put_back_to_an_older_copy_placing_goes_on_by_what_that_holds() {
    let limits = Memory::new().limits();
    let older = ground(Arc::new(Memory::new()), &CAPACITIES).await;
    older.placer("gateway").ask(key("cam-0"), arrive("1")).await.unwrap();
    let store = Arc::new(Altered::new(Arc::new(Memory::new()), limits));
    let ground = ground(store.clone(), &CAPACITIES).await;
    let placers = [ground.placer("gateway-1"), ground.placer("gateway-2")];
    homes(&ask_all(everybody(&placers, 50)).await);
    for client in 0..20 {
        placers[0].ask(key(&format!("cam-{client}")), move_by_operator(None)).await.unwrap();
    }
    store.exchange(older.truth.store().clone());
    let answers = ask_all(everybody(&placers, 50)).await;
    assert_eq!(homes(&answers).len(), 50);
    ground.agrees(50).await;
}

#[tokio::test]
async fn a_placer_far_from_the_store_gets_its_turn_beside_one_that_is_near_and_never_idle() {
    // Without turns, the first of these rounds never ends.
    const ROUNDS: u64 = 20;
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let ground = ground(store, &CAPACITIES.map(|(id, _)| (id, "1000000"))).await;
    let near = Ground { registry: ground.truth.clone(), ..ground.clone() }.placer("near");
    ground.control.always(Fault::Delay(Duration::from_millis(2)));
    let far = ground.placer("far");
    far.ask(key("cam-far"), arrive("1")).await.unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let callers = (0..512).map(|caller| {
        let (near, ended) = (near.clone(), ended.clone());
        tokio::spawn(async move {
            let mut placed = 0;
            while !ended.load(Ordering::Relaxed) {
                near.ask(key(&format!("near-{caller}-{placed}")), arrive("1")).await.unwrap();
                placed += 1;
            }
            placed
        })
    });
    let callers: Vec<_> = callers.collect();
    for round in 0..ROUNDS {
        let asks = (0..64).map(|n| (far.clone(), key(&format!("far-{round}-{n}")), arrive("1"))).collect();
        assert_eq!(homes(&ask_all(asks).await).len(), 64);
    }
    ended.store(true, Ordering::Relaxed);
    let mut placed = 0;
    for caller in callers {
        placed += caller.await.unwrap();
    }
    assert!(placed > 0);
    ground.agrees(placed + 1 + ROUNDS * 64).await;
}
