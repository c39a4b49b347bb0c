//! Who sends a request, where trusted proxies stand in front: the last address in their list that is not one of theirs.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The address of whoever sends a request that came from `peer`. Each proxy appends whom it heard, so the list is
/// believed from its end up to the first address that nobody here trusts; `X-Forwarded-For` where there is one,
/// `Forwarded` otherwise. What cannot be read ends the list.
///
/// A proxy that writes the one field passes the other one on as the client sent it, and nearly all write the former: the
/// latter is believed only where it stands alone. A proxy that writes only `Forwarded` has to remove the former.
pub(crate) fn source(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let mut nearest = peer;
    let mut hops: Vec<Option<IpAddr>> = members(headers, &FORWARDED_FOR).map(address).collect();
    if hops.is_empty() {
        hops = members(headers, &FORWARDED).map(|member| address(parameter(member, "for")?)).collect();
    }
    for hop in hops.into_iter().rev() {
        let Some(hop) = hop else { break };
        nearest = hop;
        if !is_trusted(&hop) {
            break;
        }
    }
    nearest
}

/// Whether the client speaks TLS to a proxy that is trusted.
pub(crate) fn is_secure(headers: &HeaderMap) -> bool {
    let https = |text: &str| text.eq_ignore_ascii_case("https");
    members(headers, &FORWARDED_PROTO).any(https)
        || members(headers, &FORWARDED).filter_map(|member| parameter(member, "proto")).any(https)
}

/// Whom an address is counted for: who has an IPv6 address has a network of them, which is a /64 at least.
pub(crate) fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The members of a list field, over all its lines.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// A parameter of a member of `Forwarded`.
fn parameter<'a>(member: &'a str, wanted: &str) -> Option<&'a str> {
    let found = member.split(';').filter_map(|pair| pair.split_once('=')).find(|(name, _)| {
        let name: &str = name.trim();
        name.eq_ignore_ascii_case(wanted)
    });
    found.map(|(_, value)| value.trim().trim_matches('"'))
}

/// An address, with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|at: SocketAddr| at.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests;
