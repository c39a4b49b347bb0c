use steadfast_core::placement::Phase;
use steadfast_core::{Epoch, Weight};

use super::*;
use crate::clients::Entry;

fn found(phase: Phase, until: Tick, asked: bool) -> Found {
    let entry = Entry { version: 7, home: 0, epoch: Epoch(1), phase, until, declared: Weight::ONE, returns: false };
    Found { entry, asked }
}

#[test]
fn who_is_carried_is_charged_whatever_its_record_says() {
    let due = Tick(10);
    for (what, known, wanted) in [
        ("nobody knows it", None, true),
        ("charged for long", Some(found(Phase::Active, Tick(10), false)), false),
        ("charged for good", Some(found(Phase::Active, Tick::NEVER, false)), false),
        ("its charge ends soon", Some(found(Phase::Active, Tick(9), false)), true),
        ("asked already", Some(found(Phase::Active, Tick(9), true)), false),
        ("it became idle, which lasts long", Some(found(Phase::Idle, Tick(1_000), false)), true),
        ("it became idle, which lasts for ever", Some(found(Phase::Idle, Tick::NEVER, false)), true),
        ("it became idle, and that was asked", Some(found(Phase::Idle, Tick::NEVER, true)), false),
    ] {
        assert_eq!(wants_charge(known, due), wanted, "{what}");
    }
}
