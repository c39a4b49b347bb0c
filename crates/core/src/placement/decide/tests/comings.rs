//! Clients that come: new, known, from idle, to a home that is full.

use super::*;
use crate::settings::{HomeFull, Policy};

const MINUTE: Span = Span::from_millis(60_000);

fn labelled(pairs: &[(&str, &str)]) -> Wish {
    Wish::Arrive { weight: Some(units(1)), labels: labels(pairs), present: false }
}

/// The table of what is answered while the store is away: it may exceed, and an event says so.
#[test]
fn one_that_was_sent_home_unasked_is_charged_there_even_above_the_capacity() {
    let mut set = Set::new(&[("a", 10, 0)], |_| {});
    set.ask(arrive(Some(8))).expect("has room");
    set.tick = set.client().until;
    set.ask(Wish::Expire).expect("it is over");
    set.at("a").ledger.charged_milli = 5_000;
    set.ask(Wish::Served { at: id("b"), weight: None }).expect("is never refused");
    assert_eq!(set.client().phase, Phase::Idle, "it is not at home there");
    set.ask(Wish::Served { at: id("a"), weight: None }).expect("is never refused");
    assert_eq!((set.client().phase, set.charged("a")), (Phase::Active, 13));
    assert_eq!(set.notes, [Note::Overflow { home: id("a") }]);
}

#[test]
fn a_new_client_is_placed_where_it_leaves_most_room() {
    let mut set = Set::new(&[("a", 10, 4), ("b", 100, 50), ("c", 10, 5)], |_| {});
    assert_eq!(set.home(arrive(Some(2))), "b");
    let placed = set.client();
    assert_eq!((placed.phase, placed.weight, placed.owner_epoch), (Phase::Active, units(2), Epoch(1)));
    assert_eq!((placed.why.reason, placed.why.by.as_str()), (Reason::Placed, "somebody"));
    assert_eq!((set.charged("b"), set.members["b"].ledger.clients), (52, 51));
}

#[test]
fn pack_fills_what_is_in_use_first() {
    let mut set = Set::new(&[("a", 100, 10), ("b", 10, 0)], |sticky| sticky.policy = Policy::Pack);
    assert_eq!(set.home(arrive(Some(5))), "a");
}

#[test]
fn equals_are_told_apart_by_their_ids() {
    let mut set = Set::new(&[("b", 10, 5), ("a", 10, 5)], |_| {});
    assert_eq!(set.home(arrive(Some(1))), "a");
    // Half full each, with it: exactly, not nearly.
    let mut set = Set::new(&[("c", 10, 4), ("d", 20, 9)], |_| {});
    assert_eq!(set.home(arrive(Some(1))), "c");
}

#[test]
fn new_clients_fill_an_instance_only_so_far() {
    let mut set = Set::new(&[("a", 10, 7)], |sticky| sticky.admit_below_milli = 800);
    assert_eq!(set.home(arrive(Some(2))), "no-room");
    assert_eq!(set.home(arrive(Some(9))), "too-heavy");
    assert_eq!(set.home(arrive(Some(1))), "a");
}

#[test]
fn what_is_reported_counts_where_it_is_more() {
    let mut set = Set::new(&[("a", 10, 1), ("b", 10, 5)], |_| {});
    set.at("a").load_milli = Some(9_000);
    assert_eq!(set.home(arrive(Some(1))), "b");
    let mut set = Set::new(&[("a", 10, 4), ("b", 10, 5)], |_| {});
    set.at("b").load_milli = Some(0);
    assert_eq!(set.home(arrive(Some(1))), "a");
}

#[test]
fn labels_exclude_where_required_and_order_where_preferred() {
    let mut set = Set::new(&[("a", 10, 0), ("b", 10, 5), ("c", 10, 6)], |sticky| {
        sticky.require.insert("region".parse().expect("a label"), source("region"));
        sticky.prefer.insert("zone".parse().expect("a label"), source("zone"));
    });
    for (name, zone) in [("b", "1"), ("c", "2")] {
        set.at(name).labels = labels(&[("region", "eu"), ("zone", zone)]);
    }
    assert_eq!(set.home(labelled(&[("region", "us")])), "no-match");
    assert_eq!(set.home(labelled(&[("region", "eu"), ("zone", "2")])), "c");
    assert_eq!(set.client().labels, labels(&[("region", "eu"), ("zone", "2")]));
    // Who has it not is no help, however empty.
    set.known = None;
    set.state("b", LedgerState::Draining);
    set.at("c").ledger.charged_milli = 10_000;
    assert_eq!(set.home(labelled(&[("region", "eu")])), "no-room");
    set.state("c", LedgerState::Lost);
    assert_eq!(set.home(labelled(&[("region", "eu")])), "no-instance");
    assert_eq!(set.home(labelled(&[])), "a");
}

