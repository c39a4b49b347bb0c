use super::*;

/// The lines of a head, sorted.
fn lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

fn head(text: &str) -> HeaderMap {
    let fields = text.lines().map(|line| line.trim().split_once(": ").unwrap());
    fields.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())).collect()
}

fn passed_on(peer: &str, text: &str) -> Vec<String> {
    let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let mut origin = Origin::new(peer.parse().unwrap(), &trusted);
    let mut headers = head(text);
    to_instance(&mut headers, &mut origin);
    lines(&headers)
}

#[track_caller]
fn check(peer: &str, text: &str, expected: &str) {
    let mut expected: Vec<String> = expected.lines().map(|line| line.trim().to_owned()).collect();
    expected.sort();
    assert_eq!(passed_on(peer, text), expected, "from {peer}:\n{text}");
}

#[test]
fn where_a_request_comes_from_is_told() {
    check(
        "192.0.2.7",
        "host: example.org:8080
         accept: */*",
        "host: example.org:8080
         accept: */*
         via: 1.1 steadfast
         x-forwarded-for: 192.0.2.7
         x-forwarded-proto: http
         x-forwarded-host: example.org:8080
         forwarded: for=192.0.2.7;host=\"example.org:8080\";proto=http",
    );
    check(
        "2001:db8::1",
        "accept: */*",
        "accept: */*
         via: 1.1 steadfast
         x-forwarded-for: 2001:db8::1
         x-forwarded-proto: http
         forwarded: for=\"[2001:db8::1]\";proto=http",
    );
}

#[test]
fn what_a_stranger_says_of_its_origin_is_replaced() {
    check(
        "192.0.2.7",
        "host: a
         x-forwarded-for: 1.2.3.4
         x-forwarded-for: 5.6.7.8
         x-forwarded-proto: https
         x-forwarded-host: bank.example
         forwarded: for=1.2.3.4;proto=https",
        "host: a
         via: 1.1 steadfast
         x-forwarded-for: 192.0.2.7
         x-forwarded-proto: http
         x-forwarded-host: a
         forwarded: for=192.0.2.7;host=\"a\";proto=http",
    );
}

#[test]
fn what_a_trusted_proxy_says_of_it_is_continued() {
    for (peer, node) in [("10.1.2.3", "10.1.2.3"), ("fd00::5", "\"[fd00::5]\"")] {
        check(
            peer,
            "host: a
             via: 1.1 edge
             x-forwarded-for: 1.2.3.4
             x-forwarded-for: 5.6.7.8
             x-forwarded-proto: https
             x-forwarded-host: shop.example
             forwarded: for=1.2.3.4;proto=https",
            &format!(
                "host: a
                 via: 1.1 edge, 1.1 steadfast
                 x-forwarded-for: 1.2.3.4, 5.6.7.8, {peer}
                 x-forwarded-proto: https
                 x-forwarded-host: shop.example
                 forwarded: for=1.2.3.4;proto=https, for={node};host=\"a\";proto=http"
            ),
        );
    }
}

/// What every request gets in addition, from 192.0.2.7.
const TOLD: &str = "via: 1.1 steadfast
    x-forwarded-for: 192.0.2.7
    x-forwarded-proto: http
    forwarded: for=192.0.2.7;proto=http";

#[test]
fn what_is_for_one_hop_goes_no_further() {
    for (text, kept) in [
        ("connection: close", ""),
        ("connection: keep-alive, x-mine\nx-mine: 1\nx-yours: 2\nkeep-alive: timeout=5", "x-yours: 2\n"),
        ("connection: X-Mine\nconnection: x-other\nx-mine: 1\nx-mine: 2\nx-other: 3", ""),
        ("connection: ,, x-mine ,\nx-mine: 1", ""),
        ("te: gzip\ntransfer-encoding: chunked\nupgrade: h2c\nhttp2-settings: x\nproxy-connection: keep-alive", ""),
        ("expect: 100-continue", ""),
        // A request without these would be another request, whoever says they are for one hop.
        ("connection: content-length\ncontent-length: 5", "content-length: 5\n"),
        // Ours are set after theirs are removed.
        ("connection: x-forwarded-for, via, forwarded\nx-forwarded-for: 6.6.6.6", ""),
        ("te: trailers, deflate;q=0.5\ntrailer: x-sum", "te: trailers\nconnection: te\ntrailer: x-sum\n"),
        ("trailer: x-sum", "trailer: x-sum\n"),
        ("authorization: Basic x\nproxy-authorization: Basic y", "authorization: Basic x\n"),
    ] {
        check("192.0.2.7", text, &format!("{kept}{TOLD}"));
    }
}

#[test]
fn our_own_headers_are_not_taken_from_outside() {
    check(
        "192.0.2.7",
        "steadfast-instance: web-9
         steadfast-owner-epoch: 7
         steadfast-anything: x
         x-steadfast: stays",
        &format!("x-steadfast: stays\n{TOLD}"),
    );
}

#[test]
fn the_host_of_each_request_is_told_though_the_last_one_is_remembered() {
    let mut origin = Origin::new("192.0.2.7".parse().unwrap(), &[]);
    for host in ["a", "a", "b", "a"] {
        let mut headers = head(&format!("host: {host}"));
        to_instance(&mut headers, &mut origin);
        assert_eq!(headers[FORWARDED], format!("for=192.0.2.7;host=\"{host}\";proto=http"));
        assert_eq!(headers[FORWARDED_HOST], host);
    }
}

#[test]
fn an_answer_tells_who_gave_it() {
    let answer = |epoch: Option<u64>| {
        let mut headers = head(
            "connection: close, x-hop
             x-hop: 1
             keep-alive: timeout=5
             transfer-encoding: chunked
             upgrade: h2c
             proxy-authenticate: Basic
             set-cookie: a=1
             set-cookie: b=2
             steadfast-instance: lies
             steadfast-epoch: 99",
        );
        to_client(&mut headers, &HeaderValue::from_static("web-1"), epoch.map(HeaderValue::from).as_ref());
        lines(&headers)
    };
    let cookies = ["set-cookie: a=1", "set-cookie: b=2"];
    assert_eq!(answer(Some(7)), [cookies[0], cookies[1], "steadfast-epoch: 7", "steadfast-instance: web-1"]);
    assert_eq!(answer(None), [cookies[0], cookies[1], "steadfast-instance: web-1"]);
}
