//! The design's table "With the store away", line by line.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::Duration;

use steadfast_core::Span;
use steadfast_core::client::Labels;
use steadfast_core::placement::{LedgerState, Wish};
use steadfast_core::settings::{HomeFull, OnHomeLost, Presence, Sticky};
use steadfast_gateway::{Answer, GatewayConfig};
use steadfast_registry::{EventKind, ProbeReason};
use steadfast_store::faulty::Fault;
use support::sticky::{Member, Running, Town};
use support::{App, Instance, World, until};

/// The ways a store is away: it says so at once, or it says nothing.
const WAYS: [Fault; 2] = [Fault::Refuse, Fault::Hang];

impl Town {
    /// From now on nobody reaches the store.
    fn lose_store(&self, how: Fault) {
        self.store.always(how);
        self.store.cut_watches();
    }
}

fn gateway(town: &Town, answer: Answer) -> Running {
    town.gateway_with(|config| impatient(config, answer))
}

fn impatient(config: &mut GatewayConfig, answer: Answer) {
    config.listeners[0].routes[0].answer = answer;
    config.bounds.place_within = Duration::from_secs(1);
}

/// Has a client placed, however long the machine takes.
#[track_caller]
fn place(gateway: &Running, client: &str) {
    until("a client is placed", || gateway.get(&format!("/?client={client}")).status < 400);
}

/// A client is told that the store is away, and when to come again. A store that says nothing is known to be away after
/// a while: until then, its client has waited in vain, and hears that.
#[track_caller]
fn is_unavailable(gateway: &Running, client: &str, how: Fault) {
    let meanwhile = matches!(how, Fault::Hang).then_some("placing-timed-out");
    is_told_in_the_end(gateway, client, meanwhile);
}

#[track_caller]
fn is_told_in_the_end(gateway: &Running, client: &str, meanwhile: Option<&str>) {
    until("the client is told that the store is away", || {
        let got = gateway.get(&format!("/?client={client}"));
        assert_eq!((got.status, got.field("retry-after").as_deref()), (503, Some("1")), "{got:?}");
        let reason = got.reason();
        assert!(reason == "store-unavailable" || Some(reason.as_str()) == meanwhile, "{got:?}");
        reason == "store-unavailable"
    });
}

/// A client that was there, and is idle now.
fn idle(town: &Town, gateway: &Running, client: &str) {
    place(gateway, client);
    let until_tick = town.client(client).unwrap().record.until.0;
    town.set_tick(until_tick);
    town.ask(client, Wish::Expire);
    assert_eq!(town.client(client).unwrap().record.phase.as_str(), "idle");
    // News comes in order: when this one is known, that is.
    town.ask("another", Wish::Place { to: None, weight: None, labels: Labels::new() });
    until("the gateway has heard of that", || gateway.clients().remembered == 2);
}

#[test]
fn a_charged_client_goes_home() {
    for how in WAYS {
        let (one, two) = (Member::named("web-1"), Member::named("web-2"));
        let town = Town::new(|_| (), &[(&one, 10), (&two, 10)]);
        let gateway = gateway(&town, Answer::Proxy);
        place(&gateway, "cam-1");
        let at_home = gateway.get("/?client=cam-1").text();
        town.lose_store(how);
        for _ in 0..5 {
            assert_eq!(gateway.get("/?client=cam-1").text(), at_home, "{how:?}");
        }
        town.store.heal();
    }
}

#[test]
fn a_charged_client_whose_home_is_lost_is_not_moved() {
    for how in WAYS {
        let (one, two) = (Member::named("web-1"), Member::named("web-2"));
        let town = Town::new(|set| set.on_home_lost = OnHomeLost::Fail, &[(&one, 10)]);
        let gateway = gateway(&town, Answer::Redirect);
        place(&gateway, "cam-1");
        town.register(&two, 10);
        town.set_state(&one, LedgerState::Lost);
        until("the loss is known", || gateway.get("/?client=cam-1").status == 503);
        assert_eq!(gateway.get("/?client=cam-1").reason(), "home-lost");
        town.lose_store(how);
        is_unavailable(&gateway, "cam-1", how);
        town.store.heal();
        assert_eq!(town.client("cam-1").unwrap().record.home, one.id, "{how:?}");
        town.set_state(&one, LedgerState::Open);
        until("it is back", || gateway.get("/?client=cam-1").field("steadfast-instance").as_deref() == Some("web-1"));
    }
}

#[test]
fn a_charged_client_whose_home_does_not_answer_is_told_to_come_again_and_is_not_moved() {
    for how in WAYS {
        let (one, two) = (Member::named("web-1"), Member::named("web-2"));
        let town = Town::new(|_| (), &[(&one, 10)]);
        let gateway = gateway(&town, Answer::Proxy);
        place(&gateway, "cam-1");
        town.register(&two, 10);
        town.lose_store(how);
        one.app.kill();
        one.probe.fall_silent();
        // Until it is known that the store is away, its home is what is to blame.
        is_told_in_the_end(&gateway, "cam-1", Some("home-unreachable"));
        town.store.heal();
        assert_eq!(town.client("cam-1").unwrap().record.home, one.id, "{how:?}");
        assert!(town.verify().faults.is_empty());
    }
}

