//! What a handle remembers of the records it wrote and read: version and ETag, so that it need not ask before it writes.
//!
//! A wrong entry costs a round trip, never correctness: every write is conditional. Entries are *certain* while the
//! space's head is the one they were learnt under, since no record changes without it.

use std::collections::HashMap;
use std::mem;

use crate::Revision;

/// Records remembered in each of two generations; with the second full, the first is forgotten.
const GENERATION: usize = 30_000;

/// A record's version, and the ETag a write of it has to name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) version: Revision,
    pub(super) etag: String,
}

/// Tags of the records of one space.
#[derive(Debug, Default)]
pub(super) struct Tags {
    young: HashMap<Vec<u8>, (Tag, u64)>,
    old: HashMap<Vec<u8>, (Tag, u64)>,
    /// Entries of this era are certain.
    era: u64,
}

impl Tags {
    /// What is remembered of a record, and whether it is certain.
    pub(super) fn get(&self, name: &[u8]) -> Option<(&Tag, bool)> {
        let (tag, era) = self.young.get(name).or_else(|| self.old.get(name))?;
        Some((tag, *era == self.era))
    }

    /// It is so under the head as it stands.
    pub(super) fn learn(&mut self, name: &[u8], tag: Tag) {
        if self.young.len() >= GENERATION && !self.young.contains_key(name) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(name.to_vec(), (tag, self.era));
    }

    /// It is gone, or of no use.
    pub(super) fn forget(&mut self, name: &[u8]) {
        self.young.remove(name);
        self.old.remove(name);
    }

    /// The head is another one: nothing is certain any more.
    pub(super) fn doubt(&mut self) {
        self.era += 1;
    }
}

#[cfg(test)]
mod tests;
