//! The key of a client: any bytes, with one text form.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// Identifies a client: 1 to 256 bytes of any value.
///
/// Its text (in the file, on the command line, in JSON and in URLs) is percent-encoded: RFC 3986's unreserved
/// characters stand for themselves, every other byte is `%XX` in capitals.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientKey(Box<[u8]>);

/// Bytes or a text that is no client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// There is nothing.
    #[error("a client's key is empty: it has 1 to {} bytes", ClientKey::LONGEST_BYTES)]
    Empty,
    /// There is too much.
    #[error("a client's key of {0} bytes is too long: it has 1 to {max} bytes", max = ClientKey::LONGEST_BYTES)]
    TooLong(usize),
    /// A `%` without two hexadecimal digits behind it.
    #[error("a % in a client's key is not followed by two hexadecimal digits")]
    Escape,
}

impl ClientKey {
    /// The longest key, in bytes.
    pub const LONGEST_BYTES: usize = 256;

    /// A key of these bytes.
    pub fn new(bytes: &[u8]) -> Result<ClientKey, BadKey> {
        match bytes.len() {
            0 => Err(BadKey::Empty),
            n if n > Self::LONGEST_BYTES => Err(BadKey::TooLong(n)),
            _ => Ok(ClientKey(bytes.into())),
        }
    }

    /// A key of bytes whose number was checked already.
    pub(super) fn of(bytes: &super::KeyBytes) -> ClientKey {
        ClientKey((**bytes).into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => write!(f, "{}", char::from(*byte)),
            other => write!(f, "%{other:02X}"),
        })
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({self})")
    }
}

impl FromStr for ClientKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<ClientKey, BadKey> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&first, tail)) = rest.split_first() {
            rest = tail;
            if first != b'%' {
                bytes.push(first);
                continue;
            }
            let (high, low) = (rest.first(), rest.get(1));
            let digit = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16)).ok_or(BadKey::Escape);
            bytes.push((digit(high)? * 16 + digit(low)?) as u8);
            rest = &rest[2..];
        }
        ClientKey::new(&bytes)
    }
}
