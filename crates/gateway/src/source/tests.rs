use http::HeaderValue;

use super::*;

fn sent(peer: &str, fields: &[(&'static str, &str)]) -> String {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::try_from(*value).unwrap());
    }
    let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    source(peer.parse().unwrap(), &headers, &trusted).to_string()
}

#[test]
fn only_trusted_proxies_are_believed_and_only_as_far_as_they_go() {
    let list = "x-forwarded-for";
    for (peer, fields, expected) in [
        ("192.0.2.1", &[(list, "198.51.100.7")][..], "192.0.2.1"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &[(list, "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", &[(list, "6.6.6.6, 198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", &[(list, "6.6.6.6, 198.51.100.7, 10.0.0.2")], "198.51.100.7"),
        ("10.0.0.1", &[(list, "6.6.6.6"), (list, "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", &[(list, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        ("10.0.0.1", &[(list, "198.51.100.7, unknown, 10.0.0.2")], "10.0.0.2"),
        ("10.0.0.1", &[(list, "198.51.100.7:4711")], "198.51.100.7"),
        ("fd00::1", &[(list, "[2001:db8::7]:4711")], "2001:db8::7"),
        ("fd00::1", &[(list, "2001:db8::7")], "2001:db8::7"),
        ("10.0.0.1", &[(list, "::ffff:198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", &[("forwarded", "for=6.6.6.6, for=198.51.100.7;proto=https")], "198.51.100.7"),
        ("10.0.0.1", &[("forwarded", "proto=http; For=\"[2001:db8::7]:80\"")], "2001:db8::7"),
        ("10.0.0.1", &[("forwarded", "for=_hidden")], "10.0.0.1"),
        ("10.0.0.1", &[("forwarded", "for=6.6.6.6"), (list, "198.51.100.7")], "198.51.100.7"),
    ] {
        assert_eq!(sent(peer, fields), expected, "{peer} {fields:?}");
    }
}

#[test]
fn a_client_behind_tls_is_known_for_it() {
    let secure = |name: &'static str, value: &'static str| {
        is_secure(&HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]))
    };
    assert!(secure("x-forwarded-proto", "https") && secure("x-forwarded-proto", "HTTPS"));
    assert!(secure("forwarded", "for=a;proto=https") && secure("forwarded", "for=a, for=b; proto=\"https\""));
    assert!(!secure("x-forwarded-proto", "http") && !secure("forwarded", "for=https"));
}
