//! Requests that wait, and the bounds of waiting.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::Duration;

use steadfast_core::Span;
use support::{App, Client, Instance, World, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";

fn waiting(world: &World) -> Client {
    let before = world.parked();
    let mut client = world.client();
    client.send(GET);
    until("it waits", || world.parked() == before + 1);
    client
}

#[test]
fn no_more_wait_than_there_is_room_for() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| config.bounds.parked_requests = 2);
    let mut patient = [waiting(&world), waiting(&world)];
    let got = world.get("/");
    assert_eq!((got.status, got.reason().as_str()), (503, "overloaded"));
    assert_eq!(got.field("retry-after").as_deref(), Some("1"));
    let world = world.and_led_by(&one);
    for client in &mut patient {
        assert_eq!(client.read_answer().text(), "one");
    }
    let status = world.gateway().status();
    assert_eq!((status.parked().now, status.parked().peak, status.totals().overloaded), (0, 2, 1));
}

#[test]
fn no_more_bytes_wait_than_there_is_room_for() {
    let world = World::with(|config| config.bounds.parked_bytes = 10_000);
    let _patient = waiting(&world);
    let long = "x".repeat(10_000);
    let got = world.client().exchange(format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!((got.status, got.reason().as_str()), (503, "overloaded"));
    let _another = waiting(&world);
}

#[test]
fn a_set_that_holds_nothing_refuses_at_once() {
    let world = World::parking_for(Span::ZERO, |_| ());
    until("the settings are known", || world.get("/").reason() == "no-leader");
}

#[test]
fn how_long_counts_from_the_first_wait_however_often_there_is_hope() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::parking_for(Span::from_millis(2_000), |_| ());
    // It vouches for itself, but takes no connections.
    one.app.kill();
    let world = world.and_led_by(&one);
    let got = world.get("/");
    assert_eq!((got.status, got.reason().as_str()), (503, "no-leader"));
    assert!(world.totals().upstream_errors > 1, "it was tried again and again");
}

#[test]
fn a_client_that_leaves_waits_no_longer() {
    let world = World::new();
    drop(waiting(&world));
    until("its place is free", || world.parked() == 0);
    // Half a close is a close.
    waiting(&world).finish_writing();
    until("its place is free", || world.parked() == 0);
}

#[test]
fn a_body_is_not_read_while_its_request_waits() {
    let one = Instance::new("web-1", App::new(|seen| support::Reply::ok(&seen.body.len().to_string())));
    let world = World::new();
    let mut client = world.client();
    const SIZE: usize = 32 << 20;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"));
    until("it waits", || world.parked() == 1);
    let mut writer = client.try_clone();
    let (sent, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || sent.send(writer.send(vec![0; SIZE])));
    // What the kernel does not hold of it stays with the client.
    assert!(done.recv_timeout(Duration::from_millis(300)).is_err(), "32 MiB were taken from a client that waits");
    let _world = world.and_led_by(&one);
    assert_eq!(client.read_answer().text(), SIZE.to_string());
    assert!(done.recv_timeout(support::DEADLINE).unwrap());
}
