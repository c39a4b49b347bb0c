//! Who the client of a request is, what it weighs and what it asks for: beside a reader that takes its time.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use crate::Weight;
use crate::client::{BadRequest, ClientKey, RequestView, Source, Sources};

/// Lines: the places looked at (`, ` between two), the query, what the path caught as `{id}`, the peer's address, and
/// then a header a line. What is said of the client is what a slow reader of the same request says.
pub fn client(data: &[u8]) {
    let Some((sources, request)) = read(data) else { return };
    let slow = Slow::of(&sources, &request);
    match (sources.key(&request), slow.key()) {
        (Ok(key), Ok(bytes)) => {
            assert!((1..=ClientKey::LONGEST_BYTES).contains(&key.as_bytes().len()));
            assert_eq!(key.as_bytes(), bytes);
            assert_eq!(sources.key_bytes(&request).as_deref(), Ok(&bytes[..]));
        }
        (key, slow) => assert_eq!(key.map(drop).map_err(|bad| reason(&bad)), slow.map(drop), "the key"),
    }
    let weight = sources.weight(&request).map_err(|bad| reason(&bad));
    assert_eq!(weight, slow.weight(), "the weight");
    assert!(!matches!(weight, Ok(Some(weight)) if weight == Weight::ZERO || weight > Weight::MAX));
    assert_eq!(sources.text(&request).map_err(|bad| reason(&bad)), slow.text(), "the label");
}

/// The slug that is switched on; and whatever is said of it for people stays one line.
fn reason(bad: &BadRequest) -> &'static str {
    assert!(!bad.to_string().contains('\n'));
    bad.reason()
}

struct Request<'a> {
    query: Option<&'a str>,
    capture: Option<&'a str>,
    peer: IpAddr,
    headers: Vec<(String, &'a [u8])>,
}

impl RequestView for Request<'_> {
    fn query(&self) -> Option<&str> {
        self.query
    }

    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn capture(&self, name: &str) -> Option<&str> {
        self.capture.filter(|_| name == "id")
    }

    fn source(&self) -> IpAddr {
        self.peer
    }
}

fn read(data: &[u8]) -> Option<(Sources, Request<'_>)> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut text = || core::str::from_utf8(lines.next().unwrap_or_default()).ok();
    let sources: Result<Vec<Source>, _> = text()?.split(", ").map(str::parse).collect();
    let (query, capture, peer) = (text()?, text()?, text()?);
    let given = |text: &'_ str| !text.is_empty();
    let headers = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = core::str::from_utf8(&line[..colon]).ok()?.to_ascii_lowercase();
        // No other control characters reach us in a header's value.
        let value = &line[colon + 1..];
        value.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t').then_some((name, value))
    });
    let request = Request {
        query: Some(query).filter(|text| given(text)),
        capture: Some(capture).filter(|text| given(text)),
        peer: peer.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        headers: headers.collect(),
    };
    Some((Sources(sources.ok()?), request))
}

/// What the first place that has something has: everything is decoded, and only then looked at.
enum Slow {
    Nothing,
    Twice,
    /// Whether it can be decoded, and the bytes.
    Bytes(Option<Vec<u8>>),
}

impl Slow {
    fn of(sources: &Sources, request: &Request<'_>) -> Slow {
        for source in &sources.0 {
            let mut found = all(source, request);
            match (found.len(), found.pop()) {
                (1, Some(bytes)) => return Slow::Bytes(bytes),
                (2.., _) => return Slow::Twice,
                _ => {}
            }
        }
        Slow::Nothing
    }

