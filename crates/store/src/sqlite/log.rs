//! What a commit changed, as bytes in the file's log: for each change the length of the name (4 bytes, little
//! endian), the name, the length of the value (or all ones for a deletion), the value.

use bytes::Bytes;

use crate::{Named, Record, Revision};

/// In the place of a value's length: there is no record.
const DELETED: u32 = u32::MAX;

/// The changes as bytes. Names and values are shorter than the limits of a batch, which fit.
pub(super) fn encode(changes: &[Named]) -> Vec<u8> {
    let value = |record: &Option<Record>| record.as_ref().map_or(0, |record| record.value.len());
    let mut bytes = Vec::with_capacity(changes.iter().map(|(name, record)| 8 + name.len() + value(record)).sum());
    for (name, record) in changes {
        put(&mut bytes, name);
        match record {
            Some(record) => put(&mut bytes, &record.value),
            None => bytes.extend(DELETED.to_le_bytes()),
        }
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u32).to_le_bytes());
    bytes.extend(part);
}

/// The changes of a commit that had this revision; `None`: these are not the bytes of changes.
pub(super) fn decode(bytes: &[u8], version: Revision) -> Option<Vec<Named>> {
    let mut rest = bytes;
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let length = length(&mut rest)?;
        let name = rest.split_off(..usize::try_from(length).ok()?)?.to_vec();
        let record = match self::length(&mut rest)? {
            DELETED => None,
            length => {
                let value = rest.split_off(..usize::try_from(length).ok()?)?;
                Some(Record { version, value: Bytes::copy_from_slice(value) })
            }
        };
        changes.push((name, record));
    }
    Some(changes)
}

fn length(rest: &mut &[u8]) -> Option<u32> {
    let length = rest.split_off(..4)?;
    Some(u32::from_le_bytes(length.try_into().ok()?))
}

#[cfg(test)]
mod tests;
