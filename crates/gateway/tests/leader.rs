//! The gateway inside the lease.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use steadfast_core::Span;
use support::{App, Client, Instance, World, until};

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
