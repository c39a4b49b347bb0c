use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;

const WITHIN: Duration = Duration::from_secs(5);

fn space(name: &str) -> Space {
    Space::new(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn turns_come_in_the_order_of_asking_and_leave_word_for_the_next() {
    let turns: Arc<Turns<Vec<usize>>> = Arc::default();
    let first = turns.wait(&space("web"), WITHIN).await.unwrap();
    let mut waiting = JoinSet::new();
    for number in 0..20 {
        let turns = Arc::clone(&turns);
        waiting.spawn(async move { turns.wait(&space("web"), WITHIN).await.unwrap().push(number) });
        // Each is to stand in the queue before the next comes.
        tokio::task::yield_now().await;
    }
    drop(first);
    waiting.join_all().await;
    assert_eq!(*turns.wait(&space("web"), WITHIN).await.unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_that_nothing_was_sent_and_keeps_nobody_waiting() {
    let turns: Turns<()> = Turns::default();
    let held = turns.wait(&space("web"), WITHIN).await.unwrap();
    let late = turns.wait(&space("web"), Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(late, Error::Unavailable("other commits to space `web` took all of 300ms: nothing was sent".to_owned()));
    // Of another space, at once.
    drop(turns.wait(&space("recorder"), Duration::ZERO).await.unwrap());
    let web = space("web");
    let held = async {
        sleep(Duration::from_secs(1)).await;
        drop(held);
    };
    let ((), next) = tokio::join!(held, turns.wait(&web, WITHIN));
    next.unwrap();
}
