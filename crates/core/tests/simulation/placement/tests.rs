//! Thousands of runs, and each rule broken on purpose.

use std::collections::BTreeSet;

use steadfast_core::placement::Reason;

use super::judge::{Violation, What};
use super::{Broken, World};

/// So many runs, numbered from 0, for the rules as they are and for each one broken.
const SEEDS: u64 = 2_000;

#[test]
fn one_home_and_books_that_add_up() {
    let run = |seed| World::new(seed, Broken::Nothing, false).run().map(drop);
    let count = crate::env_number("SEEDS").unwrap_or(SEEDS);
    if let Some((seed, violation)) = crate::first_failures(count, 1, run, |_: &Violation| true).first() {
        panic!(
            "{violation}\nto see it: SEED={seed} cargo test -p steadfast-core --test simulation -- --nocapture replay"
        );
    }
}

/// The runs are not too kind: whatever can bring a client to a home does.
#[test]
fn everything_happens_somewhere() {
    let runs = (0..100).map(|seed| World::new(seed, Broken::Nothing, false).run());
    let seen = runs.fold(BTreeSet::new(), |mut seen, reasons| {
        seen.extend(reasons.expect("the rules hold"));
        seen
    });
    assert_eq!(seen, Reason::ALL.iter().copied().collect());
}

/// Breaking this rule breaks this promise, within the same seeds. With `COUNT=1` it says how many of them catch it.
fn check_caught(broken: Broken, promise: What) {
    let enough = crate::env_number("COUNT").map_or(1, |_| SEEDS);
    let run = |seed| World::new(seed, broken, false).run().map(drop);
    let caught = crate::first_failures(SEEDS, enough, run, |violation: &Violation| violation.what == promise);
    let Some((seed, violation)) = caught.first() else {
        panic!("{broken:?} is not caught by any of {SEEDS} seeds: the faults are too kind");
    };
    println!("{broken:?} is caught by {} seeds, the first is {seed}: {violation}", caught.len());
}

#[test]
fn catches_a_charge_in_a_second_commit() {
    check_caught(Broken::ChargeInASecondCommit, What::Books);
}

#[test]
fn catches_expiry_by_wall_clock() {
    check_caught(Broken::ExpiryByWallClock, What::Time);
}

#[test]
fn catches_ticks_by_a_keepers_own_timer() {
    check_caught(Broken::TicksByOwnTimer, What::Time);
}

#[test]
fn catches_a_drain_that_is_not_in_the_ledger() {
    check_caught(Broken::DrainNotInTheLedger, What::Drain);
}

#[test]
fn catches_a_ledger_written_whatever_its_version() {
    check_caught(Broken::LedgerWithoutVersion, What::Books);
}

#[test]
fn catches_a_client_written_whatever_is_there() {
    check_caught(Broken::ClientWithoutVersion, What::OneHome);
}

#[test]
fn catches_deciding_on_the_mirror_alone_after_a_conflict() {
    check_caught(Broken::MirrorAfterConflict, What::Books);
}

#[test]
fn catches_an_unknown_outcome_taken_for_a_failure() {
    check_caught(Broken::UnknownTakenForFailed, What::Books);
}

#[test]
fn catches_an_unknown_outcome_taken_for_a_success() {
    check_caught(Broken::UnknownTakenForDone, What::OneHome);
}

#[test]
fn catches_a_mark_that_outlives_its_version() {
    check_caught(Broken::MarkOutlivesItsVersion, What::OneHome);
}

#[test]
fn catches_a_home_taken_to_be_absent_without_saying_so() {
    check_caught(Broken::AbsenceNotExpected, What::Books);
}

#[test]
fn catches_expiries_counted_from_the_mirrors_tick() {
    check_caught(Broken::TickFromTheMirror, What::Time);
}

#[test]
fn catches_a_refusal_from_the_mirror() {
    check_caught(Broken::RefusalFromTheMirror, What::Refusal);
}
