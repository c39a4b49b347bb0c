//! Homes that are lost, drained and back; what expires.

use super::*;
use crate::settings::{OnHomeLost, ReturnHome};

const WAIT: Span = Span::from_millis(20_000);

/// A client of weight 4 at home in "a", with "b" as empty and as large.
fn placed(change: impl FnOnce(&mut Sticky)) -> Set {
    let mut set = Set::new(&[("a", 10, 0), ("b", 10, 0)], change);
    assert_eq!(set.home(place(Some("a"), 4)), "a");
    set
}

#[test]
fn a_lost_home_is_waited_for_and_then_left() {
    let mut set = placed(|sticky| sticky.home_wait = WAIT);
    set.state("a", LedgerState::Lost);
    for (tick, left) in [(100, 5), (104, 1)] {
        set.tick = Tick(tick);
        assert_eq!(set.ask(arrive(None)), Err(Refusal::HomeLost { home: id("a"), ticks: Some(left) }));
    }
    set.tick = Tick(105);
    assert_eq!(set.home(arrive(None)), "b");
    let client = set.client();
    assert_eq!((client.why.reason, &client.why.from, client.owner_epoch), (Reason::HomeLost, &Some(id("a")), Epoch(2)));
    assert_eq!((set.charged("a"), set.charged("b"), &client.return_to), (0, 4, &None));
}

#[test]
fn a_home_that_comes_back_in_time_keeps_its_clients() {
    let mut set = placed(|sticky| sticky.home_wait = WAIT);
    set.state("a", LedgerState::Gone);
    assert_eq!(set.home(arrive(None)), "home-lost");
    set.state("a", LedgerState::Open);
    set.at("a").ledger.incarnation = Incarnation(2);
    set.keeps(arrive(None));
    assert_eq!(set.charged("a"), 4);
}

#[test]
fn clients_of_a_lost_home_may_have_to_wait_for_good() {
    let mut set = placed(|sticky| sticky.on_home_lost = OnHomeLost::Fail);
    set.state("a", LedgerState::Gone);
    set.tick = Tick(1_000_000);
    assert_eq!(set.ask(arrive(None)), Err(Refusal::HomeLost { home: id("a"), ticks: None }));
    // An operator may still help it.
    assert_eq!(set.home(shift(None)), "b");
}

#[test]
fn a_home_without_a_ledger_is_expected_to_have_none() {
    let mut set = placed(|_| {});
    set.members.remove("a");
    let Ok(Decision::Write(change)) = set.ask(arrive(None)) else { panic!("it is moved") };
    assert_eq!((change.absent, change.ledgers.len()), (Some(id("a")), 1));
    assert_eq!((set.charged("b"), set.client().home.as_str()), (4, "b"));
    for wish in [Wish::Forget, Wish::Expire] {
        let mut set = placed(|_| {});
        set.tick = set.client().until;
        set.members.remove("a");
        let Ok(Decision::Write(change)) = set.ask(wish) else { panic!("it ends") };
        assert_eq!((change.absent, change.ledgers.len()), (Some(id("a")), 0));
    }
}

#[test]
fn nobody_leaves_a_lost_home_for_one_without_room() {
    let mut set = placed(|_| {});
    set.at("b").ledger.charged_milli = 7_000;
    set.state("a", LedgerState::Lost);
    assert_eq!(set.home(arrive(None)), "no-room");
    assert_eq!(set.charged("a"), 4);
}

#[test]
fn a_drained_home_keeps_whoever_is_there() {
    let mut set = placed(|_| {});
    for state in [LedgerState::Draining, LedgerState::Leaving] {
        set.state("a", state);
        set.keeps(arrive(None));
        set.tick = set.client().until;
        assert_eq!(set.home(arrive(Some(5))), "a");
        assert_eq!(set.home(arrive(Some(4))), "a");
    }
}

#[test]
fn an_idle_client_comes_back_to_a_drained_home_only_if_nobody_else_has_room() {
    let idle = |state| {
        let mut set = placed(|_| {});
        set.state("a", state);
        set.tick = set.client().until;
        set.home(Wish::Expire);
        set
    };
    let mut drained = idle(LedgerState::Draining);
    assert_eq!(drained.home(arrive(None)), "b");
    assert_eq!((drained.client().why.reason, drained.client().phase), (Reason::Drained, Phase::Active));
    let mut full = idle(LedgerState::Draining);
    full.at("b").ledger.charged_milli = 10_000;
    assert_eq!(full.home(arrive(None)), "a");
    assert_eq!(full.client().why.reason, Reason::Returned);
    // Who is only leaving comes up again.
    assert_eq!(idle(LedgerState::Leaving).home(arrive(None)), "a");
}

