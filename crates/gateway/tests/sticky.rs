//! Clients of sticky sets, sent home.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::thread;

use steadfast_core::Endpoint;
use steadfast_core::client::Labels;
use steadfast_core::placement::{LedgerState, Reason, Wish};
use steadfast_core::settings::{OnHomeLost, Presence, ReturnHome};
use steadfast_gateway::Answer;
use steadfast_store::faulty::Fault;
use support::sticky::{Member, Running, Town, way};
use support::{App, Reply, until};

/// The host and port a redirect leads to.
#[track_caller]
fn home(gateway: &Running, client: &str) -> String {
    let got = gateway.get(&format!("/stream?client={client}"));
    assert_eq!(got.status, 307, "{got:?}");
    let location = got.field("location").unwrap();
    location.strip_suffix(&format!("/stream?client={client}")).unwrap().to_owned()
}

fn move_to(member: &Member) -> Wish {
    Wish::Move { from: None, to: Some(member.id.clone()), reason: Reason::MovedByOperator, certain_to_leave: true }
}

#[test]
fn a_client_is_redirected_to_the_same_home_by_every_gateway_and_after_a_restart() {
    let (one, two) = (Member::named("web-1"), Member::named("web-2"));
    let town = Town::new(|_| (), &[(&one, 100), (&two, 100)]);
    let gateway = town.gateway(Answer::Redirect);
    let first = home(&gateway, "cam-1");
    let got = gateway.get("/a//b/%7e?x=%41&client=cam-1&&y=+ü");
    assert_eq!(got.field("location").unwrap(), format!("{first}/a//b/%7e?x=%41&client=cam-1&&y=+ü"));
    assert_eq!(got.field("cache-control").unwrap(), "no-store");
    let record = town.client("cam-1").unwrap().record;
    assert_eq!(got.field("steadfast-instance").unwrap(), record.home.as_str());
    assert!(got.body.is_empty());
    let other = town.gateway(Answer::Redirect);
    assert_eq!(home(&other, "cam-1"), first);
    drop(gateway);
    // A feed begins with the last change, whatever that was.
    town.ask("cam-2", Wish::Place { to: None, weight: None, labels: Labels::new() });
    let answered = town.start(|config| config.listeners[0].routes[0].answer = Answer::Redirect);
    assert_eq!(home(&answered, "cam-1"), first, "also one that has heard of nothing yet");
    let again = town.gateway(Answer::Redirect);
    assert_eq!(home(&again, "cam-1"), first);
    assert_eq!(town.client("cam-1").unwrap().record, record, "nothing was written for that");
    assert_eq!((again.totals().misses, again.totals().placed), (1, 0));
    for number in 0..10 {
        assert_eq!(home(&again, "cam-1"), first, "{number}");
    }
    assert_eq!((again.totals().misses, again.totals().hits, again.totals().redirected), (1, 10, 11));
}

#[test]
fn five_hundred_new_clients_at_two_gateways_at_once_get_one_home_each() {
    let members = [Member::named("web-1"), Member::named("web-2"), Member::named("web-3")];
    let town = Town::new(|_| (), &members.each_ref().map(|member| (member, 200)));
    let gateways = [town.gateway(Answer::Redirect), town.gateway(Answer::Redirect)];
    let ask = |gateway: &Running, part: usize| -> BTreeMap<usize, String> {
        let mut client = gateway.client();
        let mut get = |number| {
            let got = client.get(&format!("/?client=cam-{number}"));
            assert_eq!(got.status, 307, "{got:?}");
            (number, got.field("steadfast-instance").unwrap())
        };
        (0..500).filter(|number| number % 8 == part).map(&mut get).collect()
    };
    let mut found: Vec<BTreeMap<usize, String>> = vec![BTreeMap::new(), BTreeMap::new()];
    thread::scope(|scope| {
        let askers: Vec<_> = (0..16).map(|n| (n % 2, scope.spawn(move_ask(&ask, &gateways[n % 2], n / 2)))).collect();
        for (gateway, asker) in askers {
            found[gateway].extend(asker.join().unwrap());
        }
    });
    assert_eq!((found[0].len(), found[1].len()), (500, 500));
    assert_eq!(found[0], found[1]);
    let verified = town.verify();
    assert_eq!((verified.clients, verified.faults.as_slice()), (500, &[][..]));
    assert_eq!(gateways.iter().map(|gateway| gateway.totals().placed).sum::<u64>(), 500);
    // The feed tells each of them what the other one placed.
    gateways.iter().for_each(|gateway| until("all are known", || gateway.clients().remembered == 500));
    for member in &members {
        let at_home = found[0].values().filter(|home| **home == member.id.as_str()).count() as u64;
        assert_eq!(town.charged(member), at_home);
        assert!((140..=190).contains(&at_home), "{at_home} of 500 at {}", member.id);
    }
}

