//! The gateway inside the lease.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use steadfast_core::{Incarnation, Span};
use steadfast_registry::{LedgerState, ProbeReason};
use support::{App, Client, DEADLINE, Instance, Reply, World, rand, set, until};

#[test]
fn a_request_goes_to_the_leader() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::led_by(&one);
    let got = world.get("/hello?x=1");
    assert_eq!((got.status, got.text().as_str(), got.whole), (200, "one", true), "{got:?}");
    assert_eq!(got.field("steadfast-instance").as_deref(), Some("web-1"));
    assert_eq!(got.field("steadfast-epoch").as_deref(), Some("1"));
    assert_eq!(one.app.seen()[0].line(), "GET /hello?x=1 HTTP/1.1");
}

#[test]
fn requests_wait_for_a_leader_and_get_its_answer() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::new();
    let mut clients: Vec<Client> = (0..20).map(|_| world.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    }
    until("all of them wait", || world.parked() == 20);
    world.register(&one);
    world.lead(&one, 1);
    for client in &mut clients {
        assert_eq!(client.read_answer().text(), "one");
    }
    assert_eq!((world.parked(), world.totals().parked), (0, 20));
}

#[test]
fn without_a_leader_a_request_is_refused_in_the_end() {
    let world = World::parking_for(Span::from_millis(50), |_| ());
    let got = world.get("/");
    assert_eq!((got.status, got.reason().as_str()), (503, "no-leader"));
    assert_eq!(got.field("retry-after").as_deref(), Some("1"));
}

#[test]
fn a_leader_change_under_load_fails_no_get() {
    let one = Instance::new("web-1", App::named("one"));
    let two = Instance::new("web-2", App::named("two"));
    let world = World::led_by(&one);
    world.register(&two);
    let stop = AtomicBool::new(false);
    let counts = std::thread::scope(|scope| {
        let ask = || {
            let (mut asked, mut second) = (0, 0);
            let mut client = world.client();
            while !stop.load(Ordering::Relaxed) {
                let got = client.get("/");
                assert_eq!((got.status, got.whole), (200, true), "{got:?}");
                asked += 1;
                second += usize::from(got.text() == "two");
            }
            (asked, second)
        };
        let askers: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        until("requests run", || one.app.requests() > 200);
        one.app.kill();
        one.probe.fall_silent();
        world.lead(&two, 2);
        until("requests run again", || two.app.requests() > 200);
        stop.store(true, Ordering::Relaxed);
        askers.into_iter().map(|asker| asker.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(counts.iter().all(|(_, second)| *second > 0), "{counts:?}");
    assert_eq!(world.totals().leader_lost, 0);
}

/// An application that answers `/` at once, and `/stream` with pieces for as long as somebody takes them.
fn streaming() -> App {
    App::new(|seen| match seen.line() {
        "GET /stream HTTP/1.1" => Reply::Take(Box::new(|wire| {
            let _ = wire.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while wire.write_all(b"5\r\npiece\r\n").is_ok() {
                // tidy-allow(sleep): a stream has a pace
                std::thread::sleep(Duration::from_millis(1));
            }
        })),
        _ => Reply::ok("at once"),
    })
}

/// A client that has the beginning of an endless answer.
fn begin_stream(world: &World) -> Client {
    let mut client = world.client();
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.read_head().starts_with("HTTP/1.1 200"));
    client
}

/// Reads to the end of the connection, which must not be the end of the answer.
fn read_to_the_cut(client: &mut Client) {
    let mut last = Vec::new();
    loop {
        let some = client.read_some(1 << 20);
        if some.is_empty() {
            break;
        }
        last = some;
    }
    assert!(!last.ends_with(b"0\r\n\r\n"), "the client takes this for the whole answer");
}

#[test]
fn an_answer_is_cut_before_what_its_leader_vouched_for_is_over() {
    let one = Instance::new("web-1", streaming());
    let world = World::led_by(&one);
    let mut client = begin_stream(&world);
    let over = one.probe.lead_for_the_last_time(1, Duration::from_secs(3));
    read_to_the_cut(&mut client);
    let now = Instant::now();
    assert!(now < over, "passed on {:?} after the leader had stopped", now - over);
    let requests = one.app.requests();
    let mut waiting = world.client();
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("a request waits", || world.parked() == 1);
    assert_eq!(one.app.requests(), requests, "nothing new went there");
    assert_eq!(world.totals().cut, 1);
    one.probe.lead(1, support::VALID_FOR);
    assert_eq!(waiting.read_answer().text(), "at once", "vouched for again, it is used again");
}

#[test]
fn a_higher_epoch_ends_what_runs_at_the_lower_one() {
    let one = Instance::new("web-1", streaming());
    let two = Instance::new("web-2", App::named("two"));
    let world = World::led_by(&one);
    world.register(&two);
    let mut client = begin_stream(&world);
    // The old one still vouches for itself, for a minute.
    world.take(&two, 2);
    read_to_the_cut(&mut client);
    until("nothing may go to the old one", || world.target().is_none());
    two.probe.lead(2, support::VALID_FOR);
    assert_eq!(world.get("/").text(), "two");
}

#[test]
fn a_lower_epoch_is_refused() {
    let one = Instance::new("web-1", App::named("one"));
    let two = Instance::new("web-2", App::named("two"));
    let world = World::new();
    world.register(&one);
    world.register(&two);
    world.lead(&one, 5);
    world.await_leader(&one);
    // As after a store was put back from a copy.
    world.lead(&two, 4);
    until("its probe was asked again and again", || two.probe.asked() > 5);
    assert_ne!(world.target().map(|target| target.instance), Some(two.id.clone()));
    world.lead(&two, 6);
    world.await_leader(&two);
    assert_eq!(world.get("/").text(), "two");
    assert_eq!((one.app.requests(), two.app.requests()), (0, 1));
}

#[test]
fn only_the_life_that_holds_the_lease_is_believed() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::new();
    world.register(&one);
    one.probe.pretend(Incarnation(rand()));
    world.lead(&one, 1);
    until("it was asked again and again", || one.probe.asked() > 5);
    assert_eq!(world.target(), None);
    one.probe.pretend(one.incarnation);
    world.await_leader(&one);
}

#[test]
fn a_holder_that_does_not_lead_yet_is_asked_until_it_does() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::new();
    world.register(&one);
    world.take(&one, 1);
    until("it was asked again and again", || one.probe.asked() > 5);
    assert_eq!(world.target(), None);
    one.probe.lead(1, support::VALID_FOR);
    world.await_leader(&one);
    // Silence is no answer: what was vouched for stands.
    one.probe.fall_silent();
    let asked = one.probe.asked();
    until("it was asked again and again", || one.probe.asked() > asked + 5);
    assert_eq!(world.get("/").text(), "one");
}

