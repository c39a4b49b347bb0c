//! A commit as one transaction of the table: compare-and-set on the head's ETag orders all commits of a space, and each
//! record is guarded by its own operation, so that in the usual case nothing has to be read first.
//!
//! What is decided here, is decided without a server: which operations a batch becomes, and what a head says.

use super::batch::{Does, Operation};
use super::entity::{BULK, CHANGES, Entity, Row};
use super::keys;
use crate::history::fresh_mark;
use crate::{Batch, Cursor, Error, Expect, Named, Record, Revision, Write, rules};

/// Once in so many revisions the log is cut, and what is beyond it deleted.
pub(super) const TRIM_EVERY: u64 = 64;

/// Where a space stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The last commit; 0: there was none.
    pub(super) revision: Revision,
    /// Its mark.
    pub(super) mark: Vec<u8>,
    /// What the log was cut up to; 0: it was not.
    pub(super) base: Revision,
    /// `None`: there is no head.
    pub(super) etag: Option<String>,
}

impl Head {
    /// What the row says, if there is one.
    pub(super) fn of(row: Option<&Row>) -> Result<Head, Error> {
        let Some(row) = row else { return Ok(Head::default()) };
        Ok(Head {
            revision: row.revision("Revision")?,
            mark: row.bytes("Mark")?,
            base: row.revision("Base")?,
            etag: Some(row.etag.clone()),
        })
    }

    pub(super) fn cursor(&self) -> Cursor {
        Cursor { revision: self.revision, mark: self.mark.clone() }
    }

    fn entity(&self, partition: &str) -> Entity {
        Entity::new(partition, keys::HEAD)
            .number("Revision", self.revision.0)
            .bytes("Mark", &self.mark)
            .number("Base", self.base.0)
    }
}

/// A commit that is about to be made.
#[derive(Debug)]
pub(super) struct Draft {
    /// Where the space will stand; its ETag is not known yet.
    pub(super) head: Head,
    /// The head first, then the log, then a record each.
    pub(super) operations: Vec<Operation>,
    /// Whose record each operation after the second is.
    pub(super) names: Vec<Vec<u8>>,
}

/// What of the log is kept, in commits.
pub(super) type Keep = u64;

impl Draft {
    /// Of a batch that changes something, in a space that stands at `head`, whose revisions were seen up to `floor`.
    /// `etag` knows the ETag of each record that is to be there.
    pub(super) fn of(batch: &Batch, head: &Head, floor: Revision, keep: Keep, etag: impl Fn(&[u8]) -> String) -> Draft {
        let partition = keys::partition(&batch.space);
        let revision = head.revision.max(floor).next();
        let cut = revision.0.is_multiple_of(TRIM_EVERY).then(|| Revision(revision.0.saturating_sub(keep)));
        let base = cut.map_or(head.base, |cut| cut.max(head.base));
        let next = Head { revision, mark: fresh_mark(), base, etag: None };
        let entity = next.entity(&partition);
        let guard = match &head.etag {
            Some(etag) => Does::Replace(entity, etag.clone()),
            None => Does::Insert(entity),
        };
        let mut operations = vec![Operation { row: keys::HEAD.to_owned(), does: guard }];
        operations.push(logged(batch, &partition, &next, head));
        let mut names = Vec::new();
        for change in &batch.changes {
            let row = keys::record(&change.name);
            let does = match &change.write {
                Write::Nothing => continue,
                Write::Delete => Does::Delete(etag(&change.name)),
                Write::Put(value, _) => {
                    let entity = Entity::new(&partition, &row).record(revision, value);
                    match change.expect {
                        Expect::Absent => Does::Insert(entity),
                        Expect::Version(_) => Does::Replace(entity, etag(&change.name)),
                    }
                }
            };
            operations.push(Operation { row, does });
            names.push(change.name.clone());
        }
        Draft { head: next, operations, names }
    }
}

/// The row of the log.
fn logged(batch: &Batch, partition: &str, next: &Head, before: &Head) -> Operation {
    let (mut changes, mut bulk) = (Vec::new(), Vec::new());
    for change in &batch.changes {
        let value = match &change.write {
            Write::Nothing => continue,
            Write::Delete => None,
            Write::Put(value, _) => Some(&value[..]),
        };
        pack(if change.name.starts_with(rules::BULK) { &mut bulk } else { &mut changes }, &change.name, value);
    }
    let row = keys::log(next.revision);
    let entity = Entity::new(partition, &row)
        .bytes("Mark", &next.mark)
        .bytes("Prev", &before.mark)
        .parts(CHANGES, &changes)
        .parts(BULK, &bulk);
    Operation { row, does: Does::Insert(entity) }
}

/// One change: the name's length and the name, then 0 for a deletion, or 1, the value's length and the value. Lengths
/// have four bytes, the highest first.
fn pack(into: &mut Vec<u8>, name: &[u8], value: Option<&[u8]>) {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    into.extend(length(name));
    into.extend(name);
    match value {
        None => into.push(0),
        Some(value) => {
            into.push(1);
            into.extend(length(value));
            into.extend(value);
        }
    }
}

/// The changes that were packed so, of the commit of this revision; `None`: they were not.
pub(super) fn unpack(mut packed: &[u8], version: Revision) -> Option<Vec<Named>> {
    fn take<'a>(from: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = from.split_at_checked(bytes)?;
        *from = rest;
        Some(taken)
    }
    fn sized<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
        let length = take(from, 4)?.try_into().ok().map(u32::from_be_bytes)?;
        take(from, usize::try_from(length).ok()?)
    }
    let mut changes = Vec::new();
    while !packed.is_empty() {
        let name = sized(&mut packed)?.to_vec();
        let record = match take(&mut packed, 1)? {
            [0] => None,
            [1] => Some(Record { version, value: sized(&mut packed)?.to_vec().into() }),
            _ => return None,
        };
        changes.push((name, record));
    }
    Some(changes)
}

#[cfg(test)]
mod tests;