fn move_ask<'a, T>(
    ask: &'a (impl Fn(&Running, usize) -> T + Sync),
    gateway: &'a Running,
    part: usize,
) -> impl FnOnce() -> T + 'a {
    move || ask(gateway, part)
}

#[test]
fn a_request_that_does_not_say_who_its_client_is_is_refused() {
    let one = Member::named("web-1");
    let town = Town::new(|set| set.weight_max = "5".parse().ok(), &[(&one, 100)]);
    let gateway = town.gateway(Answer::Redirect);
    for (path, reason) in [
        ("/", "no-client-key"),
        ("/?client=", "bad-client-key"),
        ("/?client=a&client=b", "ambiguous"),
        ("/?client=a&client=a", "ambiguous"),
        ("/?client=%zz", "bad-client-key"),
        ("/?client=a&weight=much", "bad-weight"),
        ("/?client=a&weight=0", "bad-weight"),
        ("/?client=a&weight=5.001", "bad-weight"),
        ("/?client=a&weight=1&weight=2", "ambiguous"),
    ] {
        let got = gateway.get(path);
        assert_eq!((got.status, got.reason().as_str()), (400, reason), "{path}: {got:?}");
    }
    assert_eq!(town.verify().clients, 0);
    assert_eq!((gateway.refused("ambiguous"), gateway.refused("bad-weight")), (3, 3));
}

#[test]
fn a_client_that_asks_first_is_told_every_endpoint() {
    let mut one = Member::named("web-1");
    one.more = vec![("stream", "rtsp://10.0.0.1:554".parse().unwrap())];
    let town = Town::new(|_| (), &[(&one, 100)]);
    let gateway = town.gateway(Answer::Assign);
    let got = gateway.get("/?client=cam%201&weight=8");
    assert_eq!((got.status, got.field("cache-control").as_deref()), (200, Some("no-store")));
    assert_eq!(got.field("content-type").unwrap(), "application/json");
    let document: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
    let http = format!("http://{}", one.app.address());
    assert_eq!(
        document,
        serde_json::json!({
            "client": "cam%201", "set": "web", "instance": "web-1", "owner_epoch": 1, "phase": "active",
            "endpoints": {"http": http, "stream": "rtsp://10.0.0.1:554"},
            // A quarter more than a day, in ticks of five seconds, and one for the present one.
            "expires_in_ms": 108_005_000,
        })
    );
    assert_eq!(town.charged(&one), 8);
}

