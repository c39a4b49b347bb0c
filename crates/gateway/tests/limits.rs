//! Each limit from both sides: what is just below it passes, what is above gets its answer, and when all is over nothing
//! is counted any more.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{Read, Write};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use support::{App, Client, DEADLINE, Instance, Reply, World, until};

/// Long enough that no busy machine takes it for nothing, short enough to be waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often clients ran into the limit of this key.
fn limited(world: &World, key: &str) -> u64 {
    world.totals().limited.iter().find(|(known, _)| *known == key).unwrap().1
}

#[track_caller]
fn nothing_is_left(world: &World) {
    until("nothing is counted any more", || {
        let connections = world.gateway().status().connections();
        (connections.now, connections.sources) == (0, 0) && world.target().is_none_or(|target| target.running == 0)
    });
}

fn post(framing: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}")
}

/// A body in pieces of these lengths.
fn chunks(lengths: &[usize]) -> String {
    lengths.iter().map(|length| format!("{length:x}\r\n{}\r\n", "x".repeat(*length))).collect()
}

/// Takes the head of a request, and then whatever comes until the connection ends: told once it has.
fn swallowing(answer: &'static str) -> (App, mpsc::Receiver<String>) {
    let (tell, told) = mpsc::channel();
    let app = App::new(move |_| {
        let tell = tell.clone();
        Reply::Take(Box::new(move |wire| {
            wire.write_all(answer.as_bytes()).unwrap();
            let mut bytes = Vec::new();
            let _ = wire.read_to_end(&mut bytes);
            tell.send(String::from_utf8(bytes).unwrap()).unwrap();
        }))
    });
    (app.without_reading_bodies(), told)
}

#[test]
fn a_body_whose_length_is_announced_is_refused_before_anything_is_passed_on() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| config.bounds.body_bytes = Some(1_000)).and_led_by(&one);
    let just = post("Content-Length: 1000", &"x".repeat(1_000));
    let mut client = world.client();
    assert_eq!(client.exchange(&just).text(), "one");
    assert_eq!(client.exchange(&just).text(), "one", "each request has its own");
    let got = client.exchange(post("Content-Length: 1001", &"x".repeat(1_001)));
    assert_eq!((got.status, got.reason().as_str()), (413, "body-too-large"));
    assert_eq!(got.field("connection").as_deref(), Some("close"));
    assert!(client.is_at_end());
    let got = world.client().exchange(post("Content-Length: 1001\r\nExpect: 100-continue", ""));
    assert_eq!(got.status, 413, "without the body: nobody asked for it");
    assert!(!got.head.contains("100 Continue"));
    assert_eq!((one.app.requests(), limited(&world, "body")), (2, 2));
    nothing_is_left(&world);
}

#[test]
fn a_body_that_grows_too_large_breaks_off_so_that_nobody_takes_it_for_whole() {
    let (app, told) = swallowing("");
    let one = Instance::new("web-1", app);
    let world = World::with(|config| config.bounds.body_bytes = Some(1_000)).and_led_by(&one);
    for (method, more) in [("POST", ""), ("PUT", "0\r\n\r\n")] {
        let mut client = world.client();
        client.send(post("Transfer-Encoding: chunked", &chunks(&[500, 499])).replacen("POST", method, 1));
        until("it is being passed on", || world.target().is_some_and(|target| target.running == 1));
        client.send(chunks(&[2]) + more);
        let got = client.read_answer();
        assert_eq!((got.status, got.reason().as_str()), (413, "body-too-large"), "{method}");
        assert!(client.is_at_end());
        let passed = told.recv_timeout(DEADLINE).unwrap();
        assert!(!passed.contains("0\r\n\r\n"), "the application saw the end of a body: {passed:?}");
        assert!(passed.matches('x').count() < 1_000, "{method}");
    }
    assert_eq!(limited(&world, "body"), 2);
    let totals = world.totals();
    assert_eq!((totals.upstream_errors, totals.leader_lost, totals.retried), (0, 0, 0), "the instance is not to blame");
    nothing_is_left(&world);
}