/// A request that runs until it is told to end, at an application that answers `/` at once.
struct Held {
    instance: Instance,
    finish: mpsc::Sender<()>,
}

impl Held {
    fn new(id: &str) -> Held {
        let (finish, finished) = mpsc::channel();
        let finished = Arc::new(std::sync::Mutex::new(finished));
        let app = App::new(move |seen| match seen.line() {
            "GET /held HTTP/1.1" => {
                let finished = finished.clone();
                Reply::Take(Box::new(move |wire| {
                    finished.lock().unwrap().recv_timeout(DEADLINE).unwrap();
                    wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld").unwrap();
                }))
            }
            _ => Reply::ok("at once"),
        });
        Held { instance: Instance::new(id, app), finish }
    }

    fn begin(&self, world: &World) -> Client {
        let mut client = world.client();
        client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        until("it runs", || world.target().is_some_and(|target| target.running == 1));
        client
    }
}

/// What runs goes on, what comes waits, and the agent learns when the last one is through.
fn hands_over(begin: impl FnOnce(&World, &Instance)) {
    let old = Held::new("web-1");
    let new = Instance::new("web-2", App::named("new"));
    let world = World::led_by(&old.instance);
    world.register(&new);
    let mut running = old.begin(&world);
    begin(&world, &old.instance);
    until("nothing new begins", || world.target().is_some_and(|target| target.closed));
    until("the agent knows what runs", || old.instance.probe.in_flight() == Some(1));
    let mut waiting = world.client();
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("it waits", || world.parked() == 1);
    old.finish.send(()).unwrap();
    assert_eq!(running.read_answer().text(), "held");
    until("the agent knows that nothing runs", || old.instance.probe.in_flight() == Some(0));
    world.lead(&new, 2);
    assert_eq!(waiting.read_answer().text(), "new");
    assert_eq!(old.instance.app.requests(), 1);
}

#[test]
fn an_ordered_switchover_lets_finish_what_runs() {
    hands_over(|world, old| {
        world.runtime.block_on(world.registry.order_switchover(&set(), None, "a test")).unwrap();
        old.probe.stand_by(ProbeReason::SteppingDown);
    });
}

#[test]
fn a_leader_that_leaves_lets_finish_what_runs() {
    hands_over(|world, old| {
        let leaving = LedgerState::Leaving;
        world.runtime.block_on(world.registry.set_state(&set(), &old.id, None, leaving, "a test")).unwrap();
        old.probe.stand_by(ProbeReason::Leaving);
    });
}

#[test]
fn a_leader_whose_probe_says_no_longer_lets_finish_what_runs() {
    hands_over(|_, old| old.probe.stand_by(ProbeReason::Unhealthy));
}

