//! A named direct address of an instance: scheme, host and port.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

use crate::id::{BadText, name};

name!(
    /// What an endpoint is for (`http`, `stream`, `control`): 1 to 32 of `a-z 0-9 - _`.
    EndpointName,
    "an endpoint's name",
    32,
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'),
    "1 to 32 of a-z, 0-9, - and _, starting with a letter or digit"
);

/// A host as it stands in a URL: an address, or a name to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A literal address.
    Ip(IpAddr),
    /// A DNS name, in lower case.
    Name(String),
}

/// A direct address, written `scheme://host:port`. The port is always written; there is no path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    scheme: String,
    host: Host,
    port: u16,
}

impl Endpoint {
    /// An endpoint of `scheme` at `host` and `port` (not 0).
    pub fn new(scheme: &str, host: Host, port: u16) -> Result<Endpoint, BadText> {
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.');
        let well_formed = scheme.bytes().next().is_some_and(|b| b.is_ascii_lowercase()) && scheme.bytes().all(letters);
        let endpoint = Endpoint { scheme: scheme.to_string(), host, port };
        if well_formed && port != 0 { Ok(endpoint) } else { Err(bad(&endpoint.to_string())) }
    }

    /// The scheme (RFC 3986 §3.1), in lower case: `http`, `https`, `tcp`, `rtsp` …
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Where to connect.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, as it stands in a `Host` header.
    pub fn authority(&self) -> String {
        alloc::format!("{}:{}", self.host, self.port)
    }
}

fn bad(text: &str) -> BadText {
    BadText::new("an endpoint", text, "scheme://host:port, such as http://10.0.0.4:8081")
}

impl FromStr for Endpoint {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Endpoint, BadText> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad(text))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match (rest.rsplit_once(':'), scheme) {
            (Some((host, port)), _) if !port.contains(']') => (host, port.parse().map_err(|_| bad(text))?),
            (_, "http") => (rest, 80),
            (_, "https") => (rest, 443),
            _ => return Err(bad(text)),
        };
        let host = host.parse().map_err(|_| bad(text))?;
        Endpoint::new(scheme, host, port).map_err(|_| bad(text))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

impl FromStr for Host {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Host, BadText> {
        let bad = || BadText::new("a host", text, "a DNS name, an IPv4 address, or an IPv6 address in []");
        if let Some(inner) = text.strip_prefix('[') {
            let address: Ipv6Addr = inner.strip_suffix(']').and_then(|a| a.parse().ok()).ok_or_else(bad)?;
            return Ok(Host::Ip(IpAddr::V6(address)));
        }
        let numeric_tail = text.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
        if numeric_tail {
            return text.parse().map(|v4| Host::Ip(IpAddr::V4(v4))).map_err(|_| bad());
        }
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        if text.len() <= 253 && text.split('.').all(label) {
            Ok(Host::Name(text.to_ascii_lowercase()))
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests;
