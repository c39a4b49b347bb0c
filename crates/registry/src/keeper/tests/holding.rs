//! The keeper's lease: whoever is killed, refused or left without an answer at whatever step of taking or keeping it, the
//! next one keeps.
//!
//! Time is the machine's here, by which leases count, so all cases run at once.

use steadfast_store::Store;
use tokio::task::JoinSet;

use super::*;
use crate::records::{StoredLease, decode};

/// So many steps of each fault: reading, watching, taking, and keeping it once or twice.
const STEPS: u64 = 6;
/// How long a first keeper is waited for to come to its fatal step: longer than it waits between two of its own.
const COMES_TO_IT: Duration = Duration::from_secs(4);

/// The epoch of the lease, and whose it is.
async fn lease(books: &Registry) -> (u64, String, bool) {
    let key = keys::keeper();
    let Some(record) = books.store.read(&key, SOON).await.unwrap() else { return (0, String::new(), true) };
    let lease = decode::<StoredLease>("lease", &record.value).unwrap().lease();
    (lease.epoch.0, lease.holder.to_string(), lease.released)
}

/// One case; whether there was such a step.
async fn case(call: Option<Call>, step: u64, fault: Fault) -> bool {
    let at = format!("{fault:?} at {call:?} {step}");
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let books = Registry::new(store.clone());
    let faulty = Faulty::new(store);
    let control = faulty.control();
    control.at(call, step, fault);
    let first = contends(&Registry::new(Arc::new(faulty)), "first");
    tokio::select! {
        () = first.until_it_works() => {}
        () = control.died() => {}
    }
    let come_to_it = async {
        while control.waits() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    drop(tokio::time::timeout(COMES_TO_IT, come_to_it).await);
    let visited = !control.waits();
    control.kill();
    first.task.abort();
    let (before, ..) = lease(&books).await;
    let second = contends(&books, "second");
    second.until_it_works().await;
    let (epoch, holder, released) = lease(&books).await;
    assert!(epoch > before && holder == "keeper-second" && !released, "{at}: {epoch} after {before}, of {holder}");
    second.shutdown.begin();
    second.task.await.unwrap();
    assert_eq!(lease(&books).await, (epoch, holder, true), "{at}: it is given back");
    visited
}

#[tokio::test]
async fn whatever_happens_at_whatever_step_to_a_keepers_lease_the_next_one_keeps() {
    let mut cases = JoinSet::new();
    for (call, fault) in kills::FAULTS {
        for step in 0..STEPS {
            cases.spawn(async move { (fault, case(call, step, fault).await) });
        }
    }
    let mut visited = Vec::new();
    while let Some(ended) = cases.join_next().await {
        let (fault, there) = ended.unwrap();
        visited.extend(there.then_some(fault));
    }
    for (_, fault) in kills::FAULTS {
        let steps = visited.iter().filter(|one| **one == fault).count();
        assert!(steps >= 2, "{fault:?}: only {steps} steps were visited");
    }
}
