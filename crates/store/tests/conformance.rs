//! The contract's clauses over every back end, as it is and through faults.

use std::sync::Arc;
use std::time::Duration;

use steadfast_store::conformance::Fixture;
use steadfast_store::faulty::{Faulty, Plan};
use steadfast_store::{LogBound, Memory, Store};

/// A log short enough to outgrow in a test.
const SHORT_LOG: LogBound = LogBound { commits: 256, bytes: 64 << 20 };

/// Slow, refusing, losing replies, cutting watches.
const FAULTS: Plan = Plan {
    seed: 1,
    delay_up_to: Duration::from_millis(2),
    refuse_percent: 8,
    lose_reply_percent: 12,
    hang_percent: 2,
    cut_watch_percent: 10,
};

/// The same store through faults; what hangs, hangs for `within`.
fn through_faults(mut fixture: Fixture, within: Duration) -> Fixture {
    let faulty = |store: Arc<dyn Store>| Arc::new(Faulty::planned(store, FAULTS)) as Arc<dyn Store>;
    fixture.stores = fixture.stores.into_iter().map(faulty).collect();
    Fixture { within, ..fixture }
}

async fn memory() -> Fixture {
    let store = Arc::new(Memory::with_log(SHORT_LOG));
    Fixture { log_commits: SHORT_LOG.commits, ..Fixture::of(store) }
}

steadfast_store::conformance!(in_memory, memory);
steadfast_store::conformance!(in_memory_through_faults, || async {
    through_faults(memory().await, Duration::from_millis(20))
});