#[test]
fn a_body_in_pieces_may_be_as_large_as_is_allowed() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| config.bounds.body_bytes = Some(1_000)).and_led_by(&one);
    let mut client = world.client();
    for method in ["POST", "PUT"] {
        let whole = post("Transfer-Encoding: chunked", &(chunks(&[500, 499, 1]) + "0\r\n\r\n"));
        assert_eq!(client.exchange(whole.replacen("POST", method, 1)).text(), "one");
        assert_eq!(one.app.seen().last().unwrap().body.len(), 1_000);
    }
    assert_eq!(limited(&world, "body"), 0);
}

#[test]
fn an_answer_that_was_begun_is_cut_when_its_request_grows_too_large() {
    let (app, told) = swallowing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    let one = Instance::new("web-1", app);
    let world = World::with(|config| config.bounds.body_bytes = Some(1_000)).and_led_by(&one);
    let mut client = world.client();
    client.send(post("Transfer-Encoding: chunked", &chunks(&[500])));
    assert!(client.read_head().contains("200 OK"));
    client.send(chunks(&[501]));
    while !client.is_at_end() {
        client.read_some(1);
    }
    assert!(!told.recv_timeout(DEADLINE).unwrap().contains("0\r\n\r\n"));
    assert_eq!((limited(&world, "body"), world.totals().upstream_errors), (1, 0));
    nothing_is_left(&world);
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let (app, told) = swallowing("");
    let one = Instance::new("web-1", app);
    let world = World::with(|config| config.bounds.body_stalled_for = Duration::from_millis(500)).and_led_by(&one);
    for half in [post("Content-Length: 10", "half"), post("Transfer-Encoding: chunked", &chunks(&[4]))] {
        let mut client = world.client();
        client.send(half);
        let got = client.read_answer();
        assert_eq!((got.status, got.reason().as_str()), (408, "body-too-slow"));
        assert_eq!(got.field("connection").as_deref(), Some("close"));
        assert!(client.is_at_end());
        assert!(!told.recv_timeout(DEADLINE).unwrap().contains("0\r\n\r\n"));
    }
    assert_eq!((limited(&world, "body_stalled"), limited(&world, "body_rate")), (2, 0));
    assert_eq!((world.totals().timeouts, world.totals().upstream_errors), (0, 0), "the instance is not to blame");
    nothing_is_left(&world);
}

#[test]
fn a_body_that_trickles_is_given_up() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| {
        config.bounds.body_stalled_for = PATIENCE;
        config.bounds.body_rate = 1_000_000;
    })
    .and_led_by(&one);
    let mut trickling = world.client();
    trickling.send(post("Content-Length: 10000000", ""));
    // On a machine that stands still for so long, what trickles has stalled.
    until("it is given up", || {
        trickling.send("x");
        limited(&world, "body_rate") + limited(&world, "body_stalled") == 1
    });
    assert_eq!(trickling.read_answer().reason(), "body-too-slow");
    nothing_is_left(&world);
}

