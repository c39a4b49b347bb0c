//! Reads from a request who its client is, what it weighs and what it asks for.
//!
//! The bytes come from outside, and somebody else reads them too: the application behind. Wherever two readers could
//! read two things (a parameter twice, two headers, an escape that is none) the request is refused.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Deref;

use crate::{BadText, Weight};

use super::{BadKey, ClientKey, Source, Sources};

/// What a request must show of itself.
pub trait RequestView {
    /// The query, without the `?`.
    fn query(&self) -> Option<&str>;
    /// Every value of a header, in order. `name` is in lower case.
    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]>;
    /// What the route's path caught under this name, as it came.
    fn capture(&self, name: &str) -> Option<&str>;
    /// Who sends it.
    fn source(&self) -> IpAddr;
}

/// Why a request is refused (400).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// None of the places has anything.
    #[error("nothing says who the client is: expected one of {0}")]
    Missing(String),
    /// Two readers would read two clients.
    #[error("{0} is there more than once")]
    Twice(Source),
    /// A percent-escape that is none, or a key that is none.
    #[error("{0}: {1}")]
    Key(Source, BadKey),
    /// Not a weight, or one of nothing.
    #[error("{0}: {1}")]
    Weight(Source, BadText),
    /// More than the set's `weight_max`.
    #[error("a weight of {weight} is more than a client of this set may have: {most} at most")]
    TooHeavy {
        /// What it says.
        weight: Weight,
        /// The set's `weight_max`.
        most: Weight,
    },
    /// Not the value of a label.
    #[error("{0}: {1}")]
    Label(Source, BadText),
}

impl BadRequest {
    /// The slug to switch on: `no-client-key`, `ambiguous`, `bad-client-key`, `bad-weight`, `bad-label`.
    pub fn reason(&self) -> &'static str {
        match self {
            BadRequest::Missing(_) => "no-client-key",
            BadRequest::Twice(_) => "ambiguous",
            BadRequest::Key(..) => "bad-client-key",
            BadRequest::Weight(..) | BadRequest::TooHeavy { .. } => "bad-weight",
            BadRequest::Label(..) => "bad-label",
        }
    }
}

/// The bytes of a client's key, for looking a client up. Short ones, as nearly all are, have no place of their own on the
/// heap; and they are passed on for as little as a few words cost.
#[derive(Clone)]
pub struct KeyBytes(Place);

/// Where a key's bytes are.
#[derive(Clone)]
enum Place {
    Here { bytes: [u8; KeyBytes::SHORT_BYTES], length: u8 },
    Heap(Box<[u8]>),
}

/// Collects the bytes of a key.
struct Collected {
    bytes: [u8; ClientKey::LONGEST_BYTES],
    /// Counts on when there is more than fits.
    length: usize,
}

impl Sources {
    /// The client's key.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn key(&self, request: &impl RequestView) -> Result<ClientKey, BadRequest> {
        self.key_bytes(request).map(|bytes| bytes.to_key())
    }

    /// The bytes of the client's key. For a short one nothing is allocated.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn key_bytes(&self, request: &impl RequestView) -> Result<KeyBytes, BadRequest> {
        match self.first(request)? {
            Some((source, found)) => found.decoded().map_err(|bad| BadRequest::Key(source.clone(), bad)),
            None => Err(BadRequest::Missing(alloc::format!("{self}"))),
        }
    }

    /// The client's weight, if it says one.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn weight(&self, request: &impl RequestView) -> Result<Option<Weight>, BadRequest> {
        let Some((source, found)) = self.first(request)? else { return Ok(None) };
        let expected = "more than 0 and at most 1000000000, a decimal with at most three places, such as 8 or 0.5";
        let bad = || BadRequest::Weight(source.clone(), BadText::new("a client's weight", &found.shown(), expected));
        let bytes = found.decoded().map_err(|_| bad())?;
        let weight: Weight = core::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(bad)?;
        if weight == Weight::ZERO { Err(bad()) } else { Ok(Some(weight)) }
    }

    /// The value of a label, if the request says one. An empty one says nothing.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn text(&self, request: &impl RequestView) -> Result<Option<String>, BadRequest> {
        let Some((source, found)) = self.first(request)? else { return Ok(None) };
        let bad = || {
            let bad = BadText::new("a label's value", &found.shown(), "at most 256 bytes of UTF-8 text");
            BadRequest::Label(source.clone(), bad)
        };
        match found.decoded() {
            Ok(bytes) => core::str::from_utf8(&bytes).map(|text| Some(text.into())).map_err(|_| bad()),
            Err(BadKey::Empty) => Ok(None),
            Err(_) => Err(bad()),
        }
    }

    /// What stands at the first place that has something.
    fn first<'a>(&'a self, request: &'a impl RequestView) -> Result<Option<(&'a Source, Found<'a>)>, BadRequest> {
        for source in &self.0 {
            if let Some(found) = source.find(request).map_err(|Twice| BadRequest::Twice(source.clone()))? {
                return Ok(Some((source, found)));
            }
        }
        Ok(None)
    }
}