#[test]
fn a_proxied_client_is_at_home_and_its_home_knows() {
    let (one, two) = (Member::named("web-1"), Member::named("web-2"));
    let town = Town::new(|_| (), &[(&one, 100), (&two, 100)]);
    let gateway = town.gateway(Answer::Proxy);
    let (mut client, mut homes) = (gateway.client(), BTreeMap::new());
    for round in 0..3 {
        for number in 0..10 {
            let got = client.exchange(format!(
                "POST /x?client=cam-{number} HTTP/1.1\r\nHost: a\r\nSteadfast-Owner-Epoch: 9\r\nContent-Length: 4\r\n\r\nbody"
            ));
            assert_eq!((got.status, got.whole), (200, true), "{got:?}");
            assert_eq!(got.field("steadfast-instance").unwrap(), got.text());
            assert_eq!(*homes.entry(number).or_insert(got.text()), got.text(), "round {round}");
        }
    }
    let seen: Vec<_> = [&one, &two].iter().flat_map(|member| member.app.seen()).collect();
    assert_eq!(seen.len(), 30);
    assert!(seen.iter().all(|seen| seen.fields("steadfast-owner-epoch") == ["1"] && seen.body == b"body"));
    assert!(one.app.requests() == 15 && two.app.requests() == 15);
    assert!(one.app.accepted() + two.app.accepted() < 30, "connections are kept");
    // Elsewhere from now on.
    let (moved, to) = if homes[&0] == "web-1" { (0, &two) } else { (0, &one) };
    town.ask(&format!("cam-{moved}"), move_to(to));
    until("it is at its new home", || gateway.get(&format!("/?client=cam-{moved}")).text() == to.id.as_str());
    assert_eq!(to.app.seen().last().unwrap().fields("steadfast-owner-epoch"), ["2"]);
}

#[test]
fn a_known_client_is_charged_what_it_says_and_is_not_asked_for_twice() {
    let one = Member::named("web-1");
    let town = Town::new(|_| (), &[(&one, 10)]);
    let gateway = town.gateway(Answer::Redirect);
    home(&gateway, "cam-1");
    assert_eq!(town.charged(&one), 1);
    assert_eq!(gateway.get("/?client=cam-1&weight=8").status, 307);
    until("the other weight is charged", || town.charged(&one) == 8);
    home(&gateway, "cam-1");
    // This does not fit: it stays charged as it was, and is not asked for again.
    assert_eq!(gateway.get("/?client=cam-1&weight=11").status, 307);
    until("it was tried", || town.client("cam-1").unwrap().record.declared.to_string() == "11");
    let version = town.client("cam-1").unwrap().version;
    for _ in 0..20 {
        assert_eq!(gateway.get("/?client=cam-1&weight=11").status, 307);
    }
    assert_eq!((town.charged(&one), town.client("cam-1").unwrap().version), (8, version));
    assert_eq!(gateway.totals().misses, 1, "nobody waited for that");
}

#[test]
fn a_refusal_says_why_and_whether_waiting_helps() {
    let one = Member::named("web-1");
    let labelled = |set: &mut steadfast_core::settings::Sticky| {
        let region = steadfast_core::client::Sources(vec!["query:region".parse().unwrap()]);
        set.require.insert("region".parse().unwrap(), region);
    };
    let town = Town::new(labelled, &[(&one, 4)]);
    let gateway = town.gateway(Answer::Redirect);
    let refused = |path: &str| {
        let got = gateway.get(path);
        (got.status, got.reason(), got.field("retry-after").is_some())
    };
    assert_eq!(refused("/?client=a&weight=5"), (503, "too-heavy".to_owned(), false));
    assert_eq!(gateway.get("/?client=a&weight=3").status, 307);
    assert_eq!(refused("/?client=b&weight=2"), (503, "no-room".to_owned(), true));
    assert_eq!(refused("/?client=c&region=eu"), (503, "no-match".to_owned(), true));
    let counted = ["too-heavy", "no-room", "no-match"].map(|reason| gateway.refused(reason));
    assert_eq!(counted, [1, 1, 1]);
}

