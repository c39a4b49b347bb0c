//! Routing by host and path, as listeners do it: the first route that matches, in the order of the file.
//!
//! Texts are compared as they came: nothing is decoded or normalised, since what is behind gets the same bytes. That
//! holds only where what is behind reads the same path: see [`has_dot_segments`].

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::{BadText, Host};

/// Which hosts a route is for: `*` (all, also none), `example.org`, or `*.example.org` (everything below
/// it, at any depth, not itself). Letters' case and the port do not matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern(HostKind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum HostKind {
    Any,
    Exact(String),
    /// With its leading dot.
    Below(String),
}

/// Which paths a route is for: `/ingest/` (a trailing `/`: everything that starts so), `/ingest` (exactly),
/// `/rooms/{room}/` (`{name}` captures one whole segment, not an empty one).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    segments: Vec<Segment>,
    prefix: bool,
    /// The pattern as written, if it captures nothing: compared whole.
    plain: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Segment {
    Text(String),
    Capture(String),
}

/// What a path's captures caught: names and values, in the order of the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures<'a>(Vec<(&'a str, &'a str)>);

/// Routes in the order of the file.
#[derive(Clone, Debug)]
pub struct Routes<T> {
    routes: Vec<(HostPattern, PathPattern, T)>,
}

impl<T> Routes<T> {
    /// These routes, the first one first.
    pub fn new(routes: Vec<(HostPattern, PathPattern, T)>) -> Routes<T> {
        Routes { routes }
    }

    /// The first route for `host` (as a `Host` header has it, port and all; empty if there is none) and
    /// `path` (without the query). Allocates only for captures.
    pub fn find<'r: 'p, 'p>(&'r self, host: &str, path: &'p str) -> Option<(&'r T, Captures<'p>)> {
        let host = bare(host);
        self.routes.iter().filter(|(hosts, ..)| hosts.matches_bare(host)).find_map(|(_, paths, target)| {
            let captures = paths.matches(path)?;
            Some((target, captures))
        })
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(HostPattern, PathPattern, T)> {
        self.routes.iter()
    }
}

impl<'a> Captures<'a> {
    /// What the capture of this name caught.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Names and values in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().copied()
    }
}

impl HostPattern {
    /// Every host.
    pub const ANY: HostPattern = HostPattern(HostKind::Any);

    /// Whether a host as a `Host` header has it matches.
    pub fn matches(&self, host: &str) -> bool {
        self.matches_bare(bare(host))
    }

