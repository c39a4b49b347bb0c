//! What a proxy changes in the headers of a request and of its answer, and nothing else.
//!
//! - Fields of one hop go no further (RFC 9110 §7.6.1): those `Connection` names, and those known for it.
//! - `Via` names us to the instance (RFC 9110 §7.6.3: a gateway must); the client is not told.
//! - `Host` stays as the client sent it.
//! - Where a request comes from is told by `Forwarded` (RFC 7239) and `X-Forwarded-*`. What a trusted proxy says is
//!   continued; what anybody else says is replaced.
//! - `Steadfast-*` is ours to set: from outside it is removed. So is whatever is one of these names, or one that says
//!   where a request ends, to a reader that takes `_` for `-` (CGI, WSGI and their kin).
//! - Trailers say nothing of any of this.

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::{Method, Version};
use http_body::Body;
use ipnet::IpNet;
use steadfast_core::Epoch;
use steadfast_registry::EPOCH_HEADER;

use crate::source;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const STEADFAST_INSTANCE: HeaderName = HeaderName::from_static("steadfast-instance");
const STEADFAST_OWNER_EPOCH: HeaderName = HeaderName::from_static("steadfast-owner-epoch");
const STEADFAST_EPOCH: HeaderName = HeaderName::from_static(EPOCH_HEADER);

/// For one hop, whether `Connection` says so or not. The credentials are those between a client and its own proxy,
/// which we are not.
static HOP_BY_HOP: [HeaderName; 8] = [
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
];

/// Fields that route, authenticate or describe a message, besides those above.
const OF_A_HEAD: [HeaderName; 9] =
    [HOST, CONNECTION, COOKIE, AUTHORIZATION, EXPECT, FORWARDED, FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST];

/// How we are called in `Via`.
const VIA_US: HeaderValue = HeaderValue::from_static("1.1 steadfast");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const TE_NAME: HeaderValue = HeaderValue::from_static("te");
const UPGRADE_NAME: HeaderValue = HeaderValue::from_static("upgrade");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const HTTP: HeaderValue = HeaderValue::from_static("http");

/// What the requests of one connection say of where they come from.
#[derive(Debug)]
pub(crate) struct Origin {
    peer: IpAddr,
    trusted: bool,
    address: HeaderValue,
    /// As `Forwarded` wants it: IPv6 in brackets and quotes.
    node: String,
    /// The host of the last request and the `Forwarded` that was made for it: connections seldom change host.
    last: Option<(HeaderValue, HeaderValue)>,
}

impl Origin {
    pub(crate) fn new(peer: IpAddr, trusted: &[IpNet]) -> Origin {
        let node = match peer {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("\"[{v6}]\""),
        };
        Origin {
            peer,
            trusted: trusted.iter().any(|network| network.contains(&peer)),
            address: value(peer.to_string()),
            node,
            last: None,
        }
    }

    /// Who sends a request with these headers.
    pub(crate) fn source(&self, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
        if self.trusted { source::source(self.peer, headers, trusted) } else { self.peer }
    }

    /// Whether the client speaks TLS, as far as a trusted proxy says.
    pub(crate) fn is_secure(&self, headers: &HeaderMap) -> bool {
        self.trusted && source::is_secure(headers)
    }

    fn forwarded(&mut self, host: Option<&HeaderValue>) -> HeaderValue {
        let Some(host) = host else { return value(format!("for={};proto=http", self.node)) };
        if let Some((last, forwarded)) = &self.last
            && last == host
        {
            return forwarded.clone();
        }
        // A validated host has no quotes and no backslashes.
        let host_text = host.to_str().unwrap_or_default();
        let forwarded = value(format!("for={};host=\"{host_text}\";proto=http", self.node));
        self.last = Some((host.clone(), forwarded.clone()));
        forwarded
    }
}

fn value(text: String) -> HeaderValue {
    // Made of addresses, hosts and our own letters.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Makes a client's request the one to the instance. An upgrade to WebSocket is passed on where the request can be one
/// (RFC 6455 §4.1); every other is an offer that may be passed over (RFC 9110 §7.8).
pub(crate) fn prepare(head: &mut Parts, body: &impl Body, origin: &mut Origin) {
    let upgrades = head.method == Method::GET
        && head.version == Version::HTTP_11
        && body.is_end_stream()
        && is_websocket(&head.headers);
    to_instance(&mut head.headers, origin);
    if upgrades {
        head.headers.remove(TE);
        insert_upgrade(&mut head.headers);
    }
}

/// Whether a head speaks of an upgrade to WebSocket.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// Has a head speak of an upgrade to WebSocket.
pub(crate) fn insert_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, UPGRADE_NAME);
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Tells the instance which of the client's homes it is: a former one can know that it is.
pub(crate) fn insert_owner_epoch(headers: &mut HeaderMap, epoch: Epoch) {
    headers.insert(STEADFAST_OWNER_EPOCH, HeaderValue::from(epoch.0));
}

