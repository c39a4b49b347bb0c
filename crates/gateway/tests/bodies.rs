//! Bodies that are long, slow, or wanted by nobody.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use steadfast_core::Span;
use steadfast_gateway::Answer;
use support::app::Wire;
use support::sticky::{Member, Town};
use support::{App, Client, DEADLINE, Instance, Reply, World};

/// A long body: more than all buffers on its way hold.
const LONG: usize = 64 << 20;
/// A piece of a long body. Every one is different.
const PIECE: usize = 64 << 10;
/// Long enough that no busy machine takes it for nothing.
const PATIENCE: Duration = Duration::from_secs(5);

fn piece(number: usize, length: usize) -> Vec<u8> {
    let mut piece = vec![number as u8; length];
    piece[..8].copy_from_slice(&(number as u64).to_le_bytes());
    piece
}

/// Writes a long body; false if that broke off.
fn write_long(to: &mut impl Write) -> bool {
    (0..LONG / PIECE).all(|number| to.write_all(&piece(number, PIECE)).is_ok())
}

/// How many pieces of a long body came, each as it was sent.
fn read_long(from: &mut impl Read) -> usize {
    let mut bytes = vec![0; PIECE];
    let good = |number: &usize| from.read_exact(&mut bytes).is_ok() && bytes == piece(*number, PIECE);
    (0..LONG / PIECE).take_while(good).count()
}

/// Takes long bodies, sends them, and says back what it is told.
fn long() -> App {
    let app = App::new(|seen| {
        let line = seen.line().to_owned();
        Reply::Take(Box::new(move |wire: &mut Wire| {
            let length = match &line {
                line if line.contains("/up") => {
                    let text = read_long(wire).to_string();
                    let _ = write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
                    return;
                }
                line if line.contains("/chunks") => "Transfer-Encoding: chunked".to_owned(),
                _ => format!("Content-Length: {LONG}"),
            };
            let _ = write!(wire, "HTTP/1.1 200 OK\r\n{length}\r\n\r\n");
            if line.contains("/down") {
                write_long(wire);
                return;
            }
            let mut bytes = vec![0; PIECE];
            while let Ok(count @ 1..) = wire.read(&mut bytes) {
                let (before, behind) = match line.contains("/chunks") {
                    true => (format!("{count:x}\r\n"), "\r\n"),
                    false => (String::new(), ""),
                };
                if wire.write_all(&[before.as_bytes(), &bytes[..count], behind.as_bytes()].concat()).is_err() {
                    return;
                }
            }
        }))
    });
    app.without_reading_bodies()
}

#[test]
fn a_long_body_passes_wholly_either_way_and_both_ways_at_once() {
    let one = Instance::new("web-1", long());
    let world = World::led_by(&one);
    let all = LONG / PIECE;
    let posted = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {LONG}\r\n\r\n");
    let mut up = world.client();
    up.send(posted("/up"));
    assert!(write_long(&mut up), "the body is taken");
    assert_eq!(up.read_answer().text(), all.to_string());
    let mut down = world.client();
    down.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(down.read_head().starts_with("HTTP/1.1 200 "));
    assert_eq!(read_long(&mut down), all);
    let mut both = world.client();
    both.send(posted("/both"));
    let mut hand = both.try_clone();
    thread::scope(|scope| {
        let written = scope.spawn(move || write_long(&mut hand));
        assert!(both.read_head().starts_with("HTTP/1.1 200 "));
        assert_eq!(read_long(&mut both), all);
        assert!(written.join().unwrap());
    });
    let totals = world.totals();
    assert_eq!((totals.cut, totals.upstream_errors, totals.leader_lost), (0, 0, 0));
    assert!(totals.limited.iter().all(|(_, count)| *count == 0), "{:?}", totals.limited);
}