#[test]
fn a_lost_home_s_clients_are_moved_as_they_come_or_wait() {
    for (on_home_lost, status) in [(OnHomeLost::Move, 307), (OnHomeLost::Fail, 503)] {
        let (one, two) = (Member::named("web-1"), Member::named("web-2"));
        let town = Town::new(|set| set.on_home_lost = on_home_lost, &[(&one, 10)]);
        let gateway = town.gateway(Answer::Redirect);
        let first = home(&gateway, "cam-1");
        town.register(&two, 10);
        assert_eq!(home(&gateway, "cam-1"), first);
        town.set_state(&one, LedgerState::Gone);
        let mut got = None;
        until("the loss is known", || {
            let answer = gateway.get("/stream?client=cam-1");
            let stale = answer.field("location").is_some_and(|location| location.starts_with(&first));
            got = Some(answer);
            !stale
        });
        let got = got.unwrap();
        assert_eq!(got.status, status, "{got:?}");
        if status == 307 {
            assert_eq!(got.field("steadfast-instance").unwrap(), "web-2");
            assert_eq!((town.charged(&one), town.charged(&two)), (0, 1));
            assert_eq!(gateway.totals().moved, 1);
        } else {
            assert_eq!(got.reason(), "home-lost");
            assert!(got.field("retry-after").is_some());
            assert_eq!(town.client("cam-1").unwrap().record.home, one.id);
        }
        assert!(town.verify().faults.is_empty());
    }
}

#[test]
fn a_client_goes_back_to_the_home_it_had_lost_where_the_set_wants_that() {
    let (one, two) = (Member::named("web-1"), Member::named("web-2"));
    let town = Town::new(|set| set.return_home = ReturnHome::Always, &[(&one, 10)]);
    let gateway = town.gateway(Answer::Redirect);
    let first = home(&gateway, "cam-1");
    town.register(&two, 10);
    town.set_state(&one, LedgerState::Gone);
    until("it has another home", || home(&gateway, "cam-1") != first);
    let second = home(&gateway, "cam-1");
    let misses = gateway.totals().misses;
    (0..20).for_each(|_| assert_eq!(home(&gateway, "cam-1"), second));
    assert!(gateway.totals().misses - misses < 10, "whether it can go back is not asked at every request");
    for how in [Fault::Refuse, Fault::Hang] {
        town.store.always(how);
        assert_eq!(home(&gateway, "cam-1"), second, "it is charged there, and nobody can be asked: {how:?}");
        town.store.heal();
    }
    town.set_state(&one, LedgerState::Open);
    until("it is home again", || home(&gateway, "cam-1") == first);
    assert_eq!((town.charged(&one), town.charged(&two)), (1, 0));
    let misses = gateway.totals().misses;
    assert_eq!(home(&gateway, "cam-1"), first);
    assert_eq!(gateway.totals().misses, misses, "at home nobody is asked any more");
}

#[test]
fn a_drained_home_keeps_its_clients_and_gets_no_new_ones() {
    let (one, two) = (Member::named("web-1"), Member::named("web-2"));
    let town = Town::new(|set| set.return_home = ReturnHome::Never, &[(&one, 10)]);
    let gateway = town.gateway(Answer::Redirect);
    let first = home(&gateway, "cam-1");
    town.register(&two, 1_000);
    town.set_state(&one, LedgerState::Draining);
    // The drain may be heard of before the other instance is: then a new client is told that there is none.
    until("new ones go elsewhere", || {
        (0..5).all(|n| {
            let got = gateway.get(&format!("/?client=new-{}-{n}", support::rand()));
            got.field("location").is_some_and(|location| !location.starts_with(&format!("{first}/")))
        })
    });
    assert_eq!(home(&gateway, "cam-1"), first);
}

#[test]
fn new_clients_of_one_source_are_limited_and_known_ones_are_not() {
    let one = Member::named("web-1");
    let town = Town::new(|set| set.new_per_source = 2, &[(&one, 100)]);
    town.ask("known", Wish::Place { to: None, weight: None, labels: Labels::new() });
    let trusting = |config: &mut steadfast_gateway::GatewayConfig| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.listeners[0].routes[0].answer = Answer::Redirect;
    };
    let gateway = town.gateway_with(trusting);
    let from = |source: &str, client: &str| {
        gateway.send(&format!("GET /?client={client} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {source}\r\n"))
    };
    let mut new = (0..).map(|number| from("192.0.2.1", &format!("new-{number}")));
    let refused = new.find(|got| got.status != 307).unwrap();
    assert_eq!((refused.status, refused.reason().as_str()), (429, "too-many-new-clients"));
    assert!(refused.field("retry-after").is_some());
    assert_eq!(from("192.0.2.2", "new-a").status, 307, "another source");
    assert_eq!(from("192.0.2.2", "known").status, 307);
    assert_eq!(from("192.0.2.2", "new-b").status, 307, "one that was known does not count");
    assert!(gateway.refused("too-many-new-clients") >= 1);
}

