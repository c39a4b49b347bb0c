//! Several requests on one connection: each is read when the one before it is answered, and none behind one that was
//! refused.

use std::time::Duration;

use super::support::sticky::{Member, Town};
use super::support::{App, Client, Instance, Reply, World};
use super::{Row, check, passed, refused};
use steadfast_gateway::Answer;

const GOOD: &str = "GET /good HTTP/1.1\r\nHost: a\r\n\r\n";
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn what_is_behind_a_refused_request_is_not_carried_out() {
    let behind = |name: &str, first: &str, status: u16, reason: &'static str| {
        refused(name, status, reason, format!("{first}{SMUGGLED}{SMUGGLED}"))
    };
    let between = |name: &str, second: &str, status: u16, reason: &'static str| Row {
        answers: vec![(200, ""), (status, reason)],
        usable: false,
        ..passed(name, format!("{GOOD}{second}{SMUGGLED}"), "GET /good HTTP/1.1", &[])
    };
    let mut rows = Vec::new();
    for (name, bytes, status, reason) in [
        ("a bare LF", "GET /x HTTP/1.1\nHost: a\n\n", 400, "bad-line"),
        ("a folded field", "GET /x HTTP/1.1\r\nHost: a\r\n X: y\r\n\r\n", 400, "bad-field"),
        (
            "two lengths",
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            400,
            "ambiguous-length",
        ),
        (
            "an unknown coding",
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n",
            501,
            "unknown-transfer-coding",
        ),
        ("no host", "GET /x HTTP/1.1\r\n\r\n", 400, "bad-host"),
        ("dots", "GET /x/../y HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-target"),
        ("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405, "method-not-allowed"),
        ("an expectation", "GET /x HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417, "expectation-failed"),
        ("another version", "GET /x HTTP/2.0\r\nHost: a\r\n\r\n", 505, "http-version"),
    ] {
        rows.push(behind(name, bytes, status, reason));
        rows.push(between(name, bytes, status, reason));
    }
    check(rows);
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    let one = Instance::new("web-1", App::new(|seen| Reply::ok(seen.line())));
    let world = World::led_by(&one);
    let requests: String = (0..200).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut client = world.client();
    client.send(&requests);
    for number in 0..200 {
        assert_eq!(client.read_answer().text(), format!("GET /{number} HTTP/1.1"));
    }
    assert_eq!(one.app.requests(), 200);
}

/// However the bytes are cut, they are the same requests.
#[test]
fn a_request_may_come_in_any_pieces() {
    let one = Instance::new("web-1", App::new(|seen| Reply::ok(&format!("{} {}", seen.line(), seen.body.len()))));
    let world = World::led_by(&one);
    let requests = "\r\nPOST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
                    POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n\
                    GET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    for size in [1, 2, 3, 7, 50, 100] {
        let mut client = world.client();
        for piece in requests.as_bytes().chunks(size) {
            // They need not arrive as they are sent; often they do.
            assert!(client.send(piece));
            std::thread::yield_now();
        }
        for expected in ["POST /1 HTTP/1.1 5", "POST /2 HTTP/1.1 5", "GET /3 HTTP/1.1 0"] {
            assert_eq!(client.read_answer().text(), expected, "in pieces of {size}");
        }
    }
}

/// A redirect needs no body. One that came with its head is out of the way; with any other the connection ends, and
/// what is still coming is taken for nothing else.
#[test]
fn a_body_nobody_wants_is_not_the_next_request() {
    let one = Member::named("web-1");
    let town = Town::new(|_| (), &[(&one, 10)]);
    for (answer, status) in [(Answer::Redirect, 307), (Answer::Assign, 200)] {
        let gateway = town.gateway(answer);
        let post = |fields: &str| format!("POST /x?client=a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        let get = "GET /x?client=a HTTP/1.1\r\nHost: a\r\n\r\n";
        let sized = post(&format!("Content-Length: {}", SMUGGLED.len()));
        let chunk = format!("{:x}\r\n{SMUGGLED}\r\n", SMUGGLED.len());
        let chunked = post("Transfer-Encoding: chunked");
        for whole in [
            format!("{sized}{SMUGGLED}"),
            format!("{chunked}{chunk}0\r\n\r\n"),
            format!("{chunked}{chunk}{chunk}{chunk}0\r\nX: y\r\n\r\n"),
            format!("GET /x?client=a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len()),
            format!("DELETE /x?client=a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len()),
        ] {
            let mut client = gateway.client();
            let got = client.exchange(&whole);
            assert_eq!((got.status, got.field("connection")), (status, None), "{whole:?}");
            assert_eq!(client.exchange(get).status, status, "in step after {whole:?}");
        }
        let expecting = sized.replace("Host: a", "Host: a\r\nExpect: 100-continue");
        for (begun, rest) in [
            (sized.clone(), SMUGGLED.to_owned()),
            (format!("{sized}GET "), SMUGGLED["GET ".len()..].to_owned()),
            (format!("{chunked}{chunk}"), format!("{chunk}0\r\n\r\n")),
            (expecting, SMUGGLED.to_owned()),
            (post("Content-Length: 100000000000"), SMUGGLED.to_owned()),
            (format!("{chunked}bad"), SMUGGLED.to_owned()),
        ] {
            let mut client = gateway.client();
            client.send(&begun);
            let head = client.read_head();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "no 100 Continue for what is not wanted: {head}");
            assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
            client.send(format!("{rest}{get}"));
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
            client.read_some(length);
            assert_eq!(client.read_rest(), b"", "after {begun:?}");
        }
    }
    assert_eq!((one.app.requests(), town.verify().clients), (0, 1));
}

/// What comes behind an answer that is still under way waits, and is refused in its turn.
#[test]
fn an_answer_under_way_is_finished_before_what_follows_is_refused() {
    let app = App::new(|_| {
        Reply::Take(Box::new(|wire| {
            use std::io::Write;
            wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbe").unwrap();
            std::thread::park_timeout(Duration::from_millis(50));
            let _ = wire.write_all(b"hind");
        }))
    });
    let one = Instance::new("web-1", app);
    let world = World::led_by(&one);
    let mut client: Client = world.client();
    client.send(format!("{GOOD}GET /bad HTTP/1.1\nHost: a\n\n{SMUGGLED}"));
    assert_eq!(client.read_answer().text(), "behind");
    assert_eq!(client.read_answer().reason(), "bad-line");
    assert_eq!(client.read_rest(), b"");
    assert_eq!(one.app.requests(), 1);
}