/// Whether an answer's length is said once, and in a way that its body is passed on as it was meant.
pub(crate) fn is_clearly_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    match (codings.next(), codings.next()) {
        (None, _) => lengths <= 1,
        (Some(one), None) => lengths == 0 && one.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Takes away trailers that a reader may take for a part of the head (RFC 9110 §6.5.1) and that would mean something
/// there: hyper takes away those that frame a message, and those that the head does not announce.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    let meant_for_a_head = |name: &HeaderName| {
        is_ours(name) || HOP_BY_HOP.contains(name) || OF_A_HEAD.contains(name) || is_mistakable(name)
    };
    let named: Vec<HeaderName> = trailers.keys().filter(|name| meant_for_a_head(name)).cloned().collect();
    named.iter().for_each(|name| drop(trailers.remove(name)));
}

/// Makes a client's headers those of the request to the instance.
fn to_instance(headers: &mut HeaderMap, origin: &mut Origin) {
    let te_trailers = headers.contains_key(TE) && accepts_trailers(headers);
    remove_hop_by_hop(headers);
    // We ask the client for its body ourselves, when the instance is there to take it.
    headers.remove(EXPECT);
    let to_be_removed = |name: &HeaderName| is_ours(name) || is_mistakable(name);
    if headers.keys().any(to_be_removed) {
        let ours: Vec<HeaderName> = headers.keys().filter(|name| to_be_removed(name)).cloned().collect();
        ours.iter().for_each(|name| drop(headers.remove(name)));
    }
    tell_origin(headers, origin);
    if te_trailers {
        headers.insert(TE, TRAILERS);
        headers.insert(CONNECTION, TE_NAME);
    }
    append(headers, VIA, VIA_US);
}

/// Makes an instance's headers those of the answer to the client.
pub(crate) fn to_client(headers: &mut HeaderMap, instance: &HeaderValue, epoch: Option<&HeaderValue>) {
    remove_hop_by_hop(headers);
    headers.insert(STEADFAST_INSTANCE, instance.clone());
    match epoch {
        Some(epoch) => drop(headers.insert(STEADFAST_EPOCH, epoch.clone())),
        None => drop(headers.remove(STEADFAST_EPOCH)),
    }
}

fn is_ours(name: &HeaderName) -> bool {
    name.as_str().starts_with("steadfast-")
}

/// Whether a name becomes another one that counts, where `_` is taken for `-`.
fn is_mistakable(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.contains('_') && {
        let other = name.replace('_', "-");
        let counts = [FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST, CONTENT_LENGTH, TRANSFER_ENCODING];
        other.starts_with("steadfast-") || counts.iter().any(|known| known.as_str() == other)
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, &TE).any(|token| token.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case("trailers")))
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
            .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
            // Meant for every recipient, whatever a sender says: a request without them would be another request.
            .filter(|name| *name != HOST && *name != CONTENT_LENGTH && *name != TRAILER)
            .collect();
        named.iter().for_each(|name| drop(headers.remove(name)));
        headers.remove(CONNECTION);
    }
    // Most heads have none of them: to look at each name there is costs less than to look each of these up.
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        for name in &HOP_BY_HOP {
            headers.remove(name);
        }
    }
}

/// The members of a list field, over all its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

fn tell_origin(headers: &mut HeaderMap, origin: &mut Origin) {
    let forwarded = origin.forwarded(headers.get(HOST));
    let host = headers.get(HOST).cloned();
    if origin.trusted {
        append(headers, FORWARDED_FOR, origin.address.clone());
        append(headers, FORWARDED, forwarded);
        headers.entry(FORWARDED_PROTO).or_insert(HTTP);
        if let Some(host) = host {
            headers.entry(FORWARDED_HOST).or_insert(host);
        }
    } else {
        headers.insert(FORWARDED_FOR, origin.address.clone());
        headers.insert(FORWARDED, forwarded);
        headers.insert(FORWARDED_PROTO, HTTP);
        match host {
            Some(host) => drop(headers.insert(FORWARDED_HOST, host)),
            None => drop(headers.remove(FORWARDED_HOST)),
        }
    }
}

/// Adds a member at the end of a list field, as one line: not every reader looks at the second one.
fn append(headers: &mut HeaderMap, name: HeaderName, last: HeaderValue) {
    if !headers.contains_key(&name) {
        headers.insert(name, last);
        return;
    }
    let mut line = Vec::new();
    for value in headers.get_all(&name).iter().chain([&last]) {
        if !line.is_empty() {
            line.extend_from_slice(b", ");
        }
        line.extend_from_slice(value.as_bytes());
    }
    headers.insert(name, HeaderValue::from_bytes(&line).unwrap_or(last));
}

#[cfg(test)]
mod tests;
