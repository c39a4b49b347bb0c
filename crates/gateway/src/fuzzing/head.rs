//! A request's head, on its way from the client to the instance and back.

use std::net::IpAddr;

use http::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE, UPGRADE, VIA};
use http::{Method, Request, Uri, Version, request};

use crate::headers::{self, Origin};
use crate::validate::validate;

/// A line with the method, the target and `0` or `1` for the minor version, and then a field a line. What `validate` lets
/// pass has one host and a path, the same one as it came with; what goes on to the instance, and back, says nothing that
/// is meant for one hop or that only we may say.
pub fn head(data: &[u8]) {
    let (first, lines) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let Some(mut parts) = std::str::from_utf8(first).ok().and_then(parts) else { return };
    parts.headers = super::fields(lines);
    let (target, came) = (parts.uri.clone(), parts.headers.clone());
    if validate(&mut parts).is_err() {
        return;
    }
    check_validated(&parts, &target, &came);
    let peer: IpAddr = [192, 0, 2, 7].into();
    let mut origin = Origin::new(peer, &[]);
    headers::prepare(&mut parts, &String::new(), &mut origin);
    check_sent(&parts.headers);
    let mut back = came;
    headers::to_client(&mut back, &HeaderValue::from_static("web-1"), None);
    check_hop(&back, None);
    let ours: Vec<&HeaderName> = back.keys().filter(|name| name.as_str() == "steadfast-instance").collect();
    assert_eq!((ours.len(), back.get("steadfast-epoch")), (1, None));
}

fn parts(line: &str) -> Option<request::Parts> {
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let mut parts = Request::new(()).into_parts().0;
    parts.method = method.parse::<Method>().ok()?;
    parts.uri = target.parse::<Uri>().ok()?;
    parts.version = if version == "0" { Version::HTTP_10 } else { Version::HTTP_11 };
    Some(parts)
}

fn check_validated(parts: &request::Parts, target: &Uri, came: &HeaderMap) {
    assert!(parts.uri.authority().is_none() && parts.uri.scheme().is_none());
    assert!(parts.uri.path().starts_with('/'));
    // `http://host?query` is `/?query`.
    let came_as = target.path_and_query().map_or("/", |path| path.as_str());
    let path = if came_as.starts_with('/') { came_as.to_owned() } else { format!("/{came_as}") };
    assert_eq!(parts.uri.path_and_query().map(|path| path.as_str()), Some(&*path));
    assert!(parts.uri.path().split('/').all(|segment| segment != "." && segment != ".."), "{path}");
    assert!(parts.method != Method::CONNECT && parts.method != Method::TRACE);
    let hosts: Vec<&HeaderValue> = parts.headers.get_all(HOST).iter().collect();
    assert!(hosts.len() == 1 || (hosts.is_empty() && parts.version == Version::HTTP_10), "{hosts:?}");
    let odd = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"-._[]:".contains(byte);
    assert!(hosts.iter().all(|host| !host.is_empty() && !host.as_bytes().iter().any(odd)), "{hosts:?}");
    if let (Some(authority), Some(host)) = (target.authority(), hosts.first()) {
        assert!(
            authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()),
            "two hosts: {target} and {host:?}"
        );
    }
    let rest = |headers: &HeaderMap| headers.iter().filter(|(name, _)| *name != HOST).count();
    assert_eq!(rest(&parts.headers), rest(came));
}

fn check_sent(sent: &HeaderMap) {
    let upgrade = sent.get(UPGRADE).cloned();
    check_hop(sent, upgrade.as_ref());
    assert!(sent.keys().all(|name| !name.as_str().starts_with("steadfast-")), "{sent:?}");
    assert!(!sent.contains_key("expect"));
    assert!(sent.get_all(VIA).iter().next_back().is_some_and(|via| via.as_bytes().ends_with(b"1.1 steadfast")));
    // A stranger's word about where it comes from is not passed on.
    let one = |name: &str| sent.get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(one("x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!((one("forwarded").len(), one("x-forwarded-proto")), (1, vec![&HeaderValue::from_static("http")]));
    assert_eq!(sent.get("x-forwarded-host"), sent.get(HOST));
}

/// Nothing of one hop is left, but for an upgrade that we ask for ourselves and trailers that are taken.
fn check_hop(headers: &HeaderMap, upgrade: Option<&HeaderValue>) {
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "transfer-encoding",
        "http2-settings",
    ] {
        assert!(!headers.contains_key(name), "{name}: {headers:?}");
    }
    let connection: Vec<&[u8]> = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes).collect();
    match (upgrade, headers.get(TE)) {
        (Some(protocol), te) => {
            assert_eq!((protocol.as_bytes(), te, connection), (&b"websocket"[..], None, vec![&b"upgrade"[..]]));
        }
        (None, Some(te)) => assert_eq!((te.as_bytes(), connection), (&b"trailers"[..], vec![&b"te"[..]])),
        (None, None) => assert!(connection.is_empty() && !headers.contains_key(UPGRADE)),
    }
}