/// Pieces with pauses, for longer than any limit; each pause is much shorter.
fn trickle(mut send: impl FnMut(&[u8]) -> bool) -> usize {
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < PATIENCE + PATIENCE / 2 {
        let sent = send(format!("400\r\n{}\r\n", "x".repeat(0x400)).as_bytes());
        assert!(sent, "cut after {:?}", begun.elapsed());
        count += 1;
        // tidy-allow(sleep): a trickle has a pace
        thread::sleep(Duration::from_millis(50));
    }
    assert!(send(b"0\r\n\r\n"));
    count * 0x400
}

#[test]
fn a_body_that_takes_longer_than_every_limit_passes_while_it_moves() {
    let app = App::new(|seen| {
        if seen.line().contains("/up") {
            return Reply::ok(&seen.body.len().to_string());
        }
        Reply::Take(Box::new(|wire: &mut Wire| {
            let _ = wire.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            trickle(|bytes| wire.write_all(bytes).is_ok());
        }))
    });
    let one = Instance::new("web-1", app);
    let world = World::with(|config| {
        let bounds = &mut config.bounds;
        bounds.head_within = PATIENCE;
        bounds.body_stalled_for = PATIENCE;
        bounds.idle_for = PATIENCE;
        bounds.reader_stalled_for = PATIENCE;
        bounds.stalled_for = PATIENCE;
        bounds.answer_within = PATIENCE;
    })
    .and_led_by(&one);
    thread::scope(|scope| {
        for method in ["POST", "PUT"] {
            let mut client = world.client();
            scope.spawn(move || {
                client.send(format!("{method} /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
                let sent = trickle(|bytes| client.send(bytes));
                assert_eq!(client.read_answer().text(), sent.to_string());
            });
        }
        let mut client = world.client();
        scope.spawn(move || {
            let got = client.get("/down");
            assert!(got.whole && got.body.len() > 0x400 * 10, "{} bytes", got.body.len());
        });
    });
}

/// A conversation: what comes of a request whose answer has begun may pause as the answer may.
#[test]
fn a_body_may_pause_once_its_answer_has_begun() {
    let one = Instance::new("web-1", long());
    let world = World::with(|config| {
        config.bounds.body_stalled_for = PATIENCE;
        config.bounds.body_rate = 1 << 20;
        config.bounds.stalled_for = DEADLINE;
    })
    .and_led_by(&one);
    let mut client = world.client();
    client.send(format!("POST /chunks HTTP/1.1\r\nHost: a\r\nContent-Length: {LONG}\r\n\r\n"));
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    client.send(b"one");
    assert_eq!(client.read_some(8), b"3\r\none\r\n");
    // tidy-allow(sleep): nothing happens, and that for longer than it might before the answer
    thread::sleep(PATIENCE + PATIENCE / 2);
    client.send(b"six");
    assert_eq!(client.read_some(8), b"3\r\nsix\r\n");
    assert!(world.totals().limited.iter().all(|(_, count)| *count == 0));
}

/// … and while neither says anything, that is an answer that has stalled.
#[test]
fn a_body_that_stops_once_its_answer_has_begun_ends_with_the_answer() {
    let one = Instance::new("web-1", long());
    let world = World::with(|config| config.bounds.stalled_for = Duration::from_secs(1)).and_led_by(&one);
    let mut client = world.client();
    client.send("POST /chunks HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
    assert!(client.is_at_end());
    assert!(world.totals().limited.contains(&("answer_stalled", 1)));
}

/// Sends the rest of a long body behind an answer that was not waited for: the answer is there whole, says that it is the
/// last one, and the connection ends cleanly.
#[track_caller]
fn ends_well(mut client: Client, status: u16, reason: &str) {
    let mut hand = client.try_clone();
    // More than the kernel's buffers hold, so that somebody has to read it.
    let writing = thread::spawn(move || (0..24).all(|_| hand.send(vec![b'x'; 1 << 20])));
    let got = client.read_answer();
    assert_eq!((got.status, got.whole), (status, true), "{got:?}");
    if !reason.is_empty() {
        assert_eq!(got.reason(), reason);
    }
    assert_eq!(got.field("connection").as_deref(), Some("close"), "{got:?}");
    assert!(writing.join().unwrap(), "reset while it was sending");
    client.finish_writing();
    assert!(!client.ends_with_reset());
}

/// The beginning of a request with a long body.
fn begin(mut client: Client, path: &str) -> Client {
    client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\nx", 24 << 20));
    client
}

#[test]
fn an_answer_without_the_body_it_was_for_is_the_last_one_and_arrives() {
    // Nobody is there to take it.
    let world = World::parking_for(Span::from_millis(50), |_| ());
    ends_well(begin(world.client(), "/"), 503, "no-leader");
    // Whoever took it died.
    for (answer, status, reason) in [
        ("", 502, "leader-lost"),
        ("what is this\r\n\r\n", 502, "upstream-malformed"),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno", 401, ""),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403, ""),
    ] {
        for keep in [true, false] {
            if keep && answer.is_empty() {
                continue;
            }
            let reply = move || match keep {
                true => Reply::raw(answer),
                false => Reply::Close(answer.as_bytes().to_vec()),
            };
            let one = Instance::new("web-1", App::new(move |_| reply()).without_reading_bodies());
            let world = World::led_by(&one);
            ends_well(begin(world.client(), "/"), status, reason);
        }
    }
    // Its home is nowhere.
    let one = Member::named("web-1");
    let town = Town::new(|_| (), &[(&one, 10)]);
    let gateway = town.gateway(Answer::Proxy);
    assert_eq!(gateway.get("/?client=a").text(), "web-1");
    one.app.kill();
    ends_well(begin(gateway.client(), "/?client=a"), 503, "home-unreachable");
}

/// What came with its head is out of the way, whatever became of it.
#[test]
fn an_answer_to_a_body_that_is_here_keeps_the_connection() {
    let times = AtomicUsize::new(0);
    let app = App::new(move |_| match times.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => Reply::Close(Vec::new()),
        _ => Reply::ok("one"),
    });
    let one = Instance::new("web-1", app);
    let world = World::parking_for(Span::from_millis(50), |_| ());
    let sized = "Content-Length: 5\r\n\r\nhello".to_owned();
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n".to_owned();
    let mut client = world.client();
    for framed in [&sized, &chunked] {
        for method in ["POST", "PUT"] {
            let got = client.exchange(format!("{method} / HTTP/1.1\r\nHost: a\r\n{framed}"));
            assert_eq!((got.reason().as_str(), got.field("connection")), ("no-leader", None));
        }
    }
    let world = world.and_led_by(&one);
    let mut client = world.client();
    for framed in [&sized, &chunked] {
        let post = format!("POST / HTTP/1.1\r\nHost: a\r\n{framed}");
        let got = client.exchange(&post);
        assert_eq!((got.reason().as_str(), got.field("connection")), ("leader-lost", None));
        assert_eq!(client.exchange(&post).text(), "one", "in step");
    }
}

/// An instance may answer, and close, while its request is still coming: its answer is the one that counts.
#[test]
fn an_answer_that_comes_before_its_request_is_all_there_is_heard() {
    let refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig";
    let app = App::new(move |_| {
        Reply::Take(Box::new(move |wire: &mut Wire| {
            // Somewhere in the middle.
            let _ = wire.read_exact(&mut [0; 100_000]);
            let _ = wire.write_all(refusal);
        }))
    });
    let one = Instance::new("web-1", app.without_reading_bodies());
    let world = World::led_by(&one);
    for _ in 0..30 {
        let mut client = begin(world.client(), "/");
        let mut hand = client.try_clone();
        thread::scope(|scope| {
            scope.spawn(move || (0..4).all(|_| hand.send(vec![b'x'; 1 << 20])));
            let got = client.read_answer();
            assert_eq!((got.status, got.text().as_str()), (413, "big"), "{got:?}");
        });
    }
    assert_eq!((world.totals().leader_lost, world.totals().upstream_errors), (0, 0));
}
