//! Who a request is for: targets in every form, and hosts.

use super::support::{App, Instance, World, route};
use super::{Row, check, check_row, passed, refused, sorted};

fn get(target: &[u8]) -> Vec<u8> {
    [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat()
}

fn host(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\n{fields}\r\n")
}

#[test]
fn a_target_is_a_path_with_a_query_and_passes_byte_for_byte() {
    let as_it_is = |target: &str| {
        passed(format!("target {target:?}"), get(target.as_bytes()), &format!("GET {target} HTTP/1.1"), &[])
    };
    let mut rows: Vec<Row> = [
        "/",
        "/?",
        "/??x?",
        "/x?y=z&y=z",
        "//evil.example/x",
        "///",
        "/x//y",
        "/\\evil.example",
        "/%0d%0aX:%20y",
        "/%00",
        "/%zz%",
        "/%2e%2e%2e/...",
        "/x?/../y",
        "/:80",
        "/@evil.example",
        "/http://evil.example/",
        "/a|b^c{d}\"e\"[f]~!$&'()*+,;=",
        "/.well-known/x",
    ]
    .into_iter()
    .map(as_it_is)
    .collect();
    // Bytes beyond ASCII are seen here a character each.
    rows.push(passed("UTF-8", get("/ü?ü".as_bytes()), "GET /\u{c3}\u{bc}?\u{c3}\u{bc} HTTP/1.1", &[]));
    let bad = |target: &[u8]| {
        refused(format!("target {:?}", String::from_utf8_lossy(target)), 400, "bad-target", get(target))
    };
    rows.extend(
        [
            &b"x"[..],
            b"x/y",
            b"*",
            b"?",
            b"#",
            b"/#",
            b"/x#y",
            b"/?x#y",
            b"\\x",
            b"/x y",
            b"/<x>",
            b"/`",
            b"/?\"",
            b"/\xff",
            b"/?\xc3",
            b"/\xed\xa0\x80",
            b"/\0",
            b"/\t",
            b"/\x0b",
            b"/\x7f",
            b"a:80",
            b"a",
            b"user@a:80",
            b"[::1]:80",
        ]
        .map(bad),
    );
    check(rows);
}

#[test]
fn each_byte_of_a_target_passes_as_it_is_or_not_at_all() {
    let mut rows = Vec::new();
    for byte in 0..=u8::MAX {
        let (path, query) = (get(&[b"/", &[byte][..]].concat()), get(&[b"/?", &[byte][..]].concat()));
        let row = |what: &str, bytes: Vec<u8>, before: &str, refused_too: &[u8]| match byte {
            b'\n' => refused(format!("{byte:#04x} in a {what}"), 400, "bad-line", bytes),
            b'!'..=b'~' if !refused_too.contains(&byte) => {
                let line = format!("GET {before}{} HTTP/1.1", char::from(byte));
                passed(format!("{byte:#04x} in a {what}"), bytes, &line, &[])
            }
            _ => refused(format!("{byte:#04x} in a {what}"), 400, "bad-target", bytes),
        };
        rows.push(row("path", path, "/", b"#<>`."));
        rows.push(row("query", query, "/?", b"#<>\""));
    }
    check(rows);
}

#[test]
fn a_target_may_be_a_url_of_the_same_host() {
    let url = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    check(vec![
        passed("a url", url("http://a/x?y", "a"), "GET /x?y HTTP/1.1", &[]),
        passed("of https", url("https://a/x", "a"), "GET /x HTTP/1.1", &[]),
        passed("its scheme in capitals", url("HTTP://a/x", "a"), "GET /x HTTP/1.1", &[]),
        passed("without a path", url("http://a", "a"), "GET / HTTP/1.1", &[]),
        passed("with only a query", url("http://a?y", "a"), "GET /?y HTTP/1.1", &[]),
        passed("two slashes", url("http://a//evil.example", "a"), "GET //evil.example HTTP/1.1", &[]),
        passed("HTTP/1.0 without Host", "GET http://a/x HTTP/1.0\r\n\r\n", "GET /x HTTP/1.1", &[]).closed(),
        refused("another host", 400, "bad-host", url("http://b/", "a")),
        refused("another port", 400, "bad-host", url("http://a:81/", "a")),
        refused("no Host", 400, "bad-host", "GET http://a/ HTTP/1.1\r\n\r\n"),
        refused("user information", 400, "bad-host", url("http://user@a/", "a")),
        refused("the same in Host", 400, "bad-host", url("http://user@a/", "user@a")),
        refused("no host", 400, "bad-target", url("http:///x", "a")),
        refused("another scheme", 400, "bad-target", url("ftp://a/", "a")),
        refused("a scheme and a path", 400, "bad-target", url("http:/a", "a")),
        refused("a fragment", 400, "bad-target", url("http://a/#x", "a")),
        refused(
            "CONNECT",
            405,
            "method-not-allowed",
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        refused("CONNECT to a path", 405, "method-not-allowed", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused("TRACE", 405, "method-not-allowed", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        refused(
            "TRACE with a body",
            405,
            "method-not-allowed",
            "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        ),
        refused("OPTIONS *", 400, "bad-target", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        passed("connect in small letters", "connect / HTTP/1.1\r\nHost: a\r\n\r\n", "connect / HTTP/1.1", &[]),
        passed("a method nobody knows", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "BREW / HTTP/1.1", &[]),
    ]);
}

#[test]
fn there_is_one_host_and_it_is_one() {
    let bad = |fields: &str| refused(format!("{fields:?}"), 400, "bad-host", host(fields));
    let mut rows: Vec<Row> = [
        "",
        "Host:\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a, b\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: a\\b\r\n",
        "Host: a?b\r\n",
        "Host: a#b\r\n",
        "Host: a%2eb\r\n",
        "Host: user@a\r\n",
        "Host: http://a\r\n",
        "Host: a:\r\nX-Forwarded-Host: b\r\nHost: c\r\n",
        "Host: a:80:90\r\n",
        "Host: a:port\r\n",
        "Host: a:-1\r\n",
        "Host: a:123456\r\n",
        "Host: :80\r\n",
        "Host: [::1\r\n",
        "Host: []\r\n",
        "Host: [::1]x\r\n",
        "Host: [x]\r\n",
        "Host: ::1\r\n",
        "Host: a\"b\r\n",
        "Host: a;b\r\n",
        "Host: \u{fc}\r\n",
        "Host: \u{ff41}\r\n",
    ]
    .map(bad)
    .into();
    let other = |name: &str| {
        let added = [
            format!("forwarded: for=127.0.0.1;host=\"{name}\";proto=http"),
            format!("host: {name}"),
            "via: 1.1 steadfast".to_owned(),
            "x-forwarded-for: 127.0.0.1".to_owned(),
            format!("x-forwarded-host: {name}"),
            "x-forwarded-proto: http".to_owned(),
        ];
        let saw = vec![sorted("GET / HTTP/1.1", added.iter().map(String::as_str))];
        Row { saw, ..passed(format!("host {name}"), host(&format!("Host: {name}\r\n")), "", &[]) }
    };
    rows.extend(
        ["a.example", "A.Example:8080", "a.", "a_b-c", "10.0.0.1:80", "[::1]", "[2001:db8::1]:8080", "a:"].map(other),
    );
    check(rows);
}

/// A route for `/a/` is left by nobody: what somebody behind could read as a path outside it is not passed on.
#[test]
fn a_route_is_not_left() {
    let one = Instance::new("web-1", App::named("one"));
    let world = World::with(|config| {
        let routes = [("*", "/a/"), ("*", "/{room}/x"), ("*", "/usable")];
        config.listeners[0].routes = routes.map(|(host, path)| route(host, path)).into();
    })
    .and_led_by(&one);
    let mut rows = vec![
        passed("inside", get(b"/a/b"), "GET /a/b HTTP/1.1", &[]),
        passed("two slashes", get(b"/a//b"), "GET /a//b HTTP/1.1", &[]),
        passed("dots in the query", get(b"/a/?/../b"), "GET /a/?/../b HTTP/1.1", &[]),
        passed("dots in a name", get(b"/a/..b/c../..."), "GET /a/..b/c../... HTTP/1.1", &[]),
        passed("an escaped slash", get(b"/a/%2fb"), "GET /a/%2fb HTTP/1.1", &[]),
        Row { usable: true, ..refused("outside", 404, "no-route", get(b"/b")) },
        Row { usable: true, ..refused("two slashes before", 404, "no-route", get(b"//a/b")) },
        Row { usable: true, ..refused("its letters escaped", 404, "no-route", get(b"/%61/b")) },
        Row { usable: true, ..refused("another case", 404, "no-route", get(b"/A/b")) },
        Row { usable: true, ..refused("a backslash", 404, "no-route", get(b"/a\\b")) },
    ];
    rows.extend(
        [
            "/a/../b",
            "/a/..",
            "/a/.",
            "/a/./b",
            "/./a/b",
            "/../a/b",
            "/a/%2e%2e/b",
            "/a/.%2E/b",
            "/a/..%2fb",
            "/a/%2e%2e%2fb",
            "/a/..\\b",
            "/a/..%5cb",
            "/a\\..\\b",
            "/a/..;/b",
            "/a/..;x=y/b",
            "/../x",
            "/%2e%2e/x",
            "/a/../../../../etc/passwd",
        ]
        .map(|target| refused(target, 400, "bad-target", get(target.as_bytes()))),
    );
    rows.iter().for_each(|row| check_row(row, &one.app, world.client()));
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
    let before = one.app.requests();
    for (host, path) in [("a.example", "/exact/"), ("b.example", "/exact"), ("example", "/below/"), ("x", "/")] {
        let got = ask(host, path);
        assert_eq!((got.status, got.reason().as_str()), (404, "no-route"), "{host}{path}");
    }
    assert_eq!(one.app.requests(), before);
}
