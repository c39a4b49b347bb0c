//! Where in a request something about its client stands.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::BadText;
use crate::id::name;

name!(
    /// The name of a label (`region`, `zone`): 1 to 63 of `a-z 0-9 - _`.
    LabelName,
    "a label's name",
    63,
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'),
    "1 to 63 of a-z, 0-9, - and _, starting with a letter or digit"
);

/// What an instance offers, or a client asks for.
pub type Labels = BTreeMap<LabelName, String>;

/// One place in a request. Its text: `query:NAME`, `header:NAME`, `cookie:NAME`, `path:{NAME}`, `source-ip`,
/// `source-ip/24`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A parameter of the query, read as forms are sent (`application/x-www-form-urlencoded`): `%XX` is a byte and
    /// `+` a space, in names and in values. Names are told apart by letters' case.
    Query(String),
    /// A header, its name in lower case; its value as it came.
    Header(String),
    /// A cookie; its value as it came, quotes and percent signs included. Names are told apart by letters' case.
    Cookie(String),
    /// What `{NAME}` of the route's path caught; `%XX` is a byte, `+` is itself.
    Path(String),
    /// The peer's address.
    SourceIp {
        /// So many leading bits of an IPv4 address, 1 to 32, and of an IPv6 address always [`Source::V6_BITS`],
        /// the least that one customer is given. `None`: the whole address.
        prefix: Option<u8>,
    },
}

/// Places in a request: the first one that is there counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sources(pub Vec<Source>);

impl Source {
    /// How many bits of an IPv6 address count where a prefix is said.
    pub const V6_BITS: u8 = 64;
    /// The longest name, in bytes.
    pub const LONGEST_NAME: usize = 128;
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Query(name) => write!(f, "query:{name}"),
            Source::Header(name) => write!(f, "header:{name}"),
            Source::Cookie(name) => write!(f, "cookie:{name}"),
            Source::Path(name) => write!(f, "path:{{{name}}}"),
            Source::SourceIp { prefix: None } => f.write_str("source-ip"),
            Source::SourceIp { prefix: Some(bits) } => write!(f, "source-ip/{bits}"),
        }
    }
}

impl fmt::Display for Sources {
    /// All of them, `, ` between two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, source) in self.0.iter().enumerate() {
            let between = if number == 0 { "" } else { ", " };
            write!(f, "{between}{source}")?;
        }
        Ok(())
    }
}

impl FromStr for Source {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Source, BadText> {
        const PLACES: &str = "query:NAME, header:NAME, cookie:NAME, path:{NAME}, source-ip or source-ip/24";
        let bad = |expected| BadText::new("a place in a request", text, expected);
        let (place, name) = text.split_once(':').unwrap_or((text, ""));
        match place {
            "jwt" | "sni" | "tls-subject" => {
                return Err(BadText::new("a place in a request that is read yet", text, PLACES));
            }
            "query" | "header" | "cookie" | "path" if name.is_empty() || name.len() > Self::LONGEST_NAME => {
                return Err(bad("a name of 1 to 128 bytes behind the colon, such as query:camera"));
            }
            _ => {}
        }
        match place {
            "query" if name.chars().any(char::is_control) => Err(bad("a parameter's name without control characters")),
            "query" => Ok(Source::Query(name.into())),
            "header" if !name.bytes().all(is_token) => Err(bad("a header's name, such as header:x-camera")),
            "header" => Ok(Source::Header(name.to_ascii_lowercase())),
            "cookie" if !name.bytes().all(is_token) => Err(bad("a cookie's name, such as cookie:session")),
            "cookie" => Ok(Source::Cookie(name.into())),
            "path" => {
                let inner = name.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
                let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
                let inner = inner.filter(|name| !name.is_empty() && name.bytes().all(allowed));
                let inner = inner.ok_or_else(|| bad("path:{NAME}, where a route's path has {NAME}"))?;
                Ok(Source::Path(inner.into()))
            }
            _ if text == "source-ip" => Ok(Source::SourceIp { prefix: None }),
            _ if text.starts_with("source-ip/") => {
                let bits = text["source-ip/".len()..].parse().ok().filter(|bits| (1..=32).contains(bits));
                let bits = bits.ok_or_else(|| bad("source-ip/1 to source-ip/32: bits of an IPv4 address"))?;
                Ok(Source::SourceIp { prefix: Some(bits) })
            }
            _ => Err(bad(PLACES)),
        }
    }
}

/// RFC 9110 §5.6.2, of which names of headers and of cookies (RFC 6265 §4.1.1) are made.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
