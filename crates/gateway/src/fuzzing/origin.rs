//! Where a request comes from, as trusted proxies say.

use std::net::{IpAddr, SocketAddr};

use http::header::HeaderMap;
use ipnet::IpNet;

use crate::headers::Origin;

/// The peer's address in a line, and a field a line. The source is the peer's or one that the list names, believed from
/// its end and only past those that are trusted; a peer that is not trusted is its own source.
pub fn origin(data: &[u8]) {
    let (peer, lines) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let Some(peer) = std::str::from_utf8(peer).ok().and_then(|peer| peer.parse::<IpAddr>().ok()) else { return };
    let headers = super::fields(lines);
    let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect("a network")).into();
    let origin = Origin::new(peer, &trusted);
    let found = origin.source(&headers, &trusted);
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&peer) {
        assert_eq!(found, peer);
        assert!(!origin.is_secure(&headers), "a stranger is believed");
        return;
    }
    let mut hops = list(&headers, "x-forwarded-for", whole);
    if hops.is_empty() {
        hops = list(&headers, "forwarded", node);
    }
    let mut slow = peer;
    while is_trusted(&slow) {
        match hops.pop() {
            Some(Some(hop)) => slow = hop,
            Some(None) | None => break,
        }
    }
    assert_eq!(found, slow, "{headers:?}");
}

/// The members of a list over all its lines, each an address or something that is none.
fn list(headers: &HeaderMap, name: &str, node: fn(&str) -> Option<&str>) -> Vec<Option<IpAddr>> {
    let lines: Vec<&str> = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("")).collect();
    if lines.is_empty() {
        return Vec::new();
    }
    lines.join(",").split(',').map(|member| address(node(member.trim())?)).collect()
}

fn whole(member: &str) -> Option<&str> {
    Some(member)
}

/// What the first `for` of a member says.
fn node(member: &str) -> Option<&str> {
    let (_, value) = member
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    Some(value.trim().trim_matches('"'))
}

fn address(text: &str) -> Option<IpAddr> {
    let six = |text: &str| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let plain = text.parse::<IpAddr>().ok().or_else(|| six(text));
    let bracketed_four = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V4);
    let with_port = || text.parse::<SocketAddr>().ok().map(|at| at.ip());
    match plain.or_else(bracketed_four).or_else(with_port)? {
        IpAddr::V6(six) => Some(six.to_ipv4_mapped().map_or(IpAddr::V6(six), IpAddr::V4)),
        four => Some(four),
    }
}