#[test]
fn an_idle_client_may_be_charged_above_the_capacity_when_the_store_is_back_and_an_event_says_so() {
    let one = Member::named("web-1");
    let town = Town::new(|_| (), &[(&one, 1)]);
    let gateway = gateway(&town, Answer::Redirect);
    // What was charged for it is somebody else's by then.
    idle(&town, &gateway, "cam-1");
    assert_eq!(town.charged(&one), 1);
    town.lose_store(Fault::Refuse);
    assert_eq!(gateway.get("/?client=cam-1").field("steadfast-instance").as_deref(), Some("web-1"));
    town.store.heal();
    until("it is charged", || town.charged(&one) == 2);
    assert!(town.verify().faults.is_empty(), "that is no fault");
    let overflowed = |kind: &EventKind| matches!(kind, EventKind::ClientOverflow { client, .. } if client.0 == "cam-1".parse().unwrap());
    until("an event says so", || {
        let events = town.runtime.block_on(town.registry.events(&support::set(), 0)).unwrap();
        events.iter().any(|(_, event)| overflowed(&event.kind))
    });
}

#[test]
fn the_leader_of_a_single_set_is_followed_as_long_as_it_vouches_then_requests_wait_and_are_refused() {
    for how in WAYS {
        let one = Instance::new("web-1", App::named("one"));
        let world = World::parking_for(Span::from_millis(500), |_| ()).and_led_by(&one);
        world.store.always(how);
        world.store.cut_watches();
        for _ in 0..5 {
            assert_eq!(world.get("/").text(), "one", "{how:?}: it vouches for itself");
        }
        // As an agent without a store does at its deadline.
        one.probe.stand_by(ProbeReason::LeaseLost);
        until("requests wait", || world.get("/").status == 503 && world.totals().parked > 0);
        let got = world.get("/");
        assert_eq!((got.status, got.reason().as_str()), (503, "no-leader"), "{how:?}: {got:?}");
        assert_eq!(got.field("retry-after").as_deref(), Some("1"), "{how:?}: {got:?}");
        assert!(one.app.requests() >= 5);
        world.store.heal();
        world.lead(&one, 2);
        until("it is answered again", || world.get("/").status == 200);
    }
}

#[test]
fn an_idle_client_goes_home_and_is_charged_later_or_is_refused() {
    for how in WAYS {
        for home_full in [HomeFull::Move, HomeFull::Overflow, HomeFull::Refuse] {
            let (one, two) = (Member::named("web-1"), Member::named("web-2"));
            let town = Town::new(|set| set.home_full = home_full, &[(&one, 10)]);
            let gateway = gateway(&town, Answer::Redirect);
            idle(&town, &gateway, "cam-1");
            town.register(&two, 1_000);
            town.lose_store(how);
            if home_full == HomeFull::Refuse {
                is_unavailable(&gateway, "cam-1", how);
            } else {
                let got = gateway.get("/?client=cam-1");
                assert_eq!(got.field("steadfast-instance").as_deref(), Some("web-1"), "{how:?} {home_full:?}: {got:?}");
            }
            town.store.heal();
            if home_full == HomeFull::Refuse {
                assert_eq!(town.charged(&one), 1, "only the other one is");
            } else {
                until(&format!("it is charged, {how:?} {home_full:?}"), || town.charged(&one) == 2);
                assert_eq!(gateway.totals().served_away, 1);
            }
            assert!(town.verify().faults.is_empty());
        }
    }
}

#[test]
fn a_new_client_is_refused_and_placed_when_the_store_is_back() {
    for how in WAYS {
        let one = Member::named("web-1");
        let town = Town::new(|_| (), &[(&one, 10)]);
        let gateway = gateway(&town, Answer::Redirect);
        place(&gateway, "cam-0");
        town.lose_store(how);
        is_unavailable(&gateway, "cam-1", how);
        is_unavailable(&gateway, "cam-1", how);
        town.store.heal();
        assert!(town.client("cam-1").is_none());
        until("it is placed", || gateway.get("/?client=cam-1").status == 307);
    }
}

#[test]
fn a_gateway_that_starts_meanwhile_knows_nobody() {
    for how in WAYS {
        let one = Member::named("web-1");
        let town = Town::new(|_| (), &[(&one, 10)]);
        place(&gateway(&town, Answer::Redirect), "cam-1");
        town.lose_store(how);
        let started = town.start(|config| impatient(config, Answer::Redirect));
        is_unavailable(&started, "cam-1", how);
        town.store.heal();
        until("it has heard", || started.get("/?client=cam-1").status == 307);
    }
}

#[test]
fn what_happened_while_the_watch_was_away_is_made_up_for() {
    let (one, two) = (Member::named("web-1"), Member::named("web-2"));
    let connection = |set: &mut Sticky| {
        let (client, weight) = (set.client.clone(), set.weight.clone());
        *set = Sticky { client, weight, ..Sticky::with_presence(Presence::Connection) };
    };
    let town = Town::new(connection, &[(&one, 10)]);
    let gateway = gateway(&town, Answer::Proxy);
    place(&gateway, "cam-1");
    town.register(&two, 10);
    town.store.cut_watches();
    let wish = Wish::Move {
        from: None,
        to: Some(two.id.clone()),
        reason: steadfast_core::placement::Reason::MovedByOperator,
        certain_to_leave: true,
    };
    town.ask("cam-1", wish);
    until("the move is known", || gateway.get("/?client=cam-1").text() == "web-2");
}