#[test]
fn who_is_not_trusted_does_not_become_many_sources_by_saying_so() {
    let one = Member::named("web-1");
    let town = Town::new(|set| set.new_per_source = 2, &[(&one, 10_000)]);
    let gateway = town.gateway(Answer::Redirect);
    let refused = (0..10_000).find_map(|n| {
        let said = format!("10.{}.{}.{}", n % 7, n % 199, n % 251);
        let fields = format!("X-Forwarded-For: {said}\r\nForwarded: for={said}\r\nX-Real-IP: {said}\r\n");
        let got = gateway.send(&format!("GET /?client=new-{n} HTTP/1.1\r\nHost: a\r\n{fields}"));
        (got.status != 307).then_some(got)
    });
    let refused = refused.expect("whoever says another address each time is refused as well");
    assert_eq!((refused.status, refused.reason().as_str()), (429, "too-many-new-clients"));
    assert!(refused.field("retry-after").is_some());
}

#[test]
fn a_key_may_be_the_address_behind_trusted_proxies() {
    let one = Member::named("web-1");
    let source = |set: &mut steadfast_core::settings::Sticky| {
        set.client = steadfast_core::client::Sources(vec!["source-ip".parse().unwrap()]);
    };
    let town = Town::new(source, &[(&one, 100)]);
    let gateway = town.gateway_with(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let mut by_room = way("/rooms/{room}/", Answer::Redirect);
        by_room.client = Some(steadfast_core::client::Sources(vec!["path:{room}".parse().unwrap()]));
        config.listeners[0].routes = vec![by_room, way("/", Answer::Redirect)];
    });
    assert_eq!(gateway.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n").status, 307);
    assert!(town.client("192.0.2.1").is_some());
    // A route may know its clients by something else.
    assert_eq!(gateway.get("/rooms/green%20one/chat").status, 307);
    assert!(town.client("green%20one").is_some());
}

#[test]
fn nobody_is_redirected_from_https_to_http_and_tls_is_not_proxied_yet() {
    let mut secure = Member::named("web-1");
    secure.http = Some("https://recorder.example:8443".parse::<Endpoint>().unwrap());
    for (member, expected) in [(secure, 307), (Member::named("web-2"), 502)] {
        let town = Town::new(|_| (), &[(&member, 10)]);
        let gateway = town.gateway_with(|config| {
            config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
            config.listeners[0].routes = vec![way("/proxied/", Answer::Proxy), way("/", Answer::Redirect)];
        });
        let got = gateway.send("GET /?client=a HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n");
        assert_eq!(got.status, expected, "{got:?}");
        match expected {
            307 => {
                assert_eq!(got.field("location").unwrap(), "https://recorder.example:8443/?client=a");
                let proxied = gateway.get("/proxied/?client=a");
                assert_eq!((proxied.status, proxied.reason().as_str()), (502, "no-tls"));
            }
            _ => assert_eq!(got.reason(), "insecure-redirect"),
        }
    }
}

#[test]
fn a_home_that_cannot_be_reached_keeps_its_client_until_it_is_known_to_be_the_same() {
    let (one, two) = (Member::named("web-1"), Member::named("web-2"));
    let town = Town::new(|_| (), &[(&one, 10)]);
    let gateway = town.gateway(Answer::Proxy);
    assert_eq!(gateway.get("/?client=cam-1").text(), "web-1");
    town.register(&two, 1_000);
    let address = one.app.address();
    one.probe.fall_silent();
    one.app.kill();
    let refused = |gateway: &Running| {
        let got = gateway.get("/?client=cam-1");
        got.status == 503 && got.reason() == "home-unreachable" && got.field("retry-after").is_some()
    };
    assert!(refused(&gateway));
    assert_eq!(town.client("cam-1").unwrap().record.home, one.id, "nobody is moved for that");
    // Somebody else answers at that address: nobody knows who.
    let stranger = App::at(address, |_| Reply::ok("a stranger"));
    one.probe.pretend(steadfast_core::Incarnation(7));
    one.probe.lead(1, support::VALID_FOR);
    let asked = one.probe.asked();
    until("it is asked who it is", || one.probe.asked() > asked + 1);
    assert!((0..8).all(|_| refused(&gateway)), "at whichever worker");
    assert_eq!(stranger.requests(), 0);
    one.probe.pretend(one.incarnation);
    until("it is the one it was", || gateway.get("/?client=cam-1").status == 200);
}

