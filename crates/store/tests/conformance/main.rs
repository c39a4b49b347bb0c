//! The contract's clauses over every back end, as it is and through faults. A file for each engine: its fixtures, the
//! clauses over them, and what only this engine can do wrong.
//!
//! ```text
//! fn fixture() -> Fixture {
//!     let place = shared(Kind::Postgres).fresh_place().with("keep=256");
//!     Fixture::of_all(vec![place.open(), place.open()], 256 + 64, Duration::from_secs(30))
//! }
//!
//! steadfast_store::conformance!(plain, || async { fixture() });
//! steadfast_store::conformance!(through_faults, || async { fixture().through_faults(FAULTS, Duration::from_millis(600)) });
//! ```

mod azure;
mod elsewhere;
mod etcd;
mod local;
mod postgres;
mod redis;

use std::time::Duration;

use steadfast_store::faulty::Plan;

/// Slow, refusing, losing replies, cutting watches.
const FAULTS: Plan = Plan {
    seed: 1,
    delay_up_to: Duration::from_millis(2),
    refuse_percent: 8,
    lose_reply_percent: 12,
    hang_percent: 1,
    cut_watch_percent: 10,
};
