use alloc::vec;

use super::*;

fn host(text: &str) -> HostPattern {
    text.parse().unwrap()
}

fn path(text: &str) -> PathPattern {
    text.parse().unwrap()
}

/// Captures as `name=value,…`; `None` for a path that does not match.
fn caught(pattern: &str, found: &str) -> Option<String> {
    let pattern = path(pattern);
    let captures = pattern.matches(found)?;
    Some(captures.iter().map(|(name, value)| alloc::format!("{name}={value}")).collect::<Vec<_>>().join(","))
}

#[test]
fn hosts_match_whatever_their_case_and_port() {
    for (pattern, matching, other) in [
        ("*", vec!["", "a", "example.org:80", "[::1]:80"], vec![]),
        (
            "Example.org",
            vec!["example.org", "EXAMPLE.ORG:8080", "example.org.", "example.org.:80"],
            vec!["", "www.example.org", "example.org.uk", "xexample.org", "example.orgx"],
        ),
        (
            "*.example.org",
            vec!["www.example.org", "a.b.Example.ORG:1", "x.example.org."],
            vec!["example.org", ".example.org", "xexample.org", "www.example.com", "", "é.org"],
        ),
        ("10.0.0.4", vec!["10.0.0.4", "10.0.0.4:80"], vec!["10.0.0.40", "10.0.0.5"]),
        ("[::1]", vec!["[::1]", "[::1]:80"], vec!["[::2]", "::1"]),
    ] {
        for found in matching {
            assert!(host(pattern).matches(found), "{pattern} must match {found:?}");
        }
        for found in other {
            assert!(!host(pattern).matches(found), "{pattern} must not match {found:?}");
        }
    }
}

#[test]
fn paths_match_exactly_or_by_prefix_and_capture_segments() {
    for (pattern, found, expected) in [
        ("/", "/", Some("")),
        ("/", "/anything/at/all", Some("")),
        ("/", "*", None),
        ("/ingest/", "/ingest/", Some("")),
        ("/ingest/", "/ingest/a/b", Some("")),
        ("/ingest/", "/ingest", None),
        ("/ingest/", "/ingestion/", None),
        ("/ingest", "/ingest", Some("")),
        ("/ingest", "/ingest/", None),
        ("/ingest", "/Ingest", None),
        ("/rooms/{room}", "/rooms/7", Some("room=7")),
        ("/rooms/{room}", "/rooms/7/", None),
        ("/rooms/{room}", "/rooms/", None),
        ("/rooms/{room}", "/rooms", None),
        ("/rooms/{room}/", "/rooms/7/", Some("room=7")),
        ("/rooms/{room}/", "/rooms/7/chat/1", Some("room=7")),
        ("/rooms/{room}/", "/rooms/7", None),
        ("/rooms/{room}/", "/rooms//", None),
        ("/{a}/x/{b}", "/1/x/%2F", Some("a=1,b=%2F")),
        ("/{a}/x/{b}", "/1/y/2", None),
        ("/{a}", "/", None),
        ("/{a}", "", None),
    ] {
        assert_eq!(caught(pattern, found).as_deref(), expected, "{pattern} against {found:?}");
    }
}

#[test]
fn segments_of_dots_are_seen_in_every_spelling() {
    for path in [
        "/.",
        "/..",
        "/./",
        "/../",
        "/a/../b",
        "/a/./b",
        "/a/..",
        "/a/%2e%2e/b",
        "/a/%2E./b",
        "/a/.%2e",
        "/a/%2e",
        "/a/..%2fb",
        "/a%2F../b",
        "/a%2f..%2Fb",
        "/a\\..\\b",
        "/a%5c..%5Cb",
        "/a/..;/b",
        "/a/..;x=1/b",
        "/a/..%3bx/b",
        "/a/.;x",
        "..",
        "//..",
    ] {
        assert!(has_dot_segments(path), "{path}");
    }
    for path in [
        "/",
        "",
        "*",
        "/a",
        "/a//b",
        "/.a",
        "/a.",
        "/..a",
        "/a..",
        "/...",
        "/.../b",
        "/a;..",
        "/a;x/..b",
        "/%2e%2e%2e",
        "/.well-known/x",
        "/a.b/c.d",
        "/%",
        "/%2",
        "/%2f",
        "/a%252e%252e",
        "/;./x",
    ] {
        assert!(!has_dot_segments(path), "{path}");
    }
}

#[test]
fn the_first_match_in_order_wins() {
    let routes = Routes::new(vec![
        (host("a.example"), path("/x"), "a's x"),
        (host("*.example"), path("/x"), "anybody's x"),
        (host("*"), path("/r/{id}/"), "by id"),
        (host("*.example"), path("/r/7/"), "never, by id comes first"),
        (host("a.example"), path("/"), "a's rest"),
    ]);
    for (at, wanted, expected) in [
        ("a.example:80", "/x", Some("a's x")),
        ("b.example", "/x", Some("anybody's x")),
        ("b.example", "/r/7/", Some("by id")),
        ("", "/r/7/8", Some("by id")),
        ("A.EXAMPLE", "/other", Some("a's rest")),
        ("b.example", "/other", None),
        ("", "/x", None),
    ] {
        assert_eq!(routes.find(at, wanted).map(|(target, _)| *target), expected, "{at:?} {wanted}");
    }
    let (_, captures) = routes.find("", "/r/7/8").unwrap();
    assert_eq!((captures.get("id"), captures.get("other")), (Some("7"), None));
}

#[test]
fn patterns_keep_their_text_or_are_refused() {
    for text in ["*", "example.org", "*.example.org", "10.0.0.4", "[::1]"] {
        assert_eq!(host(text).to_string(), text);
    }
    assert_eq!(host("Example.ORG").to_string(), "example.org");
    for text in
        ["", "**", "*.", "*example.org", "*.10.0.0.4", "a.*", "example.org:80", "a b", "é.org", "::1", "http://a"]
    {
        assert!(text.parse::<HostPattern>().is_err(), "{text:?} must be refused");
    }
    for text in ["/", "/a", "/a/", "/a/{b}", "/{a}/{b}/", "//", "/a//b"] {
        assert_eq!(path(text).to_string(), text);
    }
    for text in [
        "",
        "a",
        "*",
        "/a b",
        "/a?b",
        "/a#b",
        "/é",
        "/{}",
        "/{a",
        "/a}",
        "/x{a}",
        "/{a}.json",
        "/{A}",
        "/{a}/{a}",
        "/{{a}}",
    ] {
        assert!(text.parse::<PathPattern>().is_err(), "{text:?} must be refused");
    }
    assert_eq!(path("/{a}/x/{b}").captures().collect::<Vec<_>>(), ["a", "b"]);
}
