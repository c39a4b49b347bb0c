//! Raw bytes in, the answer out, and what was passed on: nothing that two readers could read in two ways.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use support::{App, Instance, Reply, World, route, until};

/// What comes back first, and the request lines the application saw.
fn sent(world: &World, one: &Instance, raw: &str) -> (u16, Vec<String>) {
    let before = one.app.requests();
    let mut client = world.client();
    client.send(raw);
    let got = client.read_answer();
    // Whatever was to be passed on has been by the time the next request on another connection is answered.
    assert_eq!(world.get("/after").status, 200, "after {raw:?}");
    let seen = one.app.seen().into_iter().skip(before);
    (got.status, seen.map(|seen| seen.line().to_owned()).filter(|line| !line.contains("/after")).collect())
}

#[test]
fn what_is_ambiguous_is_refused_and_not_passed_on() {
    let one = Instance::new("web-1", App::new(|_| Reply::ok("one")));
    let world = World::led_by(&one);
    for (status, raw) in [
        // Lengths.
        (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody"),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nbody"),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nbody"),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nbody"),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nbody"),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nbody"),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nbody"),
        // Transfer codings.
        (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nbody"),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\nbody"),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\nbody"),
        (400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        // Fields.
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX-Folded: one\r\n two\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nX\r: b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n"),
        // Hosts.
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a:80:90\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a:port\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n"),
        // Targets.
        (400, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
        (400, "GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET http://a/ HTTP/1.1\r\n\r\n"),
        (400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
        (400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (405, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        (405, "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (405, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        // Lines.
        (400, "G=T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        (400, "GET /\r\n\r\n"),
        // Closed without a word: a client of HTTP/2 understands none.
        (0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (400, "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}"),
    ] {
        let (got, passed) = sent(&world, &one, raw);
        assert_eq!((got, passed), (status, vec![]), "{raw:?}");
    }
}

#[test]
fn a_body_that_is_not_what_its_head_announced_ends_the_request() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::led_by(&one);
    for raw in [
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbody\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbodyX\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nbody",
    ] {
        let (status, _) = sent(&world, &one, raw);
        assert!(matches!(status, 0 | 400), "{status} to {raw:?}");
    }
    assert_eq!(world.totals().leader_lost, 0, "the instance is not to blame");
    until("nothing runs", || world.target().is_some_and(|target| target.running == 0));
}

#[test]
fn what_is_unusual_but_clear_passes() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::led_by(&one);
    for (raw, line) in [
        ("GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y HTTP/1.1"),
        ("GET http://A HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1"),
        ("GET http://a/x HTTP/1.0\r\n\r\n", "GET /x HTTP/1.1"),
        ("GET /a/../b%2f?q#f HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a/../b%2f?q HTTP/1.1"),
        ("GET //x HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "GET //x HTTP/1.1"),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1"),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "BREW / HTTP/1.1"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade, http2-settings\r\nHTTP2-Settings: x\r\n\r\n",
            "GET / HTTP/1.1",
        ),
    ] {
        let (got, passed) = sent(&world, &one, raw);
        assert_eq!((got, passed), (200, vec![line.to_owned()]), "{raw:?}");
    }
}

/// RFC 9112 §6.1 lets a server go by the coding alone, if it passes no length on and closes the connection.
#[test]
fn with_a_length_and_a_coding_the_coding_counts_and_the_connection_ends() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::led_by(&one);
    for fields in ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let before = one.app.requests();
        let mut client = world.client();
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        client.send(format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n{smuggled}"));
        assert_eq!(client.read_answer().status, 200);
        assert!(client.is_at_end(), "the connection stays open");
        let seen = &one.app.seen()[before..];
        assert_eq!((seen.len(), seen[0].field("content-length")), (1, None), "{seen:?}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::led_by(&one);
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = "x".repeat(40_000);
    for raw in [
        format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}{long}{long}"),
    ] {
        let (status, passed) = sent(&world, &one, &raw);
        assert_eq!((status, passed), (431, vec![]), "{} bytes", raw.len());
    }
}

#[test]
fn only_what_a_route_is_for_is_passed_on() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| {
        config.listeners[0].routes = vec![route("a.example", "/exact"), route("*.example", "/below/")];
    })
    .and_led_by(&one);
    let ask = |host: &str, path: &str| world.client().exchange(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    for (host, path) in [("a.example", "/exact"), ("A.Example:8080", "/exact?x"), ("b.example", "/below/x")] {
        assert_eq!(ask(host, path).status, 200, "{host}{path}");
    }
    for (host, path) in [("a.example", "/exact/"), ("b.example", "/exact"), ("example", "/below/"), ("x", "/")] {
        let got = ask(host, path);
        assert_eq!((got.status, got.reason().as_str()), (404, "no-route"), "{host}{path}");
    }
}