#[test]
fn a_reader_that_takes_nothing_is_cut_and_one_that_has_nothing_to_take_is_not() {
    let (go_on, may) = mpsc::channel::<()>();
    let may = Arc::new(Mutex::new(may));
    let app = App::new(move |seen| {
        let flood = seen.line().contains("/flood");
        let may = may.clone();
        Reply::Take(Box::new(move |wire| {
            let _ = wire.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
            if !flood {
                let _ = may.lock().unwrap().recv_timeout(DEADLINE);
                let _ = wire.write_all(b"4\r\nlast\r\n0\r\n\r\n");
            }
            while flood && wire.write_all(format!("1000\r\n{:04096}\r\n", 0).as_bytes()).is_ok() {}
        }))
    });
    let one = Instance::new("web-1", app);
    let world = World::with(|config| config.bounds.reader_stalled_for = Duration::from_millis(500)).and_led_by(&one);
    let mut events = world.client();
    events.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut deaf = world.client();
    deaf.send("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    until("who takes nothing is cut", || limited(&world, "reader_stalled") == 1);
    assert!(deaf.ends_with_reset(), "what it has not taken would stay with the kernel");
    go_on.send(()).unwrap();
    let got = events.read_answer();
    assert_eq!((got.text().as_str(), got.whole), ("firstlast", true));
    assert_eq!(limited(&world, "reader_stalled"), 1);
    drop((events, deaf));
    nothing_is_left(&world);
}

#[test]
fn an_answer_that_stops_coming_is_cut() {
    let app = App::new(|_| {
        Reply::Take(Box::new(|wire| {
            let _ = wire.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
            let _ = wire.read(&mut [0]);
        }))
    });
    let one = Instance::new("web-1", app);
    let world = World::with(|config| config.bounds.stalled_for = Duration::from_millis(500)).and_led_by(&one);
    let got = world.get("/");
    assert_eq!((got.status, got.text().as_str(), got.whole), (200, "first", false));
    assert_eq!(limited(&world, "answer_stalled"), 1);
    nothing_is_left(&world);
}

#[test]
fn a_head_that_comes_byte_by_byte_is_told_that_it_is_too_slow() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| config.bounds.head_within = Duration::from_millis(1_500)).and_led_by(&one);
    let head = "GET / HTTP/1.1\r\nHost: a\r\nX: ".to_owned() + &"x".repeat(30_000);
    let mut slow = [world.client(), world.client()];
    // The second head of a connection is timed as the first is.
    assert_eq!(slow[1].get("/").text(), "one");
    let mut bytes = head.bytes();
    until("both are told", || {
        let byte = bytes.next().unwrap();
        for client in &mut slow {
            client.send([byte]);
        }
        limited(&world, "head_within") == 2
    });
    for client in &mut slow {
        let got = client.read_answer();
        assert_eq!((got.status, got.reason().as_str()), (408, "head-too-slow"));
        assert_eq!(got.field("connection").as_deref(), Some("close"));
        assert!(client.is_at_end());
    }
    assert_eq!((one.app.requests(), limited(&world, "idle")), (1, 0));
    drop(slow);
    nothing_is_left(&world);
}

#[test]
fn heads_are_as_large_as_is_allowed_and_not_larger() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| {
        config.bounds.request_line_bytes = 1_000;
        config.bounds.head_bytes = 3_000;
        config.bounds.head_fields = 10;
    })
    .and_led_by(&one);
    // Of so many bytes with its spaces and its version, without the end of the line.
    let line = |bytes: usize| format!("GET /{} HTTP/1.1\r\n", "x".repeat(bytes - 14));
    let fields = |count: usize| "X: y\r\n".repeat(count);
    let filled = |bytes: usize| {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
        head.replace("X: ", &format!("X: {}", "x".repeat(bytes - head.len())))
    };
    let host = "Host: a\r\n";
    for (just, beyond, status, reason, key) in [
        (line(1_000) + host + "\r\n", line(1_001) + host + "\r\n", 414, "uri-too-long", "request_line"),
        (filled(3_000), filled(3_001), 431, "head-too-large", "head"),
        (
            line(20) + host + &fields(9) + "\r\n",
            line(20) + host + &fields(10) + "\r\n",
            431,
            "head-too-large",
            "head_fields",
        ),
    ] {
        let before = one.app.requests();
        let mut client = world.client();
        assert_eq!(client.exchange(&just).text(), "one", "{key}");
        let got = client.exchange(&beyond);
        assert_eq!((got.status, got.reason().as_str()), (status, reason), "{key}");
        assert_eq!(got.field("connection").as_deref(), Some("close"));
        assert!(client.is_at_end());
        assert_eq!((one.app.requests() - before, limited(&world, key)), (1, 1), "{key}");
    }
    nothing_is_left(&world);
}

#[test]
fn who_says_nothing_is_closed_without_a_word() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| {
        config.bounds.head_within = Duration::from_millis(500);
        config.bounds.idle_for = Duration::from_millis(500);
    })
    .and_led_by(&one);
    let mut silent = world.client();
    let mut idle = world.client();
    assert_eq!(idle.get("/").text(), "one");
    assert!(silent.is_at_end() && idle.is_at_end());
    assert_eq!((limited(&world, "idle"), limited(&world, "head_within")), (2, 0));
    nothing_is_left(&world);
}