/// What a place has.
#[derive(Clone, Copy)]
enum Found<'a> {
    /// These very bytes.
    Plain(&'a [u8]),
    /// `%XX` stands for a byte.
    Escaped(&'a [u8]),
    /// So does `+` for a space.
    Form(&'a [u8]),
    /// The text of an address.
    Address(IpAddr),
}

struct Twice;

impl Source {
    fn find<'a>(&self, request: &'a impl RequestView) -> Result<Option<Found<'a>>, Twice> {
        match self {
            Source::Query(name) => {
                let pairs = request.query().unwrap_or_default().as_bytes().split(|byte| *byte == b'&').map(pair);
                let named = pairs.filter(|(found, _)| is_form_of(found, name));
                Ok(only(named.map(|(_, value)| value))?.map(Found::Form))
            }
            Source::Header(name) => Ok(only(request.header(name))?.map(|value| Found::Plain(value.trim_ascii()))),
            Source::Cookie(name) => {
                let pairs = request.header("cookie").flat_map(|line| line.split(|byte| *byte == b';'));
                // What has no `=` has no name.
                let pairs = pairs.filter(|one| one.contains(&b'=')).map(pair);
                let named = pairs.filter(|(found, _)| found.trim_ascii() == name.as_bytes());
                Ok(only(named.map(|(_, value)| value))?.map(|value| Found::Plain(value.trim_ascii())))
            }
            Source::Path(name) => Ok(request.capture(name).map(|text| Found::Escaped(text.as_bytes()))),
            Source::SourceIp { prefix } => Ok(Some(Found::Address(cut(request.source(), *prefix)))),
        }
    }
}

/// The one item, if there is one.
fn only<T>(mut items: impl Iterator<Item = T>) -> Result<Option<T>, Twice> {
    let first = items.next();
    if first.is_some() && items.next().is_some() { Err(Twice) } else { Ok(first) }
}

/// `name=value`; without a `=` all is the name.
fn pair(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b'=') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

/// Whether `found`, as it stands in a query, is `name`: `c%61m` is `cam` to whoever reads the query behind us.
fn is_form_of(found: &[u8], name: &str) -> bool {
    if has_escapes(found) {
        Found::Form(found).bytes().map(Result::ok).eq(name.bytes().map(Some))
    } else {
        found == name.as_bytes()
    }
}

/// Whether bytes of a query or path may stand for others.
fn has_escapes(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'%' | b'+'))
}

/// An IPv4 address stays one if it comes mapped into IPv6, as it does on a listener for both.
fn cut(address: IpAddr, prefix: Option<u8>) -> IpAddr {
    match (address.to_canonical(), prefix) {
        (address, None) => address,
        (IpAddr::V4(address), Some(bits)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        (IpAddr::V6(address), Some(_)) => {
            let mask = u128::MAX << (128 - u32::from(Source::V6_BITS));
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

impl<'a> Found<'a> {
    /// Its bytes, as a key is to have them.
    fn decoded(self) -> Result<KeyBytes, BadKey> {
        let mut collected = Collected { bytes: [0; ClientKey::LONGEST_BYTES], length: 0 };
        match self {
            Found::Plain(plain) => return KeyBytes::new(plain),
            // As nearly all are.
            Found::Escaped(plain) | Found::Form(plain) if !has_escapes(plain) => return KeyBytes::new(plain),
            Found::Escaped(_) | Found::Form(_) => {
                for byte in self.bytes() {
                    collected.extend(&[byte?]);
                }
            }
            Found::Address(address) => {
                // Writing there never fails.
                let _ = write!(collected, "{address}");
            }
        }
        match collected.bytes.get(..collected.length) {
            Some(bytes) => KeyBytes::new(bytes),
            None => Err(BadKey::TooLong(collected.length)),
        }
    }

    /// The bytes that its escapes stand for.
    fn bytes(self) -> Unescaped<'a> {
        match self {
            Found::Plain(rest) | Found::Escaped(rest) => Unescaped { rest, plus: b'+' },
            Found::Form(rest) => Unescaped { rest, plus: b' ' },
            Found::Address(_) => Unescaped { rest: &[], plus: b'+' },
        }
    }

    /// As it came, for an error.
    fn shown(self) -> String {
        match self {
            Found::Plain(bytes) | Found::Escaped(bytes) | Found::Form(bytes) => String::from_utf8_lossy(bytes).into(),
            Found::Address(address) => alloc::format!("{address}"),
        }
    }
}

struct Unescaped<'a> {
    rest: &'a [u8],
    /// What a `+` stands for.
    plus: u8,
}

impl Iterator for Unescaped<'_> {
    type Item = Result<u8, BadKey>;

    fn next(&mut self) -> Option<Result<u8, BadKey>> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        match first {
            b'+' => Some(Ok(self.plus)),
            b'%' => {
                let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
                let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Some(Err(BadKey::Escape)) };
                self.rest = &rest[2..];
                Some(Ok((high * 16 + low) as u8))
            }
            other => Some(Ok(*other)),
        }
    }
}

impl KeyBytes {
    /// A key of at most so many bytes is not on the heap.
    const SHORT_BYTES: usize = 46;

    fn new(bytes: &[u8]) -> Result<KeyBytes, BadKey> {
        match bytes.len() {
            0 => Err(BadKey::Empty),
            length if length > ClientKey::LONGEST_BYTES => Err(BadKey::TooLong(length)),
            length if length > Self::SHORT_BYTES => Ok(KeyBytes(Place::Heap(bytes.into()))),
            length => {
                let mut here = [0; Self::SHORT_BYTES];
                here[..length].copy_from_slice(bytes);
                Ok(KeyBytes(Place::Here { bytes: here, length: length as u8 }))
            }
        }
    }

    /// The key of these bytes.
    pub fn to_key(&self) -> ClientKey {
        ClientKey::of(self)
    }
}

impl Collected {
    fn extend(&mut self, more: &[u8]) {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let fits = room.len().min(more.len());
        room[..fits].copy_from_slice(&more[..fits]);
        self.length = self.length.saturating_add(more.len());
    }
}

impl Write for Collected {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}

impl Deref for KeyBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Here { bytes, length } => &bytes[..usize::from(*length).min(Self::SHORT_BYTES)],
            Place::Heap(bytes) => bytes,
        }
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_key(), f)
    }
}

#[cfg(test)]
mod tests;
