use std::sync::Arc;

use steadfast_store::faulty::{Call, Fault, Faulty};
use steadfast_store::{Memory, Store};

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn quantiles_are_of_the_nearest_rank() {
    let times = Times::of((1..=100).rev().map(ms).collect());
    assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| times.quantile(share)), [ms(1), ms(50), ms(99), ms(100)]);
    assert_eq!(Times::of(vec![ms(7)]).quantile(0.99), ms(7));
    assert_eq!(Times::default().quantile(0.5), Duration::ZERO);
}

async fn is_empty(store: &dyn Store) -> bool {
    let page = store.scan(&Space::new(SPACE).unwrap(), b"", None, 10, CALL_WITHIN).await.unwrap();
    page.records.is_empty()
}

#[tokio::test]
async fn it_measures_and_leaves_nothing_behind() {
    let memory = Arc::new(Memory::new());
    let books = Registry::new(memory.clone());
    let measured = books.measure(Duration::ZERO).await.unwrap();
    assert_eq!(measured.commit.count(), COMMITS_AT_LEAST);
    assert_eq!((measured.read.count(), measured.notice.count()), (COMMITS_AT_LEAST, NOTICED));
    assert!(measured.commit.quantile(0.5) <= measured.commit.quantile(0.99));
    assert!(is_empty(&*memory).await);
}

#[tokio::test(start_paused = true)]
async fn also_after_an_error() {
    let memory = Arc::new(Memory::new());
    for (call, number) in [(Call::Commit, 0), (Call::Commit, 7), (Call::Watch, 0), (Call::Read, 3)] {
        let faulty = Faulty::new(memory.clone());
        faulty.control().at(Some(call), number, Fault::LoseReply);
        let books = Registry::new(Arc::new(faulty));
        assert!(books.measure(Duration::ZERO).await.is_err(), "{call:?} {number}");
        assert!(is_empty(&*memory).await, "{call:?} {number}");
    }
}

#[tokio::test]
async fn what_a_killed_one_left_is_deleted_by_the_next() {
    let memory = Arc::new(Memory::new());
    let books = Registry::new(memory.clone());
    let left = Key::new(Space::new(SPACE).unwrap(), format!("{PREFIX}killed"));
    books.write(&left, Expect::Absent).await.unwrap();
    // Of two that run at once, neither takes the other for a dead one.
    let (one, other) = tokio::join!(books.measure(Duration::ZERO), books.measure(Duration::ZERO));
    one.unwrap();
    other.unwrap();
    assert!(is_empty(&*memory).await);
}