    fn matches_bare(&self, host: &str) -> bool {
        match &self.0 {
            HostKind::Any => true,
            HostKind::Exact(name) => host.eq_ignore_ascii_case(name),
            HostKind::Below(suffix) => {
                let (host, suffix) = (host.as_bytes(), suffix.as_bytes());
                host.len() > suffix.len() && host[host.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
            }
        }
    }
}

/// A host without its port and without the dot that may end a full name.
fn bare(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

impl FromStr for HostPattern {
    type Err = BadText;

    fn from_str(text: &str) -> Result<HostPattern, BadText> {
        let bad =
            || BadText::new("a host pattern", text, "*, a host without a port such as example.org, or *.example.org");
        if text == "*" {
            return Ok(HostPattern::ANY);
        }
        if let Some(suffix) = text.strip_prefix('*') {
            let host: Host = suffix.strip_prefix('.').and_then(|name| name.parse().ok()).ok_or_else(bad)?;
            return match host {
                Host::Name(name) => Ok(HostPattern(HostKind::Below(alloc::format!(".{name}")))),
                Host::Ip(_) => Err(bad()),
            };
        }
        let host: Host = text.parse().map_err(|_| bad())?;
        Ok(HostPattern(HostKind::Exact(host.to_string())))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            HostKind::Any => f.write_str("*"),
            HostKind::Exact(name) => f.write_str(name),
            HostKind::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

impl PathPattern {
    /// What the captures caught, if the path matches.
    pub fn matches<'a>(&'a self, path: &'a str) -> Option<Captures<'a>> {
        if let Some(plain) = &self.plain {
            let matches = if self.prefix { path.starts_with(plain) } else { path == plain };
            return matches.then(Captures::default);
        }
        let mut caught = Vec::new();
        let mut rest = path;
        for segment in &self.segments {
            let tail = rest.strip_prefix('/')?;
            let (found, after) = tail.split_at(tail.find('/').unwrap_or(tail.len()));
            match segment {
                Segment::Text(text) if text == found => {}
                Segment::Capture(name) if !found.is_empty() => caught.push((name.as_str(), found)),
                _ => return None,
            }
            rest = after;
        }
        let matches = if self.prefix { rest.starts_with('/') } else { rest.is_empty() };
        matches.then_some(Captures(caught))
    }

    /// The names it captures, in the order of the path.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(name.as_str()),
            Segment::Text(_) => None,
        })
    }
}

/// Whether a path has a segment `.` or `..`, in a spelling that somebody may take for one: with `%2e` for a dot, with
/// `\`, `%2f` or `%5c` for a slash, with parameters behind it (`..;x`). A route for `/a/` would be left by `/a/../b` at
/// an instance that takes such segments away, as most do; clients take them away themselves (RFC 3986 §5.2.4).
pub fn has_dot_segments(path: &str) -> bool {
    let mut rest = path.as_bytes();
    if !rest.iter().any(|byte| matches!(byte, b'.' | b'%')) {
        return false;
    }
    // The dots of a segment, as long as it has nothing else.
    let mut dots = Some(0);
    let mut in_parameters = false;
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match rest {
            [b'%', b'2', b'e' | b'E', behind @ ..] => (b'.', behind),
            [b'%', b'2', b'f' | b'F', behind @ ..] => (b'/', behind),
            [b'%', b'5', b'c' | b'C', behind @ ..] => (b'\\', behind),
            [b'%', b'3', b'b' | b'B', behind @ ..] => (b';', behind),
            _ => (*first, behind),
        };
        rest = behind;
        match byte {
            b'/' | b'\\' if matches!(dots, Some(1 | 2)) => return true,
            b'/' | b'\\' => (dots, in_parameters) = (Some(0), false),
            b';' => in_parameters = true,
            _ if in_parameters => {}
            b'.' => dots = dots.map(|dots: usize| dots + 1),
            _ => dots = None,
        }
    }
    matches!(dots, Some(1 | 2))
}

/// The longest pattern, in bytes.
const LONGEST_PATTERN: usize = 1_024;

impl FromStr for PathPattern {
    type Err = BadText;

    fn from_str(text: &str) -> Result<PathPattern, BadText> {
        let bad = |expected| BadText::new("a path pattern", text, expected);
        let inner = text.strip_prefix('/').ok_or_else(|| bad("a path that starts with /"))?;
        if text.len() > LONGEST_PATTERN || !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#')) {
            return Err(bad("at most 1024 printable ASCII characters, without ?, # and spaces (write others as %XX)"));
        }
        let prefix = text.ends_with('/');
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let mut segments = Vec::new();
        if !(inner.is_empty() && prefix) {
            for part in inner.split('/') {
                let segment = Segment::parse(part)
                    .ok_or_else(|| bad("{name} as a whole segment, its name of a-z, 0-9, - and _"))?;
                if matches!(segment, Segment::Capture(_)) && segments.contains(&segment) {
                    return Err(bad("each {name} once"));
                }
                segments.push(segment);
            }
        }
        let plain = segments.iter().all(|segment| matches!(segment, Segment::Text(_))).then(|| text.to_owned());
        Ok(PathPattern { segments, prefix, plain })
    }
}

impl Segment {
    fn parse(part: &str) -> Option<Segment> {
        if !part.contains(['{', '}']) {
            return Some(Segment::Text(part.to_owned()));
        }
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        (!name.is_empty() && name.bytes().all(allowed)).then(|| Segment::Capture(name.to_owned()))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(plain) = &self.plain {
            return f.write_str(plain);
        }
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => write!(f, "/{text}")?,
                Segment::Capture(name) => write!(f, "/{{{name}}}")?,
            }
        }
        if self.prefix { f.write_str("/") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
