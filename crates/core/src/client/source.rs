//! Where in a request something about its client stands.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::id::name;
use crate::{BadText, Weight};

use super::{BadKey, ClientKey};

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
    /// A parameter of the query, percent-decoded.
    Query(String),
    /// A header, in lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// What `{NAME}` of the route's path caught, percent-decoded.
    Path(String),
    /// The peer's address, cut to so many bits.
    SourceIp {
        /// For IPv4, 0 to 32.
        v4: u8,
        /// For IPv6, 0 to 128.
        v6: u8,
    },
}

/// Places in a request: the first one that is there counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sources(pub Vec<Source>);

/// What a request must show of itself.
pub trait RequestView {
    /// The query, without the `?`.
    fn query(&self) -> Option<&str>;
    /// Every value of a header, in order. `name` is in lower case.
    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]>;
    /// What the route's path caught under this name.
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
}

impl Sources {
    /// The client's key.
    pub fn key(&self, _request: &impl RequestView) -> Result<ClientKey, BadRequest> {
        todo!("the configuration's engineer")
    }

    /// The client's weight, if it says one.
    pub fn weight(&self, _request: &impl RequestView) -> Result<Option<Weight>, BadRequest> {
        todo!("the configuration's engineer")
    }
}

impl core::fmt::Display for Source {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Source::Query(name) => write!(f, "query:{name}"),
            Source::Header(name) => write!(f, "header:{name}"),
            Source::Cookie(name) => write!(f, "cookie:{name}"),
            Source::Path(name) => write!(f, "path:{{{name}}}"),
            Source::SourceIp { v4: 32, v6: 128 } => f.write_str("source-ip"),
            Source::SourceIp { v4, v6 } => write!(f, "source-ip/{v4}/{v6}"),
        }
    }
}
