//! Agents, gateways and a store under a seeded scheduler that loses, delays, reorders and repeats messages, stops
//! and kills processes, bends clocks and takes the store away, or back in time. After every step invariants 1
//! and 2 of the design are checked; at the end, that exactly one instance leads. [`placement`] does the same for sticky
//! sets.
//!
//! A seed is a whole run. One that fails prints how to see it again:
//! `SEED=123 cargo test -p steadfast-core --test simulation -- --nocapture replay`

mod agent;
mod broken;
mod clock;
mod faults;
mod gateway;
mod invariants;
mod placement;
mod random;
mod store;
mod wires;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use broken::Broken;
use invariants::{Violation, What};
use world::World;

/// So many runs, numbered from 0, for the rules as they are and for each one broken.
const SEEDS: u64 = 2_000;

#[test]
fn one_active_and_epochs_only_grow() {
    let count = env_number("SEEDS").unwrap_or(SEEDS);
    if let Some((seed, violation)) = violations(Broken::Nothing, count, 1, |_| true).first() {
        panic!(
            "{violation}\nto see it: SEED={seed} cargo test -p steadfast-core --test simulation -- --nocapture replay"
        );
    }
}

/// Runs one seed and says what happens: `SEED`, and `BROKEN` for a rule broken on purpose (`DeadlineFromReply` …). Without
/// `BROKEN` it is a lease's run and then a sticky set's.
#[test]
fn replay() {
    let asked_for = env_number("SEED");
    let (seed, tracing) = (asked_for.unwrap_or(0), asked_for.is_some());
    let name = std::env::var("BROKEN").unwrap_or_default();
    let lease = Broken::ALL.iter().find(|broken| format!("{broken:?}") == name);
    let placement = placement::Broken::ALL.iter().find(|broken| format!("{broken:?}") == name);
    let known = (Broken::ALL, placement::Broken::ALL);
    assert!(name.is_empty() || lease.is_some() || placement.is_some(), "BROKEN is one of {known:?}");
    if placement.is_none() {
        let broken = *lease.unwrap_or(&Broken::Nothing);
        say(&name, World::new(seed, broken, tracing).run());
    }
    if lease.is_none() {
        let broken = *placement.unwrap_or(&placement::Broken::Nothing);
        say(&name, placement::World::new(seed, broken, tracing).run().map(drop));
    }
}

fn say<V: std::fmt::Display>(broken: &str, result: Result<(), V>) {
    match result {
        Err(violation) if broken.is_empty() => panic!("{violation}"),
        Err(violation) => println!("{broken} is caught: {violation}"),
        Ok(()) => println!("it ends well"),
    }
}

/// Breaking this rule breaks this promise, within the same seeds. With `COUNT=1` it says how many of them
/// catch it: look when you change the faults.
fn check_caught(broken: Broken, promise: What) {
    let enough = env_number("COUNT").map_or(1, |_| SEEDS);
    let caught = violations(broken, SEEDS, enough, |violation| violation.what == promise);
    let Some((seed, violation)) = caught.first() else {
        panic!("{broken:?} is not caught by any of {SEEDS} seeds: the faults are too kind");
    };
    println!("{broken:?} is caught by {} seeds, the first is {seed}: {violation}", caught.len());
}

#[test]
fn catches_a_deadline_counted_from_the_reply() {
    check_caught(Broken::DeadlineFromReply, What::OneActive);
}

#[test]
fn catches_a_deadline_counted_from_a_read_back() {
    check_caught(Broken::DeadlineFromReadBack, What::OneActive);
}

#[test]
fn catches_a_ttl_shortened_with_the_reply_lost() {
    check_caught(Broken::TtlShortenedWithTheReplyLost, What::OneActive);
}

#[test]
fn catches_serving_after_a_release_of_unknown_outcome() {
    check_caught(Broken::ServesAfterUnknownRelease, What::OneActive);
}

#[test]
fn catches_absent_or_released_taken_at_once_after_a_rollback() {
    check_caught(Broken::TakesAtOnceAfterRollback, What::OneActive);
}

#[test]
fn catches_a_watch_that_outlives_a_silent_store() {
    check_caught(Broken::LostContactKeepsTheWatch, What::OneActive);
}

#[test]
fn catches_a_gateway_that_routes_past_valid_for() {
    check_caught(Broken::GatewayPastValidFor, What::OneActive);
}

#[test]
fn catches_a_gate_that_checks_only_at_accept() {
    check_caught(Broken::GateChecksOnlyAtAccept, What::OneActive);
}

#[test]
fn catches_a_version_reused_after_a_delete() {
    check_caught(Broken::VersionReused, What::EpochsGrow);
}

#[test]
fn catches_a_margin_without_two_rho() {
    check_caught(Broken::MarginWithoutTwoRho, What::OneActive);
}

#[test]
fn catches_a_second_adopter_of_one_name() {
    check_caught(Broken::SecondAdopter, What::OneActive);
}

#[test]
fn catches_a_watch_resumed_exclusively_over_a_rollback() {
    check_caught(Broken::ExclusiveResume, What::OneActive);
}

#[test]
fn catches_an_application_started_before_the_promise_is_over() {
    check_caught(Broken::RestartsBeforeThePromiseIsOver, What::OneActive);
}

#[test]
fn catches_a_release_before_what_served_has_stopped() {
    check_caught(Broken::ReleasesBeforeStopped, What::OneActive);
}

/// The seeds with a violation that counts, the lowest first: `enough` of them, or a few more.
fn violations(
    broken: Broken,
    seeds: u64,
    enough: u64,
    counts: impl Fn(&Violation) -> bool + Sync,
) -> Vec<(u64, Violation)> {
    first_failures(seeds, enough, |seed| World::new(seed, broken, false).run(), counts)
}

/// Runs seeds until `enough` of them, or a few more, end with a violation that counts.
fn first_failures<V: Send>(
    seeds: u64,
    enough: u64,
    run: impl Fn(u64) -> Result<(), V> + Sync,
    counts: impl Fn(&V) -> bool + Sync,
) -> Vec<(u64, V)> {
    let (next, found) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        let mut mine = Vec::new();
        while found.load(Ordering::Relaxed) < enough {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                break;
            }
            if let Err(violation) = run(seed)
                && counts(&violation)
            {
                found.fetch_add(1, Ordering::Relaxed);
                mine.push((seed, violation));
            }
        }
        mine
    };
    let mut all: Vec<_> = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no thread panics")).collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all
}

fn env_number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}
