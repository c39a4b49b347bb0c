//! Patterns of hosts and paths, and what they match.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::route::{HostPattern, PathPattern, Routes};

/// The longest path that is matched in slow motion.
const LONGEST: usize = 4_096;

/// Four lines: a host pattern, a path pattern, a host and a path. The matcher agrees with a slow one.
pub fn routes(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (hosts, paths, host, path) = (line(), line(), line(), line());
    if path.len() > LONGEST {
        return;
    }
    let host_matches = hosts.parse::<HostPattern>().ok().map(|pattern| {
        let slow = slow_host(hosts, host);
        assert_eq!(pattern.matches(host), slow, "{hosts:?} and {host:?}");
        slow
    });
    let path_matches = paths.parse::<PathPattern>().ok().map(|pattern| {
        let caught = pattern.matches(path).map(|caught| caught.iter().map(own).collect::<Vec<_>>());
        let slow = slow_path(paths, path);
        assert_eq!(caught, slow, "{paths:?} and {path:?}");
        assert_eq!(pattern.captures().count(), paths.matches('{').count());
        slow.is_some()
    });
    if let (Some(host_matches), Some(path_matches)) = (host_matches, path_matches) {
        let (hosts, paths) = (hosts.parse().expect("as before"), paths.parse().expect("as before"));
        let found = Routes::new(vec![(hosts, paths, ())]).find(host, path).is_some();
        assert_eq!(found, host_matches && path_matches);
    }
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.into(), value.into())
}

/// The host without a port and the dot at its end, letter by letter.
fn slow_host(pattern: &str, host: &str) -> bool {
    let mut host: Vec<char> = host.chars().collect();
    if let Some(colon) = host.iter().rposition(|c| *c == ':')
        && !host[colon..].contains(&']')
    {
        host.truncate(colon);
    }
    if host.last() == Some(&'.') {
        host.pop();
    }
    let lower = |text: &mut dyn Iterator<Item = char>| text.map(|c| c.to_ascii_lowercase()).collect::<String>();
    let host = lower(&mut host.into_iter());
    match pattern.strip_prefix('*') {
        Some("") => true,
        Some(suffix) => {
            let suffix = lower(&mut suffix.chars());
            host.len() > suffix.len() && host.ends_with(&suffix)
        }
        // An address has more than one text; a name has the one in lower case.
        None => match pattern.parse() {
            Ok(crate::Host::Ip(ip)) => host == alloc::format!("{}", crate::Host::Ip(ip)),
            _ => host == lower(&mut pattern.chars()),
        },
    }
}

/// Segment by segment, from lists.
fn slow_path(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
    let wanted: Vec<&str> = pattern.split('/').collect();
    let found: Vec<&str> = path.split('/').collect();
    let prefix = pattern.ends_with('/');
    // A prefix ends in an empty segment, which stands for any number of any.
    let fixed = if prefix { &wanted[..wanted.len() - 1] } else { &wanted[..] };
    let fits = if prefix { found.len() > fixed.len() } else { found.len() == fixed.len() };
    if !fits {
        return None;
    }
    let mut caught = Vec::new();
    for (wanted, found) in fixed.iter().zip(&found) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(_) if found.is_empty() => return None,
            Some(name) => caught.push((name.into(), (*found).into())),
            None if wanted != found => return None,
            None => {}
        }
    }
    Some(caught)
}
