//! What operators, agents and the keeper want.

use super::*;

#[test]
fn an_operator_places_whoever_is_not_there_yet() {
    let mut set = Set::new(&[("a", 10, 0), ("b", 10, 0)], |sticky| sticky.presence = Presence::Connection);
    assert_eq!(set.home(place(Some("b"), 3)), "b");
    assert_eq!((set.client().phase, set.client().why.reason), (Phase::Reserved, Reason::PlacedByOperator));
    set.keeps(place(Some("a"), 7));
    set.known = None;
    assert_eq!(set.home(place(None, 1)), "a");
    set.known = None;
    assert_eq!(set.home(place(Some("c"), 1)), "not-there");
    assert_eq!(set.home(place(Some("b"), 8)), "no-room");
    assert_eq!(set.home(place(Some("b"), 11)), "too-heavy");
    set.state("b", LedgerState::Draining);
    let refusal = Refusal::NotOpen { instance: id("b"), state: LedgerState::Draining };
    assert_eq!(set.ask(place(Some("b"), 1)), Err(refusal));
}

#[test]
fn an_operator_moves_whoever_can_be_moved() {
    let mut set = Set::new(&[("a", 10, 0), ("b", 10, 0), ("c", 10, 8)], |_| {});
    assert_eq!(set.home(shift(None)), "no-client");
    set.home(place(Some("a"), 4));
    set.keeps(shift(Some("a")));
    assert_eq!(set.home(shift(Some("c"))), "no-room");
    assert_eq!(set.home(shift(Some("d"))), "not-there");
    set.state("b", LedgerState::Lost);
    assert_eq!(set.home(shift(Some("b"))), "not-open");
    assert_eq!(set.home(shift(None)), "no-room");
    set.state("b", LedgerState::Open);
    assert_eq!(set.home(shift(None)), "b");
    let client = set.client();
    assert_eq!((client.why.reason, &client.why.from), (Reason::MovedByOperator, &Some(id("a"))));
    assert_eq!((set.charged("a"), set.charged("b"), client.owner_epoch), (0, 4, Epoch(2)));
}

#[test]
fn a_connected_client_is_moved_or_forgotten_only_if_it_can_be_made_to_leave() {
    let connected = |evict: Option<&str>| {
        let mut set = Set::new(&[("a", 10, 0), ("b", 10, 0)], |sticky| {
            (sticky.presence, sticky.evict) = (Presence::Report, evict.map(Into::into));
        });
        set.home(report("a", Some(2)));
        assert_eq!((set.client().phase, set.client().why.reason), (Phase::Active, Reason::Reported));
        set
    };
    let mut set = connected(None);
    assert_eq!(set.home(shift(None)), "connected");
    assert_eq!(set.home(Wish::Forget), "connected");
    set.at("b").ledger.charged_milli = 10_000;
    assert_eq!(set.home(shift(None)), "no-room", "it would not help if it left");
    set.at("b").ledger.charged_milli = 0;
    assert_eq!(set.home(Wish::Move { from: None, to: None, reason: Reason::Drained, certain_to_leave: true }), "b");
    assert_eq!((set.client().why.reason, set.client().phase), (Reason::Drained, Phase::Active));
    // Nobody is connected to what is lost.
    set.state("b", LedgerState::Lost);
    assert_eq!(set.home(shift(None)), "a");
    set.tick = set.client().until;
    assert_eq!(set.home(shift(None)), "no-instance");
    assert_eq!(set.home(Wish::Forget), "nowhere");
    assert_eq!(set.home(Wish::Forget), "no-client");
    assert_eq!(connected(Some("http://127.0.0.1/leave/{client}")).home(Wish::Forget), "nowhere");
}

#[test]
fn who_is_moved_has_time_to_find_its_way() {
    let mut set = Set::new(&[("a", 10, 0), ("b", 10, 0)], |sticky| sticky.presence = Presence::Connection);
    set.home(place(Some("a"), 1));
    set.tick = Tick(set.client().until.0 - 1);
    set.home(shift(None));
    assert_eq!((set.client().phase, set.client().until), (Phase::Reserved, Tick(set.tick.0 + 9)));
}

#[test]
fn remembered_clients_are_moved_by_head_and_charged_nothing() {
    let mut set = Set::new(&[("a", 10, 0), ("b", 10, 0), ("c", 20, 19)], |_| {});
    set.home(place(Some("a"), 4));
    set.tick = set.client().until;
    set.home(Wish::Expire);
    set.at("b").ledger.clients = 12;
    assert_eq!(set.home(shift(None)), "c");
    assert_eq!((set.client().phase, set.charged("c"), set.members["c"].ledger.clients), (Phase::Idle, 19, 20));
    assert_eq!(set.members["a"].ledger.clients, 0);
}

#[test]
fn a_report_speaks_for_the_home_alone() {
    let mut set = Set::new(&[("a", 10, 0), ("b", 10, 9)], |sticky| sticky.presence = Presence::Report);
    assert_eq!(set.home(report("c", None)), "not-there");
    assert_eq!(set.home(report("b", Some(2))), "no-room");
    set.state("b", LedgerState::Draining);
    assert_eq!(set.home(report("b", None)), "not-open");
    assert_eq!(set.home(report("a", Some(3))), "a");
    assert_eq!(set.ask(report("b", None)), Err(Refusal::NotHomeHere { home: id("a") }));
    set.keeps(report("a", Some(3)));
    set.home(report("a", Some(5)));
    assert_eq!(set.charged("a"), 5);
    // It is alive, whatever its ledger says yet; but nothing more is charged there.
    set.state("a", LedgerState::Lost);
    set.keeps(report("a", None));
    set.tick = set.client().until;
    set.home(Wish::Expire);
    assert_eq!(set.home(report("a", None)), "not-open");
}