#[test]
fn a_source_has_so_many_connections_and_the_others_are_served() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| {
        config.bounds.connections_per_source = Some(2_000);
        config.bounds.head_within = DEADLINE;
    })
    .and_led_by(&one);
    let storm: Vec<Client> = (0..2_000).map(|_| world.client()).collect();
    until("all are in", || world.gateway().status().connections().now == 2_000);
    let mut other = from(&world, "127.0.0.2");
    assert_eq!(other.get("/").text(), "one", "another address is served");
    for _ in 0..200 {
        let mut more = world.client();
        more.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let got = more.read_answer();
        assert_eq!((got.status, got.reason().as_str()), (429, "too-many-connections"));
        assert_eq!(got.field("retry-after").as_deref(), Some("1"));
        assert_eq!(got.field("connection").as_deref(), Some("close"));
        assert!(more.is_at_end());
    }
    assert_eq!((limited(&world, "connections_per_source"), one.app.requests()), (200, 1));
    assert_eq!(world.gateway().status().connections().sources, 2);
    drop(storm);
    until("there is room again", || world.gateway().status().connections().now == 1);
    assert_eq!(world.get("/").text(), "one");
    drop(other);
    nothing_is_left(&world);
}

#[test]
fn many_sources_have_each_their_own() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| config.bounds.connections_per_source = Some(1)).and_led_by(&one);
    let sources = || (0..300_u32).map(|n| format!("127.0.{}.{}", 1 + n / 100, 1 + n % 100));
    let mut first: Vec<Client> = sources().map(|source| from(&world, &source)).collect();
    until("all are in", || world.gateway().status().connections().sources == 300);
    for (n, client) in first.iter_mut().enumerate().step_by(10) {
        assert_eq!(client.get("/").text(), "one", "source {n}");
    }
    for source in sources().step_by(10) {
        let mut second = from(&world, &source);
        second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(second.read_answer().reason(), "too-many-connections");
    }
    assert_eq!(limited(&world, "connections_per_source"), 30);
    drop(first);
    nothing_is_left(&world);
}

#[test]
fn a_proxy_that_is_trusted_has_as_many_as_it_needs() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| {
        config.bounds.connections_per_source = Some(1);
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .and_led_by(&one);
    let mut clients: Vec<Client> = (0..20).map(|_| world.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "one");
    }
    assert_eq!(limited(&world, "connections_per_source"), 0);
    drop(clients);
    nothing_is_left(&world);
}

#[test]
fn connections_beyond_the_bound_wait_until_one_that_is_at_work_ends() {
    let (finish, finished) = mpsc::channel::<()>();
    let finished = Arc::new(Mutex::new(finished));
    let app = App::new(move |_| {
        let finished = finished.clone();
        Reply::Take(Box::new(move |wire| {
            let _ = finished.lock().unwrap().recv_timeout(DEADLINE);
            let _ = wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld");
        }))
    });
    let one = Instance::new("web-1", app);
    let world = World::with(|config| {
        config.workers = NonZeroUsize::MIN.into();
        config.bounds.connections = Some(2);
        config.bounds.connections_per_source = Some(2);
    })
    .and_led_by(&one);
    let mut clients: Vec<Client> = (0..3)
        .map(|n| {
            let mut client = from(&world, &format!("127.0.0.{}", n + 1));
            client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            client
        })
        .collect();
    until("there is no room", || limited(&world, "connections") == 1);
    until("two are at work", || one.app.requests() == 2);
    assert_eq!(world.totals().connections, 2, "the third one was taken");
    for _ in 0..3 {
        finish.send(()).unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.read_answer().text(), "held");
    }
    nothing_is_left(&world);
}

#[test]
fn connections_that_are_idle_make_room() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| {
        config.workers = NonZeroUsize::MIN.into();
        config.bounds.connections = Some(2);
        config.bounds.connections_per_source = Some(2);
        config.bounds.idle_for = DEADLINE * 2;
    })
    .and_led_by(&one);
    let mut idle = [world.client(), world.client()];
    for client in &mut idle {
        assert_eq!(client.get("/").text(), "one");
    }
    assert_eq!(from(&world, "127.0.0.2").get("/").text(), "one", "and not when the others have become old");
    assert!(idle.iter_mut().any(Client::is_at_end));
}

/// A client at another address of this machine.
fn from(world: &World, source: &str) -> Client {
    let source: IpAddr = source.parse().unwrap();
    let stream = world.runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        socket.connect(world.address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    Client::from(stream)
}
