use steadfast_host::http::{HeaderMap, HeaderName, HeaderValue, Peer};

use super::*;

const TOKEN: &str = "0123456789abcdef";

/// The reason for which an API on `listen` refuses a request; none if it admits it.
fn refusal(listen: &str, method: Method, path: &str, headers: &[(&str, &str)]) -> Option<String> {
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        all.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let request = Request {
        method,
        path: path.to_owned(),
        query: None,
        headers: all,
        body: bytes::Bytes::new(),
        peer: Peer::Tcp("127.0.0.1:1".parse().unwrap()),
    };
    let access = Access::new(listen.parse().unwrap(), TOKEN.to_owned().into());
    access.admit(&request).err().map(|problem| format!("{} {}", problem.status, problem.reason))
}

const LOCAL: &str = "127.0.0.1:7400";
const WIDE: &str = "0.0.0.0:7400";
const GOOD: (&str, &str) = ("authorization", "Bearer 0123456789abcdef");
const JSON: (&str, &str) = ("content-type", "application/json");
const HOST: (&str, &str) = ("host", "127.0.0.1:7400");

#[test]
fn only_our_own_names_are_served() {
    for host in ["localhost:7400", "127.0.0.1:7400", "127.0.0.1", "[::1]:7400", "LOCALHOST.", "app.localhost"] {
        assert_eq!(refusal(LOCAL, Method::GET, "/api/v1/sets", &[("host", host)]), None, "{host}");
    }
    for host in
        ["evil.example", "evil.example:7400", "127.0.0.1.evil.example", "10.0.0.1:7400", "", "localhost.evil.example"]
    {
        let refused = Some("421 foreign-host".to_owned());
        for path in ["/api/v1/sets", "/metrics", "/healthz", "/store/v1/read"] {
            assert_eq!(refusal(LOCAL, Method::GET, path, &[("host", host), GOOD]), refused, "{host} {path}");
        }
    }
    assert_eq!(refusal(LOCAL, Method::GET, "/api/v1/sets", &[]), Some("421 foreign-host".to_owned()), "no Host at all");
    assert_eq!(
        refusal(WIDE, Method::GET, "/api/v1/sets", &[("host", "evil.example")]),
        Some("421 foreign-host".to_owned())
    );
    for path in ["/metrics", "/healthz", "/readyz"] {
        for host in ["10.1.2.3:7400", "steadfast.monitoring.svc:7400"] {
            assert_eq!(refusal(WIDE, Method::GET, path, &[("host", host)]), None, "{host} {path}");
        }
        let change = refusal(WIDE, Method::POST, path, &[("host", "evil.example"), JSON]);
        assert_eq!(change, Some("421 foreign-host".to_owned()), "only reading is open: {path}");
    }
    assert_eq!(
        refusal(WIDE, Method::GET, "/api/v1/sets", &[("host", "store.internal:7400"), GOOD]),
        None,
        "who has the token may know us by a name we do not know"
    );
}

#[test]
fn pages_of_other_sites_are_refused() {
    let read = |headers: &[(&str, &str)]| refusal(LOCAL, Method::GET, "/api/v1/sets", &[&[HOST], headers].concat());
    let refused = Some("403 cross-site".to_owned());
    assert_eq!(read(&[("origin", "http://127.0.0.1:7400")]), None);
    assert_eq!(read(&[("sec-fetch-site", "same-origin")]), None);
    assert_eq!(read(&[("sec-fetch-site", "none")]), None);
    for site in ["cross-site", "same-site", "anything"] {
        assert_eq!(read(&[("sec-fetch-site", site)]), refused, "{site}");
        assert_eq!(read(&[("sec-fetch-site", site), GOOD]), refused, "{site}");
    }
    for origin in ["http://evil.example", "null", "http://127.0.0.1:8080", "http://localhost:7400"] {
        assert_eq!(read(&[("origin", origin)]), refused, "{origin}");
    }
}

#[test]
fn changes_and_the_store_need_the_token_always_and_reading_needs_it_off_loopback() {
    let needed = Some("401 token-needed".to_owned());
    let wide = ("host", "10.0.0.9:7400");
    assert_eq!(refusal(LOCAL, Method::GET, "/api/v1/sets", &[HOST]), None);
    assert_eq!(refusal(WIDE, Method::GET, "/api/v1/sets", &[wide]), needed);
    assert_eq!(refusal(WIDE, Method::GET, "/api/v1/sets", &[wide, GOOD]), None);
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(refusal(WIDE, Method::GET, path, &[wide]), None, "{path}");
        assert_eq!(refusal(WIDE, Method::POST, path, &[wide, JSON]), needed, "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        assert_eq!(refusal(LOCAL, method.clone(), "/api/v1/sets/web/switchover", &[HOST, JSON]), needed, "{method}");
        assert_eq!(refusal(LOCAL, method, "/api/v1/sets/web/switchover", &[HOST, JSON, GOOD]), None);
    }
    assert_eq!(refusal(LOCAL, Method::GET, "/store/v1/read", &[HOST]), needed);
    assert_eq!(refusal(LOCAL, Method::POST, "/store/v1/commit", &[HOST, GOOD]), None);
    for wrong in
        ["Bearer 0123456789abcdeX", "Bearer ", "Basic 0123456789abcdef", "0123456789abcdef", "Bearer 0123456789abcde"]
    {
        let headers = [HOST, JSON, ("authorization", wrong)];
        assert_eq!(refusal(LOCAL, Method::POST, "/api/v1/sets/web/switchover", &headers), needed, "{wrong}");
    }
}

#[test]
fn a_change_is_json() {
    let change = |headers: &[(&str, &str)]| {
        refusal(LOCAL, Method::POST, "/api/v1/sets/web/switchover", &[&[HOST, GOOD], headers].concat())
    };
    assert_eq!(change(&[("content-type", "application/json; charset=utf-8")]), None);
    for other in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", ""] {
        assert_eq!(change(&[("content-type", other)]), Some("415 not-json".to_owned()), "{other}");
    }
    assert_eq!(change(&[]), Some("415 not-json".to_owned()));
}
