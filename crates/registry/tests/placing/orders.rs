//! Orders whose outcome nobody knows: whatever comes between, none is carried out twice.

use std::time::Duration;

use steadfast_core::placement::Wish;
use steadfast_host::clock;
use steadfast_registry::{PlaceError, Placed, Placer};
use steadfast_store::faulty::{Call, Fault};

use crate::support::*;

/// Gives an order of `cam-1` that is carried out with its reply lost. Before anybody looks what became of it, the client
/// comes once more with another weight, and others write over the marks that the order left in the ledgers.
async fn overtaken(ground: &Ground, placer: &Placer, order: Wish) -> Result<Placed, PlaceError> {
    placer.ask(key("cam-1"), arrive("8")).await.unwrap();
    let asked = unseen(ground, placer, "cam-1", order).await;
    ground.truth.place_once(&ground.set, key("cam-1"), arrive("9"), "gateway").await.unwrap();
    write_over_marks(ground).await;
    asked.await.unwrap()
}

fn is_left_to_the_asker(answer: &Result<Placed, PlaceError>) -> bool {
    matches!(answer, Err(PlaceError::Unavailable(why)) if why.contains("order again"))
}

#[tokio::test(start_paused = true)]
async fn a_move_that_others_have_written_over_is_not_done_again() {
    let ground = in_memory(&THREE).await;
    let placer = ground.placer("operator");
    let answer = overtaken(&ground, &placer, move_by_operator(None)).await;
    assert!(is_left_to_the_asker(&answer), "{answer:?}");
    let now = ground.client("cam-1").await.unwrap();
    assert_eq!((now.owner_epoch.0, now.weight), (2, weight("9")), "it was moved once");
    ground.agrees(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_came_back_since_is_not_forgotten_again() {
    let ground = in_memory(&THREE).await;
    let placer = ground.placer("operator");
    let answer = overtaken(&ground, &placer, Wish::Forget).await;
    assert!(is_left_to_the_asker(&answer), "{answer:?}");
    assert_eq!(ground.client("cam-1").await.unwrap().weight, weight("9"));
    ground.agrees(4).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_attempts_in_doubt_the_one_that_happened_is_recognized() {
    let ground = in_memory(&THREE).await;
    let placer = ground.placer("operator");
    placer.ask(key("cam-1"), arrive("8")).await.unwrap();
    // The first is carried out while the second hangs.
    ground.control.next(Call::Commit, Fault::HangLate(Duration::from_secs(1)));
    ground.control.next(Call::Commit, Fault::Hang);
    let calls = ground.control.calls();
    let asked = {
        let placer = placer.clone();
        tokio::spawn(async move { placer.ask(key("cam-1"), move_by_operator(None)).await })
    };
    while ground.control.calls() == calls {
        tokio::task::yield_now().await;
    }
    // Two attempts at different times differ by when they say that the move was.
    let first = clock::wall();
    while clock::wall() == first {
        std::thread::yield_now();
    }
    let placed = asked.await.unwrap().unwrap();
    let now = ground.client("cam-1").await.unwrap();
    assert_eq!((now.owner_epoch.0, placed.wrote), (2, true));
    assert_eq!(placed.client.unwrap().record, now);
    let told = async || {
        let events = ground.truth.events(&ground.set, 0).await.unwrap();
        events.iter().filter(|(_, event)| format!("{event:?}").contains("ClientMoved")).count()
    };
    let telling = async {
        while told().await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, telling).await.expect("its operator reads of it");
    ground.agrees(1).await;
}