#[test]
fn a_released_lease_lets_finish_what_runs() {
    let old = Held::new("web-1");
    let world = World::led_by(&old.instance);
    let mut running = old.begin(&world);
    world.release(&old.instance, 1);
    until("nothing new begins", || world.target().is_some_and(|target| target.closed));
    old.finish.send(()).unwrap();
    assert_eq!(running.read_answer().text(), "held");
}

#[test]
fn an_order_nobody_follows_does_not_stop_the_service() {
    let one = Instance::new("web-1", App::named("one"));
    let two = Instance::new("web-2", App::named("two"));
    let world = World::led_by(&one);
    world.register(&two);
    world.runtime.block_on(world.registry.order_switchover(&set(), None, "a test")).unwrap();
    until("nothing new begins", || world.target().is_some_and(|target| target.closed));
    let asked = one.probe.asked();
    until("it is asked", || one.probe.asked() > asked + 5);
    // It goes on saying that it leads.
    assert_eq!(world.get("/").text(), "one");
}

/// What a client gets whose request kills the instance it reaches; how often it was sent.
fn poisoned(request: &str, deaths: usize) -> (support::Got, usize) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let app = App::new(move |seen| {
        if counted.fetch_add(1, Ordering::SeqCst) < deaths {
            Reply::Close(Vec::new())
        } else {
            Reply::ok(&seen.line()[..4])
        }
    });
    let one = Instance::new("web-1", app);
    let world = World::led_by(&one);
    let got = world.client().exchange(request);
    (got, sent.load(Ordering::SeqCst))
}

#[test]
fn a_request_that_may_have_been_carried_out_is_not_repeated() {
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
    ] {
        let (got, sent) = poisoned(request, 1);
        assert_eq!((got.status, got.reason().as_str(), sent), (502, "leader-lost", 1), "{request}");
    }
}

#[test]
fn a_request_that_is_the_same_twice_is_repeated() {
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET "),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "DELE"),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "PUT "),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "PUT "),
    ] {
        let (got, sent) = poisoned(request, 2);
        assert_eq!((got.text().as_str(), sent), (answer, 3), "{request}: {got:?}");
    }
}

#[test]
fn a_request_that_kills_whom_it_reaches_reaches_few() {
    let (got, sent) = poisoned("GET / HTTP/1.1\r\nHost: a\r\n\r\n", usize::MAX);
    assert_eq!((got.reason().as_str(), sent), ("leader-lost", 4));
}

#[test]
fn a_body_that_was_not_kept_is_not_sent_twice() {
    let body = "x".repeat(200_000);
    let request = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (got, sent) = poisoned(&request, 1);
    assert_eq!((got.reason().as_str(), sent), ("leader-lost", 1));
}

#[test]
fn a_kept_body_arrives_whole_at_the_next_leader() {
    let one = Instance::new("web-1", App::new(|_| Reply::Close(Vec::new())));
    let two = Instance::new("web-2", App::named("two"));
    let world = World::led_by(&one);
    world.register(&two);
    let body: String = (0..6_000).map(|n| format!("{n} ")).collect();
    let mut client = world.client();
    client.send(format!("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", body.len(), &body[..100]));
    until("its beginning is on its way", || world.target().is_some_and(|target| target.running == 1));
    client.send(&body[100..]);
    until("it reached the first", || one.app.requests() > 0);
    one.probe.stand_by(ProbeReason::ApplicationDown);
    world.lead(&two, 2);
    assert_eq!(client.read_answer().text(), "two");
    assert_eq!(String::from_utf8_lossy(&two.app.seen()[0].body), body);
}

#[test]
fn an_instance_that_dies_between_head_and_body_has_not_answered() {
    let died = AtomicBool::new(false);
    let app = App::new(move |_| match died.swap(true, Ordering::SeqCst) {
        false => Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".to_vec()),
        true => Reply::ok("well"),
    });
    let one = Instance::new("web-1", app);
    let world = World::led_by(&one);
    let got = world.get("/");
    assert_eq!((got.status, got.text().as_str()), (200, "well"));
}

#[test]
fn requests_wait_while_the_leader_takes_no_connections() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::led_by(&one);
    let address = one.app.address();
    one.app.kill();
    let mut clients: Vec<Client> = (0..20).map(|_| world.client()).collect();
    for client in &mut clients {
        // Nothing of it was sent, so it does not matter that it cannot be repeated.
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    }
    until("all wait", || world.parked() == 20);
    let back = App::at(address, |seen| Reply::ok(&format!("back {}", seen.body.len())));
    for client in &mut clients {
        assert_eq!(client.read_answer().text(), "back 2");
    }
    assert_eq!(back.requests(), 20);
}
