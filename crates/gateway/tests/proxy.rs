//! What passes through, unchanged and streamed.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::{App, Client, DEADLINE, Instance, Reply, World, until};

fn world(app: App) -> (Instance, World) {
    let one = Instance::new("web-1", app);
    let world = World::led_by(&one);
    (one, world)
}

/// What comes back to a GET where the application writes these bytes and closes.
fn answered_with(method: &str, raw: &'static str) -> support::Got {
    let (_one, world) = world(App::new(move |_| Reply::Close(raw.as_bytes().to_vec())));
    let mut client = world.client();
    client.send(format!("{method} / HTTP/1.1\r\nHost: example.org\r\n\r\n"));
    client.read_answer_to(method)
}

#[test]
fn answers_of_every_framing_pass() {
    let got = answered_with("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-App: yes\r\n\r\nhello");
    assert_eq!((got.text().as_str(), got.whole, got.field("x-app").as_deref()), ("hello", true, Some("yes")));

    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let got = answered_with("GET", chunked);
    assert_eq!((got.text().as_str(), got.whole), ("hello world", true));

    // The end of the connection is the end of this one; for our client it becomes chunked.
    let got = answered_with("GET", "HTTP/1.0 200 OK\r\n\r\nuntil the end");
    assert_eq!((got.text().as_str(), got.whole), ("until the end", true));
    assert!(got.head.starts_with("HTTP/1.1 200"), "{got:?}");

    let got = answered_with("GET", "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!((got.status, got.body.len()), (204, 0));

    let got = answered_with("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1000\r\n\r\n");
    assert_eq!((got.status, got.field("etag").as_deref(), got.body.len()), (304, Some("\"x\""), 0));

    let got = answered_with("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    assert_eq!((got.status, got.field("content-length").as_deref()), (200, Some("1234")));

    let got = answered_with(
        "GET",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    assert_eq!((got.status, got.text().as_str()), (200, "ok"));
}

#[test]
fn what_is_not_http_is_not_passed_on() {
    for raw in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ] {
        let got = answered_with("GET", raw);
        assert_eq!((got.status, got.reason().as_str()), (502, "upstream-malformed"), "{raw:?}: {got:?}");
    }
}

#[test]
fn a_truncated_answer_is_seen_to_be_truncated() {
    for raw in [
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let got = answered_with("GET", raw);
        // What of it arrives depends on the moment; that it is not the whole must show.
        assert!(matches!(got.status, 0 | 200) && !got.whole, "{raw:?}: {got:?}");
    }
}

#[test]
fn for_a_client_of_http_1_0_truncation_is_a_reset() {
    let raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let (_one, world) = world(App::new(move |_| Reply::Close(raw.as_bytes().to_vec())));
    let mut client = world.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert!(client.ends_with_reset(), "a clean end is the end of an answer in HTTP/1.0");
}

#[test]
fn http_1_0_clients_are_served() {
    let (one, world) = world(App::named("one"));
    let mut client = world.client();
    let got = client.exchange("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!((got.status, got.text().as_str()), (200, "one"));
    assert!(client.is_at_end());
    let seen = &one.app.seen()[0];
    assert_eq!((seen.line(), seen.field("host")), ("GET /old HTTP/1.1", Some(one.app.address().to_string())));
    let mut client = world.client();
    for _ in 0..2 {
        assert_eq!(client.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").text(), "one");
    }
}

#[test]
fn bodies_pass_in_both_framings() {
    let (one, world) = world(App::new(|seen| Reply::ok(&format!("{} bytes", seen.body.len()))));
    let mut client = world.client();
    let got = client.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(got.text(), "5 bytes");
    let got = client.exchange(
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    );
    assert_eq!(got.text(), "11 bytes");
    // A GET with a body is odd, but it is what the client says.
    let got = client.exchange("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(got.text(), "2 bytes");
    let seen = one.app.seen();
    assert_eq!(seen[0].field("content-length").as_deref(), Some("5"));
    assert_eq!(seen[1].field("transfer-encoding").as_deref(), Some("chunked"));
    assert_eq!(seen[1].body, b"hello world");
}

#[test]
fn a_big_body_streams_both_ways_without_being_gathered() {
    const SIZE: usize = 64 << 20;
    // Echoes while it reads: with a gateway that gathered either side, neither would ever move.
    let app = App::new(|_| {
        Reply::Take(Box::new(|stream| {
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).unwrap();
            let (mut buffer, mut left) = (vec![0; 64 << 10], SIZE);
            while left > 0 {
                let read = stream.read(&mut buffer).unwrap();
                if read == 0 || stream.write_all(&buffer[..read]).is_err() {
                    return;
                }
                left -= read;
            }
        }))
    })
    .without_reading_bodies();
    let (_one, world) = world(app);
    let mut client = world.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"));
    let mut writer = client.try_clone();
    let writing = std::thread::spawn(move || {
        let chunk = vec![7; 64 << 10];
        (0..SIZE / chunk.len()).all(|_| writer.send(&chunk))
    });
    let got = client.read_answer();
    assert!(writing.join().unwrap());
    assert_eq!((got.body.len(), got.whole), (SIZE, true));
    assert!(got.body.iter().all(|byte| *byte == 7));
}

#[test]
fn a_slow_answer_arrives_piece_by_piece() {
    let (pieces, next) = mpsc::channel::<&str>();
    let next = std::sync::Mutex::new(Some(next));
    let app = App::new(move |_| {
        let next = next.lock().unwrap().take().unwrap();
        Reply::Take(Box::new(move |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            for piece in next {
                stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).unwrap();
            }
            stream.write_all(b"0\r\n\r\n").unwrap();
        }))
    });
    let (_one, world) = world(app);
    let mut client = world.client();
    client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.read_head().starts_with("HTTP/1.1 200"), "the head comes before the first piece");
    for piece in ["one", "two", "three"] {
        pieces.send(piece).unwrap();
        let framed = format!("{:x}\r\n{piece}\r\n", piece.len());
        assert_eq!(client.read_some(framed.len()), framed.as_bytes());
    }
    drop(pieces);
    assert_eq!(client.read_some(5), b"0\r\n\r\n");
}

#[test]
fn a_slow_upload_arrives_piece_by_piece() {
    let (arrived, seen) = mpsc::channel();
    let app = App::new(move |_| {
        let arrived = arrived.clone();
        Reply::Take(Box::new(move |stream| {
            let mut piece = [0; 3];
            for _ in 0..3 {
                stream.read_exact(&mut piece).unwrap();
                arrived.send(piece).unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }))
    })
    .without_reading_bodies();
    let (_one, world) = world(app);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    for piece in [b"one", b"two", b"six"] {
        client.send(piece);
        assert_eq!(&seen.recv_timeout(DEADLINE).unwrap(), piece);
    }
    assert_eq!(client.read_answer().status, 200);
}

#[test]
fn an_early_answer_arrives_before_the_body_is_sent() {
    let app = App::new(|_| Reply::Close(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig".to_vec()));
    let (_one, world) = world(app.without_reading_bodies());
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbeginning");
    let got = client.read_answer();
    assert_eq!((got.status, got.text().as_str()), (413, "big"));
}

#[test]
fn a_client_that_expects_100_gets_it_when_the_instance_is_there() {
    let one = Instance::new("web-1", App::new(|seen| Reply::ok(&seen.body.len().to_string())));
    let world = World::new();
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    until("it waits", || world.parked() == 1);
    let world = world.and_led_by(&one);
    assert_eq!(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body");
    assert_eq!(client.read_answer().text(), "4");
    assert_eq!(one.app.seen()[0].field("expect"), None);
    drop(world);
}

#[test]
fn trailers_pass_both_ways() {
    let (seen, trailers) = mpsc::channel();
    let app = App::new(move |_| {
        let seen = seen.clone();
        Reply::Take(Box::new(move |stream| {
            let mut got = Vec::new();
            let mut byte = [0];
            while !got.ends_with(b"X-Sum: 1\r\n\r\n") && !got.ends_with(b"x-sum: 1\r\n\r\n") {
                if stream.read(&mut byte).unwrap() == 0 {
                    break;
                }
                got.push(byte[0]);
            }
            seen.send(String::from_utf8(got).unwrap()).unwrap();
            let answer = "HTTP/1.1 200 OK\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-End: 2\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }))
    })
    .without_reading_bodies();
    let (one, world) = world(app);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n");
    assert_eq!(trailers.recv_timeout(DEADLINE).unwrap().to_lowercase(), "2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n");
    assert_eq!(one.app.seen()[0].field("te").as_deref(), Some("trailers"));
    let head = client.read_head();
    assert!(head.to_lowercase().contains("trailer: x-end"), "{head}");
    let end = b"2\r\nok\r\n0\r\nx-end: 2\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&client.read_some(end.len())), String::from_utf8_lossy(end));
}

#[test]
fn connections_are_kept_on_both_sides() {
    let (one, world) = world(App::named("one"));
    let mut client = world.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").text(), "one");
    }
    assert_eq!(one.app.accepted(), 1);
    let totals = world.totals();
    assert_eq!((totals.connections, totals.requests, totals.answers[2], totals.upstream_connections), (1, 50, 50, 1));
}

#[test]
fn a_kept_connection_that_died_costs_nothing() {
    let (one, world) = world(App::named("one"));
    let mut clients: Vec<Client> = (0..8).map(|_| world.client()).collect();
    for round in 0..10 {
        for client in &mut clients {
            assert_eq!(client.get("/").text(), "one", "round {round}");
        }
        one.app.close_connections();
    }
    assert_eq!(world.totals().leader_lost, 0);
}

#[test]
fn what_cannot_be_repeated_takes_no_connection_that_may_be_closing() {
    let (one, world) = world(App::named("one"));
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    let mut client = world.client();
    for _ in 0..3 {
        assert_eq!(client.exchange(post).text(), "one");
    }
    let before = one.app.accepted();
    let begun = Instant::now();
    until("a second or so has passed", || begun.elapsed() > Duration::from_millis(1_200));
    assert_eq!(client.exchange(post).text(), "one");
    assert_eq!(one.app.accepted(), before + 1);
    assert_eq!(client.get("/").text(), "one");
    assert_eq!(one.app.accepted(), before + 1, "what can be repeated takes what there is");
}

#[test]
fn an_instance_that_closes_after_each_answer_is_served_from() {
    let (one, world) = world(App::new(|_| Reply::Close(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec())));
    let mut client = world.client();
    for _ in 0..20 {
        let got = client.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!((got.status, got.text().as_str()), (200, "ok"));
    }
    assert_eq!((one.app.requests(), world.totals().leader_lost), (20, 0));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (_one, world) = world(App::new(|seen| Reply::ok(seen.line())));
    let mut client = world.client();
    let both = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(client.exchange(both).text(), "GET /1 HTTP/1.1");
    assert_eq!(client.read_answer().text(), "GET /2 HTTP/1.1");
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    let (gone, noticed) = mpsc::channel();
    let app = App::new(move |_| {
        let gone = gone.clone();
        Reply::Take(Box::new(move |stream| {
            let end = stream.read(&mut [0]);
            gone.send(end.map_or(0, |n| n)).unwrap();
        }))
    });
    let (one, world) = world(app);
    let mut client = world.client();
    client.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the application has it", || one.app.requests() == 1);
    drop(client);
    assert_eq!(noticed.recv_timeout(DEADLINE), Ok(0), "the instance sees the end of the connection");
    until("nothing runs there", || world.target().is_some_and(|target| target.running == 0));
}
