//! Those who wait: how many, how long, and what if they hang up.

use std::time::Duration;

use steadfast_registry::{PlaceError, PlacerBounds};
use steadfast_store::faulty::{Call, Fault};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn more_than_may_wait_are_told_so_at_once() {
    let ground = in_memory(&[("rec-1", "100")]).await;
    let placer = ground.placer_with("gateway", PlacerBounds { waiting: 4, within: SOON });
    placer.ask(key("cam-0"), arrive("1")).await.unwrap();
    ground.control.next(Call::Commit, Fault::Delay(Duration::from_millis(500)));
    let asks = (1..=10).map(|client| (placer.clone(), key(&format!("cam-{client}")), arrive("1"))).collect();
    let answers = ask_all(asks).await;
    let busy = answers.iter().filter(|(_, answer)| *answer == Err(PlaceError::Busy)).count();
    assert_eq!(busy, 6);
    assert_eq!(homes(&answers.into_iter().filter(|(_, answer)| answer.is_ok()).collect::<Vec<_>>()).len(), 4);
    placer.ask(key("cam-11"), arrive("1")).await.unwrap();
    ground.agrees(6).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_up_disturbs_nobody() {
    let ground = in_memory(&[("rec-1", "100")]).await;
    let placer = ground.placer("gateway");
    placer.ask(key("cam-0"), arrive("1")).await.unwrap();
    ground.control.next(Call::Commit, Fault::Delay(Duration::from_millis(300)));
    let first = {
        let placer = placer.clone();
        tokio::spawn(async move { placer.ask(key("cam-1"), arrive("1")).await })
    };
    let hasty = tokio::time::timeout(Duration::from_millis(50), placer.ask(key("cam-2"), arrive("1"))).await;
    assert!(hasty.is_err(), "it did not wait");
    placer.ask(key("cam-3"), arrive("1")).await.unwrap();
    first.await.unwrap().unwrap();
    assert!(ground.client("cam-3").await.is_some());
    assert_eq!(ground.registry.verify(&ground.set).await.unwrap().faults, []);
}

/// A process of its own, as far as tasks go, that is gone as soon as it has called the store for 50 clients.
fn short_life(ground: &Ground, life: usize, fault: Fault) {
    let process = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    process.block_on(async {
        let placer = ground.placer("gateway");
        placer.ask(key("cam-0"), arrive("1")).await.unwrap();
        ground.control.next(Call::Commit, fault);
        let before = ground.control.calls();
        for client in 0..50 {
            let placer = placer.clone();
            tokio::spawn(async move { placer.ask(key(&format!("cam-{life}-{client}")), arrive("1")).await });
        }
        while ground.control.calls() == before {
            tokio::task::yield_now().await;
        }
    });
    process.shutdown_background();
}

#[tokio::test]
async fn a_process_that_dies_in_the_middle_of_a_batch_leaves_books_that_agree() {
    let ground = in_memory(&[("rec-1", "1000"), ("rec-2", "1000")]).await;
    for (life, fault) in [Fault::HangDone, Fault::Hang, Fault::HangDone].into_iter().enumerate() {
        let of_the_process = ground.clone();
        tokio::task::spawn_blocking(move || short_life(&of_the_process, life, fault)).await.unwrap();
        assert_eq!(ground.truth.verify(&ground.set).await.unwrap().faults, []);
    }
}

#[tokio::test]
async fn a_suspended_instance_gets_no_new_clients_from_here_and_keeps_its_own() {
    let ground = in_memory(&[("rec-1", "100"), ("rec-2", "100")]).await;
    let placer = ground.placer("gateway");
    let own = placer.ask(key("cam-0"), arrive("1")).await.unwrap().client.unwrap().record.home;
    placer.suspend(&own, SOON);
    for n in 1..5 {
        let placed = placer.ask(key(&format!("cam-{n}")), arrive("1")).await.unwrap();
        assert_ne!(placed.client.unwrap().record.home, own);
    }
    let again = placer.ask(key("cam-0"), arrive("1")).await.unwrap();
    assert_eq!(again.client.unwrap().record.home, own);
    ground.agrees(5).await;
}

#[tokio::test]
async fn a_set_that_is_not_there_places_nobody_and_says_so() {
    let mut ground = in_memory(&[]).await;
    ground.set = "other".parse().unwrap();
    let answer = ground.placer("gateway").ask(key("cam-0"), arrive("1")).await;
    assert_eq!(answer, Err(PlaceError::Books("there is no set other in the store".into())));
}
