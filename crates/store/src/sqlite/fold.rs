//! What the log holds and the table of records does not yet. A commit is on the disk with its row of the log; its
//! records come into the table later, many at once and in the order of names, so that each page of the table is
//! written once for many of them. Until then they are here, and whoever reads looks here first.
//!
//! ```text
//!   commit ──▶ log row (durable) ──▶ fresh ──freeze──▶ folding ──a slice a transaction──▶ record table
//!                                      read: fresh, then folding, then the table
//! ```
//! What is here is made anew from the log when the file is opened: rows after `space.folded`, which moves only in the
//! transaction that brings the last of `folding` into the table. A row folded twice leaves what it left the first time.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::iter::Peekable;
use std::ops::Bound;
use std::time::Duration;

use steadfast_host::clock::{self, Moment};

use crate::{Committed, Record, Revision};

/// When the table of records is brought up to what the log says: in a burst later, for the more names wait, the fewer
/// pages each of them costs.
#[derive(Clone, Copy, Debug)]
pub struct FoldBound {
    /// So few changed records are not worth waiting for more: they go into the table with the commit itself.
    pub few: usize,
    /// So many wait at most before folding begins; while they are folded, as many again may come.
    pub changes: usize,
    /// The same in bytes of names and values.
    pub bytes: usize,
    /// When nobody has called for so long, folding begins …
    pub quiet: Duration,
    /// … and otherwise when the oldest change is this old.
    pub after: Duration,
}

impl Default for FoldBound {
    fn default() -> FoldBound {
        FoldBound {
            few: 64,
            changes: 524_288,
            bytes: 96 << 20,
            quiet: Duration::from_millis(250),
            after: Duration::from_secs(30),
        }
    }
}

/// Records folded with one commit while too many bytes wait.
const LARGE_SHARE: usize = 8_192;

/// A record as it is now; `None`: it was deleted.
pub(super) type Now = Option<Record>;

/// The changes that are in the log alone, by the number of their space.
#[derive(Debug)]
pub(super) struct Unfolded {
    bound: FoldBound,
    fresh: Layer,
    folding: Layer,
}

#[derive(Debug, Default)]
struct Layer {
    spaces: BTreeMap<i64, BTreeMap<Name, Now>>,
    /// The last commit of each space that is in here.
    upto: BTreeMap<i64, Revision>,
    changes: usize,
    bytes: usize,
    /// When the first of it came.
    since: Option<Moment>,
}

/// What a step of folding writes.
#[derive(Debug, Default)]
pub(super) struct Slice {
    /// Records for the table, in the order of names, each with the last commit of its space that is in here.
    pub(super) records: Vec<(i64, Name, Now, Revision)>,
    /// The spaces whose table now holds all up to this revision.
    pub(super) folded: Vec<(i64, Revision)>,
}

impl Unfolded {
    pub(super) fn new(bound: FoldBound) -> Unfolded {
        Unfolded { bound, fresh: Layer::default(), folding: Layer::default() }
    }

    /// A commit that is in the log, or will be when this transaction is.
    pub(super) fn add(&mut self, space: i64, commit: &Committed) {
        let layer = &mut self.fresh;
        layer.since.get_or_insert_with(clock::now);
        layer.upto.insert(space, commit.cursor.revision);
        let names = layer.spaces.entry(space).or_default();
        for (name, now) in &commit.changes {
            layer.bytes += name.len() + value_bytes(now);
            match names.insert(Name::of(name), now.clone()) {
                Some(before) => layer.bytes -= name.len() + value_bytes(&before),
                None => layer.changes += 1,
            }
        }
    }

    /// What is known here of a record; `None`: the table has it as it is.
    pub(super) fn get(&self, space: i64, name: &[u8]) -> Option<&Now> {
        self.fresh.get(space, name).or_else(|| self.folding.get(space, name))
    }

