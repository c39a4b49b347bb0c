//! What a request must be before anything is done with it. What two readers could read in two ways is refused.
//!
//! hyper has already refused heads that are not HTTP, lengths that contradict each other, and transfer codings that
//! do not end in `chunked`; a request with both a length and a coding has lost the length, and its connection closes
//! after the answer (RFC 9112 §6.1).

use http::header::{HOST, HeaderMap, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Method, StatusCode, Version, request};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
    pub(crate) detail: &'static str,
}

const fn bad(detail: &'static str) -> Refused {
    Refused { status: StatusCode::BAD_REQUEST, reason: "bad-request", detail }
}

/// Checks a request's head and brings its target into origin form: path and query.
pub(crate) fn screen(head: &mut request::Parts) -> Result<(), Refused> {
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        return Err(Refused {
            status: StatusCode::METHOD_NOT_ALLOWED,
            reason: "method-not-allowed",
            detail: "CONNECT and TRACE are not passed on",
        });
    }
    one_host(&head.headers, head.version)?;
    if head.uri.authority().is_some() {
        absolute_form(head)?;
    }
    if !head.uri.path().starts_with('/') {
        return Err(bad("the request's target is to be a path that begins with /"));
    }
    Ok(())
}

fn one_host(headers: &HeaderMap, version: Version) -> Result<(), Refused> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Err(bad("a request has one Host field")),
        (Some(host), None) if !is_host(host.as_bytes()) => Err(bad("the Host field is not a host and a port")),
        (None, None) if version == Version::HTTP_11 => Err(bad("a request of HTTP/1.1 has a Host field")),
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
        return Err(bad("the scheme of the request's target is to be http or https"));
    }
    let authority = head.uri.authority().map(|a| a.as_str().to_owned()).unwrap_or_default();
    match head.headers.get(HOST) {
        Some(host) if !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => {
            return Err(bad("the request's target names another host than its Host field"));
        }
        Some(_) => {}
        None if is_host(authority.as_bytes()) => {
            let host = HeaderValue::try_from(authority).map_err(|_| bad("the request's target names no host"))?;
            head.headers.insert(HOST, host);
        }
        None => return Err(bad("the request's target names no host")),
    }
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    Ok(())
}
