//! WebSocket connections through the gateway.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{Read, Write};
use std::time::Duration;

use steadfast_core::placement::{Reason, Wish};
use steadfast_core::settings::{Presence, Sticky};
use steadfast_gateway::Answer;
use support::app::{Seen, Wire};
use support::sticky::{Member, Town};
use support::{App, Client, Instance, Reply, World, until};

const UPGRADE: &str = "Host: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An application that turns to WebSocket where it is asked to, and says back what it is told until the client is done:
/// then it says goodbye.
fn echo() -> App {
    let answer = |seen: &Seen| {
        if seen.field("upgrade").as_deref() != Some("websocket") {
            return Reply::ok("plain");
        }
        Reply::Take(Box::new(|wire: &mut Wire| {
            // The first words come together with the answer.
            let _ = wire.write_all(format!("{SWITCHING}hello ").as_bytes());
            let mut bytes = [0; 1_024];
            while let Ok(count @ 1..) = wire.read(&mut bytes) {
                let _ = wire.write_all(&bytes[..count]);
            }
            let _ = wire.write_all(b"goodbye");
        }))
    };
    App::new(answer)
}

/// Opens a tunnel, and has it say something right behind its request.
#[track_caller]
fn open(mut client: Client, path: &str) -> Client {
    client.send(format!("GET {path} HTTP/1.1\r\n{UPGRADE}early "));
    let head = client.read_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    assert_eq!(client.read_some(12), b"hello early ");
    client
}

/// Both ways, and half of it closed.
fn talk_and_part(mut client: Client) {
    for round in 0..3 {
        let said = format!("round {round}");
        assert!(client.send(&said));
        assert_eq!(client.read_some(said.len()), said.as_bytes());
    }
    client.finish_writing();
    assert_eq!(client.read_some(100), b"goodbye", "the other half goes on");
    assert!(client.is_at_end());
}

#[test]
fn a_tunnel_carries_both_ways_and_half_closes_at_a_leader() {
    let one = Instance::new("web-1", echo());
    let world = World::led_by(&one);
    let client = open(world.client(), "/chat");
    until("it is counted", || world.target().unwrap().running == 1);
    talk_and_part(client);
    until("it is counted out", || world.target().unwrap().running == 0);
    assert_eq!(world.totals().tunnels, 1);
    let seen = &one.app.seen()[0];
    assert_eq!((seen.line(), seen.field("sec-websocket-version").as_deref()), ("GET /chat HTTP/1.1", Some("13")));
    assert_eq!(seen.fields("connection"), ["upgrade"]);
}

#[test]
fn a_tunnel_carries_both_ways_and_half_closes_at_home() {
    let (one, two) = (Member::new("web-1", echo()), Member::new("web-2", echo()));
    let town = Town::new(|_| (), &[(&one, 10), (&two, 10)]);
    let gateway = town.gateway(Answer::Proxy);
    for (number, member) in [(1, &one), (2, &two), (1, &one)] {
        let client = open(gateway.client(), &format!("/chat?client=cam-{number}"));
        until("it is counted", || gateway.clients().carried == 1);
        assert_eq!(member.app.seen().last().unwrap().field("steadfast-owner-epoch").as_deref(), Some("1"));
        talk_and_part(client);
        until("it is counted out", || gateway.clients().carried == 0);
    }
    assert_eq!(gateway.totals().tunnels, 3);
}

#[test]
fn a_tunnel_ends_when_its_leader_does() {
    let one = Instance::new("web-1", echo());
    let world = World::led_by(&one);
    let mut client = open(world.client(), "/chat");
    one.probe.lead_for_the_last_time(1, Duration::from_secs(1));
    assert!(client.ends_with_reset(), "what is not over must not look as if it were");
}

#[test]
fn a_tunnel_ends_when_its_client_s_home_is_another_one() {
    let (one, two) = (Member::new("web-1", echo()), Member::new("web-2", echo()));
    let town = Town::new(|_| (), &[(&one, 10)]);
    let gateway = town.gateway(Answer::Proxy);
    let mut moved = open(gateway.client(), "/chat?client=cam-1");
    let stays = open(gateway.client(), "/chat?client=cam-2");
    town.register(&two, 10);
    let wish =
        Wish::Move { from: None, to: Some(two.id.clone()), reason: Reason::MovedByOperator, certain_to_leave: true };
    town.ask("cam-1", wish);
    assert!(moved.ends_with_reset());
    talk_and_part(stays);
    talk_and_part(open(gateway.client(), "/chat?client=cam-1"));
    assert_eq!(two.app.requests(), 1);
}

#[test]
fn whoever_does_not_take_the_upgrade_answers_as_usual() {
    let one = Instance::new("web-1", App::named("no upgrade here"));
    let world = World::led_by(&one);
    let mut client = world.client();
    for _ in 0..2 {
        let got = client.exchange(format!("GET / HTTP/1.1\r\n{UPGRADE}"));
        assert_eq!((got.status, got.text().as_str()), (200, "no upgrade here"));
    }
    // What cannot be an upgrade to WebSocket is none.
    for head in ["POST / HTTP/1.1\r\nContent-Length: 0\r\n", "GET / HTTP/1.0\r\n"] {
        let got = world.client().exchange(format!("{head}{UPGRADE}"));
        assert_eq!(got.status, 200, "{head:?}");
        assert_eq!(one.app.seen().last().unwrap().field("upgrade"), None, "{head:?}");
    }
    let mut client = world.client();
    let got = client.exchange("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(got.status, 200);
    assert_eq!(one.app.seen().last().unwrap().field("upgrade"), None, "Connection did not say so");
}

#[test]
fn a_tunnel_in_which_nothing_passes_is_closed() {
    let one = Instance::new("web-1", echo());
    let world = World::with(|config| config.bounds.tunnel_idle_for = Duration::from_secs(2));
    let world = world.and_led_by(&one);
    let mut client = open(world.client(), "/chat");
    assert!(client.ends_with_reset());
    until("it is counted out", || world.target().unwrap().running == 0);
    assert!(world.totals().limited.contains(&("tunnel_idle", 1)));
}

#[test]
fn who_is_in_a_tunnel_stays_charged_and_is_written_when_it_leaves() {
    let one = Member::new("web-1", echo());
    let connection = |set: &mut Sticky| {
        let (client, weight) = (set.client.clone(), set.weight.clone());
        *set = Sticky { client, weight, ..Sticky::with_presence(Presence::Connection) };
    };
    let town = Town::new(connection, &[(&one, 10)]);
    let gateway = town.gateway(Answer::Proxy);
    let client = open(gateway.client(), "/chat?client=cam-1");
    let record = || town.client("cam-1").unwrap().record;
    assert_eq!((record().phase.as_str(), record().until.0), ("active", 16));
    town.set_tick(10);
    until("its charge is written anew", || record().until.0 == 26);
    talk_and_part(client);
    until("it has left", || gateway.clients().carried == 0);
    let known = record();
    town.set_tick(11);
    assert_eq!(record(), known, "it is charged for a minute more: nothing is to be written");
}
