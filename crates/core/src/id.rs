//! The names and numbers processes know each other by. Each has one text form, which is its form
//! in the file, on the command line, in records and in JSON.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// A text that is not what it should be. Says what it was to be, what was found, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {what}: expected {expected}")]
pub struct BadText {
    what: &'static str,
    found: String,
    expected: &'static str,
}

impl BadText {
    /// At most this much of the text is repeated, so that an error stays one line.
    const SHOWN_CHARS: usize = 80;

    pub(crate) fn new(what: &'static str, found: &str, expected: &'static str) -> BadText {
        BadText { what, found: found.chars().take(Self::SHOWN_CHARS).collect(), expected }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $longest:literal, $allowed:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(alloc::string::String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl core::str::FromStr for $type {
            type Err = $crate::BadText;

            fn from_str(text: &str) -> Result<$type, $crate::BadText> {
                let allowed: fn(u8) -> bool = $allowed;
                let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
                if starts_well && text.len() <= $longest && text.bytes().all(allowed) {
                    Ok($type(alloc::string::String::from(text)))
                } else {
                    Err($crate::BadText::new($what, text, $expected))
                }
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl core::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use name;

/// One of a few words, each of which is its text.
macro_rules! words {
    ($(#[$doc:meta])* $type:ident, $what:literal, $expected:literal, $($(#[$word_doc:meta])* $word:ident = $text:literal,)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type {
            $($(#[$word_doc])* $word,)+
        }

        impl $type {
            /// All of them.
            pub const ALL: &[$type] = &[$($type::$word),+];

            /// The word, as it stands in the file and in records.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($type::$word => $text,)+
                }
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl core::str::FromStr for $type {
            type Err = $crate::BadText;

            fn from_str(text: &str) -> Result<$type, $crate::BadText> {
                let found = $type::ALL.iter().copied().find(|word| word.as_str() == text);
                found.ok_or_else(|| $crate::BadText::new($what, text, $expected))
            }
        }
    };
}
pub(crate) use words;

name!(
    /// The name of a set: 1 to 63 of `a-z 0-9 - _`, starting with a letter or digit.
    SetName,
    "a set's name",
    63,
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'),
    "1 to 63 of a-z, 0-9, - and _, starting with a letter or digit"
);

name!(
    /// The identity of an instance, chosen to follow the data: 1 to 128 of `A-Z a-z 0-9 - _ .`, starting
    /// with a letter or digit.
    InstanceId,
    "an instance's id",
    128,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'),
    "1 to 128 of A-Z, a-z, 0-9, -, _ and ., starting with a letter or digit"
);

macro_rules! random {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub u64);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl FromStr for $type {
            type Err = BadText;

            fn from_str(text: &str) -> Result<$type, BadText> {
                let hex = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                let value = if hex { u64::from_str_radix(text, 16).ok() } else { None };
                value.map($type).ok_or_else(|| BadText::new($what, text, "16 hexadecimal digits"))
            }
        }
    };
}

random!(
    /// One life of an instance: random at every start. A new one says that the instance's memory is gone.
    Incarnation,
    "an incarnation"
);

random!(
    /// Marks one attempt to write, so that its author can recognise it when the reply was lost.
    Nonce,
    "a nonce"
);

/// The number of a lease, which only ever grows: the fencing token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Before the first: what somebody has seen who has seen no lease.
    pub const NONE: Epoch = Epoch(0);

    /// The epoch after this one.
    pub const fn next(self) -> Epoch {
        Epoch(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Epoch {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Epoch, BadText> {
        text.parse().map(Epoch).map_err(|_| BadText::new("an epoch", text, "a whole number"))
    }
}

#[cfg(test)]
mod tests;