#[test]
fn a_redirect_route_needs_a_sticky_set_and_a_set() {
    use support::{Instance, World};
    let one = Instance::new("web-1", App::named("one"));
    let mut unknown = way("/c", Answer::Redirect);
    unknown.set = "nobody-knows".parse().unwrap();
    let routes = vec![way("/a", Answer::Redirect), unknown, way("/", Answer::Proxy)];
    let world = World::with(|config| config.listeners[0].routes = routes);
    let world = world.and_led_by(&one);
    let got = world.get("/a");
    assert_eq!((got.status, got.reason().as_str()), (503, "not-sticky"));
    let got = world.get("/c");
    assert_eq!((got.status, got.reason().as_str()), (503, "no-set"));
    assert_eq!(world.get("/b").text(), "one");
}

#[test]
fn in_a_set_that_looks_for_connections_a_proxied_request_claims_the_reservation() {
    let one = Member::named("web-1");
    let town = Town::new(|set| *set = with_presence(set), &[(&one, 10)]);
    let gateway = town.gateway_with(|config| {
        config.listeners[0].routes = vec![way("/told/", Answer::Redirect), way("/", Answer::Proxy)];
    });
    assert_eq!(gateway.get("/told/?client=cam-1").status, 307);
    let phase = || town.client("cam-1").unwrap().record.phase.as_str();
    assert_eq!(phase(), "reserved");
    assert_eq!(gateway.get("/?client=cam-1").status, 200);
    until("it is seen to be there", || phase() == "active");
    assert_eq!(gateway.get("/?client=cam-2").status, 200);
    assert_eq!(town.client("cam-2").unwrap().record.phase.as_str(), "active");
    assert_eq!(town.charged(&one), 2);
}

fn with_presence(set: &steadfast_core::settings::Sticky) -> steadfast_core::settings::Sticky {
    let (client, weight) = (set.client.clone(), set.weight.clone());
    steadfast_core::settings::Sticky {
        client,
        weight,
        ..steadfast_core::settings::Sticky::with_presence(Presence::Connection)
    }
}

#[test]
fn a_charge_is_written_anew_before_it_ends_and_not_at_every_request() {
    let one = Member::named("web-1");
    let town = Town::new(|set| set.idle_after = "1m".parse().unwrap(), &[(&one, 10)]);
    let gateway = town.gateway(Answer::Redirect);
    home(&gateway, "cam-1");
    let until_tick = || town.client("cam-1").unwrap().record.until.0;
    // A minute and a quarter, in ticks of five seconds, and one for the present one.
    assert_eq!(until_tick(), 16);
    for tick in [1, 2, 3] {
        town.set_tick(tick);
        home(&gateway, "cam-1");
    }
    assert_eq!(until_tick(), 16, "a minute ahead is enough");
    town.set_tick(5);
    until("it is written anew", || {
        home(&gateway, "cam-1");
        until_tick() == 21
    });
    assert_eq!(gateway.totals().misses, 1, "nobody waited for that");
}

#[test]
fn known_clients_need_no_store() {
    let one = Member::named("web-1");
    let town = Town::new(|_| (), &[(&one, 10)]);
    let gateway = town.gateway(Answer::Redirect);
    let first = home(&gateway, "cam-1");
    town.store.always(Fault::Hang);
    for _ in 0..5 {
        assert_eq!(home(&gateway, "cam-1"), first);
    }
    town.store.heal();
}
