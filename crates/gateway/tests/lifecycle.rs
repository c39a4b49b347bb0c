//! From the first connection to the last: time-outs, and the end in good order.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use steadfast_core::Span;
use support::{App, DEADLINE, Instance, Reply, World, until};

/// Answers `/held` only when told to.
fn holding() -> (Instance, mpsc::Sender<()>) {
    let (finish, finished) = mpsc::channel();
    let finished = std::sync::Arc::new(Mutex::new(finished));
    let app = App::new(move |seen| {
        if !seen.line().contains("/held") {
            return Reply::ok("at once");
        }
        let finished = finished.clone();
        Reply::Take(Box::new(move |wire| {
            // Ends with the test, too.
            let _ = finished.lock().unwrap().recv_timeout(DEADLINE);
            let _ = wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld");
        }))
    });
    (Instance::new("web-1", app), finish)
}

#[test]
fn shutdown_is_announced_and_lets_finish_what_runs() {
    let (one, finish) = holding();
    let world = World::with(|config| {
        config.listeners[0].linger = Span::from_millis(2_000);
        config.bounds.drain_within = DEADLINE;
    })
    .and_led_by(&one);
    let mut idle = world.client();
    assert_eq!(idle.get("/.steadfast/ready").status, 200);
    let mut running = world.client();
    running.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    until("it runs", || world.target().is_some_and(|target| target.running == 1));
    let begun = Instant::now();
    world.shutdown.begin();
    until("the load balancer is told", || world.get("/.steadfast/ready").status == 503);
    assert_eq!(world.get("/").text(), "at once", "who comes nevertheless is served");
    until("nobody can connect any more", || TcpStream::connect(world.address).is_err());
    assert!(begun.elapsed() >= Duration::from_millis(2_000), "it lingered for {:?} only", begun.elapsed());
    assert!(idle.is_at_end(), "a connection without a request is closed");
    finish.send(()).unwrap();
    let got = running.read_answer();
    assert_eq!((got.text().as_str(), got.field("connection").as_deref()), ("held", Some("close")));
    assert!(running.is_at_end());
}

#[test]
fn what_does_not_finish_is_cut_in_the_end() {
    let (one, _finish) = holding();
    let world = World::with(|config| config.bounds.drain_within = Duration::from_millis(100)).and_led_by(&one);
    let mut running = world.client();
    running.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    until("it runs", || world.target().is_some_and(|target| target.running == 1));
    drop(world);
    assert!(running.is_at_end());
}

#[test]
fn an_instance_that_does_not_answer_is_given_up() {
    let (one, _finish) = holding();
    let world = World::with(|config| config.bounds.answer_within = Duration::from_millis(1_000)).and_led_by(&one);
    let mut client = world.client();
    for request in
        ["GET /held HTTP/1.1\r\nHost: a\r\n\r\n", "POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"]
    {
        let got = client.exchange(request);
        assert_eq!((got.status, got.reason().as_str()), (504, "upstream-timeout"));
    }
    assert_eq!(client.get("/").text(), "at once", "the connection serves on");
    assert_eq!((world.totals().timeouts, world.totals().leader_lost), (2, 0));
}

#[test]
fn an_answer_whose_body_does_not_come_is_given_up() {
    let app = App::new(|_| {
        Reply::Take(Box::new(|wire| {
            wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").unwrap();
            let _ = std::io::Read::read(wire, &mut [0]);
        }))
    });
    let one = Instance::new("web-1", app);
    let world = World::with(|config| config.bounds.answer_within = Duration::from_millis(300)).and_led_by(&one);
    assert_eq!(world.get("/").reason(), "upstream-timeout");
}

#[test]
fn a_client_that_stops_sending_is_given_up() {
    let (one, _finish) = holding();
    let short = Duration::from_millis(1_000);
    let world = World::with(|config| {
        config.bounds.head_within = short;
        config.bounds.body_stalled_for = short;
        config.bounds.idle_for = short * 3;
    })
    .and_led_by(&one);
    let mut silent = world.client();
    let mut in_head = world.client();
    in_head.send("GET / HTTP/1.1\r\nHos");
    let mut in_second_head = world.client();
    assert_eq!(in_second_head.get("/").status, 200);
    in_second_head.send("GET / HT");
    let mut in_body = world.client();
    in_body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    let begun = Instant::now();
    let mut idle = world.client();
    assert_eq!(idle.get("/").status, 200);
    assert!(silent.is_at_end());
    assert_eq!(in_head.read_answer().reason(), "head-too-slow");
    assert_eq!(in_second_head.read_answer().reason(), "head-too-slow");
    assert!(in_head.is_at_end() && in_second_head.is_at_end());
    assert_eq!(in_body.read_answer().reason(), "body-too-slow");
    assert!(idle.is_at_end() && begun.elapsed() >= short * 3, "closed after {:?}", begun.elapsed());
}
