//! What an instance answers: passed on whole and as it was meant, or not at all. No answer reaches another request.

use super::support::{App, Got, Instance, Reply, World};

/// What a client gets of an answer of these bytes, after which the instance leaves its connection open; and what the
/// next client gets, whom it answers with `next`.
fn answered(method: &str, raw: impl Into<Vec<u8>>) -> (Got, Got) {
    let raw = raw.into();
    let app = App::new(move |seen| match seen.line().contains("/next") {
        true => Reply::ok("next"),
        false => Reply::Keep(raw.clone()),
    });
    let one = Instance::new("web-1", app);
    let world = World::led_by(&one);
    let mut client = world.client();
    client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
    (client.read_answer_to(method), world.client().get("/next"))
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
/// What would be taken for the answer to somebody else's request.
const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

#[test]
fn an_answer_that_is_more_than_its_head_said_reaches_nobody_else() {
    for (name, method, raw, status, body) in [
        ("more than its length", "GET", format!("{OK}Content-Length: 2\r\n\r\nok{POISON}"), 200, "ok"),
        (
            "another answer behind chunks",
            "GET",
            format!("{OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{POISON}"),
            200,
            "ok",
        ),
        ("a body of 204", "GET", format!("HTTP/1.1 204 No Content\r\n\r\n{POISON}"), 204, ""),
        (
            "a body of 204 with a length",
            "GET",
            "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison".to_owned(),
            204,
            "",
        ),
        ("a body of 304", "GET", format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n{POISON}"), 304, ""),
        ("a body to HEAD", "HEAD", format!("{OK}Content-Length: 6\r\n\r\npoison"), 200, ""),
        ("a line end behind it", "GET", format!("{OK}Content-Length: 2\r\n\r\nok\r\n"), 200, "ok"),
    ] {
        let (got, next) = answered(method, raw);
        assert_eq!((got.status, got.text().as_str()), (status, body), "{name}: {got:?}");
        assert_eq!((next.status, next.text().as_str()), (200, "next"), "{name}");
    }
}

#[test]
fn an_answer_of_two_meanings_is_not_passed_on() {
    for (name, raw) in [
        (
            "a length and a coding",
            format!("{OK}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ),
        (
            "a coding and a length",
            format!("{OK}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ),
        ("two lengths", format!("{OK}Content-Length: 2\r\nContent-Length: 6\r\n\r\nok")),
        ("one length twice", format!("{OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok")),
        ("a length that is none", format!("{OK}Content-Length: x\r\n\r\nok")),
        ("a length with a sign", format!("{OK}Content-Length: +2\r\n\r\nok")),
        ("a coding nobody knows", format!("{OK}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")),
        ("chunked, then something", format!("{OK}Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n")),
        ("chunked twice", format!("{OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        ("a folded field", format!("{OK}X: one\r\n two\r\nContent-Length: 2\r\n\r\nok")),
        ("a space before a colon", format!("{OK}Content-Length : 2\r\n\r\nok")),
        ("NUL in a value", format!("{OK}X: a\0b\r\nContent-Length: 2\r\n\r\nok")),
        ("CR in a value", format!("{OK}X: a\rSet-Cookie: x\r\nContent-Length: 2\r\n\r\nok")),
        ("no colon", format!("{OK}X\r\nContent-Length: 2\r\n\r\nok")),
        ("no status", "HTTP/1.1 OK\r\n\r\n".to_owned()),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("something else", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
        (
            "an upgrade nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(),
        ),
    ] {
        let (got, next) = answered("POST", raw);
        assert_eq!((got.status, got.reason().as_str()), (502, "upstream-malformed"), "{name}: {got:?}");
        assert_eq!((next.status, next.text().as_str()), (200, "next"), "{name}");
    }
}

#[test]
fn what_is_said_before_an_answer_is_not_the_answer() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(50);
    let (got, next) = answered("GET", format!("HTTP/1.1 100 Continue\r\n\r\n{early}{OK}Content-Length: 2\r\n\r\nok"));
    assert_eq!((got.status, got.text().as_str(), next.text().as_str()), (200, "ok", "next"));
}

/// Fields of one hop, and what only a gateway says, do not come from an instance. What else it says is passed on as it
/// is: one line each.
#[test]
fn an_instance_says_what_it_says_and_nothing_of_ours() {
    let fields = "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n\
                  Steadfast-Instance: other\r\nSteadfast-Epoch: 99\r\nSet-Cookie: a=b\r\nSet-Cookie: c=%0d%0aX: y\r\n";
    let (got, _) = answered("GET", format!("{OK}{fields}Content-Length: 2\r\n\r\nok"));
    let mut lines: Vec<&str> =
        got.head.lines().skip(1).filter(|line| !line.starts_with("date: ") && !line.is_empty()).collect();
    lines.sort_unstable();
    let expected = [
        "content-length: 2",
        "set-cookie: a=b",
        "set-cookie: c=%0d%0aX: y",
        "steadfast-epoch: 1",
        "steadfast-instance: web-1",
    ];
    assert_eq!(lines, expected);
}

/// Two clients, one connection to the instance: each gets what was said to it.
#[test]
fn each_client_gets_its_own_answer() {
    let one = Instance::new("web-1", App::new(|seen| Reply::ok(seen.line())));
    let world = World::led_by(&one);
    let mut clients: Vec<_> = (0..4).map(|_| world.client()).collect();
    for round in 0..25 {
        for (number, client) in clients.iter_mut().enumerate() {
            let expected = format!("GET /{number}/{round} HTTP/1.1");
            assert_eq!(client.get(&format!("/{number}/{round}")).text(), expected);
        }
    }
    assert!(one.app.accepted() <= 2, "one connection a worker");
}
