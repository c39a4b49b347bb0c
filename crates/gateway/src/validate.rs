//! What a request whose bytes are clear must be before anything is done with it: who it is for, and what it wants.
//!
//! [`crate::framing`] has already refused heads that are not HTTP, and requests whose end two readers could see in two
//! places. Here the same is done for the host and the path.

use http::header::{EXPECT, HOST, HeaderMap, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Method, StatusCode, Version, request};
use steadfast_core::route::has_dot_segments;

use crate::framing::Refused;

const NOT_PASSED_ON: Refused = Refused {
    status: StatusCode::METHOD_NOT_ALLOWED,
    reason: "method-not-allowed",
    detail: "CONNECT and TRACE are not passed on",
    limit: None,
};
const EXPECTATION: Refused = Refused {
    status: StatusCode::EXPECTATION_FAILED,
    reason: "expectation-failed",
    detail: "a request may expect 100-continue, and nothing else",
    limit: None,
};
const DOT_SEGMENTS: Refused = Refused::bad(
    "bad-target",
    "the path has a segment of one or two dots: whoever takes it away reads another path than the route was chosen for",
);

const fn bad_target(detail: &'static str) -> Refused {
    Refused::bad("bad-target", detail)
}

const fn bad_host(detail: &'static str) -> Refused {
    Refused::bad("bad-host", detail)
}

/// Checks a request's head and brings its target into origin form: path and query.
pub(crate) fn validate(head: &mut request::Parts) -> Result<(), Refused> {
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        return Err(NOT_PASSED_ON);
    }
    one_host(&head.headers, head.version)?;
    if head.uri.authority().is_some() {
        absolute_form(head)?;
    }
    if !head.uri.path().starts_with('/') {
        return Err(bad_target("the request's target is to be a path that begins with /"));
    }
    if has_dot_segments(head.uri.path()) {
        return Err(DOT_SEGMENTS);
    }
    expects_no_more(&head.headers)
}

/// RFC 9110 §10.1.1: an expectation that is not understood is not met.
fn expects_no_more(headers: &HeaderMap) -> Result<(), Refused> {
    let mut expected = headers.get_all(EXPECT).iter();
    match (expected.next(), expected.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(()),
        _ => Err(EXPECTATION),
    }
}

fn one_host(headers: &HeaderMap, version: Version) -> Result<(), Refused> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Err(bad_host("a request has one Host field")),
        (Some(host), None) if !is_host(host.as_bytes()) => Err(bad_host("the Host field is not a host and a port")),
        (None, None) if version == Version::HTTP_11 => Err(bad_host("a request of HTTP/1.1 has a Host field")),
        _ => Ok(()),
    }
}

/// RFC 3986 §3.2.2 without user information, percent-encoding and the odder marks, which no host name has.
fn is_host(host: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let (name, rest) = match host {
        [b'[', inner @ ..] => match inner.iter().position(|b| *b == b']') {
            Some(end) => (&inner[..end], &inner[end + 1..]),
            None => return false,
        },
        _ => host.split_at(host.iter().position(|b| *b == b':').unwrap_or(host.len())),
    };
    let name_fits = if host.first() == Some(&b'[') {
        !name.is_empty() && name.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
    } else {
        !name.is_empty() && name.iter().all(plain)
    };
    name_fits && matches!(rest, [] | [b':', ..]) && rest.iter().skip(1).all(u8::is_ascii_digit) && rest.len() <= 6
}

/// `GET http://host/path`: the authority must be the one of `Host` (RFC 9112 §3.2.2 has it win; two readers of which
/// one goes by `Host` would see two requests).
fn absolute_form(head: &mut request::Parts) -> Result<(), Refused> {
    if !matches!(head.uri.scheme_str(), Some("http" | "https")) {
        return Err(bad_target("the scheme of the request's target is to be http or https"));
    }
    let authority = head.uri.authority().map(|a| a.as_str().to_owned()).unwrap_or_default();
    match head.headers.get(HOST) {
        Some(host) if !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => {
            return Err(bad_host("the request's target names another host than its Host field"));
        }
        Some(_) => {}
        None if is_host(authority.as_bytes()) => {
            let host = HeaderValue::try_from(authority).map_err(|_| bad_host("the request's target names no host"))?;
            head.headers.insert(HOST, host);
        }
        None => return Err(bad_host("the request's target names no host")),
    }
    head.uri = match head.uri.path_and_query() {
        Some(path) if path.as_str().starts_with('/') => Uri::from(path.clone()),
        // `http://host?query` is `/?query`.
        Some(query) => {
            let path = PathAndQuery::try_from(format!("/{}", query.as_str()));
            Uri::from(path.map_err(|_| bad_target("the request's target is not an http URL"))?)
        }
        None => Uri::from_static("/"),
    };
    Ok(())
}