    /// What is known here of the names from `start` on, in their order.
    pub(super) fn from(&self, space: i64, start: &[u8]) -> Names<'_> {
        Names { fresh: self.fresh.from(space, start), folding: self.folding.from(space, start) }
    }

    /// What is to be folded next, `most` records of it, and forgotten here: the caller writes it into the table, or
    /// opens the file anew.
    pub(super) fn next(&mut self, most: usize) -> Slice {
        let mut slice = Slice::default();
        while slice.records.len() < most {
            if self.folding.is_empty() {
                if !self.is_due() {
                    break;
                }
                self.freeze();
            }
            self.folding.take(most - slice.records.len(), &mut slice.records);
            if self.folding.changes == 0 {
                slice.folded.extend(std::mem::take(&mut self.folding).upto);
            }
        }
        slice
    }

    /// Has what waits folded next, without waiting for more.
    pub(super) fn freeze(&mut self) {
        if self.folding.is_empty() {
            self.folding = std::mem::take(&mut self.fresh);
        }
    }

    /// Whether folding is under way.
    pub(super) fn is_folding(&self) -> bool {
        !self.folding.is_empty()
    }

    /// For how long nobody must have called before what waits is folded; `None`: nothing waits.
    pub(super) fn quiet(&self) -> Option<Duration> {
        (!self.fresh.is_empty()).then_some(self.bound.quiet)
    }

    fn is_due(&self) -> bool {
        let Layer { changes, bytes, since, .. } = self.fresh;
        let old = |since| clock::now() >= since + self.bound.after;
        let many = changes >= self.bound.changes || bytes >= self.bound.bytes;
        since.is_some_and(|since| changes <= self.bound.few || many || old(since))
    }

    /// How much of it a transaction folds that itself adds `changes`: what is being folded is done before as much
    /// waits again. Where that does not hold, since fewer and larger changes have come, it is much more.
    pub(super) fn share(&self, changes: usize) -> usize {
        let behind = self.is_folding() && self.fresh.bytes >= self.bound.bytes;
        if behind { LARGE_SHARE.max(changes) } else { changes + self.bound.few }
    }
}

impl Layer {
    fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    fn get(&self, space: i64, name: &[u8]) -> Option<&Now> {
        self.spaces.get(&space)?.get(name)
    }

    fn from(&self, space: i64, start: &[u8]) -> Option<OfLayer<'_>> {
        let bounds = (Bound::Included(start), Bound::Unbounded);
        Some(self.spaces.get(&space)?.range::<[u8], _>(bounds).peekable())
    }

    /// Takes up to `most` records out, in the order of names.
    fn take(&mut self, most: usize, into: &mut Vec<(i64, Name, Now, Revision)>) {
        let mut left = most;
        for (space, names) in &mut self.spaces {
            let upto = self.upto.get(space).copied().unwrap_or_default();
            while left > 0 {
                let Some((name, now)) = names.pop_first() else { break };
                into.push((*space, name, now, upto));
                self.changes -= 1;
                left -= 1;
            }
        }
    }
}

fn value_bytes(now: &Now) -> usize {
    now.as_ref().map_or(0, |record| record.value.len())
}

/// A record's name, kept in its place where it is short: half a million of them are compared all the time, and each that
/// lay elsewhere would be fetched from there first.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Short(u8, [u8; SHORT_BYTES]),
    Long(Box<[u8]>),
}

/// What fits beside its length into 32 bytes.
const SHORT_BYTES: usize = 30;

impl Name {
    fn of(name: &[u8]) -> Name {
        let mut short = [0; SHORT_BYTES];
        match (short.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(name);
                Name::Short(length, short)
            }
            _ => Name::Long(name.into()),
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Name::Short(length, bytes) => &bytes[..usize::from(*length)],
            Name::Long(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Name {}

type OfLayer<'a> = Peekable<Range<'a, Name, Now>>;

/// Names and what is known of them, in order.
pub(super) struct Names<'a> {
    fresh: Option<OfLayer<'a>>,
    folding: Option<OfLayer<'a>>,
}

impl<'a> Iterator for Names<'a> {
    type Item = (&'a [u8], &'a Now);

    fn next(&mut self) -> Option<Self::Item> {
        let name = |names: &mut Option<OfLayer<'a>>| Some(names.as_mut()?.peek()?.0.as_slice());
        let (fresh, folding) = (name(&mut self.fresh), name(&mut self.folding));
        let older_first = fresh.is_none_or(|fresh| folding.is_some_and(|folding| folding < fresh));
        // Of the same name the newer counts, and the older is passed over.
        let older = if older_first || fresh == folding { self.folding.as_mut().and_then(Iterator::next) } else { None };
        let next = if older_first { older } else { self.fresh.as_mut().and_then(Iterator::next) };
        next.map(|(name, now)| (name.as_slice(), now))
    }
}

#[cfg(test)]
mod tests;
