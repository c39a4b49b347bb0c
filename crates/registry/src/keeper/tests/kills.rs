//! The keeper killed, or failed by its store, at every step of its works: the same one where it lives, or else the
//! next, brings them to their end, and the books agree.
//!
//! See `tests/placing/kills` for what killed means here, and for the same of everything that is not the keeper's.

use super::*;

/// Everything that can become of one call. What is not a commit changes nothing: whoever is killed there might as well
/// have been killed before its next commit.
pub(in crate::keeper) const FAULTS: [(Option<Call>, Fault); 6] = [
    (None, Fault::Refuse),
    (None, Fault::Hang),
    (Some(Call::Commit), Fault::LoseReply),
    (Some(Call::Commit), Fault::HangLate(Duration::from_secs(1))),
    (Some(Call::Commit), Fault::Die),
    (Some(Call::Commit), Fault::DieDone),
];
/// Longer than a late commit is late after its time-out.
pub(in crate::keeper) const SETTLED: Duration = Duration::from_secs(10);
/// How often it is looked whether the work is done, a tick of the set's time apart.
const LOOKS: u64 = 400;
/// Between two looks, in tokio's time, which jumps when nothing is to be done.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So many looks a keeper is left alone when its work is done: what it says of it are steps as well.
const AFTERWARDS: u64 = 8;
/// No work has as many calls.
pub(in crate::keeper) const MOST_STEPS: u64 = 500;

/// What a keeper has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Six clients are at home where a drain's deadline is over.
    Drain,
    /// Two clients are not there any more, and are forgotten after that.
    Expire,
    /// An instance is silent.
    Loss,
}

impl Work {
    async fn ground(self) -> Ground {
        let ground = ground(|_| {}).await;
        for client in 0..6 {
            let there = Wish::Place { to: Some(id("rec-1")), weight: None, labels: Labels::new() };
            ground.ask(&format!("cam-{client}"), there).await;
        }
        if self == Work::Drain {
            ground.registry.drain(&ground.set, &id("rec-1"), Some(Tick(3)), "operator").await.unwrap();
        }
        ground
    }

    /// Begins it.
    fn start(self, parts: Parts) -> Task {
        Task(tokio::spawn(async move {
            match self {
                Work::Drain => moves::run(&parts).await,
                Work::Expire => expiry::run(&parts).await,
                Work::Loss => {
                    // As `losses::run` does, which counts silence by a clock that tests have to wait for.
                    let suspect = losses::Suspect::of("rec-1", 1, None);
                    while losses::declare(&parts, &suspect, Tick(9)).await.is_err() {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                    std::future::pending().await
                }
            }
        }))
    }

    async fn is_done(self, ground: &Ground) -> bool {
        if self == Work::Loss {
            let found = ground.registry.instance(&ground.set, &id("rec-1")).await.unwrap();
            return found.ledger.unwrap().record.state == LedgerState::Lost;
        }
        for client in 0..6 {
            let found = ground.client(&format!("cam-{client}")).await;
            let done = match self {
                Work::Drain => found.is_some_and(|one| one.home == id("rec-2") && one.owner_epoch.0 == 2),
                _ => found.is_none(),
            };
            if !done {
                return false;
            }
        }
        true
    }
}

/// A keeper with a store of its own, so that it can be killed alone.
fn keeper(ground: &Ground, work: Work, fault: Option<(Option<Call>, u64, Fault)>) -> (Control, Task) {
    let store = Faulty::new(ground.registry.store().clone());
    let control = store.control();
    if let Some((call, step, fault)) = fault {
        control.at(call, step, fault);
    }
    let parts = Parts::start(&Registry::new(Arc::new(store)), ground.set.clone(), "keeper");
    (control, work.start(parts))
}

/// Lets time pass until the work is done, or `died`. Says at which tick.
async fn until_done(ground: &Ground, work: Work, from: u64, died: &Control, at: &str) -> (bool, u64) {
    for tick in from..from + LOOKS {
        ground.set_time(tick).await;
        if work.is_done(ground).await {
            return (true, tick);
        }
        tokio::select! {
            () = died.died() => return (false, tick),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    panic!("{at}: it never comes to its end");
}

/// One case; whether there was such a step.
async fn case(work: Work, call: Option<Call>, step: u64, fault: Fault) -> bool {
    let at = format!("{work:?}, {fault:?} at {call:?} {step}");
    let ground = work.ground().await;
    let (control, running) = keeper(&ground, work, Some((call, step, fault)));
    let (done, mut tick) = until_done(&ground, work, 3, &control, &at).await;
    for _ in 0..AFTERWARDS {
        tick += 1;
        ground.set_time(tick).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let visited = !control.waits();
    control.kill();
    drop(running);
    let (next, running) = keeper(&ground, work, None);
    let (done_by_next, _) = until_done(&ground, work, tick + 1, &next, &at).await;
    assert!(done_by_next, "{at}: done by the first: {done}");
    drop(running);
    // What was late has happened.
    tokio::time::sleep(SETTLED).await;
    assert!(work.is_done(&ground).await, "{at}: what was late undid it");
    assert_eq!(ground.registry.verify(&ground.set).await.unwrap().faults, [], "{at}");
    visited
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_at_whatever_step_to_a_keeper_its_work_comes_to_its_end() {
    for work in [Work::Drain, Work::Expire, Work::Loss] {
        for (call, fault) in FAULTS {
            let mut step = 0;
            while case(work, call, step, fault).await {
                step += 1;
                assert!(step < MOST_STEPS, "{work:?}, {fault:?}: where does it end?");
            }
            assert!(step >= 1, "{work:?}, {fault:?}: only {step} steps were visited");
        }
    }
}