    fn key(&self) -> Result<Vec<u8>, &'static str> {
        match self {
            Slow::Nothing => Err("no-client-key"),
            Slow::Twice => Err("ambiguous"),
            Slow::Bytes(Some(bytes)) if (1..=256).contains(&bytes.len()) => Ok(bytes.clone()),
            Slow::Bytes(_) => Err("bad-client-key"),
        }
    }

    fn weight(&self) -> Result<Option<Weight>, &'static str> {
        match self {
            Slow::Nothing => Ok(None),
            Slow::Twice => Err("ambiguous"),
            Slow::Bytes(bytes) => bytes.as_deref().and_then(decimal).map(Some).ok_or("bad-weight"),
        }
    }

    fn text(&self) -> Result<Option<String>, &'static str> {
        match self {
            Slow::Nothing => Ok(None),
            Slow::Twice => Err("ambiguous"),
            Slow::Bytes(Some(bytes)) if bytes.is_empty() => Ok(None),
            Slow::Bytes(Some(bytes)) if bytes.len() <= 256 => {
                String::from_utf8(bytes.clone()).map(Some).map_err(|_| "bad-label")
            }
            Slow::Bytes(_) => Err("bad-label"),
        }
    }
}

/// Everything a place has; `None` for what cannot be decoded.
fn all(source: &Source, request: &Request<'_>) -> Vec<Option<Vec<u8>>> {
    match source {
        Source::Query(name) => {
            let pairs =
                request.query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            let named = pairs.filter(|(found, _)| form(found).as_deref() == Some(name.as_bytes()));
            named.map(|(_, value)| form(value)).collect()
        }
        Source::Header(name) => request.header(name).map(|value| Some(blankless(value).to_vec())).collect(),
        Source::Cookie(name) => {
            let mut found = Vec::new();
            for crumb in request.header("cookie").flat_map(|line| line.split(|byte| *byte == b';')) {
                let Some(equals) = crumb.iter().position(|byte| *byte == b'=') else { continue };
                if blankless(&crumb[..equals]) == name.as_bytes() {
                    found.push(Some(blankless(&crumb[equals + 1..]).to_vec()));
                }
            }
            found
        }
        Source::Path(name) => request.capture(name).map(unescaped).into_iter().collect(),
        Source::SourceIp { prefix } => Vec::from([Some(network(request.peer, *prefix).to_string().into_bytes())]),
    }
}

fn form(text: &str) -> Option<Vec<u8>> {
    unescaped(&text.replace('+', "%20"))
}

/// `%XX` by XX, from the back to the front.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.as_bytes().split(|byte| *byte == b'%');
    let mut bytes = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let digits = core::str::from_utf8(part.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(&part[2..]);
    }
    Some(bytes)
}

/// Without the blanks around it (RFC 9110 §5.5).
fn blankless(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn network(peer: IpAddr, prefix: Option<u8>) -> IpAddr {
    let peer = match peer {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(peer, IpAddr::V4),
        IpAddr::V4(_) => peer,
    };
    let kept = |octets: &mut [u8], bits: usize| {
        for bit in bits..octets.len() * 8 {
            octets[bit / 8] &= !(0x80 >> (bit % 8));
        }
    };
    match (peer, prefix) {
        (_, None) => peer,
        (IpAddr::V4(four), Some(bits)) => {
            let mut octets = four.octets();
            kept(&mut octets, bits.into());
            IpAddr::from(octets)
        }
        (IpAddr::V6(six), Some(_)) => {
            let mut octets = six.octets();
            kept(&mut octets, 64);
            IpAddr::from(octets)
        }
    }
}

/// A weight, digit by digit.
fn decimal(bytes: &[u8]) -> Option<Weight> {
    let (whole, places) = match bytes.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&bytes[..dot], &bytes[dot + 1..]),
        None => (bytes, &b"0"[..]),
    };
    if !(1..=10).contains(&whole.len()) || !(1..=3).contains(&places.len()) {
        return None;
    }
    let mut milli: u64 = 0;
    for digit in whole.iter().chain(places) {
        milli = milli * 10 + u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    milli *= 10u64.pow(3 - places.len() as u32);
    Weight::from_milli(milli).filter(|weight| *weight != Weight::ZERO)
}