#[test]
fn a_refusal_says_whether_waiting_helps() {
    let mut set = Set::new(&[("a", 10, 10), ("b", 20, 20)], |_| {});
    assert_eq!(set.home(arrive(Some(20))), "no-room");
    assert_eq!(set.ask(arrive(Some(21))), Err(Refusal::TooHeavy { weight: units(21), largest: units(20) }));
    set.state("b", LedgerState::Draining);
    assert_eq!(set.home(arrive(Some(20))), "no-room");
    set.at("a").suspended = true;
    assert_eq!(set.home(arrive(Some(1))), "no-instance");
    let mut none = Set::new(&[], |_| {});
    assert_eq!(none.home(arrive(None)), "no-instance");
    let mut bounded = Set::new(&[("a", 10, 0), ("b", 10, 3)], |sticky| {
        (sticky.weight_max, sticky.max_clients) = (Some(units(2)), 4);
    });
    assert_eq!(bounded.ask(arrive(Some(3))), Err(Refusal::TooHeavy { weight: units(3), largest: units(2) }));
    assert_eq!(bounded.home(arrive(Some(1))), "a");
    bounded.known = None;
    assert_eq!(bounded.ask(arrive(Some(1))), Err(Refusal::TooManyClients { most: 4 }));
}

#[test]
fn two_choice_draws_two_and_takes_the_emptier() {
    let names: Vec<String> = (0..8).map(|index| format!("i{index}")).collect();
    let instances: Vec<_> = names.iter().zip(0..).map(|(name, used)| (name.as_str(), 100, used)).collect();
    let mut set = Set::new(&instances, |sticky| sticky.policy = Policy::TwoChoice);
    let first = set.home(arrive(Some(1)));
    // Whatever becomes of the first, the other one of the two is taken then, not the emptiest of all.
    let mut homes = Vec::new();
    for charge in [90_000, 95_000, 99_000, 100_000] {
        set.known = None;
        set.at(&first).ledger.charged_milli = charge;
        homes.push(set.home(arrive(Some(1))));
    }
    assert!(homes[0] != first && homes[..3].iter().all(|home| *home == homes[0]), "{first}, then {homes:?}");
}

#[test]
fn known_and_charged_costs_nothing() {
    let mut set = Set::new(&[("a", 10, 0), ("b", 10, 0)], |sticky| sticky.idle_after = MINUTE);
    set.home(arrive(Some(2)));
    // Twelve ticks, a quarter more, and the present one.
    assert_eq!(set.client().until, Tick(116));
    for tick in 100..=103 {
        set.tick = Tick(tick);
        set.keeps(arrive(Some(2)));
        set.keeps(arrive(None));
    }
    set.tick = Tick(104);
    assert_eq!(set.home(arrive(None)), "a");
    assert_eq!((set.client().until, set.client().why.since.as_str()), (Tick(120), "at 100"));
    set.keeps(arrive(None));
}

#[test]
fn a_client_that_must_be_seen_is_reserved_first() {
    let mut set = Set::new(&[("a", 10, 0)], |sticky| {
        (sticky.presence, sticky.idle_after) = (Presence::Connection, MINUTE);
    });
    set.home(arrive(Some(2)));
    assert_eq!((set.client().phase, set.client().until, set.charged("a")), (Phase::Reserved, Tick(109), 2));
    set.tick = Tick(101);
    set.keeps(arrive(None));
    set.home(seen(None));
    assert_eq!((set.client().phase, set.client().until, set.charged("a")), (Phase::Active, Tick(117), 2));
    set.keeps(seen(None));
    // What is merely told where it lives proves nothing, and shortens nothing.
    set.keeps(arrive(None));
    set.keeps(Wish::Leave { at: id("b") });
    set.home(Wish::Leave { at: id("a") });
    assert_eq!(set.client().until, Tick(114));
    set.keeps(Wish::Leave { at: id("a") });
}

