use bytes::Bytes;

use super::*;
use crate::{Expect, Memory, Write};

const WITHIN: Duration = Duration::from_millis(30);

fn key() -> Key {
    Key::new(Space::new("web").unwrap(), "a")
}

fn put() -> Batch {
    Batch::one(key(), Expect::Absent, Write::Put(Bytes::from_static(b"x"), None))
}

/// Commits under `fault`; returns how it ended and whether it was done in truth.
async fn commit_under(fault: Fault) -> (Result<Cursor, Error>, bool) {
    let memory = Arc::new(Memory::new());
    let faulty = Faulty::new(memory.clone());
    faulty.control().next(Call::Commit, fault);
    let ended = faulty.commit(put(), WITHIN).await;
    (ended, memory.read(&key(), WITHIN).await.unwrap().is_some())
}

#[tokio::test(start_paused = true)]
async fn each_fault_says_what_it_may_and_does_what_it_says() {
    let long = Duration::from_secs(9);
    assert!(matches!(commit_under(Fault::Delay(WITHIN / 2)).await, (Ok(_), true)));
    assert!(matches!(commit_under(Fault::Delay(long)).await, (Err(Error::OutcomeUnknown(_)), false)));
    assert!(matches!(commit_under(Fault::Refuse).await, (Err(Error::Unavailable(_)), false)));
    assert!(matches!(commit_under(Fault::LoseReply).await, (Err(Error::OutcomeUnknown(_)), true)));
    assert!(matches!(commit_under(Fault::Hang).await, (Err(Error::OutcomeUnknown(_)), false)));
    assert!(matches!(commit_under(Fault::HangDone).await, (Err(Error::OutcomeUnknown(_)), true)));
    assert!(matches!(commit_under(Fault::HangLate(long)).await, (Err(Error::OutcomeUnknown(_)), false)));
}

#[tokio::test(start_paused = true)]
async fn a_late_commit_is_made_after_its_caller_gave_up() {
    let memory = Arc::new(Memory::new());
    let faulty = Faulty::new(memory.clone());
    faulty.control().next(Call::Commit, Fault::HangLate(WITHIN));
    assert!(faulty.commit(put(), WITHIN).await.is_err());
    assert_eq!(memory.read(&key(), WITHIN).await, Ok(None));
    sleep(2 * WITHIN).await;
    assert!(memory.read(&key(), WITHIN).await.unwrap().is_some());
}

#[tokio::test]
async fn orders_hold_until_healed() {
    let faulty = Faulty::new(Arc::new(Memory::new()));
    let control = faulty.control();
    control.always(Fault::Refuse);
    for _ in 0..3 {
        assert!(faulty.read(&key(), WITHIN).await.is_err());
    }
    control.heal();
    assert_eq!(faulty.read(&key(), WITHIN).await, Ok(None));
    assert_eq!(control.calls(), 4);
}

#[tokio::test]
async fn a_cut_ends_running_watches_and_no_later_one() {
    let faulty = Faulty::new(Arc::new(Memory::new()));
    let space = key().space;
    let mut watch = faulty.watch(&space, &[b""], Cursor::START, WITHIN).await.unwrap();
    assert_eq!(watch.next().await, Ok(Notice::Progress(Cursor::START)));
    faulty.control().cut_watches();
    assert!(matches!(watch.next().await, Err(Error::Unavailable(_))));
    let mut watch = faulty.watch(&space, &[b""], Cursor::START, WITHIN).await.unwrap();
    assert_eq!(watch.next().await, Ok(Notice::Progress(Cursor::START)));
}

#[test]
fn a_seed_draws_the_same_faults_again() {
    let plan = Plan { seed: 7, refuse_percent: 20, lose_reply_percent: 20, hang_percent: 20, ..Plan::default() };
    let draw = |mut dice: Dice| (0..200).map(|_| dice.fault(&plan)).collect::<Vec<_>>();
    let drawn = draw(Dice(plan.seed));
    assert_eq!(drawn, draw(Dice(plan.seed)));
    for fault in [None, Some(Fault::Refuse), Some(Fault::LoseReply), Some(Fault::Hang), Some(Fault::HangDone)] {
        assert!(drawn.contains(&fault), "{fault:?} was never drawn");
    }
    assert_ne!(drawn, draw(Dice(plan.seed + 1)));
}

/// A store over which somebody was killed at the `number`th commit.
async fn killed_at(number: u64, fault: Fault) -> (Arc<Memory>, Faulty) {
    let memory = Arc::new(Memory::new());
    let faulty = Faulty::new(memory.clone());
    faulty.control().at(Some(Call::Commit), number, fault);
    (memory, faulty)
}

#[tokio::test(start_paused = true)]
async fn who_is_killed_hears_nothing_any_more_and_does_nothing_any_more() {
    for (fault, done) in [(Fault::Die, false), (Fault::DieDone, true)] {
        let (memory, faulty) = killed_at(0, fault).await;
        let mut watch = faulty.watch(&key().space, &[b""], Cursor::START, WITHIN).await.unwrap();
        let ended = tokio::time::timeout(100 * WITHIN, faulty.commit(put(), WITHIN)).await;
        assert!(ended.is_err(), "{ended:?}");
        tokio::time::timeout(WITHIN, faulty.control().died()).await.unwrap();
        assert_eq!(memory.read(&key(), WITHIN).await.unwrap().is_some(), done);
        faulty.control().heal();
        assert!(tokio::time::timeout(100 * WITHIN, faulty.read(&key(), WITHIN)).await.is_err());
        assert!(tokio::time::timeout(100 * WITHIN, watch.next()).await.is_err());
    }
}

#[tokio::test]
async fn the_call_of_a_number_is_met_and_no_other() {
    let (memory, faulty) = killed_at(1, Fault::Refuse).await;
    let control = faulty.control();
    faulty.read(&key(), WITHIN).await.unwrap();
    faulty.commit(put(), WITHIN).await.unwrap();
    assert!(control.waits());
    assert!(matches!(faulty.commit(put(), WITHIN).await, Err(Error::Unavailable(_))));
    assert!(!control.waits());
    assert!(matches!(faulty.commit(put(), WITHIN).await, Err(Error::Conflict(_))));
    assert!(memory.read(&key(), WITHIN).await.unwrap().is_some());
    control.at(None, 1, Fault::Refuse);
    assert!(faulty.read(&key(), WITHIN).await.is_ok());
    assert!(faulty.read(&key(), WITHIN).await.is_err());
}
