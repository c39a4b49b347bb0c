//! Where a space's records lie in etcd, readable with `etcdctl get --prefix`:
//!
//! ```text
//! PREFIX/<space>/b/<name>   names under beat/: in no watch
//! PREFIX/<space>/c/<name>   names under client/: in the watch of whoever wants them
//! PREFIX/<space>/h          the head, put by every commit that a watch shows: its value is the commit's mark
//! PREFIX/<space>/k/<name>   all other names
//! PREFIX/compact            whose turn it is to compact
//! ```
//! So `[h, l)` is a space's history without clients, and `[c, l)` the whole of it.

use bytes::Bytes;

use super::proto::RangeRequest;
use crate::rules::{BEAT, BULK};
use crate::{Revision, Space};

/// The keys under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Vec<u8>,
}

/// A class of names, by its letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Beat = b'b' as isize,
    Client = b'c' as isize,
    Other = b'k' as isize,
}

impl Class {
    fn of(name: &[u8]) -> Class {
        if name.starts_with(BEAT) {
            Class::Beat
        } else if name.starts_with(BULK) {
            Class::Client
        } else {
            Class::Other
        }
    }
}

impl Keys {
    pub(super) fn new(prefix: &[u8]) -> Keys {
        Keys { prefix: prefix.to_vec() }
    }

    /// The key of the space's head.
    pub(super) fn head(&self, space: &Space) -> Bytes {
        self.key(space, b"h", b"")
    }

    /// The key of a record.
    pub(super) fn record(&self, space: &Space, name: &[u8]) -> Bytes {
        self.key(space, &[Class::of(name) as u8, b'/'], name)
    }

    /// The key that says when history was compacted last.
    pub(super) fn compact(&self) -> Bytes {
        [self.prefix.as_slice(), b"/compact"].concat().into()
    }

    /// The first key of a space's history, and the first one after it.
    pub(super) fn history(&self, space: &Space, bulk: bool) -> (Bytes, Bytes) {
        (self.key(space, if bulk { b"c" } else { b"h" }, b""), self.key(space, b"l", b""))
    }

    /// The name whose record lies at `key`; `None` of what is no record of the space.
    pub(super) fn name<'a>(&self, space: &Space, key: &'a [u8]) -> Option<&'a [u8]> {
        let rest = key.strip_prefix(self.prefix.as_slice())?.strip_prefix(b"/")?;
        let rest = rest.strip_prefix(space.as_str().as_bytes())?.strip_prefix(b"/")?;
        let name = rest.get(2..).filter(|name| !name.is_empty())?;
        (rest[..2] == [Class::of(name) as u8, b'/']).then_some(name)
    }

    /// The ranges of records whose names start with `prefix` and come after `after`, in the order of names; each
    /// begins where the one before ends.
    pub(super) fn ranges(&self, space: &Space, prefix: &[u8], after: Option<&[u8]>) -> Vec<RangeRequest> {
        // A name right after another is that name and a zero.
        let start = match after {
            Some(after) if after >= prefix => [after, b"\0"].concat(),
            _ => prefix.to_vec(),
        };
        let end = successor(prefix);
        let (beats, clients) = (successor(BEAT), successor(BULK));
        let parts = [
            (Class::Other, Some(&b""[..]), Some(BEAT)),
            (Class::Beat, Some(BEAT), beats.as_deref()),
            (Class::Other, beats.as_deref(), Some(BULK)),
            (Class::Client, Some(BULK), clients.as_deref()),
            (Class::Other, clients.as_deref(), None),
        ];
        let within = |(class, from, to): &(Class, Option<&[u8]>, Option<&[u8]>)| {
            let from = (*from)?.max(&start);
            let to = match (*to, end.as_deref()) {
                (Some(to), Some(end)) => Some(to.min(end)),
                (to, end) => to.or(end),
            };
            if to.is_some_and(|to| to <= from) {
                return None;
            }
            let letter = *class as u8;
            // After the last name of the class comes the first key of the next: `/` and one.
            let range_end =
                to.map_or_else(|| self.key(space, &[letter, b'/' + 1], b""), |to| self.key(space, &[letter, b'/'], to));
            Some(RangeRequest { key: self.key(space, &[letter, b'/'], from), range_end, ..RangeRequest::default() })
        };
        parts.iter().filter_map(within).collect()
    }

    fn key(&self, space: &Space, class: &[u8], name: &[u8]) -> Bytes {
        [self.prefix.as_slice(), b"/", space.as_str().as_bytes(), b"/", class, name].concat().into()
    }
}

/// The first name after all that start with `prefix`; `None`: there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// etcd's revision as ours. etcd counts from 1 and never below.
pub(super) fn revision(revision: i64) -> Revision {
    Revision(u64::try_from(revision).unwrap_or_default())
}

/// Our revision as etcd's; one that etcd cannot reach is its last.
pub(super) fn mod_revision(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}
