//! Where each thing lies: partitions and rows of the table, blobs of the container.
//!
//! ```text
//! table      <space>      h                    the head
//!                         l-<revision>         a commit of the log, 16 hexadecimal digits
//!                         r-<name>             a record
//!            <space>~b    <name>               a beat
//! container  <space>/lease/<name>              a lease
//! ```
//! In rows six bits of a name are one of `-0-9A-Z_a-z`, which keeps the order of names: a row's key has at most 1 KiB of
//! UTF-16, and hexadecimal would leave no room for a client's key. In partitions and blobs every byte but letters, digits and `@._-` is written `~XX`, so that they can be read.

use crate::{BEAT, Error, LEASE, Revision, Space};

/// The row of a space's head.
pub(super) const HEAD: &str = "h";

/// Below all rows of the log, and above them.
pub(super) const LOG: (&str, &str) = ("l-", "m");

/// Characters of a blob's name, at most; a longer one is refused.
const BLOB_CHARACTERS: usize = 1024;

/// Where a record is kept, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    /// With the log and the head, under one transaction.
    Records,
    /// A partition of its own: written without head or log.
    Beats,
    /// The container.
    Leases,
}

/// Where the record of this name is kept.
pub(super) fn shelf(name: &[u8]) -> Shelf {
    if name.starts_with(LEASE) {
        Shelf::Leases
    } else if name.starts_with(BEAT) {
        Shelf::Beats
    } else {
        Shelf::Records
    }
}

/// The partition of a space.
pub(super) fn partition(space: &Space) -> String {
    plain(space.as_str().as_bytes())
}

/// The partition of a space's beats: no space's own partition ends like this, for there two digits follow a `~`.
pub(super) fn beats(space: &Space) -> String {
    partition(space) + "~b"
}

/// The row of a record.
pub(super) fn record(name: &[u8]) -> String {
    "r-".to_owned() + &ordered(name)
}

/// The row of a beat.
pub(super) fn beat(name: &[u8]) -> String {
    ordered(name)
}

/// The row of a commit.
pub(super) fn log(revision: Revision) -> String {
    format!("{}{:016x}", LOG.0, revision.0)
}

/// The commit of a row.
pub(super) fn logged(row: &str) -> Option<Revision> {
    let digits = row.strip_prefix(LOG.0).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok().map(Revision)
}

/// The blob of a lease.
pub(super) fn lease(space: &Space, name: &[u8]) -> Result<String, Error> {
    let blob = lease_folder(space) + &plain(name.strip_prefix(LEASE).unwrap_or(name));
    if blob.len() > BLOB_CHARACTERS {
        return Err(Error::Config(format!(
            "the lease `{}…` has a name of {} characters as a blob; Azure takes {BLOB_CHARACTERS}",
            name[..32.min(name.len())].escape_ascii(),
            blob.len()
        )));
    }
    Ok(blob)
}

/// What the blobs of a space's leases begin with.
pub(super) fn lease_folder(space: &Space) -> String {
    partition(space) + "/lease/"
}

/// The lease of a blob of this space.
pub(super) fn leased(space: &Space, blob: &str) -> Option<Vec<u8>> {
    let rest = blob.strip_prefix(&lease_folder(space))?;
    Some([LEASE, &bytes_of_plain(rest)?].concat())
}

/// The characters of six bits each, in the order of ASCII: so texts are in the order of the bytes they stand for. All
/// may stand in a key and in a URL.
const DIGITS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// A character above all of them.
pub(super) const ABOVE: char = '~';

/// `bytes` as text that keeps their order: base64 with other characters, and without padding.
fn ordered(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=group.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

/// The bytes that are written so.
pub(super) fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0;
        for digit in 0..4 {
            let value = match group.get(digit) {
                Some(digit) => u32::try_from(DIGITS.iter().position(|known| known == digit)?).ok()?,
                None => 0,
            };
            bits = bits << 6 | value;
        }
        let [_, first, second, third] = bits.to_be_bytes();
        bytes.extend(&[first, second, third][..group.len().checked_sub(1)?]);
    }
    (ordered(&bytes) == text).then_some(bytes)
}

fn plain(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"@._-".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("~{byte:02X}"));
        }
    }
    text
}

fn bytes_of_plain(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'~' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
