use std::collections::BTreeMap;

use super::*;
use crate::admin::view::{Amount, StuckView};

fn change(before: LedgerState, now: LedgerState) -> StateChange {
    StateChange { set: Text("web".parse().unwrap()), instance: Text("web-1".parse().unwrap()), before, now }
}

fn view(charged: u64, stuck: u64, moves_in_ms: Option<u64>) -> DrainView {
    DrainView {
        set: Text("recorder".parse().unwrap()),
        instance: Text("rec-1".parse().unwrap()),
        state: LedgerState::Draining,
        charged: Amount::from_milli(charged * 8_000),
        charged_clients: charged,
        idle_clients: 0,
        moves_in_ms,
        stuck: BTreeMap::from([("connected".to_owned(), stuck)]),
        examples: vec![StuckView {
            client: Text("cam-7".parse().unwrap()),
            reason: "connected".to_owned(),
            detail: "it is connected".to_owned(),
        }],
    }
}

#[test]
fn what_was_ordered_is_told() {
    assert_eq!(drained(&change(LedgerState::Open, LedgerState::Draining)), "web-1 of set web is drained");
    assert!(drained(&change(LedgerState::Draining, LedgerState::Draining)).contains("already"));
    assert!(drained(&change(LedgerState::Lost, LedgerState::Lost)).contains("when it is back"));
    assert!(undrained(&change(LedgerState::Draining, LedgerState::Open)).contains("takes part again"));
    assert!(undrained(&change(LedgerState::Gone, LedgerState::Gone)).contains("when it is back"));
}

#[test]
fn what_becomes_of_the_clients_is_told() {
    assert_eq!(
        staying(&view(2, 0, None)),
        "2 clients of a weight of 16 are still there; who is there stays until it leaves"
    );
    assert!(staying(&view(2, 0, Some(600_000))).ends_with("who is left is moved in 10 min"));
    let left = DrainView { idle_clients: 1, ..view(0, 0, None) };
    assert!(staying(&left).starts_with("no client is charged there (and 1 is remembered there"));
}

#[test]
fn waiting_ends_when_there_is_nothing_to_wait_for() {
    assert_eq!(verdict(&view(0, 0, None)), Verdict::Empty);
    assert_eq!(verdict(&view(3, 3, None)), Verdict::GoOn, "they may leave by themselves");
    assert_eq!(verdict(&view(3, 3, Some(5_000))), Verdict::GoOn, "the deadline is still to come");
    assert_eq!(verdict(&view(3, 2, Some(0))), Verdict::GoOn, "one can be moved");
    assert_eq!(verdict(&view(3, 3, Some(0))), Verdict::Stuck);
    assert_eq!(verdict(&DrainView { state: LedgerState::Open, ..view(3, 3, None) }), Verdict::Undrained);
}

#[test]
fn who_cannot_be_moved_is_named() {
    let text = stuck(&view(3, 3, Some(0)));
    assert!(text.starts_with("3 clients at rec-1 of set recorder cannot be moved"), "{text}");
    assert!(text.ends_with("cam-7: it is connected\n  and 2 more"), "{text}");
}