#[test]
fn only_the_home_claims_where_the_application_reports() {
    let mut set = Set::new(&[("a", 10, 0)], |sticky| sticky.presence = Presence::Report);
    set.home(seen(Some(1)));
    assert_eq!(set.client().phase, Phase::Reserved);
    set.home(report("a", None));
    assert_eq!(set.client().phase, Phase::Active);
}

#[test]
fn another_weight_is_charged_if_it_fits() {
    let mut set = Set::new(&[("a", 10, 0)], |_| {});
    set.home(arrive(None));
    assert_eq!(set.charged("a"), 1);
    set.home(arrive(Some(8)));
    assert_eq!((set.charged("a"), set.client().weight, set.client().declared), (8, units(8), units(8)));
    set.at("a").ledger.charged_milli += 1_000;
    set.home(arrive(Some(10)));
    assert_eq!(set.notes, [Note::Overweight { declared: units(10), charged: units(8) }]);
    assert_eq!((set.charged("a"), set.client().weight, set.client().declared), (9, units(8), units(10)));
    // Said once is enough: it is not written again, and not heard of again, also not of more.
    set.keeps(arrive(Some(10)));
    set.home(arrive(Some(11)));
    assert_eq!(set.notes, []);
    set.home(arrive(Some(10)));
    // Tried again when the record is written anyway.
    set.at("a").ledger.charged_milli -= 1_000;
    set.tick = set.client().until;
    set.home(arrive(None));
    assert_eq!((set.charged("a"), set.notes.len()), (10, 0));
    // Less always fits, also where the capacity was lowered since.
    set.at("a").ledger.capacity = units(3);
    set.home(arrive(Some(9)));
    assert_eq!(set.charged("a"), 9);
}

#[test]
fn an_idle_client_returns_home_at_the_weight_it_declares() {
    let mut set = Set::new(&[("a", 10, 0), ("b", 100, 0)], |_| {});
    set.home(place(Some("a"), 4));
    set.tick = set.client().until;
    set.home(Wish::Expire);
    assert_eq!((set.client().phase, set.charged("a"), set.members["a"].ledger.clients), (Phase::Idle, 0, 1));
    set.state("a", LedgerState::Leaving);
    assert_eq!(set.home(arrive(Some(6))), "a");
    assert_eq!((set.client().phase, set.client().why.reason, set.charged("a")), (Phase::Active, Reason::Returned, 6));
    assert_eq!((set.client().owner_epoch, set.members["a"].ledger.clients), (Epoch(1), 1));
}

/// An idle client of weight 4, at home in "a", where 8 of 10 are in use since.
fn idle_with_a_full_home(home_full: HomeFull) -> Set {
    let mut set = Set::new(&[("a", 10, 0), ("b", 10, 0)], |sticky| sticky.home_full = home_full);
    set.home(place(Some("a"), 4));
    set.tick = set.client().until;
    set.home(Wish::Expire);
    set.at("a").ledger.charged_milli = 8_000;
    set
}

#[test]
fn a_full_home_is_left_refused_or_overfilled() {
    let mut set = idle_with_a_full_home(HomeFull::Move);
    assert_eq!(set.home(arrive(None)), "b");
    assert_eq!((set.client().why.reason, set.client().owner_epoch), (Reason::HomeFull, Epoch(2)));
    assert_eq!((set.charged("a"), set.members["a"].ledger.clients, set.charged("b")), (8, 0, 4));
    let mut set = idle_with_a_full_home(HomeFull::Refuse);
    assert_eq!(set.home(arrive(None)), "home-full");
    let mut set = idle_with_a_full_home(HomeFull::Overflow);
    assert_eq!(set.home(arrive(None)), "a");
    assert_eq!((set.charged("a"), &set.notes[..]), (12, &[Note::Overflow { home: id("a") }][..]));
    // Where it is already, it cannot be sent anywhere.
    let mut set = idle_with_a_full_home(HomeFull::Move);
    assert_eq!(set.home(report("a", None)), "home-full");
}