#[test]
fn a_drains_move_is_void_once_the_client_or_the_drain_is_gone() {
    let mut set = placed(|_| {});
    let drained =
        |from: &str| Wish::Move { from: Some(id(from)), to: None, reason: Reason::Drained, certain_to_leave: true };
    set.keeps(drained("a"));
    set.state("a", LedgerState::Draining);
    set.keeps(drained("a"));
    set.at("a").ledger.move_at = Some(Tick(set.tick.0 + 1));
    set.keeps(drained("a"));
    set.at("a").ledger.move_at = Some(set.tick);
    set.keeps(drained("b"));
    assert_eq!(set.home(drained("a")), "b");
    set.keeps(drained("a"));
}

#[test]
fn clients_return_as_the_set_says() {
    let lose = |return_home| {
        let mut set = placed(|sticky| sticky.return_home = return_home);
        set.state("a", LedgerState::Lost);
        set.home(arrive(None));
        set.state("a", LedgerState::Open);
        set
    };
    let mut never = lose(ReturnHome::Never);
    never.keeps(arrive(None));
    let mut always = lose(ReturnHome::Always);
    assert_eq!(always.client().return_to, Some(id("a")));
    // Only where there is room.
    always.at("a").ledger.charged_milli = 7_000;
    always.keeps(arrive(None));
    always.at("a").ledger.charged_milli = 6_000;
    assert_eq!(always.home(arrive(None)), "a");
    let client = always.client();
    assert_eq!((client.why.reason, &client.return_to, client.owner_epoch), (Reason::HomeBack, &None, Epoch(3)));
    let mut idle = lose(ReturnHome::WhenIdle);
    idle.keeps(arrive(None));
    idle.tick = idle.client().until;
    idle.home(Wish::Expire);
    assert_eq!(idle.home(arrive(None)), "a");
    assert_eq!((idle.charged("a"), idle.charged("b")), (4, 0));
}

#[test]
fn who_loses_one_home_after_the_other_returns_to_the_first() {
    let mut set = placed(|sticky| sticky.return_home = ReturnHome::Always);
    set.members.insert(id("c"), member(10, 1));
    for (lost, next) in [("a", "b"), ("b", "c")] {
        set.state(lost, LedgerState::Lost);
        assert_eq!(set.home(arrive(None)), next);
    }
    assert_eq!(set.client().return_to, Some(id("a")));
    // An operator's word is the last.
    set.state("b", LedgerState::Open);
    set.home(shift(Some("b")));
    assert_eq!(set.client().return_to, None);
}

#[test]
fn a_connected_client_is_not_called_back() {
    let mut set = placed(|sticky| {
        (sticky.return_home, sticky.presence) = (ReturnHome::Always, Presence::Connection);
    });
    set.state("a", LedgerState::Lost);
    set.home(seen(None));
    set.state("a", LedgerState::Open);
    set.keeps(seen(None));
    set.tick = set.client().until;
    assert_eq!(set.home(seen(None)), "a");
}

#[test]
fn what_is_over_is_over_and_not_before() {
    let month = Span::from_millis(30 * 86_400_000);
    let mut set = placed(|sticky| sticky.forget_after = Some(month));
    set.tick = Tick(set.client().until.0 - 1);
    set.keeps(Wish::Expire);
    set.tick = set.client().until;
    set.home(Wish::Expire);
    assert_eq!((set.client().phase, set.client().until), (Phase::Idle, set.tick.after(Some(month))));
    assert_eq!((set.charged("a"), set.members["a"].ledger.clients), (0, 1));
    set.keeps(Wish::Expire);
    set.keeps(Wish::Leave { at: id("a") });
    set.tick = set.client().until;
    assert_eq!(set.home(Wish::Expire), "nowhere");
    assert_eq!(set.members["a"].ledger.clients, 0);
    set.keeps(Wish::Expire);
    set.keeps(Wish::Leave { at: id("a") });
    let mut reserved = placed(|sticky| sticky.presence = Presence::Report);
    reserved.tick = reserved.client().until;
    assert_eq!(reserved.home(Wish::Expire), "nowhere");
    assert_eq!((reserved.charged("a"), reserved.members["a"].ledger.clients), (0, 0));
    let mut remembered = placed(|sticky| sticky.forget_after = None);
    remembered.tick = remembered.client().until;
    remembered.home(Wish::Expire);
    assert_eq!(remembered.client().until, Tick::NEVER);
}
